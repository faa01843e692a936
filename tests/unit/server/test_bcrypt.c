/* Hashes: their form at every edge, and that the right password is told from others. */
#include "server/bcrypt.h"

#include "../../support/cmocka_all.h"
#include "../../support/passwords.h"
#include "base/cleanup.h"

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *hash;
        bool is_valid;
        unsigned cost;
    } rows[] = {
        {HASH_OF_SECRET, true, 4},
        {"$2a$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u", true, 10},
        {"$2y$31$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u", true, 31},
        {"$2x$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u", false, 0},
        {"$2$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2uu", false, 0},
        {"$2b$1x$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u", false, 0},
        {"$2b$10.abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u", false, 0},
        {"$2b$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2", false, 0},
        {"$2b$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2uu", false, 0},
        {"$2b$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2:", false, 0},
        {"$2b$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2\n", false, 0},
        {"$6$salt$hash", false, 0},
        {"plain", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        unsigned cost = 0;
        assert_int_equal(bcrypt_parse(str_from(rows[i].hash), &cost), rows[i].is_valid);
        assert_int_equal(cost, rows[i].cost);
    }
}

static void test_matches(void **state)
{
    (void)state;
    static const struct {
        const char *password, *hash;
        bool is_match;
    } rows[] = {
        {"secret", HASH_OF_SECRET, true}, {"Secret", HASH_OF_SECRET, false},
        {"", HASH_OF_SECRET, false},      {"other", HASH_OF_OTHER, true},
        {"secret", HASH_OF_OTHER, false}, {"secret", "$2b$04$short", false},
        {"secret", "*0", false},          {"secret", "", false},
    };
    struct crypt_data *scratch = calloc(1, sizeof *scratch);
    assert_non_null(scratch);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_int_equal(bcrypt_matches(rows[i].password, rows[i].hash, scratch),
                         rows[i].is_match);
    for (size_t i = 0; i < sizeof *scratch; i++)
        assert_int_equal(((const char *)scratch)[i], 0);
    free(scratch);
}

/* The dummy must really be calculated: a setting that libxcrypt refuses takes no time. */
static void test_dummy_is_calculated(void **state)
{
    (void)state;
    struct crypt_data *scratch = calloc(1, sizeof *scratch);
    assert_non_null(scratch);
    for (unsigned cost = BCRYPT_COST_MIN; cost <= 5; cost++) {
        char dummy[BCRYPT_HASH_BYTES + 1];
        unsigned read_cost = 0;
        bcrypt_write_dummy(cost, dummy);
        assert_true(bcrypt_parse(str_from(dummy), &read_cost));
        assert_int_equal(read_cost, cost);
        const char *hashed = crypt_rn("x", dummy, scratch, (int)sizeof *scratch);
        assert_non_null(hashed);
        assert_memory_equal(hashed, dummy, 29);
        assert_false(bcrypt_matches("x", dummy, scratch));
    }
    free(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_dummy_is_calculated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
