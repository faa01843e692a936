/*
 * Gives the readings of a page to the devices and sessions that have no value of the
 * driver's.
 */
#pragma once

#include "source/dcgm.h"
#include "source/dcgm/dcgm_page.h"

/* For how long a process must have been alone on its instance before the instance's
 * reading is its own: a reading is up to half a minute old (the exporter's interval) and
 * speaks of up to another half minute before. */
#define DCGM_ALONE_NS (UINT64_C(60) * 1000 * 1000 * 1000)

/* Who was last seen alone on each GPU instance; zeroed at first. */
struct dcgm_watch {
    size_t count;
    struct {
        uint64_t instance; /* hash of the GPU's UUID and the instance's ids */
        uint32_t pid;      /* 0: nobody was alone */
        uint64_t since_ns; /* when it became so; 0: it was found so */
    } entries[FACTS_MAX_GPUS * FACTS_MAX_MIG_PER_GPU];
};

/* Notes who is alone in this collection. */
void dcgm_watch_update(struct dcgm_watch *watch,
                       const struct dcgm_collection *collection);

/* Fills the facts. Return: how many devices the page has a reading of. */
size_t dcgm_fill(const struct dcgm_page *page, const struct dcgm_watch *watch,
                 const struct dcgm_collection *collection);
