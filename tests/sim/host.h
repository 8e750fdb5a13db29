/*
 * Included first in every kernel source that the scheduler simulation compiles for the host: the
 * few instructions of the scheduling paths that only ring 0 may execute become calls into the
 * simulated machine (sched_sim.c). Everything else of those sources is compiled as it ships.
 */
#ifndef TESTS_SIM_HOST_H
#define TESTS_SIM_HOST_H

#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/lock.h"
#include "arch/x86/mem.h"
#include "arch/x86/percpu.h"
#include "arch/x86/trap.h"

extern uint64_t sim_now;

#define rdtsc()      sim_now
#define write_cr3(v) ((void)(v))
#define percpu()     (&percpus[0])

#include "object/lookup.h"

#endif
