/*
 * VMCS field encodings and control bits: numbers of the Intel SDM and nothing else.
 * Fields: SDM vol. 3D, appendix B. Controls: SDM vol. 3C, 25.6 to 25.8. Exit reasons: appendix C.
 */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

#define HOST_RSP 0x6c14

#ifndef __ASSEMBLY__

/* Fields. Segment i of enum bh_seg: the field of ES + 2 * i, GDTR and IDTR included. */
/* 16 bits */
enum { VMCS_VPID = 0x0000, GUEST_ES_SELECTOR = 0x0800, HOST_ES_SELECTOR = 0x0c00 };
enum { HOST_CS_SELECTOR = 0x0c02, HOST_SS_SELECTOR = 0x0c04, HOST_DS_SELECTOR = 0x0c06 };
enum { HOST_FS_SELECTOR = 0x0c08, HOST_GS_SELECTOR = 0x0c0a, HOST_TR_SELECTOR = 0x0c0c };
/* 64 bits */
enum { MSR_BITMAP = 0x2004, EXIT_MSR_STORE_ADDR = 0x2006, EXIT_MSR_LOAD_ADDR = 0x2008 };
enum { ENTRY_MSR_LOAD_ADDR = 0x200a, TSC_OFFSET = 0x2010, EPT_POINTER = 0x201a };
enum { ENCLS_EXIT_BITMAP = 0x202e, GUEST_PHYSICAL_ADDRESS = 0x2400, VMCS_LINK_POINTER = 0x2800 };
enum { GUEST_DEBUGCTL = 0x2802, GUEST_PAT = 0x2804, GUEST_EFER = 0x2806, HOST_PAT = 0x2c00 };
enum { HOST_EFER = 0x2c02 };
/* 32 bits */
enum { PIN_CONTROLS = 0x4000, PRIMARY_CONTROLS = 0x4002, EXCEPTION_BITMAP = 0x4004 };
enum { PF_ERROR_MASK = 0x4006, PF_ERROR_MATCH = 0x4008, CR3_TARGET_COUNT = 0x400a };
enum { EXIT_CONTROLS = 0x400c, EXIT_MSR_STORE_COUNT = 0x400e, EXIT_MSR_LOAD_COUNT = 0x4010 };
enum { ENTRY_CONTROLS = 0x4012, ENTRY_MSR_LOAD_COUNT = 0x4014, ENTRY_EVENT = 0x4016 };
enum { ENTRY_EVENT_CODE = 0x4018, ENTRY_INSN_LENGTH = 0x401a, SECONDARY_CONTROLS = 0x401e };
enum { INSN_ERROR = 0x4400, EXIT_REASON = 0x4402, EXIT_EVENT = 0x4404, EXIT_EVENT_CODE = 0x4406 };
enum { VECTORING_EVENT = 0x4408, VECTORING_EVENT_CODE = 0x440a, EXIT_INSN_LENGTH = 0x440c };
enum { EXIT_INSN_INFO = 0x440e, GUEST_ES_LIMIT = 0x4800, GUEST_ES_RIGHTS = 0x4814 };
enum { GUEST_BLOCKING = 0x4824, GUEST_ACTIVITY = 0x4826 };
enum { GUEST_SYSENTER_CS = 0x482a, PREEMPTION_TIMER = 0x482e, HOST_SYSENTER_CS = 0x4c00 };
/* natural width */
enum { CR0_MASK = 0x6000, CR4_MASK = 0x6002, CR0_SHADOW = 0x6004, CR4_SHADOW = 0x6006 };
enum { EXIT_QUALIFICATION = 0x6400, GUEST_CR0 = 0x6800, GUEST_CR3 = 0x6802, GUEST_CR4 = 0x6804 };
enum { GUEST_ES_BASE = 0x6806, GUEST_DR7 = 0x681a, GUEST_RSP = 0x681c, GUEST_RIP = 0x681e };
enum { GUEST_RFLAGS = 0x6820, GUEST_PENDING_DB = 0x6822, GUEST_SYSENTER_ESP = 0x6824 };
enum { GUEST_SYSENTER_EIP = 0x6826, HOST_CR0 = 0x6c00, HOST_CR3 = 0x6c02, HOST_CR4 = 0x6c04 };
enum { HOST_FS_BASE = 0x6c06, HOST_GS_BASE = 0x6c08, HOST_TR_BASE = 0x6c0a };
enum { HOST_GDTR_BASE = 0x6c0c, HOST_IDTR_BASE = 0x6c0e, HOST_SYSENTER_ESP = 0x6c10 };
enum { HOST_SYSENTER_EIP = 0x6c12, HOST_RIP = 0x6c16 };

