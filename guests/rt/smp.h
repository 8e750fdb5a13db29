/*
 * More than one CPU in a micro guest. The other CPUs run a function with interrupts off, on a
 * stack, GDT and TSS of their own, with the guest's IDT and page tables. They must not print: what
 * they find they leave in memory. Local APIC ids are 0, 1, ...
 */
#ifndef GUEST_SMP_H
#define GUEST_SMP_H

#include "guest.h"

enum { SMP_CPUS_MAX = 8, SMP_START_PAGE = 8, SMP_START_GPA = SMP_START_PAGE << 12 };

enum {
    ICR_FIXED = 0x4000,
    ICR_LOWEST = 0x4100,
    ICR_NMI = 0x4400,
    ICR_INIT = 0x4500,
    ICR_STARTUP = 0x4600,
    ICR_LOGICAL = 0x800,
    ICR_SELF = 0x40000,
    ICR_ALL = 0x80000,
    ICR_OTHERS = 0xc0000,
};

/** CPUs that CPUID 1 announces, at most SMP_CPUS_MAX. */
unsigned smp_cpus(void);
/** Number of the CPU that calls: its local APIC id. */
unsigned smp_self(void);
/**
 * Start all other CPUs and have each call fn(number), after which it halts. Needs lapic_init().
 * @return CPUs that run now, this one included
 */
unsigned smp_start(void (*fn)(unsigned cpu));
/** The same for one CPU, which waits for a start-up message. @return whether it has begun */
bool smp_start_one(unsigned cpu, void (*fn)(unsigned cpu));
/** Write the ICR: a destination, and ICR_* | vector. */
void smp_ipi(uint32_t destination, uint32_t low);
/** Wait until *word is at least @value, for some 100 ms. */
bool smp_wait(volatile uint32_t *word, uint32_t value);

static inline uint32_t smp_add(volatile uint32_t *word, uint32_t n)
{
    return __atomic_fetch_add(word, n, __ATOMIC_SEQ_CST);
}

#endif
