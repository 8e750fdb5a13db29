/*
 * Admission: whether what a VM's start takes is there, and if not, by how much it is not. Memory of
 * its own, of the kernel's objects, the floors on its CPUs, capability slots. May call:
 * capabilities, the log. Changes nothing but whose an ended VM's memory is.
 */
#ifndef VMM_ROOT_ADMIT_H
#define VMM_ROOT_ADMIT_H

#include "vm.h"

void admit_init(struct vm *vms, unsigned count);

/** @return true: it fits. false: vm->reason says what does not, on the log and in a record, too. */
bool admit(struct vm *vm);

/** Pieces that are not free and that the VM's start would take. */
uint64_t admit_lacks_pieces(const struct vm *vm);

/** Memory for a VM that has none, when root has none left for it: that of the smallest ended VM
 *  that suffices. It is clean. @return whether there was one */
bool admit_inherit(struct vm *vm);

#endif
