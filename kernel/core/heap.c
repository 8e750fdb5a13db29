/*
 * A binary min-heap with removal by id: see heap.h.
 */
#include "heap.h"

/* Put an item at place i and tell pos[]. */
static void heap_set(struct heap *h, uint32_t i, uint64_t key, uint32_t id)
{
    h->item[i].key = key;
    h->item[i].id = id;
    h->pos[id] = i + 1u;
}

/* Put an item where place i is free: its larger ancestors come down. */
static void heap_up(struct heap *h, uint32_t i, uint64_t key, uint32_t id)
{
    uint32_t p;

    while (i > 0u) {
        p = (i - 1u) / 2u;
        if (h->item[p].key <= key)
            break;
        heap_set(h, i, h->item[p].key, h->item[p].id);
        i = p;
    }
    heap_set(h, i, key, id);
}

/* The same downwards: smaller children come up. */
static void heap_down(struct heap *h, uint32_t i, uint64_t key, uint32_t id)
{
    uint32_t m = 2u * i + 1u;

    while (m < h->count) {
        if (m + 1u < h->count && h->item[m + 1u].key < h->item[m].key)
            m = m + 1u;
        if (h->item[m].key >= key)
            break;
        heap_set(h, i, h->item[m].key, h->item[m].id);
        i = m;
        m = 2u * i + 1u;
    }
    heap_set(h, i, key, id);
}

err_t heap_insert(struct heap *h, uint32_t id, uint64_t key)
{
    uint32_t n = h->count;

    if (id >= HEAP_MAX)
        return BH_ERR_RANGE;
    if (h->pos[id] != 0u)
        return BH_ERR_STATE;
    if (n >= HEAP_MAX)
        return BH_ERR_LIMIT;
    h->count = n + 1u;
    heap_up(h, n, key, id);
    return BH_OK;
}

void heap_remove(struct heap *h, uint32_t id)
{
    uint32_t i, last;
    struct heap_item moved;

    if (id >= HEAP_MAX || h->pos[id] == 0u)
        return;
    i = h->pos[id] - 1u;
    last = h->count - 1u;
    h->count = last;
    h->pos[id] = 0;
    if (i == last)
        return;
    moved = h->item[last];
    if (i > 0u && h->item[(i - 1u) / 2u].key > moved.key)
        heap_up(h, i, moved.key, moved.id);
    else
        heap_down(h, i, moved.key, moved.id);
}
