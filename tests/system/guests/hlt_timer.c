/*
 * Fact: the local APIC's timer wakes HLT at its time, one-shot and periodic, and does not drift
 * against the TSC and the PIT.
 */
#include "guest.h"

enum { VECTOR = 0x45, TICKS = 100, ATTEMPTS = 4 };

static volatile unsigned ticks;
static uint64_t first, last;

static void on_timer(struct regs *r)
{
    (void)r;
    last = rdtsc();
    if (!ticks++) first = last;
    lapic_eoi();
}

/* Within 3 %. */
static bool near(uint64_t got, uint64_t want)
{
    return got * 100 >= want * 97 && got * 100 <= want * 103;
}

/* What is measured here may come late when the host is busy, so a few attempts are made; a wrong
 * clock is wrong each time. */
static uint64_t periodic(uint64_t hz, uint64_t tsc)
{
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        ticks = 0;
        lapic_write(LAPIC_LVT_TIMER, 1 << 17 | VECTOR);
        lapic_write(LAPIC_TIMER_INIT, (uint32_t)(hz / 100));
        while (ticks < TICKS) __asm__ volatile("sti; hlt; cli" ::: "memory");
        lapic_write(LAPIC_LVT_TIMER, LAPIC_MASKED);
        lapic_write(LAPIC_TIMER_INIT, 0);
        if (near(last - first, tsc / 100 * (TICKS - 1))) break;
    }
    return last - first;
}

/* 200 ms of PIT time in TSC ticks. */
static uint64_t pit_fifth(uint64_t tsc)
{
    uint64_t took = 0;

    for (unsigned attempt = 0; attempt < ATTEMPTS && !near(took, tsc / 5); attempt++) {
        took = rdtsc();
        for (unsigned i = 0; i < 4; i++) pit_wait_us(50000);
        took = rdtsc() - took;
    }
    return took;
}

void guest_main(void)
{
    uint64_t hz, tsc, from, took;
    unsigned late = 0;
    unsigned early = 0;

    pic_init();
    if (!lapic_init(arg_u64("x2apic", 0))) skip("no local APIC");
    trap_set(VECTOR, on_timer);
    hz = lapic_timer_hz();
    tsc = tsc_hz();
    print("timer %lu Hz, TSC %lu Hz\n", hz, tsc);
    for (unsigned i = 0; i < 20; i++) {
        ticks = 0;
        from = rdtsc();
        lapic_timer(VECTOR, (uint32_t)(hz / 200));
        __asm__ volatile("sti; hlt; cli" ::: "memory");
        took = last - from;
        early += !ticks || took * 100 < tsc / 200 * 98;
        late += took > tsc / 200 * 2;
    }
    /* A busy host may make some late; an early one is never right. */
    fact("one-shot", early == 0 && late <= 5, "5 ms: %u early, %u late of 20", early, late);
    took = periodic(hz, tsc);
    fact("periodic", near(took, tsc / 100 * (TICKS - 1)), "%u ticks of 10 ms took %lu us",
         TICKS - 1, took / (tsc / 1000000));
    took = pit_fifth(tsc);
    fact("pit", near(took, tsc / 5), "200 ms of PIT took %lu us of TSC", took / (tsc / 1000000));
}
