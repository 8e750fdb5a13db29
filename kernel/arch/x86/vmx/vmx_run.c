/*
 * Entering a guest and making out why it came back. May call: the rest of the backend, percpu.
 * The hot path is vmx_run() up to the table look-up; it takes no lock and touches only this CPU's
 * and this vCPU's data. Never follows a guest address.
 */
#include "vmx.h"
#include "../cpu.h"
#include "../guest_state.h"
#include "bulkhead/error.h"

/*
 * Exit reasons (SDM vol. 3D, appendix C): what the monitor is told, and what there is to do. 11, 19
 * to 27, 50, 53, 59, 60 are GETSEC, VMX instructions and ENCLS; 1 and 52 interrupts of the host.
 */
#define LENGTH  0x40u /* the instruction length is valid: next_rip is known */
#define SPECIAL 0x80u /* exit_special() looks at it */
#define INSN(e) (BH_EXIT_##e | LENGTH)
static const uint8_t exit_map[REASON_COUNT] = {
    [REASON_EXCEPTION] = BH_EXIT_EXCEPTION | SPECIAL,
    [1] = EXIT_HOST_IRQ,
    [2] = BH_EXIT_SHUTDOWN,
    [3] = BH_EXIT_INIT,
    [4] = BH_EXIT_INIT,
    [7] = BH_EXIT_WINDOW,
    [8] = BH_EXIT_NMI_WINDOW,
    [REASON_TASK_SWITCH] = BH_EXIT_TASK_SWITCH | SPECIAL,
    [10] = INSN(CPUID),
    [11] = INSN(UNDEFINED),
#ifndef BREAK_HLT_EXIT
    [12] = INSN(HLT),
#endif
    [13] = INSN(CACHE),
    [15] = INSN(RDPMC),
    [18] = INSN(HYPERCALL),
    [19 ... 27] = INSN(UNDEFINED),
    [REASON_CR] = INSN(CR) | SPECIAL,
    [REASON_IO] = INSN(IO) | SPECIAL,
    [REASON_RDMSR] = INSN(RDMSR) | SPECIAL,
    [REASON_WRMSR] = INSN(WRMSR) | SPECIAL,
    [36] = INSN(MWAIT),
    [39] = INSN(MWAIT),
    [REASON_EPT_VIOLATION] = BH_EXIT_MEMORY | SPECIAL,
    [50] = INSN(UNDEFINED),
    [52] = EXIT_HOST_IRQ,
    [53] = INSN(UNDEFINED),
    [54] = INSN(CACHE),
    [REASON_XSETBV] = INSN(XSETBV),
    [59] = INSN(UNDEFINED),
    [60] = INSN(UNDEFINED),
};

/*
 * Guest time is bounded by the VMX preemption timer: by the host's next timer event, because an
 * emulated CPU may miss the interrupt while the guest has interrupts off, and by a slice, so that
 * a kick of another CPU is never missed for long for the same reason. The lower bound guarantees
 * that the guest advances even when the host's event is due and does not come.
 */
#define SLICE_TSC   (1u << 21)
#define ADVANCE_TSC 1024u

static uint64_t timer_value(uint64_t armed)
{
    uint64_t now = rdtsc();
    uint64_t left = SLICE_TSC;

    if (armed > now && armed - now < SLICE_TSC)
        left = armed - now;
    else if (armed != 0 && armed <= now)
        left = ADVANCE_TSC;
    return (left >> vmx_config.timer_shift) + 1;
}

/* L1D flush against L1 terminal faults, VERW against the sampling of CPU buffers: the last things
 * before VMLAUNCH and VMRESUME. A guest is a way out of the kernel like a user. */
static void flush_before_entry(const struct percpu *p)
{
    if ((p->domain_flush & DOMAIN_L1D) != 0) wrmsr(MSR_FLUSH_CMD, 1);
    if ((p->hazard & HAZARD_VERW) != 0) cpu_verw();
}

static void set_blocking(struct vmx_save *s, uint32_t blocking)
{
    if (s->blocking != blocking) {
        vmwrite(GUEST_BLOCKING, blocking);
        s->blocking = blocking;
    }
}

