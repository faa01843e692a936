/* A kubelet's answer, behind its gRPC prefix or bare: decoded, matched with devices, and
 * joined with sessions. */
#include "../support/node.h"
#include "source/podresources/grpc_unary.h"
#include "source/podresources/podresources_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void join(struct node *node, const struct grant_list *list)
{
    struct allocation_set set;
    node->devices[0].uuid = "GPU-5c2a1d34-8f1e-4b0a-9c55-0d1f6a7b8c90";
    node->devices[0].minor_number = value_u64_ok(0);
    node->devices[1].minor_number = value_u64_ok(1);
    if (allocation_match(node->arena, &node->driver, list->grants, list->count, &set) !=
        0)
        return;
    node->input.allocations = &set;
    const struct snapshot *snapshot = node_build(node);
    for (size_t i = 0; snapshot && i < snapshot->device_count; i++) {
        const struct device *device = &snapshot->devices[i];
        for (size_t k = 0; k < device->allocation_count; k++) {
            if (device->allocations[k].device != i)
                abort();
        }
        bool is_free = device->states[DEVICE_FREE] == TERNARY_YES;
        if (is_free && (device->session_count || device->allocation_count))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size}, message;
    struct node node;
    struct grant_list list;
    node_init(&node);
    if (!node.arena)
        return 0;
    if (grpc_read_frame(bytes, &message, NULL) == 0)
        bytes = message;
    if (podresources_decode(bytes, node.arena, &list, NULL) == 0) {
        if (list.count > PODRESOURCES_MAX_GRANTS)
            abort();
        join(&node, &list);
    }
    node_done(&node);
    return 0;
}
