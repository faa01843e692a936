/* Names of processes: the base name of argv[0], never an argument. */
#include "source/identity/proc_command.h"

#include "model/facts.h"
#include "tree.h"

#define TEXT(literal)                                                                    \
    {                                                                                    \
        (literal), sizeof(literal) - 1                                                   \
    }
#define WHOLE false
#define CUT true

static void names(void **state)
{
    (void)state;
    static const struct {
        struct str cmdline;
        bool is_truncated;
        const char *expected; /* comm is "comm" */
    } rows[] = {
        {TEXT("python3\0train.py\0--token=secret\0"), WHOLE, "python3"},
        {TEXT("/usr/bin/python3\0x\0"), WHOLE, "python3"},
        {TEXT("./a.out\0"), WHOLE, "a.out"},
        {TEXT("no-nul"), WHOLE, "no-nul"},
        {TEXT(""), WHOLE, "comm"},
        {TEXT("\0secret\0"), WHOLE, "comm"},
        {TEXT("/usr/bin/\0secret\0"), WHOLE, "comm"},
        {TEXT("nginx: worker process"), WHOLE, "comm"},
        {TEXT("ray::train(key=secret) x\0\0\0"), WHOLE, "comm"},
        {TEXT("tab\ttoken\0"), WHOLE, "comm"},
        {TEXT("line\nbreak\0"), WHOLE, "comm"},
        {TEXT("-bash\0"), WHOLE, "bash"},
        {TEXT("-/bin/bash\0"), WHOLE, "bash"},
        {TEXT("-\0"), WHOLE, "-"},
        {TEXT("python3\0train.py --and-so-on"), CUT, "python3"},
        {TEXT("/a/very/long/path/that/was/c"), CUT, "comm"},
        {TEXT("\xff\xfe\0"), WHOLE, "\xff\xfe"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_str(proc_command_parse(rows[i].cmdline, rows[i].is_truncated, STR("comm")),
                   rows[i].expected);
    assert_int_equal(proc_command_parse(STR(""), WHOLE, STR("")).n, 0);
}

static void cuts_between_characters(void **state)
{
    (void)state;
    char name[4096];
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = "\xc3\xa9"[i % 2];
    struct str even = {name, sizeof name};
    assert_int_equal(proc_command_parse(even, WHOLE, STR("c")).n, FACTS_COMMAND_BYTES);
    name[0] = 'x'; /* now a character stands across the bound */
    for (size_t i = 1; i + 1 < sizeof name; i += 2)
        memcpy(name + i, "\xc3\xa9", 2);
    struct str odd = {name, sizeof name - 1};
    assert_int_equal(proc_command_parse(odd, WHOLE, STR("c")).n, FACTS_COMMAND_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(cuts_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