/* Behind the last instruction below the canonical hole RIP is not canonical; entry lets it pass and
 * the fetch raises #GP (27.3.1.4: bits 63:48 are compared, not 63:47). */
static void set_rip(struct vmx_save *s, uint64_t rip)
{
    vmwrite(GUEST_RIP, rip);
    s->rip = rip;
    set_blocking(s, s->blocking & ~(BLOCK_STI | BLOCK_MOVSS));
    if ((s->rflags & FLAGS_TF) != 0) /* the single step that the instruction would have made */
        vmwrite(GUEST_PENDING_DB, PENDING_STEP);
}

/* STI blocking is only valid with interrupts on (SDM 27.3.1.5); a MOV SS shadow always is. */
static void set_shadow(struct vmx_save *s, uint64_t shadow)
{
    uint32_t blocking = s->blocking & (BLOCK_STI | BLOCK_MOVSS);

    if ((shadow & BH_SHADOW_STI) == 0)
        blocking = 0;
    else if (blocking == 0)
        blocking = (s->rflags & FLAGS_IF) != 0 ? BLOCK_STI : BLOCK_MOVSS;
    if ((shadow & BH_SHADOW_NMI) != 0) blocking |= BLOCK_NMI;
    set_blocking(s, blocking);
}

/* Real mode has no error codes, and entry refuses them there (SDM 27.2.1.3). */
static void inject_event(uint32_t type, uint64_t vector, uint64_t flags_and_code)
{
    if ((flags_and_code & EVENT_CODE) != 0 && (vmread(GUEST_CR0) & CR0_PE) == 0) flags_and_code = 0;
    vmwrite(ENTRY_EVENT,
            EVENT_VALID | type << 8 | (uint32_t)vector | ((uint32_t)flags_and_code & EVENT_CODE));
    if ((flags_and_code & EVENT_CODE) != 0) vmwrite(ENTRY_EVENT_CODE, flags_and_code >> 32);
}

static void inject_gp(void) { inject_event(EVENT_HARD, 13, EVENT_CODE); }

/* The monitor's event in AMD's format to VMX; false if it is none. Soft events take the length of
 * the instruction from the last exit (SDM 25.8.3). */
static bool inject(struct vmx_save *s, uint64_t event)
{
    uint64_t vector = event & 0xffu;
    uint64_t length = s->next_rip - s->rip;
    bool length_ok = s->next_rip != 0 && length >= 1 && length <= 15;
    uint32_t type;

    if ((event & BH_EVENT_VALID) == 0 || (event & 0x7ffff000u) != 0) return false;
    switch (event & BH_EVENT_TYPE_MASK) {
    case BH_EVENT_INTR: type = EVENT_INTR; break;
    case BH_EVENT_NMI:
        type = EVENT_NMI;
        vector = 2;
        set_blocking(s, s->blocking & BLOCK_NMI); /* 27.3.1.5 allows no NMI in a shadow */
        break;
    case BH_EVENT_EXCEPTION:
        if (vector > 31 || vector == 2) return false;
        type = (vector == 3 || vector == 4) && length_ok ? EVENT_SOFT : EVENT_HARD;
        break;
    case BH_EVENT_SOFT:
        if (!length_ok) return false;
        type = EVENT_SOFT_INT;
        break;
    default: return false;
    }
    if (type != EVENT_HARD && (event & BH_EVENT_CODE) != 0) return false;
    if (type == EVENT_SOFT || type == EVENT_SOFT_INT) vmwrite(ENTRY_INSN_LENGTH, length);
    inject_event(type, vector, event);
    return true;
}

/*
 * The event whose delivery the exit interrupted (SDM 28.2.4), in the monitor's format. INT n, INT3,
 * INTO and INT1 are none: RIP still points at them, and they are executed again.
 */
