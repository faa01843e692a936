/*
 * protobuf-c unpacks into an arena: a few bytes on the wire can ask for hundred times
 * their size, and the arena's limit is what such an answer runs into. Only ids that look
 * like NVIDIA devices are kept.
 */
#include "source/podresources/podresources_decode.h"

#include "base/cleanup.h"

#include <errno.h>
#include <podresources.pb-c.h>

/* What Kubernetes allows for these names. */
enum { NAMESPACE_BYTES = 63, POD_BYTES = 253, CONTAINER_BYTES = 63 };

static void *scratch_alloc(void *arena, size_t size)
{
    return arena_alloc(arena, size, 1);
}

static void scratch_free(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

struct reader {
    struct arena *arena;
    struct grant_list *list;
    const char *namespace_, *pod, *container; /* in the arena once a grant wanted them */
    const Podresources__Pod *from_pod;
    const Podresources__Container *from_container;
};

static bool is_name(const char *text, size_t limit)
{
    return text[0] && strnlen(text, limit + 1) <= limit;
}

/* Copies the names of the current container, once for all its devices. */
static int keep_names(struct reader *reader)
{
    if (!reader->pod) {
        reader->namespace_ =
            arena_copy(reader->arena, str_from(reader->from_pod->namespace_));
        reader->pod = arena_copy(reader->arena, str_from(reader->from_pod->name));
    }
    if (!reader->container)
        reader->container =
            arena_copy(reader->arena, str_from(reader->from_container->name));
    return reader->namespace_ && reader->pod && reader->container ? 0 : -ENOMEM;
}

static bool has_good_names(const struct reader *reader)
{
    return is_name(reader->from_pod->namespace_, NAMESPACE_BYTES) &&
           is_name(reader->from_pod->name, POD_BYTES) &&
           is_name(reader->from_container->name, CONTAINER_BYTES);
}

/* Makes the views of ID point into the arena. */
static int keep_id(struct arena *arena, struct device_id *id)
{
    struct str *const views[] = {&id->uuid, &id->profile};
    for (size_t i = 0; i < ARRAY_LENGTH(views); i++) {
        if (!views[i]->n)
            continue;
        views[i]->p = arena_copy(arena, *views[i]);
        if (!views[i]->p)
            return -ENOMEM;
    }
    return 0;
}

static int add_grant(struct reader *reader, struct device_id id)
{
    struct grant_list *list = reader->list;
    if (id.kind == DEVICE_ID_FOREIGN)
        return 0;
    if (!has_good_names(reader)) {
        list->bad_names++;
        return 0;
    }
    if (list->count == PODRESOURCES_MAX_GRANTS) {
        list->omitted++;
        return 0;
    }
    if (keep_names(reader) != 0 || keep_id(reader->arena, &id) != 0)
        return -ENOMEM;
    list->grants[list->count++] =
        (struct grant){reader->namespace_, reader->pod, reader->container, id};
    return 0;
}

static int read_plugin(struct reader *reader, const Podresources__PluginDevices *devices)
{
    struct str resource = str_from(devices->resource);
    int rc = 0;
    for (size_t i = 0; i < devices->n_ids && rc == 0; i++)
        rc = add_grant(reader, device_id_of_plugin(resource, str_from(devices->ids[i])));
    return rc;
}

static int read_claim(struct reader *reader, const Podresources__Claim *claim)
{
    int rc = 0;
    for (size_t i = 0; i < claim->n_devices && rc == 0; i++)
        rc = add_grant(reader, device_id_of_claim(str_from(claim->devices[i]->driver),
                                                  str_from(claim->devices[i]->device)));
    return rc;
}

static int read_container(struct reader *reader, const Podresources__Container *container)
{
    int rc = 0;
    reader->from_container = container;
    reader->container = NULL;
    for (size_t i = 0; i < container->n_devices && rc == 0; i++)
        rc = read_plugin(reader, container->devices[i]);
    for (size_t i = 0; i < container->n_claims && rc == 0; i++)
        rc = read_claim(reader, container->claims[i]);
    return rc;
}

static int read_list(struct reader *reader, const Podresources__List *list)
{
    int rc = 0;
    for (size_t i = 0; i < list->n_pods && rc == 0; i++) {
        reader->from_pod = list->pods[i];
        reader->namespace_ = reader->pod = NULL;
        for (size_t k = 0; k < list->pods[i]->n_containers && rc == 0; k++)
            rc = read_container(reader, list->pods[i]->containers[k]);
    }
    reader->list->pod_count = list->n_pods;
    return rc;
}

/* Room for grants that the list may need. */
static size_t count_ids(const Podresources__List *list)
{
    size_t count = 0;
    for (size_t i = 0; i < list->n_pods; i++) {
        for (size_t k = 0; k < list->pods[i]->n_containers; k++) {
            const Podresources__Container *container = list->pods[i]->containers[k];
            for (size_t d = 0; d < container->n_devices; d++)
                count += container->devices[d]->n_ids;
            for (size_t c = 0; c < container->n_claims; c++)
                count += container->claims[c]->n_devices;
        }
    }
    return count < PODRESOURCES_MAX_GRANTS ? count : PODRESOURCES_MAX_GRANTS;
}

int podresources_decode(struct str bytes, struct arena *arena, struct grant_list *out,
                        struct err *err)
{
    CLEANUP(arena_freep) struct arena *scratch = arena_new(PODRESOURCES_SCRATCH_BYTES);
    if (!scratch)
        return err_errno(err, ENOMEM, "list of allocated devices");
    ProtobufCAllocator allocator = {scratch_alloc, scratch_free, scratch};
    const Podresources__List *unpacked =
        podresources__list__unpack(&allocator, bytes.n, (const uint8_t *)bytes.p);
    if (!unpacked)
        return err_set(err, EPROTO, ERR_PARSE, 0,
                       "an answer of %zu bytes that is no list of pods, or too large to "
                       "decode",
                       bytes.n);
    struct grant_list list = {.grants =
                                  ARENA_NEW(arena, struct grant, count_ids(unpacked))};
    struct reader reader = {.arena = arena, .list = &list};
    int rc = list.grants ? read_list(&reader, unpacked) : -ENOMEM;
    if (rc != 0)
        return err_errno(err, -rc, "list of allocated devices");
    *out = list;
    return 0;
}
