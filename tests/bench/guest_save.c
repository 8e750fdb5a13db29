/*
 * Benchmark guest: a VM to be saved. Writes one word into each page of touched=MIB (64) of its
 * memory, says so, and spins: the bytes of the loop tell tests/bench/save_restore.py that the
 * guest goes on. Never ends by itself.
 */
#include "guest.h"

enum { PAGE = 4096, MIB = 1 << 20 };

void guest_main(void)
{
    uint64_t base = ram_free_base(), bytes = arg_u64("touched", 64) * MIB;

    if (base + bytes > ram_free_end()) skip("too little memory");
    for (uint64_t at = base; at < base + bytes; at += PAGE) *(volatile uint64_t *)at = mix64(at);
    print("BENCH-READY\n");
    __asm__ volatile("1: mov $0x42480045, %%eax\n\tjmp 1b" ::: "eax");
}
