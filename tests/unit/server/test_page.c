/* Parts are found where they were ended. */
#include "server/page.h"

#include "../../support/cmocka_all.h"
#include "base/cleanup.h"

static void assert_part(const struct page *page, enum page_part part, struct str expected)
{
    assert_true(str_equal(page_part(page, part), expected));
}

static void test_parts(void **state)
{
    (void)state;
    CLEANUP(page_done) struct page page = PAGE_INIT;
    for (int i = 0; i < PART_COUNT; i++)
        assert_part(&page, (enum page_part)i, STR(""));
    buf_append(&page.bytes, STR("rows"));
    page_end_part(&page, PART_MEASURED_TEXT);
    page_end_part(&page, PART_STATUS_TEXT); /* empty, between two others */
    buf_append(&page.bytes, STR("open"));
    buf_append(&page.bytes, STR("metrics"));
    page_end_part(&page, PART_STATUS_OPENMETRICS);
    for (int i = PART_STALE_TEXT; i < PART_NOT_READY; i++)
        page_end_part(&page, (enum page_part)i);
    buf_append(&page.bytes, STR("why\n"));
    page_end_part(&page, PART_NOT_READY);

    assert_part(&page, PART_MEASURED_TEXT, STR("rows"));
    assert_part(&page, PART_STATUS_TEXT, STR(""));
    assert_part(&page, PART_STATUS_OPENMETRICS, STR("openmetrics"));
    assert_part(&page, PART_DEVICES_JSON, STR(""));
    assert_part(&page, PART_NOT_READY, STR("why\n"));
}

static void test_ceiling(void **state)
{
    (void)state;
    CLEANUP(page_done) struct page page = PAGE_INIT;
    assert_int_equal(page.bytes.limit, PAGE_BYTES_MAX);
    assert_null(buf_extend(&page.bytes, PAGE_BYTES_MAX + 1));
    page_end_part(&page, PART_MEASURED_TEXT);
    assert_part(&page, PART_MEASURED_TEXT, STR(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
