/* VCpu objects: binding, the run loop, FPU ownership. Own CPU. */
#ifndef OBJECT_VCPU_H
#define OBJECT_VCPU_H

#include "object/objects.h"
#include "arch/x86/vcpu_ops.h"

void vcpu_object_init(uint32_t obj, uint32_t cpu);
void vcpu_fini(uint32_t obj);
void vcpu_unbind(struct vcpu *v);
/** Go on in the guest of a thread that was preempted in vcpu_run. */
__attribute__((noreturn)) void vcpu_resume(struct thread *t);
/** The guest's XCR0. */
uint64_t vcpu_xcr0(const struct vcpu *v);
/** Put the FPU state in the registers back to its owner and leave them clean. */
void vcpu_fpu_save(void);

#endif
