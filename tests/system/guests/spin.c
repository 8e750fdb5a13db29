/*
 * Fact for the neighbours: a guest that never exits by itself is preempted. It spins with
 * interrupts off for ever, or for spin_ms=N of TSC time, and then passes.
 */
#include "guest.h"

void guest_main(void)
{
    uint64_t ms = arg_u64("spin_ms", 0);
    uint64_t end;

    print("BH-EXPECT spinning\n");
    if (!ms) __asm__ volatile("cli; 1: jmp 1b");
    end = rdtsc() + tsc_hz() / 1000 * ms;
    while (rdtsc() < end)
        ;
    fact("returned", true, "after %lu ms", ms);
}
