/*
 * SVM backend: enable, VMCB set-up, ASIDs, entry and exit (AMD APM vol. 2, 15). May call: APIC,
 * asm, percpu, klog/panic, boot-time page allocation. Never touches capabilities, threads or the
 * scheduler.
 */
#include "svm.h"
#include "../apic.h"
#include "../asm.h"
#include "../cpu.h"
#include "../klog.h"
#include "../mem.h"
#include "../percpu.h"
#include "bulkhead/call.h"
#include "core/epoch.h"

/* Both maps are the same for every vCPU; filled once: default deny. */
static uint8_t iopm[12288] __attribute__((aligned(4096), section(".bss.page")));
static uint8_t msrpm[8192] __attribute__((aligned(4096), section(".bss.page")));
static uint64_t host_state[BH_MAX_CPUS]; /* physical page for VMSAVE/VMLOAD of the host's */
static bool has_nrip, has_assist;
static uint8_t rsb_fill;
static uint32_t asids;

/* ASIDs of one CPU: a vCPU whose generation is old takes a new one. */
static struct asid_pool {
    uint64_t generation;
    uint32_t next;
    bool flush;
} pools[BH_MAX_CPUS];

static const char *svm_probe(void)
{
    if (cpuid(0x80000000, 0).a < 0x8000000a || (cpuid(0x80000001, 0).c >> 2 & 1u) == 0)
        return "this CPU has neither VT-x nor AMD-V, or the firmware hides it";
    if ((rdmsr(MSR_VM_CR) >> 4 & 1u) != 0)
        return "AMD-V is disabled by the firmware (VM_CR.SVMDIS): enable SVM in its set-up";
    if ((cpuid(1, 0).a & 0xff00f00u) == 0x100f00u && cpuid(0, 0).b == 0x68747541)
        return "AMD's family 10h is not supported: a guest can stop it (errata 246, 383)";
    if ((cpuid(0x8000000a, 0).d & 1u) == 0) return "this CPU's AMD-V has no nested paging";
    if (cpuid(0x8000000a, 0).b < 2) return "this CPU's AMD-V has no ASIDs";
    return NULL;
}

static void msr_pass(uint32_t msr)
{
    uint32_t i = msr < 0x2000 ? msr : msr - 0xc0000000u + 0x2000;

    msrpm[i / 4] = (uint8_t)(msrpm[i / 4] & ~(3u << i % 4 * 2));
}

static void maps_init(void)
{
    /* What the hardware switches at VMLOAD/VMSAVE needs no exit. */
    static const uint32_t pass[] = {
        MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_STAR,    MSR_LSTAR,
        MSR_CSTAR,       MSR_SFMASK,       MSR_FS_BASE,      MSR_GS_BASE, MSR_KERNEL_GS_BASE};

    for (uint32_t i = 0; i < sizeof(iopm); i++) iopm[i] = 0xff;
    for (uint32_t i = 0; i < sizeof(msrpm); i++) msrpm[i] = 0xff;
    for (uint32_t i = 0; i < sizeof(pass) / sizeof(pass[0]); i++) msr_pass(pass[i]);
}

static bool svm_cpu_enable(void)
{
    struct percpu *pc = percpu();
    uint32_t page = boot_pages(1);

    /* Automatic IBRS clears the return predictor at #VMEXIT. IBPB: there is a predictor to defend.
     */
    bool auto_ibrs =
        cpuid(0x80000000, 0).a >= 0x80000021 && (cpuid(0x80000021, 0).a >> 8 & 1u) != 0;

    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME | (auto_ibrs ? EFER_AIBRSE : 0));
    wrmsr(MSR_VM_HSAVE_PA, pc->vmxon_phys);
    host_state[pc->cpu] = page_phys(page);
    __asm__ volatile("vmsave %0" : : "a"(host_state[pc->cpu]) : "memory");
    pools[pc->cpu] = (struct asid_pool){1, 1, true};
    if (pc->cpu == 0) {
        asids = cpuid(0x8000000a, 0).b;
#ifdef RSB_FILL_ALWAYS
        rsb_fill = 1;
#else
        rsb_fill = (cpu_prot_on & BH_PROT_IBPB) != 0 && !auto_ibrs;
#endif
        has_nrip = (cpuid(0x8000000a, 0).d >> 3 & 1u) != 0;
        has_assist = (cpuid(0x8000000a, 0).d >> 7 & 1u) != 0;
        maps_init();
    }
    return true;
}

