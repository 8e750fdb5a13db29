/*
 * Linked into the shipped monitor, each function of which calls this one first: with
 * "fault_calls=N" on the VM's command line the monitor faults in one of the N functions that it
 * enters next, drawn at random, once its guest has sent a frame. The address of the fault is that
 * function's: text is read-only. May call nothing.
 */
#include "bulkhead/monitor.h"
#include "syscall.h"

#define ALONE __attribute__((no_instrument_function))

ALONE void __cyg_profile_func_enter(void *function, void *caller);
ALONE void __cyg_profile_func_exit(void *function, void *caller);

static uint64_t left;

/* N of the command line, or 0. */
static ALONE uint64_t wanted(const char *at)
{
    static const char name[] = "fault_calls=";
    uint64_t n = 0;

    for (; *at; at++) {
        unsigned i = 0;

        while (name[i] && at[i] == name[i]) i++;
        if (name[i]) continue;
        for (at += i; *at >= '0' && *at <= '9'; at++) n = n * 10u + (uint64_t)(*at - '0');
        return n;
    }
    return 0;
}

void __cyg_profile_func_enter(void *function, void *caller)
{
    const struct bh_monitor_start *st = (const struct bh_monitor_start *)BH_MONITOR_START;
    const struct bh_monitor_report *r = (const struct bh_monitor_report *)BH_MONITOR_REPORT;
    uint64_t n;

    if (left == 0) {
        if (r->wires[0].sent_frames == 0 || (n = wanted(st->cmdline)) == 0) return;
        left = 2u + (st->seed[0] ^ rt_tsc() * 0x9e3779b97f4a7c15ull) % n;
    }
    if (--left == 1u) *(volatile uint8_t *)function = 0;
}

void __cyg_profile_func_exit(void *function, void *caller) {}