static uint64_t interrupted_event(struct vmx_save *s)
{
    uint64_t raw = vmread(VECTORING_EVENT);
    uint64_t event;

    if ((raw & EVENT_VALID) == 0 || EVENT_TYPE(raw) >= EVENT_SOFT_INT) return 0;
    /* The remaining types have the same numbers in both formats. */
    event = raw & (EVENT_VALID | BH_EVENT_TYPE_MASK | EVENT_CODE | 0xffu);
    if ((raw & EVENT_CODE) != 0) event |= vmread(VECTORING_EVENT_CODE) << 32;
    if (EVENT_TYPE(raw) == EVENT_NMI) /* its delivery had blocked NMIs, and is to start over */
        set_blocking(s, s->blocking & ~BLOCK_NMI);
    return event;
}

/* An exception or a page walk of an IRET that had already unblocked NMIs (SDM 28.2.3). */
static void reblock_nmi(struct vmx_save *s, uint64_t info)
{
    if ((info & EXIT_NMI_UNBLOCKED) != 0) set_blocking(s, s->blocking | BLOCK_NMI);
}

/*
 * #DB and #AC are intercepted only because a guest can make the CPU deliver them without end: they
 * go back to the guest, through the common loop. NMI and machine check are the host's.
 */
static unsigned exit_exception(struct vmx_save *s, struct bh_vcpu_page *page)
{
    uint64_t info = vmread(EXIT_EVENT);
    uint32_t vector = (uint32_t)info & 0xffu, type = EVENT_TYPE((uint32_t)info);
    uint64_t event;

    if (type == EVENT_NMI) {
        __asm__ volatile("int $2" : : : "memory"); /* its IRET unblocks NMIs again */
        return EXIT_HOST_NMI;
    }
    if (vector == 18) __asm__ volatile("int $18" : : : "memory");
    if (vector != 1 && vector != 17) {
        page->qual = vector;
        page->info = info;
        return BH_EXIT_EXCEPTION;
    }
    reblock_nmi(s, info);
    if (vector == 1) {
        /* The exit comes before DR6 and DR7.GD are updated (28.1); the injected #DB will not. */
        __asm__ volatile("mov %%dr6, %%rax; and $~15, %%rax; or %0, %%rax; mov %%rax, %%dr6"
                         :
                         : "r"(vmread(EXIT_QUALIFICATION) & 0x600fu)
                         : "rax");
        vmwrite(GUEST_DR7, vmread(GUEST_DR7) & ~(1ull << 13));
        /* In a shadow, entry wants the single step to be pending (27.3.1.5). */
        if ((s->blocking & (BLOCK_STI | BLOCK_MOVSS)) != 0 && (s->rflags & FLAGS_TF) != 0)
            vmwrite(GUEST_PENDING_DB, PENDING_STEP);
    }
    if (type == EVENT_PRIV) /* INT1: a trap, RIP is to advance */
        vmwrite(ENTRY_INSN_LENGTH, vmread(EXIT_INSN_LENGTH));
    event = (info & EVENT_CODE) != 0 ? EVENT_CODE | vmread(EXIT_EVENT_CODE) << 32 : 0;
    inject_event(type, vector, event);
    /* The loop may end with a signal or a deadline all the same. */
    if (type == EVENT_HARD) page->inject = event | BH_EVENT_VALID | BH_EVENT_EXCEPTION | vector;
    return EXIT_RESUME;
}

/* EPT violation: SDM table 28-7. */
static unsigned exit_ept_violation(struct vmx_save *s, struct bh_vcpu_page *page)
{
    uint64_t q = vmread(EXIT_QUALIFICATION);
    uint64_t info = q & (BH_MEM_READ | BH_MEM_WRITE | BH_MEM_FETCH);
    uint64_t event = interrupted_event(s);

    if ((q & 0x38u) != 0) info |= BH_MEM_PRESENT;
    if ((q & 0x180u) == 0x80u) info |= BH_MEM_WALK;
    page->inject = event;
    if (event == 0) reblock_nmi(s, q);
    page->qual = vmread(GUEST_PHYSICAL_ADDRESS);
    page->info = info;
    return BH_EXIT_MEMORY;
}