static void svm_init(struct vcpu *v)
{
    struct vmcb *b = v->hw;

    v->asid_generation = 0;
    v->backend[SVM_WINDOW] = 0;
    b->ncr3 = v->nested_root;
    if (b->np_enable != 0) return; /* bound again: it goes on where it stopped */
    b->cr_read = b->cr_write = 1u << 8;
    b->exceptions = 1u << 1 | 1u << 17 | 1u << 18; /* #DB, #AC: endless loops; #MC is ours */
    b->misc1 = MISC1_ALWAYS;
    b->misc2 = MISC2_ALWAYS;
    b->iopm_pa = image_phys(iopm);
    b->msrpm_pa = image_phys(msrpm);
    b->int_ctl = INT_CTL_V_MASKING;
    b->np_enable = 1;
    b->efer = EFER_SVME;
    b->cr0 = 0x60000010;
    b->rip = 0xfff0;
    b->rflags = 2;
    b->cs = (struct vmcb_seg){0xf000, 0x9b, 0xffff, 0xffff0000};
    b->ds = b->es = b->ss = b->fs = b->gs = (struct vmcb_seg){0, 0x93, 0xffff, 0};
    b->gdtr = b->idtr = (struct vmcb_seg){0, 0, 0xffff, 0};
    b->ldtr = (struct vmcb_seg){0, 0x82, 0xffff, 0};
    b->tr = (struct vmcb_seg){0, 0x8b, 0xffff, 0};
    b->dr6 = 0xffff0ff0;
    b->dr7 = 0x400;
    b->g_pat = 0x0007040600070406;
}

static void svm_release(struct vcpu *v)
{
    if (percpu()->last_vcpu == v) percpu()->last_vcpu = NULL;
}

static uint64_t svm_leaf_flags(uint64_t flags, unsigned level)
{
    return PTE_P | PTE_U | PTE_A | PTE_D | ((flags & BH_MAP_WRITE) != 0 ? PTE_W : 0) |
           ((flags & BH_MAP_EXEC) != 0 ? 0 : pte_nx) |
           ((flags & BH_MAP_UC) != 0 ? PTE_PCD | PTE_PWT : 0) | (level > 1 ? PTE_PS : 0);
}

static uint64_t svm_table_flags(void) { return PTE_P | PTE_W | PTE_U | PTE_A; }

static void svm_flush_all(void)
{
    struct asid_pool *p = &pools[percpu()->cpu];

    p->generation++;
    p->next = 1;
    p->flush = true;
}

/* Rare on entry: another vCPU ran here, or translations were given up. */
__attribute__((noinline)) static void svm_take_cpu(struct vcpu *v, struct vmcb *b)
{
    struct percpu *pc = percpu();
    struct asid_pool *p = &pools[pc->cpu];

    if (v->asid_generation != p->generation) {
        if (p->next >= asids) svm_flush_all();
        v->asid = p->next++;
        v->asid_generation = p->generation;
        b->asid = v->asid;
    }
    b->tlb_control = p->flush ? 1 : 0;
    p->flush = false;
    if (pc->last_vcpu != v) {
        if (pc->last_vcpu != NULL) svm_debug_save(pc->last_vcpu);
        svm_debug_load(v);
        pc->last_vcpu = v;
    }
}

/*
 * Guest in, guest out. General registers but rax and rsp live in the page's gpr[]. FS, GS, TR, LDTR
 * and the system-call MSRs are the host's again behind it; GIF is set, IF clear. Written inline:
 * the compiler saves only what it needs. Host interrupts end the guest: GIF holds them back until
 * it runs. The guest has trained the return predictor: where the CPU does not clear its 32 entries
 * itself, calls do, before the first RET; LFENCE, as the branch around them may be predicted by it.
 */
