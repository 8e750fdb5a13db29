/* One end of a wire; see wire_ring.h. */
#include "wire_ring.h"
#include "string.h"

static struct bh_ring_header *own_header(const struct wire_ring *r)
{
    return (struct bh_ring_header *)(void *)r->own;
}

static const struct bh_ring_header *peer_header(const struct wire_ring *r)
{
    return (const struct bh_ring_header *)(const void *)r->peer;
}

static struct bh_ring_queue *own_queue(const struct wire_ring *r)
{
    return &own_header(r)->queue[r->number];
}

static const struct bh_ring_queue *peer_queue(const struct wire_ring *r)
{
    return &peer_header(r)->queue[r->number];
}

static uint32_t data_offset(const struct wire_ring *r, uint32_t position)
{
    return BH_RING_HEADER_BYTES + r->number * BH_RING_DATA_BYTES +
           (position & (BH_RING_DATA_BYTES - 1u));
}

/* What is left of the data behind a position. */
static uint32_t to_end(uint32_t position)
{
    return BH_RING_DATA_BYTES - (position & (BH_RING_DATA_BYTES - 1u));
}

static uint32_t record_bytes(uint32_t frame_bytes)
{
    return ((uint32_t)sizeof(struct bh_ring_record) + frame_bytes + BH_RING_ALIGN - 1u) &
           ~(BH_RING_ALIGN - 1u);
}

static uint32_t load(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }

static void store(uint32_t *p, uint32_t value) { __atomic_store_n(p, value, __ATOMIC_RELEASE); }

static bool passed(uint32_t event, uint32_t from, uint32_t to)
{
    return to - event - 1u < to - from;
}

