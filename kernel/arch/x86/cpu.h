/* CPU features, per-CPU tables (GDT, TSS, IDT), domain flushes, bringing CPUs up. */
#ifndef ARCH_X86_CPU_H
#define ARCH_X86_CPU_H

#include <stdbool.h>
#include <stdint.h>

extern bool cpu_has_1g;
extern uint32_t cpu_prot_on, cpu_prot_off; /* BH_PROT_* */
extern uint64_t host_xcr0;                 /* state components the host switches; 0: no XSAVE */

/** Detect; BSP, once. */
void cpu_detect(void);
/** Load GDT, TSS, IDT, control registers and system-call MSRs of CPU @cpu on this CPU. */
void cpu_init(uint32_t cpu);
/** Start the others; they end in the scheduler. @siblings: also a second thread of a core, which
 * shares the first one's caches and buffers; otherwise it is left parked. */
void cpus_start(const uint8_t *apic_ids, uint32_t count, uint64_t low_page, bool siblings);
/** Wake root's thread of this CPU (boot.c). */
void root_thread_start(void);
/** Let the started CPUs go. */
void cpus_release(void);

/** IBPB, L1D flush: what this CPU's DOMAIN_* flags ask for. */
void cpu_domain_flush(void);
static inline void cpu_verw(void)
{
    static const uint16_t ds = 0x10;
    __asm__ volatile("verw %0" : : "m"(ds) : "cc");
}
/** Kernel lock held: bits of the CPUs that cannot have cached what this invocation took away. They
 * flush when somebody waits for the epoch: else whoever unmaps could interrupt them all the time.
 */
extern uint64_t cpus_spared;
/** Kernel lock held: if epochs were charged since the last call, make all CPUs flush that are not
 * spared, and this one; @waited, all. */
void cpus_flush_if_owed(bool waited);

#endif
