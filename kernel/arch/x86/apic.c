/*
 * Local APIC (Intel SDM vol. 3A, 11) and IOAPIC (82093AA). May call: MSRs, its fixed mappings, the
 * PIT for calibration.
 */
#include "apic.h"
#include "asm.h"
#include "klog.h"
#include "layout.h"
#include "lock.h"
#include "percpu.h"

#define REG_ID    0x20u
#define REG_TPR   0x80u
#define REG_EOI   0xb0u
#define REG_SVR   0xf0u
#define REG_ESR   0x280u
#define REG_ICR   0x300u
#define REG_ICR2  0x310u
#define REG_TIMER 0x320u
#define REG_LINT0 0x350u
#define REG_LINT1 0x360u
#define REG_ERROR 0x370u
#define REG_TICR  0x380u
#define REG_TCCR  0x390u
#define REG_TDCR  0x3e0u

#define MSR_TSC_DEADLINE 0x6e0u
#define PIT_HZ           1193182u
#define CALIBRATE_TICKS  4800u /* 4 ms of the PIT */

bool apic_x2;
uint32_t tsc_khz;
static bool tsc_deadline;
static uint64_t timer_ratio; /* timer counts per TSC tick, 32.32 fixed point */

#define XAPIC(reg) (*(volatile uint32_t *)(FIX_BASE + FIX_LAPIC * 4096ul + (reg)))

static uint32_t reg_read(uint32_t reg)
{
    if (apic_x2) return (uint32_t)rdmsr(MSR_X2APIC_BASE + reg / 16);
    return XAPIC(reg);
}

static void reg_write(uint32_t reg, uint32_t v)
{
    if (apic_x2)
        wrmsr(MSR_X2APIC_BASE + reg / 16, v);
    else
        XAPIC(reg) = v;
}

uint32_t apic_id(void) { return apic_x2 ? reg_read(REG_ID) : reg_read(REG_ID) >> 24; }

void apic_eoi(void) { reg_write(REG_EOI, 0); }

void apic_init_boot(void)
{
    apic_x2 = (cpuid(1, 0).c >> 21 & 1u) != 0;
    tsc_deadline = (cpuid(1, 0).c >> 24 & 1u) != 0;
    /* The 8259s stay masked: everything comes through the IOAPIC. */
    outb(0x20, 0x11), outb(0xa0, 0x11), outb(0x21, 0xf0), outb(0xa1, 0xf8);
    outb(0x21, 4), outb(0xa1, 2), outb(0x21, 1), outb(0xa1, 1);
    outb(0x21, 0xff), outb(0xa1, 0xff);
}

void apic_init_cpu(void)
{
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | (apic_x2 ? 0xc00 : 0x800));
    reg_write(REG_TPR, 0);
    reg_write(REG_SVR, 0x100u | VEC_SPURIOUS);
    reg_write(REG_LINT0, 0x10000);
    reg_write(REG_LINT1, 0x400); /* NMI */
    reg_write(REG_ERROR, 0x10000);
    reg_write(REG_TDCR, 0xb); /* divide by 1 */
    reg_write(REG_TIMER, tsc_deadline ? 0x40000u | VEC_TIMER : VEC_TIMER);
    percpu()->armed = ~0ull;
    percpu()->apic_id = apic_id();
}

__attribute__((always_inline)) static inline void icr_write(uint32_t dest, uint32_t low)
{
    if (apic_x2) {
        wrmsr(MSR_X2APIC_BASE + REG_ICR / 16, (uint64_t)dest << 32 | low);
        return;
    }
    while ((XAPIC(REG_ICR) & 0x1000u) != 0) cpu_relax();
    XAPIC(REG_ICR2) = dest << 24;
    XAPIC(REG_ICR) = low;
}

void apic_kick(uint32_t id)
{
    /* WRMSR to the x2APIC does not wait for stores before it (11.12.3), an uncached store does. */
    if (apic_x2) __asm__ volatile("mfence; lfence" : : : "memory");
    icr_write(id, 0x4000u | VEC_KICK);
}

void apic_to_others(uint32_t what) { icr_write(0, 0xc4000u | what); /* all excluding self */ }

static void delay_us(uint64_t us)
{
    uint64_t end = rdtsc() + us * tsc_khz / 1000;

    while (rdtsc() < end) cpu_relax();
}

void apic_start_cpu(uint32_t id, uint8_t page)
{
    icr_write(id, 0x4500u);
    delay_us(1000);
    for (unsigned i = 0; i < 2; i++) {
        icr_write(id, 0x4600u | page);
        delay_us(200);
    }
}

struct sample {
    uint64_t tsc;
    uint32_t pit, timer;
};

/* The tightest of a few readings: an interruption by the machine below us does not spoil it. */
static struct sample sample(void)
{
    struct sample best = {0, 0, 0};
    uint64_t width = ~0ull;