/* What is stored must be visible before the other side's wish, or its position, is read. */
static void store_then_look(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

void wire_ring_init(struct wire_ring *r, uint8_t *own, const uint8_t *peer, uint32_t queues,
                    uint32_t queue, uint32_t self)
{
    *r = (struct wire_ring){
        .own = own, .peer = peer, .queues = queues, .number = queue, .self = self};
    wire_ring_begin(r, 0);
}

void wire_ring_begin(struct wire_ring *r, uint32_t other)
{
    struct bh_ring_queue *q = own_queue(r);
    struct bh_ring_header *h = own_header(r);

    /* Nobody but the peer that it was for gets to see what was sent. */
    if (r->put) memset(r->own + data_offset(r, 0), 0, BH_RING_DATA_BYTES);
    r->put = r->get = r->skip = r->taken = 0;
    r->other = other;
    r->broken = false;
    store(&q->put, 0);
    store(&q->get, 0);
    /* Nothing is sent yet: the first record is past this, and no room is asked for. */
    store(&q->data_event, 0);
    store(&q->room_event, 0u - 1u);
    if (r->number) return;
    h->magic = BH_RING_MAGIC;
    h->version = BH_RING_VERSION;
    h->queues = r->queues;
    __atomic_store_n(&h->session, (uint64_t)r->self << 32 | other, __ATOMIC_RELEASE);
}

bool wire_ring_up(const struct wire_ring *r)
{
    const struct bh_ring_header *h = peer_header(r);

    return r->other && !r->broken &&
           __atomic_load_n(&h->session, __ATOMIC_ACQUIRE) == ((uint64_t)r->other << 32 | r->self) &&
           load(&h->magic) == BH_RING_MAGIC && load(&h->version) == BH_RING_VERSION &&
           load(&h->queues) == r->queues;
}

/* ---- sending ---- */

/* @return bytes that can be written now; 0 as well when the peer's word makes no sense */
static uint32_t room(struct wire_ring *r)
{
    uint32_t used = r->put - load(&peer_queue(r)->get);

    if (used > BH_RING_DATA_BYTES || used % BH_RING_ALIGN) {
        r->broken = true;
        return 0;
    }
    return BH_RING_DATA_BYTES - used;
}

uint8_t *wire_ring_place(struct wire_ring *r, uint32_t bytes)
{
    uint32_t need = record_bytes(bytes), end = to_end(r->put);

    r->skip = end < need ? end : 0;
    if (r->broken) return NULL;
    if (room(r) < r->skip + need) {
        uint32_t enough = r->skip + need;

        /* Half of the data is worth the signal. */
        if (enough < BH_RING_DATA_BYTES / 2u) enough = BH_RING_DATA_BYTES / 2u;
        store(&own_queue(r)->room_event, r->put + enough - BH_RING_DATA_BYTES - 1u);
        store_then_look();
        if (room(r) < r->skip + need) return NULL;
    }
    return r->own + data_offset(r, r->put + r->skip) + sizeof(struct bh_ring_record);
}

static void write_record(struct wire_ring *r, uint32_t position, const struct bh_ring_record *from,
                         uint32_t bytes)
{
    struct bh_ring_record *to =
        (struct bh_ring_record *)(void *)(r->own + data_offset(r, position));

    *to = *from;
    to->bytes = bytes;
    to->reserved = 0;
}

bool wire_ring_put(struct wire_ring *r, const struct bh_ring_record *offload, uint32_t bytes)
{
    static const struct bh_ring_record nothing;
    uint32_t from = r->put;

    if (r->skip) write_record(r, r->put, &nothing, BH_RING_SKIP);
    write_record(r, r->put + r->skip, offload, bytes);
    r->put += r->skip + record_bytes(bytes);
    store(&own_queue(r)->put, r->put);
    store_then_look();
    return passed(load(&peer_queue(r)->data_event), from, r->put);
}

/* ---- receiving ---- */

static uint32_t waiting(struct wire_ring *r)
{
    uint32_t used = load(&peer_queue(r)->put) - r->get;

    if (used <= BH_RING_DATA_BYTES && used % BH_RING_ALIGN == 0) return used;
    r->broken = true;
    return 0;
}

/* Both words of a record are read once. */
static struct bh_ring_record read_record(const struct wire_ring *r, uint32_t position)
{
    const uint64_t *from = (const uint64_t *)(const void *)(r->peer + data_offset(r, position));
    union {
        uint64_t word[2];
        struct bh_ring_record record;
    } u;

    u.word[0] = __atomic_load_n(&from[0], __ATOMIC_RELAXED);
    u.word[1] = __atomic_load_n(&from[1], __ATOMIC_RELAXED);
    return u.record;
}

static bool record_fits(const struct bh_ring_record *record, uint32_t position, uint32_t used)
{
    return record->bytes >= BH_RING_FRAME_MIN && record->bytes <= BH_RING_FRAME_BYTES &&
           record_bytes(record->bytes) <= used && record_bytes(record->bytes) <= to_end(position);
}

const uint8_t *wire_ring_look(struct wire_ring *r, struct bh_ring_record *record)
{
    uint32_t used = r->broken ? 0 : waiting(r), position = r->get;

    r->taken = 0;
    if (used == 0) return NULL;
    *record = read_record(r, position);
    if (record->bytes == BH_RING_SKIP && to_end(position) < used) {
        used -= to_end(position);
        position += to_end(position);
        *record = read_record(r, position);
    }
    if (!record_fits(record, position, used)) {
        r->broken = true;
        return NULL;
    }
    r->taken = position - r->get + record_bytes(record->bytes);
    return r->peer + data_offset(r, position) + sizeof(*record);
}

bool wire_ring_take(struct wire_ring *r)
{
    uint32_t from = r->get;

    r->get += r->taken;
    r->taken = 0;
    store(&own_queue(r)->get, r->get);
    store_then_look();
    return passed(load(&peer_queue(r)->room_event), from, r->get);
}

bool wire_ring_await(struct wire_ring *r)
{
    store(&own_queue(r)->data_event, r->get);
    store_then_look();
    return r->broken || waiting(r) == 0;
}
