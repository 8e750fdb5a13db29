/*
 * Fact: a level-triggered line that the I/O APIC sends to another CPU interrupts that one, again
 * after each EOI for as long as the line is up, and not while remote IRR is set; the other CPUs see
 * nothing of it. The line is the serial port's, transmitter empty.
 */
#include "smp.h"

enum { VECTOR = 0x61, PIN = 4, COM1 = 0x3f8, IOAPIC = 0xfec00000, TIMES = 5 };
enum { RTE_LEVEL = 0x8000, RTE_REMOTE = 0x4000, RTE_MASKED = 0x10000 };

static volatile uint32_t got[SMP_CPUS_MAX], hold, release, ready;

static uint32_t ioapic_read(unsigned index)
{
    mmio_write32(IOAPIC, index);
    return mmio_read32(IOAPIC + 0x10);
}

static void ioapic_write(unsigned index, uint32_t v)
{
    mmio_write32(IOAPIC, index);
    mmio_write32(IOAPIC + 0x10, v);
}

static void on_line(struct regs *r)
{
    (void)r;
    if (smp_add(&got[smp_self()], 1) + 1 == TIMES) outb(COM1 + 1, 0); /* the line goes down */
    while (hold && !release) pause();
    lapic_eoi();
}

static void serve(unsigned cpu)
{
    (void)cpu;
    smp_add(&ready, 1);
    sti();
    for (;;) pause();
}

/* The line comes up: transmitter empty, interrupt enabled, OUT2 lets it out. */
static void line_up(void)
{
    outb(COM1 + 4, 0x0b);
    outb(COM1 + 1, 2);
}

/* Remote IRR ends with the other CPU's EOI, which comes when that CPU is run: soon, or later where
 * the machine below has fewer. */
static bool ended(void)
{
    for (unsigned i = 0; i < 1000 && (ioapic_read(0x10 + 2 * PIN) & RTE_REMOTE); i++)
        pit_wait_us(2000);
    return !(ioapic_read(0x10 + 2 * PIN) & RTE_REMOTE);
}

void guest_main(void)
{
    unsigned cpus;

    pic_init();
    if (!lapic_init(arg_u64("x2apic", 0))) skip("no local APIC");
    trap_set(VECTOR, on_line);
    cpus = smp_start(serve);
    if (cpus < 2 || !smp_wait(&ready, cpus - 1)) skip("one CPU");
    ioapic_write(0x11 + 2 * PIN, (cpus - 1) << 24);
    ioapic_write(0x10 + 2 * PIN, RTE_LEVEL | VECTOR);
    line_up();
    fact("again", smp_wait(&got[cpus - 1], TIMES), "%u of %u", got[cpus - 1], TIMES);
    pit_wait_us(2000);
    fact("down", ended() && got[cpus - 1] == TIMES, "%u, %x", got[cpus - 1],
         ioapic_read(0x10 + 2 * PIN));
    /* Held in its handler: once, with remote IRR to be seen. */
    got[cpus - 1] = TIMES; /* it does not take the line down itself */
    hold = 1;
    line_up();
    fact("held", smp_wait(&got[cpus - 1], TIMES + 1), "%u", got[cpus - 1]);
    pit_wait_us(2000);
    fact("remote-irr",
         got[cpus - 1] == TIMES + 1 && (ioapic_read(0x10 + 2 * PIN) & RTE_REMOTE) != 0, "%u, %x",
         got[cpus - 1], ioapic_read(0x10 + 2 * PIN));
    outb(COM1 + 1, 0);
    release = 1;
    pit_wait_us(2000);
    fact("released", ended() && got[cpus - 1] == TIMES + 1, "%u, %x", got[cpus - 1],
         ioapic_read(0x10 + 2 * PIN));
    fact("nobody-else", got[0] == 0 && (cpus == 2 || got[1] == 0), "%u, %u", got[0], got[1]);
    ioapic_write(0x10 + 2 * PIN, RTE_MASKED);
}
