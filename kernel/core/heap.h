/*
 * A binary min-heap of (key, id) with removal by id: ready queues by virtual time, deadlines by
 * time. Ids are small handles below HEAP_MAX that the owner gives out; each is in the heap at most
 * once. Pure: works on the struct it is given, calls nothing. All zero is an empty heap. Every
 * operation takes O(log n) steps.
 */
#ifndef CORE_HEAP_H
#define CORE_HEAP_H

#include "err.h"

#define HEAP_MAX  256u
#define HEAP_NONE 0xffffffffu

struct heap_item {
    uint64_t key;
    uint32_t id;
    uint32_t pad;
};

struct heap {
    uint32_t count;
    uint32_t pad;
    uint32_t pos[HEAP_MAX]; /* by id: place in item[] plus 1; 0 = not in the heap */
    struct heap_item item[HEAP_MAX];
};

/** @return BH_ERR_RANGE @id >= HEAP_MAX; BH_ERR_STATE it is in the heap already; BH_ERR_LIMIT full
 *  (cannot happen while ids are unique) */
MUST_CHECK err_t heap_insert(struct heap *h, uint32_t id, uint64_t key);

/** Take @id out; does nothing if it is not in the heap. */
void heap_remove(struct heap *h, uint32_t id);

/** The id with the smallest key; HEAP_NONE if empty. */
static inline uint32_t heap_top(const struct heap *h)
{
    return h->count == 0u ? HEAP_NONE : h->item[0].id;
}

/** The smallest key; all ones if empty. */
static inline uint64_t heap_top_key(const struct heap *h)
{
    return h->count == 0u ? ~(uint64_t)0 : h->item[0].key;
}

/** 1 if @id is in the heap, else 0. */
static inline uint32_t heap_has(const struct heap *h, uint32_t id)
{
    return id < HEAP_MAX && h->pos[id] != 0u ? 1u : 0u;
}

#endif
