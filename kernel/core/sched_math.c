/*
 * Arithmetic of scheduling contexts: see sched_math.h.
 */
#include "sched_math.h"

err_t sc_decode_configure(uint64_t floor, uint64_t ceiling, uint64_t period, uint64_t weight)
{
    if (period == 0u || period > SC_PERIOD_MAX) return BH_ERR_RANGE;
    if (ceiling == 0u || ceiling > period || floor > ceiling) return BH_ERR_RANGE;
    if (weight == 0u || weight > SC_WEIGHT_MAX) return BH_ERR_RANGE;
    return BH_OK;
}

void sc_commit_configure(struct sc_time *t, const struct sc_params *p, uint64_t now, uint64_t vtime)
{
    t->p.floor = p->floor;
    t->p.ceiling = p->ceiling;
    t->p.period = p->period;
    t->p.weight = p->weight;
    t->inv_weight = SC_INV_ONE / p->weight;
    t->floor_left = p->floor;
    t->ceiling_left = p->ceiling;
    t->refill_at = now + p->period;
    t->vtime = vtime;
}

/* min(x + d, SC_TIME_MAX) */
/*@ requires x <= SC_TIME_MAX;
    assigns \nothing;
    ensures value: \result == sat(x + d);
    ensures range: x <= \result <= SC_TIME_MAX; */
static uint64_t sat_add(uint64_t x, uint64_t d)
{
    return d > SC_TIME_MAX - x ? SC_TIME_MAX : x + d;
}

/* max(x - d, 0) */
/*@ assigns \nothing;
    ensures value: \result == pos(x - d);
    ensures range: \result <= x; */
static uint64_t sat_sub(uint64_t x, uint64_t d) { return d > x ? 0u : x - d; }

/* Virtual time of `ran` ticks. */
/*@ requires ran <= SC_PERIOD_MAX && inv_weight <= SC_INV_ONE;
    assigns \nothing;
    ensures value: \result == ran * inv_weight / SC_VT_DIV; */
static uint64_t vt_delta(uint64_t ran, uint64_t inv_weight) { return ran * inv_weight / SC_VT_DIV; }

void sc_charge(struct sc_time *t, uint64_t used)
{
    uint64_t ran = used > t->ceiling_left ? t->ceiling_left : used;
    uint64_t beyond = sat_sub(ran, t->floor_left);

    t->floor_left = sat_sub(t->floor_left, used);
    t->ceiling_left = sat_sub(t->ceiling_left, used);
    t->vtime = sat_add(t->vtime, vt_delta(beyond, t->inv_weight));
    t->consumed = sat_add(t->consumed, used);
}

/* End of the period that holds `now`, in the phase of `at`, the end of an earlier one. */
/*@ requires at <= now <= SC_TIME_MAX && 0 < period <= SC_PERIOD_MAX;
    assigns \nothing;
    ensures range: now < \result <= now + period;
    ensures phase: (\result - at) % period == 0; */
static uint64_t next_refill(uint64_t at, uint64_t period, uint64_t now)
{
    uint64_t late = now - at;

    if (late < period) return at + period;
    return at + (late / period + 1u) * period;
}

uint32_t sc_refill(struct sc_time *t, uint64_t now)
{
    if (t->refill_at > now) return 0;
    t->refill_at = next_refill(t->refill_at, t->p.period, now);
    t->floor_left = t->p.floor;
    t->ceiling_left = t->p.ceiling;
    return 1;
}

uint64_t sc_share(uint64_t floor, uint64_t period)
{
    return (floor * SC_SHARE_ONE + (period - 1u)) / period;
}

uint32_t sc_admit(uint64_t total, uint64_t floor, uint64_t period)
{
    return total + sc_share(floor, period) <= SC_SHARE_ONE ? 1u : 0u;
}
