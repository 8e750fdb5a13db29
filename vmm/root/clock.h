/* Wall clock (CMOS). May call: the IoPorts capability. */
#ifndef VMM_ROOT_CLOCK_H
#define VMM_ROOT_CLOCK_H

#include <stdint.h>

/** Seconds since 1970, UTC, as the CMOS clock says; 0 when it says nothing sensible.
 *  @param[out] tsc host TSC at which that was true */
uint64_t wall_clock_s(uint64_t *tsc);

#endif
