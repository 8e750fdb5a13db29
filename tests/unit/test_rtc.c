// sources: vmm/monitor/dev/rtc.c vmm/monitor/dev/bus.c
/* MC146818: calendar, formats, setting, update-in-progress, the three interrupts, CMOS contents. */
#include <time.h>

#include "dev_fixture.h"
#include "vmm/monitor/dev/rtc.h"

#define S 1000000000ull

static struct rtc r;

static void setup(int64_t wall_s)
{
    fixture_reset();
    assert_true(rtc_init(&r, &bus, &host, wall_s, 0xc0000000, 0x140000000));
}

static uint8_t get(unsigned index)
{
    out8(0x70, index);
    return in8(0x71);
}

static void set(unsigned index, unsigned value)
{
    out8(0x70, index);
    out8(0x71, value);
}

static unsigned bin(unsigned v) { return (v >> 4) * 10 + (v & 15); }

static void check_time(int64_t wall_s)
{
    time_t t = (time_t)wall_s;
    struct tm tm;

    gmtime_r(&t, &tm);
    assert_int_equal(bin(get(0)), tm.tm_sec);
    assert_int_equal(bin(get(2)), tm.tm_min);
    assert_int_equal(bin(get(4)), tm.tm_hour);
    assert_int_equal(bin(get(6)), tm.tm_wday + 1);
    assert_int_equal(bin(get(7)), tm.tm_mday);
    assert_int_equal(bin(get(8)), tm.tm_mon + 1);
    assert_int_equal(bin(get(0x32)) * 100 + bin(get(9)), tm.tm_year + 1900);
}

static void test_calendar(void **state)
{
    static const int64_t edges[] = {
        0,
        951782399,    /* 2000-02-28 23:59:59, a leap year */
        951868799,    /* 2000-02-29 23:59:59 */
        4107542399,   /* 2100-02-28 23:59:59, none */
        1798761599,   /* 2026-12-31 23:59:59 */
        253402300798, /* 9999-12-31 23:59:58 */
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        setup(edges[i]);
        check_time(edges[i]);
        now += S;
        check_time(edges[i] + 1);
    }
    for (unsigned i = 0; i < 5000; i++) {
        int64_t t = (int64_t)(random_next() % 253402300799ull);

        setup(t);
        check_time(t);
    }
    setup(-5);
    check_time(0);
    setup(INT64_MAX);
    assert_int_equal(bin(get(0x32)) * 100 + bin(get(9)), 9999);
    now = UINT64_MAX;
    (void)get(0);
}

static void test_formats(void **state)
{
    (void)state;
    setup(23 * 3600 + 59 * 60 + 58);
    assert_int_equal(get(4), 0x23);
    set(11, 0x06); /* binary */
    assert_int_equal(get(4), 23);
    assert_int_equal(get(2), 59);
    set(11, 0x04); /* binary, 12 hours */
    assert_int_equal(get(4), 0x80 | 11);
    set(11, 0x00);
    assert_int_equal(get(4), 0x80 | 0x11);
    now += 2 * S;
    assert_int_equal(get(4), 0x12); /* midnight is 12 AM */
    now += 12 * 3600 * S;
    assert_int_equal(get(4), 0x92); /* noon is 12 PM */
    for (unsigned h = 0; h < 24; h++) {
        set(11, 0x80);
        set(4, (h % 12 == 0 ? 0x12u : (h % 12) / 10 << 4 | (h % 12) % 10) | (h >= 12 ? 0x80u : 0));
        set(11, 0x00);
        set(11, 0x02);
        assert_int_equal(bin(get(4)), h);
    }
}

/* Day, month and year in the order an operating system happens to choose. */
static void test_set(void **state)
{
    (void)state;
    setup(1706659200); /* 2024-01-31 00:00:00 */
    now = 123456789;
    set(11, 0x82);
    set(8, 0x02); /* the 31st of February, for a moment */
    now += 10 * S;
    set(7, 0x29);
    set(9, 0x24);
    set(4, 0x12);
    set(2, 0x34);
    set(0, 0x56);
    assert_int_equal(get(0), 0x56);
    now += 100 * S;
    assert_int_equal(get(0), 0x56); /* stands still */
    assert_int_equal(get(10) & 0x80, 0);
    set(11, 0x02);
    check_time(1709210096); /* 2024-02-29 12:34:56 */
    now += S;
    check_time(1709210097);
    /* Releasing the divider: the next update comes half a second later. */
    set(10, 0x76);
    set(0, 0x00);
    set(10, 0x26);
    now += S / 2 - 1;
    assert_int_equal(get(0), 0x00);
    now += 1;
    assert_int_equal(get(0), 0x01);
    /* A running clock can be written, too; nonsense is brought into range. */
    set(4, 0x07);
    assert_int_equal(get(4), 0x07);
    for (unsigned i = 0; i < 10; i++) set(i, 0xff);
    set(0x32, 0xff);
    assert_in_range(bin(get(8)), 1, 12);
    assert_in_range(bin(get(7)), 1, 31);
    assert_in_range(bin(get(4)), 0, 23);
}

