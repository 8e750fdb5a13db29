// sources: vmm/monitor/dev/lapic.c vmm/monitor/dev/bus.c
/*
 * INIT and start-up: what a vCPU begins with, and what of its earlier life is over. Whoever starts
 * it may have other things by now where that one's structures were.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/monitor/reset.c"

_Thread_local uint32_t vcpu_self;
struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];

static struct bh_vcpu_page registers;
static unsigned waits;

void read_state(uint64_t groups) {}

uint32_t cpuid_signature(void) { return 0x12345; }

void vm_end(enum bh_monitor_end kind, uint32_t status, const char *text)
{
    mock_assert(0, text, __FILE__, __LINE__);
    __builtin_unreachable();
}

/* The start-up message comes. */
void wait_event(uint64_t deadline)
{
    assert_true(deadline == BH_FOREVER);
    waits++;
    vcpus[1].lapic.sipi_pending = true;
    vcpus[1].lapic.sipi_vector = 0x9a;
}

static uint64_t now_ns(void *ctx) { return 1000; }
static uint64_t tsc(void *ctx) { return 1000; }
static const struct dev_host host = {.now_ns = now_ns};
static const struct lapic_host lhost = {.tsc = tsc};

static void another_life(void **state)
{
    struct vcpu *v = &vcpus[1];

    vcpu_self = v->number = 1;
    v->page = &registers;
    assert_true(lapic_init(&v->lapic, NULL, &host, &lhost, 1, false, 1000000000));
    lapic_mmio_write(&v->lapic, 0xf0, 4, 0x1ff);
    v->kvm_time_msr = 0x5001;
    v->kvm_eoi_msr = 0x6001;
    registers.state.cr0 = 0x80000011u;
    registers.state.efer = 0x500;
    registers.gpr[RAX] = 5;
    v->lapic.init_pending = true;
    cpu_init();
    assert_int_equal(waits, 1);
    assert_int_equal(v->idle, IDLE_NOT);
    assert_false(v->lapic.init_pending);
    assert_int_equal(v->lapic.svr, 0xff);
    assert_int_equal(registers.state.seg[BH_CS].selector, 0x9a00);
    assert_int_equal(registers.state.seg[BH_CS].base, 0x9a000);
    assert_int_equal(registers.state.cr0, 0x10);
    assert_int_equal(registers.state.efer, 0);
    assert_int_equal(registers.gpr[RAX], 0);
    assert_int_equal(registers.gpr[RDX], 0x12345);
    /* Nothing is written any more where it was asked for. */
    assert_int_equal(v->kvm_time_msr, 0);
    assert_int_equal(v->kvm_eoi_msr, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(another_life)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
