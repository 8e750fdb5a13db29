/*
 * A wire: two network cards of two VMs, joined by memory and two notifications. Each end has a box
 * of root's memory that it writes and its peer only reads, so nothing that an end has written can
 * be changed under its hands. A box holds, for each queue, frames on their way to the peer and how
 * far this end has read what the peer has sent. The peer may be hostile: geometry is constant here,
 * and each word of its box is read once and bounded before use.
 */
#ifndef BULKHEAD_WIRE_RING_H
#define BULKHEAD_WIRE_RING_H

#include <stdint.h>

#define BH_RING_MAGIC       0x31524842u /* "BHR1" */
#define BH_RING_VERSION     1u
#define BH_RING_QUEUES_MAX  8u       /* room in the header; box memory is of the queues in use */
#define BH_RING_DATA_BYTES  0x40000u /* of one queue; a power of two */
#define BH_RING_ALIGN       16u      /* records begin at multiples of it */
#define BH_RING_FRAME_MIN   14u      /* of a frame at least: an Ethernet header */
#define BH_RING_FRAME_BYTES 65549u   /* of a frame at most: 64 KiB - 1 behind the Ethernet header */
#define BH_RING_SKIP        0xffffffffu /* record.bytes: the next record is at the data's start */

/**
 * One direction's positions count bytes modulo 2^32 from 0 on; position p is at p modulo
 * BH_RING_DATA_BYTES of the data. What lies between the sender's put and the receiver's get are
 * whole records. A peer whose put - get exceeds the data's size, or whose records do not, is
 * broken: the wire is down until one of the two starts anew.
 *
 * Signals are sent only on request. The sender that moves its put past the receiver's data_event
 * signals it; the receiver that moves its get past the sender's room_event signals that one: moving
 * from a to b is past e when (b - e - 1) mod 2^32 < (b - a) mod 2^32. Whoever asks looks again
 * after that.
 */
struct bh_ring_queue {
    uint32_t put;        /* of what this end sends; written behind the records (release) */
    uint32_t room_event; /* this end wants to be told of room */
    uint32_t reserved0[14];
    uint32_t get;        /* of what the peer sends; written when its records are done with */
    uint32_t data_event; /* this end wants to be told of records */
    uint32_t reserved1[14];
};

/**
 * A box: this header in a page of its own, then BH_RING_DATA_BYTES for each queue.
 * @session: this end's number << 32 | the peer's number, both told by root (bh_monitor_wire); they
 * differ with each start of a VM. An end whose peer has another number than before sets all of its
 * positions to 0, then writes session (release). The wire is up for an end when the peer's session
 * is the mirror image of its own.
 */
struct bh_ring_header {
    uint32_t magic;
    uint32_t version;
    uint32_t queues; /* 1..BH_RING_QUEUES_MAX, the same in both boxes */
    uint32_t reserved0;
    uint64_t session;
    uint32_t reserved1[26];
    struct bh_ring_queue queue[BH_RING_QUEUES_MAX];
};

/** In front of each frame, which lies in one piece. Next record: behind it, aligned; a record that
 *  would not fit before the data's end begins at its start. Offload: virtio 1.2, 5.1.6. */
struct bh_ring_record {
    uint32_t bytes; /* of the frame: BH_RING_FRAME_MIN..BH_RING_FRAME_BYTES, or BH_RING_SKIP */
    uint8_t flags, gso_type;
    uint16_t header_bytes, gso_bytes, csum_start, csum_offset;
    uint16_t reserved;
};

#define BH_RING_HEADER_BYTES       4096u
#define BH_RING_BOX_BYTES(nqueues) (BH_RING_HEADER_BYTES + (nqueues)*BH_RING_DATA_BYTES)

_Static_assert(sizeof(struct bh_ring_queue) == 128, "ABI");
_Static_assert(__builtin_offsetof(struct bh_ring_header, queue) == 128, "ABI");
_Static_assert(sizeof(struct bh_ring_header) <= BH_RING_HEADER_BYTES, "ABI");
_Static_assert(sizeof(struct bh_ring_record) == BH_RING_ALIGN, "ABI");

#endif
