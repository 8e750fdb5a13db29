/*
 * Fact: an NMI is delivered whatever IF says, is held off inside its own handler until IRET, wakes
 * HLT but not while it is held off, and IRET from a nested exception opens the window as it does on
 * a PC.
 */
#include "guest.h"

enum { VEC_TIMER = 0x45 };

static volatile unsigned count, depth, depth_max, ticks;
static volatile unsigned again, breakpoint, halt;

static void on_breakpoint(struct regs *r) { (void)r; }

static void on_timer(struct regs *r)
{
    (void)r;
    ticks++;
    lapic_eoi();
}

/* @return ticks of the timer that it took until HLT was over: 1 */
static unsigned halt_until_timer(void)
{
    ticks = 0;
    lapic_write(LAPIC_LVT_TIMER, VEC_TIMER);
    lapic_write(LAPIC_TIMER_INIT, 1000000);
    __asm__ volatile("sti; hlt; cli" ::: "memory");
    return ticks;
}

static void on_nmi(struct regs *r)
{
    (void)r;
    count++;
    if (++depth > depth_max) depth_max = depth;
    if (again) {
        again = 0;
        lapic_self_nmi();
        pit_wait_us(200);
        if (breakpoint) {
            /* The second NMI would come on the same IST stack: move the stack away first. */
            tss_ist(1, ram_free_base() + 0x10000);
            __asm__ volatile("int3" ::: "memory");
            pit_wait_us(200);
        }
        if (halt) { /* the timer's IRET opens the window: another stack again */
            tss_ist(1, ram_free_base() + 0x14000);
            halt = halt_until_timer();
        }
    }
    depth--;
}

static void reset(unsigned second, unsigned iret)
{
    count = 0;
    depth_max = 0;
    again = second;
    breakpoint = iret;
}

void guest_main(void)
{
    pic_init();
    if (!lapic_init(false)) skip("no local APIC");
    trap_set(VEC_NMI, on_nmi);
    trap_set(VEC_BP, on_breakpoint);
    reset(0, 0);
    lapic_self_nmi();
    pit_wait_us(200);
    fact("if-clear", count == 1, "%u", count);
    reset(1, 0);
    lapic_self_nmi();
    pit_wait_us(2000);
    fact("blocked", count == 2 && depth_max == 1, "%u, %u deep", count, depth_max);
    reset(1, 1);
    lapic_self_nmi();
    pit_wait_us(2000);
    fact("iret-opens", count == 2 && depth_max == 2, "%u, %u deep", count, depth_max);
    trap_set(VEC_TIMER, on_timer);
    reset(1, 0);
    halt = 2;
    lapic_self_nmi();
    fact("held-off-hlt", halt == 1 && count == 2, "%u ticks, %u NMIs", halt, count);
    reset(0, 0);
    sti();
    lapic_self_nmi();
    pit_wait_us(200);
    cli();
    fact("if-set", count == 1, "%u", count);
    /* The PIC's output comes in on LINT0, which may be told to deliver an NMI. */
    reset(0, 0);
    lapic_write(LAPIC_LVT_LINT0, 0x400);
    pic_unmask(0);
    pit_oneshot(10000);
    __asm__ volatile("hlt" ::: "memory");
    pic_mask_all();
    fact("wakes-hlt", count >= 1, "%u, through LINT0 with IF clear", count);
}
