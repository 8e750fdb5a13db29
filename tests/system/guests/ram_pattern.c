/*
 * Fact: checksummed patterns over at least 90 % of RAM stay as written while neighbours work, and
 * guest-physical space without memory behind it reads all ones.
 * Command line: secs=T (1) seed=N (1) rounds until T seconds of TSC time have passed, at least 2.
 */
#include "guest.h"

enum { PDS = 64, PAGE = 4096, LARGE = 2 << 20 };

static uint64_t pds[PDS][512] __attribute__((aligned(4096)));
static uint64_t seed;
static uint64_t covered;

/* Map what lies between 4 GiB and 68 GiB one to one as well. */
static void map_high(void)
{
    for (uint64_t i = 0; i < PDS; i++) {
        boot_pdpt[4 + i] = (uint64_t)pds[i] | 3;
        for (uint64_t j = 0; j < 512; j++) pds[i][j] = (i + 4) << 30 | j << 21 | 0x83;
    }
}

/* The base of a page's pattern in a round; word i adds i times an odd constant. */
static uint64_t page_base(uint64_t page, uint64_t round)
{
    return mix64(seed ^ mix64(page ^ round << 48));
}

static bool in_use(uint64_t page)
{
    return page < PAGE || (page >= (uint64_t)image_start && page < (uint64_t)image_end) ||
           (page >= 0x9f000 && page < 0x100000);
}

/* Fill for `round`, after checking `round - 1` unless this is the first. */
static uint64_t pass(uint64_t round)
{
    uint64_t wrong = 0;

    covered = 0;
    for (uint32_t i = 0; i < boot.ranges; i++) {
        uint64_t base = (boot.ram[i].base + PAGE - 1) & ~(uint64_t)(PAGE - 1);
        uint64_t end = (boot.ram[i].base + boot.ram[i].bytes) & ~(uint64_t)(PAGE - 1);

        for (uint64_t page = base; page < end && page < (uint64_t)(PDS + 4) << 30; page += PAGE) {
            volatile uint64_t *w = (volatile uint64_t *)page;
            uint64_t was = page_base(page, round - 1);
            uint64_t is = page_base(page, round);

            if (in_use(page)) continue;
            covered += PAGE;
            for (uint64_t k = 0; k < 512; k++) {
                uint64_t step = k * 0x9e3779b97f4a7c15ULL;

                if (round && w[k] != was + step && wrong++ < 4)
                    print("  %lx holds %lx not %lx in round %lu\n", page + 8 * k, w[k], was + step,
                          round);
                w[k] = is + step;
            }
        }
    }
    return wrong;
}

static bool is_ram(uint64_t at)
{
    for (uint32_t i = 0; i < boot.ranges; i++)
        if (at >= boot.ram[i].base && at < boot.ram[i].base + boot.ram[i].bytes) return true;
    return false;
}

/* Every 2 MiB up to where a PC's own devices begin, and above 4 GiB. */
static void beyond(void)
{
    uint64_t probes = 0;
    uint64_t wrong = 0;

    for (uint64_t at = ram_free_end() + LARGE; at < (uint64_t)(PDS + 4) << 30; at += LARGE) {
        if (at >= 0xb0000000 && at < 1ULL << 32) continue;
        if (is_ram(at)) continue;
        /* Beyond 8 GiB a sample is enough. */
        if (at >= 8ULL << 30 && at & ((64ULL << 20) - 1)) continue;
        probes++;
        if (*(volatile uint64_t *)at != ~0ULL && wrong++ < 4)
            print("  %lx reads %lx\n", at, *(volatile uint64_t *)at);
    }
    fact("beyond", wrong == 0, "%lu of %lu probes", wrong, probes);
}

void guest_main(void)
{
    uint64_t secs = arg_u64("secs", 1);
    uint64_t end = rdtsc() + secs * tsc_hz();
    uint64_t wrong = 0;
    uint64_t round = 0;

    seed = arg_u64("seed", 1);
    map_high();
    do {
        wrong += pass(round++);
        if (round == 1) print("BH-READY\n");
    } while (round < 3 || rdtsc() < end);
    fact("kept", wrong == 0, "%lu words wrong in %lu rounds", wrong, round - 1);
    fact("coverage", covered * 10 >= ram_bytes() * 9, "%lu of %lu KiB", covered >> 10,
         ram_bytes() >> 10);
    beyond();
}
