/*
 * Fact: CPUs that use the same memory and the same device at the same time do not disturb each
 * other: locked additions all count, the PM timer only runs forward, an index and data register
 * pair used under a lock always gives what was written.
 */
#include "smp.h"

enum { ROUNDS = 3000, CMOS_INDEX = 0x70, CMOS_DATA = 0x71, CMOS_FIRST = 0x40, PIC_MASK = 0x21 };

static volatile uint32_t additions, plain, lock, wrong, done, go;
static unsigned cpus;

static void take(void)
{
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE)) pause();
}

static void give(void) { __atomic_store_n(&lock, 0, __ATOMIC_RELEASE); }

static void hammer(unsigned cpu)
{
    uint32_t last = 0;

    while (!go) pause();
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t now;
        uint8_t back;

        smp_add(&additions, 1);
        take();
        plain++;
        outb(CMOS_INDEX, (uint8_t)(CMOS_FIRST + cpu));
        outb(CMOS_DATA, (uint8_t)(cpu + i));
        outb(CMOS_INDEX, (uint8_t)(CMOS_FIRST + cpu));
        back = inb(CMOS_DATA);
        give();
        if (back != (uint8_t)(cpu + i)) smp_add(&wrong, 1);
        /* A register that stands alone: no lock. */
        outb(PIC_MASK, 0xff);
        if (inb(PIC_MASK) != 0xff) smp_add(&wrong, 1);
        now = lapic_read(LAPIC_TIMER_NOW);
        if (i && now > last) smp_add(&wrong, 1);
        last = now;
    }
    smp_add(&done, 1);
}

static void serve(unsigned cpu)
{
    lapic_write(LAPIC_TIMER_DIV, 0xa); /* by 128 */
    lapic_write(LAPIC_LVT_TIMER, LAPIC_MASKED);
    lapic_write(LAPIC_TIMER_INIT, 0xffffffff);
    hammer(cpu);
}

void guest_main(void)
{
    pic_init();
    if (!lapic_init(arg_u64("x2apic", 0))) skip("no local APIC");
    cpus = smp_start(serve);
    if (cpus < 2) skip("one CPU");
    go = 1;
    serve(0);
    while (done < cpus) pause();
    fact("locked", additions == cpus * ROUNDS, "%u of %u", additions, cpus * ROUNDS);
    fact("lock", plain == cpus * ROUNDS, "%u of %u", plain, cpus * ROUNDS);
    fact("devices", wrong == 0, "%u", wrong);
}
