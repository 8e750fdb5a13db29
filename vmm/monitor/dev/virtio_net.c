/* Network device; see virtio_net.h. Sections are those of virtio 1.2. */
#include "virtio_net.h"

#include <stddef.h>
#include <string.h>

/* 5.1.3 */
#define F_CSUM       0u
#define F_GUEST_CSUM 1u
#define F_MAC        5u
#define F_GUEST_TSO4 7u
#define F_GUEST_TSO6 8u
#define F_HOST_TSO4  11u
#define F_HOST_TSO6  12u
#define F_MRG_RXBUF  15u
#define F_STATUS     16u

enum { RX = 0, TX = 1 };
#define STATUS_UP    1u
#define CONFIG_MAC   0u
#define CONFIG_STATE 6u

/* 5.1.6 */
struct header {
    struct net_offload offload;
    uint16_t num_buffers;
};

_Static_assert(sizeof(struct header) == 12, "virtio 1.2, 5.1.6");

/* ---- sending (5.1.6.2) ---- */

static bool may_segment(const struct virtio_net *n, uint8_t type)
{
    return type == NET_GSO_NONE || (type == NET_GSO_TCPV4 && virtio_has(&n->virtio, F_HOST_TSO4)) ||
           (type == NET_GSO_TCPV6 && virtio_has(&n->virtio, F_HOST_TSO6));
}

static uint32_t transmit(void *dev, struct virtq_chain *c)
{
    struct virtio_net *n = dev;
    struct header h;

    if (virtq_copy_out(&c->out, &h, sizeof(h)) < sizeof(h)) {
        n->port->count->refused++;
        return 0;
    }
    if (!virtio_has(&n->virtio, F_CSUM)) h.offload.flags = 0;
    h.offload.flags &= NET_NEEDS_CSUM;
    if (!net_offload_fits(&h.offload, c->out.left) || !may_segment(n, h.offload.gso_type)) {
        n->port->count->refused++;
        return 0;
    }
    return n->port->send(n->port->ctx, &h.offload, &c->out) ? 0 : VIRTIO_BLOCKED;
}

static void room(void *dev)
{
    struct virtio_net *n = dev;

    virtio_notified(&n->virtio, TX);
}

/* ---- receiving (5.1.6.4) ---- */

struct receiving {
    struct virtio_net *n;
    uint32_t in_chain; /* bytes written to the chain at hand */
    uint16_t chains;
    bool too_small; /* the buffers will never do */
    uint8_t *count_at[2];
};

static bool next_chain(struct receiving *r)
{
    struct virtio *v = &r->n->virtio;

    if (r->chains) {
        if (!virtio_has(v, F_MRG_RXBUF)) {
            r->too_small = true;
            return false;
        }
        virtio_put(v, RX, &r->n->rx, r->in_chain);
    }
    if (!virtio_take(v, RX, &r->n->rx)) return false;
    if (r->n->rx.in.left == 0) {
        virtio_break(v); /* a buffer that cannot be written */
        return false;
    }
    r->in_chain = 0;
    r->chains++;
    return true;
}

static bool put_bytes(struct receiving *r, const void *bytes, uint32_t count)
{
    const uint8_t *from = bytes;

    while (count) {
        uint32_t done = (uint32_t)virtq_copy_in(&r->n->rx.in, from, count);

        r->in_chain += done;
        from += done;
        count -= done;
        if (count && !next_chain(r)) return false;
    }
    return true;
}

/* The number of buffers is known at the end; where it goes, now. */
static bool put_header(struct receiving *r, const struct net_offload *o)
{
    if (!next_chain(r) || !put_bytes(r, o, sizeof(*o))) return false;
    for (unsigned i = 0; i < 2u; i++) {
        uint64_t one;

        r->count_at[i] = virtq_piece_next(&r->n->rx.in, 1, &one);
        if (!r->count_at[i]) {
            r->too_small = true; /* 5.1.6.3.1: a header lies in one buffer */
            return false;
        }
        r->in_chain++;
    }
    return true;
}

/* The Internet checksum over [from, to), as it stands in a packet. Zero says "none" in UDP, and its
 * complement means the same elsewhere. */
static uint16_t checksum(const uint8_t *from, const uint8_t *to)
{
    uint16_t sum = net_sum_end(net_sum(0, from, to));

    return sum ? sum : 0xffffu;
}

/* For guests that take no unfinished checksums. */
static bool put_finished(struct receiving *r, const struct net_offload *o, const uint8_t *frame,
                         uint32_t bytes)
{
    uint32_t at = (uint32_t)o->csum_start + o->csum_offset;
    uint16_t sum = checksum(frame + o->csum_start, frame + bytes);
    uint8_t big_endian[2] = {(uint8_t)(sum >> 8), (uint8_t)sum};

    return put_bytes(r, frame, at) && put_bytes(r, big_endian, 2) &&
           put_bytes(r, frame + at + 2u, bytes - at - 2u);
}

static const struct net_offload plain = {.gso_type = NET_GSO_NONE};

static bool put_frame(struct receiving *r, const struct net_offload *o, const uint8_t *frame,
                      uint32_t bytes)
{
    bool finish = o->flags && !virtio_has(&r->n->virtio, F_GUEST_CSUM);

    if (!put_header(r, finish ? &plain : o)) return false;
    return finish ? put_finished(r, o, frame, bytes) : put_bytes(r, frame, bytes);
}

static bool put_segment(struct receiving *r, const struct net_cut *c, const uint8_t *frame)
{
    struct net_segment s;

    net_cut_segment(c, r->n->segment, frame, &s);
    return put_header(r, &plain) && put_bytes(r, s.header, c->header_bytes) &&
           put_bytes(r, frame + s.at, s.bytes);
}

