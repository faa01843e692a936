/* Selection and order of what a person asked for. */
#include "output/filter.h"

#include "base/cleanup.h"
#include "output/text.h"

#include <stdlib.h>

static const char *const sort_words[] = {
    [SORT_DEVICE] = "device",
    [SORT_MEMORY] = "memory",
    [SORT_UTILIZATION] = "utilization",
    [SORT_AGE] = "age",
    [SORT_USER] = "user",
    [SORT_PID] = "pid",
};

bool sort_key_parse(const char *word, enum sort_key *key)
{
    for (size_t i = 0; i < ARRAY_LENGTH(sort_words); i++) {
        if (strcmp(word, sort_words[i]) == 0) {
            *key = (enum sort_key)i;
            return true;
        }
    }
    return false;
}

bool filter_matches_device(const struct filter *filter, const struct device *device)
{
    if (!filter->gpu || strcmp(filter->gpu, device->label) == 0)
        return true;
    uint32_t index;
    return str_u32(str_from(filter->gpu), &index) && index == device->facts->index;
}

bool filter_matches_session(const struct filter *filter, const struct session *session)
{
    if (!filter_matches_device(filter, session->device))
        return false;
    if (filter->user && strcmp(filter->user, session->user) != 0)
        return false;
    return !filter->namespace_ ||
           strcmp(filter->namespace_, text_pod_labels(&session->pod).namespace_) == 0;
}

/* Below zero when A comes first: the greater one, and any before an unknown one. */
static int compare_values(bool a_known, double a, bool b_known, double b)
{
    if (!a_known || !b_known)
        return (int)b_known - (int)a_known;
    return (a < b) - (a > b);
}

static int compare_doubles(struct value_double a, struct value_double b)
{
    return compare_values(a.state == VALUE_OK, a.v, b.state == VALUE_OK, b.v);
}

static int compare_user_names(const char *a, const char *b)
{
    if (!a[0] || !b[0])
        return (b[0] != 0) - (a[0] != 0);
    return strcmp(a, b);
}

static int compare_by_key(enum sort_key key, const struct session *a,
                          const struct session *b)
{
    struct value_u64 memory_a = a->memory_used_bytes, memory_b = b->memory_used_bytes;
    switch (key) {
    case SORT_MEMORY:
        return compare_values(memory_a.state == VALUE_OK, (double)memory_a.v,
                              memory_b.state == VALUE_OK, (double)memory_b.v);
    case SORT_UTILIZATION: return compare_doubles(a->sm_percent, b->sm_percent);
    case SORT_AGE: return compare_doubles(a->age_seconds, b->age_seconds);
    case SORT_USER: return compare_user_names(a->user, b->user);
    case SORT_PID: return (a->pid > b->pid) - (a->pid < b->pid);
    case SORT_DEVICE: return 0;
    }
    return 0;
}

static int compare_sessions(const void *a, const void *b, void *key)
{
    const struct session *left = *(const struct session *const *)a;
    const struct session *right = *(const struct session *const *)b;
    int order = compare_by_key(*(const enum sort_key *)key, left, right);
    /* Both lie in the snapshot's one array, whose order is by device, then pid. */
    return order ? order : (left > right) - (left < right);
}

void filter_sort(enum sort_key key, const struct session **sessions, size_t count)
{
    if (count)
        qsort_r(sessions, count, sizeof(void *), compare_sessions, &key);
}
