/*
 * Root's patience: what others have to do in time is measured by a clock that stands when root
 * itself could not look, for the host has stood still (SMM, a busy machine below an emulator): the
 * others could not either. May call: nothing.
 */
#ifndef VMM_ROOT_PATIENCE_H
#define VMM_ROOT_PATIENCE_H

#include <stdint.h>

/** The TSC without the times, of 200 ms and more, between two calls; root's loop calls it every 10
 * ms at least. For root's first thread only. */
uint64_t patient_tsc(void);

#endif
