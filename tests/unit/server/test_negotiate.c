/* What real clients send, and what nobody should. */
#include "server/negotiate.h"

#include "../../support/cmocka_all.h"
#include "base/cleanup.h"

#define OM "application/openmetrics-text"

static void test_exposition(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum exposition expected;
    } cases[] = {
        /* Prometheus 2.42 and 3.x, curl, a browser */
        {OM ";version=1.0.0," OM ";version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,"
            "*/*;q=0.1",
         EXPOSITION_OPENMETRICS},
        {OM ";version=1.0.0;escaping=allow-utf-8;q=0.6," OM ";version=0.0.1;q=0.5,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
            "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
         EXPOSITION_OPENMETRICS},
        {"*/*", EXPOSITION_TEXT},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
         EXPOSITION_TEXT},
        {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
         "encoding=delimited;q=0.6," OM ";version=1.0.0;q=0.5,*/*;q=0.2",
         EXPOSITION_OPENMETRICS},
        /* versions */
        {OM, EXPOSITION_TEXT},
        {OM ";version=0.0.1", EXPOSITION_TEXT},
        {OM ";version=2.0.0", EXPOSITION_TEXT},
        {OM ";version=", EXPOSITION_TEXT},
        {OM ";version", EXPOSITION_TEXT},
        {OM "; charset=utf-8; version=1.0.0", EXPOSITION_OPENMETRICS},
        {OM ";version=\"1.0.0\"", EXPOSITION_OPENMETRICS},
        {OM " ; Version = 1.0.0 ; Q=0.1", EXPOSITION_OPENMETRICS},
        {"APPLICATION/OpenMetrics-Text;version=1.0.0", EXPOSITION_OPENMETRICS},
        /* weights */
        {OM ";version=1.0.0;q=0", EXPOSITION_TEXT},
        {OM ";version=1.0.0;q=0.000,*/*", EXPOSITION_TEXT},
        {OM ";version=1.0.0;q=0.001", EXPOSITION_OPENMETRICS},
        {OM ";version=1.0.0;q=0.5,text/plain;q=0.501", EXPOSITION_TEXT},
        {OM ";version=1.0.0;q=0.5,text/plain;q=0.5", EXPOSITION_OPENMETRICS},
        {OM ";version=1.0.0;q=0.5,text/*;q=0.6", EXPOSITION_TEXT},
        {OM ";version=1.0.0;q=0.5,text/*", EXPOSITION_TEXT},
        {OM ";version=1.0.0;q=0.5,*/*", EXPOSITION_TEXT},
        {OM ";version=1.0.0;q=0.5,text/plain;q=0.1,*/*", EXPOSITION_OPENMETRICS},
        {OM ";version=1.0.0;q=0.5,text/plain;version=9,*/*;q=0.1",
         EXPOSITION_OPENMETRICS},
        {OM ";version=1.0.0;q=0.2," OM ";version=1.0.0;q=0.9,text/plain;q=0.5",
         EXPOSITION_OPENMETRICS},
        /* wildcards never name OpenMetrics */
        {"application/*", EXPOSITION_TEXT},
        {"text/plain;q=0,*/*", EXPOSITION_TEXT},
        /* odd: the element does not count */
        {"", EXPOSITION_TEXT},
        {",,;,;;q=1,=", EXPOSITION_TEXT},
        {OM ";version=1.0.0;q=", EXPOSITION_TEXT},
        {OM ";version=1.0.0;q=1.001", EXPOSITION_TEXT},
        {OM ";version=1.0.0;q=2", EXPOSITION_TEXT},
        {OM ";version=1.0.0;q=-1", EXPOSITION_TEXT},
        {OM ";version=1.0.0;q=0.1234", EXPOSITION_TEXT},
        {OM ";version=1.0.0;q=0.x", EXPOSITION_TEXT},
        {OM ";version=1.0.0;q=01", EXPOSITION_TEXT},
        {OM ";version=1.0.0;q=1.", EXPOSITION_OPENMETRICS},
        {"text/plain;q=9," OM ";version=1.0.0", EXPOSITION_OPENMETRICS},
        {OM "x;version=1.0.0", EXPOSITION_TEXT},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        if (negotiate_exposition(str_from(cases[i].accept)) != cases[i].expected)
            fail_msg("Accept: %s", cases[i].accept);
    }
}

static void test_coding(void **state)
{
    (void)state;
    static const struct {
        const char *accept_encoding;
        enum coding expected;
    } cases[] = {
        {"", CODING_IDENTITY},
        {"gzip", CODING_GZIP},
        {"GZip", CODING_GZIP},
        {"x-gzip", CODING_GZIP},
        {"gzip, deflate, br", CODING_GZIP},
        {"deflate", CODING_IDENTITY},
        {"zstd;q=1.0, gzip;q=0.8", CODING_GZIP},
        {"gzip;q=0", CODING_IDENTITY},
        {"gzip;q=0.0, *", CODING_IDENTITY},
        {"*", CODING_GZIP},
        {"*;q=0", CODING_IDENTITY},
        {"gzip, *;q=0", CODING_GZIP},
        {"identity", CODING_IDENTITY},
        {"identity, gzip", CODING_GZIP},
        {"identity;q=1, gzip;q=0.5", CODING_IDENTITY},
        {"identity;q=0.5, gzip;q=1", CODING_GZIP},
        {"identity;q=0", CODING_IDENTITY}, /* there is nothing better to give */
        {"identity;q=0, *", CODING_GZIP},
        {"gzip;q=nonsense", CODING_IDENTITY},
        {"gzipped", CODING_IDENTITY},
        {",;gzip", CODING_IDENTITY},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        if (negotiate_coding(str_from(cases[i].accept_encoding)) != cases[i].expected)
            fail_msg("Accept-Encoding: %s", cases[i].accept_encoding);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exposition),
        cmocka_unit_test(test_coding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
