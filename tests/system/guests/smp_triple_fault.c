/* Fact: a triple fault of any CPU ends the VM (a PC resets), while the others are busy. */
#include "smp.h"

static volatile uint32_t all_run;

static void die(unsigned cpu)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) none = {0, 0};

    while (!all_run) pause(); /* there is one PIT, and CPU 0 waits by it for the others */
    if (cpu != 1) {
        for (;;) (void)inb(0x61);
    }
    pit_wait_us(2000);
    __asm__ volatile("lidt %0; int3" ::"m"(none));
}

void guest_main(void)
{
    pic_init();
    if (!lapic_init(false)) skip("no local APIC");
    if (smp_cpus() < 2) skip("one CPU");
    print("BH-EXPECT triple fault on CPU 1\n");
    (void)smp_start(die);
    all_run = 1;
    for (;;) (void)inb(0x61);
}
