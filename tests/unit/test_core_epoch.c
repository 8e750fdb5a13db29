// sources: kernel/core/epoch.c
// Flush epochs: a charge is new, and has passed when the last CPU that takes part has flushed
// since.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>
#include "core/epoch.h"

static void charges(void **state)
{
    epoch_now = 41;
    assert_int_equal(epoch_charge(), 42);
    assert_int_equal(epoch_charge(), 43);
    assert_int_equal(epoch_now, 43);
    (void)state;
}

/* Any of four CPUs may be the one that is behind; what lies beyond the last does not count. */
static void passed(void **state)
{
    for (uint32_t cpus = 1; cpus <= 4; cpus++)
        for (uint32_t late = 0; late < 5; late++) {
            memset(epoch_cpu, 0, sizeof(epoch_cpu));
            epoch_cpus = cpus;
            for (uint32_t i = 0; i < cpus; i++) epoch_cpu[i] = i == late ? 6 : 7 + i;
            assert_int_equal(epoch_passed(6), 1);
            assert_int_equal(epoch_passed(7), late >= cpus);
            assert_int_equal(epoch_passed(0), 1);
            assert_int_equal(epoch_passed(12), 0);
        }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(charges), cmocka_unit_test(passed)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
