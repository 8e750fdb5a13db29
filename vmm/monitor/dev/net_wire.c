/* An end of a wire; see net_wire.h. */
#include "net_wire.h"

#include <string.h>
#include "dev_util.h"

_Static_assert(BH_RING_FRAME_MIN == NET_FRAME_MIN && BH_RING_FRAME_BYTES == NET_FRAME_MAX,
               "frames");

static void later(struct net_wire *w)
{
    w->deadline_ns = ns_add(w->host->now_ns(w->host->ctx), TIMER_MIN_REARM_NS);
}

/* ---- sending ---- */

static bool send(void *ctx, const struct net_offload *o, struct virtq_side *frame)
{
    struct net_wire *w = ctx;
    uint32_t bytes = (uint32_t)frame->left;
    uint8_t *place;

    if (!w->port.up) {
        w->port.count->lost++;
        return true;
    }
    place = wire_ring_place(&w->ring, bytes);
    if (!place && !w->ring.broken) {
        if (!w->sender_waits) w->port.count->send_waits++;
        w->sender_waits = true;
        return false;
    }
    if (!place) {
        w->port.count->lost++;
        later(w); /* the link goes down */
        return true;
    }
    (void)virtq_copy_out(frame, place, bytes);
    const struct bh_ring_record record = {
        .flags = o->flags,
        .gso_type = o->gso_type,
        .header_bytes = o->header_bytes,
        .gso_bytes = o->gso_bytes,
        .csum_start = o->csum_start,
        .csum_offset = o->csum_offset,
    };
    w->port.count->sent_frames++;
    w->port.count->sent_bytes += bytes;
    if (wire_ring_put(&w->ring, &record, bytes)) w->signal(w->ctx);
    return true;
}

/* ---- receiving ---- */

/* @return false: the device has no room */
static bool receive(struct net_wire *w, const struct bh_ring_record *r, const uint8_t *frame)
{
    const struct net_offload o = {
        .flags = r->flags,
        .gso_type = r->gso_type,
        .header_bytes = r->header_bytes,
        .gso_bytes = r->gso_bytes,
        .csum_start = r->csum_start,
        .csum_offset = r->csum_offset,
    };

    if (!w->port.receive(w->port.dev, &o, frame, r->bytes)) return false;
    w->port.count->received_frames++;
    w->port.count->received_bytes += r->bytes;
    if (wire_ring_take(&w->ring)) w->signal(w->ctx);
    return true;
}

/* As much at once as the wire holds: a peer that never pauses does not keep this thread. */
static void deliver(struct net_wire *w)
{
    uint32_t budget = BH_RING_DATA_BYTES;
    struct bh_ring_record r;
    const uint8_t *frame;

    w->receiver_waits = false;
    while (w->port.up) {
        frame = wire_ring_look(&w->ring, &r);
        if (w->ring.broken) {
            later(w);
            return;
        }
        if (!frame) {
            if (wire_ring_await(&w->ring)) return;
            /* One has come meanwhile; or a peer takes turns with saying so. */
            if (budget <= BH_RING_ALIGN) {
                later(w);
                return;
            }
            budget -= BH_RING_ALIGN;
            continue;
        }
        if (!receive(w, &r, frame)) {
            w->receiver_waits = true;
            w->port.count->receive_waits++;
            return;
        }
        if (r.bytes + BH_RING_ALIGN >= budget) {
            later(w);
            return;
        }
        budget -= r.bytes + BH_RING_ALIGN;
    }
}

/* Root takes the session back before it wipes what an ended VM has sent. */
static bool stands(void *ctx)
{
    const struct net_wire *w = ctx;

    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return wire_ring_up(&w->ring);
}

/* ---- both ---- */

static void set_up(struct net_wire *w, bool up)
{
    if (up && !w->port.up) w->port.count->ups++;
    w->port.up = up;
    w->port.count->up = up;
}

static void look(struct net_wire *w)
{
    bool up = wire_ring_up(&w->ring), changed = up != w->port.up;

    set_up(w, up);
    if (changed) w->port.changed(w->port.dev);
    if (changed || w->sender_waits) {
        w->sender_waits = false;
        w->port.room(w->port.dev);
    }
    deliver(w);
}

static void resume(void *ctx)
{
    struct net_wire *w = ctx;

    if (w->receiver_waits) deliver(w);
}

void net_wire_peer(struct net_wire *w, uint32_t number)
{
    if (number == w->ring.other) return;
    wire_ring_begin(&w->ring, number);
    if (w->port.up) { /* a new peer: the guest sees the link go down in any case */
        set_up(w, false);
        w->port.changed(w->port.dev);
    }
    w->signal(w->ctx);
    w->sender_waits = true; /* what has waited is lost, or goes to the new one */
    look(w);
}

void net_wire_signalled(struct net_wire *w) { look(w); }

void net_wire_tick(struct net_wire *w, uint64_t now_ns)
{
    if (now_ns < w->deadline_ns) return;
    w->deadline_ns = NO_DEADLINE_NS;
    look(w);
}

void net_wire_restored(struct net_wire *w)
{
    w->port.changed(w->port.dev);
    w->sender_waits = true;
    look(w);
}

void net_wire_init(struct net_wire *w, const uint8_t mac[6], struct bh_net_count *count,
                   uint8_t *own, const uint8_t *peer, uint32_t self, const struct dev_host *host,
                   void (*signal)(void *ctx), void *ctx)
{
    memset(w, 0, sizeof(*w));
    memcpy(w->port.mac, mac, 6);
    w->port.ctx = w;
    w->port.count = count;
    w->port.send = send;
    w->port.resume = resume;
    w->port.stands = stands;
    w->host = host;
    w->signal = signal;
    w->ctx = ctx;
    w->deadline_ns = NO_DEADLINE_NS;
    wire_ring_init(&w->ring, own, peer, 1, 0, self);
}
