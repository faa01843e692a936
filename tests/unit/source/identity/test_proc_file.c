/* Lines through a buffer that is smaller than the file, and than some lines. */
#include "source/identity/proc_file.h"

#include "tree.h"

static void read_lines(const char *content, size_t capacity, size_t budget,
                       const char *expected, bool is_truncated)
{
    struct tree tree = tree_make();
    tree_write_text(&tree, "file", content);
    CLEANUP(close_fdp) int fd = openat(tree.fd, "file", O_RDONLY | O_CLOEXEC);
    char *buffer = malloc(capacity);
    assert_non_null(buffer);
    struct line_reader reader = LINE_READER(fd, buffer, capacity, budget);
    char joined[256] = "";
    size_t n = 0;
    struct str line;
    int rc;
    while ((rc = line_reader_next(&reader, &line)) == LINE_READER_LINE)
        n += (size_t)snprintf(joined + n, sizeof joined - n, "[%.*s]", (int)line.n,
                              line.p);
    assert_int_equal(rc, 0);
    assert_string_equal(joined, expected);
    assert_int_equal(reader.is_truncated, is_truncated);
    assert_int_equal(line_reader_next(&reader, &line), 0);
    free(buffer);
    tree_remove(&tree, "");
}

static void lines(void **state)
{
    (void)state;
    for (size_t capacity = 4; capacity < 16; capacity++) {
        read_lines("", capacity, 100, "", false);
        read_lines("\n", capacity, 100, "[]", false);
        read_lines("a\nbc\n\ndef", capacity, 100, "[a][bc][][def]", false);
    }
    read_lines("ab\n0123456789\ncd\n", 4, 100, "[ab][0123][cd]", false);
    read_lines("0123456789", 4, 100, "[0123]", false);
    read_lines("01234567\n8\n", 4, 100, "[0123][8]", false);
    read_lines("0123\n8\n", 4, 100, "[0123][8]", false);
    /* A line that the budget cuts is not shown as if it were whole. */
    read_lines("ab\ncd\nef\n", 16, 4, "[ab]", true);
    read_lines("ab\ncd\nef\n", 16, 6, "[ab][cd]", true);
}

static void head_of_nothing(void **state)
{
    (void)state;
    char buffer[8];
    struct str text;
    struct tree tree = tree_make();
    assert_int_equal(proc_file_read_head(tree.fd, "no", buffer, sizeof buffer, &text),
                     -ENOENT);
    assert_int_equal(proc_file_read_head(tree.fd, ".", buffer, sizeof buffer, &text),
                     -EISDIR);
    assert_int_equal(mkfifoat(tree.fd, "fifo", 0644), 0);
    assert_int_equal(proc_file_read_head(tree.fd, "fifo", buffer, sizeof buffer, &text),
                     0);
    assert_int_equal(text.n, 0);
    tree_write_text(&tree, "long", "0123456789");
    assert_int_equal(proc_file_read_head(tree.fd, "long", buffer, sizeof buffer, &text),
                     0);
    assert_str(text, "01234567");
    tree_remove(&tree, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(head_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
