/*
 * What the files of the VMX backend share: per-CPU and per-vCPU data, checked VMCS access.
 * A VMCS access that fails is a broken invariant of this backend: it panics and names the field
 * by its encoding (vmcs.h).
 */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../asm.h"
#include "../klog.h"
#include "../percpu.h"
#include "../vcpu_ops.h"
#include "vmcs.h"

#define CR0_PE   0x1u
#define CR0_ET   0x10u
#define CR0_NE   0x20u
#define CR0_NW   0x20000000u
#define CR0_CD   0x40000000u
#define CR0_PG   0x80000000u
#define CR4_PAE  0x20u
#define CR4_MCE  0x40u
#define CR4_VMXE 0x2000u
#define FLAGS_TF 0x100u
#define FLAGS_IF 0x200u

/*
 * Bits of the guest's control registers that the host owns; the guest reads its own value of them
 * in the shadow. CR0: NE because VMX wants it; CD and NW because neither entry nor exit changes
 * them (SDM 27.3.2.1), so that a guest would switch off the host's caches. CR4: MCE, or a machine
 * check in a guest would shut the machine down; and every bit that is not in CR4_GUEST, which a
 * guest may not set at all.
 */
#define CR0_OWNED (CR0_NE | CR0_CD | CR0_NW)
#define CR0_KNOWN 0xe005003fu
#define CR4_GUEST 0x370fffu /* VME to UMIP; FSGSBASE, PCIDE, OSXSAVE, SMEP, SMAP */
#define CR4_OWNED (~(uint64_t)CR4_GUEST | CR4_MCE)

struct msr_entry { /* SDM 25.7.2, 25.8.2 */
    uint32_t index;
    uint32_t reserved;
    uint64_t value;
};
_Static_assert(sizeof(struct msr_entry) == 16, "SDM vol. 3C, table 25-15");

/*
 * The syscall MSRs are swapped by the entry and exit MSR areas: they cost no instruction, on real
 * CPUs no more than WRMSR would, and there is no path that could forget one. Guest writes to STAR,
 * LSTAR and SFMASK are intercepted and kept up to date in the area, so that an exit stores only
 * KERNEL_GS_BASE (SWAPGS changes it unseen). CSTAR is never used by Intel CPUs: it is a value kept
 * for the guest.
 */
enum { SWAP_STAR, SWAP_LSTAR, SWAP_SFMASK, SWAP_KERNEL_GS, SWAP_COUNT };

/*
 * The guest's registers that the VMCS does not hold. They lie in the private page behind the XSAVE
 * area, never in the global map.
 */
struct vmx_save {
    struct msr_entry msrs[SWAP_COUNT];
    uint64_t cstar;
    uint64_t cr2;
    uint64_t next_rip; /* of the last exit; 0: unknown */
    uint64_t rip, rflags;
    uint32_t blocking; /* GUEST_BLOCKING as in the VMCS */
    uint32_t controls; /* PRIMARY_CONTROLS as in the VMCS */
};
#define SAVE_OFFSET 3584u
_Static_assert(SAVE_OFFSET + sizeof(struct vmx_save) <= 4096, "fits behind the XSAVE area");

static inline struct vmx_save *vmx_save(const struct vcpu *v)
{
    return (struct vmx_save *)((uintptr_t)v->xsave + SAVE_OFFSET);
}

/** vcpu.backend[]: dr0..dr3 and dr6 while not in the registers (they are saved when another domain
 *  is mapped already), and the HOST_CR3 last written. */
enum { B_DR, B_DR6 = 4, B_HOST_CR3 };

struct __attribute__((aligned(64))) vmx_cpu { /* the MSR area: 16 bytes, SDM 25.7.2 */
    struct msr_entry host_msrs[SWAP_COUNT];
    struct vcpu *current;  /* whose VMCS is current */
    struct vcpu *ready;    /* = current, and nothing is left for vmx_prepare() to do */
    struct vcpu *dr_owner; /* whose DR0-3 and DR6 are in the registers */
    uint64_t generation;   /* of VPIDs */
    uint32_t next_vpid;
    uint32_t spare;
};

/** Control values, the same on every CPU. */
struct vmx_config {
    uint64_t basic;
    uint64_t cr4_fixed0, cr4_fixed1;
    uint32_t pin, cpu, cpu2, exit, entry;
    uint32_t timer_shift; /* preemption timer ticks = TSC ticks >> this */
    uint32_t phys_bits;
};

extern struct vmx_config vmx_config;
extern uint8_t vmx_msr_bitmap[4096];
extern uint8_t vmx_rsb_fill; /* entry code: overwrite return predictions after each exit */
extern struct vmx_cpu vmx_cpus[BH_MAX_CPUS];

/* vmx_entry.S */
/** Enter the guest; 0 after an exit, 1 if VMLAUNCH or VMRESUME failed. Registers go to and come
 *  from @gpr; @rsp caches the HOST_RSP last written. */
unsigned vmx_enter(uint64_t *gpr, uint64_t launched, uint64_t *rsp);
extern const char vmx_exit_point[];

/* vmx.c */
const char *vmx_probe(void);
bool vmx_cpu_enable(void);
void vmx_flush_all(void);
void vmx_prepare(struct vcpu *v, struct vmx_cpu *c);
void vmx_init(struct vcpu *v);
void vmx_release(struct vcpu *v);
void vmx_save_debug_registers(struct vmx_cpu *c);

/* vmx_run.c */
unsigned vmx_run(struct vcpu *v, uint64_t flags);
void vmx_skip(struct vcpu *v);

/* vmx_state.c */
void vmx_read_state(struct vcpu *v, uint64_t groups);
uint32_t vmx_write_state(struct vcpu *v, uint64_t groups);
/** Load @s whole; it is valid. */
void vmx_load_state(struct vcpu *v, const struct bh_vcpu_state *s, uint64_t groups);

/* ept.c */
uint64_t ept_leaf_flags(uint64_t map_flags, unsigned level);
uint64_t ept_table_flags(void);
uint64_t ept_pointer(uint64_t root);

static inline uint64_t vmread(uint32_t field)
{
    uint64_t value;
    bool bad;

    __asm__ volatile("vmread %2, %0" : "=r"(value), "=@ccbe"(bad) : "r"((uint64_t)field));
    invariant(!bad, "VMREAD of VMCS field %x failed", field);
    return value;
}

static inline void vmwrite(uint32_t field, uint64_t value)
{
    bool bad;

    __asm__ volatile("vmwrite %1, %2" : "=@ccbe"(bad) : "r"(value), "r"((uint64_t)field));
    invariant(!bad, "VMWRITE of %lx to VMCS field %x failed", value, field);
}

static inline void vmptrld(uint64_t phys)
{
    bool bad;

    __asm__ volatile("vmptrld %1" : "=@ccbe"(bad) : "m"(phys) : "memory");
    invariant(!bad, "VMPTRLD of %lx failed", phys);
}

static inline void vmclear(uint64_t phys)
{
    bool bad;

    __asm__ volatile("vmclear %1" : "=@ccbe"(bad) : "m"(phys) : "memory");
    invariant(!bad, "VMCLEAR of %lx failed", phys);
}

/** Make this vCPU's VMCS the current one. Its own CPU, interrupts off. */
static inline void vmx_make_current(struct vcpu *v, struct vmx_cpu *c)
{
    if (c->current != v) {
        vmptrld(v->hw_phys);
        c->current = v;
        c->ready = NULL;
    }
}

static inline struct vmx_cpu *vmx_this_cpu(void) { return &vmx_cpus[percpu()->cpu]; }

#endif
