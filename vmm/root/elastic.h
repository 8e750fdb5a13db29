/*
 * Elastic VMs: what idle.h is told about them and what follows, who waits for memory, and what of
 * that is on record. What a monitor or its guest says is bounded, and moves memory within the VM's
 * own limits only. May call: pieces.h, admit.h, idle.h, VMs, the log.
 */
#ifndef VMM_ROOT_ELASTIC_H
#define VMM_ROOT_ELASTIC_H

#include "vm.h"

void elastic_init(struct vm *vms, unsigned count);

/** The VM runs from now on. */
void elastic_started(const struct vm *vm);

/** A VM that is to be started: does it wait for memory that others may yet give? One waits at a
 * time,
 *  and not for long. @return false: it is started, or refused, now */
bool elastic_waits(const struct vm *vm);

/** Pieces that others have above what they keep for sure. */
uint64_t elastic_spare(const struct vm *vm);

/** Is what others have of a VM's memory free, for it to be made anew? @return false: said why */
bool elastic_can_restore(const struct vm *vm);

/** Move pieces, and say who is to give and who may have more. @return true: there is more to do at
 *  once */
bool elastic_poll(void);

#endif
