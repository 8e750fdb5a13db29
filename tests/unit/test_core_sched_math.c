// sources: kernel/core/sched_math.c
// Budgets, refill phase, saturation, admission.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>
#include "core/sched_math.h"

static struct sc_time fresh(uint64_t floor, uint64_t ceiling, uint64_t period, uint64_t weight)
{
    struct sc_time t;
    struct sc_params p = {floor, ceiling, period, weight};

    memset(&t, 0, sizeof(t));
    assert_int_equal(sc_decode_configure(floor, ceiling, period, weight), BH_OK);
    sc_commit_configure(&t, &p, 1000, 0);
    return t;
}

static void ranges(void **state)
{
    assert_int_equal(sc_decode_configure(0, 1, 1, 1), BH_OK);
    assert_int_equal(sc_decode_configure(0, 0, 1, 1), BH_ERR_RANGE);
    assert_int_equal(sc_decode_configure(2, 1, 5, 1), BH_ERR_RANGE);
    assert_int_equal(sc_decode_configure(1, 6, 5, 1), BH_ERR_RANGE);
    assert_int_equal(sc_decode_configure(1, 1, 0, 1), BH_ERR_RANGE);
    assert_int_equal(sc_decode_configure(1, 1, 0x100000000ull, 1), BH_ERR_RANGE);
    assert_int_equal(sc_decode_configure(1, 1, 1, 0), BH_ERR_RANGE);
    assert_int_equal(sc_decode_configure(1, 1, 1, SC_WEIGHT_MAX + 1), BH_ERR_RANGE);
    (void)state;
}

static void classes(void **state)
{
    struct sc_time t = fresh(100, 300, 1000, 256);

    assert_int_equal(sc_class(&t), SC_FLOOR);
    assert_int_equal(sc_slice(&t), 100);
    sc_charge(&t, 100);
    assert_int_equal(sc_class(&t), SC_LEFTOVER);
    assert_int_equal(sc_slice(&t), 200);
    assert_int_equal(t.vtime, 0); /* the floor is no part of the leftover */
    sc_charge(&t, 500);
    assert_int_equal(t.vtime, 200); /* weight 256: one per tick, up to the ceiling */
    assert_int_equal(sc_class(&t), SC_EMPTY);
    assert_int_equal(sc_slice(&t), 0);
    assert_int_equal(t.consumed, 600);
    assert_int_equal(sc_refill(&t, 1999), 0);
    assert_int_equal(sc_refill(&t, 2000), 1);
    assert_int_equal(t.refill_at, 3000);
    assert_int_equal(sc_class(&t), SC_FLOOR);
    assert_int_equal(sc_refill(&t, 7777), 1); /* slept through: the phase stays */
    assert_int_equal(t.refill_at, 8000);
    (void)state;
}

/* Charges that the floor covers in part, and what a sleeper keeps of it. */
static void floors(void **state)
{
    struct sc_time t = fresh(100, 300, 1000, 256);

    sc_charge(&t, 130);
    assert_int_equal(t.vtime, 30);
    assert_int_equal(sc_refill(&t, 2000), 1);
    sc_pace(&t, 2000, sc_share(100, 1000)); /* a whole period ahead: all of it */
    assert_int_equal(t.floor_left, 100);
    sc_pace(&t, 2500, sc_share(100, 1000));
    assert_int_equal(t.floor_left, 50);
    sc_pace(&t, 2100, sc_share(100, 1000)); /* never more than it had */
    assert_int_equal(t.floor_left, 50);
    sc_pace(&t, 0, SC_SHARE_ONE); /* a clock behind: no more than a period */
    assert_int_equal(t.floor_left, 50);
    sc_pace(&t, 3000, SC_SHARE_ONE);
    assert_int_equal(t.floor_left, 0);
    assert_int_equal(t.ceiling_left, 300);
    (void)state;
}

/* Each bound of class and slice, and an inverse weight that is no power of two. */
static void edges(void **state)
{
    struct sc_time t = fresh(1, 300, 1000, 3);

    assert_int_equal(t.inv_weight, SC_INV_ONE / 3);
    assert_int_equal(t.refill_at, 2000);
    assert_int_equal(sc_class(&t), SC_FLOOR);
    assert_int_equal(sc_slice(&t), 1);
    sc_charge(&t, 4);
    assert_int_equal(t.vtime, 3 * (SC_INV_ONE / 3) / SC_VT_DIV);
    assert_int_equal(t.ceiling_left, 296);
    assert_int_equal(sc_class(&t), SC_LEFTOVER);
    assert_int_equal(sc_slice(&t), 296);
    t = fresh(300, 300, 1000, 3);
    assert_int_equal(sc_slice(&t), 300);
    sc_charge(&t, 300);
    assert_int_equal(sc_class(&t), SC_EMPTY);
    assert_int_equal(sc_refill(&t, 3000), 1); /* just at the end of a period: the next one begins */
    assert_int_equal(t.refill_at, 4000);
    assert_int_equal(sc_refill(&t, 3999), 0);
    t = fresh(0, SC_PERIOD_MAX, SC_PERIOD_MAX, 1);
    sc_charge(&t, SC_PERIOD_MAX + 5000ull);
    assert_int_equal(t.vtime, (uint64_t)SC_PERIOD_MAX * SC_INV_ONE / SC_VT_DIV);
    t = fresh(100, 300, 1000, 1); /* the machine stood still: no more than its ceiling leaves it */
    sc_charge(&t, 50);
    sc_charge(&t, 1ull << 40);
    assert_int_equal(t.vtime, 200 * SC_INV_ONE / SC_VT_DIV);
    assert_int_equal(t.consumed, 50 + (1ull << 40));
    sc_charge(&t, 7);
    assert_int_equal(t.vtime, 200 * SC_INV_ONE / SC_VT_DIV);
    (void)state;
}

static void extremes(void **state)
{
    struct sc_time t = fresh(0, SC_PERIOD_MAX, SC_PERIOD_MAX, 1);

    assert_int_equal(sc_class(&t), SC_LEFTOVER);
    for (int i = 0; i < 3; i++) sc_charge(&t, ~0ull);
    assert_int_equal(t.consumed, SC_TIME_MAX);
    t.vtime = SC_TIME_MAX - 1;
    t.ceiling_left = t.p.ceiling;
    sc_charge(&t, 1000);
    assert_int_equal(t.vtime, SC_TIME_MAX);
    assert_int_equal(sc_refill(&t, SC_TIME_MAX), 1);
    assert_true(t.refill_at > SC_TIME_MAX && t.refill_at <= SC_TIME_MAX + SC_PERIOD_MAX);
    t = fresh(0, 256, 256, SC_WEIGHT_MAX);
    sc_charge(&t, 256);
    assert_int_equal(t.vtime, 1);
    (void)state;
}

static void admission(void **state)
{
    assert_int_equal(sc_share(1, 3), 333334);
    assert_int_equal(sc_share(0, 3), 0);
    assert_int_equal(sc_share(SC_PERIOD_MAX, SC_PERIOD_MAX), SC_SHARE_ONE);
    assert_int_equal(sc_admit(500000, 5, 10), 1);
    assert_int_equal(sc_admit(500001, 5, 10), 0);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ranges),   cmocka_unit_test(classes),
                                       cmocka_unit_test(floors),   cmocka_unit_test(edges),
                                       cmocka_unit_test(extremes), cmocka_unit_test(admission)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