static inline void svm_enter(uint64_t vmcb_phys, struct bh_vcpu_page *page, uint64_t host_phys)
{
#define FROM(n, r) "mov 8*" #n "(%%rsi), %%" #r "\n\t"
#define TO(n, r)   "mov %%" #r ", 8*" #n "(%%rax)\n\t"
#define EACH(M)    M(1, rcx) M(2, rdx) M(3, rbx) M(5, rbp) M(7, rdi) M(8, r8) M(9, r9) M(10, r10)
#define REST(M)    M(11, r11) M(12, r12) M(13, r13) M(14, r14) M(15, r15) M(6, rsi)
#define ENTER      "push %%rdx; push %%rsi; clgi; vmload %%rax\n\t" EACH(FROM) REST(FROM)
#define LEAVE                                                                                      \
    "cli; vmsave %%rax; pop %%rax\n\t" EACH(TO) REST(TO) "pop %%rax; vmload %%rax; stgi\n\t"
#define FILL "testb $1, %3; jz 2f; .rept 32\ncall 1f; int3; 1:\n.endr; add $256, %%rsp; 2: lfence"
    __asm__ volatile(ENTER "sti; vmrun %%rax\n\t" LEAVE FILL
                     : "+a"(vmcb_phys), "+d"(host_phys), "+S"(page)
                     : "m"(rsb_fill)
                     : "rbx", "rcx", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "memory", "cc");
}

/* New orders beyond "go on at rip". @return false: the event cannot be injected */
__attribute__((noinline)) static void svm_orders(struct vcpu *v, struct vmcb *b, uint64_t flags)
{
    uint64_t event;

    if ((flags & BH_RUN_SHADOW) != 0) b->int_shadow = ONCE(v->page->shadow) & BH_SHADOW_STI;
    if ((flags & BH_RUN_INJECT) != 0) {
        event = ONCE(v->page->inject) & 0xffffffff80000fffull;
        if ((event & BH_EVENT_TYPE_MASK) == BH_EVENT_NMI) {
            event = (event & ~0xffull) | 2;
            v->backend[SVM_NMI_BLOCKED] = 1;
            b->misc1 |= MISC1_IRET;
        }
        if ((event & BH_EVENT_TYPE_MASK) == BH_EVENT_EXCEPTION && (event & 0xff) > 31)
            event = 0;                                  /* VMRUN would fail */
        if ((b->cr0 & 1) == 0) event &= ~BH_EVENT_CODE; /* real mode has no error codes */
        b->event_inj = event;
        /* QEMU, known by its lack of next-RIP, remembers the interrupt until the next exit, and
         * whatever makes it leave its loop before that delivers it once more, IF or not. An
         * interrupt for us, pending now, ends the guest first. */
        if (!has_nrip && (event & BH_EVENT_TYPE_MASK) == 0) apic_kick(percpu()->apic_id);
    }
    b->int_ctl &= ~INT_CTL_V_IRQ;
    if ((flags & BH_RUN_WINDOW) != 0 || v->backend[SVM_NMI_BLOCKED] >= NMI_UNTIL)
        b->int_ctl |= INT_CTL_V_IRQ;
    v->backend[SVM_WINDOW] = flags & (BH_RUN_WINDOW | BH_RUN_NMI_WINDOW);
}

/* Hardware exit code to ours; 0: unknown. */
static const uint8_t exit_map[0x100] = {
    [0x08] = BH_EXIT_CR,        [0x18] = BH_EXIT_CR,          [SVM_INTR] = EXIT_HOST_IRQ,
    [SVM_NMI] = EXIT_HOST_NMI,  [0x62] = EXIT_HOST_IRQ,       [0x63] = BH_EXIT_INIT,
    [0x6f] = BH_EXIT_RDPMC,     [0x72] = BH_EXIT_CPUID,       [0x73] = BH_EXIT_UNDEFINED,
    [0x76] = BH_EXIT_CACHE,     [0x7a] = BH_EXIT_UNDEFINED,   [SVM_IOIO] = BH_EXIT_IO,
    [SVM_MSR] = BH_EXIT_RDMSR,  [0x7d] = BH_EXIT_TASK_SWITCH, [0x7f] = BH_EXIT_SHUTDOWN,
    [0x80] = BH_EXIT_UNDEFINED, [0x81] = BH_EXIT_HYPERCALL,   [0x82] = BH_EXIT_UNDEFINED,
    [0x83] = BH_EXIT_UNDEFINED, [0x84] = BH_EXIT_UNDEFINED,   [0x85] = BH_EXIT_UNDEFINED,
    [0x86] = BH_EXIT_UNDEFINED, [0x87] = BH_EXIT_UNDEFINED,   [0x89] = BH_EXIT_CACHE,
    [0x8a] = BH_EXIT_MWAIT,     [0x8b] = BH_EXIT_MWAIT,       [0x8c] = BH_EXIT_MWAIT,
    [0x8d] = BH_EXIT_XSETBV,    [0x8e] = BH_EXIT_UNDEFINED,
#ifndef BREAK_HLT_EXIT
    [0x78] = BH_EXIT_HLT,
#endif
};

