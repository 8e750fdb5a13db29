/* Threads: life and faults. */
#ifndef OBJECT_THREAD_H
#define OBJECT_THREAD_H

#include "object/objects.h"
#include "core/err.h"

struct frame;
void thread_init(struct thread *t, uint32_t cpu);
/** Stop it for good: out of every queue, every reference given back. Own CPU. */
void thread_fini(struct thread *t);
/** Point a thread at its CNode and HostSpace. */
MUST_CHECK err_t thread_bind(struct thread *t, uint32_t cnode_cell, uint32_t space);
/** The current thread faulted: record, signal its supervisor, run something else. */
__attribute__((noreturn)) void thread_fault(uint32_t vector, uint64_t code, uint64_t rip,
                                            uint64_t addr);
void runq_release(uint32_t *table, uint32_t handle);
void irq_release(uint32_t cell);
/** Notification that the IRQ capability's line signals; NONE: not bound. Kernel lock held. */
uint32_t irq_ntfn(uint32_t cell);
void irq_arrived(uint32_t line);

#endif
