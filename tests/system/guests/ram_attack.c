/*
 * The hostile neighbour: writes all of its own RAM and all the guest-physical space beyond that it
 * can name. Its own fact is small (it is alive afterwards); the neighbours' patterns are the test.
 * Command line: secs=T (1). The space right behind its RAM, where the host's next frames would be,
 * is written page by page, the rest every 2 MiB, the far end of the address space bit by bit.
 */
#include "guest.h"

enum { PDS = 12, PAGE = 4096, LARGE = 2 << 20, NEAR = 64 << 20 };

static uint64_t pds[PDS][512] __attribute__((aligned(4096)));
static uint64_t far_pdpt[512] __attribute__((aligned(4096)));
static uint64_t far_pd[512] __attribute__((aligned(4096)));
static uint64_t evil;
static uint64_t writes;

static void hit(uint64_t at)
{
    *(volatile uint64_t *)at = evil ^ at;
    writes++;
}

static bool in_use(uint64_t page)
{
    return page < PAGE || (page >= (uint64_t)image_start && page < (uint64_t)image_end);
}

static void own_ram(void)
{
    for (uint32_t i = 0; i < boot.ranges; i++) {
        uint64_t base = (boot.ram[i].base + PAGE - 1) & ~(uint64_t)(PAGE - 1);
        uint64_t end = boot.ram[i].base + boot.ram[i].bytes;

        for (uint64_t page = base; page + PAGE <= end && page < 16ULL << 30; page += PAGE) {
            if (in_use(page)) continue;
            for (uint64_t k = 0; k < PAGE; k += 64) *(volatile uint64_t *)(page + k) = evil ^ page;
            writes++;
        }
    }
}

static void beyond(uint64_t from)
{
    for (uint64_t at = from; at < from + NEAR; at += PAGE) hit(at);
    for (uint64_t at = from & ~(uint64_t)(LARGE - 1); at < 16ULL << 30; at += LARGE)
        /* The local APIC's page is this CPU's own, and no memory. */
        if (at >= from && at != LAPIC_BASE) hit(at + 8);
}

/* Through one moving 2 MiB window: every single address bit up to what CPUID announces. */
static void far_end(void)
{
    uint32_t bits = cpuid(0x80000008, 0).a & 0xff;
    uint64_t window = 1ULL << 39;

    boot_pml4[1] = (uint64_t)far_pdpt | 3;
    far_pdpt[0] = (uint64_t)far_pd | 3;
    for (uint32_t bit = 34; bit < bits && bit < 52; bit++)
        for (uint64_t n = 0; n < 64; n++) {
            far_pd[0] = (1ULL << bit) + n * LARGE + 0x83;
            __asm__ volatile("invlpg (%0)" ::"r"(window) : "memory");
            hit(window + 0x1000);
        }
}

void guest_main(void)
{
    uint64_t end = rdtsc() + arg_u64("secs", 1) * tsc_hz();
    unsigned round = 0;

    for (uint64_t i = 0; i < PDS; i++) {
        boot_pdpt[4 + i] = (uint64_t)pds[i] | 3;
        for (uint64_t j = 0; j < 512; j++) pds[i][j] = (i + 4) << 30 | j << 21 | 0x83;
    }
    do {
        evil = mix64(rdtsc());
        own_ram();
        beyond(ram_free_end());
        far_end();
        if (round++ == 0) print("BH-READY\n");
    } while (rdtsc() < end);
    fact("alive", true, "%lu writes in %u rounds", writes, round);
}