static void test_update_in_progress(void **state)
{
    (void)state;
    setup(0);
    assert_int_equal(get(10), 0x26);
    now = S - 244001;
    assert_int_equal(get(10), 0x26);
    now = S - 244000;
    assert_int_equal(get(10), 0xa6);
    now = S;
    assert_int_equal(get(10), 0x26);
    set(10, 0xa6); /* UIP is read-only */
    assert_int_equal(get(10), 0x26);
}

static void test_update_interrupt(void **state)
{
    (void)state;
    setup(0);
    assert_true(r.deadline_ns == NO_DEADLINE_NS);
    now = 5 * S; /* flags are set with interrupts off */
    assert_int_equal(get(12) & 0xd0, 0x50);
    assert_int_equal(get(12), 0);
    set(11, 0x12);
    assert_true(r.deadline_ns == 6 * S);
    now = 6 * S - 1;
    rtc_tick(&r, now);
    assert_false(line[8]);
    now = 6 * S;
    rtc_tick(&r, now);
    assert_true(line[8]);
    assert_true(r.deadline_ns == NO_DEADLINE_NS); /* nothing new until C is read */
    now = 9 * S;
    assert_int_equal(get(12) & 0x90, 0x90);
    assert_false(line[8]);
    assert_true(r.deadline_ns == 10 * S);
    set(11, 0x92); /* SET clears UIE */
    assert_int_equal(get(11), 0x82);
}

static void test_alarm(void **state)
{
    (void)state;
    setup(1000);
    set(1, 0x10);
    set(3, 0x17);
    set(5, 0x00);
    set(11, 0x22);
    assert_true(r.deadline_ns == 30 * S); /* 00:17:10 is second 1030 */
    now = 30 * S;
    rtc_tick(&r, now);
    assert_int_equal(get(12) & 0xa0, 0xa0);
    assert_true(r.deadline_ns == (30 + 86400) * S); /* tomorrow */
    set(5, 0xc0);                                   /* any hour */
    assert_true(r.deadline_ns == (30 + 3600) * S);
    set(3, 0xff);
    assert_true(r.deadline_ns == (30 + 60) * S);
    set(1, 0xc5);
    assert_true(r.deadline_ns == 31 * S);
    set(1, 0x75); /* never */
    assert_true(r.deadline_ns == NO_DEADLINE_NS);
    set(1, 0x00);
    now += 1000000 * S; /* many alarms missed: one flag, at once */
    rtc_tick(&r, now);
    assert_int_equal(get(12) & 0xa0, 0xa0);
    assert_true(r.deadline_ns > now && r.deadline_ns <= now + 60 * S);
}

static void test_periodic(void **state)
{
    static const unsigned hz[16] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
                                    256, 128, 64,  32,   16,   8,    4,    2};

    (void)state;
    for (unsigned rate = 1; rate < 16; rate++) {
        unsigned seen = 0;

        setup(0);
        set(10, 0x20 | rate);
        set(11, 0x42);
        while (r.deadline_ns <= S) {
            now = r.deadline_ns;
            rtc_tick(&r, now);
            assert_true(line[8]);
            assert_int_equal(get(12) & 0xc0, 0xc0);
            seen++;
        }
        assert_int_equal(seen, hz[rate]);
    }
    setup(0);
    set(10, 0x20);
    set(11, 0x42);
    assert_true(r.deadline_ns == NO_DEADLINE_NS);
}

static void test_cmos(void **state)
{
    unsigned sum = 0;

    (void)state;
    setup(0);
    assert_int_equal(get(13), 0x80);
    set(13, 0);
    assert_int_equal(get(13), 0x80);
    assert_int_equal(get(0x15) | get(0x16) << 8, 640);
    assert_int_equal(get(0x17) | get(0x18) << 8, 0xffff);
    assert_int_equal(get(0x30) | get(0x31) << 8, 0xffff);
    assert_int_equal(get(0x34) | get(0x35) << 8, (0xc0000000 - 0x1000000) >> 16);
    assert_int_equal(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 0x140000000 >> 16);
    for (unsigned i = 0x10; i < 0x2e; i++) sum += get(i);
    assert_int_equal(get(0x2e) << 8 | get(0x2f), sum);
    set(0x80 | 0x0f, 0x5a); /* bit 7 is the NMI mask */
    assert_int_equal(get(0x0f), 0x5a);
    assert_int_equal(in8(0x70), 0xff);
    out8(0x70, 0x33);
    bus_write(&bus, BUS_PIO, 0x70, 2, 0x7744); /* index and data in one */
    assert_int_equal(get(0x44), 0x77);
}

static void tick(uint64_t t) { rtc_tick(&r, t); }

static void test_hammer(void **state)
{
    (void)state;
    setup(1700000000);
    for (unsigned i = 0; i < 200; i++) {
        setup((int64_t)random_value());
        hammer(1000, tick);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_update_in_progress),
        cmocka_unit_test(test_update_interrupt),
        cmocka_unit_test(test_alarm),
        cmocka_unit_test(test_periodic),
        cmocka_unit_test(test_cmos),
        cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
