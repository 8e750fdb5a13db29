// sources: vmm/monitor/dev/acpi_pm.c vmm/monitor/dev/bus.c
/* ACPI fixed hardware: status and enable, SCI, timer, power off, power button. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/acpi_pm.h"
#include "vmm/monitor/dev/dev_util.h"

static struct acpi_pm pm;
static unsigned offs;

static void power_off(void *ctx)
{
    (void)ctx;
    offs++;
}

static void setup(bool wide)
{
    fixture_reset();
    offs = 0;
    assert_true(acpi_pm_init(&pm, &bus, &host, wide, power_off, NULL));
}

static unsigned in16(uint16_t port) { return (unsigned)bus_read(&bus, BUS_PIO, port, 2); }

static void out16(uint16_t port, unsigned value) { bus_write(&bus, BUS_PIO, port, 2, value); }

static void test_control(void **state)
{
    (void)state;
    setup(false);
    assert_int_equal(in16(0x604), 1); /* always in ACPI mode */
    out16(0x604, 0);
    assert_int_equal(in16(0x604), 1);
    for (unsigned type = 0; type < 8; type++) {
        offs = 0;
        out16(0x604, type << 10 | 0x2000);
        assert_int_equal(offs, type == ACPI_S5_TYPE);
        assert_int_equal(in16(0x604), type << 10 | 1); /* SLP_EN reads 0 */
    }
    offs = 0;
    out16(0x604, ACPI_S5_TYPE << 10);
    assert_int_equal(offs, 0);
    out8(0x605, ACPI_S5_TYPE << 2 | 0x20); /* bytewise works as well */
    assert_int_equal(offs, 1);
    assert_int_equal(in16(0x606), 0);
}

static void test_timer(void **state)
{
    (void)state;
    setup(false);
    now = 1000000000;
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x608, 4), 3579545);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x609, 2), 3579545 >> 8 & 0xffff);
    assert_int_equal(in8(0x60b), 0);
    bus_write(&bus, BUS_PIO, 0x608, 4, 0); /* read-only */
    now = 10 * NS_PER_S;
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x608, 4), 35795450 & 0xffffff);
    setup(true);
    now = 10 * NS_PER_S;
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x608, 4), 35795450);
    now = UINT64_MAX;
    (void)bus_read(&bus, BUS_PIO, 0x608, 4);
}

static void test_timer_event(void **state)
{
    uint64_t carry = ticks_to_ns(1u << 23, ACPI_PM_TIMER_HZ);

    (void)state;
    setup(false);
    assert_true(pm.deadline_ns == NO_DEADLINE_NS);
    out16(0x602, 0x0001);
    assert_true(pm.deadline_ns == carry);
    now = carry - 1;
    acpi_pm_tick(&pm, now);
    assert_false(line[9]);
    now = carry;
    acpi_pm_tick(&pm, now);
    assert_true(line[9]);
    assert_int_equal(in16(0x600), 0x0001);
    out16(0x600, 0x0001);
    assert_false(line[9]);
    assert_true(pm.deadline_ns == ticks_to_ns(2u << 23, ACPI_PM_TIMER_HZ));
    now = 3600 * NS_PER_S; /* many carries: one event */
    acpi_pm_tick(&pm, now);
    assert_int_equal(rises[9], 2);
    setup(true);
    out16(0x602, 0x0001);
    assert_true(pm.deadline_ns == ticks_to_ns(1ull << 31, ACPI_PM_TIMER_HZ));
}

static void test_power_button(void **state)
{
    (void)state;
    setup(false);
    acpi_pm_power_button(&pm);
    assert_false(line[9]); /* not enabled yet */
    assert_int_equal(in16(0x600), 0x0100);
    out16(0x602, 0x0100);
    assert_true(line[9]);
    out16(0x600, 0x0001);
    assert_true(line[9]);
    out8(0x601, 0x01);
    assert_false(line[9]);
    out16(0x602, 0xffff);
    assert_int_equal(in16(0x602), 0x0721);
    assert_false(line[9]);
}

static void tick(uint64_t t)
{
    acpi_pm_tick(&pm, t);
    if ((random_next() & 15u) == 0) acpi_pm_power_button(&pm);
}

static void test_hammer(void **state)
{
    (void)state;
    setup(false);
    hammer(200000, tick);
    setup(true);
    hammer(200000, tick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control),     cmocka_unit_test(test_timer),
        cmocka_unit_test(test_timer_event), cmocka_unit_test(test_power_button),
        cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
