/*
 * Arithmetic of scheduling contexts: budgets of floor and ceiling, refill, weighted virtual time,
 * admission. Pure: works on the struct it is given, calls nothing. Times are TSC ticks. No division
 * by a variable in sc_charge(), and none in sc_refill() unless a whole period was slept through.
 */
#ifndef CORE_SCHED_MATH_H
#define CORE_SCHED_MATH_H

#include "err.h"

#define SC_TIME_MAX   0x1000000000000000u /* 2^60 ticks: clock bound, and where vtime saturates */
#define SC_PERIOD_MAX 0xffffffffu         /* 2^32 - 1 ticks */
#define SC_WEIGHT_MAX 65536u
#define SC_INV_ONE    0x100000000u /* inverse weight of weight 1 */
#define SC_VT_DIV     0x1000000u   /* a tick is 256 / weight of virtual time */
#define SC_SHARE_ONE  1000000u     /* a whole CPU, in parts per million */

struct sc_params {
    uint64_t floor;   /* ticks per period that are guaranteed, 0..ceiling */
    uint64_t ceiling; /* ticks per period that it never exceeds, 1..period */
    uint64_t period;  /* 1..SC_PERIOD_MAX */
    uint64_t weight;  /* share of the leftover, 1..SC_WEIGHT_MAX */
};

struct sc_time {
    struct sc_params p;
    uint64_t inv_weight;   /* SC_INV_ONE / weight */
    uint64_t floor_left;   /* of this period */
    uint64_t ceiling_left; /* of this period */
    uint64_t refill_at;    /* absolute: end of this period */
    uint64_t vtime;        /* weighted virtual time; saturates at SC_TIME_MAX */
    uint64_t consumed;     /* ticks since creation; saturates at SC_TIME_MAX */
};

enum sc_class {
    SC_EMPTY = 0,    /* the ceiling is reached: waits for refill_at */
    SC_LEFTOVER = 1, /* competes by vtime */
    SC_FLOOR = 2     /* goes first */
};

/*@
  predicate params_ok(struct sc_params p) = p.floor <= p.ceiling && 0 < p.ceiling <= p.period &&
      p.period <= SC_PERIOD_MAX && 1 <= p.weight <= SC_WEIGHT_MAX;
  predicate time_ok(struct sc_time t) = params_ok(t.p) &&
      t.inv_weight == SC_INV_ONE / t.p.weight &&
      t.floor_left <= t.p.floor && t.ceiling_left <= t.p.ceiling &&
      t.refill_at <= SC_TIME_MAX + SC_PERIOD_MAX && t.vtime <= SC_TIME_MAX &&
      t.consumed <= SC_TIME_MAX;
  logic integer sat(integer x) = x > SC_TIME_MAX ? SC_TIME_MAX : x;
  logic integer pos(integer x) = x < 0 ? 0 : x;
*/

/** @return BH_ERR_RANGE: a parameter outside the ranges of struct sc_params */
/*@ assigns \nothing;
    ensures ok: \result == BH_OK <==> floor <= ceiling && 0 < ceiling <= period &&
        period <= SC_PERIOD_MAX && 1 <= weight <= SC_WEIGHT_MAX;
    ensures only: \result == BH_OK || \result == BH_ERR_RANGE; */
MUST_CHECK err_t sc_decode_configure(uint64_t floor, uint64_t ceiling, uint64_t period,
                                     uint64_t weight);
/** New parameters, a full budget, a period that begins @now (< SC_TIME_MAX), virtual time @vtime
 *  (that of the CPU's queue, <= SC_TIME_MAX). consumed stays. */
/*@ requires \valid(t) && \valid_read(p) && \separated(t, p);
    requires decoded: params_ok(*p);
    requires times: now <= SC_TIME_MAX && vtime <= SC_TIME_MAX && t->consumed <= SC_TIME_MAX;
    assigns t->p, t->inv_weight, t->floor_left, t->ceiling_left, t->refill_at, t->vtime;
    ensures ok: time_ok(*t);
    ensures full: t->floor_left == p->floor && t->ceiling_left == p->ceiling;
    ensures times: t->refill_at == now + p->period && t->vtime == vtime; */
void sc_commit_configure(struct sc_time *t, const struct sc_params *p, uint64_t now,
                         uint64_t vtime);

/** Charge @used ticks. What the floor covers is no part of the leftover: vtime stands still for it.
 *  It does for what goes beyond the ceiling, too: the machine has stood still meanwhile. */
