/*
 * Counts aloud, 200 times a second of its own time: COUNT 1, COUNT 2, ... to n (3). Shows that a
 * guest goes on where it stood.
 */
#include "guest.h"

void guest_main(void)
{
    uint64_t n = arg_u64("n", 3), hz = tsc_hz();

    for (uint64_t i = 1; i <= n; i++) {
        for (uint64_t end = rdtsc() + hz / 200u; rdtsc() < end;) pause();
        print("COUNT %lu\n", i);
    }
    fact("counted", true, "%lu", n);
}
