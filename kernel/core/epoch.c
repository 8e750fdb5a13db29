/*
 * Flush epochs: see epoch.h. Calls nothing. epoch_cpu[] grows under the reader's eyes (each entry
 * is written by its own CPU); an old value only makes a passed epoch look owed a little longer.
 */
#include "epoch.h"

uint64_t epoch_now;
uint64_t epoch_cpu[BH_MAX_CPUS];
uint32_t epoch_cpus;

uint64_t epoch_charge(void)
{
    epoch_now = epoch_now + 1u;
    return epoch_now;
}

uint32_t epoch_passed(uint64_t epoch)
{
    uint32_t i;

    /*@ loop invariant 0 <= i <= epoch_cpus;
        loop invariant so_far: \forall integer k; 0 <= k < i ==> epoch_cpu[k] >= epoch;
        loop assigns i;
        loop variant epoch_cpus - i; */
    for (i = 0; i < epoch_cpus; i++) {
        if (epoch_cpu[i] < epoch) return 0;
    }
    return 1;
}
