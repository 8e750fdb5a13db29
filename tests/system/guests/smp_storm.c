/*
 * Fact: CPUs that interrupt each other as fast as they can, by every way and with any vector, stop
 * neither each other nor themselves, and nothing that was sent to be counted is lost at the end.
 */
#include "smp.h"

enum { FIRST = 0x40, VECTORS = 0xb0, MILLISECONDS = 40, LAST = 0xf5 };

static volatile uint32_t got[SMP_CPUS_MAX], sent[SMP_CPUS_MAX], last[SMP_CPUS_MAX], nmis, go, stop,
    ready;
static unsigned cpus;

static void on_any(struct regs *r)
{
    (void)r;
    smp_add(&got[smp_self()], 1);
    lapic_eoi();
}

static void on_last(struct regs *r)
{
    (void)r;
    smp_add(&last[smp_self()], 1);
    lapic_eoi();
}

static void on_nmi(struct regs *r)
{
    (void)r;
    smp_add(&nmis, 1);
}

/* Cannot be asked in a handler: CPUID would make each longer. */
static void storm(unsigned cpu)
{
    uint64_t random = cpu + 1;

    while (!go) pause(); /* a start-up message would start one that is not to start yet */
    sti();
    while (!stop) {
        uint32_t vector;

        random = mix64(random);
        vector = FIRST + (uint32_t)(random >> 8) % VECTORS;
        switch (random % 8) {
        case 0: smp_ipi(0, ICR_ALL | ICR_FIXED | vector); break;
        case 1: smp_ipi(0, ICR_OTHERS | ICR_FIXED | vector); break;
        case 2: smp_ipi(0, ICR_OTHERS | ICR_NMI); break;
        case 3: smp_ipi((uint32_t)(random >> 20) % 16, ICR_FIXED | vector); break;
        case 4: smp_ipi((uint32_t)(random >> 20) & 0xff, ICR_LOGICAL | ICR_FIXED | vector); break;
        case 5: smp_ipi(0, ICR_OTHERS | ICR_STARTUP | 0xff); break; /* nobody waits for one */
        default: smp_ipi((uint32_t)(random >> 20) % cpus, ICR_FIXED | vector); break;
        }
        sent[cpu]++;
    }
    smp_add(&ready, 1);
    for (;;) __asm__ volatile("hlt" ::: "memory");
}

static uint64_t until;

/* CPU 0 takes part, and ends it when time is up. */
static void on_timer(struct regs *r)
{
    (void)r;
    if (rdtsc() >= until) stop = 1;
    lapic_eoi();
}

void guest_main(void)
{
    uint32_t all = 0, ends = 0;

    pic_init();
    if (!lapic_init(arg_u64("x2apic", 0))) skip("no local APIC");
    for (unsigned v = FIRST; v < FIRST + VECTORS; v++) trap_set(v, on_any);
    trap_set(LAST, on_last);
    trap_set(LAST - 1, on_timer);
    trap_set(VEC_NMI, on_nmi);
    cpus = smp_cpus();
    if (cpus < 2) skip("one CPU");
    until = tsc_hz() / 1000 * MILLISECONDS;
    fact("cpus", smp_start(storm) == cpus, "%u", cpus);
    until += rdtsc();
    go = 1;
    lapic_write(LAPIC_TIMER_DIV, 0xb);
    lapic_write(LAPIC_LVT_TIMER, 1 << 17 | (LAST - 1));
    lapic_write(LAPIC_TIMER_INIT, 1000000);
    sti();
    for (uint64_t random = 99; !stop; random = mix64(random)) {
        smp_ipi(0, ICR_OTHERS | ICR_FIXED | (FIRST + (uint32_t)random % VECTORS));
        sent[0]++;
    }
    cli();
    lapic_write(LAPIC_LVT_TIMER, LAPIC_MASKED);
    fact("stops", smp_wait(&ready, cpus - 1), "%u of %u", ready, cpus - 1);
    smp_ipi(0, ICR_OTHERS | ICR_FIXED | LAST);
    for (unsigned i = 1; i < cpus; i++) ends += smp_wait(&last[i], 1) && last[i] == 1;
    for (unsigned i = 0; i < cpus; i++) all += sent[i];
    fact("last", ends == cpus - 1, "%u of %u have it", ends, cpus - 1);
    print("%u sent, %u NMIs taken\n", all, nmis);
}
