/*
 * Forced in front of every monitor source that the fuzz target `monitor` is built from: system
 * calls and the clock become functions of the target, guest RAM moves to where a process with
 * AddressSanitizer can have it. Everything else is the monitor's own code, unchanged.
 */
#ifndef TESTS_FUZZ_MONITOR_HOST_H
#define TESTS_FUZZ_MONITOR_HOST_H

#define bh_signal   syscall_bh_signal
#define bh_wait     syscall_bh_wait
#define bh_vcpu_run syscall_bh_vcpu_run
#define rt_tsc      cpu_rt_tsc
#include "vmm/rt/syscall.h"
#undef bh_signal
#undef bh_wait
#undef bh_vcpu_run
#undef rt_tsc

uint64_t bh_signal(uint64_t ntfn);
struct bh_result bh_wait(uint64_t ntfn, uint64_t deadline);
struct bh_result bh_vcpu_run(uint64_t deadline, uint64_t flags);
uint64_t rt_tsc(void);

#include "bulkhead/monitor.h"
#undef BH_MONITOR_RAM
#define BH_MONITOR_RAM 0x50000000ul

#endif
