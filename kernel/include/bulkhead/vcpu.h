/*
 * The virtual CPU as a monitor sees it: exit reasons, the shared page, run flags.
 * The same for VMX and SVM. The kernel reads each word of the page at most once per call and
 * validates what it takes; the authoritative state is in the VMCS/VMCB. The general registers are
 * the exception: any value is legal, so they live in the page while the vCPU is stopped.
 */
#ifndef BULKHEAD_VCPU_H
#define BULKHEAD_VCPU_H

#include <stdint.h>

/** Result of vcpu_run in rax. Negative values are -bh_err (rax as a signed number). */
enum bh_exit {
    BH_EXIT_SIGNALLED = 0, /* the vCPU's notification: rdx = bits taken */
    BH_EXIT_TIMEOUT = 1,   /* the deadline given to vcpu_run has passed */
    BH_EXIT_CPUID = 2,
    BH_EXIT_IO = 3, /* qual: see BH_IO_* (layout of AMD APM vol. 2, 15.10.2 EXITINFO1) */
    BH_EXIT_RDMSR = 4,
    BH_EXIT_WRMSR = 5,
    BH_EXIT_HLT = 6,
    BH_EXIT_MEMORY = 7,     /* nested page fault: qual = guest-physical address, info = BH_MEM_* */
    BH_EXIT_WINDOW = 8,     /* the guest can take an interrupt now (asked for by BH_RUN_WINDOW) */
    BH_EXIT_SHUTDOWN = 9,   /* triple fault */
    BH_EXIT_HYPERCALL = 10, /* VMCALL or VMMCALL */
    BH_EXIT_CR = 11,        /* CR8 access or a control bit the monitor owns: qual = see BH_CR_* */
    BH_EXIT_XSETBV = 12,
    BH_EXIT_CACHE = 13,     /* INVD or WBINVD */
    BH_EXIT_MWAIT = 14,     /* MONITOR or MWAIT */
    BH_EXIT_UNDEFINED = 15, /* an instruction that this virtual CPU does not have: inject #UD */
    BH_EXIT_RDPMC = 16,
    BH_EXIT_NMI_WINDOW = 17,
    BH_EXIT_EXCEPTION = 18, /* intercepted exception (#AC/#DB loops): qual = vector, info = code */
    BH_EXIT_TASK_SWITCH = 19,
    BH_EXIT_INIT = 20,    /* INIT or SIPI (reserved for VMX SMP guests) */
    BH_EXIT_INVALID = 21, /* entry failed; qual = hardware's reason; the vCPU cannot go on */
    BH_EXIT_UNKNOWN = 22, /* qual = hardware's exit reason; the VM is to be stopped */
    BH_EXIT_DR = 23,      /* reserved */
    BH_NEXITS = 24
};

/** ORed to SIGNALLED and TIMEOUT when the guest was not entered: the flags and the page were not
 * taken over; pass the same flags again. */
#define BH_EXIT_NOT_ENTERED 0x100

/** Group of state that an exit transfers; vcpu_want() chooses per reason. */
enum bh_exit_group {
    BH_GROUP_RIP = 0,  /* rip, next_rip, rflags, shadow: always */
    BH_GROUP_MMIO = 1, /* and cr0, cr3, cr4, efer, cs, ss: enough to fetch and decode */
    BH_GROUP_FULL = 2, /* everything in struct bh_vcpu_state */
};

/** Masks for vcpu_read and for the modified bits of vcpu_run. */
#define BH_STATE_SEG   0x0100u /* seg[], gdtr, idtr, ldtr, tr, cpl */
#define BH_STATE_CR    0x0200u /* cr0, cr2, cr3, cr4, efer, xcr0 */
#define BH_STATE_MSR   0x0400u /* star..pat */
#define BH_STATE_DR    0x0800u /* dr6, dr7 (dr0-3 too) */
#define BH_STATE_TSC   0x1000u /* tsc_offset */
#define BH_STATE_RSP   0x2000u /* gpr[4] */
#define BH_STATE_FLAGS 0x4000u /* rflags */
#define BH_STATE_ALL   0x7f00u
#define BH_STATE_FPU   0x8000u /* fpu[]: apart, since only saving and restoring a VM moves it */

/** Flags of vcpu_run (rsi): what the monitor changed, and what it asks for. */
#define BH_RUN_RIP        0x1u  /* load rip, and end the interrupt shadow */
#define BH_RUN_INJECT     0x2u  /* inject the event in `inject` */
#define BH_RUN_WINDOW     0x4u  /* exit when the guest can take an interrupt */
#define BH_RUN_NMI_WINDOW 0x8u  /* exit when the guest can take an NMI */
#define BH_RUN_SHADOW     0x10u /* load `shadow` */
#define BH_RUN_ALL        (0x1fu | BH_STATE_ALL | BH_STATE_FPU)

