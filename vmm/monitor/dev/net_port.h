/*
 * Where a network device ends and what is behind it begins: a reflector, or a wire to another VM.
 * Frames are Ethernet without checksum sequence; checksums and segments may be left for the
 * receiver to finish, as virtio's header says it (virtio 1.2, 5.1.6). Both sides take a frame whole
 * or not at all. Neither calls the other back from inside a call of its own, but for the frame that
 * a reflector returns at once, and the frames that have waited for resume().
 */
#ifndef VMM_MONITOR_DEV_NET_PORT_H
#define VMM_MONITOR_DEV_NET_PORT_H

#include <stdbool.h>
#include <stdint.h>
#include "bulkhead/net_count.h"
#include "virtqueue.h"

#define NET_HEADER_BYTES 14u    /* addresses and type */
#define NET_FRAME_MIN    14u    /* whoever needs 60 bytes pads */
#define NET_FRAME_PLAIN  1518u  /* with a VLAN tag */
#define NET_FRAME_MAX    65549u /* to be cut into segments: 64 KiB - 1 behind the header */

#define NET_NEEDS_CSUM 1u
#define NET_GSO_NONE   0u
#define NET_GSO_TCPV4  1u
#define NET_GSO_TCPV6  4u

struct net_offload {
    uint8_t flags, gso_type;
    uint16_t header_bytes, gso_bytes, csum_start, csum_offset;
};

_Static_assert(sizeof(struct net_offload) == 10, "virtio 1.2, 5.1.6, without num_buffers");

/** Does what @o says fit a frame of @bytes? For whoever takes a frame from somebody else. */
static inline bool net_offload_fits(const struct net_offload *o, uint64_t bytes)
{
    bool csum = (o->flags & NET_NEEDS_CSUM) != 0;

    if (bytes < NET_FRAME_MIN || (o->flags & ~NET_NEEDS_CSUM)) return false;
    if (csum && (uint64_t)o->csum_start + o->csum_offset + 2u > bytes) return false;
    if (o->gso_type == NET_GSO_NONE) return bytes <= NET_FRAME_PLAIN;
    return bytes <= NET_FRAME_MAX && csum && o->gso_bytes &&
           (o->gso_type == NET_GSO_TCPV4 || o->gso_type == NET_GSO_TCPV6);
}

struct net_port {
    /* what is behind; set before the device is made */
    void *ctx;
    uint8_t mac[6]; /* of the device */
    bool up;
    struct bh_net_count *count; /* both count here */
    /** The device sends: all that is left in @frame. @return false: no room; room() follows */
    bool (*send)(void *ctx, const struct net_offload *o, struct virtq_side *frame);
    /** The device has room for frames again, after receive() had none. May be NULL. */
    void (*resume)(void *ctx);
    /** Asked within receive(), when the frame has been copied: is it still what was sent? False:
     * its sender has ended meanwhile, the frame is lost. NULL: nobody changes it. */
    bool (*stands)(void *ctx);

    /* the device; set by it */
    void *dev;
    /** A frame arrives, which somebody may go on changing. @return false: no room now; resume() follows. True does not say that the
     *  guest has it: a network may lose frames. */
    bool (*receive)(void *dev, const struct net_offload *o, const uint8_t *frame, uint32_t bytes);
    /** There is room to send again. */
    void (*room)(void *dev);
    /** @up has changed. */
    void (*changed)(void *dev);
};

#endif
