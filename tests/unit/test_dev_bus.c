// sources: vmm/monitor/dev/bus.c
/* The device bus: registration, decoding, holes, straddling accesses, clock arithmetic. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/dev_util.h"

static uint64_t last_offset, last_value;
static unsigned last_size;

static uint64_t probe_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    last_offset = offset;
    last_size = size_bytes;
    return *(uint64_t *)dev;
}

static void probe_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    (void)dev;
    last_offset = offset;
    last_size = size_bytes;
    last_value = value;
}

static const struct bus_ops probe = {probe_read, probe_write};
static uint64_t device = 0x1122334455667788ull;

static void test_add(void **state)
{
    (void)state;
    fixture_reset();
    assert_true(bus_add(&bus, BUS_PIO, 0x100, 8, &probe, &device, "a"));
    assert_false(bus_add(&bus, BUS_PIO, 0x107, 1, &probe, &device, "overlaps the end"));
    assert_false(bus_add(&bus, BUS_PIO, 0xff, 2, &probe, &device, "overlaps the start"));
    assert_false(bus_add(&bus, BUS_PIO, 0xf0, 0x100, &probe, &device, "contains"));
    assert_false(bus_add(&bus, BUS_PIO, 0x200, 0, &probe, &device, "empty"));
    assert_false(bus_add(&bus, BUS_PIO, 0xffff, 2, &probe, &device, "past the last port"));
    assert_false(bus_add(&bus, BUS_MMIO, UINT64_MAX, 2, &probe, &device, "wraps"));
    assert_true(bus_add(&bus, BUS_PIO, 0x108, 1, &probe, &device, "touches"));
    assert_true(bus_add(&bus, BUS_PIO, 0xffff, 1, &probe, &device, "last port"));
    assert_true(bus_add(&bus, BUS_MMIO, UINT64_MAX, 1, &probe, &device, "last byte"));
    assert_true(bus_add(&bus, BUS_MMIO, 0x100, 8, &probe, &device, "other kind"));
    for (unsigned i = bus.count[BUS_MMIO]; i < BUS_MAX_RANGES; i++)
        assert_true(bus_add(&bus, BUS_MMIO, 0x1000u * i, 1, &probe, &device, "fill"));
    assert_false(bus_add(&bus, BUS_MMIO, 0x999000, 1, &probe, &device, "full"));
}

static void test_access(void **state)
{
    (void)state;
    fixture_reset();
    bus_add(&bus, BUS_PIO, 0x100, 8, &probe, &device, "a");
    bus_add(&bus, BUS_MMIO, 0x1000, 16, &probe, &device, "m");
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x104, 1), 0x88);
    assert_int_equal(last_offset, 4);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x104, 4), 0x55667788);
    assert_true(bus_read(&bus, BUS_MMIO, 0x1008, 8) == device);
    assert_int_equal(bus.holes[BUS_PIO] + bus.holes[BUS_MMIO], 0);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x105, 4), 0xffffffff); /* straddles the end */
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x100, 8), -1);         /* no 8-byte ports */
    assert_int_equal(bus_read(&bus, BUS_PIO, 0xff, 2), 0xffff);      /* starts in a hole */
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x100, 3), 0xffffff);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x100, 0), 0);
    assert_int_equal(bus.holes[BUS_PIO], 5);
    last_value = 0;
    bus_write(&bus, BUS_PIO, 0x102, 2, 0xabcdef);
    assert_int_equal(last_value, 0xcdef); /* cut to the access size */
    assert_int_equal(last_size, 2);
    bus_write(&bus, BUS_PIO, 0x107, 2, 1);
    assert_int_equal(last_value, 0xcdef);
    bus_write(&bus, BUS_MMIO, UINT64_MAX, 8, 1);
    assert_int_equal(bus.holes[BUS_MMIO], 1);
}

static void test_clock(void **state)
{
    static const uint64_t hz[] = {1, 32768, 1193182, 3579545, 1000000000};

    (void)state;
    assert_int_equal(ns_to_ticks(1000000000, 1193182), 1193182);
    assert_int_equal(ns_to_ticks(999999999, 1193182), 1193181);
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t f = hz[i % 5u];
        uint64_t t = random_next() >> (i % 33u + 31u);
        uint64_t ns = ticks_to_ns(t, f);

        if (ns == NO_DEADLINE_NS) continue;
        assert_true(ns_to_ticks(ns, f) >= t); /* the first nanosecond at which the tick is there */
        assert_true(ns == 0 || ns_to_ticks(ns - 1, f) < t);
    }
    assert_true(ticks_to_ns(UINT64_MAX, 1) == NO_DEADLINE_NS);
    assert_true(ns_add(UINT64_MAX, 1) == NO_DEADLINE_NS);
}

/* A BAR that moves: its place in the table and its ports are free again. */
static void test_remove(void **state)
{
    (void)state;
    memset(&bus, 0, sizeof(bus));
    for (unsigned round = 0; round < 3u * BUS_MAX_RANGES; round++) {
        uint64_t base = 0x1000u + round % 7u * 0x100u;

        assert_true(bus_add(&bus, BUS_PIO, base, 0x20, &probe, NULL, "io"));
        assert_false(bus_add(&bus, BUS_PIO, base + 0x1fu, 1, &probe, NULL, "over"));
        assert_true(bus_add(&bus, BUS_MMIO, base << 12, 0x1000, &probe, NULL, "mem"));
        assert_int_equal(bus.port[base + 0x1fu], bus.port[base]);
        bus_remove(&bus, BUS_PIO, base);
        bus_remove(&bus, BUS_MMIO, base << 12);
        bus_remove(&bus, BUS_MMIO, base << 12); /* nothing there */
        assert_int_equal(bus.port[base], 0);
        assert_int_equal(bus_read(&bus, BUS_PIO, base, 1), 0xff);
    }
    assert_int_equal(bus.count[BUS_PIO], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