/* I/O: SDM table 28-5 and 28-10 to the layout of AMD APM vol. 2, 15.10.2. */
static unsigned exit_io(struct vcpu *v, struct bh_vcpu_page *page)
{
    uint64_t q = vmread(EXIT_QUALIFICATION);
    uint64_t io = (q & 0xffff0000u) | ((q & 7u) + 1) << 4 | (q >> 3 & BH_IO_IN);

    if ((q & 0x10u) != 0) {
        uint64_t insn = vmread(EXIT_INSN_INFO);
        io |= BH_IO_STRING | (q & 0x20u ? BH_IO_REP : 0);
        io |= (uint64_t)BH_IO_A16 << (insn >> 7 & 3u);
        io |= (insn >> 15 & 7u) << 10;
    }
    v->qual = io;
    page->qual = io;
    return BH_EXIT_IO;
}

/*
 * Control registers (SDM table 28-3). For CR0 and CR4 only writes that change an owned bit exit. If
 * the value is one the guest may have, its view of the owned bits is updated and the instruction
 * started again: now it changes none, and the CPU does all the rest, checks included. What is sure
 * to fail those is refused before: the view would stay.
 */
static unsigned exit_cr(struct vcpu *v, struct vmx_save *s)
{
    struct bh_vcpu_page *page = v->page;
    uint64_t q = vmread(EXIT_QUALIFICATION);
    unsigned number = (unsigned)q & 15u, gpr = (unsigned)(q >> 8) & 15u;
    uint64_t value = gpr == 4 ? vmread(GUEST_RSP) : ONCE(page->gpr[gpr]);
    unsigned access = (unsigned)(q >> 4) & 3u;

    if (number == 8) {
        page->qual = 8u | gpr << 8 | BH_CR_DECODED | (access == 1 ? BH_CR_READ : 0);
        return BH_EXIT_CR;
    }
    if (access == 0 && (number == 0 || number == 4)) {
        bool bad = number == 4 ? (value & ~(uint64_t)CR4_GUEST) != 0
                               : (value & (CR0_NW | CR0_CD)) == CR0_NW ||
                                     (value & (CR0_PG | CR0_PE)) == CR0_PG;

        if (bad)
            inject_gp();
        else
            vmwrite(number == 4 ? CR4_SHADOW : CR0_SHADOW, value);
        return EXIT_RESUME;
    }
    return vcpu_refused(v, BH_EXIT_UNKNOWN, REASON_CR, q, s->rip);
}

/* The syscall MSRs whose values live in the entry area. */
static unsigned exit_msr(struct vcpu *v, struct vmx_save *s, struct bh_vcpu_page *page, bool write)
{
    uint32_t msr = (uint32_t)ONCE(page->gpr[1]);
    uint64_t value = (uint32_t)ONCE(page->gpr[0]) | ONCE(page->gpr[2]) << 32;

    if (write && (msr == MSR_LSTAR || msr == MSR_CSTAR) && !canonical(value)) {
        inject_gp();
        return EXIT_RESUME;
    }
    if (write && msr == MSR_STAR) {
        s->msrs[SWAP_STAR].value = value;
    } else if (write && msr == MSR_LSTAR) {
        s->msrs[SWAP_LSTAR].value = value;
    } else if (write && msr == MSR_SFMASK) {
        s->msrs[SWAP_SFMASK].value = (uint32_t)value;
    } else if (write && msr == MSR_CSTAR) {
        s->cstar = value;
    } else if (msr == MSR_CSTAR) {
        page->gpr[0] = (uint32_t)s->cstar;
        page->gpr[2] = s->cstar >> 32;
    } else {
        return write ? BH_EXIT_WRMSR : BH_EXIT_RDMSR;
    }
    vmx_skip(v);
    return EXIT_RESUME;
}

static unsigned exit_special(struct vcpu *v, struct vmx_save *s, uint32_t reason)
{
    struct bh_vcpu_page *page = v->page;

    switch (reason) {
    case REASON_IO: return exit_io(v, page);
    case REASON_EPT_VIOLATION: return exit_ept_violation(s, page);
    case REASON_RDMSR:
    case REASON_WRMSR: return exit_msr(v, s, page, reason == REASON_WRMSR);
    case REASON_CR: return exit_cr(v, s);
    case REASON_EXCEPTION: return exit_exception(s, page);
    case REASON_TASK_SWITCH:
        page->inject = interrupted_event(s);
        page->qual = vmread(EXIT_QUALIFICATION);
        return BH_EXIT_TASK_SWITCH;
    default: panic("VMX exit reason %u is special but has no handler", reason);
    }
}

