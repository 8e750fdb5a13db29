/*
 * Ticket lock. One guards the capability tree and the frame table (kernel_lock), held for a bounded
 * number of steps and never on exit, run, interrupt, doorbell or IPC paths.
 */
#ifndef ARCH_X86_LOCK_H
#define ARCH_X86_LOCK_H

#include <stdint.h>

struct spinlock {
    uint16_t next, serving;
};

static inline void spin_lock(struct spinlock *l)
{
    uint16_t mine = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

    while (__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != mine) __asm__ volatile("pause");
}

static inline void spin_unlock(struct spinlock *l)
{
    __atomic_store_n(&l->serving, (uint16_t)(l->serving + 1), __ATOMIC_RELEASE);
}

extern struct spinlock kernel_lock;

#endif