static bool takes_segments(const struct virtio_net *n, uint8_t type)
{
    return type == NET_GSO_NONE ||
           (type == NET_GSO_TCPV4 && virtio_has(&n->virtio, F_GUEST_TSO4)) ||
           (type == NET_GSO_TCPV6 && virtio_has(&n->virtio, F_GUEST_TSO6));
}

/* What is to be received: a frame, or the next of its segments. */
struct arrival {
    const struct net_offload *o;
    const uint8_t *frame;
    uint32_t bytes;
    const struct net_cut *cut; /* NULL: the frame */
};

static bool try_once(struct virtio_net *n, const struct arrival *a, bool *lost)
{
    struct receiving r = {.n = n};
    struct virtq *q = &n->virtio.queue[RX], before = *q;
    bool stands = true,
         put = a->cut ? put_segment(&r, a->cut, a->frame) : put_frame(&r, a->o, a->frame, a->bytes);

    if (put && n->port->stands) stands = n->port->stands(n->port->ctx);
    if (put && stands) {
        *r.count_at[0] = (uint8_t)r.chains;
        *r.count_at[1] = (uint8_t)(r.chains >> 8);
        virtio_put(&n->virtio, RX, &n->rx, r.in_chain);
        return true;
    }
    *q = before; /* of it nothing has been shown: the chains are available still */
    *lost = r.too_small || !stands || !virtio_live(&n->virtio, RX);
    return false;
}

/* @return false: lost, or no room now; then the driver says when there is */
static bool arrive(struct virtio_net *n, const struct arrival *a, bool *lost)
{
    struct virtio *v = &n->virtio;

    *lost = false;
    if (try_once(n, a, lost)) return true;
    if (!*lost) { /* ask to be told of buffers; some may have come before the driver sees that */
        virtq_want_kick(&v->queue[RX], v->host->mem, true);
        if (try_once(n, a, lost)) return true;
    }
    n->port->count->dropped += *lost ? 1u : 0u;
    return false;
}

/* A frame that the driver does not take whole. What has arrived of it stays so when there is no
 * room for the rest yet. */
static bool receive_cut(struct virtio_net *n, const struct arrival *whole)
{
    struct net_cut cut;
    struct arrival a = {.frame = whole->frame, .cut = &cut};
    bool lost = false;

    if (!net_cut_begin(&cut, whole->o, whole->frame, whole->bytes)) {
        n->port->count->dropped++;
        return true;
    }
    while (n->segment < cut.segments && arrive(n, &a, &lost)) n->segment++;
    virtio_show(&n->virtio, RX);
    if (n->segment < cut.segments && !lost) return false;
    n->segment = 0;
    return true;
}

static bool receive(void *dev, const struct net_offload *o, const uint8_t *frame, uint32_t bytes)
{
    struct virtio_net *n = dev;
    struct net_offload told = *o;
    const struct arrival a = {&told, frame, bytes, NULL};
    bool lost;

    /* A hint, which drivers may take for more than that: never beyond the frame. */
    if (told.header_bytes > bytes) told.header_bytes = (uint16_t)bytes;
    if (!virtio_live(&n->virtio, RX) || !net_offload_fits(o, bytes)) {
        n->port->count->dropped++;
        return true;
    }
    if (!takes_segments(n, o->gso_type)) return receive_cut(n, &a);
    if (!arrive(n, &a, &lost)) return lost;
    virtio_show(&n->virtio, RX);
    return true;
}

static void kick(void *dev, unsigned queue)
{
    struct virtio_net *n = dev;

    if (queue == TX) {
        virtio_serve(&n->virtio, TX, transmit);
        return;
    }
    virtq_want_kick(&n->virtio.queue[RX], n->virtio.host->mem, false);
    if (n->port->resume) n->port->resume(n->port->ctx);
}

static void reset(void *dev) { ((struct virtio_net *)dev)->segment = 0; }

static void set_status(struct virtio_net *n)
{
    n->config[CONFIG_STATE] = n->port->up ? STATUS_UP : 0;
}

static void changed(void *dev)
{
    struct virtio_net *n = dev;

    n->segment = 0;
    set_status(n);
    virtio_config_changed(&n->virtio);
}

bool virtio_net_init(struct virtio_net *n, struct pci *pci, const struct dev_host *host,
                     unsigned devfn, struct net_port *port)
{
    static const struct virtio_kind kind = {
        .name = "virtio-net",
        .type = 1,
        .class_code = 0x020000, /* Ethernet */
        .queues = 2,
        .queue_size = 256,
        .config_size = 8,
        .kick = kick,
        .reset = reset,
    };

    n->port = port;
    n->segment = 0;
    memcpy(n->config + CONFIG_MAC, port->mac, sizeof(port->mac));
    n->config[CONFIG_STATE + 1u] = 0;
    set_status(n);
    port->dev = n;
    port->receive = receive;
    port->room = room;
    port->changed = changed;
    return virtio_init(&n->virtio, pci, host, devfn, &kind,
                       VIRTIO_BIT(F_CSUM) | VIRTIO_BIT(F_GUEST_CSUM) | VIRTIO_BIT(F_MAC) |
                           VIRTIO_BIT(F_GUEST_TSO4) | VIRTIO_BIT(F_GUEST_TSO6) |
                           VIRTIO_BIT(F_HOST_TSO4) | VIRTIO_BIT(F_HOST_TSO6) |
                           VIRTIO_BIT(F_MRG_RXBUF) | VIRTIO_BIT(F_STATUS),
                       n->config, n);
}

static const struct state_member members[] = {STATE_MEMBER(struct virtio_net, segment)};

const struct dev_state virtio_net_state = DEV_STATE("virtio-net", 1, members, NULL);
