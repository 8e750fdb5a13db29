/*
 * What the inline functions of kernel/core require of their callers, checked at each call from the
 * kernel's sources of the fuzz target `invoke`, in front of which this is forced; the others are in
 * requires.c, which says how. May call: the inline functions themselves.
 */
#ifndef TESTS_FUZZ_REQUIRES_H
#define TESTS_FUZZ_REQUIRES_H

#include <stdbool.h>
#include "core/cap.h"
#include "core/heap.h"
#include "core/ptab.h"
#include "core/sched_math.h"

/** A finding: @function (named as its wrapper) was called and @clause does not hold. */
_Noreturn void requires_violated(const char *function, const char *clause);

/** What a decode_* has answered; BH_OK where FUZZ_DEAF_TO in the environment names it: glue that
 *  does not heed its errors, which is to be found out. */
uint32_t requires_answer(const char *function, uint32_t answer);
#define ANSWER(e) (err_t) requires_answer(__func__, e)

/** Clause @name (may be nothing) of the contract, word for word: it is C, too. */
#define REQUIRE(name, ...) REQUIRE_AS(name, #__VA_ARGS__, __VA_ARGS__)
/** The same for text that is not C, or that numbers without end differ in: @... says it in C. */
#define REQUIRE_AS(name, text, ...)                                                                \
    do {                                                                                           \
        if (!(__VA_ARGS__)) requires_violated(__func__, #name ": " text);                          \
    } while (0)

/** What no contract says and the glue promises: @text, and @... says it in C. */
#define ASSUME(text, ...)                                                                          \
    do {                                                                                           \
        if (!(__VA_ARGS__)) requires_violated(__func__, text);                                     \
    } while (0)

/** Core works under the kernel lock. At boot, where nobody is current yet, there is no one else. */
#define ASSUME_LOCKED()                                                                            \
    ASSUME("the kernel lock is held",                                                              \
           kernel_lock.next != kernel_lock.serving || percpu()->current == NULL)

/** The function that calls from other files mean: only requires*.c call it by that name. */
#define REAL(name) extern __typeof__(name) __real_##name

/** Numbers do not overflow in a contract. */
typedef __int128 integer;

/** Predicates of the contracts (requires*.c). */
bool is_table(integer t);
bool heap_ok(const struct heap *h);
bool params_ok(struct sc_params p);
bool time_ok(struct sc_time t);

static inline uint64_t __wrap_cap_pack(uint32_t type, uint32_t rights, uint32_t obj)
{
    REQUIRE(, type < CAP_NTYPE && rights < CAP_NRIGHTS);
    return cap_pack(type, rights, obj);
}
#define cap_pack __wrap_cap_pack

static inline uint32_t __wrap_heap_top(const struct heap *h)
{
    REQUIRE(, heap_ok(h));
    return heap_top(h);
}
#define heap_top __wrap_heap_top

static inline uint64_t __wrap_heap_top_key(const struct heap *h)
{
    REQUIRE(, heap_ok(h));
    return heap_top_key(h);
}
#define heap_top_key __wrap_heap_top_key

static inline uint32_t __wrap_ptab_slot(uint64_t vpn, uint32_t level)
{
    REQUIRE_AS(, "1 <= level <= 4 && vpn < VPN_MAX", 1 <= level && level <= 4 && vpn < VPN_MAX);
    return ptab_slot(vpn, level);
}
#define ptab_slot __wrap_ptab_slot

static inline uint64_t __wrap_ptab_leaf_pages(uint32_t level)
{
    REQUIRE_AS(, "1 <= level <= 3", 1 <= level && level <= 3);
    return ptab_leaf_pages(level);
}
#define ptab_leaf_pages __wrap_ptab_leaf_pages

static inline void __wrap_sc_pace(struct sc_time *t, uint64_t now, uint64_t share)
{
    REQUIRE(, time_ok(*t) && share <= SC_SHARE_ONE);
    sc_pace(t, now, share);
}
#define sc_pace __wrap_sc_pace

#endif
