/*
 * Fact: control registers accept and refuse what the manuals say, and their bits work. What leaves
 * long mode when it is wrongly accepted is in cr_fatal.c, and CR4 in cr4_bits.c. Intel SDM vol.
 * 3A, 2.5; AMD APM 2, 3.1.
 */
#include "guest.h"

enum { CR0_NW = 1 << 29, CR0_CD = 1 << 30, CR0_WP = 1 << 16, CR0_ET = 1 << 4, CR0_TS = 1 << 3 };

static uint64_t pdpt[512] __attribute__((aligned(4096)));
static uint64_t pd[512] __attribute__((aligned(4096)));
static uint64_t pt[512] __attribute__((aligned(4096)));
static uint8_t page[4096] __attribute__((aligned(4096)));
static uint64_t value;

#define SETTER(reg)                                                                                \
    static void set_##reg(void) { write_##reg(value); }
SETTER(cr8)

static void read_cr1(void) { __asm__ volatile(".byte 0x0f, 0x20, 0xc8" ::: "rax"); }

static void read_cr5(void) { __asm__ volatile(".byte 0x0f, 0x20, 0xe8" ::: "rax"); }

static void write_window(void) { *(volatile uint8_t *)(1ULL << 39) = 1; }

static void refused(const char *name, void (*set)(void), uint64_t v, uint64_t old)
{
    unsigned f;

    value = v;
    f = expect_fault(set);
    fact(name, f == FAULT(VEC_GP, 0), "%lx gives %x", v, f);
    value = old;
    if (f == FAULT_NONE) set();
}

static void cr0(void)
{
    uint64_t old = read_cr0();

    write_cr0(old | CR0_CD);
    fact("cr0-cd", read_cr0() & CR0_CD, "%lx", read_cr0());
    write_cr0(old | CR0_CD | CR0_NW);
    fact("cr0-cd-nw", (read_cr0() & (CR0_CD | CR0_NW)) == (CR0_CD | CR0_NW), "%lx", read_cr0());
    write_cr0(old);
    write_cr0(old & ~(uint64_t)CR0_ET);
    fact("cr0-et", read_cr0() & CR0_ET, "always one");
    write_cr0(old | CR0_TS);
    fact("cr0-ts", read_cr0() & CR0_TS, "%lx", read_cr0());
    __asm__ volatile("clts");
    fact("clts", !(read_cr0() & CR0_TS), "%lx", read_cr0());
    __asm__ volatile("lmsw %w0" ::"r"(0x0008));
    fact("lmsw", (read_cr0() & 0xf) == 9, "PE stays, TS set: %lx", read_cr0());
    write_cr0(old);
    boot_pml4[1] = (uint64_t)pdpt | 3;
    pdpt[0] = (uint64_t)pd | 3;
    pd[0] = (uint64_t)pt | 3;
    pt[0] = (uint64_t)page | 1;
    fact("cr0-wp-set", expect_fault(write_window) == FAULT(VEC_PF, 3), "read-only page");
    write_cr0(old & ~(uint64_t)CR0_WP);
    fact("cr0-wp-clear", expect_fault(write_window) == FAULT_NONE && page[0] == 1, "is writable");
    write_cr0(old);
    fact("cr0-wp-again", expect_fault(write_window) == FAULT(VEC_PF, 3), "read-only again");
}

void guest_main(void)
{
    cr0();
    lapic_init(false);
    for (value = 0; value < 16; value++) {
        write_cr8(value);
        if (read_cr8() != value || lapic_read(LAPIC_TPR) != value << 4) break;
    }
    fact("cr8-is-tpr", value == 16, "%lu", value);
    lapic_write(LAPIC_TPR, 0x53);
    fact("tpr-is-cr8", read_cr8() == 5, "%lx", read_cr8());
    write_cr8(0);
    refused("cr8-high", set_cr8, 16, 0);
    fact("cr1", expect_fault(read_cr1) == FAULT(VEC_UD, 0), "does not exist");
    fact("cr5", expect_fault(read_cr5) == FAULT(VEC_UD, 0), "does not exist");
}
