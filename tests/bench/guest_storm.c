/*
 * A guest that keeps its host as busy as it can, in one way a command line (kind=): spins with
 * interrupts off; ports of devices; memory of devices; a virtio device's registers by PCI
 * configuration space; timer interrupts without end; interrupts to itself; CPUID and MSRs. Never
 * ends.
 */
#include "guest.h"

enum { VECTOR = 0x40 };

static void on_interrupt(struct regs *r)
{
    (void)r;
    lapic_timer(VECTOR, 1);
    lapic_eoi();
}

static void on_own(struct regs *r)
{
    (void)r;
    lapic_self_ipi(VECTOR);
    lapic_eoi();
}

static void ports(void)
{
    static const uint16_t some[] = {0x3f8, 0x3fd, 0x60, 0x64, 0x70, 0x71,
                                    0x40,  0x61,  0x20, 0x21, 0x1f0};

    for (uint32_t i = 0;; i++) {
        outb(some[i % 11], (uint8_t)i);
        (void)inb(some[i % 11]);
    }
}

static void device_memory(void)
{
    for (uint32_t i = 0;; i++) {
        mmio_write32(0xfec00000, i % 64);
        (void)mmio_read32(0xfec00010);
        (void)mmio_read32(0xfee00000 + i % 64 * 16);
        mmio_write32(0xfed80000 + i % 1024 * 4, i);
    }
}

static void configuration(void)
{
    for (uint32_t i = 0;; i++) {
        outl(0xcf8, 0x80000000 | i % 65536 * 4);
        (void)inl(0xcfc);
    }
}

static void identity(void)
{
    uint64_t value;

    for (;;) {
        (void)cpuid(1, 0);
        (void)rdmsr_fault(0x1b, &value);
    }
}

void guest_main(void)
{
    uint64_t kind = arg_u64("kind", 0) % 7;

    pic_init();
    if (!lapic_init(false)) skip("no local APIC");
    if (kind == 1) ports();
    if (kind == 2) device_memory();
    if (kind == 3) configuration();
    if (kind == 4 || kind == 5) {
        trap_set(VECTOR, kind == 4 ? on_interrupt : on_own);
        if (kind == 4)
            lapic_timer(VECTOR, 1);
        else
            lapic_self_ipi(VECTOR);
        for (sti();;) pause();
    }
    if (kind == 6) identity();
    for (cli();;) __asm__ volatile(".rept 400; nop; .endr");
}
