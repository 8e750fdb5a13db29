/*
 * The memory that a VM is saved to and restored from (`save-mib`): root's Frame, made once, kept
 * for good. Root copies what is in it for bhctl and looks at none of it. May call: capabilities.
 */
#ifndef VMM_ROOT_VM_STORE_H
#define VMM_ROOT_VM_STORE_H

#include "vm.h"

#define VM_STORE_COPY_BYTES 4096u /* at a time */

/** Make it, if it is not there yet. @return false: said why */
bool vm_store_make(struct vm *vm);

/** Show it to the VM's monitor, which writes there while it saves and at no other time: one that
 * has been taken over changes neither what was saved before nor what a file has brought.
 *  @return false: said why */
bool vm_store_show(struct vm *vm, bool writable);

/** @return false: beyond its end, or it cannot be mapped (said why). A store must be there. */
bool vm_store_read(struct vm *vm, uint64_t offset, void *to, uint32_t bytes);
/** The same, and the store is made where there is none. */
bool vm_store_write(struct vm *vm, uint64_t offset, const void *from, uint32_t bytes);

#endif
