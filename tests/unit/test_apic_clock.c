// sources: kernel/core/epoch.c
// flags: -Wno-conversion
/*
 * The machine's clock: measured against the PIT while that counts, told by the CPU where firmware
 * has stopped it and the CPU has a TSC deadline; else none. Ports and registers are played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/x86/asm.h"
#include "arch/x86/percpu.h"

#define TSC_KHZ 2592000ull

static struct percpu this_cpu;
static struct cpuid_regs leaves[0x17];
static uint64_t tsc;
static bool pit_counts, high_byte;
static uint16_t latched;

static uint64_t fake_rdtsc(void) { return tsc += 2592; } /* a microsecond */

static struct cpuid_regs fake_cpuid(uint32_t leaf, uint32_t sub)
{
    return leaf < 0x17 ? leaves[leaf] : leaves[leaves[0].a];
}

static uint64_t fake_rdmsr(uint32_t msr)
{
    return msr == MSR_X2APIC_BASE + 0x39 ? (uint32_t) ~(tsc / 108) : 0; /* its timer at 24 MHz */
}

static void fake_wrmsr(uint32_t msr, uint64_t v) {}

static void fake_outb(uint16_t port, uint8_t v)
{
    if (port == 0x43 && v == 0x80)
        latched = pit_counts ? (uint16_t) ~(tsc * 1193182 / (TSC_KHZ * 1000)) : 0x1234;
}

static uint8_t fake_inb(uint16_t port)
{
    if (port != 0x42) return 0;
    high_byte = !high_byte;
    return (uint8_t)(high_byte ? latched : latched >> 8);
}

#define percpu() (&this_cpu)
#define rdtsc    fake_rdtsc
#define cpuid    fake_cpuid
#define rdmsr    fake_rdmsr
#define wrmsr    fake_wrmsr
#define outb     fake_outb
#define inb      fake_inb
#include "kernel/arch/x86/apic.c"

/* @deadline: the CPU has one */
static bool calibrated(bool pit, bool deadline, uint32_t last_leaf, struct cpuid_regs l15,
                       uint32_t base_mhz)
{
    leaves[0].a = last_leaf;
    leaves[1].c = 1u << 21 | (deadline ? 1u << 24 : 0);
    leaves[0x15] = l15;
    leaves[0x16].a = base_mhz;
    pit_counts = pit;
    tsc_khz = 0;
    apic_init_boot();
    return apic_calibrate();
}

static const struct cpuid_regs nothing = {0}, no_crystal = {2, 216, 0, 0},
                               all = {2, 216, 24000000, 0};

static void measured(void **state)
{
    for (unsigned deadline = 0; deadline < 2; deadline++) {
        /* What the CPU says does not count then: emulated ones say what they were modelled on. */
        assert_true(calibrated(true, deadline, 0x16, (struct cpuid_regs){1, 2, 3000000, 0}, 9999));
        assert_in_range(tsc_khz, TSC_KHZ - TSC_KHZ / 1000, TSC_KHZ + TSC_KHZ / 1000);
        /* The timer is at 1/108 of the TSC. */
        assert_in_range(timer_ratio, (1ull << 32) / 109, (1ull << 32) / 107);
    }
}

static void told(void **state)
{
    assert_true(calibrated(false, true, 0x16, all, 2600));
    assert_int_equal(tsc_khz, 2592000);
    assert_true(calibrated(false, true, 0x15, all, 0));
    assert_int_equal(tsc_khz, 2592000);
    assert_true(calibrated(false, true, 0x16, no_crystal, 2600));
    assert_int_equal(tsc_khz, 2600000);
    assert_true(calibrated(false, true, 0x16, nothing, 1800));
    assert_int_equal(tsc_khz, 1800000);
}

static void neither(void **state)
{
    assert_false(calibrated(false, true, 0x15, no_crystal, 2600)); /* 16H is not there */
    assert_false(calibrated(false, true, 0xd, all, 2600));
    assert_false(calibrated(false, true, 0x16, nothing, 0));
    /* Without a deadline the local APIC's timer must be measured as well. */
    assert_false(calibrated(false, false, 0x16, all, 2600));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(measured), cmocka_unit_test(told),
                                       cmocka_unit_test(neither)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
