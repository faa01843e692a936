/* A small fixed table of counters, searched linearly: it holds a dozen rows. */
#include "source/errors.h"

#include <stdio.h>
#include <string.h>

static void errors_append(struct error_counters *errors, const char *source,
                          const char *reason, uint64_t n)
{
    /* The count last: a process that dies in between leaves no half entry behind. */
    size_t at = errors->count;
    (void)snprintf(errors->entries[at].source, ERROR_WORD_BYTES, "%s", source);
    (void)snprintf(errors->entries[at].reason, ERROR_WORD_BYTES, "%s", reason);
    errors->entries[at].value = n;
    errors->count = at + 1;
}

void errors_add(struct error_counters *errors, const char *source, const char *reason,
                uint64_t n)
{
    for (size_t i = 0; i < errors_count(errors); i++) {
        if (strncmp(errors->entries[i].source, source, ERROR_WORD_BYTES - 1) == 0 &&
            strncmp(errors->entries[i].reason, reason, ERROR_WORD_BYTES - 1) == 0) {
            errors->entries[i].value += n;
            return;
        }
    }
    if (errors->count < ERROR_COUNTERS_MAX - 1)
        errors_append(errors, source, reason, n);
    else if (errors->count == ERROR_COUNTERS_MAX - 1)
        errors_append(errors, "other", "other", n);
    else
        errors->entries[ERROR_COUNTERS_MAX - 1].value += n;
}
