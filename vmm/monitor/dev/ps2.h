/*
 * What the two PS/2 devices have in common: bytes that wait for the controller to clock them in.
 * Answers to commands go before what the device has to tell by itself. Header only; calls nothing.
 */
#ifndef VMM_MONITOR_DEV_PS2_H
#define VMM_MONITOR_DEV_PS2_H

#include <stdbool.h>
#include <stdint.h>

#define PS2_QUEUE_BYTES 16u /* as in the keyboards (IBM PS/2 Technical Reference, Keyboard) */
#define PS2_REPLY_BYTES 8u

#define PS2_ACK       0xfau
#define PS2_RESEND    0xfeu
#define PS2_TEST_GOOD 0xaau

struct ps2_queue {
    uint8_t bytes[PS2_QUEUE_BYTES], replies[PS2_REPLY_BYTES];
    uint8_t head, count, reply_head, reply_count;
    uint8_t last; /* byte sent last, for the resend command */
};

static inline unsigned ps2_room(const struct ps2_queue *q)
{
    return q->count < PS2_QUEUE_BYTES ? PS2_QUEUE_BYTES - q->count : 0;
}

/** The caller has looked at the room. */
static inline void ps2_put(struct ps2_queue *q, uint8_t byte)
{
    if (ps2_room(q) == 0) return;
    q->bytes[(q->head + q->count++) % PS2_QUEUE_BYTES] = byte;
}

/** A reply that finds no room is lost: the host has not read the earlier ones. */
static inline void ps2_reply(struct ps2_queue *q, uint8_t byte)
{
    if (q->reply_count >= PS2_REPLY_BYTES) return;
    q->replies[(q->reply_head + q->reply_count++) % PS2_REPLY_BYTES] = byte;
}

static inline bool ps2_waiting(const struct ps2_queue *q)
{
    return q->count != 0 || q->reply_count != 0;
}

/** Next byte; only while ps2_waiting(). */
static inline uint8_t ps2_get(struct ps2_queue *q)
{
    if (q->reply_count != 0) {
        q->last = q->replies[q->reply_head++ % PS2_REPLY_BYTES];
        q->reply_count--;
    } else if (q->count != 0) {
        q->last = q->bytes[q->head++ % PS2_QUEUE_BYTES];
        q->count--;
    }
    return q->last;
}

static inline void ps2_clear(struct ps2_queue *q)
{
    q->count = 0;
    q->reply_count = 0;
}

/** Do the counters that were loaded make sense? */
static inline bool ps2_queue_valid(const struct ps2_queue *q)
{
    return q->count <= PS2_QUEUE_BYTES && q->reply_count <= PS2_REPLY_BYTES;
}

#endif
