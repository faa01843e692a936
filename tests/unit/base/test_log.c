/* Log lines: one line per event whatever the message holds, both formats, the threshold.
 */
#include "base/log.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { CAPTURE_BYTES = 8192 };

/* What log_line() writes to standard error, in BUFFER. */
static struct str capture(const struct log *log, enum log_level level,
                          const char *message, char *buffer)
{
    int saved = dup(STDERR_FILENO);
    int file = memfd_create("log", MFD_CLOEXEC);
    assert_true(saved >= 0 && file >= 0);
    assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
    log_line(log, level, "%s", message);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    ssize_t n = pread(file, buffer, CAPTURE_BYTES, 0);
    close(file);
    assert_true(n >= 0);
    return (struct str){buffer, (size_t)n};
}

static void test_escaping(void **state)
{
    (void)state;
    static const struct {
        const char *message, *quoted;
    } cases[] = {
        {"plain", "plain"},
        {"", ""},
        {"a \"b\" \\c", "a \\\"b\\\" \\\\c"},
        {"two\nlines\r\t\x7F.", "two lines   ."},
        {"\xED\x95\x9C", "\xED\x95\x9C"},
        {"bad \xFF\xC3 end", "bad ?? end"},
    };
    static const enum log_format formats[] = {LOG_LOGFMT, LOG_JSON};
    for (size_t i = 0; i < ARRAY_LENGTH(cases) * ARRAY_LENGTH(formats); i++) {
        enum log_format format = formats[i % ARRAY_LENGTH(formats)];
        const char *quoted = cases[i / ARRAY_LENGTH(formats)].quoted;
        struct log log = {.level = LOG_INFO, .format = format};
        char buffer[CAPTURE_BYTES];
        struct str line =
            capture(&log, LOG_WARN, cases[i / ARRAY_LENGTH(formats)].message, buffer);
        char expected[200];
        (void)snprintf(expected, sizeof expected,
                       format == LOG_JSON ? "Z\",\"level\":\"warn\",\"msg\":\"%s\"}\n"
                                          : "Z level=warn msg=\"%s\"\n",
                       quoted);
        assert_true(str_ends(line, str_from(expected)));
        assert_true(str_starts(line, format == LOG_JSON ? STR("{\"time\":\"20")
                                                        : STR("time=20")));
        assert_int_equal(str_find(line, '\n'), (ptrdiff_t)line.n - 1);
    }
}

static void test_long_messages_are_cut(void **state)
{
    (void)state;
    static const char fillers[] = {'x', '"', '\xFF'};
    for (size_t i = 0; i < ARRAY_LENGTH(fillers); i++) {
        char message[4096];
        memset(message, fillers[i], sizeof message - 1);
        message[sizeof message - 1] = '\0';
        struct log log = {.level = LOG_DEBUG};
        char buffer[CAPTURE_BYTES];
        struct str line = capture(&log, LOG_ERROR, message, buffer);
        assert_true(line.n > 1000 && line.n <= 2048);
        assert_true(str_ends(line, STR("\"\n")));
    }
}

static void test_threshold(void **state)
{
    (void)state;
    for (int threshold = LOG_DEBUG; threshold <= LOG_ERROR; threshold++) {
        for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
            struct log log = {.level = (enum log_level)threshold};
            char buffer[CAPTURE_BYTES];
            struct str line = capture(&log, (enum log_level)level, "x", buffer);
            assert_int_equal(line.n > 0, level >= threshold);
        }
    }
}

/* Nobody reads: the line is dropped, and the program goes on. */
static void test_full_pipe(void **state)
{
    (void)state;
    int ends[2], saved = dup(STDERR_FILENO);
    char page[4096] = "";
    struct log log = {.level = LOG_INFO};
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(ends[1], page, sizeof page) > 0)
        ;
    assert_int_equal(fcntl(ends[1], F_SETFL, O_WRONLY), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    (void)alarm(20); /* ends the test where the line waits */
    log_line(&log, LOG_ERROR, "lost");
    (void)alarm(0);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    while (read(ends[0], page, sizeof page) > 0)
        assert_int_equal(page[0], '\0');
    log_line(&log, LOG_ERROR, "found");
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    ssize_t n = read(ends[0], page, sizeof page);
    assert_true(n > 0 && str_ends((struct str){page, (size_t)n}, STR("msg=\"found\"\n")));
    close(saved);
    close(ends[0]);
    close(ends[1]);
}

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        bool is_level;
        enum log_level level;
        bool is_format;
        enum log_format format;
    } cases[] = {
        {"debug", true, LOG_DEBUG, false, LOG_LOGFMT},
        {"info", true, LOG_INFO, false, LOG_LOGFMT},
        {"warn", true, LOG_WARN, false, LOG_LOGFMT},
        {"error", true, LOG_ERROR, false, LOG_LOGFMT},
        {"logfmt", false, LOG_DEBUG, true, LOG_LOGFMT},
        {"json", false, LOG_DEBUG, true, LOG_JSON},
        {"", false, LOG_DEBUG, false, LOG_LOGFMT},
        {"Info", false, LOG_DEBUG, false, LOG_LOGFMT},
        {"jsonx", false, LOG_DEBUG, false, LOG_LOGFMT},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        enum log_level level = LOG_DEBUG;
        enum log_format format = LOG_LOGFMT;
        assert_int_equal(log_level_parse(cases[i].word, &level), cases[i].is_level);
        assert_int_equal(log_format_parse(cases[i].word, &format), cases[i].is_format);
        assert_int_equal(level, cases[i].level);
        assert_int_equal(format, cases[i].format);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escaping),  cmocka_unit_test(test_long_messages_are_cut),
        cmocka_unit_test(test_threshold), cmocka_unit_test(test_full_pipe),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
