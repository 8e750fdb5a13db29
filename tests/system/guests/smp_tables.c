/*
 * Fact: a CPU that changes page tables and code under another one's accesses to devices gains
 * nothing by it: each access is the one before the change or the one after it, or a page fault that
 * the guest itself takes.
 */
#include "smp.h"

enum { WINDOW = 0x40000000, ROUNDS = 4000 };
enum { PTE_P = 1, PTE_W = 2, PTE_PS = 0x80, PTE_UC = 0x18 };

static uint64_t table[512] __attribute__((aligned(4096)));
static uint8_t code[2][4096] __attribute__((aligned(4096)));
static volatile uint32_t done, ready, faults, wrong;

/* CPU 1: the window is now the local APIC's page, now the I/O APIC's, now nothing. The code page
 * that does the access changes, too. */
static void change(unsigned cpu)
{
    volatile uint64_t *device = &table[0], *text = &table[1];

    if (cpu != 1) return;
    smp_add(&ready, 1);
    for (uint32_t i = 0; !done; i++) {
        *device = i % 3 == 0 ? 0 : (i % 3 == 1 ? LAPIC_BASE : 0xfec00000) | PTE_P | PTE_W | PTE_UC;
        *text = (uint64_t)code[i % 5 == 0] | PTE_P | PTE_W;
        if (i % 7 == 0) *text = 0;
        code[1][0] = i & 1 ? 0x8b : 0x89; /* a load becomes a store */
        for (unsigned n = 0; n < i % 64; n++) pause();
    }
}

static void flush(uint64_t at) { __asm__ volatile("invlpg (%0)" ::"r"(at) : "memory"); }

/* The fault is the guest's own business: map it again and go on. */
static void on_fault(struct regs *r)
{
    uint64_t at = read_cr2();

    (void)r;
    faults++;
    if (at - WINDOW >= 8192) {
        wrong++;
        finish();
    }
    flush(at);
    pause();
}

void guest_main(void)
{
    /* mov (%rdi), %eax; mov %eax, (%rsi) -> as a store: mov %eax, (%rdi); ret */
    static const uint8_t text[] = {0x8b, 0x07, 0xc3};
    uint32_t version = 0;

    pic_init();
    if (!lapic_init(false)) skip("no local APIC");
    if (smp_cpus() < 2) skip("one CPU");
    version = lapic_read(LAPIC_VERSION);
    memcpy(code[0], text, sizeof(text));
    memcpy(code[1], text, sizeof(text));
    table[1] = (uint64_t)code[0] | PTE_P | PTE_W;
    boot_pd[WINDOW >> 21] = (uint64_t)table | PTE_P | PTE_W;
    write_cr3(read_cr3());
    trap_set(VEC_PF, on_fault);
    (void)smp_start(change);
    if (!smp_wait(&ready, 1)) skip("CPU 1 does not start");
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t at = WINDOW + LAPIC_VERSION, fn = WINDOW + 4096;
        uint32_t value = 0;

        flush(WINDOW);
        flush(WINDOW + 4096);
        __asm__ volatile("call *%2" : "+a"(value) : "D"(at), "r"(fn) : "memory", "cc");
        /* A load of either register, or the store of 0. */
        if (value != version && value != 0) wrong++;
    }
    done = 1;
    fact("accesses", wrong == 0, "%u wrong of %u, %u page faults", wrong, ROUNDS, faults);
    fact("apic-intact", lapic_read(LAPIC_VERSION) == version, "%x", lapic_read(LAPIC_VERSION));
}
