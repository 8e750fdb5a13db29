// sources: vmm/monitor/save_file.c vmm/rt/crc32c.c vmm/rt/fmt.c vmm/monitor/dev/lapic.c
// sources: vmm/monitor/dev/bus.c
/*
 * Standing still: vCPU 0 goes on only when each of the others stands, which one that still has to
 * go on from the last time does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define bh_signal syscall_bh_signal
#define bh_wait   syscall_bh_wait
#include "vmm/rt/syscall.h"
#undef bh_signal
#undef bh_wait
uint64_t bh_signal(uint64_t ntfn);
struct bh_result bh_wait(uint64_t ntfn, uint64_t deadline);

#include "bulkhead/monitor.h"
static struct bh_monitor_start start = {.nvcpus = 3};
#undef BH_MONITOR_START
#define BH_MONITOR_START ((uint64_t)&start)
#include "vmm/monitor/save.c"

_Thread_local uint32_t vcpu_self;
struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];
struct guest_mem guest_mem;
uint64_t kvm_wall_msr;
static struct bh_vcpu_page registers;
static unsigned step, kicked;

void read_state(uint64_t groups) {}
void kvm_eoi_take(void) {}
void kvm_clock_update(void) {}
void post_take(void) {}
void post_take_for(struct vcpu *v) {}
uint64_t clock_ns(void) { return 1000; }
uint64_t clock_ns_at(uint64_t tsc) { return 1000; }
void clock_set(uint64_t ns, uint64_t tsc) {}
void cpuid_model(char model[32]) {}
void control_asked(void) {}
void wait_for_startup(void) {}
void wait_halted(void) {}
void platform_restored(void) {}

bool platform_saved(unsigned n, const struct dev_state **state, void **dev, uint32_t *instance)
{
    return false;
}

void post(struct vcpu *to, uint32_t bits) { to->post.pending |= bits; }

void vm_end(enum bh_monitor_end kind, uint32_t status, const char *text)
{
    mock_assert(0, text, __FILE__, __LINE__);
    __builtin_unreachable();
}

uint64_t bh_signal(uint64_t ntfn)
{
    kicked += ntfn == BH_MONITOR_SLOT_KICK;
    return BH_OK;
}

/* What the others do while somebody waits. */
struct bh_result bh_wait(uint64_t ntfn, uint64_t deadline)
{
    assert_int_equal(ntfn, BH_MONITOR_SLOT_NTFN + vcpu_self);
    switch (step++) {
    case 0: /* the late one goes on */
        assert_int_equal(pausing, 0);
        assert_int_equal(vcpus[1].post.pending | vcpus[2].post.pending, 0);
        standing = 0;
        break;
    case 1:
        assert_int_equal(pausing, 1);
        assert_true(vcpus[1].post.pending & vcpus[2].post.pending & POST_PAUSE);
        standing = 1;
        break;
    case 2: standing = 2; break;
    case 3: /* vCPU 1 stands, and is to go on */
        assert_int_equal(standing, 3);
        pausing = 0;
        break;
    default: fail();
    }
    return (struct bh_result){BH_OK, BH_MONITOR_SIGNAL_KICK};
}

static void one_that_is_late_does_not_count(void **state)
{
    vcpus[0].page = vcpus[1].page = &registers;
    vcpus[1].number = 1;
    vcpus[2].number = 2;
    standing = 1;
    pause_others();
    assert_int_equal(step, 3);
    /* Whoever stands says so, and when it does no more. */
    vcpu_self = 1;
    kicked = 0;
    save_pause();
    assert_int_equal(step, 4);
    assert_int_equal(standing, 2);
    assert_int_equal(kicked, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_that_is_late_does_not_count)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
