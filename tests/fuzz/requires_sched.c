/*
 * What core/heap.h and core/sched_math.h require of their callers, in the manner of requires.c.
 */
#include "core/heap.h"
#include "core/sched_math.h"

/* ---- heap.c ---- */

bool heap_ok(const struct heap *h)
{
    if (h->count > HEAP_MAX) return false;
    for (uint32_t i = 0; i < h->count; i++)
        if (h->item[i].id >= HEAP_MAX || h->pos[h->item[i].id] != i + 1u) return false;
    for (uint32_t d = 0; d < HEAP_MAX; d++)
        if (h->pos[d] > h->count || (h->pos[d] != 0 && h->item[h->pos[d] - 1u].id != d))
            return false;
    return true;
}

REAL(heap_insert);
err_t __wrap_heap_insert(struct heap *h, uint32_t id, uint64_t key)
{
    REQUIRE(, heap_ok(h));
    return __real_heap_insert(h, id, key);
}

REAL(heap_remove);
void __wrap_heap_remove(struct heap *h, uint32_t id)
{
    REQUIRE(, heap_ok(h));
    __real_heap_remove(h, id);
}

/* ---- sched_math.c ---- */

bool params_ok(struct sc_params p)
{
    return p.floor <= p.ceiling && 0 < p.ceiling && p.ceiling <= p.period &&
           p.period <= SC_PERIOD_MAX && 1 <= p.weight && p.weight <= SC_WEIGHT_MAX;
}

bool time_ok(struct sc_time t)
{
    return params_ok(t.p) && t.inv_weight == SC_INV_ONE / t.p.weight && t.floor_left <= t.p.floor &&
           t.ceiling_left <= t.p.ceiling && t.refill_at <= SC_TIME_MAX + SC_PERIOD_MAX &&
           t.vtime <= SC_TIME_MAX && t.consumed <= SC_TIME_MAX;
}

REAL(sc_decode_configure);
err_t __wrap_sc_decode_configure(uint64_t floor, uint64_t ceiling, uint64_t period, uint64_t weight)
{
    return ANSWER(__real_sc_decode_configure(floor, ceiling, period, weight));
}

REAL(sc_commit_configure);
void __wrap_sc_commit_configure(struct sc_time *t, const struct sc_params *p, uint64_t now,
                                uint64_t vtime)
{
    REQUIRE(decoded, params_ok(*p));
    REQUIRE(times, now <= SC_TIME_MAX && vtime <= SC_TIME_MAX && t->consumed <= SC_TIME_MAX);
    __real_sc_commit_configure(t, p, now, vtime);
}

REAL(sc_charge);
void __wrap_sc_charge(struct sc_time *t, uint64_t used)
{
    REQUIRE(, time_ok(*t));
    __real_sc_charge(t, used);
}

REAL(sc_refill);
uint32_t __wrap_sc_refill(struct sc_time *t, uint64_t now)
{
    REQUIRE(, time_ok(*t) && now <= SC_TIME_MAX);
    return __real_sc_refill(t, now);
}

REAL(sc_share);
uint64_t __wrap_sc_share(uint64_t floor, uint64_t period)
{
    REQUIRE_AS(, "0 < period <= SC_PERIOD_MAX && floor <= period",
               0 < period && period <= SC_PERIOD_MAX && floor <= period);
    return __real_sc_share(floor, period);
}

REAL(sc_admit);
uint32_t __wrap_sc_admit(uint64_t total, uint64_t floor, uint64_t period)
{
    REQUIRE_AS(, "0 < period <= SC_PERIOD_MAX && floor <= period && total <= SC_SHARE_ONE",
               0 < period && period <= SC_PERIOD_MAX && floor <= period && total <= SC_SHARE_ONE);
    return __real_sc_admit(total, floor, period);
}