/* An event whose delivery the exit interrupted. INT n, INT3 and INTO are executed again instead. */
static uint64_t event_again(uint64_t info)
{
    uint64_t type = info & BH_EVENT_TYPE_MASK, vector = info & 0xff;

    if ((info & BH_EVENT_VALID) == 0 || type == BH_EVENT_SOFT ||
        (type == BH_EVENT_EXCEPTION && (vector == 3 || vector == 4)))
        return 0;
    return info & 0xffffffff80000fffull;
}

__attribute__((noinline)) static unsigned svm_exit_rare(struct vcpu *v, struct vmcb *b,
                                                        uint64_t code)
{
    struct bh_vcpu_page *page = v->page;
    uint64_t i1 = b->exit_info1;

    switch (code) {
    case SVM_NPF:
        page->qual = b->exit_info2;
        page->info = ((i1 & 2) != 0        ? BH_MEM_WRITE
                      : (i1 >> 4 & 1) != 0 ? BH_MEM_FETCH
                                           : BH_MEM_READ) |
                     ((i1 & 1) != 0 ? BH_MEM_PRESENT : 0) | ((i1 >> 33 & 1) != 0 ? BH_MEM_WALK : 0);
        page->insn_bytes_len = 0;
        if (has_assist) {
            page->insn_bytes_len = b->fetched & 15;
            for (unsigned i = 0; i < 15; i++) page->insn_bytes[i] = b->bytes[i];
        }
        return BH_EXIT_MEMORY;
    case 0x08:
    case 0x18:
        page->qual =
            8 | (code == 0x08 ? BH_CR_READ : 0) | (has_assist ? BH_CR_DECODED | (i1 & 15) << 8 : 0);
        return BH_EXIT_CR;
    case SVM_EXCP_DB:
    case SVM_EXCP_AC:
        /* Back to the guest, but through our loop: an endless one can be interrupted. */
        b->event_inj = BH_EVENT_VALID | BH_EVENT_EXCEPTION | (code - 0x40) |
                       (code == SVM_EXCP_AC ? BH_EVENT_CODE | (i1 & 0xffffffff) << 32 : 0);
        page->inject = b->event_inj; /* the loop may end with a signal or a deadline all the same */
        return EXIT_RESUME;
    case SVM_EXCP_MC: panic("no machine check while a guest runs");
    case SVM_IRET: /* NMIs wait until it is done: an exit elsewhere, or with interrupts on */
        v->backend[SVM_NMI_BLOCKED] = b->rip + NMI_UNTIL;
        b->misc1 &= ~MISC1_IRET;
        b->int_ctl |= INT_CTL_V_IRQ;
        return EXIT_RESUME;
    case SVM_VINTR:
        if (v->backend[SVM_NMI_BLOCKED] == 0 && (v->backend[SVM_WINDOW] & BH_RUN_NMI_WINDOW) != 0)
            return BH_EXIT_NMI_WINDOW;
        if ((v->backend[SVM_WINDOW] & BH_RUN_WINDOW) != 0) return BH_EXIT_WINDOW;
        b->int_ctl &= ~INT_CTL_V_IRQ;
        return EXIT_RESUME;
    default: return vcpu_refused(v, BH_EXIT_UNKNOWN, code, i1, b->rip);
    }
}

/* The CPU has refused to enter. What is in the VMCB then is not the guest's: QEMU writes the host's
 * registers to it, and controls that it had not read. None of it may be seen or used. */
