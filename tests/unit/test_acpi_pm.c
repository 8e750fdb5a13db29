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

static void setup(void)
{
    fixture_reset();
    offs = 0;
    assert_true(acpi_pm_init(&pm, &bus, &host, true, power_off, NULL));
    assert_true(acpi_pm_place(&pm, ACPI_PM_BASE));
}

static unsigned in16(uint16_t port) { return (unsigned)bus_read(&bus, BUS_PIO, port, 2); }

static void out16(uint16_t port, unsigned value) { bus_write(&bus, BUS_PIO, port, 2, value); }

static void test_control(void **state)
{
    (void)state;
    setup();
    assert_int_equal(in16(0x604), 1); /* in ACPI mode */
    out16(0x604, 0);
    assert_int_equal(in16(0x604), 1);
    for (unsigned type = 0; type < 8; type++) {
        offs = 0;
        out16(0x604, type << 10 | 0x2000);
        assert_int_equal(offs, type == ACPI_S5_TYPE || type == 0); /* 0: as firmware does */
        assert_int_equal(in16(0x604), type << 10 | 1);             /* SLP_EN reads 0 */
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
    setup();
    now = 1000000000;
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x608, 4), 3579545);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x609, 2), 3579545 >> 8 & 0xffff);
    assert_int_equal(in8(0x60b), 0);
    bus_write(&bus, BUS_PIO, 0x608, 4, 0); /* read-only */
    now = 10 * NS_PER_S;
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x608, 4), 35795450);
    now = UINT64_MAX;
    (void)bus_read(&bus, BUS_PIO, 0x608, 4);
}

static void test_timer_event(void **state)
{
    uint64_t carry = ticks_to_ns(1ull << 31, ACPI_PM_TIMER_HZ);

    (void)state;
    setup();
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
    assert_true(pm.deadline_ns == ticks_to_ns(2ull << 31, ACPI_PM_TIMER_HZ));
    now = 3600 * 24 * NS_PER_S; /* many carries: one event */
    acpi_pm_tick(&pm, now);
    assert_int_equal(rises[9], 2);
}

static void test_power_button(void **state)
{
    (void)state;
    setup();
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

/* ICH9 data sheet, 13.8.3: the rest of the block. There are no general-purpose events, no SMI. */
static void test_block(void **state)
{
    (void)state;
    setup();
    for (uint16_t at = 0x60c; at < 0x680; at = (uint16_t)(at + 4u))
        assert_int_equal(bus_read(&bus, BUS_PIO, at, 4), at == 0x630 ? 0x20 : 0);
    for (uint16_t at = 0x60c; at < 0x680; at = (uint16_t)(at + 4u))
        bus_write(&bus, BUS_PIO, at, 4, 0xffffffff);
    for (uint16_t at = 0x60c; at < 0x680; at = (uint16_t)(at + 4u))
        assert_int_equal(bus_read(&bus, BUS_PIO, at, 4),
                         at == 0x628 || at == 0x62c || at == 0x630 ? 0xffffffff : 0);
    bus_write(&bus, BUS_PIO, 0x630, 4, 0x12345600);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x630, 4), 0x12345620); /* APMC_EN stays */
    assert_false(line[9]);
}

static void test_place(void **state)
{
    (void)state;
    setup();
    assert_true(acpi_pm_place(&pm, 0xb000));
    assert_int_equal(in16(0x604), 0xffff);
    assert_int_equal(in16(0xb004), 1);
    assert_false(acpi_pm_place(&pm, 0x80)); /* the command port is in it */
    assert_int_equal(in16(0xb004), 0xffff);
    assert_int_equal(in8(0xb2), 0);
    assert_true(acpi_pm_place(&pm, 0));
    assert_true(acpi_pm_place(&pm, 0x600));
    assert_int_equal(in16(0x604), 1);
}

/* ACPI 6.3, 4.8.3.2.1 and 16.3.2: legacy mode raises no SCI. */
static void test_modes(void **state)
{
    (void)state;
    fixture_reset();
    assert_true(acpi_pm_init(&pm, &bus, &host, false, power_off, NULL));
    assert_true(acpi_pm_place(&pm, ACPI_PM_BASE));
    assert_int_equal(in16(0x604), 0);
    out16(0x602, 0x0100);
    acpi_pm_power_button(&pm);
    assert_false(line[9]);
    out8(0xb2, 1);
    assert_int_equal(in16(0x604), 0);
    out8(0xb2, ACPI_ENABLE_VALUE);
    assert_int_equal(in16(0x604), 1);
    assert_true(line[9]);
    out8(0xb2, ACPI_DISABLE_VALUE);
    assert_int_equal(in16(0x604), 0);
    assert_false(line[9]);
    out8(0xb3, 0x5a);
    assert_int_equal(in16(0xb2), 0x5a03);
}

static void tick(uint64_t t)
{
    acpi_pm_tick(&pm, t);
    if ((random_next() & 15u) == 0) acpi_pm_power_button(&pm);
}

static void test_hammer(void **state)
{
    (void)state;
    setup();
    hammer(400000, tick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control),     cmocka_unit_test(test_timer),
        cmocka_unit_test(test_timer_event), cmocka_unit_test(test_power_button),
        cmocka_unit_test(test_block),       cmocka_unit_test(test_place),
        cmocka_unit_test(test_modes),       cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
