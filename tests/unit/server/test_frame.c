/* Frames in pieces of every size, headers that cannot be, and what a claim may cost. */
#include "server/frame.h"

#include "../../support/cmocka_all.h"
#include "base/cleanup.h"
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>

/* Feeds BYTES in pieces of at most STEP. Return: complete frames; negative: an error. */
static int feed(struct frame_reader *reader, struct str bytes, size_t step)
{
    int frames = 0;
    while (bytes.n) {
        char *at = NULL;
        size_t want = frame_reader_want(reader, &at);
        assert_true(want > 0);
        size_t n = want < step ? want : step;
        n = n < bytes.n ? n : bytes.n;
        memcpy(at, bytes.p, n);
        bytes = str_part(bytes, n, bytes.n - n);
        int rc = frame_reader_got(reader, n, NULL);
        if (rc < 0)
            return rc;
        frames += rc == FRAME_COMPLETE;
    }
    return frames;
}

static void append_frame(struct buf *out, enum frame_kind kind, const struct page *page)
{
    struct frame_header header;
    frame_header_set(&header, kind, page);
    buf_append(out, (struct str){(const char *)&header, sizeof header});
    if (page)
        buf_append(out, buf_str(&page->bytes));
}

static void fill(struct page *page)
{
    page->measured_at_ns = 7;
    page->expires_at_ns = 9;
    for (int i = 0; i < PART_COUNT; i++) {
        buf_printf(&page->bytes, "part %d\n", i);
        page_end_part(page, (enum page_part)i);
    }
}

static void test_pieces(void **state)
{
    (void)state;
    CLEANUP(page_done) struct page page = PAGE_INIT;
    CLEANUP(page_done) struct page empty = PAGE_INIT;
    CLEANUP(buf_done) struct buf bytes = BUF_INIT(100000);
    fill(&page);
    append_frame(&bytes, FRAME_PING, NULL);
    append_frame(&bytes, FRAME_PAGE, &empty);
    append_frame(&bytes, FRAME_RELOAD, NULL);
    append_frame(&bytes, FRAME_PAGE, &page);
    for (size_t step = 1; step <= bytes.len; step++) {
        CLEANUP(frame_reader_done) struct frame_reader reader = FRAME_READER_INIT;
        assert_int_equal(feed(&reader, buf_str(&bytes), step), 4);
        assert_int_equal(reader.header.kind, FRAME_PAGE);
        assert_int_equal(reader.page.measured_at_ns, 7);
        assert_int_equal(reader.page.expires_at_ns, 9);
        for (int i = 0; i < PART_COUNT; i++)
            assert_true(str_equal(page_part(&reader.page, (enum page_part)i),
                                  page_part(&page, (enum page_part)i)));
    }
}

/* Whoever wants to keep a page takes its bytes out; the reader starts anew. */
static void test_page_taken(void **state)
{
    (void)state;
    CLEANUP(page_done) struct page page = PAGE_INIT;
    CLEANUP(buf_done) struct buf bytes = BUF_INIT(100000);
    CLEANUP(frame_reader_done) struct frame_reader reader = FRAME_READER_INIT;
    fill(&page);
    append_frame(&bytes, FRAME_PAGE, &page);
    assert_int_equal(feed(&reader, buf_str(&bytes), 64), 1);
    CLEANUP(page_done) struct page taken = reader.page;
    reader.page = (struct page)PAGE_INIT;
    assert_int_equal(feed(&reader, buf_str(&bytes), 64), 1);
    assert_true(str_equal(buf_str(&taken.bytes), buf_str(&reader.page.bytes)));
    assert_true(taken.bytes.p != reader.page.bytes.p);
}

static void test_damaged_header(void **state)
{
    (void)state;
    const size_t max = PAGE_BYTES_MAX;
    static const struct frame_header good = {.magic = FRAME_MAGIC, .kind = FRAME_PAGE};
    struct {
        struct frame_header header;
        int rc;
    } cases[] = {
        {good, 1},        {good, -EBADMSG}, /* magic */
        {good, -EBADMSG},                   /* no kind */
        {good, -EBADMSG},                   /* unknown kind */
        {good, -EBADMSG},                   /* a ping with a part */
        {good, 0},                          /* as much as is allowed */
        {good, -EBADMSG},                   /* one byte more */
        {good, -EBADMSG},                   /* one byte more, in another part */
        {good, -EBADMSG},                   /* a sum that overflows */
    };
    cases[1].header.magic ^= 1;
    cases[2].header.kind = 0;
    cases[3].header.kind = FRAME_RELOAD + 1;
    cases[4].header.kind = FRAME_PING;
    cases[4].header.part_bytes[0] = 1;
    cases[5].header.part_bytes[0] = max;
    cases[6].header.part_bytes[0] = max + 1;
    cases[7].header.part_bytes[0] = max;
    cases[7].header.part_bytes[PART_COUNT - 1] = 1;
    cases[8].header.part_bytes[0] = max;
    cases[8].header.part_bytes[1] = UINT64_MAX - max + 2;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(frame_reader_done) struct frame_reader reader = FRAME_READER_INIT;
        struct str bytes = {(const char *)&cases[i].header, sizeof cases[i].header};
        assert_int_equal(feed(&reader, bytes, 1000), cases[i].rc);
    }
}

static size_t resident_bytes(void)
{
    char buffer[256];
    struct str text;
    struct str part;
    uint64_t pages = 0;
    assert_int_equal(
        fdio_read_at(AT_FDCWD, "/proc/self/statm", buffer, sizeof buffer, &text), 0);
    assert_true(str_split(&text, ' ', &part) && str_split(&text, ' ', &part));
    assert_true(str_u64(part, &pages));
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Nothing is paid for a claim before its bytes come. */
static void test_claim_costs_nothing(void **state)
{
    (void)state;
    struct frame_header header = {.magic = FRAME_MAGIC, .kind = FRAME_PAGE};
    header.part_bytes[0] = PAGE_BYTES_MAX;
    CLEANUP(frame_reader_done) struct frame_reader reader = FRAME_READER_INIT;
    char *at;
    struct str bytes = {(const char *)&header, sizeof header};
    assert_int_equal(feed(&reader, bytes, sizeof header), 0);
    (void)mallopt(M_PERTURB, 0); /* meson has new memory filled, to find its misuse */
    size_t before = resident_bytes();
    assert_int_equal(frame_reader_want(&reader, &at), PAGE_BYTES_MAX);
    /* The sanitizer's own notes take an eighth. */
    assert_true(resident_bytes() < before + PAGE_BYTES_MAX / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_page_taken),
        cmocka_unit_test(test_damaged_header),
        cmocka_unit_test(test_claim_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
