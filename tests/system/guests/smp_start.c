/*
 * Fact: a CPU waits after INIT and starts at the start-up message's page, in the state that table
 * 10-1 of the Intel SDM vol. 3A gives; a further start-up message changes nothing; INIT stops it at
 * any time, and what INIT leaves alone is as it was.
 */
#include "smp.h"

enum { PAGE = 0x9000, REPORT = 0xa000 };

/* What the probe below has found; at REPORT. */
struct report {
    uint32_t count, edx, cr0, cr2, cr3, cr4, dr6, dr7, efer, unused, cs, ds, eax;
};
extern char probe_begin[], probe_end[];

/* Real mode: writes down what it was started with, then counts. */
__asm__(".text\n"
        ".code16\n"
        "probe_begin:\n"
        "  movw %ds, %sp\n" /* kept: DS goes next; SP is not needed */
        "  movw $0xa00, %bx\n"
        "  movw %bx, %ds\n"
        "  movl %eax, 48\n"
        "  movl %edx, 4\n"
        "  movzwl %sp, %eax\n"
        "  movl %eax, 44\n"
        "  movl %cr0, %eax\n"
        "  movl %eax, 8\n"
        "  movl %cr2, %eax\n"
        "  movl %eax, 12\n"
        "  movl %cr3, %eax\n"
        "  movl %eax, 16\n"
        "  movl %cr4, %eax\n"
        "  movl %eax, 20\n"
        "  movl %dr6, %eax\n"
        "  movl %eax, 24\n"
        "  movl %dr7, %eax\n"
        "  movl %eax, 28\n"
        "  movl $0xc0000080, %ecx\n"
        "  rdmsr\n"
        "  movl %eax, 32\n"
        "  xorl %eax, %eax\n"
        "  movw %cs, %ax\n"
        "  movl %eax, 40\n"
        "1:\n"
        "  lock incl 0\n"
        "  pause\n"
        "  jmp 1b\n"
        "probe_end:\n"
        ".code64\n");

static volatile struct report *report(void) { return (struct report *)(uint64_t)REPORT; }

static bool moves(volatile uint32_t *word)
{
    uint32_t before = *word;

    pit_wait_us(2000);
    return *word != before;
}

static bool counts(void) { return moves(&report()->count); }

/* It may take a while: Bochs notices at the end of its time slice what interrupts a CPU that has
 * interrupts off. */
static bool stops(volatile uint32_t *word)
{
    for (unsigned i = 0; i < 20; i++)
        if (!moves(word)) return true;
    return false;
}

static volatile uint32_t up, spins;

static void spin(unsigned cpu)
{
    (void)cpu;
    /* Kept over INIT. */
    wrmsr(0x174, 0x1234);
    up = 1;
    for (;;) spins++;
}

static volatile uint32_t kept;

static void look(unsigned cpu)
{
    (void)cpu;
    kept = (uint32_t)rdmsr(0x174);
}

static void state_facts(void)
{
    volatile struct report *r = report();

    fact("cs", r->cs == PAGE >> 4, "%x", r->cs);
    fact("ds", r->ds == 0, "%x", r->ds);
    fact("eax", r->eax == 0, "%x", r->eax);
    fact("edx", r->edx == cpuid(1, 0).a, "%x", r->edx);
    fact("cr0", (r->cr0 & ~0x60000000u) == 0x10, "%x", r->cr0);
    fact("cr2-3-4", r->cr2 == 0 && r->cr3 == 0 && (r->cr4 & ~0x40u) == 0, "%x %x %x", r->cr2,
         r->cr3, r->cr4);
    fact("dr6-7", r->dr6 == 0xffff0ff0 && r->dr7 == 0x400, "%x %x", r->dr6, r->dr7);
    fact("efer", r->efer == 0, "%x", r->efer);
}

void guest_main(void)
{
    pic_init();
    if (!lapic_init(arg_u64("x2apic", 0))) skip("no local APIC");
    if (smp_cpus() < 2) skip("one CPU");
    memset((void *)(uint64_t)REPORT, 0, 4096);
    memcpy((void *)(uint64_t)PAGE, probe_begin, (size_t)(probe_end - probe_begin));

    smp_ipi(1, ICR_INIT);
    pit_wait_us(10000);
    fact("init-waits", !counts(), "%u", report()->count);
    smp_ipi(1, ICR_NMI);
    smp_ipi(1, ICR_FIXED | 0x50);
    pit_wait_us(1000);
    fact("waits-on", !counts(), "%u after an interrupt", report()->count);
    smp_ipi(1, ICR_INIT); /* takes back the NMI */
    pit_wait_us(1000);
    smp_ipi(1, ICR_STARTUP | PAGE >> 12);
    fact("starts", smp_wait(&report()->count, 1), "%u", report()->count);
    state_facts();
    smp_ipi(1, ICR_STARTUP | SMP_START_PAGE); /* nothing is there: it would crash */
    pit_wait_us(1000);
    fact("second-start-up", counts(), "%u", report()->count);
    smp_ipi(1, ICR_INIT);
    fact("init-stops", stops(&report()->count), "%u", report()->count);
    report()->edx = 0;
    smp_ipi(1, ICR_STARTUP | PAGE >> 12);
    pit_wait_us(2000);
    fact("again", counts() && report()->edx == cpuid(1, 0).a, "%u", report()->count);

    smp_ipi(1, ICR_INIT);
    (void)stops(&report()->count);
    fact("long-mode", smp_start_one(1, spin) && smp_wait(&up, 1), "%u", up);
    smp_ipi(1, ICR_INIT);
    fact("init-long-mode", stops(&spins), "%u", spins);
    report()->cr4 = report()->efer = 1;
    smp_ipi(1, ICR_STARTUP | PAGE >> 12);
    pit_wait_us(2000);
    state_facts();
    smp_ipi(1, ICR_INIT);
    (void)stops(&report()->count);
    fact("msr-kept", smp_start_one(1, look) && smp_wait(&kept, 1) && kept == 0x1234, "%x", kept);
    smp_ipi(1, ICR_INIT);
}
