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

/*@
  predicate items_ok{L}(struct heap *h) = h->count <= HEAP_MAX &&
      \forall integer i; 0 <= i < h->count ==>
          h->item[i].id < HEAP_MAX && h->pos[h->item[i].id] == i + 1;
  predicate pos_ok{L}(struct heap *h) = \forall integer d; 0 <= d < HEAP_MAX ==>
      h->pos[d] <= h->count && (h->pos[d] != 0 ==> h->item[h->pos[d] - 1].id == d);
  predicate heap_ok{L}(struct heap *h) = items_ok(h) && pos_ok(h);
  // place i is free, and id is nowhere (its pos says nothing)
  predicate hole_items{L}(struct heap *h, integer i, integer id) =
      i < h->count <= HEAP_MAX && id < HEAP_MAX &&
      \forall integer k; 0 <= k < h->count && k != i ==>
          h->item[k].id < HEAP_MAX && h->item[k].id != id && h->pos[h->item[k].id] == k + 1;
  predicate hole_pos{L}(struct heap *h, integer i, integer id) =
      \forall integer d; 0 <= d < HEAP_MAX && d != id ==>
          h->pos[d] <= h->count && h->pos[d] != i + 1 &&
          (h->pos[d] != 0 ==> h->item[h->pos[d] - 1].id == d);
  predicate same_others{A, B}(struct heap *h, integer id) =
      \forall integer d; 0 <= d < HEAP_MAX && d != id ==>
          (\at(h->pos[d], A) != 0 <==> \at(h->pos[d], B) != 0);
*/

/** @return BH_ERR_RANGE @id >= HEAP_MAX; BH_ERR_STATE it is in the heap already; BH_ERR_LIMIT full
 *  (cannot happen while ids are unique) */
/*@ requires \valid(h) && heap_ok(h);
    assigns h->count, h->item[0 .. HEAP_MAX - 1], h->pos[0 .. HEAP_MAX - 1];
    ensures items: items_ok(h);
    ensures pos: pos_ok(h);
    ensures ok: \result == BH_OK <==> id < HEAP_MAX && \old(h->pos[id]) == 0 &&
        \old(h->count) < HEAP_MAX;
    ensures range: \result == BH_ERR_RANGE <==> id >= HEAP_MAX;
    ensures state: \result == BH_ERR_STATE <==> id < HEAP_MAX && \old(h->pos[id]) != 0;
    ensures limit: \result == BH_ERR_LIMIT <==> id < HEAP_MAX && \old(h->pos[id]) == 0 &&
        \old(h->count) >= HEAP_MAX;
    ensures in: \result == BH_OK ==> h->pos[id] != 0 && h->count == \old(h->count) + 1;
    ensures others: \forall integer d; 0 <= d < HEAP_MAX && d != id ==>
        (h->pos[d] != 0 <==> \old(h->pos[d]) != 0);
    ensures nochange: \result != BH_OK ==> h->count == \old(h->count); */
MUST_CHECK err_t heap_insert(struct heap *h, uint32_t id, uint64_t key);

/** Take @id out; does nothing if it is not in the heap. */
/*@ requires \valid(h) && heap_ok(h);
    assigns h->count, h->item[0 .. HEAP_MAX - 1], h->pos[0 .. HEAP_MAX - 1];
    ensures items: items_ok(h);
    ensures pos: pos_ok(h);
    ensures out: id < HEAP_MAX ==> h->pos[id] == 0;
    ensures others: \forall integer d; 0 <= d < HEAP_MAX && d != id ==>
        (h->pos[d] != 0 <==> \old(h->pos[d]) != 0); */
void heap_remove(struct heap *h, uint32_t id);

/** The id with the smallest key; HEAP_NONE if empty. */
/*@ requires \valid_read(h) && heap_ok(h);
    assigns \nothing;
    ensures empty: h->count == 0 ==> \result == HEAP_NONE;
    ensures in: h->count != 0 ==> \result < HEAP_MAX && h->pos[\result] == 1; */
static inline uint32_t heap_top(const struct heap *h)
{
    return h->count == 0u ? HEAP_NONE : h->item[0].id;
}

/** The smallest key; all ones if empty. */
/*@ requires \valid_read(h) && heap_ok(h);
    assigns \nothing;
    ensures value: h->count != 0 ==> \result == h->item[0].key;
    ensures empty: h->count == 0 ==> \result == 0xffffffffffffffff; */
static inline uint64_t heap_top_key(const struct heap *h)
{
    return h->count == 0u ? ~(uint64_t)0 : h->item[0].key;
}

/** 1 if @id is in the heap, else 0. */
/*@ requires \valid_read(h);
    assigns \nothing;
    ensures value: \result != 0 <==> id < HEAP_MAX && h->pos[id] != 0; */
static inline uint32_t heap_has(const struct heap *h, uint32_t id)
{
    return id < HEAP_MAX && h->pos[id] != 0u ? 1u : 0u;
}

#endif
