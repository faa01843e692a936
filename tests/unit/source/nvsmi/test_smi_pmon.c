/* pmon's columns through the driver generations, and rows that make no sense. */
#include "base/cleanup.h"
#include "source/nvsmi/smi_pmon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define UNITS "# Idx           #   C/G     %     %     %     %     name\n"

static unsigned percent(struct value_double value)
{
    assert_int_equal(value.state, VALUE_OK);
    return (unsigned)(value.v + 0.5);
}

/* The same process as each generation and option prints it. */
static void test_generations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum value_state memory;
    } cases[] = {
        {"# gpu        pid  type    sm   mem   enc   dec   command\n" UNITS
         "    1      12249     C    99    40     -     0   python3\n",
         VALUE_UNSUPPORTED},
        {"# gpu         pid   type     sm    mem    enc    dec    jpg    ofa    command "
         "\n"
         "# Idx           #    C/G      %      %      %      %      %      %    name \n"
         "    1       12249     C      99     40      -      -      -      -    python3 "
         "-m x\n",
         VALUE_UNSUPPORTED},
        {"# gpu pid type sm mem enc dec fb command\n1 12249 C 99 40 - - 2194 python3\n",
         VALUE_OK},
        {"# gpu pid type sm mem enc dec fb ccpm command\n"
         "1 12249 C 99 40 - - 2194 0 python3\n",
         VALUE_OK},
        {"# gpu pid type sm mem enc dec jpg ofa fb ccpm command\n"
         "1 12249 C 99 40 - - - - 2194 0 python3\n",
         VALUE_OK},
        {"# gpu pid type fb ccpm sm mem enc dec jpg ofa command\n"
         "1 12249 C 2194 0 99 40 - - - - python3\n",
         VALUE_OK},
        {"#Date       Time        gpu pid type sm mem enc dec command\n"
         "#YYYYMMDD   HH:MM:SS    Idx # C/G % % % % name\n"
         " 20260101   10:00:00    1 12249 C 99 40 - - python3\n",
         VALUE_UNSUPPORTED},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct smi_pmon pmon = smi_pmon_open(str_from(cases[i].text));
        struct smi_pmon_row row;
        assert_true(smi_pmon_next(&pmon, &row));
        assert_int_equal(row.gpu, 1);
        assert_int_equal(row.pid, 12249);
        assert_int_equal(row.kinds, PROCESS_COMPUTE);
        assert_int_equal(percent(row.sm_percent), 99);
        assert_int_equal(percent(row.memory_bandwidth_percent), 40);
        assert_int_equal(percent(row.encoder_percent), 0);
        assert_int_equal(percent(row.decoder_percent), 0);
        assert_int_equal(row.memory_used_bytes.state, cases[i].memory);
        if (cases[i].memory == VALUE_OK)
            assert_int_equal(row.memory_used_bytes.v, UINT64_C(2194) * 1048576);
        assert_false(smi_pmon_next(&pmon, &row));
        assert_int_equal(pmon.malformed_rows, 0);
    }
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        unsigned kinds;
    } cases[] = {
        {"C", PROCESS_COMPUTE},
        {"G", PROCESS_GRAPHICS},
        {"C+G", PROCESS_COMPUTE | PROCESS_GRAPHICS},
        {"M+C", PROCESS_COMPUTE | PROCESS_MPS},
        {"M", PROCESS_MPS},
        {"-", 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[128] = "# gpu pid type sm mem enc dec command\n0 7 ";
        strncat(text, cases[i].type, 8);
        strncat(text, " - - - - x\n", 16);
        struct smi_pmon pmon = smi_pmon_open(str_from(text));
        struct smi_pmon_row row;
        assert_true(smi_pmon_next(&pmon, &row));
        assert_int_equal(row.kinds, cases[i].kinds);
    }
}

/* GPUs without a process, headers in between, and what cannot be a row. */
static void test_rows(void **state)
{
    (void)state;
    static const char text[] = "0 1 C 1 1 1 1 before_any_header\n"
                               "# gpu pid type sm mem enc dec command\n" UNITS
                               "    0          -     -     -     -     -     -     -\n"
                               "    1         42     C   101     x     0   100   a b c\n"
                               "\n"
                               "# gpu pid type sm command\n"
                               "    2         43     C     5   short\n"
                               "    2\n"
                               "    x         44     C     5   x\n"
                               "    2          0     C     5   x\n"
                               "    2         -1     C     5   x\n"
                               "WARNING: infoROM is corrupted at gpu 0000:01:00.0\n"
                               "    3         45     C     -\n";
    struct smi_pmon pmon = smi_pmon_open(STR(text));
    struct smi_pmon_row row;
    assert_true(smi_pmon_next(&pmon, &row));
    assert_int_equal(row.pid, 42);
    assert_int_equal(row.sm_percent.state, VALUE_ERROR);
    assert_int_equal(row.memory_bandwidth_percent.state, VALUE_ERROR);
    assert_int_equal(percent(row.encoder_percent), 0);
    assert_int_equal(percent(row.decoder_percent), 100);
    assert_true(smi_pmon_next(&pmon, &row));
    assert_int_equal(row.pid, 43);
    assert_int_equal(percent(row.sm_percent), 5);
    assert_int_equal(row.memory_bandwidth_percent.state, VALUE_UNSUPPORTED);
    assert_true(smi_pmon_next(&pmon, &row));
    assert_int_equal(row.pid, 45);
    assert_false(smi_pmon_next(&pmon, &row));
    assert_int_equal(pmon.malformed_rows, 5);
}

static void test_framebuffer_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum value_state expected;
    } cases[] = {
        {"# gpu pid fb\n0 1 0\n", VALUE_OK},
        {"# gpu pid fb\n0 1 -\n", VALUE_UNSUPPORTED},
        {"# gpu pid fb\n0 1 -5\n", VALUE_ERROR},
        {"# gpu pid fb\n0 1 18446744073709551615\n", VALUE_ERROR},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct smi_pmon pmon = smi_pmon_open(str_from(cases[i].text));
        struct smi_pmon_row row;
        assert_true(smi_pmon_next(&pmon, &row));
        assert_int_equal(row.memory_used_bytes.state, cases[i].expected);
    }
}

/* More words than are looked at: names may hold many blanks. */
static void test_many_words(void **state)
{
    (void)state;
    static const char text[] =
        "# gpu pid sm command\n"
        "0 5 7 a b c d e f g h i j k l m n o p q r s t u v w x y z\n";
    struct smi_pmon pmon = smi_pmon_open(STR(text));
    struct smi_pmon_row row;
    assert_true(smi_pmon_next(&pmon, &row));
    assert_int_equal(percent(row.sm_percent), 7);
    assert_int_equal(row.kinds, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generations),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_many_words),
        cmocka_unit_test(test_framebuffer_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
