/*
 * A network card's end of a wire to another VM (bulkhead/wire_ring.h): frames go from guest memory
 * into the wire and out of it into guest memory, copied once on each side. When there is no room
 * they stay where they are: in the sender's queue, or in the wire. The link is up while both ends
 * keep to the rules; what is sent meanwhile is lost, as with a cable that is pulled.
 * May call: the ring, its port's device, the clock; signals the peer through a function it is
 * given.
 */
#ifndef VMM_MONITOR_DEV_NET_WIRE_H
#define VMM_MONITOR_DEV_NET_WIRE_H

#include "bus.h"
#include "net_port.h"
#include "wire_ring.h"

struct net_wire {
    struct net_port port;
    struct wire_ring ring;
    const struct dev_host *host;
    void (*signal)(void *ctx); /* the peer */
    void *ctx;
    uint64_t deadline_ns; /* when net_wire_tick() is due */
    bool sender_waits;    /* a frame of the device found no room */
    bool receiver_waits;  /* the device had no room for a frame */
};

/** @param mac the device's address @param count where to count
 *  @param own, peer, self see wire_ring_init() */
void net_wire_init(struct net_wire *w, const uint8_t mac[6], struct bh_net_count *count,
                   uint8_t *own, const uint8_t *peer, uint32_t self, const struct dev_host *host,
                   void (*signal)(void *ctx), void *ctx);

/** The peer has this number now; 0: it is not there. After the device has been made. */
void net_wire_peer(struct net_wire *w, uint32_t number);

/** The peer has signalled. */
void net_wire_signalled(struct net_wire *w);

/** The device's state has been loaded: what it shows may not be what is. */
void net_wire_restored(struct net_wire *w);

/** Go on with what was left for later. */
void net_wire_tick(struct net_wire *w, uint64_t now_ns);

#endif
