// sources: vmm/monitor/kvm.c vmm/monitor/dev/guest_mem.c
/*
 * The paravirtual clock: where the guest may put its structures, what they say of time, and that
 * nothing is written where it may not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "monitor.h"

#define VCPUS     3u
#define RAM_BYTES 0x10000u
#define START_TSC 123456789u

_Thread_local uint32_t vcpu_self;
struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];
struct guest_mem guest_mem;
static uint8_t ram[RAM_BYTES + 64] __attribute__((aligned(4096)));

uint64_t clock_start_tsc(void) { return START_TSC; }

void post(struct vcpu *to, uint32_t bits)
{
    (void)__atomic_fetch_or(&to->post.pending, bits, __ATOMIC_SEQ_CST);
}

int64_t platform_wall_clock_s(void) { return 1700000000; }

static uint64_t get(uint64_t gpa, unsigned bytes)
{
    uint64_t v = 0;

    memcpy(&v, ram + gpa, bytes);
    return v;
}

static int setup(void **state)
{
    memset(ram, 0, sizeof(ram));
    memset(vcpus, 0, sizeof(vcpus));
    vcpus[0].page = (struct bh_vcpu_page *)BH_MONITOR_VCPU;
    guest_mem = (struct guest_mem){ram, RAM_BYTES, NULL};
    for (unsigned i = 0; i < VCPUS; i++) {
        vcpus[i].number = i;
        vcpus[i].tsc_offset = 7;
    }
    vcpu_self = 0;
    ((struct bh_monitor_start *)BH_MONITOR_START)->tsc_khz = 2500000;
    ((struct bh_monitor_start *)BH_MONITOR_START)->nvcpus = VCPUS;
    return 0;
}

/* Nanoseconds per 2^32 ticks that the structure at @gpa tells. */
static uint64_t scale_of(uint64_t gpa)
{
    uint64_t mul = get(gpa + 24, 4);
    int8_t shift = (int8_t)get(gpa + 28, 1);

    return shift < 0 ? mul >> -shift : mul << shift;
}

/* Linux aligns it to a cache line; the interface asks for 4 bytes (msr.rst). */
static void any_multiple_of_four(void **state)
{
    uint64_t value;

    for (uint64_t gpa = 0x1000; gpa < 0x1020; gpa += 4) {
        setup(state);
        assert_true(kvm_msr_write(MSR_KVM_SYSTEM_TIME, gpa | 1u));
        assert_int_equal(get(gpa, 4), 2); /* even: complete */
        assert_int_equal(get(gpa + 8, 8), START_TSC + 7u);
        assert_int_equal(get(gpa + 16, 8), 0);                  /* then */
        assert_int_equal(get(gpa + 29, 1), 1);                  /* stable */
        assert_in_range(scale_of(gpa), 1717986917, 1717986919); /* 0.4 ns a tick */
        assert_true(kvm_msr_read(MSR_KVM_SYSTEM_TIME, &value));
        assert_int_equal(value, gpa | 1u);
        for (uint64_t i = 0; i < RAM_BYTES; i++)
            if (i < gpa || i >= gpa + 32) assert_int_equal(ram[i], 0);
    }
}

static void refused(void **state)
{
    assert_false(kvm_msr_write(MSR_KVM_SYSTEM_TIME, 0x1002 | 1u));
    assert_false(kvm_msr_write(MSR_KVM_SYSTEM_TIME, (RAM_BYTES - 28u) | 1u));
    assert_false(kvm_msr_write(MSR_KVM_SYSTEM_TIME, ~(uint64_t)3u | 1u));
    assert_false(kvm_msr_write(MSR_KVM_WALL_CLOCK, 0x1002));
    assert_false(kvm_msr_write(MSR_KVM_WALL_CLOCK, RAM_BYTES - 8u));
    for (uint64_t i = 0; i < RAM_BYTES; i++) assert_int_equal(ram[i], 0);
}

static void last_place(void **state)
{
    assert_true(kvm_msr_write(MSR_KVM_SYSTEM_TIME, (RAM_BYTES - 32u) | 1u));
    assert_int_equal(get(RAM_BYTES - 32u, 4), 2);
    assert_int_equal(get(RAM_BYTES, 8), 0);
}

/* Off: nothing is written any more. */
static void disabled(void **state)
{
    assert_true(kvm_msr_write(MSR_KVM_SYSTEM_TIME, 0x1000 | 1u));
    assert_true(kvm_msr_write(MSR_KVM_SYSTEM_TIME, 0x1000));
    memset(ram, 0, sizeof(ram));
    kvm_clock_update();
    assert_int_equal(get(0x1000, 8), 0);
}

/* Each vCPU has a page; a TSC moved by itself ends the promise that all agree, on all pages. */
static void several(void **state)
{
    for (vcpu_self = 0; vcpu_self < VCPUS; vcpu_self++)
        assert_true(kvm_msr_write(MSR_KVM_SYSTEM_TIME, (0x1000u + 0x100u * vcpu_self) | 1u));
    vcpu_self = 1;
    vcpus[1].tsc_offset = 1007;
    kvm_tsc_moved();
    assert_int_equal(vcpus[0].post.pending, POST_CLOCK);
    assert_int_equal(vcpus[1].post.pending, 0);
    assert_int_equal(vcpus[2].post.pending, POST_CLOCK);
    for (vcpu_self = 0; vcpu_self < VCPUS; vcpu_self++) {
        uint64_t gpa = 0x1000u + 0x100u * vcpu_self;

        kvm_clock_update();
        assert_int_equal(get(gpa + 8, 8), START_TSC + vcpus[vcpu_self].tsc_offset);
        assert_int_equal(get(gpa + 16, 8), 0);
        assert_int_equal(get(gpa + 29, 1), 0);
    }
    vcpu_self = 1;
    vcpus[1].tsc_offset = 7;
    kvm_tsc_moved();
    assert_int_equal(get(0x1100 + 29, 1), 1);
}

static void wall_clock(void **state)
{
    uint64_t value;

    assert_true(kvm_msr_write(MSR_KVM_WALL_CLOCK, 0x2004));
    assert_int_equal(get(0x2004, 4), 2);
    assert_int_equal(get(0x2008, 4), 1700000000);
    assert_int_equal(get(0x200c, 4), 0);
    assert_true(kvm_msr_read(MSR_KVM_WALL_CLOCK, &value));
    assert_int_equal(value, 0x2004);
}

/* Every frequency a CPU may have: the product stays right to a millionth. */
static void frequencies(void **state)
{
    for (uint32_t khz = 100000; khz < 6000000; khz += 99991) {
        double want = 1e6 / khz * 4294967296.0;

        ((struct bh_monitor_start *)BH_MONITOR_START)->tsc_khz = khz;
        assert_true(kvm_msr_write(MSR_KVM_SYSTEM_TIME, 0x1000 | 1u));
        assert_in_range(scale_of(0x1000), (uint64_t)(want * 0.999999), (uint64_t)(want * 1.000001));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(any_multiple_of_four, setup),
        cmocka_unit_test_setup(refused, setup),
        cmocka_unit_test_setup(last_place, setup),
        cmocka_unit_test_setup(disabled, setup),
        cmocka_unit_test_setup(several, setup),
        cmocka_unit_test_setup(wall_clock, setup),
        cmocka_unit_test_setup(frequencies, setup),
    };
    void *p = mmap((void *)BH_MONITOR_START, 4096, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (p != (void *)BH_MONITOR_START) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
