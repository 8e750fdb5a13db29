/*
 * Per-CPU data, reached through GS in the kernel. Touched by its own CPU only, but for what is
 * marked (any) or (kernel lock).
 */
#ifndef ARCH_X86_PERCPU_H
#define ARCH_X86_PERCPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bulkhead/info.h"

/** Hazards: all rare work, tested once before each return to a user or guest. */
#define HAZARD_RESCHED 1u
#define HAZARD_FLUSH   2u
#define HAZARD_VERW    4u /* always set where the CPU needs its buffers cleared on the way out */

/** What leaving a domain must do on this CPU. */
#define DOMAIN_FPU  1u /* a guest's FPU state is in the registers */
#define DOMAIN_IBPB 2u
#define DOMAIN_L1D  4u

struct thread;
struct vcpu;
struct runq;

struct percpu {
    /* Known to entry.S by offset (percpu_offsets.h). */
    struct percpu *self;    /* 0 */
    uint64_t kstack;        /* 8: top of this CPU's only kernel stack */
    uint64_t user_rsp;      /* 16: scratch of the SYSCALL entry */
    struct thread *current; /* 24 */
    uint64_t save;          /* 32: current thread's save area (private slot) */
    uint32_t hazard;        /* 40 */
    uint32_t cpu;           /* 44 */
    uint64_t armed;         /* 48: TSC at which the timer will fire */
    struct vcpu *fpu_owner; /* 56: whose FPU state is in the registers; NULL: clean */
    struct vcpu *last_vcpu; /* 64 */
    uint64_t cr3;           /* 72: loaded */
    uint32_t domain_flush;  /* 80: DOMAIN_FLUSH_*: what a domain switch must do on this CPU */
    uint32_t apic_id;
    uint32_t online;
    uint64_t switch_tsc; /* when current's scheduling context began to be charged */
    uint64_t idle_ticks, irqs, ipis, switches, flushes;
    void *vmxon_page; /* 4 KiB page for the backend: VMXON region or host save area */
    uint64_t vmxon_phys;
    uint64_t *tss_rsp0; /* where RSP0 of this CPU's TSS lies */
    struct runq *runq;  /* sched.c */
    uint64_t kicked;    /* (kernel lock) last epoch that it was told of */
    uint64_t signals; /* (any) atomic: head + 1 of the list of notifications signalled from afar */
    uint64_t gdt_base, idt_base, tss_base; /* for VMX host state */
} __attribute__((aligned(64)));            /* no line of two CPUs */

static inline struct percpu *percpu(void)
{
    struct percpu *p;
    __asm__("mov %%gs:0, %0" : "=r"(p));
    return p;
}

extern struct percpu percpus[BH_MAX_CPUS];

/** Selectors, the same on every CPU. User SS must be user CS - 8 (SYSRET). */
#define SEL_KCODE 0x08u
#define SEL_KDATA 0x10u
#define SEL_UDATA 0x1bu
#define SEL_UCODE 0x23u
#define SEL_TSS   0x28u

#endif
