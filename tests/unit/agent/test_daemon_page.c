/* The page on its way through the daemon: taken over, merged, cut for the textfile. */
#include "agent/daemon_page.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* A body as the collecting process hands it over: part I holds "<prefix><i>". */
static struct buf body_of(const char *prefix)
{
    struct page page = PAGE_INIT;
    for (int i = 0; i < PART_COUNT; i++) {
        buf_printf(&page.bytes, "%s%d", prefix, i);
        page_end_part(&page, (enum page_part)i);
    }
    buf_append(&page.bytes,
               (struct str){(const char *)page.part_bytes, sizeof page.part_bytes});
    return page.bytes;
}

static struct page page_of(const char *prefix)
{
    struct page page = PAGE_INIT;
    CLEANUP(buf_done) struct buf body = body_of(prefix);
    assert_int_equal(daemon_page_take(&page, &body, NULL), 0);
    return page;
}

static void assert_part(const struct page *page, enum page_part part, const char *text)
{
    assert_true(str_equal(page_part(page, part), str_from(text)));
}

static void taking_keeps_every_part(void **state)
{
    (void)state;
    CLEANUP(page_done) struct page page = page_of("new");
    for (int i = 0; i < PART_COUNT; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "new%d", i);
        assert_part(&page, (enum page_part)i, text);
    }
}

static void taking_swaps_the_buffers(void **state)
{
    (void)state;
    CLEANUP(page_done) struct page page = page_of("old");
    const char *old = page.bytes.p;
    CLEANUP(buf_done) struct buf body = body_of("new");
    const char *fresh = body.p;
    assert_int_equal(daemon_page_take(&page, &body, NULL), 0);
    assert_ptr_equal(page.bytes.p, fresh);
    assert_ptr_equal(body.p, old);
}

static void what_is_no_page_changes_nothing(void **state)
{
    (void)state;
    CLEANUP(page_done) struct page page = page_of("old");
    const size_t trailer = sizeof page.part_bytes;
    for (int variant = 0; variant < 5; variant++) {
        CLEANUP(buf_done) struct buf body = body_of("new");
        size_t lengths[PART_COUNT];
        memcpy(lengths, body.p + body.len - trailer, trailer);
        switch (variant) {
        case 0: body.len = 0; break;
        case 1: body.len = trailer - 1; break;
        case 2: lengths[0]++; break;
        case 3: lengths[PART_COUNT - 1]--; break;
        default: /* two lengths whose sum overflows to the right one */
            lengths[0] += SIZE_MAX / 2 + 1;
            lengths[1] += SIZE_MAX / 2 + 1;
            break;
        }
        if (variant >= 2)
            memcpy(body.p + body.len - trailer, lengths, trailer);
        struct err err = {0};
        assert_int_equal(daemon_page_take(&page, &body, &err), -EBADMSG);
        assert_true(err.message[0] != '\0');
        assert_part(&page, PART_MEASURED_TEXT, "old0");
    }
}

static void merging_takes_rows_from_one_and_words_from_the_other(void **state)
{
    (void)state;
    CLEANUP(page_done) struct page answered = page_of("old");
    CLEANUP(page_done) struct page newest = page_of("new");
    CLEANUP(page_done) struct page merged = PAGE_INIT;
    answered.measured_at_ns = 5;
    answered.expires_at_ns = 35;
    newest.measured_at_ns = 15;
    newest.expires_at_ns = 45;
    /* Twice: what was merged before must not shine through. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(daemon_page_merge(&merged, &answered, &newest, NULL), 0);
        assert_part(&merged, PART_MEASURED_TEXT, "old0");
        assert_part(&merged, PART_STATUS_TEXT, "new1");
        assert_part(&merged, PART_PROCESS_TEXT, "new2");
        assert_int_equal(merged.measured_at_ns, 5);
        assert_int_equal(merged.expires_at_ns, 35);
    }
    for (int i = 0; i < PART_COUNT; i++) {
        enum page_part part = (enum page_part)i;
        bool is_row = part == PART_MEASURED_TEXT || part == PART_SESSIONS_JSON ||
                      part == PART_DEVICES_JSON;
        assert_true(str_equal(page_part(&merged, part),
                              page_part(is_row ? &answered : &newest, part)));
    }
}

static void textfile_ends_before_the_process_families(void **state)
{
    (void)state;
    CLEANUP(page_done) struct page page = page_of("p");
    assert_true(str_equal(daemon_page_textfile(&page), STR("p0p1")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taking_keeps_every_part),
        cmocka_unit_test(taking_swaps_the_buffers),
        cmocka_unit_test(what_is_no_page_changes_nothing),
        cmocka_unit_test(merging_takes_rows_from_one_and_words_from_the_other),
        cmocka_unit_test(textfile_ends_before_the_process_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
