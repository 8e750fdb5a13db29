/*
 * Fact: this guest gets at least floor=PERCENT (0) of its CPU in each of windows=N (25) windows of
 * 10 ms. Only where the clock counts instructions: a loop of known length against the TSC.
 */
#include "guest.h"

enum { WINDOW_MS = 10, TIMES = 500, INSTRUCTIONS = 2 * TIMES };

static void work(void)
{
    uint32_t n = TIMES;

    __asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(n)::"cc");
}

void guest_main(void)
{
    uint64_t floor = arg_u64("floor", 0), windows = arg_u64("windows", 25);
    uint64_t ticks = tsc_hz() / 1000u * WINDOW_MS, least = ~0ull, all = 0;

    for (uint64_t i = 0; i < windows; i++) {
        uint64_t start = rdtsc(), done = 0, permille;

        while (rdtsc() - start < ticks) {
            work();
            done += INSTRUCTIONS;
        }
        permille = done * 1000u / (rdtsc() - start);
        all += permille;
        if (permille < least) least = permille;
    }
    fact("floor", least >= floor * 10u, "least %lu permille of the CPU, mean %lu, floor %lu", least,
         all / windows, floor * 10u);
}
