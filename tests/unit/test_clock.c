// flags: -iquote vmm/rt -iquote vmm/monitor -iquote vmm/monitor/dev
/*
 * Guest time and the host's TSC: the way there and back leads to the same place, however long the
 * VM has been up and whatever the TSC's frequency.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bulkhead/monitor.h"
static struct bh_monitor_start start;
#undef BH_MONITOR_START
#define BH_MONITOR_START ((uint64_t)&start)

static uint64_t host_tsc;
#define rt_tsc real_rt_tsc
#include "monitor.h"
#undef rt_tsc
#define rt_tsc() host_tsc
#include "vmm/monitor/clock.c"

#define SECOND 1000000000ull
#define DAY    (86400u * SECOND)

static const uint32_t frequencies[] = {10007, 999999, 1000000, 1000001, 2419200, 2899999, 6000001};
static const uint64_t ups[] = {0, 1, SECOND, DAY, 30u * DAY, 3650u * DAY};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void up(uint32_t khz, uint64_t ns)
{
    start.tsc_khz = khz;
    host_tsc = 1000;
    clock_init();
    clock_set(ns, host_tsc);
}

/* vcpu_run returns at once when a deadline is over: one that is over for the kernel and not for the
 * devices would keep the guest from running. */
static void a_deadline_that_the_kernel_reports_has_passed(void **state)
{
    for (unsigned f = 0; f < COUNT(frequencies); f++)
        for (unsigned u = 0; u < COUNT(ups); u++)
            for (uint64_t ahead = 1; ahead <= 10u * SECOND; ahead *= 7u) {
                up(frequencies[f], ups[u]);
                host_tsc = clock_ns_to_tsc(ups[u] + ahead);
                assert_true(clock_ns() >= ups[u] + ahead);
                host_tsc--; /* and not before */
                assert_true(clock_ns() < ups[u] + ahead);
            }
}

static void it_goes_on_from_where_it_stopped(void **state)
{
    for (unsigned f = 0; f < COUNT(frequencies); f++)
        for (unsigned u = 0; u < COUNT(ups); u++) {
            uint64_t tick_ns = 1000000u / frequencies[f] + 1u;

            up(frequencies[f], ups[u]);
            assert_in_range(clock_ns(), ups[u], ups[u] + tick_ns);
        }
}

/* Saved where it had been up for long, restored on a host that has just been switched on: some
 * devices say "now" by a deadline of 0. */
static void what_was_due_before_the_host_was_there_is_due(void **state)
{
    up(2419200, 30u * DAY);
    assert_true(clock_ns_to_tsc(0) <= host_tsc);
    assert_true(clock_ns_to_tsc(DAY) <= host_tsc);
    assert_true(clock_ns_to_tsc(30u * DAY) <= host_tsc);
    assert_in_range(clock_ns_to_tsc(30u * DAY + SECOND), host_tsc + 2419200000u - 1u,
                    host_tsc + 2419200000u + 1u);
}

static void what_never_comes_has_no_tsc(void **state)
{
    up(2419200, DAY);
    assert_true(clock_ns_to_tsc(NO_DEADLINE_NS) == BH_FOREVER);
    assert_true(clock_ns_to_tsc(NO_DEADLINE_NS - 1u) == BH_FOREVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_that_the_kernel_reports_has_passed),
        cmocka_unit_test(it_goes_on_from_where_it_stopped),
        cmocka_unit_test(what_was_due_before_the_host_was_there_is_due),
        cmocka_unit_test(what_never_comes_has_no_tsc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
