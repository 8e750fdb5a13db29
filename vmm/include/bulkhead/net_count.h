/*
 * What a network card has carried since its VM's start: counted by the monitor, in memory that root
 * reads at any time, shown by bhctl. It is the monitor's word, and of interest to people only.
 */
#ifndef BULKHEAD_NET_COUNT_H
#define BULKHEAD_NET_COUNT_H

#include <stdint.h>

struct bh_net_count {
    uint64_t sent_frames, sent_bytes;
    uint64_t received_frames, received_bytes;
    uint64_t lost;    /* sent by the guest while the link was down, or to nobody */
    uint64_t dropped; /* received, and not for the guest: it has no driver, or too small buffers */
    uint64_t refused; /* sent by the guest, and no frames */
    uint64_t send_waits;    /* a frame has had to wait: no room in the wire */
    uint64_t receive_waits; /* the same: the guest had no room for it */
    uint32_t up;            /* the link's state */
    uint32_t ups;           /* how often it has come up */
};

_Static_assert(sizeof(struct bh_net_count) == 80, "ABI");

#endif
