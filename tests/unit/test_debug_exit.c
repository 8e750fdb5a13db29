// sources: vmm/monitor/dev/debug_exit.c vmm/monitor/dev/bus.c
/* Debug exit port: every width hands its value over; reads give 0. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/debug_exit.h"

static struct debug_exit d;
static uint32_t got;
static unsigned exits;

static void end(void *ctx, uint32_t value)
{
    (void)ctx;
    got = value;
    exits++;
}

static void test_all(void **state)
{
    (void)state;
    fixture_reset();
    assert_true(debug_exit_init(&d, &bus, &host, end, NULL));
    assert_int_equal(in8(0xf4), 0);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xf4, 4), 0);
    out8(0xf4, 0x2a);
    assert_int_equal(got, 0x2a);
    bus_write(&bus, BUS_PIO, 0xf4, 2, 0x1234);
    assert_int_equal(got, 0x1234);
    bus_write(&bus, BUS_PIO, 0xf4, 4, 0xdeadbeef);
    assert_int_equal(got, 0xdeadbeef);
    assert_int_equal(exits, 3);
    out8(0xf8, 1);
    assert_int_equal(exits, 3);
    hammer(10000, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
