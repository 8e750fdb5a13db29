/*
 * Fact: changes to the guest's own page tables take effect with INVLPG, MOV CR3 and CR4.PGE as on a
 * PC, and accessed and dirty bits are set.
 */
#include "guest.h"

enum { PTE_A = 1 << 5, PTE_D = 1 << 6, PTE_G = 1 << 8, CR4_PGE = 1 << 7 };

static uint64_t pdpt[512] __attribute__((aligned(4096)));
static uint64_t pd[512] __attribute__((aligned(4096)));
static uint64_t pt[512] __attribute__((aligned(4096)));
static uint64_t frame[4][512] __attribute__((aligned(4096)));
static volatile uint64_t *const window = (uint64_t *)(1ULL << 39);

static void invlpg(uint64_t at) { __asm__ volatile("invlpg (%0)" ::"r"(at) : "memory"); }

static void invlpg_non_canonical(void) { invlpg(0x8000000000000000); }

static void touch(void) { (void)window[0]; }

void guest_main(void)
{
    unsigned wrong = 0;

    boot_pml4[1] = (uint64_t)pdpt | 3;
    pdpt[0] = (uint64_t)pd | 3;
    pd[0] = (uint64_t)pt | 3;
    for (unsigned i = 0; i < 4; i++) frame[i][0] = 0x1000 + i;
    for (unsigned i = 0; i < 1000; i++) {
        pt[0] = (uint64_t)frame[i % 4] | 3;
        invlpg((uint64_t)window);
        wrong += window[0] != 0x1000 + i % 4;
    }
    fact("invlpg", wrong == 0, "1000 remaps");
    for (unsigned i = 0; i < 1000; i++) {
        pt[0] = (uint64_t)frame[i % 4] | 3;
        write_cr3(read_cr3());
        wrong += window[0] != 0x1000 + i % 4;
    }
    fact("cr3", wrong == 0, "1000 remaps");
    write_cr4(read_cr4() | CR4_PGE);
    for (unsigned i = 0; i < 1000; i++) {
        pt[0] = (uint64_t)frame[i % 4] | 3 | PTE_G;
        write_cr4(read_cr4() ^ CR4_PGE);
        wrong += window[0] != 0x1000 + i % 4;
    }
    fact("pge", wrong == 0, "1000 remaps of a global page");
    pt[0] = (uint64_t)frame[0] | 3;
    invlpg((uint64_t)window);
    (void)window[0];
    fact("accessed", (pt[0] & (PTE_A | PTE_D)) == PTE_A, "%lx", pt[0]);
    window[0] = 5;
    fact("dirty", (pt[0] & (PTE_A | PTE_D)) == (PTE_A | PTE_D) && frame[0][0] == 5, "%lx", pt[0]);
    pt[0] = 0;
    invlpg((uint64_t)window);
    fact("unmapped", expect_fault(touch) == FAULT(VEC_PF, 0) && fault_cr2 == (uint64_t)window,
         "cr2 %lx", fault_cr2);
    fact("non-canonical", expect_fault(invlpg_non_canonical) == FAULT_NONE, "INVLPG ignores it");
}
