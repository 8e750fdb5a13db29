/*
 * A hostile neighbour: exits as fast as it can, in turn by ports, device memory, virtio's notify
 * ports, IPIs, APIC timer, PIT, CPUID, hypercalls, console and each device of storm_devices.h, each
 * for ms=N (10) milliseconds, for rounds=N rounds (1; 0: for ever). Says how often it did what.
 */
#include "smp.h"
#include "storm_devices.h"

enum { VECTOR = BLOW, HOLE = 0xfed80000 };

static volatile uint64_t interrupts;

static void on_interrupt(struct regs *r)
{
    (void)r;
    interrupts++;
    lapic_eoi();
}

/* Any line of the 8259s. */
static void on_line(struct regs *r)
{
    (void)r;
    interrupts++;
    pic_eoi(15);
}

static void target(unsigned cpu)
{
    (void)cpu;
    sti();
    for (;;) __asm__ volatile("hlt" ::: "memory");
}

/* Each device's registers; what would end the VM is only read. */
static void by_ports(uint64_t i)
{
    static const uint16_t read[] = {0x20,  0x21,  0x40,  0x61,  0x64,  0x71,  0xa1,  0xb2,  0x3f8,
                                    0x3fd, 0x4d0, 0x511, 0x600, 0x608, 0xcf8, 0xcfc, 0x1234};
    static const uint16_t written[] = {0x21, 0xa1, 0x61, 0x70, 0x3f9, 0x3ff, 0x4d0, 0x1234};

    (void)inb(read[i % (sizeof(read) / sizeof(read[0]))]);
    outb(written[i % (sizeof(written) / sizeof(written[0]))], 0);
}

static void by_memory(uint64_t i)
{
    static const uint64_t at[] = {LAPIC_BASE + LAPIC_TPR, LAPIC_BASE + LAPIC_TIMER_NOW, IOAPIC,
                                  IOAPIC + 0x10, HOLE};

    mmio_write32(at[i % 5], 0);
    (void)mmio_read32(at[(i + 1) % 5]);
}

static void by_doorbell(uint64_t i)
{
    (void)i;
    if (is_there(0)) kick(0, 0);
}

static void by_ipi(uint64_t i)
{
    (void)i;
    smp_ipi(0, ICR_ALL | ICR_FIXED | VECTOR);
}

static void by_cpuid(uint64_t i) { (void)cpuid((uint32_t)i % 16, 0); }

static void by_hypercall(uint64_t i)
{
    uint64_t a = 0x1234 + i;

    if (cpu_is_amd())
        __asm__ volatile("vmmcall" : "+a"(a)::"memory");
    else
        __asm__ volatile("vmcall" : "+a"(a)::"memory");
}

static void by_console(uint64_t i)
{
    (void)i;
    outb(0x3f8, '.');
}

static void by_timer(uint64_t i)
{
    (void)i;
    lapic_timer(VECTOR, 1);
}

static void by_pit(uint64_t i)
{
    if (i != 0) return;
    outb(0x43, 0x34); /* channel 0, mode 2 */
    outb(0x40, 2);
    outb(0x40, 0);
    pic_unmask(0);
}

static const struct {
    const char *name;
    void (*fn)(uint64_t i);
    bool interrupts; /* are what is counted */
} storms[] = {
    {"ports", by_ports, false},
    {"memory", by_memory, false},
    {"doorbell", by_doorbell, false},
    {"ipi", by_ipi, true},
    {"cpuid", by_cpuid, false},
    {"hypercall", by_hypercall, false},
    {"console", by_console, false},
    {"timer", by_timer, true},
    {"pit", by_pit, true},
    {"kicks", by_kicks, false},
    {"rings", by_rings, false},
    {"requests", by_requests, false},
    {"ahci", by_ahci, false},
    {"modes", by_modes, false},
    {"vga", by_vga, false},
    {"keyboard", by_keyboard, false},
    {"clock", by_clock, false},
    {"channels", by_channels, false},
    {"serial", by_serial, false},
    {"ioapic", by_ioapic, false},
    {"bars", by_bars, false},
    {"watchdog", by_watchdog, false},
    {"fw_cfg", by_fw_cfg, false},
    {"flash", by_flash, false},
    {"msr", by_msr, false},
    {"strings", by_strings, false},
};

void guest_main(void)
{
    uint64_t ticks = tsc_hz() / 1000u * arg_u64("ms", 10), rounds = arg_u64("rounds", 1), none = 0;

    pic_init();
    if (!lapic_init(false)) skip("no local APIC");
    trap_set(VECTOR, on_interrupt);
    for (unsigned line = 0; line < 16; line++) trap_set(0x20 + line, on_line);
    print("DEVICES %u of virtio, %u of AHCI\n", find_virtio(), ahci_is_there());
    (void)smp_start(target);
    sti();
    for (uint64_t round = 0; rounds == 0 || round < rounds; round++) {
        for (unsigned s = 0; s < sizeof(storms) / sizeof(storms[0]); s++) {
            uint64_t start = rdtsc(), i = 0, before = interrupts;

            while (rdtsc() - start < ticks) storms[s].fn(i++);
            if (storms[s].interrupts) i = interrupts - before;
            pic_mask_all();
            ioapic_mask_all();
            if (i == 0) none++;
            if (round == 0) print("\nSTORM %s %lu\n", storms[s].name, i);
        }
    }
    fact("stormed", none == 0, "%lu kinds did nothing", none);
}
