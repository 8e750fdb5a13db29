/*
 * When VMs are started and ended: order, restarts, deadlines, shutting down. Decides; vm.c does it.
 * Called on CPU 0 by the supervising loop and by bhctl's verbs. May call: VMs, ask.h, the log.
 * Never waits.
 */
#ifndef VMM_ROOT_LIFE_H
#define VMM_ROOT_LIFE_H

#include <stdbool.h>
#include <stdint.h>
#include "bulkhead/wire.h"
#include "vm.h"

/** Those that start at boot are about to. @param vms array of @count VMs that live on
 *  @param ntfn root's notification */
void life_init(struct vm *vms, unsigned count, uint64_t ntfn);

/** Look at what has ended, start what is due, kill what has not stopped in time. */
void life_poll(void);

/** What a person asks for. @return BH_WIRE_OK: it is on its way; or why not */
uint32_t life_start(struct vm *vm);
/** Press the power button, every five seconds until it has stopped. @param wait_ms then kill, or when
 *  it was to be killed before, whichever is sooner; 0: the manifest's time */
uint32_t life_stop(struct vm *vm, uint64_t wait_ms);
uint32_t life_kill(struct vm *vm);
/** Stop it as life_stop() does, then start it anew. */
uint32_t life_restart(struct vm *vm, uint64_t wait_ms);

/** vm_restore(); what it was meant to become before is over. @return BH_WIRE_OK, or why not: NOT_STARTED
 *  with vm->reason when it does not run and nor does one that it is after */
uint32_t life_restore(struct vm *vm);

/** Has it been asked to stop, and still runs? @param[out] left_ms until it is killed */
bool life_stopping(const struct vm *vm, uint64_t *left_ms);
/** How often the manifest's rule has started it again. */
uint32_t life_restarts(const struct vm *vm);

/** Stop all, those first that others are not after; each within its own time. */
void life_shut_down(void);
/** All are, because that was asked for. */
bool life_is_down(void);

#endif
