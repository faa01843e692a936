/* Which files are taken for a node, and which are as good as no driver. */
#include "cmocka_all.h"
#include "node_image.h"

#include "sim/driver/node_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int opened(const struct node_image *image, size_t size)
{
    struct node_image *live = node_image_install(image, size);
    struct node_map map;
    int rc = node_map_open(&map, getenv(NODE_STATE_ENV));
    if (rc == 0)
        node_map_close(&map);
    else
        assert_int_equal(nvmlInit_v2(), NVML_ERROR_DRIVER_NOT_LOADED);
    node_image_remove(live);
    return rc;
}

static void test_a_good_file(void **state)
{
    (void)state;
    struct node_image image;
    node_image_fill(&image);
    assert_int_equal(opened(&image, sizeof(image)), 0);
}

static void test_lengths(void **state)
{
    (void)state;
    struct node_image image;
    node_image_fill(&image);
    const size_t sizes[] = {0, 8, sizeof(image.state) - 1, sizeof(image.state),
                            sizeof(image) - 1};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_int_equal(opened(&image, sizes[i]), -EBADMSG);
}

/* Each spoils a good image in one place. */
static void spoil_magic(struct node_image *image)
{
    image->state.magic++;
}

static void spoil_size(struct node_image *image)
{
    image->state.size_bytes--;
}

static void spoil_count(struct node_image *image)
{
    image->state.fault_count = IMAGE_FAULTS + 1;
}

static void spoil_count_overflow(struct node_image *image)
{
    image->state.process_count = UINT32_MAX;
}

static void spoil_offset_beyond(struct node_image *image)
{
    image->state.gpu_offset = sizeof(*image) + 8;
}

static void spoil_offset_overflow(struct node_image *image)
{
    image->state.mig_offset = UINT64_MAX - 7;
}

static void spoil_offset_in_header(struct node_image *image)
{
    image->state.gpu_offset = 8;
}

static void spoil_alignment(struct node_image *image)
{
    image->state.process_offset += 4;
}

static void spoil_version_end(struct node_image *image)
{
    memset(image->state.driver_version, 'x', sizeof(image->state.driver_version));
}

static void spoil_uuid_end(struct node_image *image)
{
    memset(image->gpus[1].uuid, 'x', sizeof(image->gpus[1].uuid));
}

static void spoil_profile_end(struct node_image *image)
{
    memset(image->migs[2].profile, 'x', sizeof(image->migs[2].profile));
}

static void spoil_mig_reference(struct node_image *image)
{
    image->migs[0].gpu = IMAGE_GPUS;
}

static void spoil_process_reference(struct node_image *image)
{
    image->processes[6].gpu = IMAGE_GPUS;
}

static void test_spoilt_files(void **state)
{
    (void)state;
    void (*const spoils[])(struct node_image *) = {
        spoil_magic,
        spoil_size,
        spoil_count,
        spoil_count_overflow,
        spoil_offset_beyond,
        spoil_offset_overflow,
        spoil_offset_in_header,
        spoil_alignment,
        spoil_version_end,
        spoil_uuid_end,
        spoil_profile_end,
        spoil_mig_reference,
        spoil_process_reference,
    };
    for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
        struct node_image image;
        node_image_fill(&image);
        spoils[i](&image);
        assert_int_equal(opened(&image, sizeof(image)), -EBADMSG);
    }
}

static void test_no_file(void **state)
{
    (void)state;
    struct node_map map;
    assert_int_equal(node_map_open(&map, "/nonexistent/node.state"), -ENOENT);
    assert_int_equal(node_map_open(&map, "/proc"), -EISDIR);
    (void)unsetenv(NODE_STATE_ENV); /* beside this program there is none */
    assert_int_equal(nvmlInit_v2(), NVML_ERROR_DRIVER_NOT_LOADED);
}

static void test_path(void **state)
{
    (void)state;
    char path[64];
    (void)setenv(NODE_STATE_ENV, "/tmp/here", 1);
    assert_int_equal(node_path_find(test_path, path, sizeof(path)), 0);
    assert_string_equal(path, "/tmp/here");
    assert_int_equal(node_path_find(test_path, path, 9), -ENAMETOOLONG);
    (void)unsetenv(NODE_STATE_ENV);
    char beside[4096];
    assert_int_equal(node_path_find(nvmlInit_v2, beside, sizeof(beside)), 0);
    assert_string_equal(strrchr(beside, '/'), "/" NODE_STATE_FILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_file),  cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_spoilt_files), cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
