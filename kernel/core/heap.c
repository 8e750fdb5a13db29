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

/* Move the item at place k to the free place i: k is free then. */
/*@ requires \valid(h) && hole_items(h, i, id) && hole_pos(h, i, id);
    requires other: k < h->count && k != i;
    assigns h->item[i].key, h->item[i].id, h->pos[\at(h->item[k].id, Pre)];
    ensures items: hole_items(h, k, id);
    ensures pos: hole_pos(h, k, id);
    ensures others: same_others{Pre, Here}(h, id);
    ensures key: h->item[i].key == \old(h->item[k].key); */
static void heap_shift(struct heap *h, uint32_t i, uint32_t k)
/*@ ghost (uint32_t id) */ { heap_set(h, i, h->item[k].key, h->item[k].id); }

/* Fill the free place i. */
/*@ requires \valid(h) && hole_items(h, i, id) && hole_pos(h, i, id);
    assigns h->item[i].key, h->item[i].id, h->pos[id];
    ensures items: items_ok(h);
    ensures pos: pos_ok(h);
    ensures in: h->pos[id] == i + 1;
    ensures others: same_others{Pre, Here}(h, id);
    ensures key: h->item[i].key == key; */
static void heap_fill(struct heap *h, uint32_t i, uint64_t key, uint32_t id)
{
    heap_set(h, i, key, id);
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
        heap_shift(h, i, p) /*@ ghost (id) */;
        i = p;
    }
    heap_fill(h, i, key, id);
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
        heap_shift(h, i, m) /*@ ghost (id) */;
        i = m;
        m = 2u * i + 1u;
    }
    heap_fill(h, i, key, id);
}

/* Put an item where place i is free. */
/*@ requires \valid(h) && hole_items(h, i, id) && hole_pos(h, i, id);
    assigns h->item[0 .. HEAP_MAX - 1], h->pos[0 .. HEAP_MAX - 1];
    ensures items: items_ok(h);
    ensures pos: pos_ok(h);
    ensures in: h->pos[id] != 0;
    ensures others: same_others{Pre, Here}(h, id); */
static void heap_place(struct heap *h, uint32_t i, uint64_t key, uint32_t id)
{
    if (i > 0u && h->item[(i - 1u) / 2u].key > key)
        heap_up(h, i, key, id);
    else
        heap_down(h, i, key, id);
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

/* Take out what is at place i. The last item has no place now, unless that was it: place i is free
 * for it. */
/*@ requires \valid(h) && heap_ok(h) && i < h->count;
    assigns h->count, h->pos[\at(h->item[i].id, Pre)];
    ensures count: h->count == \old(h->count) - 1;
    ensures out: h->pos[\old(h->item[i].id)] == 0;
    ensures last_items: i == h->count ==> items_ok(h);
    ensures last_pos: i == h->count ==> pos_ok(h);
    ensures hole_items: i < h->count ==> hole_items(h, i, h->item[h->count].id);
    ensures hole_pos: i < h->count ==> hole_pos(h, i, h->item[h->count].id);
    ensures other: i < h->count ==> h->item[h->count].id != h->item[i].id &&
        h->pos[h->item[h->count].id] != 0;
    ensures others: same_others{Pre, Here}(h, \at(h->item[i].id, Pre)); */
static void heap_take(struct heap *h, uint32_t i)
{
    uint32_t out = h->item[i].id;

    /*@ assert last: \forall integer d; 0 <= d < HEAP_MAX && h->pos[d] == h->count ==>
          d == h->item[h->count - 1].id; */
    /*@ assert mine: \forall integer d; 0 <= d < HEAP_MAX && h->pos[d] == i + 1 ==> d == out; */
    h->count = h->count - 1u;
    h->pos[out] = 0;
    /*@ assert same: \forall integer d; 0 <= d < HEAP_MAX && d != out ==>
          h->pos[d] == \at(h->pos[d], Pre); */
    /*@ assert low: \forall integer d; 0 <= d < HEAP_MAX && d != h->item[h->count].id ==>
          h->pos[d] <= h->count && h->pos[d] != i + 1; */
    /*@ assert back: \forall integer d; 0 <= d < HEAP_MAX && h->pos[d] != 0 ==>
          h->item[h->pos[d] - 1].id == d; */
}

void heap_remove(struct heap *h, uint32_t id)
{
    uint32_t i, last;
    uint64_t key;

    if (id >= HEAP_MAX || h->pos[id] == 0u) return;
    i = h->pos[id] - 1u;
    /*@ assert place: h->item[i].id == id; */
    heap_take(h, i);
    /*@ assert rest: same_others{Pre, Here}(h, id); */
    if (i == h->count) return;
    key = h->item[h->count].key;
    last = h->item[h->count].id;
    /*@ assert other: last != id && h->pos[id] == 0; */
    /*@ assert last: h->pos[last] != 0 && \at(h->pos[\at(last, Here)], Pre) != 0; */
    heap_place(h, i, key, last);
    /*@ assert others: \forall integer d; 0 <= d < HEAP_MAX && d != id && d != last ==>
          (\at(h->pos[d], Pre) != 0 <==> h->pos[d] != 0); */
    /*@ assert all: same_others{Pre, Here}(h, id); */
}
