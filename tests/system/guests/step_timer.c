/*
 * Fact: while the guest steps through its code and its timer interrupts it, no step is lost and
 * none comes twice.
 */
#include "guest.h"

enum { VECTOR = 0x45, LOOPS = 6000 };

static volatile unsigned steps, ticks;

static void on_debug(struct regs *r)
{
    (void)r;
    steps++;
    write_dr6(0xffff0ff0);
}

static void on_timer(struct regs *r)
{
    (void)r;
    ticks++;
    lapic_eoi();
}

/* Two instructions a turn, and what is around. */
static unsigned stepped(void)
{
    uint32_t n = LOOPS;

    steps = 0;
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; 1: decl %0; jnz 1b\n"
                     "pushfq; andl $~0x100, (%%rsp); popfq"
                     : "+r"(n)::"memory", "cc");
    return steps;
}

void guest_main(void)
{
    unsigned alone, beside;
    uint64_t hz;

    pic_init();
    if (!lapic_init(0)) skip("no local APIC");
    hz = lapic_timer_hz();
    trap_set(VEC_DB, on_debug);
    trap_set(VECTOR, on_timer);
    alone = stepped();
    lapic_write(LAPIC_LVT_TIMER, 1 << 17 | VECTOR);
    lapic_write(LAPIC_TIMER_INIT, (uint32_t)(hz / 20000));
    __asm__ volatile("sti");
    beside = stepped();
    __asm__ volatile("cli");
    lapic_write(LAPIC_LVT_TIMER, LAPIC_MASKED);
    fact("alone", alone >= 2 * LOOPS, "%u steps", alone);
    fact("beside", beside == alone && ticks > 2, "%u steps, %u interrupts", beside, ticks);
}
