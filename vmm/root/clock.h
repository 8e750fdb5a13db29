/* Wall clock (CMOS) and the seeds that VMs get. May call: the IoPorts capability. */
#ifndef VMM_ROOT_CLOCK_H
#define VMM_ROOT_CLOCK_H

#include <stdint.h>

/** Seconds since 1970, UTC, as the CMOS clock says; 0 when it says nothing sensible.
 *  @param[out] tsc host TSC at which that was true */
uint64_t wall_clock_s(uint64_t *tsc);

/** A seed for VM @number: each VM's is unrelated to every other's, restarts included. */
void seed_vm(unsigned number, uint64_t seed[4]);

#endif
