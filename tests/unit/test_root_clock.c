/* The CMOS clock as root reads it: forms of the registers, an update that comes between two of
 * them, a clock that is not there; the NMI mask beside its index stays open. */
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

#include "vmm/root/clock.c"

#include "root_fixture.h"

static uint8_t now[12], later[12];
static unsigned index_written, left; /* reads until `later` holds */
static uint64_t stands_us;           /* for so long the host stands still then */

void port_out8(unsigned port, uint8_t value)
{
    assert_int_equal(port, 0x70);
    assert_true(value < 0x80);
    index_written = value;
}

uint8_t port_in8(unsigned port)
{
    assert_int_equal(port, 0x71);
    now_us++;
    if (left && --left == 0) {
        now_us += stands_us;
        __builtin_memcpy(now, later, sizeof(now));
    }
    return now[index_written];
}

static void set(uint8_t *r, uint8_t b, uint8_t hours, uint8_t minutes, uint8_t seconds)
{
    uint8_t day = b & B_BINARY ? 28 : 0x28, month = b & B_BINARY ? 11 : 0x11,
            year = b & B_BINARY ? 26 : 0x26;
    const uint8_t to[12] = {seconds, 0, minutes, 0, hours, 0, 6, day, month, year, 0x26, b};

    __builtin_memcpy(r, to, sizeof(to));
}

#define MIDNIGHT 1795824000u /* 2026-11-28 */

static void forms(void **state)
{
    uint64_t tsc;

    set(now, B_24_HOURS, 0x23, 0x59, 0x58);
    assert_int_equal(wall_clock_s(&tsc), MIDNIGHT + 86398);
    set(now, B_24_HOURS | B_BINARY, 23, 59, 58);
    assert_int_equal(wall_clock_s(&tsc), MIDNIGHT + 86398);
    set(now, 0, 0x92, 0x30, 0); /* 12 PM */
    assert_int_equal(wall_clock_s(&tsc), MIDNIGHT + 45000);
    set(now, 0, 0x12, 0x30, 0); /* 12 AM */
    assert_int_equal(wall_clock_s(&tsc), MIDNIGHT + 1800);
}

static void update_between(void **state)
{
    uint64_t tsc, t;

    for (unsigned n = 1; n < 40; n++) {
        set(now, B_24_HOURS, 0x12, 0x59, 0x59);
        set(later, B_24_HOURS, 0x13, 0, 0);
        left = n;
        t = wall_clock_s(&tsc) - MIDNIGHT;
        assert_true(t == 13 * 3600 - 1 || t == 13 * 3600);
    }
    left = 0;
}

/* The time is that of the TSC beside it, wherever the host has stood still for five seconds. */
static void held_up(void **state)
{
    uint64_t tsc, t, begin;

    stands_us = 5000000;
    for (unsigned n = 1; n < 40; n++) {
        set(now, B_24_HOURS, 0x12, 0x30, 0x10);
        set(later, B_24_HOURS, 0x12, 0x30, 0x15);
        left = n;
        begin = now_us;
        t = wall_clock_s(&tsc) - MIDNIGHT - 12 * 3600 - 30 * 60;
        assert_int_equal(t, tsc - begin >= stands_us ? 15 : 10);
    }
    left = 0;
    stands_us = 0;
}

static void absent(void **state)
{
    uint64_t tsc;

    __builtin_memset(now, 0xff, sizeof(now));
    assert_int_equal(wall_clock_s(&tsc), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(forms), cmocka_unit_test(update_between),
                                       cmocka_unit_test(held_up), cmocka_unit_test(absent)};

    return cmocka_run_group_tests(tests, map_info, NULL);
}
