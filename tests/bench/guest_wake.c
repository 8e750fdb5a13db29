/*
 * How long after its timer's due time a guest in HLT gets its interrupt, over n=COUNT sleeps of 0.5
 * to 8 ms: the mean, the longest, and how many took up to 1 us, 2 us, 4 us and so on, in TSC ticks.
 */
#include "guest.h"

enum { VECTOR_TIMER = 0x40, CLASSES = 34 };

static volatile uint64_t woken_tsc;

static void on_timer(struct regs *r)
{
    (void)r;
    woken_tsc = rdtsc();
    lapic_eoi();
}

void guest_main(void)
{
    uint64_t count = arg_u64("n", 300), random = mix64(1), total = 0, most = 0, hz, timer_hz;
    uint32_t classes[CLASSES] = {0};

    pic_init();
    if (!lapic_init(false)) skip("no local APIC");
    hz = tsc_hz();
    timer_hz = lapic_timer_hz();
    trap_set(VECTOR_TIMER, on_timer);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t ticks, due, late, class = 0;

        random = mix64(random);
        ticks = timer_hz / 2000u + random % (timer_hz / 133u);
        woken_tsc = 0;
        lapic_timer(VECTOR_TIMER, (uint32_t)ticks);
        due = rdtsc() + ticks * (hz / 1000u) / (timer_hz / 1000u);
        while (!woken_tsc) __asm__ volatile("sti; hlt; cli" ::: "memory");
        late = woken_tsc > due ? woken_tsc - due : 0;
        total += late;
        if (late > most) most = late;
        while (class < CLASSES - 1 && late > hz / 1000000u << class) class ++;
        classes[class]++;
    }
    print("BENCH wake %lu.00 %lu %lu\n", total / count, most, count);
    for (unsigned i = 0; i < CLASSES; i++)
        if (classes[i]) print("up to %lu us: %u\n", 1ul << i, classes[i]);
    fact("woken", count > 0, "%lu times", count);
    finish();
}
