/* Split virtqueues; see virtqueue.h. Sections are those of virtio 1.2. */
#include "virtqueue.h"

#include <stddef.h>
#include <string.h>

/* 2.7.5; two words, so that one descriptor is two reads. */
struct desc {
    uint64_t addr;
    uint64_t rest;                    /* length 31..0, flags 47..32, next 63..48 */
} __attribute__((packed, may_alias)); /* a table of indirect descriptors need not be aligned */

_Static_assert(sizeof(struct desc) == 16, "virtio 1.2, 2.7.5");

#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u

#define AVAIL_NO_INTERRUPT 1u /* 2.7.6 */
#define USED_NO_NOTIFY     1u /* 2.7.8 */

/* Available ring: flags, index, ring[size], used_event. Used ring: flags, index, ring[size] of two
 * words, avail_event. */
#define RING_HEAD 4u

static uint64_t avail_bytes(const struct virtq *q) { return RING_HEAD + 2u * q->size + 2u; }
static uint64_t used_bytes(const struct virtq *q) { return RING_HEAD + 8u * q->size + 2u; }
static uint64_t desc_bytes(const struct virtq *q) { return 16u * (uint64_t)q->size; }

bool virtq_placed(const struct virtq *q, const struct guest_mem *mem)
{
    return q->size != 0 && q->size <= VIRTQ_SIZE_MAX && (q->size & (q->size - 1u)) == 0 &&
           q->desc % 16u == 0 && q->avail % 2u == 0 && q->used % 4u == 0 &&
           guest_mem_ptr(mem, q->desc, desc_bytes(q)) &&
           guest_mem_ptr(mem, q->avail, avail_bytes(q)) &&
           guest_mem_ptr(mem, q->used, used_bytes(q));
}

/* The rings as half-words. Where they are was checked when the queue was enabled, and RAM does not
 * move. */
static uint16_t *avail_ring(const struct virtq *q, const struct guest_mem *mem)
{
    return guest_mem_ptr(mem, q->avail, avail_bytes(q));
}

static uint16_t *used_ring(const struct virtq *q, const struct guest_mem *mem)
{
    return guest_mem_ptr(mem, q->used, used_bytes(q));
}

static uint16_t load(const uint16_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }

/* ---- chains ---- */

struct table {
    const uint8_t *at;
    uint32_t entries;
};

static struct desc desc_read(const struct table *t, uint32_t i)
{
    const volatile struct desc *from =
        (const volatile struct desc *)(const void *)(t->at + 16u * i);

    return (struct desc){from->addr, from->rest};
}

static uint32_t desc_length(struct desc d) { return (uint32_t)d.rest; }
static unsigned desc_flags(struct desc d) { return (unsigned)(d.rest >> 32) & 0xffffu; }
static uint32_t desc_next(struct desc d) { return (uint32_t)(d.rest >> 48); }

/* 2.7.5.3: only where negotiated, not inside another table, last of its chain. */
static bool enter_table(const struct virtq *q, const struct guest_mem *mem, struct desc d,
                        struct table *t, bool *inside)
{
    uint32_t length = desc_length(d);

    if (!q->indirect || *inside || (desc_flags(d) & DESC_NEXT) || length == 0 || length % 16u)
        return false;
    *inside = true;
    t->at = guest_mem_ptr(mem, d.addr, length);
    t->entries = length / 16u;
    return t->at != NULL;
}

/* Follow a chain: at most as many buffers as the queue has entries (2.7.5.3.1), which ends loops.
 */
static bool follow(const struct virtq *q, const struct guest_mem *mem, struct virtq_chain *c)
{
    struct table t = {guest_mem_ptr(mem, q->desc, desc_bytes(q)), q->size};
    struct virtq_piece *end = c->piece;
    uint32_t i = c->head;
    bool inside = false;

    c->out = (struct virtq_side){c->piece, 0};
    c->in = (struct virtq_side){NULL, 0};
    for (;;) {
        struct desc d;
        unsigned flags;

        if (!t.at || i >= t.entries || end == c->piece + q->size) return false;
        d = desc_read(&t, i);
        flags = desc_flags(d);
        if (flags & DESC_INDIRECT) {
            if (!enter_table(q, mem, d, &t, &inside)) return false;
            i = 0;
            continue;
        }
        end->bytes = desc_length(d);
        end->at = guest_mem_ptr(mem, d.addr, end->bytes);
        if (!end->at) return false;
        if (flags & DESC_WRITE) {
            if (!c->in.piece) c->in.piece = end;
            c->in.left += end->bytes;
        } else {
            if (c->in.piece) return false; /* 2.7.4.2: what is written comes last */
            c->out.left += end->bytes;
        }
        end++;
        if (!(flags & DESC_NEXT)) return true;
        i = desc_next(d);
    }
}

