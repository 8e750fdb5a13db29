/*
 * The kernel's own records of what monitors and vCPUs did, brought to the log: what a monitor says
 * about its VM's end is its own word, these are not. May call: the audit ring, log.
 */
#ifndef VMM_ROOT_KERNEL_AUDIT_H
#define VMM_ROOT_KERNEL_AUDIT_H

#include "vm.h"

/** Log what the kernel has recorded since the last call. Of each VM the 1st, 2nd, 4th, 8th, ... so
 * that a monitor which causes record after record cannot keep root busy; each says how many there
 * were. */
void kernel_audit_poll(const struct vm *vms, unsigned count);

#endif
