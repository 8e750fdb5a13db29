/*
 * A TCP frame that is to be cut into segments (virtio 1.2, 5.1.6.4), for guests that do not take it
 * whole: headers of each segment, with finished checksums; the data stays where it is. The frame
 * may change meanwhile: its headers are copied once, then checked; data is read for checksums only.
 * Calls nothing.
 */
#ifndef VMM_MONITOR_DEV_NET_CUT_H
#define VMM_MONITOR_DEV_NET_CUT_H

#include "net_port.h"

/** Ethernet with a VLAN tag, the longest headers of IPv4 and TCP, or IPv6 with some extensions. */
#define NET_CUT_HEADER_BYTES 256u
/** Of one frame: 64 bytes each, less than TCP's smallest (RFC 9293, 3.7.1: 536 without an option).
 */
#define NET_CUT_SEGMENTS_MAX 1024u

struct net_cut {
    uint8_t header[NET_CUT_HEADER_BYTES]; /* as it came */
    uint32_t header_bytes;                /* up to and with TCP's */
    uint32_t network, transport;          /* where the headers of IP and TCP begin */
    uint32_t data_bytes, segment_bytes;   /* of all segments; of each but the last */
    uint32_t segments;
    bool v4;
};

struct net_segment {
    uint8_t header[NET_CUT_HEADER_BYTES]; /* cut.header_bytes of it */
    uint32_t at, bytes;                   /* its data in the frame */
};

/** Look at a frame whose @o fits it (net_offload_fits) and that has a gso_type.
 *  @return false: it is not the TCP that it says */
bool net_cut_begin(struct net_cut *c, const struct net_offload *o, const uint8_t *frame,
                   uint32_t bytes);

/** @param n below c->segments @param frame the same */
void net_cut_segment(const struct net_cut *c, uint32_t n, const uint8_t *frame,
                     struct net_segment *s);

/** Add [from, to) to a sum of 16-bit words (RFC 1071); net_sum_end() folds and inverts it. Of 64
 * KiB at most. */
uint32_t net_sum(uint32_t sum, const uint8_t *from, const uint8_t *to);
uint16_t net_sum_end(uint32_t sum);

#endif
