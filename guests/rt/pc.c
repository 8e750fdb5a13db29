/*
 * The PC's interrupt and timer hardware, as a guest drives it: PIC, PIT, local APIC (xAPIC by MMIO,
 * x2APIC by MSR). Sources: Intel 8259A and 8254 data sheets; Intel SDM vol. 3A, chapter 10.
 * Must never enable interrupts: that is the guest's decision.
 */
#include "guest.h"

enum { PIC0 = 0x20, PIC1 = 0xa0, PIT_CH0 = 0x40, PIT_CH2 = 0x42, PIT_CMD = 0x43, PORT_B = 0x61 };
enum { MSR_APIC_BASE = 0x1b, APIC_BASE_X2 = 1 << 10, APIC_BASE_ON = 1 << 11, MSR_X2APIC = 0x800 };

static bool x2apic;

void pic_init(void)
{
    outb(PIC0, 0x11);
    outb(PIC1, 0x11);
    outb(PIC0 + 1, 0x20);
    outb(PIC1 + 1, 0x28);
    outb(PIC0 + 1, 4);
    outb(PIC1 + 1, 2);
    outb(PIC0 + 1, 1);
    outb(PIC1 + 1, 1);
    pic_mask_all();
}

void pic_mask_all(void)
{
    outb(PIC0 + 1, 0xff);
    outb(PIC1 + 1, 0xff);
}

void pic_unmask(unsigned irq)
{
    uint16_t port = irq < 8 ? PIC0 + 1 : PIC1 + 1;

    outb(port, (uint8_t)(inb(port) & ~(1u << (irq & 7))));
    if (irq >= 8) outb(PIC0 + 1, (uint8_t)(inb(PIC0 + 1) & ~4u));
}

void pic_eoi(unsigned irq)
{
    if (irq >= 8) outb(PIC1, 0x20);
    outb(PIC0, 0x20);
}

void pit_oneshot(uint16_t ticks)
{
    outb(PIT_CMD, 0x30);
    outb(PIT_CH0, (uint8_t)ticks);
    outb(PIT_CH0, (uint8_t)(ticks >> 8));
}

enum { POLL_LOOPS = 500 };

/* Channel 2 in mode 0: port 0x61 bit 0 is its gate, bit 5 its output. */
static void pit_start(uint32_t us)
{
    uint64_t ticks = (uint64_t)us * PIT_HZ / 1000000;

    outb(PORT_B, (uint8_t)((inb(PORT_B) & ~2u) | 1u));
    outb(PIT_CMD, 0xb0);
    outb(PIT_CH2, (uint8_t)ticks);
    outb(PIT_CH2, (uint8_t)(ticks >> 8));
}

/* Each look at the port costs an emulator as much as hundreds of instructions, an exit below a
 * hypervisor: a microsecond or so passes in between. */
static void pit_finish(void)
{
    while (!(inb(PORT_B) & 0x20)) {
        for (unsigned i = 0; i < POLL_LOOPS; i++) __asm__ volatile("" ::: "memory");
        pause(); /* an emulator that runs one CPU at a time goes on to the next */
    }
}

void pit_wait_us(uint32_t us)
{
    pit_start(us);
    pit_finish();
}

enum { CALIBRATIONS = 9, CALIBRATION_US = 20000, CALIBRATION_HZ = 1000000 / CALIBRATION_US };

/*
 * A busy host nearly always makes a measurement too long, seldom (between two port writes) too
 * short: take the second smallest, and be done as soon as two agree to a part in a thousand.
 */
static uint64_t calibrate(uint64_t (*measure)(void))
{
    uint64_t least = ~0ULL;
    uint64_t second = ~0ULL;

    for (unsigned i = 0; i < CALIBRATIONS && (i < 2 || second - least >= least / 1000); i++) {
        uint64_t v = measure();

        if (v < least) {
            second = least;
            least = v;
        } else if (v < second) {
            second = v;
        }
    }
    return second * CALIBRATION_HZ;
}

static uint64_t measure_tsc(void)
{
    uint64_t from;

    pit_start(CALIBRATION_US);
    from = rdtsc();
    pit_finish();
    return rdtsc() - from;
}

static uint64_t measure_lapic(void)
{
    pit_start(CALIBRATION_US);
    lapic_write(LAPIC_TIMER_INIT, 0xffffffff);
    pit_finish();
    return 0xffffffff - lapic_read(LAPIC_TIMER_NOW);
}

uint64_t tsc_hz(void)
{
    static uint64_t hz;

    if (!hz) hz = calibrate(measure_tsc);
    return hz;
}

bool lapic_init(bool want_x2apic)
{
    uint64_t base;

    if (!(cpuid(1, 0).d >> 9 & 1)) return false;
    base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ON;
    wrmsr(MSR_APIC_BASE, base);
    if (want_x2apic && (cpuid(1, 0).c >> 21 & 1)) wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2);
    x2apic = rdmsr(MSR_APIC_BASE) & APIC_BASE_X2;
    lapic_write(LAPIC_SVR, 0x100 | LAPIC_VECTOR_SPURIOUS);
    lapic_write(LAPIC_TPR, 0);
    return true;
}

bool lapic_is_x2apic(void) { return x2apic; }

uint32_t lapic_read(unsigned reg)
{
    return x2apic ? (uint32_t)rdmsr(MSR_X2APIC + reg / 16) : mmio_read32(LAPIC_BASE + reg);
}

void lapic_write(unsigned reg, uint32_t v)
{
    if (x2apic)
        wrmsr(MSR_X2APIC + reg / 16, v);
    else
        mmio_write32(LAPIC_BASE + reg, v);
}

/* The destination is named as an ID, because shorthand "self" allows fixed delivery only. */
static void icr_self(uint32_t low)
{
    uint32_t id = lapic_read(LAPIC_ID);

    if (x2apic) {
        wrmsr(MSR_X2APIC + LAPIC_ICR / 16, (uint64_t)id << 32 | low);
    } else {
        lapic_write(LAPIC_ICR_HIGH, id);
        lapic_write(LAPIC_ICR, low);
    }
}

void lapic_self_ipi(uint8_t vector) { icr_self(0x4000u | vector); }

void lapic_self_nmi(void) { icr_self(0x4400); }

void lapic_timer(uint8_t vector, uint32_t ticks)
{
    lapic_write(LAPIC_TIMER_DIV, 0xb);
    lapic_write(LAPIC_LVT_TIMER, vector);
    lapic_write(LAPIC_TIMER_INIT, ticks);
}

uint64_t lapic_timer_hz(void)
{
    static uint64_t hz;

    if (hz) return hz;
    lapic_write(LAPIC_TIMER_DIV, 0xb);
    lapic_write(LAPIC_LVT_TIMER, LAPIC_MASKED | 0x40);
    hz = calibrate(measure_lapic);
    lapic_write(LAPIC_TIMER_INIT, 0);
    return hz;
}
