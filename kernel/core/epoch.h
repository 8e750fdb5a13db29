/*
 * Flush epochs: what unmapping owes and what each CPU has acknowledged. A CPU acknowledges an epoch
 * when, outside any use of kernel objects, it has flushed its TLBs and guest TLBs; so a passed
 * epoch also means that no CPU still holds an index it had looked up before.
 */
#ifndef CORE_EPOCH_H
#define CORE_EPOCH_H
#include <stdint.h>
#include "bulkhead/info.h"

extern uint64_t epoch_now;              /* last epoch charged; kernel lock */
extern uint64_t epoch_cpu[BH_MAX_CPUS]; /* last epoch that CPU has flushed; written by that CPU */
extern uint32_t epoch_cpus;             /* CPUs that take part: 0 .. epoch_cpus-1 */

/*@ predicate epoch_done{L}(integer e) =
        \forall integer i; 0 <= i < epoch_cpus ==> epoch_cpu[i] >= e; */

/** Charge a new epoch and return it (> every earlier one). Kernel lock held. */
/*@ requires clock: epoch_now < 0xffffffffffffffff;
    assigns epoch_now;
    ensures value: \result == epoch_now == \old(epoch_now) + 1; */
uint64_t epoch_charge(void);
/** 1 if every CPU has acknowledged @epoch, else 0. */
/*@ requires cpus: epoch_cpus <= BH_MAX_CPUS;
    assigns \nothing;
    ensures value: \result != 0 <==> epoch_done(epoch);
    ensures range: \result <= 1; */
uint32_t epoch_passed(uint64_t epoch);
#endif
