/*
 * Fact: while this guest sleeps by HLT until KVM's clock says secs=N (1) seconds, that clock, the
 * TSC by the frequency that follows from it in kHz (as Linux takes it), and the ACPI PM timer stay
 * within 1 ms of each other.
 * Ends at that moment of its clock, so that others can hold a clock of their own against it.
 * Only where the clock counts instructions: each is read a moment after the other.
 */
#include "guest.h"

enum { VECTOR = 0x45, PM_TIMER = 0x608, PM_HZ = 3579545, PM_MASK = 0xffffff };
enum { NS = 1000000000, NEAR_NS = 1000000, SPIN_NS = 5000000, NAP_NS = 1000000000 };
#define KVM           0x4b4d564bu
#define MSR_KVM_CLOCK 0x4b564d01u

/* Linux Documentation/virt/kvm/x86/msr.rst */
static volatile struct {
    uint32_t version, reserved0;
    uint64_t tsc, ns;
    uint32_t mul;
    int8_t shift;
    uint8_t flags, reserved1[2];
} page __attribute__((aligned(64)));

static uint64_t scaled(uint64_t ticks, int8_t shift, uint32_t mul)
{
    ticks = shift < 0 ? ticks >> -shift : ticks << shift;
    return (uint64_t)((unsigned __int128)ticks * mul >> 32);
}

static uint64_t kvm_ns(void)
{
    uint32_t version;
    uint64_t ns;

    do {
        version = page.version & ~1u;
        __asm__ volatile("lfence" ::: "memory");
        ns = page.ns + scaled(rdtsc() - page.tsc, page.shift, page.mul);
    } while (version != page.version);
    return ns;
}

static uint64_t page_khz(void)
{
    uint64_t khz = (1000000ull << 32) / page.mul;

    return page.shift < 0 ? khz << -page.shift : khz >> page.shift;
}

/* Of the APIC's timer. */
static uint32_t timer_ticks_in_ms(void)
{
    uint64_t from;

    lapic_timer(VECTOR, 0xffffffff);
    lapic_write(LAPIC_LVT_TIMER, LAPIC_MASKED);
    for (from = kvm_ns(); kvm_ns() - from < NS / 1000;) pause();
    return 0xffffffff - lapic_read(LAPIC_TIMER_NOW);
}

static void on_timer(struct regs *r)
{
    (void)r;
    lapic_eoi();
}

/* Nanoseconds by which a is from b. */
static uint64_t apart(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

void guest_main(void)
{
    uint64_t end = arg_u64("secs", 1) * NS, per_ms, now, start, tsc, tsc_end, pm = 0, naps = 0,
             tsc_ns, pm_ns;
    uint32_t pm_last, pm_now;

    if (cpuid(0x40000000, 0).b != KVM || !(cpuid(0x40000001, 0).a & 1u << 3)) skip("no KVM clock");
    pic_init();
    if (!lapic_init(false)) skip("no local APIC");
    trap_set(VECTOR, on_timer);
    wrmsr(MSR_KVM_CLOCK, (uint64_t)&page | 1u);
    per_ms = timer_ticks_in_ms();
    start = now = kvm_ns();
    tsc = rdtsc();
    pm_last = inl(PM_TIMER);
    while (now < end) {
        uint64_t nap = end - now > NAP_NS + SPIN_NS ? NAP_NS : end - now - SPIN_NS;

        if (end - now > SPIN_NS) {
            lapic_timer(VECTOR, (uint32_t)(nap / 1000000u * per_ms));
            __asm__ volatile("sti; hlt; cli" ::: "memory");
            naps++;
        }
        pm_now = inl(PM_TIMER);
        pm += (pm_now - pm_last) & PM_MASK;
        pm_last = pm_now;
        now = kvm_ns();
    }
    tsc_end = rdtsc();
    print("CLOCK %lu ns, TSC %lu\n", now, tsc_end);
    tsc = tsc_end - tsc;
    now -= start;
    tsc_ns = tsc * 1000000u / page_khz();
    pm_ns = pm * NS / PM_HZ;
    fact("slept", naps * 2 * NS >= now, "%lu times", naps);
    fact("tsc", apart(tsc_ns, now) < NEAR_NS, "%lu ns, KVM's clock %lu ns", tsc_ns, now);
    fact("pm-timer", apart(pm_ns, now) < NEAR_NS, "%lu ns, KVM's clock %lu ns", pm_ns, now);
}
