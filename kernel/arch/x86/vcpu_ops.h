/*
 * The narrow table between the common vCPU code and a CPU backend (vmx/, svm/), and the VCpu
 * object. A backend may call asm.h, percpu.h, klog/panic; it never touches capabilities, threads or
 * the scheduler.
 */
#ifndef ARCH_X86_VCPU_OPS_H
#define ARCH_X86_VCPU_OPS_H

#include <stdbool.h>
#include <stdint.h>
#include "bulkhead/vcpu.h"
#include "bulkhead/cap.h"

/** Read a word that another CPU may be changing exactly once. */
#define ONCE(x) (*(const volatile __typeof__(x) *)&(x))

struct doorbell {
    uint32_t match; /* port << 16 | width << 4, as in an I/O exit's qualification; 0: unused */
    uint32_t mask;  /* which bits of EAX count: 0, any value rings */
    uint32_t value;
    uint32_t ntfn;
    uint64_t badge;
};

/*
 * VCpu object: four pages. Page 0 is this structure (global map). Pages 1..3 are unmapped from the
 * global map and visible only in the private slot of the HostSpace of the thread that runs the
 * vCPU: 1 = VMCB or VMCS, 2 = XSAVE area of the guest, 3 = struct bh_vcpu_page (also mapped for the
 * user). Owned by CPU `cpu`; touched there only, with interrupts off.
 */
struct vcpu {
    uint32_t cpu;
    uint32_t users;      /* references: the thread it is bound to */
    uint32_t thread;     /* thread index, NONE when unbound */
    uint32_t guestspace; /* space index */
    uint32_t ntfn;       /* notification index */
    uint32_t slot;       /* private slot group in the HostSpace */
    struct bh_vcpu_page
        *page;        /* kernel address in the private slot; valid under the domain's CR3 only */
    void *hw;         /* same, page 1 */
    void *xsave;      /* same, page 2 */
    uint64_t hw_phys; /* physical address of page 1 */
    uint64_t nested_root; /* physical address of the GuestSpace's root table */
    uint64_t unbound; /* epoch of the last unbind: until it has passed, its page may be reached */
    uint64_t guest_xcr0;
    /* What the backend also wrote to the page, for the kernel's own use: of IO, INVALID, UNKNOWN.
     */
    uint64_t qual;
    uint64_t info, rip; /* of INVALID and UNKNOWN */
    uint32_t initialised;
    uint64_t page_va;       /* user address of the page */
    uint64_t host_rsp_slot; /* scratch of the backend's entry code */
    uint32_t asid;          /* ASID or VPID in use */
    uint32_t launched;      /* vmx: VMLAUNCH done since VMCLEAR */
    uint64_t asid_generation;
    uint64_t backend[16];    /* backend's own */
    uint8_t want[BH_NEXITS]; /* enum bh_exit_group by reason */
    uint32_t ndoorbells;
    struct doorbell doorbells[BH_DOORBELLS];
    uint64_t exits[BH_NEXITS + 8];
} __attribute__((aligned(16384)));

_Static_assert(__builtin_offsetof(struct vcpu, exits) + 8 * (BH_NEXITS + 8) <= 4096, "page 0");
_Static_assert(sizeof(struct vcpu) == BH_VCPU_BYTES, "ABI");

extern struct vcpu vcpus[];

/** Internal flag of run(): the same orders as last time (nothing in the page is taken over, a
 * window that was asked for stays asked for). */
#define RUN_AGAIN 0x10000u

/** Internal group of read_state(), alone: BH_GROUP_MMIO by the shortest way. */
#define STATE_DECODE 0x80000u

/** The end of a vCPU (INVALID or UNKNOWN): why, to the monitor's page and to the object. */
static inline unsigned vcpu_refused(struct vcpu *v, unsigned reason, uint64_t qual, uint64_t info,
                                    uint64_t rip)
{
    v->page->qual = v->qual = qual;
    v->page->info = v->info = info;
    v->rip = rip;
    return reason;
}

/** Internal exits that never reach a monitor; beyond enum bh_exit. */
enum { EXIT_HOST_IRQ = BH_NEXITS, EXIT_HOST_NMI = BH_NEXITS + 1, EXIT_RESUME = BH_NEXITS + 2 };

struct vcpu_ops {
    const char *name;
    /** NULL if this CPU can do it, else a sentence that says what is missing. Any CPU, before
     * enable. */
    const char *(*probe)(void);
    /** Turn it on for this CPU (VMXON; EFER.SVME). Memory: kernel pages of the percpu area. */
    bool (*cpu_enable)(void);
    /** Put the vCPU into the reset state of Intel SDM vol. 3A, table 10-1. Domain's CR3 is loaded,
     *  page/hw/xsave/hw_phys/nested_root are set. */
    void (*init)(struct vcpu *v);
    /** Before another CPU or nobody may use it (VMCLEAR). */
    void (*release)(struct vcpu *v);
    /** Nested page-table entry for a leaf. @map_flags BH_MAP_*, @level 1, 2 or 3. */
    uint64_t (*leaf_flags)(uint64_t map_flags, unsigned level);
    uint64_t (*table_flags)(void);
    /**
     * Take over what @flags (BH_RUN_*, not BH_STATE_*) says from the page, enter the guest, come back.
     * Stores gpr, rip, next_rip, rflags, shadow, and, as the reason needs, qual, info, inject,
     * bytes. Returns enum bh_exit or EXIT_*. EXIT_HOST_IRQ: an interrupt is pending or was just
     * acknowledged and dispatched; gprs are in the page, an event whose delivery was interrupted
     * will be delivered at the next run by the backend itself. Interrupts off; guest FPU state
     * loaded.
     */
    unsigned (*run)(struct vcpu *v, uint64_t flags);
    /** Advance past the instruction that caused the exit (next_rip known); ends the shadow. */
    void (*skip)(struct vcpu *v);
    /** Copy groups (BH_STATE_*, or STATE_DECODE) into the page. */
    void (*read_state)(struct vcpu *v, uint64_t groups);
    /** Check and load groups from the page (each word read once). BH_OK or BH_ERR_RANGE (nothing
     * done). */
    uint32_t (*write_state)(struct vcpu *v, uint64_t groups);
    /** Forget all guest translations of this CPU (before an epoch is acknowledged). */
    void (*flush_all)(void);
};

extern const struct vcpu_ops vmx_ops, svm_ops;
/** The backend in use; NULL when the machine has none. Set once at boot. */
extern const struct vcpu_ops *vcpu_ops;

#endif