/** inject: AMD APM vol. 2, 15.20 EVENTINJ = Intel SDM vol. 3C, 25.8.3 but for "type". */
#define BH_EVENT_VALID     0x80000000ull
#define BH_EVENT_CODE      0x800ull /* error code in bits 63:32 */
#define BH_EVENT_INTR      0x000ull
#define BH_EVENT_NMI       0x200ull
#define BH_EVENT_EXCEPTION 0x300ull
#define BH_EVENT_SOFT      0x400ull /* INT n; the kernel takes the length from next_rip - rip */
#define BH_EVENT_TYPE_MASK 0x700ull

#define BH_IO_IN      0x1u
#define BH_IO_STRING  0x4u
#define BH_IO_REP     0x8u
#define BH_IO_SIZE(q) ((unsigned)((q) >> 4) & 7u) /* 1, 2 or 4 bytes */
#define BH_IO_A16     0x80u
#define BH_IO_A32     0x100u
#define BH_IO_A64     0x200u
#define BH_IO_SEG(q)  ((unsigned)((q) >> 10) & 7u) /* 0 es 1 cs 2 ss 3 ds 4 fs 5 gs; OUTS only */
#define BH_IO_PORT(q) ((unsigned)((q) >> 16) & 0xffffu)

#define BH_MEM_READ    1u
#define BH_MEM_WRITE   2u
#define BH_MEM_FETCH   4u
#define BH_MEM_PRESENT 8u  /* a mapping exists: a rights violation */
#define BH_MEM_WALK    16u /* happened while walking the guest's page tables */

#define BH_CR_NUMBER(q) ((unsigned)(q)&0xfu)
#define BH_CR_GPR(q)    ((unsigned)((q) >> 8) & 0xfu)
#define BH_CR_READ      0x10u
#define BH_CR_DECODED   0x20u /* GPR is valid; else the monitor decodes */

#define BH_SHADOW_STI 1u /* STI or MOV SS shadow: no interrupt before the next instruction */
#define BH_SHADOW_NMI 2u /* NMIs are blocked until IRET */

#define BH_DOORBELLS 8u

struct bh_segment {
    uint16_t selector;
    uint16_t attr; /* type 3:0, S 4, DPL 6:5, P 7, AVL 8, L 9, D/B 10, G 11 (AMD VMCB format);
                      bit 12 = unusable */
    uint32_t limit;
    uint64_t base;
};

enum bh_seg {
    BH_ES,
    BH_CS,
    BH_SS,
    BH_DS,
    BH_FS,
    BH_GS,
    BH_LDTR,
    BH_TR,
    BH_GDTR,
    BH_IDTR,
    BH_NSEGS
};

struct bh_vcpu_state {
    struct bh_segment seg[BH_NSEGS]; /* GDTR, IDTR: base and limit only */
    uint64_t cr0, cr2, cr3, cr4;
    uint64_t efer, xcr0;
    uint64_t dr[4], dr6, dr7;
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat;
    uint64_t tsc_offset;
};

/** The page shared by the kernel and the monitor; user address chosen at vcpu_bind. */
struct bh_vcpu_page {
    uint64_t gpr[16]; /* x86 numbering: rax rcx rdx rbx rsp rbp rsi rdi r8..r15 */
    uint64_t qual;
    uint64_t info;
    uint64_t rip;
    uint64_t next_rip; /* 0: the hardware did not say; decode */
    uint64_t rflags;
    uint64_t shadow;         /* BH_SHADOW_* */
    uint64_t inject;         /* out: the event whose delivery the exit interrupted (0: none) */
    uint64_t insn_bytes_len; /* instruction bytes the hardware gave, 0..15 */
    uint8_t insn_bytes[16];
    uint8_t reserved[304];
    struct bh_vcpu_state state; /* at 512 */
    uint8_t reserved1[512 - sizeof(struct bh_vcpu_state)];
    /** XSAVE area, standard format: legacy region, header, AVX (Intel SDM vol. 1, 13.4). What
     * XRSTOR would refuse is taken as zero: reserved bits of MXCSR and of the header. */
    uint64_t fpu[104]; /* at 1024 */
};

_Static_assert(__builtin_offsetof(struct bh_vcpu_page, rip) == 144, "ABI");
_Static_assert(__builtin_offsetof(struct bh_vcpu_page, state) == 512, "ABI");
_Static_assert(__builtin_offsetof(struct bh_vcpu_page, fpu) == 1024, "ABI");
_Static_assert(sizeof(struct bh_vcpu_page) <= 4096, "ABI");

#endif