    for (unsigned i = 0; i < 8; i++) {
        uint64_t t0 = rdtsc(), t1;
        uint32_t lo, hi, timer;
        outb(0x43, 0x80); /* latch channel 2 */
        lo = inb(0x42);
        hi = inb(0x42);
        timer = reg_read(REG_TCCR);
        t1 = rdtsc();
        if (t1 - t0 < width) {
            width = t1 - t0;
            best = (struct sample){t0 + (t1 - t0) / 2, hi << 8 | lo, timer};
        }
    }
    return best;
}

/* What the CPU says of its TSC (SDM vol. 3B, 20.7.3): crystal and ratio, else the base frequency,
 * which is nearly the same. 0: nothing. */
static uint32_t tsc_khz_told(void)
{
    uint32_t last = cpuid(0, 0).a;
    struct cpuid_regs r = cpuid(0x15, 0);

    if (last >= 0x15 && r.a != 0 && r.b != 0 && r.c != 0)
        return (uint32_t)((uint64_t)r.c * r.b / r.a / 1000);
    return last >= 0x16 ? (cpuid(0x16, 0).a & 0xffffu) * 1000 : 0;
}

bool apic_calibrate(void)
{
    struct sample a, b;
    uint32_t ticks, tries = 200000; /* 16 times what an emulator needs; seconds on a real PC */

    reg_write(REG_TIMER, 0x10000u | VEC_TIMER);
    outb(0x61, (uint8_t)((inb(0x61) & 0xfcu) | 1u)); /* gate on, speaker off */
    do {
        outb(0x43, 0xb0); /* channel 2, mode 0: its output rises once the count has run out */
        outb(0x42, 0xff);
        outb(0x42, 0xff);
        reg_write(REG_TICR, 0xffffffffu);
        a = sample();
        do b = sample();
        while (((a.pit - b.pit) & 0xffffu) < CALIBRATE_TICKS && --tries != 0);
    } while ((inb(0x61) & 0x20u) != 0 && tries != 0); /* held up by the machine below us: again */
    ticks = (a.pit - b.pit) & 0xffffu;
    /* Firmware of many laptops stops the PIT; their CPUs have a TSC deadline, so that is enough. */
    tsc_khz = tsc_deadline ? tsc_khz_told() : 0;
    if (tries != 0) tsc_khz = (uint32_t)((b.tsc - a.tsc) * PIT_HZ / ticks / 1000);
    timer_ratio = ((uint64_t)(a.timer - b.timer) << 32) / (b.tsc - a.tsc);
    reg_write(REG_TICR, 0);
    reg_write(REG_TIMER, tsc_deadline ? 0x40000u | VEC_TIMER : VEC_TIMER);
    return tsc_khz != 0;
}

void timer_arm(uint64_t when)
{
    struct percpu *pc = percpu();
    uint64_t now, counts;

    pc->armed = when;
    if (tsc_deadline) {
        wrmsr(MSR_TSC_DEADLINE, when);
        return;
    }
    now = rdtsc();
    counts = when > now ? when - now : 1;
    if (counts > 0xffffffffull) counts = 0xffffffffull;
    counts = counts * (timer_ratio >> 16) >> 16;
    reg_write(REG_TICR, counts == 0 ? 1 : counts > 0xffffffffull ? 0xffffffffu : (uint32_t)counts);
}

static uint32_t ioapic_count;
static struct spinlock ioapic_lock; /* index and data register belong together */

#define IOAPIC ((volatile uint32_t *)(FIX_BASE + FIX_IOAPIC * 4096ul))

static uint32_t ioapic_read(uint32_t reg)
{
    IOAPIC[0] = reg;
    return IOAPIC[4];
}

static void ioapic_write(uint32_t reg, uint32_t v)
{
    IOAPIC[0] = reg;
    IOAPIC[4] = v;
}

void ioapic_init(uint64_t phys)
{
    if (phys == 0) return;
    ioapic_count = (ioapic_read(1) >> 16 & 0xffu) + 1;
    for (uint32_t i = 0; i < ioapic_count; i++) ioapic_write(0x10 + 2 * i, 0x10000);
    if (ioapic_count > 24) ioapic_count = 24;
}

uint32_t ioapic_lines(void) { return ioapic_count; }

void ioapic_route(uint32_t line, uint8_t vector, uint32_t apic, bool low_level)
{
    spin_lock(&ioapic_lock);
    ioapic_write(0x11 + 2 * line, apic << 24);
    ioapic_write(0x10 + 2 * line, 0x10000u | vector | (low_level ? 0xa000u : 0));
    spin_unlock(&ioapic_lock);
}

void ioapic_mask(uint32_t line, bool masked)
{
    uint32_t low;

    spin_lock(&ioapic_lock);
    low = ioapic_read(0x10 + 2 * line);
    ioapic_write(0x10 + 2 * line, masked ? low | 0x10000u : low & ~0x10000u);
    spin_unlock(&ioapic_lock);
}
