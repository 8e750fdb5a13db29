/*
 * Fact: CPUs that wait for each other in HLT, and are woken by an NMI each, all come through every
 * barrier and none comes through early. The barrier is memtest86+'s: who comes last wakes those
 * whose flag is set, one by one. rounds=N (3000); inside=N (0): TSC ticks that an NMI's handler
 * takes, which with a slice of the CPU and more is put off the CPU in it.
 */
#include "smp.h"

enum { HLT = 0xf4, JE = 0x74 };

static volatile uint32_t count, generation, flags[SMP_CPUS_MAX], done, early, strange;
static uint32_t rounds;
static uint64_t inside;
static unsigned cpus;

/* An NMI that comes before its HLT is taken for the end of it. */
static void on_nmi(struct regs *r)
{
    const volatile uint8_t *at = (const volatile uint8_t *)r->rip;

    for (uint64_t end = rdtsc() + inside; inside != 0 && rdtsc() < end;) {
    }
    if (at[-1] == HLT) return;
    if (at[0] == HLT)
        r->rip += 1;
    else if (at[0] == JE && at[2] == HLT)
        r->rip += 3;
    else
        smp_add(&strange, 1);
}

/* @return whether it was the last to come */
static bool arrive(void)
{
    uint32_t last = 0;

    __asm__ volatile("lock decl %0\n\t"
                     "je 1f\n\t"
                     "hlt\n\t"
                     "jmp 2f\n"
                     "1: movl $1, %1\n"
                     "2:"
                     : "+m"(count), "+r"(last)::"memory", "cc");
    return last != 0;
}

static void barriers(unsigned cpu)
{
    for (uint32_t n = 1; n <= rounds; n++) {
        flags[cpu] = 1;
        if (arrive()) {
            count = cpus;
            __atomic_store_n(&generation, n, __ATOMIC_SEQ_CST);
            flags[cpu] = 0;
            for (unsigned i = 0; i < cpus; i++)
                if (flags[i]) {
                    flags[i] = 0;
                    smp_ipi(i, ICR_NMI);
                }
        } else if (generation != n) {
            smp_add(&early, 1);
            while (generation < n) pause();
        }
    }
    smp_add(&done, 1);
}

void guest_main(void)
{
    pic_init();
    if (!lapic_init(false)) skip("no local APIC");
    rounds = (uint32_t)arg_u64("rounds", 3000);
    inside = arg_u64("inside", 0);
    cpus = smp_cpus();
    count = cpus;
    trap_set(VEC_NMI, on_nmi);
    if (cpus < 2 || smp_start(barriers) != cpus) skip("one CPU");
    barriers(0);
    for (unsigned i = 0; i < 100u && done != cpus; i++) (void)smp_wait(&done, cpus);
    fact("all-through", done == cpus, "%u of %u CPUs, barrier %u", done, cpus, generation);
    fact("none-early", early == 0, "%u times", early);
    fact("nmi-at-hlt", strange == 0, "%u elsewhere", strange);
}
