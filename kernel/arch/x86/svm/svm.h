/* Shared by the files of the SVM backend. */
#ifndef ARCH_X86_SVM_SVM_H
#define ARCH_X86_SVM_SVM_H

#include "vmcb.h"
#include "../vcpu_ops.h"

/** Use of vcpu.backend[]. */
enum { SVM_WINDOW = 0, SVM_NMI_BLOCKED = 1, SVM_NEXT = 2, SVM_DR0 = 4 };
/* backend[SVM_NMI_BLOCKED]: 0 no, 1 until IRET, RIP + this: until the IRET at RIP is done. */
#define NMI_UNTIL 2u

void svm_read_state(struct vcpu *v, uint64_t groups);
uint32_t svm_write_state(struct vcpu *v, uint64_t groups);
/** Debug address registers, which the VMCB does not hold. */
void svm_debug_save(struct vcpu *v);
void svm_debug_load(struct vcpu *v);

#endif
