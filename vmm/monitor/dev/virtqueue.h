/*
 * A split virtqueue, the device's side (virtio 1.2, 2.7). The driver may rewrite all of it at any
 * moment: each descriptor and index is read once, and everything it says is checked before it is
 * used. A chain's buffers come out as places in guest RAM, never as guest addresses. Nothing is
 * held over from one access of the guest to the next but the indexes below. Calls guest memory
 * only.
 */
#ifndef VMM_MONITOR_DEV_VIRTQUEUE_H
#define VMM_MONITOR_DEV_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include "guest_mem.h"

#define VIRTQ_SIZE_MAX 256u /* a power of two */

/** What the driver has set up, and how far the device has come: plain data, all of it is state. */
struct virtq {
    uint64_t desc, avail, used;             /* guest-physical addresses of the three parts */
    uint16_t size;                          /* a power of two, at most VIRTQ_SIZE_MAX */
    uint16_t avail_next;                    /* the next entry of the available ring to look at */
    uint16_t used_next;                     /* where the next used element goes */
    uint16_t used_shown;                    /* what the driver has been told of used_next */
    uint8_t enabled, indirect, event_index; /* the last two: features, as negotiated */
    uint8_t reserved;
};

struct virtq_piece {
    uint8_t *at;
    uint32_t bytes;
};

/** One direction of a chain, taken from its front. */
struct virtq_side {
    struct virtq_piece *piece; /* the first that is not used up */
    uint64_t left;             /* bytes */
};

struct virtq_chain {
    uint16_t head;
    struct virtq_side out; /* what the driver has written for the device */
    struct virtq_side in;  /* what the device is to write */
    struct virtq_piece piece[VIRTQ_SIZE_MAX];
};

enum virtq_result { VIRTQ_NONE, VIRTQ_CHAIN, VIRTQ_BROKEN };

/** Are the three parts where the standard and guest RAM allow them to be (2.7, table of
 *  alignments)? */
bool virtq_placed(const struct virtq *q, const struct guest_mem *mem);

/** Take the next available chain. @return VIRTQ_BROKEN: the driver has broken a rule; the queue is
 *  not to be looked at again until it is reset */
enum virtq_result virtq_take(struct virtq *q, const struct guest_mem *mem, struct virtq_chain *c);

/** Is there a chain to take? Reads one index. */
bool virtq_waiting(const struct virtq *q, const struct guest_mem *mem);

/** Say that a chain is done; the driver sees it after virtq_show(). @bytes written to its front */
void virtq_put(struct virtq *q, const struct guest_mem *mem, uint16_t head, uint32_t bytes);

/** Show the driver all that was put. @return whether it wants an interrupt for that (2.7.7) */
bool virtq_show(struct virtq *q, const struct guest_mem *mem);

/** Ask for a notification when the next chain is made available, or for none (2.7.10). Who asks
 *  looks again after that. */
void virtq_want_kick(struct virtq *q, const struct guest_mem *mem, bool wanted);

/** The next piece of a side, at most @max bytes of it. @return NULL: nothing left */
uint8_t *virtq_piece_next(struct virtq_side *s, uint64_t max, uint64_t *bytes);

/** Copy from the front of @s, or to it. @return bytes copied: less than @bytes when no more is
 *  left */
uint64_t virtq_copy_out(struct virtq_side *s, void *buf, uint64_t bytes);
uint64_t virtq_copy_in(struct virtq_side *s, const void *buf, uint64_t bytes);

#endif
