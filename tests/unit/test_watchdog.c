// sources: vmm/monitor/dev/watchdog.c vmm/monitor/dev/bus.c
/* The watchdog timer of the WDAT table: what each of its registers does, to the period. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/watchdog.h"

static struct watchdog w;
static unsigned bites;

#define MS 1000000ull

static void bite(void *ctx)
{
    (void)ctx;
    bites++;
}

static uint32_t get(unsigned reg)
{
    return (uint32_t)bus_read(&bus, BUS_PIO, WATCHDOG_PORT + reg, 4);
}

static void put(unsigned reg, uint32_t value)
{
    bus_write(&bus, BUS_PIO, WATCHDOG_PORT + reg, 4, value);
}

static void begin(void)
{
    fixture_reset();
    bites = 0;
    assert_true(watchdog_init(&w, &bus, &host, bite, NULL));
    assert_int_equal(w.deadline_ns, NO_DEADLINE_NS);
}

static void test_countdown(void **state)
{
    (void)state;
    begin();
    put(WATCHDOG_COUNT, 30);
    assert_int_equal(get(WATCHDOG_RUN), 0);
    assert_int_equal(w.deadline_ns, NO_DEADLINE_NS);
    now = 50 * MS;
    put(WATCHDOG_RUN, 1);
    assert_int_equal(w.deadline_ns, 3050 * MS);
    assert_int_equal(get(WATCHDOG_NOW), 30);
    now = 2050 * MS;
    assert_int_equal(get(WATCHDOG_NOW), 10);
    put(WATCHDOG_RUN, 1); /* runs already: no reset */
    assert_int_equal(w.deadline_ns, 3050 * MS);
    put(WATCHDOG_NOW, 0);
    assert_int_equal(w.deadline_ns, 5050 * MS);
    put(WATCHDOG_COUNT, 1);
    assert_int_equal(w.deadline_ns, 2150 * MS);
    now = 2149 * MS;
    watchdog_tick(&w, now);
    assert_int_equal(bites, 0);
    now = 2150 * MS;
    watchdog_tick(&w, now);
    assert_int_equal(bites, 1);
    assert_int_equal(w.deadline_ns, NO_DEADLINE_NS);
    assert_int_equal(get(WATCHDOG_RUN), 0);
}

/* It runs, and its time has passed long ago. */
static void begin_late(void)
{
    begin();
    put(WATCHDOG_COUNT, 30);
    put(WATCHDOG_RUN, 1);
    now = 9000 * MS;
    watchdog_tick(&w, now);
}

/* The host has stood still: the guest has its time once more, and once only. */
static void test_late(void **state)
{
    (void)state;
    begin_late();
    assert_int_equal(bites, 0);
    assert_int_equal(w.deadline_ns, 12000 * MS);
    put(WATCHDOG_NOW, 0);
    now = 20000 * MS;
    watchdog_tick(&w, now);
    assert_int_equal(bites, 0);
    now = 40000 * MS;
    watchdog_tick(&w, now);
    assert_int_equal(bites, 1);
    assert_int_equal(w.deadline_ns, NO_DEADLINE_NS);
}

/* Nor does it have it once more as another VM. */
static void test_late_saved(void **state)
{
    struct watchdog before;

    (void)state;
    begin_late();
    before = w;
    begin();
    for (uint32_t i = 0; i < watchdog_state.count; i++)
        memcpy((uint8_t *)&w + watchdog_state.members[i].offset,
               (uint8_t *)&before + watchdog_state.members[i].offset,
               watchdog_state.members[i].bytes);
    assert_true(watchdog_state.loaded(&w));
    now = 20000 * MS;
    watchdog_tick(&w, now);
    assert_int_equal(bites, 1);
}

static void test_stop(void **state)
{
    (void)state;
    begin();
    put(WATCHDOG_RUN, 1);
    put(WATCHDOG_RUN, 0);
    assert_int_equal(w.deadline_ns, NO_DEADLINE_NS);
    watchdog_tick(&w, 1ull << 60);
    assert_int_equal(bites, 0);
}

static void test_edges(void **state)
{
    (void)state;
    begin();
    put(WATCHDOG_COUNT, 0);
    assert_int_equal(get(WATCHDOG_COUNT), 1);
    put(WATCHDOG_COUNT, 0x10000);
    assert_int_equal(get(WATCHDOG_COUNT), WATCHDOG_COUNT_MAX);
    out8(WATCHDOG_PORT + WATCHDOG_RUN, 1); /* not whole: no effect */
    assert_int_equal(get(WATCHDOG_RUN), 0);
    assert_int_equal(in8(WATCHDOG_PORT + WATCHDOG_COUNT + 1), 0xff);
}

static void look(uint64_t now_ns)
{
    watchdog_tick(&w, now_ns);
    assert_true(w.count >= 1 && w.count <= WATCHDOG_COUNT_MAX);
    assert_true((w.deadline_ns == NO_DEADLINE_NS) == (w.run == 0));
    assert_true(watchdog_state.loaded(&w));
}

static void test_random(void **state)
{
    (void)state;
    begin();
    hammer(20000, look);
}

static void test_bad_state(void **state)
{
    (void)state;
    begin();
    w.run = 2;
    assert_false(watchdog_state.loaded(&w));
    w.run = 1;
    assert_false(watchdog_state.loaded(&w));
    w.deadline_ns = 5;
    assert_true(watchdog_state.loaded(&w));
    w.count = 0;
    assert_false(watchdog_state.loaded(&w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_countdown),  cmocka_unit_test(test_late),
        cmocka_unit_test(test_late_saved), cmocka_unit_test(test_stop),
        cmocka_unit_test(test_edges),      cmocka_unit_test(test_random),
        cmocka_unit_test(test_bad_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
