/*
 * A binary min-heap with removal by id: see heap.h.
 */
#include "heap.h"

/* Put an item at place i and tell pos[]. */
/*@ requires \valid(h) && i < HEAP_MAX && id < HEAP_MAX;
    assigns h->item[i].key, h->item[i].id, h->pos[id];
    ensures key: h->item[i].key == key;
    ensures id: h->item[i].id == id;
    ensures pos: h->pos[id] == i + 1; */
static void heap_set(struct heap *h, uint32_t i, uint64_t key, uint32_t id)
{
    h->item[i].key = key;
    h->item[i].id = id;
    h->pos[id] = i + 1u;
}

/* Put an item where place i is free: its larger ancestors come down. */
/*@ requires \valid(h) && hole_items(h, i, id) && hole_pos(h, i, id);
    assigns h->item[0 .. HEAP_MAX - 1], h->pos[0 .. HEAP_MAX - 1];
    ensures items: items_ok(h);
    ensures pos: pos_ok(h);
    ensures in: h->pos[id] != 0;
    ensures others: same_others{Pre, Here}(h, id); */
static void heap_up(struct heap *h, uint32_t i, uint64_t key, uint32_t id)
{
    uint32_t p;

    /*@ loop invariant i < h->count;
        loop invariant items: hole_items(h, i, id);
        loop invariant pos: hole_pos(h, i, id);
        loop invariant others: same_others{Pre, Here}(h, id);
        loop assigns i, p, h->item[0 .. HEAP_MAX - 1], h->pos[0 .. HEAP_MAX - 1];
        loop variant i; */
    while (i > 0u) {
        p = (i - 1u) / 2u;
        if (h->item[p].key <= key) break;
        heap_set(h, i, h->item[p].key, h->item[p].id);
        i = p;
    }
    heap_set(h, i, key, id);
}

/* The same downwards: smaller children come up. */
/*@ requires \valid(h) && hole_items(h, i, id) && hole_pos(h, i, id);
    assigns h->item[0 .. HEAP_MAX - 1], h->pos[0 .. HEAP_MAX - 1];
    ensures items: items_ok(h);
    ensures pos: pos_ok(h);
    ensures in: h->pos[id] != 0;
    ensures others: same_others{Pre, Here}(h, id); */
static void heap_down(struct heap *h, uint32_t i, uint64_t key, uint32_t id)
{
    uint32_t m = 2u * i + 1u;

    /*@ loop invariant i < h->count && m == 2 * i + 1;
        loop invariant items: hole_items(h, i, id);
        loop invariant pos: hole_pos(h, i, id);
        loop invariant others: same_others{Pre, Here}(h, id);
        loop assigns i, m, h->item[0 .. HEAP_MAX - 1], h->pos[0 .. HEAP_MAX - 1];
        loop variant h->count - i; */
    while (m < h->count) {
        if (m + 1u < h->count && h->item[m + 1u].key < h->item[m].key) m = m + 1u;
        if (h->item[m].key >= key) break;
        heap_set(h, i, h->item[m].key, h->item[m].id);
        i = m;
        m = 2u * i + 1u;
    }
    heap_set(h, i, key, id);
}

err_t heap_insert(struct heap *h, uint32_t id, uint64_t key)
{
    uint32_t n = h->count;

    if (id >= HEAP_MAX) return BH_ERR_RANGE;
    if (h->pos[id] != 0u) return BH_ERR_STATE;
    if (n >= HEAP_MAX) return BH_ERR_LIMIT;
    h->count = n + 1u;
    heap_up(h, n, key, id);
    return BH_OK;
}

void heap_remove(struct heap *h, uint32_t id)
{
    uint32_t i, last;
    struct heap_item moved;

    if (id >= HEAP_MAX || h->pos[id] == 0u) return;
    i = h->pos[id] - 1u;
    last = h->count - 1u;
    h->count = last;
    h->pos[id] = 0;
    if (i == last) return;
    moved = h->item[last];
    if (i > 0u && h->item[(i - 1u) / 2u].key > moved.key)
        heap_up(h, i, moved.key, moved.id);
    else
        heap_down(h, i, moved.key, moved.id);
}