/*@ requires \valid(t) && time_ok(*t);
    assigns t->floor_left, t->ceiling_left, t->vtime, t->consumed;
    ensures ok: time_ok(*t);
    ensures floor: t->floor_left == pos(\old(t->floor_left) - used);
    ensures ceiling: t->ceiling_left == pos(\old(t->ceiling_left) - used);
    ensures consumed: t->consumed == sat(\old(t->consumed) + used);
    ensures monotonic: t->vtime >= \old(t->vtime);
    ensures most: t->vtime <=
        \old(t->vtime) + \old(t->ceiling_left) * t->inv_weight / SC_VT_DIV;
    ensures leftover: used <= \old(t->floor_left) ==> t->vtime == \old(t->vtime); */
void sc_charge(struct sc_time *t, uint64_t used);

/** Begin a new period if refill_at has come; keeps the phase. @return 1 if it did, else 0. */
/*@ requires \valid(t) && time_ok(*t) && now <= SC_TIME_MAX;
    assigns t->refill_at, t->floor_left, t->ceiling_left;
    ensures ok: time_ok(*t);
    ensures early: \old(t->refill_at) > now ==> \result == 0 &&
        t->refill_at == \old(t->refill_at) && t->floor_left == \old(t->floor_left) &&
        t->ceiling_left == \old(t->ceiling_left);
    ensures due: \old(t->refill_at) <= now ==> \result == 1 && t->floor_left == t->p.floor &&
        t->ceiling_left == t->p.ceiling && now < t->refill_at <= now + t->p.period;
    ensures phase: (t->refill_at - \old(t->refill_at)) % t->p.period == 0; */
uint32_t sc_refill(struct sc_time *t, uint64_t now);

/** Runnable again after a sleep: of its floor (@share of a CPU, see sc_share()) it keeps what fits
 *  into the rest of its period at that pace. With all of it, it could take twice its floor around
 * the end of a period, and the floors of others would be missed. */
/*@ requires \valid(t) && time_ok(*t) && share <= SC_SHARE_ONE;
    assigns t->floor_left;
    ensures ok: time_ok(*t);
    ensures less: t->floor_left <= \old(t->floor_left);
    ensures pace: t->floor_left == \min(\old(t->floor_left),
        \min(pos(t->refill_at - now), t->p.period) * share / SC_SHARE_ONE); */
static inline void sc_pace(struct sc_time *t, uint64_t now, uint64_t share)
{
    uint64_t rest = t->refill_at > now ? t->refill_at - now : 0u, most;

    if (rest > t->p.period) rest = t->p.period;
    most = rest * share / SC_SHARE_ONE;
    if (t->floor_left > most) t->floor_left = most;
}

/** Which class it competes in now: enum sc_class. */
/*@ requires \valid_read(t);
    assigns \nothing;
    ensures empty: \result == SC_EMPTY <==> t->ceiling_left == 0;
    ensures floor: \result == SC_FLOOR <==> t->ceiling_left > 0 && t->floor_left > 0;
    ensures leftover: \result == SC_LEFTOVER <==> t->ceiling_left > 0 && t->floor_left == 0; */
static inline uint32_t sc_class(const struct sc_time *t)
{
    if (t->ceiling_left == 0u) return SC_EMPTY;
    return t->floor_left > 0u ? SC_FLOOR : SC_LEFTOVER;
}

/** Ticks it may run before its class changes. 0: SC_EMPTY. */
/*@ requires \valid_read(t);
    assigns \nothing;
    ensures ceiling: \result <= t->ceiling_left;
    ensures floor: t->floor_left > 0 ==> \result <= t->floor_left;
    ensures some: \result == 0 <==> t->ceiling_left == 0; */
static inline uint64_t sc_slice(const struct sc_time *t)
{
    if (t->floor_left > 0u && t->floor_left < t->ceiling_left) return t->floor_left;
    return t->ceiling_left;
}

/** Part of a CPU that a floor takes, in parts per million, rounded up. */
/*@ requires 0 < period <= SC_PERIOD_MAX && floor <= period;
    assigns \nothing;
    ensures value: \result == (floor * SC_SHARE_ONE + (period - 1)) / period;
    ensures range: \result <= SC_SHARE_ONE; */
uint64_t sc_share(uint64_t floor, uint64_t period);

/** 1 if a floor fits beside floors that take @total parts per million already, else 0. */
/*@ requires 0 < period <= SC_PERIOD_MAX && floor <= period && total <= SC_SHARE_ONE;
    assigns \nothing;
    ensures value: \result != 0 <==>
        total + (floor * SC_SHARE_ONE + (period - 1)) / period <= SC_SHARE_ONE; */
uint32_t sc_admit(uint64_t total, uint64_t floor, uint64_t period);

#endif
