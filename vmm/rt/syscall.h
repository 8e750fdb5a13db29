/*
 * System call stubs, generated from the lists in bulkhead/call.h: bh_<method>(cap, arguments) with
 * exactly the arguments the list names. May call: nothing. Holds no state.
 *
 * A call may clobber every register but rsp, so the file that includes this is built with
 * -fomit-frame-pointer (rbp is in the clobber lists).
 */
#ifndef VMM_RT_SYSCALL_H
#define VMM_RT_SYSCALL_H

#include <stdint.h>
#include "bulkhead/call.h"
#include "bulkhead/cap.h"
#include "bulkhead/error.h"

/** err: enum bh_err (or, for vcpu_run, exit reason or -bh_err); value as told at the call. */
struct bh_result {
    uint64_t err;
    uint64_t value;
};

#define BH_CLOBBERS "rbx", "rcx", "rbp", "r11", "r12", "r13", "r14", "r15", "memory", "cc"

/** Any call with up to six arguments. */
static inline struct bh_result bh_syscall(uint64_t call, uint64_t a0, uint64_t a1, uint64_t a2,
                                          uint64_t a3, uint64_t a4, uint64_t a5)
{
    register uint64_t r10 __asm__("r10") = a3;
    register uint64_t r8 __asm__("r8") = a4;
    register uint64_t r9 __asm__("r9") = a5;
    struct bh_result r;

    __asm__ volatile("syscall"
                     : "=a"(r.err), "=d"(r.value), "+D"(a0), "+S"(a1), "+r"(r10), "+r"(r8), "+r"(r9)
                     : "0"(call), "1"(a2)
                     : BH_CLOBBERS);
    return r;
}

/** Invoke a method; see BH_INVOCATIONS. Out of line: the stubs below stay small. */
struct bh_result bh_invoke(uint64_t cap, uint64_t method, uint64_t a0, uint64_t a1, uint64_t a2,
                           uint64_t a3);

/* Arguments called _0.._3 in the list are unused: they get no parameter and are passed as 0. */
#define BH_PROBE__0          ~, 0,
#define BH_PROBE__1          ~, 0,
#define BH_PROBE__2          ~, 0,
#define BH_PROBE__3          ~, 0,
#define BH_SECOND(a, b, ...) b
#define BH_SECOND_OF(...)    BH_SECOND(__VA_ARGS__)
#define BH_IS_USED(x)        BH_SECOND_OF(BH_PROBE_##x, 1, ~)
#define BH_JOIN_(a, b)       a##b
#define BH_JOIN(a, b)        BH_JOIN_(a, b)
#define BH_PARAM_1(x)        , uint64_t x
#define BH_PARAM_0(x)
#define BH_VALUE_1(x) x
#define BH_VALUE_0(x) 0
#define BH_PARAM(x)   BH_JOIN(BH_PARAM_, BH_IS_USED(x))(x)
#define BH_VALUE(x)   BH_JOIN(BH_VALUE_, BH_IS_USED(x))(x)
#define BH_STUB(type, n, name, a, b, c, d)                                                         \
    static inline struct bh_result bh_##name(uint64_t cap BH_PARAM(a) BH_PARAM(b) BH_PARAM(c)      \
                                                 BH_PARAM(d))                                      \
    {                                                                                              \
        return bh_invoke(cap, (n), BH_VALUE(a), BH_VALUE(b), BH_VALUE(c), BH_VALUE(d));            \
    }
BH_INVOCATIONS(BH_STUB)
#undef BH_STUB

static inline uint64_t bh_signal(uint64_t ntfn)
{
    return bh_syscall(BH_SYS_signal, ntfn, 0, 0, 0, 0, 0).err;
}

/** @param deadline absolute TSC, BH_FOREVER: none. value = bits taken. */
static inline struct bh_result bh_wait(uint64_t ntfn, uint64_t deadline)
{
    return bh_syscall(BH_SYS_wait, ntfn, deadline, 0, 0, 0, 0);
}

static inline struct bh_result bh_poll(uint64_t ntfn)
{
    return bh_syscall(BH_SYS_poll, ntfn, 0, 0, 0, 0, 0);
}

static inline void bh_yield(void) { (void)bh_syscall(BH_SYS_yield, 0, 0, 0, 0, 0, 0); }

static inline uint64_t bh_version(void)
{
    return bh_syscall(BH_SYS_version, 0, 0, 0, 0, 0, 0).value;
}

/** Run the vCPU bound to this thread. @return err = enum bh_exit, or -bh_err; value = bits taken
 *  when SIGNALLED. @param flags BH_RUN_* and BH_STATE_* */
static inline struct bh_result bh_vcpu_run(uint64_t deadline, uint64_t flags)
{
    register uint64_t rdi __asm__("rdi") = deadline;
    register uint64_t rsi __asm__("rsi") = flags;
    struct bh_result r;

    __asm__ volatile("syscall"
                     : "=a"(r.err), "=d"(r.value), "+r"(rdi), "+r"(rsi)
                     : "0"((uint64_t)BH_SYS_vcpu_run)
                     : "r8", "r9", "r10", BH_CLOBBERS);
    return r;
}

/** Pages of the next attach_map or attach_unmap, out of @pages from @va on: as many as one call takes, up to
 * an address where the call after it can go on with large entries. */
static inline uint64_t rt_map_pages(uint64_t va, uint64_t pages)
{
    uint64_t most = BH_MAP_MAX_PAGES - va / 4096u % BH_MAP_MAX_PAGES;

    return pages < most ? pages : most;
}

/** A message: words in, words out; badge of the caller out. */
struct bh_message {
    uint64_t word[4];
    uint64_t badge;
};

/** call, reply_wait, send or receive. @param deadline absolute TSC. @return enum bh_err */
uint64_t bh_ipc(enum bh_call call, uint64_t ep, struct bh_message *m, uint64_t deadline);

static inline uint64_t rt_tsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}

#endif
