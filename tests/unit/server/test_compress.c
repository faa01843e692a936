/* What was compressed comes back the same, in whatever pieces; the ceiling holds. */
#include "server/compress.h"

#include "../../support/cmocka_all.h"
#include "base/cleanup.h"

#include <errno.h>
#include <zlib.h>

enum { TEXT_BYTES = 300000, GZIP_WINDOW = 15 + 16 };

/* Lines that are alike, as those of a page are, then bytes that cannot be compressed. */
static void fill(struct buf *text)
{
    uint32_t random = 1;
    while (text->len < TEXT_BYTES / 2)
        buf_printf(text, "gpu_process_info{gpu=\"%zu\"} 1\n", text->len);
    while (text->len < TEXT_BYTES) {
        random = random * 1664525 + 1013904223;
        buf_append_char(text, (char)(random >> 24));
    }
}

static void assert_reads_back(const struct buf *compressed, struct str expected)
{
    CLEANUP(buf_done) struct buf plain = BUF_INIT(TEXT_BYTES + 1);
    char *bytes = buf_extend(&plain, TEXT_BYTES + 1);
    z_stream stream = {.next_in = (Bytef *)compressed->p,
                       .avail_in = (uInt)compressed->len,
                       .next_out = (Bytef *)bytes,
                       .avail_out = TEXT_BYTES + 1};
    assert_int_equal(inflateInit2(&stream, GZIP_WINDOW), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(stream.total_out, expected.n);
    assert_memory_equal(bytes, expected.p, expected.n);
    inflateEnd(&stream);
}

static void test_pieces(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf text = BUF_INIT(TEXT_BYTES);
    fill(&text);
    struct str all = buf_str(&text);
    const struct {
        struct str pieces[3];
        size_t count;
    } cases[] = {
        {{all}, 1},
        {{str_part(all, 0, 1), str_part(all, 1, all.n - 1)}, 2},
        {{str_part(all, 0, 170000), STR(""), str_part(all, 170000, all.n - 170000)}, 3},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(buf_done) struct buf out = BUF_INIT(TEXT_BYTES);
        assert_int_equal(compress_gzip(cases[i].pieces, cases[i].count, &out), 0);
        assert_reads_back(&out, all);
    }
}

static void test_nothing(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf out = BUF_INIT(1000);
    assert_int_equal(compress_gzip(NULL, 0, &out), 0);
    assert_reads_back(&out, STR(""));
}

static void test_ceiling(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf text = BUF_INIT(TEXT_BYTES);
    fill(&text);
    struct str all = buf_str(&text);
    CLEANUP(buf_done) struct buf out = BUF_INIT(1000);
    assert_int_equal(compress_gzip(&all, 1, &out), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