bool virtq_waiting(const struct virtq *q, const struct guest_mem *mem)
{
    const uint16_t *avail = avail_ring(q, mem);

    return avail && load(&avail[1]) != q->avail_next;
}

enum virtq_result virtq_take(struct virtq *q, const struct guest_mem *mem, struct virtq_chain *c)
{
    const uint16_t *avail = avail_ring(q, mem);
    uint16_t waiting;

    if (!avail) return VIRTQ_BROKEN;
    waiting = (uint16_t)(load(&avail[1]) - q->avail_next);
    if (waiting == 0) return VIRTQ_NONE;
    if (waiting > q->size) return VIRTQ_BROKEN;
    c->head = load(&avail[2u + (q->avail_next & (q->size - 1u))]);
    if (c->head >= q->size || !follow(q, mem, c)) return VIRTQ_BROKEN;
    q->avail_next++;
    return VIRTQ_CHAIN;
}

/* ---- answers ---- */

void virtq_put(struct virtq *q, const struct guest_mem *mem, uint16_t head, uint32_t bytes)
{
    uint16_t *used = used_ring(q, mem);
    uint16_t *element;

    if (!used) return;
    element = used + 2u + 4u * (q->used_next & (q->size - 1u));
    element[0] = head;
    element[1] = 0;
    element[2] = (uint16_t)bytes;
    element[3] = (uint16_t)(bytes >> 16);
    q->used_next++;
}

/* 2.7.7.2: has the index passed @event on its way from @from to @to? */
static bool passed(uint16_t event, uint16_t from, uint16_t to)
{
    return (uint16_t)(to - event - 1u) < (uint16_t)(to - from);
}

bool virtq_show(struct virtq *q, const struct guest_mem *mem)
{
    const uint16_t *avail = avail_ring(q, mem);
    uint16_t *used = used_ring(q, mem), from = q->used_shown;

    q->used_shown =
        q->used_next; /* also when a ring is in the balloon: there is nothing left to do */
    if (!used || !avail || from == q->used_shown) return false;
    __atomic_store_n(&used[1], q->used_shown, __ATOMIC_RELEASE);
    /* The driver asks for an interrupt and then looks at the index: what is stored must be visible
     * before its wish is read. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (q->event_index) return passed(load(&avail[2u + q->size]), from, q->used_shown);
    return !(load(&avail[0]) & AVAIL_NO_INTERRUPT);
}

void virtq_want_kick(struct virtq *q, const struct guest_mem *mem, bool wanted)
{
    uint16_t *used = used_ring(q, mem);

    if (!used) return;
    if (q->event_index) /* unwanted: one that has passed, so that a round of the index is quiet */
        __atomic_store_n(&used[2u + 4u * q->size],
                         (uint16_t)(wanted ? q->avail_next : q->avail_next - 1u), __ATOMIC_RELEASE);
    else
        __atomic_store_n(&used[0], wanted ? 0 : USED_NO_NOTIFY, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- sides ---- */

uint8_t *virtq_piece_next(struct virtq_side *s, uint64_t max, uint64_t *bytes)
{
    struct virtq_piece *p = s->piece;
    uint8_t *at;

    if (s->left == 0 || max == 0) return NULL;
    while (p->bytes == 0) p++; /* left counts what is in them: one is not empty */
    at = p->at;
    *bytes = p->bytes < max ? p->bytes : max;
    p->at += *bytes;
    p->bytes -= (uint32_t)*bytes;
    s->piece = p;
    s->left -= *bytes;
    return at;
}

uint64_t virtq_copy_out(struct virtq_side *s, void *buf, uint64_t bytes)
{
    uint64_t done = 0, n;
    const uint8_t *at;

    while ((at = virtq_piece_next(s, bytes - done, &n)) != NULL) {
        memcpy((uint8_t *)buf + done, at, n);
        done += n;
    }
    return done;
}

uint64_t virtq_copy_in(struct virtq_side *s, const void *buf, uint64_t bytes)
{
    uint64_t done = 0, n;
    uint8_t *at;

    while ((at = virtq_piece_next(s, bytes - done, &n)) != NULL) {
        memcpy(at, (const uint8_t *)buf + done, n);
        done += n;
    }
    return done;
}
