// sources:
/* Root's patience: a host that stands still takes nobody's time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* In ticks of 1 us. */
static uint64_t now_us;
#define rt_tsc real_rt_tsc
#include "syscall.h"
#undef rt_tsc
#define rt_tsc() now_us

#include "vmm/root/patience.c"

#include "root_fixture.h"

static void stands(void **state)
{
    uint64_t began;

    (void)state;
    now_us = 5000000;
    assert_int_equal(patient_tsc(), 5000000); /* however late the first call comes */
    for (unsigned i = 0; i < 100; i++) {      /* root looks every 10 ms: time passes */
        now_us += 10000;
        assert_int_equal(patient_tsc(), now_us);
    }
    began = patient_tsc();
    now_us += 199999;
    assert_int_equal(patient_tsc(), began + 199999);
    began = patient_tsc();
    now_us += 30000000; /* the host stood still */
    assert_int_equal(patient_tsc(), began);
    now_us += 1000;
    assert_int_equal(patient_tsc(), began + 1000);
    now_us += 200000;
    assert_int_equal(patient_tsc(), began + 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stands)};

    return cmocka_run_group_tests(tests, map_info, NULL);
}
