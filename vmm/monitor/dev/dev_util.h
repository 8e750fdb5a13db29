/*
 * Small arithmetic every device model shares: all-ones values, byte-wise register files, and exact
 * conversion between nanoseconds and clock ticks. Header only; calls nothing. No floating point and
 * no 128-bit division, so that the same source builds freestanding.
 */
#ifndef VMM_MONITOR_DEV_DEV_UTIL_H
#define VMM_MONITOR_DEV_DEV_UTIL_H

#include "bus.h"

#define NS_PER_S 1000000000ull

/** A guest may ask for a periodic interrupt faster than anybody can deliver it. Devices ask to be
 *  called back no earlier than this after a tick, so that the guest keeps making progress; expiries
 *  in between coalesce, as they would on a PC whose CPU is too slow. */
#define TIMER_MIN_REARM_NS 10000ull

/** What a read of nothing returns. @param size_bytes 1..8 */
static inline uint64_t dev_ones(unsigned size_bytes)
{
    return size_bytes >= 8u ? UINT64_MAX : ((uint64_t)1 << (size_bytes * 8u)) - 1u;
}

/** a + b, saturating at NO_DEADLINE_NS. */
static inline uint64_t ns_add(uint64_t a, uint64_t b)
{
    uint64_t sum = a + b;
    return sum < a ? NO_DEADLINE_NS : sum;
}

/** floor(ns * hz / 1e9), exact. @param hz 1..1e9 */
static inline uint64_t ns_to_ticks(uint64_t ns, uint64_t hz)
{
    return ns / NS_PER_S * hz + ns % NS_PER_S * hz / NS_PER_S;
}

/** ceil(ticks * 1e9 / hz): the first nanosecond at which ns_to_ticks() reaches @ticks; saturates.
 *  @param hz 1..18e9 */
static inline uint64_t ticks_to_ns(uint64_t ticks, uint64_t hz)
{
    uint64_t s = ticks / hz;
    uint64_t rest_ns = (ticks % hz * NS_PER_S + (hz - 1u)) / hz;

    if (s > UINT64_MAX / NS_PER_S - 1u) return NO_DEADLINE_NS;
    return ns_add(s * NS_PER_S, rest_ns);
}

/** The earlier of two deadlines. */
static inline uint64_t ns_min(uint64_t a, uint64_t b) { return a < b ? a : b; }

/** A wide access to a byte-wide ISA register file becomes byte cycles at ascending addresses. */
static inline uint64_t dev_read_bytes(uint8_t (*rd)(void *dev, unsigned reg), void *dev,
                                      uint64_t offset, unsigned size_bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size_bytes && i < 8u; i++)
        value |= (uint64_t)rd(dev, (unsigned)offset + i) << (i * 8u);
    return value;
}

static inline void dev_write_bytes(void (*wr)(void *dev, unsigned reg, uint8_t value), void *dev,
                                   uint64_t offset, unsigned size_bytes, uint64_t value)
{
    for (unsigned i = 0; i < size_bytes && i < 8u; i++)
        wr(dev, (unsigned)offset + i, (uint8_t)(value >> (i * 8u)));
}

#endif
