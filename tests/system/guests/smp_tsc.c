/*
 * Fact: the CPUs' time-stamp counters are one clock: taken in turn, no value is before the one
 * before it. A CPU that sets its own changes nobody else's, and TSC_ADJUST tells by how much. All
 * that set theirs to the same at once are one clock again.
 * rounds=N (2000): turns of each.
 */
#include "smp.h"

enum { MSR_TSC = 0x10, MSR_TSC_ADJUST = 0x3b };

static volatile uint32_t turn, backwards, moved, done, together, all_done;
static volatile uint64_t last, adjust, other_adjust;
static uint32_t rounds;
static unsigned cpus;

static void take_turns(unsigned cpu, uint32_t first)
{
    for (uint32_t i = 0; i < rounds; i++) {
        uint64_t now;

        while (turn != first + i * cpus + cpu) pause();
        now = rdtsc();
        if (now < last) backwards++;
        last = now;
        turn++;
    }
}

static void set_together(unsigned cpu)
{
    wrmsr(MSR_TSC, 0);
    smp_add(&together, 1);
    while (together != cpus) pause();
    take_turns(cpu, 2 * rounds * cpus);
    smp_add(&all_done, 1);
}

static void serve(unsigned cpu)
{
    take_turns(cpu, 0);
    if (cpu == 1) {
        wrmsr(MSR_TSC, rdtsc() + 1000000000);
        adjust = rdmsr(MSR_TSC_ADJUST);
        moved = 1;
        while (moved == 1) pause();
        wrmsr(MSR_TSC_ADJUST, 0);
        moved = 3;
    } else {
        while (moved != 3) pause();
        other_adjust |= rdmsr(MSR_TSC_ADJUST);
    }
    take_turns(cpu, rounds * cpus);
    smp_add(&done, 1);
    while (moved != 4) pause();
    set_together(cpu);
}

void guest_main(void)
{
    uint64_t before;

    pic_init();
    if (!lapic_init(true)) skip("no local APIC");
    rounds = (uint32_t)arg_u64("rounds", 2000);
    cpus = smp_cpus();
    turn = 0xffffffff;
    if (smp_start(serve) != cpus || cpus < 2) skip("one CPU");
    turn = 0;
    take_turns(0, 0);
    while (turn != rounds * cpus) pause();
    fact("one-clock", backwards == 0, "%u of %u backwards on %u CPUs", backwards, rounds * cpus,
         cpus);
    before = rdtsc();
    while (moved != 1) pause();
    fact("others-stay", rdtsc() - before < 900000000, "%lu", rdtsc() - before);
    fact("adjust", adjust > 999000000 && adjust <= 1000000000, "%lu", adjust);
    moved = 2;
    backwards = 0;
    while (moved != 3) pause();
    last = 0;
    take_turns(0, rounds * cpus);
    fact("one-clock-again", smp_wait(&done, cpus - 1) && backwards == 0, "%u backwards", backwards);
    fact("other-adjust", other_adjust == 0, "%lx", other_adjust);
    backwards = 0;
    last = 0;
    moved = 4;
    set_together(0);
    fact("set-together", smp_wait(&all_done, cpus) && backwards == 0, "%u backwards", backwards);
}
