// sources: vmm/monitor/dev/pit.c vmm/monitor/dev/bus.c
/* 8254 against its data sheet's mode diagrams, and port 0x61 as calibration loops use it. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/dev_util.h"
#include "vmm/monitor/dev/pit.h"

static struct pit p;

static void setup(void)
{
    fixture_reset();
    assert_true(pit_init(&p, &bus, &host));
}

/* Set the clock to the first nanosecond of a tick. */
static void at(uint64_t tick) { now = ticks_to_ns(tick, PIT_HZ); }

static void program(unsigned channel, unsigned mode, unsigned count)
{
    out8(0x43, channel << 6 | 0x30u | mode << 1);
    out8((uint16_t)(0x40 + channel), count & 0xffu);
    out8((uint16_t)(0x40 + channel), count >> 8 & 0xffu);
}

static unsigned count(unsigned channel)
{
    unsigned lsb, msb;

    out8(0x43, channel << 6);
    lsb = in8((uint16_t)(0x40 + channel));
    msb = in8((uint16_t)(0x40 + channel));
    return msb << 8 | lsb;
}

static unsigned status(unsigned channel)
{
    out8(0x43, 0xe0u | 2u << channel);
    return in8((uint16_t)(0x40 + channel));
}

static void test_mode0(void **state)
{
    (void)state;
    setup();
    program(0, 0, 4);
    assert_false(line[0]);
    assert_int_equal(status(0), 0x70); /* null count: loaded at the next clock */
    at(1);
    assert_int_equal(status(0), 0x30);
    assert_int_equal(count(0), 4);
    at(4);
    assert_int_equal(count(0), 1);
    assert_true(p.deadline_ns == ticks_to_ns(5, PIT_HZ)); /* N + 1 clocks after the write */
    at(5);
    pit_tick(&p, now);
    assert_true(line[0]);
    assert_int_equal(status(0), 0xb0);
    at(6);
    assert_int_equal(count(0), 0xffff);
    pit_tick(&p, UINT64_MAX / 2u); /* single shot */
    assert_int_equal(rises[0], 1);
    assert_true(p.deadline_ns == NO_DEADLINE_NS);
    program(0, 0, 0);
    assert_false(line[0]);
    at(6 + 65536);
    assert_int_equal(count(0), 1);
    out8(0x40, 1); /* the first of two bytes stops it */
    now += 1000000;
    pit_tick(&p, now);
    assert_false(line[0]);
}

static void test_mode2(void **state)
{
    (void)state;
    setup();
    program(0, 2, 11932); /* 100 Hz */
    assert_true(line[0]);
    at(1 + 11932 - 1);
    assert_int_equal(count(0), 1);
    assert_int_equal(status(0) & 0x80, 0); /* low for the last clock */
    at(1 + 11932);
    pit_tick(&p, now);
    assert_int_equal(rises[0], 2); /* one at programming time, one now */
    assert_int_equal(count(0), 11932);
    at(1 + 11932ull * 1000003);
    pit_tick(&p, now); /* missed periods coalesce */
    assert_int_equal(rises[0], 3);
    assert_true(p.deadline_ns == ticks_to_ns(1 + 11932ull * 1000004, PIT_HZ));
    program(0, 2, 1); /* illegal: no flood */
    assert_true(p.deadline_ns == NO_DEADLINE_NS);
    program(0, 2, 2);
    for (unsigned i = 0; i < 100; i++) {
        uint64_t before = now;

        pit_tick(&p, now);
        now = p.deadline_ns;
        assert_true(i == 0 || now >= before + TIMER_MIN_REARM_NS);
    }
}

static void test_reload_at_period_end(void **state)
{
    (void)state;
    setup();
    program(0, 2, 1000);
    at(501);
    out8(0x40, 100);
    out8(0x40, 0);
    assert_int_equal(count(0), 500);
    assert_int_equal(status(0) & 0x40, 0x40);
    at(1000);
    assert_int_equal(count(0), 1);
    at(1001);
    assert_int_equal(count(0), 100);
    at(1101);
    assert_int_equal(count(0), 100);
    at(5001);
    out8(0x40, 10);
    out8(0x40, 0);
    at(5100);
    assert_int_equal(count(0), 1);
    at(5101);
    assert_int_equal(count(0), 10);
}

/* Looking at the counter must not swallow an edge that nobody has delivered yet. */
static void test_read_keeps_edge(void **state)
{
    (void)state;
    setup();
    program(0, 2, 1000);
    at(501);
    out8(0x40, 0x10);
    out8(0x40, 0x27);
    assert_int_equal(rises[0], 1);
    at(1005);
    (void)in8(0x40);
    pit_tick(&p, now);
    assert_int_equal(rises[0], 2);
    assert_true(p.deadline_ns == ticks_to_ns(1001 + 10000, PIT_HZ));
}

static void test_mode3(void **state)
{
    (void)state;
    setup();
    out8(0x61, 1);
    program(2, 3, 5); /* odd: high for 3, low for 2 */
    static const uint8_t out5[10] = {1, 1, 1, 0, 0, 1, 1, 1, 0, 0};
    static const uint8_t count5[10] = {4, 2, 0, 4, 2, 4, 2, 0, 4, 2};

    for (unsigned i = 0; i < 10; i++) {
        at(1 + i);
        assert_int_equal(in8(0x61) >> 5 & 1, out5[i]);
        assert_int_equal(count(2), count5[i]);
    }
    program(2, 3, 4);
    for (unsigned i = 0; i < 8; i++) {
        at(11 + i);
        assert_int_equal(in8(0x61) >> 5 & 1, i % 4 < 2);
        assert_int_equal(count(2), i % 2 ? 2 : 4);
    }
    out8(0x61, 0); /* gate low forces the output high */
    at(40);
    assert_int_equal(in8(0x61) & 0x20, 0x20);
    at(100);
    out8(0x61, 1);
    at(101);
    assert_int_equal(count(2), 4); /* and reloads when it rises */
}

