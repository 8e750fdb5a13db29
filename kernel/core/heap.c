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

static void heap_swap(struct heap *h, uint32_t i, uint32_t j)
{
    uint64_t key = h->item[i].key;
    uint32_t id = h->item[i].id;

    heap_set(h, i, h->item[j].key, h->item[j].id);
    heap_set(h, j, key, id);
}

static void heap_up(struct heap *h, uint32_t i)
{
    uint32_t p;

    while (i > 0u) {
        p = (i - 1u) / 2u;
        if (h->item[p].key <= h->item[i].key)
            return;
        heap_swap(h, i, p);
        i = p;
    }
}

/* The child of i with the smaller key, or i itself if no child has a smaller key than i. */
static uint32_t heap_least(const struct heap *h, uint32_t i)
{
    uint32_t m = i, l = 2u * i + 1u;

    if (l < h->count && h->item[l].key < h->item[m].key)
        m = l;
    if (l + 1u < h->count && h->item[l + 1u].key < h->item[m].key)
        m = l + 1u;
    return m;
}

static void heap_down(struct heap *h, uint32_t i)
{
    uint32_t m = heap_least(h, i);

    while (m != i) {
        heap_swap(h, i, m);
        i = m;
        m = heap_least(h, i);
    }
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
    heap_set(h, n, key, id);
    heap_up(h, n);
    return BH_OK;
}

void heap_remove(struct heap *h, uint32_t id)
{
    uint32_t i, last;

    if (id >= HEAP_MAX || h->pos[id] == 0u)
        return;
    i = h->pos[id] - 1u;
    last = h->count - 1u;
    if (i != last)
        heap_swap(h, i, last);
    h->count = last;
    h->pos[id] = 0;
    if (i != last) {
        heap_up(h, i);
        heap_down(h, i);
    }
}

uint32_t heap_top(const struct heap *h)
{
    return h->count == 0u ? HEAP_NONE : h->item[0].id;
}

uint64_t heap_top_key(const struct heap *h)
{
    return h->count == 0u ? ~(uint64_t)0 : h->item[0].key;
}

uint32_t heap_has(const struct heap *h, uint32_t id)
{
    return id < HEAP_MAX && h->pos[id] != 0u ? 1u : 0u;
}
