/*
 * Guest time: nanoseconds since the VM's start, from the host's TSC. May call: nothing.
 */
#include "monitor.h"

static uint64_t start_tsc;
/* 32.32 fixed point; relative error below 2^-32. */
static uint64_t ns_per_tick, ticks_per_ns;

void clock_init(void)
{
    uint64_t khz = start_block()->tsc_khz ? start_block()->tsc_khz : 1000000u;

    start_tsc = rt_tsc();
    ns_per_tick = (1000000ull << 32) / khz;
    ticks_per_ns = (khz << 32) / 1000000u;
}

uint64_t clock_ns(void)
{
    return (uint64_t)((unsigned __int128)(rt_tsc() - start_tsc) * ns_per_tick >> 32);
}

uint64_t clock_start_tsc(void) { return start_tsc; }

uint64_t clock_ns_to_tsc(uint64_t ns)
{
    if (ns == NO_DEADLINE_NS) return BH_FOREVER;
    /* One tick more, so that the deadline has surely passed when the kernel reports it. */
    return start_tsc + (uint64_t)((unsigned __int128)ns * ticks_per_ns >> 32) + 1u;
}

void clock_set(uint64_t ns, uint64_t tsc)
{
    start_tsc = tsc - (uint64_t)((unsigned __int128)ns * ticks_per_ns >> 32);
}
