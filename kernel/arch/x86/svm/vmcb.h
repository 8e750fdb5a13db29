/* The VMCB: AMD APM vol. 2, appendix B. */
#ifndef ARCH_X86_SVM_VMCB_H
#define ARCH_X86_SVM_VMCB_H

#include <stddef.h>
#include <stdint.h>

struct vmcb_seg {
    uint16_t selector, attr;
    uint32_t limit;
    uint64_t base;
};

struct vmcb {
    uint16_t cr_read, cr_write, dr_read, dr_write;
    uint32_t exceptions;
    uint32_t misc1, misc2, misc3;
    uint8_t reserved0[0x40 - 0x18];
    uint64_t iopm_pa, msrpm_pa; /* 0x40 */
    uint64_t tsc_offset;        /* 0x50 */
    uint32_t asid;              /* 0x58 */
    uint32_t tlb_control;       /* 0x5c */
    uint64_t int_ctl;           /* 0x60 */
    uint64_t int_shadow;        /* 0x68 */
    uint64_t exit_code;         /* 0x70 */
    uint64_t exit_info1, exit_info2;
    uint64_t exit_int_info; /* 0x88 */
    uint64_t np_enable;     /* 0x90 */
    uint8_t reserved1[0xa8 - 0x98];
    uint64_t event_inj; /* 0xa8 */
    uint64_t ncr3;      /* 0xb0 */
    uint64_t lbr;
    uint32_t clean, reserved2; /* 0xc0 */
    uint64_t next_rip;         /* 0xc8 */
    uint8_t fetched;           /* 0xd0 */
    uint8_t bytes[15];
    uint8_t reserved3[0x400 - 0xe0];
    struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr; /* 0x400 */
    uint8_t reserved4[0x4cb - 0x4a0];
    uint8_t cpl; /* 0x4cb */
    uint32_t reserved5;
    uint64_t efer; /* 0x4d0 */
    uint8_t reserved6[0x548 - 0x4d8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip; /* 0x548 */
    uint8_t reserved7[0x5d8 - 0x580];
    uint64_t rsp; /* 0x5d8 */
    uint8_t reserved8[0x5f8 - 0x5e0];
    uint64_t rax; /* 0x5f8 */
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t cr2; /* 0x640 */
    uint8_t reserved9[0x668 - 0x648];
    uint64_t g_pat; /* 0x668 */
};

_Static_assert(offsetof(struct vmcb, iopm_pa) == 0x40, "APM B");
_Static_assert(offsetof(struct vmcb, exit_code) == 0x70, "APM B");
_Static_assert(offsetof(struct vmcb, event_inj) == 0xa8, "APM B");
_Static_assert(offsetof(struct vmcb, next_rip) == 0xc8, "APM B");
_Static_assert(offsetof(struct vmcb, es) == 0x400, "APM B");
_Static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "APM B");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "APM B");
_Static_assert(offsetof(struct vmcb, rip) == 0x578, "APM B");
_Static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "APM B");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "APM B");
_Static_assert(offsetof(struct vmcb, cr2) == 0x640, "APM B");
_Static_assert(offsetof(struct vmcb, g_pat) == 0x668, "APM B");

/* V_IRQ, V_INTR_PRIO 15, V_IGN_TPR */
#define INT_CTL_V_IRQ     (1ull << 8 | 0xfull << 16 | 1ull << 20)
#define INT_CTL_V_MASKING (1ull << 24)

#define MISC1_IRET (1u << 20)
/* INTR NMI SMI INIT VINTR (only when V_IRQ is set), RDPMC, CPUID, RSM, INVD, HLT, INVLPGA, IOIO,
 * MSR, task switch, FERR_FREEZE, shutdown */
#define MISC1_ALWAYS 0xfd4c801fu
/* VMRUN VMMCALL VMLOAD VMSAVE STGI CLGI SKINIT RDTSCP, WBINVD, MONITOR, MWAIT (both), XSETBV, RDPRU
 */
#define MISC2_ALWAYS 0x7effu

/* Exit codes: APM vol. 2, appendix C. */
enum {
    SVM_EXCP_DB = 0x41,
    SVM_EXCP_AC = 0x51,
    SVM_EXCP_MC = 0x52,
    SVM_INTR = 0x60,
    SVM_NMI = 0x61,
    SVM_VINTR = 0x64,
    SVM_IRET = 0x74,
    SVM_IOIO = 0x7b,
    SVM_MSR = 0x7c,
    SVM_NPF = 0x400,
};

#endif