/* Pin-based controls (25.6.1). */
enum { PIN_EXTERNAL_INTERRUPT = 1u << 0, PIN_NMI = 1u << 3, PIN_VIRTUAL_NMI = 1u << 5 };
enum { PIN_PREEMPTION_TIMER = 1u << 6 };
/* Processor-based (25.6.2). */
enum { CPU_INTERRUPT_WINDOW = 1u << 2, CPU_TSC_OFFSET = 1u << 3, CPU_HLT = 1u << 7 };
enum { CPU_INVLPG = 1u << 9, CPU_MWAIT = 1u << 10, CPU_RDPMC = 1u << 11, CPU_CR3_LOAD = 1u << 15 };
enum { CPU_CR3_STORE = 1u << 16, CPU_CR8_LOAD = 1u << 19, CPU_CR8_STORE = 1u << 20 };
enum { CPU_NMI_WINDOW = 1u << 22, CPU_IO = 1u << 24, CPU_MSR_BITMAP = 1u << 28 };
enum { CPU_MONITOR = 1u << 29 };
#define CPU_SECONDARY (1u << 31)
/* Secondary. */
enum { CPU2_EPT = 1u << 1, CPU2_VPID = 1u << 5, CPU2_WBINVD = 1u << 6 };
enum { CPU2_UNRESTRICTED = 1u << 7, CPU2_ENCLS = 1u << 15 };
/* Exit (25.7). */
enum { EXIT_SAVE_DEBUG = 1u << 2, EXIT_HOST_64 = 1u << 9, EXIT_SAVE_PAT = 1u << 18 };
enum { EXIT_LOAD_PAT = 1u << 19, EXIT_SAVE_EFER = 1u << 20, EXIT_LOAD_EFER = 1u << 21 };
/* Entry (25.8). */
enum { ENTRY_LOAD_DEBUG = 1u << 2, ENTRY_IA32E = 1u << 9, ENTRY_LOAD_PAT = 1u << 14 };
enum { ENTRY_LOAD_EFER = 1u << 15 };

/* Capability MSRs: appendix A. The TRUE_* one of a control is 12 higher, but for the secondary. */
enum { MSR_VMX_BASIC = 0x480u, MSR_VMX_PIN = 0x481u, MSR_VMX_CPU = 0x482u, MSR_VMX_EXIT = 0x483u };
enum { MSR_VMX_ENTRY = 0x484u, MSR_VMX_MISC = 0x485u };
enum { MSR_VMX_CR4_FIXED0 = 0x488u, MSR_VMX_CR4_FIXED1 = 0x489u, MSR_VMX_CPU2 = 0x48bu };
enum { MSR_VMX_EPT_VPID = 0x48cu };
#define VMX_BASIC_TRUE      (1ull << 55)
#define VMX_BASIC_INS_OUTS  (1ull << 54)
#define EPT_CAP_WALK4       (1ull << 6)
#define EPT_CAP_WB          (1ull << 14)
#define EPT_CAP_2M          (1ull << 16)
#define EPT_CAP_INVEPT_ALL  (1ull << 20 | 1ull << 26)
#define EPT_CAP_INVVPID_ALL (1ull << 32 | 1ull << 42)

/* Exit reasons that the code names; vmx_run.c has the table of all. */
enum { REASON_EXCEPTION = 0, REASON_TASK_SWITCH = 9, REASON_CR = 28, REASON_IO = 30 };
enum { REASON_RDMSR = 31, REASON_WRMSR = 32, REASON_BAD_STATE = 33, REASON_EPT_VIOLATION = 48 };
enum { REASON_XSETBV = 55, REASON_COUNT = 61 };
#define REASON_ENTRY_FAILED 0x80000000u

/* Interruptibility state (25.4.2), pending debug exceptions, event information (25.8.3, 25.9.2). */
#define BLOCK_STI    1u
#define BLOCK_MOVSS  2u
#define BLOCK_NMI    8u
#define PENDING_STEP (1u << 14)
enum { EVENT_INTR, EVENT_NMI = 2, EVENT_HARD, EVENT_SOFT_INT, EVENT_PRIV, EVENT_SOFT };
#define EVENT_VALID   0x80000000u
#define EVENT_CODE    0x800u
#define EVENT_TYPE(e) ((uint32_t)(e) >> 8 & 7u)
/* In exit event and EPT qualification: IRET had unblocked NMIs. */
#define EXIT_NMI_UNBLOCKED 0x1000u

#endif
#endif
