/*
 * The second VM beside a measured one: sleeps, and is woken by its timer a hundred times a second,
 * as an idle desktop is. Never ends by itself.
 */
#include "guest.h"

enum { VECTOR_TIMER = 0x40, TICKS = 10000000 };

static void on_timer(struct regs *r)
{
    (void)r;
    lapic_eoi();
}

void guest_main(void)
{
    pic_init();
    if (!lapic_init(false)) skip("no local APIC");
    trap_set(VECTOR_TIMER, on_timer);
    for (;;) {
        lapic_write(LAPIC_TIMER_DIV, 0xb);
        lapic_timer(VECTOR_TIMER, TICKS);
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    }
}
