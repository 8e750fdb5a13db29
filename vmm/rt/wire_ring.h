/*
 * One end of one queue of a wire (bulkhead/wire_ring.h): placing frames, taking them, and who is to
 * be told. The peer may be hostile: what it writes is read once, bounded against what this end
 * knows, and nothing is kept in memory that it can write. Not for two threads at once.
 * Calls nothing.
 */
#ifndef VMM_RT_WIRE_RING_H
#define VMM_RT_WIRE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include "bulkhead/wire_ring.h"

struct wire_ring {
    /* wiring */
    uint8_t *own;        /* box that this end writes */
    const uint8_t *peer; /* and reads */
    uint32_t number, queues;
    /* this end's own account: what it has written to its box, it never reads there */
    uint32_t put, get;
    uint32_t skip, taken; /* bytes of the record at hand: before it, and with it */
    uint32_t self, other; /* numbers that make up the session */
    bool broken;
};

/** @param own, peer boxes of BH_RING_BOX_BYTES(@queues) bytes, aligned to 8
 *  @param queue number below @queues @param self this end's number, not 0 */
void wire_ring_init(struct wire_ring *r, uint8_t *own, const uint8_t *peer, uint32_t queues,
                    uint32_t queue, uint32_t self);

/** Begin anew with a peer of this number; 0: there is none. All that was on its way is lost. Queue
 * 0 writes the session: it comes last. */
void wire_ring_begin(struct wire_ring *r, uint32_t other);

/** Is the peer there, has it begun with this end, and has it kept to the rules so far? */
bool wire_ring_up(const struct wire_ring *r);

/**
 * Room for a frame of @bytes (BH_RING_FRAME_MIN..BH_RING_FRAME_BYTES) to be written, in one piece.
 * @return NULL: none now, and the peer has been asked to tell when there is; or the peer has broken
 *  the rules (wire_ring_up)
 */
uint8_t *wire_ring_place(struct wire_ring *r, uint32_t bytes);
/** The frame is there: show it. @offload its record's fields but for bytes. After
 *  wire_ring_place() with the same @bytes. @return is the peer to be signalled? */
bool wire_ring_put(struct wire_ring *r, const struct bh_ring_record *offload, uint32_t bytes);

/**
 * The frame that is next. The peer may go on writing to it.
 * @param[out] record of it, a copy: bytes is within bounds, all else as the peer has written it
 * @return NULL: none, or the peer has broken the rules (wire_ring_up)
 */
const uint8_t *wire_ring_look(struct wire_ring *r, struct bh_ring_record *record);
/** It is done with. @return is the peer to be signalled? */
bool wire_ring_take(struct wire_ring *r);
/** Ask to be told of the next frame. @return false: there is one already */
bool wire_ring_await(struct wire_ring *r);

#endif
