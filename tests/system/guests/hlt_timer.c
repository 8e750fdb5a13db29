/*
 * Fact: the local APIC's timer wakes HLT at its time, one-shot and periodic, and does not drift
 * against the TSC and the PIT.
 */
#include "guest.h"

enum { VECTOR = 0x45, TICKS = 100 };

static volatile unsigned ticks;
static uint64_t first, last;

static void on_timer(struct regs *r)
{
    (void)r;
    last = rdtsc();
    if (!ticks++)
        first = last;
    lapic_eoi();
}

static bool near(uint64_t got, uint64_t want, uint64_t percent)
{
    return got * 100 >= want * (100 - percent) && got * 100 <= want * (100 + percent);
}

void guest_main(void)
{
    uint64_t hz, tsc, from;
    unsigned late = 0;
    unsigned early = 0;

    pic_init();
    if (!lapic_init(arg_u64("x2apic", 0)))
        skip("no local APIC");
    trap_set(VECTOR, on_timer);
    hz = lapic_timer_hz();
    tsc = tsc_hz();
    print("timer %lu Hz, TSC %lu Hz\n", hz, tsc);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t took;

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
    ticks = 0;
    lapic_write(LAPIC_LVT_TIMER, 1 << 17 | VECTOR);
    lapic_write(LAPIC_TIMER_INIT, (uint32_t)(hz / 100));
    while (ticks < TICKS)
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    lapic_write(LAPIC_LVT_TIMER, LAPIC_MASKED);
    lapic_write(LAPIC_TIMER_INIT, 0);
    fact("periodic", near(last - first, tsc / 100 * (TICKS - 1), 3),
         "%u ticks of 10 ms took %lu us", TICKS - 1, (last - first) / (tsc / 1000000));
    from = rdtsc();
    for (unsigned i = 0; i < 20; i++)
        pit_wait_us(50000);
    from = rdtsc() - from;
    fact("pit", near(from, tsc, 3), "1 s of PIT took %lu us of TSC", from / (tsc / 1000000));
}