__attribute__((noinline)) static unsigned svm_refused(struct vcpu *v, struct vmcb *b)
{
    uint64_t code = b->exit_code, info = b->exit_info1;

    zero_bytes(b, 4096);
    svm_init(v);
    svm_flush_all(); /* TLB_CONTROL comes after the checks that failed (APM vol. 3, VMRUN) */
    v->page->inject = 0;
    return vcpu_refused(v, BH_EXIT_INVALID, code, info, ONCE(v->page->rip));
}

/* Until the IRET is done: the exit is behind it, or elsewhere. */
__attribute__((noinline)) static void svm_nmi_blocked(struct vcpu *v, struct vmcb *b)
{
    uint64_t *blocked = &v->backend[SVM_NMI_BLOCKED];

    if (*blocked >= NMI_UNTIL && *blocked != b->rip + NMI_UNTIL) *blocked = 0;
    if (*blocked != 0) v->page->shadow |= BH_SHADOW_NMI;
}

static unsigned svm_run(struct vcpu *v, uint64_t flags)
{
    struct vmcb *b = v->hw;
    struct bh_vcpu_page *page = v->page;
    struct percpu *pc = percpu();
    uint64_t code, event;
    unsigned reason;

    if (__builtin_expect(pc->last_vcpu != v || pools[pc->cpu].generation != v->asid_generation, 0))
        svm_take_cpu(v, b);
    if (__builtin_expect(((flags & ~(uint64_t)BH_RUN_RIP) | v->backend[SVM_WINDOW]) != 0, 0) &&
        (flags & RUN_AGAIN) == 0)
        svm_orders(v, b, flags);
    if ((flags & BH_RUN_RIP) != 0) {
        b->rip = ONCE(page->rip);
        if ((flags & BH_RUN_SHADOW) == 0) b->int_shadow = 0;
    }
    b->rax = ONCE(page->gpr[0]);
    if ((pc->hazard & HAZARD_VERW) != 0) cpu_verw();
    svm_enter(v->hw_phys, page, host_state[pc->cpu]);
    code = b->exit_code;
    if (__builtin_expect((uint32_t)code == ~0u, 0)) /* -1; QEMU gives 32 bits of it */
        return svm_refused(v, b);
    page->gpr[0] = b->rax;
    b->tlb_control = 0;
    b->event_inj = 0;
    page->rip = b->rip;
    page->rflags = b->rflags;
    page->shadow = (uint8_t)b->int_shadow & 1;
    if (__builtin_expect(v->backend[SVM_NMI_BLOCKED] != 0, 0)) svm_nmi_blocked(v, b);
    page->next_rip = b->next_rip; /* 0 where the CPU does not write it */
    page->inject = 0;
    reason = code < sizeof(exit_map) ? exit_map[code] : 0;
    if (reason == BH_EXIT_IO) {
        page->qual = v->qual = b->exit_info1;
        page->next_rip = v->backend[SVM_NEXT] = b->exit_info2;
    } else if (reason == BH_EXIT_RDMSR) {
        reason = BH_EXIT_RDMSR + (unsigned)(b->exit_info1 & 1);
    } else if (__builtin_expect(reason == 0 || reason == BH_EXIT_CR, 0)) {
        reason = svm_exit_rare(v, b, code);
    }
    if (__builtin_expect((b->exit_int_info & BH_EVENT_VALID) != 0, 0)) {
        event = event_again(b->exit_int_info);
        if (reason >= BH_NEXITS) b->event_inj = event;
        page->inject = event;
    }
    return reason;
}

static void svm_skip(struct vcpu *v)
{
    struct vmcb *b = v->hw;

    b->rip = v->backend[SVM_NEXT];
    b->int_shadow = 0;
}

const struct vcpu_ops svm_ops = {
    .name = "SVM/NPT",
    .probe = svm_probe,
    .cpu_enable = svm_cpu_enable,
    .init = svm_init,
    .release = svm_release,
    .leaf_flags = svm_leaf_flags,
    .table_flags = svm_table_flags,
    .run = svm_run,
    .skip = svm_skip,
    .read_state = svm_read_state,
    .write_state = svm_write_state,
    .flush_all = svm_flush_all,
};
