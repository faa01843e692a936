/* Accept and Accept-Encoding: any bytes; either answer is one of two. */
#include "server/negotiate.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    enum exposition exposition = negotiate_exposition(text);
    enum coding coding = negotiate_coding(text);
    if (exposition == EXPOSITION_OPENMETRICS &&
        (str_find_text(text, STR("1.0.0")) < 0 || size < strlen("openmetrics")))
        abort();
    if ((exposition != EXPOSITION_TEXT && exposition != EXPOSITION_OPENMETRICS) ||
        (coding != CODING_IDENTITY && coding != CODING_GZIP))
        abort();
    return 0;
}