static void test_mode4_and_5(void **state)
{
    (void)state;
    setup();
    program(0, 4, 3);
    assert_true(line[0]);
    assert_true(p.deadline_ns == ticks_to_ns(5, PIT_HZ));
    at(4);
    assert_int_equal(status(0) & 0x80, 0); /* strobe */
    at(5);
    assert_int_equal(status(0) & 0x80, 0x80);
    pit_tick(&p, now);
    assert_int_equal(rises[0], 2);
    assert_true(p.deadline_ns == NO_DEADLINE_NS);
    out8(0x40, 3); /* a new count re-arms without a control word */
    out8(0x40, 0);
    assert_true(p.deadline_ns == ticks_to_ns(10, PIT_HZ));
    out8(0x61, 0);
    program(2, 5, 3);
    at(50);
    assert_int_equal(in8(0x61) & 0x20, 0x20); /* waits for its trigger */
    out8(0x61, 1);
    at(54);
    assert_int_equal(in8(0x61) & 0x20, 0);
    at(55);
    assert_int_equal(in8(0x61) & 0x20, 0x20);
}

static void test_mode1(void **state)
{
    (void)state;
    setup();
    program(2, 1, 5);
    assert_int_equal(in8(0x61) & 0x20, 0x20);
    out8(0x61, 1);
    at(3);
    assert_int_equal(in8(0x61) & 0x20, 0);
    out8(0x61, 0); /* the gate's level does not matter */
    out8(0x61, 1); /* its edge retriggers */
    at(8);
    assert_int_equal(in8(0x61) & 0x20, 0);
    at(9);
    assert_int_equal(in8(0x61) & 0x20, 0x20);
}

/* Gate up, mode 0, poll OUT2: how an operating system times its TSC. */
static void test_calibration(void **state)
{
    uint64_t first;

    (void)state;
    setup();
    out8(0x61, (in8(0x61) & 0xfdu) | 1u);
    program(2, 0, 59659); /* 50 ms */
    first = 0;
    while (!(in8(0x61) & 0x20)) now += 100;
    assert_in_range(now - first, 50000000, 50002000);
    out8(0x61, 0);
    program(2, 0, 1000);
    now += 1000000000;
    assert_int_equal(count(2), 1000); /* gate low: nothing counts */
    out8(0x61, 1);
    now += ticks_to_ns(501, PIT_HZ);
    assert_in_range(count(2), 499, 500);
    out8(0x61, 0);
    now += 1000000000;
    assert_in_range(count(2), 499, 500);
    out8(0x61, 1);
    now += ticks_to_ns(501, PIT_HZ);
    assert_int_equal(in8(0x61) & 0x20, 0x20);
}

static void test_read_back(void **state)
{
    (void)state;
    setup();
    program(0, 2, 0x1234);
    at(0x35);
    out8(0x43, 0xc2); /* status and count of channel 0 */
    at(0x100);
    out8(0x43, 0xc2); /* what is latched stays latched */
    assert_int_equal(in8(0x40), 0xb4);
    assert_int_equal(in8(0x40), 0x00);
    assert_int_equal(in8(0x40), 0x12);
    assert_int_equal(in8(0x40), 0x35); /* live again */
    assert_int_equal(in8(0x40), 0x11);
    assert_int_equal(in8(0x43), 0xff);
    out8(0x43, 0x50); /* channel 1, LSB only */
    out8(0x41, 18);
    at(0x102);
    assert_int_equal(in8(0x41), 17);
    out8(0x43, 0x60); /* MSB only */
    out8(0x41, 0x02);
    assert_int_equal(in8(0x41), 0x02);
    out8(0x43, 0x31); /* BCD */
    out8(0x40, 0x00);
    out8(0x40, 0x10);
    at(0x102 + 2);
    assert_int_equal(count(0), 0x0999);
    out8(0x43, 0x3e); /* mode 7 is mode 3 */
    out8(0x40, 0);
    out8(0x40, 0);
    assert_int_equal(status(0) & 0x3f, 0x36);
}

static void test_port61(void **state)
{
    unsigned toggles = 0, last;

    (void)state;
    setup();
    out8(0x61, 0xff);
    assert_int_equal(in8(0x61) & 0xcf, 0x0f);
    last = in8(0x61) & 0x10;
    for (now = 0; now < 1000000; now += 1000) {
        unsigned bit = in8(0x61) & 0x10;

        toggles += bit != last;
        last = bit;
    }
    assert_in_range(toggles, 65, 67); /* every 15 us */
}

static void tick(uint64_t t)
{
    pit_tick(&p, t);
    assert_true(p.deadline_ns > t);
}

static void test_hammer(void **state)
{
    (void)state;
    setup();
    hammer(500000, tick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mode0),       cmocka_unit_test(test_mode1),
        cmocka_unit_test(test_mode2),       cmocka_unit_test(test_reload_at_period_end),
        cmocka_unit_test(test_mode3),       cmocka_unit_test(test_mode4_and_5),
        cmocka_unit_test(test_calibration), cmocka_unit_test(test_read_back),
        cmocka_unit_test(test_port61),      cmocka_unit_test(test_read_keeps_edge),
        cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
