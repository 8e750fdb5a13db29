/*
 * Guest time: nanoseconds since the VM's start, from the host's TSC. May call: nothing.
 */
#include "monitor.h"

static uint64_t start_tsc;
static uint64_t ns_per_tick; /* 32.32 fixed point */

void clock_init(void)
{
    uint64_t khz = start_block()->tsc_khz ? start_block()->tsc_khz : 1000000u;

    start_tsc = rt_tsc();
    ns_per_tick = (1000000ull << 32) / khz;
}

/* At least so many ticks until @ns have passed by clock_ns(): by a division, since a second factor
 * is not exactly the first one's inverse, and the difference grows with the time that a VM is up:
 * after a month a deadline would be over for the kernel a millisecond before it is here, and the
 * guest not run for so long. UINT64_MAX: more than 2^62. */
static uint64_t ticks_of(uint64_t ns)
{
    uint64_t ticks, rest;

    if (ns >> 32 >= ns_per_tick) return UINT64_MAX;
    __asm__("divq %4"
            : "=a"(ticks), "=d"(rest)
            : "0"(ns << 32), "1"(ns >> 32), "r"(ns_per_tick)
            : "cc");
    return ticks >> 62 ? UINT64_MAX : ticks + (rest != 0);
}

uint64_t clock_ns_at(uint64_t tsc)
{
    return (uint64_t)((unsigned __int128)(tsc - start_tsc) * ns_per_tick >> 32);
}

uint64_t clock_ns(void) { return clock_ns_at(rt_tsc()); }

uint64_t clock_start_tsc(void) { return start_tsc; }

uint64_t clock_ns_to_tsc(uint64_t ns)
{
    uint64_t ticks = ticks_of(ns);

    if (ticks == UINT64_MAX) return BH_FOREVER;
    /* A restored VM may have begun before this host: what was due then is due. */
    return (int64_t)(start_tsc + ticks) < 0 ? 0 : start_tsc + ticks;
}

void clock_set(uint64_t ns, uint64_t tsc) { start_tsc = tsc - ticks_of(ns); }
