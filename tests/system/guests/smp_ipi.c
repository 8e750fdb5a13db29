/*
 * Fact: interrupts between CPUs reach those they are sent to, each once: by APIC id, by logical
 * destination, to the lowest priority, to all and to all others, NMI too, running or in HLT; a TPR
 * holds them off. x2apic=1 uses that mode.
 */
#include "smp.h"

enum { VECTOR = 0x51, HIGH = 0x91, ROUNDS = 200 };

static volatile uint32_t got[SMP_CPUS_MAX], high[SMP_CPUS_MAX], nmis[SMP_CPUS_MAX];
static volatile uint32_t halts, ready, tpr_wanted, tpr_is;
static unsigned cpus;

static void on_vector(struct regs *r)
{
    (void)r;
    smp_add(&got[smp_self()], 1);
    lapic_eoi();
}

static void on_high(struct regs *r)
{
    (void)r;
    smp_add(&high[smp_self()], 1);
    lapic_eoi();
}

static void on_nmi(struct regs *r)
{
    (void)r;
    smp_add(&nmis[smp_self()], 1);
}

static void serve(unsigned cpu)
{
    if (lapic_is_x2apic() == false) lapic_write(0xd0, 1u << (24 + cpu));
    smp_add(&ready, 1);
    sti();
    for (;;) {
        if (cpu == 1 && tpr_is != tpr_wanted) {
            lapic_write(LAPIC_TPR, tpr_wanted);
            tpr_is = tpr_wanted;
        }
        if (halts)
            __asm__ volatile("hlt" ::: "memory");
        else
            pause();
    }
}

static uint32_t sum(volatile uint32_t *counts)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < cpus; i++) n += counts[i];
    return n;
}

static void clear(void)
{
    for (unsigned i = 0; i < SMP_CPUS_MAX; i++) got[i] = high[i] = nmis[i] = 0;
}

static bool settle(volatile uint32_t *counts, uint32_t n)
{
    for (unsigned i = 0; i < 200 && sum(counts) < n; i++) pit_wait_us(500);
    return sum(counts) == n;
}

static uint32_t logical(unsigned cpu) { return 1u << cpu; /* flat, or cluster 0 in x2APIC mode */ }

static void round_trips(const char *name, uint32_t halting)
{
    uint64_t from;

    halts = halting;
    pit_wait_us(1000);
    clear();
    from = rdtsc();
    for (unsigned i = 0; i < ROUNDS; i++) {
        smp_ipi(1, ICR_FIXED | VECTOR);
        for (uint32_t spins = 0; got[1] <= i && spins < 100000000; spins++) pause();
    }
    fact(name, got[1] == ROUNDS && sum(got) == ROUNDS, "%u of %u, %lu ticks each", got[1], ROUNDS,
         (rdtsc() - from) / ROUNDS);
}

static void shorthands(void)
{
    clear();
    smp_ipi(0, ICR_OTHERS | ICR_FIXED | VECTOR);
    pit_wait_us(2000);
    sti();
    pause();
    cli();
    fact("others", settle(got, cpus - 1) && got[0] == 0, "%u, %u here", sum(got), got[0]);
    clear();
    smp_ipi(0, ICR_ALL | ICR_FIXED | VECTOR);
    sti();
    pit_wait_us(2000);
    cli();
    fact("all", settle(got, cpus) && got[0] == 1, "%u, %u here", sum(got), got[0]);
    clear();
    smp_ipi(lapic_is_x2apic() ? 0xffffffff : 0xff, ICR_FIXED | VECTOR);
    sti();
    pit_wait_us(2000);
    cli();
    fact("broadcast", settle(got, cpus) && got[0] == 1, "%u, %u here", sum(got), got[0]);
    clear();
    smp_ipi(0, ICR_SELF | ICR_FIXED | VECTOR);
    sti();
    pit_wait_us(1000);
    cli();
    fact("self", sum(got) == 1 && got[0] == 1, "%u, %u here", sum(got), got[0]);
}

static void destinations(void)
{
    clear();
    for (unsigned i = 1; i < cpus; i++) smp_ipi(logical(i), ICR_LOGICAL | ICR_FIXED | VECTOR);
    fact("logical", settle(got, cpus - 1) && got[1] == 1 && got[cpus - 1] == 1, "%u", sum(got));
    clear();
    smp_ipi(logical(1) | logical(cpus - 1), ICR_LOGICAL | ICR_FIXED | VECTOR);
    fact("logical-set", settle(got, cpus > 2 ? 2 : 1) && got[1] == 1, "%u", sum(got));
    if (!lapic_is_x2apic()) { /* x2APIC has no lowest priority delivery by ICR */
        clear();
        for (unsigned i = 0; i < 10; i++) {
            smp_ipi(0xfe, ICR_LOGICAL | ICR_LOWEST | VECTOR);
            pit_wait_us(500);
        }
        fact("lowest", settle(got, 10) && got[0] == 0, "%u", sum(got));
    }
    clear();
    smp_ipi(77, ICR_FIXED | VECTOR);
    pit_wait_us(1000);
    fact("nobody", sum(got) == 0, "%u", sum(got));
}

static void task_priority(void)
{
    halts = 0;
    clear();
    tpr_wanted = 0x60;
    smp_ipi(1, ICR_FIXED | HIGH); /* out of HLT */
    pit_wait_us(2000);
    smp_ipi(1, ICR_FIXED | VECTOR);
    smp_ipi(1, ICR_FIXED | HIGH);
    pit_wait_us(2000);
    fact("tpr-holds", got[1] == 0 && high[1] == 2 && tpr_is == 0x60, "%u, %u of 2 above", got[1],
         high[1]);
    tpr_wanted = 0;
    pit_wait_us(2000);
    fact("tpr-lets-go", settle(got, 1) && got[1] == 1, "%u", got[1]);
}

void guest_main(void)
{
    pic_init();
    if (!lapic_init(arg_u64("x2apic", 0))) skip("no local APIC");
    if (arg_u64("x2apic", 0) && !lapic_is_x2apic()) skip("no x2APIC");
    if (!lapic_is_x2apic()) lapic_write(0xd0, 1u << 24);
    trap_set(VECTOR, on_vector);
    trap_set(HIGH, on_high);
    trap_set(VEC_NMI, on_nmi);
    cpus = smp_start(serve);
    fact("cpus", cpus >= 2 && cpus == smp_cpus() && smp_wait(&ready, cpus - 1), "%u of %u", cpus,
         smp_cpus());
    if (cpus < 2) return;
    round_trips("running", 0);
    round_trips("halted", 1);
    shorthands();
    destinations();
    clear();
    smp_ipi(1, ICR_NMI);
    fact("nmi", settle(nmis, 1) && nmis[1] == 1, "%u", sum(nmis));
    clear();
    smp_ipi(0, ICR_OTHERS | ICR_NMI);
    fact("nmi-others", settle(nmis, cpus - 1) && nmis[0] == 0, "%u", sum(nmis));
    task_priority();
    smp_ipi(0, ICR_OTHERS | ICR_INIT);
    pit_wait_us(1000);
    clear();
    smp_ipi(0, ICR_OTHERS | ICR_FIXED | VECTOR);
    pit_wait_us(2000);
    fact("stopped", sum(got) == 0, "%u", sum(got));
}
