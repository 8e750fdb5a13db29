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

/** @return BH_ERR_RANGE: a parameter outside the ranges of struct sc_params */
MUST_CHECK err_t sc_decode_configure(uint64_t floor, uint64_t ceiling, uint64_t period,
                                     uint64_t weight);
/** New parameters, a full budget, a period that begins @now (< SC_TIME_MAX), virtual time @vtime
 *  (that of the CPU's queue, <= SC_TIME_MAX). consumed stays. */
void sc_commit_configure(struct sc_time *t, const struct sc_params *p, uint64_t now,
                         uint64_t vtime);

/** Charge @used ticks. */
void sc_charge(struct sc_time *t, uint64_t used);

/** Begin a new period if refill_at has come; keeps the phase. @return 1 if it did, else 0. */
uint32_t sc_refill(struct sc_time *t, uint64_t now);

/** Which class it competes in now: enum sc_class. */
uint32_t sc_class(const struct sc_time *t);

/** Ticks it may run before its class changes. 0: SC_EMPTY. */
uint64_t sc_slice(const struct sc_time *t);

/** Part of a CPU that a floor takes, in parts per million, rounded up. */
uint64_t sc_share(uint64_t floor, uint64_t period);

/** 1 if a floor fits beside floors that take @total parts per million already, else 0. */
uint32_t sc_admit(uint64_t total, uint64_t floor, uint64_t period);

#endif