static void set_windows(struct vmx_save *s, uint64_t flags)
{
    uint32_t controls = vmx_config.cpu | ((flags & BH_RUN_WINDOW) != 0 ? CPU_INTERRUPT_WINDOW : 0) |
                        ((flags & BH_RUN_NMI_WINDOW) != 0 ? CPU_NMI_WINDOW : 0);

    if (s->controls != controls) {
        vmwrite(PRIMARY_CONTROLS, controls);
        s->controls = controls;
    }
}

/* What the monitor asked for; false if its event is none. */
static bool take_requests(struct vcpu *v, struct vmx_save *s, uint64_t flags)
{
    const struct bh_vcpu_page *page = v->page;

    if ((flags & BH_RUN_INJECT) != 0 && !inject(s, ONCE(page->inject))) return false;
    if ((flags & BH_RUN_RIP) != 0) set_rip(s, ONCE(page->rip));
    if ((flags & BH_RUN_SHADOW) != 0) set_shadow(s, ONCE(page->shadow));
    return true;
}

/** vcpu_ops.run. */
unsigned vmx_run(struct vcpu *v, uint64_t flags)
{
    const struct percpu *p = percpu();
    struct vmx_cpu *c = &vmx_cpus[p->cpu];
    struct vmx_save *s = vmx_save(v);
    struct bh_vcpu_page *page = v->page;
    uint8_t row;
    uint32_t reason;

    if (c->ready != v) vmx_prepare(v, c);
    if (v->backend[B_HOST_CR3] != p->cr3) {
        vmwrite(HOST_CR3, p->cr3);
        v->backend[B_HOST_CR3] = p->cr3;
    }
    if ((flags & (BH_RUN_RIP | BH_RUN_INJECT | BH_RUN_SHADOW)) != 0 && !take_requests(v, s, flags))
        return vcpu_refused(v, BH_EXIT_INVALID, REASON_ENTRY_FAILED | REASON_BAD_STATE, 0, s->rip);
    if ((flags & RUN_AGAIN) == 0) set_windows(s, flags);
    vmwrite(PREEMPTION_TIMER, timer_value(p->armed));
    if (read_cr2() != s->cr2) write_cr2(s->cr2);
    flush_before_entry(p);

    if (vmx_enter(page->gpr, v->launched, &v->host_rsp_slot) != 0)
        return vcpu_refused(v, BH_EXIT_INVALID, 1ull << 32 | vmread(INSN_ERROR), 0, s->rip);

    s->cr2 = read_cr2();
    reason = (uint32_t)vmread(EXIT_REASON);
    page->rip = s->rip = vmread(GUEST_RIP);
    page->rflags = s->rflags = vmread(GUEST_RFLAGS);
    s->blocking = (uint32_t)vmread(GUEST_BLOCKING);
    page->shadow = ((s->blocking & (BLOCK_STI | BLOCK_MOVSS)) != 0 ? BH_SHADOW_STI : 0) |
                   ((s->blocking & BLOCK_NMI) != 0 ? BH_SHADOW_NMI : 0);
    page->inject = 0;
    s->next_rip = 0;
    row = reason < REASON_COUNT ? exit_map[reason] : 0;
    if (row == 0) {
        page->next_rip = 0;
        return vcpu_refused(v,
                            (reason & REASON_ENTRY_FAILED) != 0 ? BH_EXIT_INVALID : BH_EXIT_UNKNOWN,
                            reason, vmread(EXIT_QUALIFICATION), s->rip);
    }
    v->launched = 1;
    if ((row & LENGTH) != 0) s->next_rip = s->rip + vmread(EXIT_INSN_LENGTH);
    page->next_rip = s->next_rip;
    return (row & SPECIAL) != 0 ? exit_special(v, s, reason) : row & ~LENGTH;
}

/** vcpu_ops.skip. */
void vmx_skip(struct vcpu *v)
{
    struct vmx_save *s = vmx_save(v);

    vmx_make_current(v, vmx_this_cpu());
    set_rip(s, s->next_rip);
}
