/*
 * VMX: what the CPU must offer, control values, switching it on, the life of a VMCS, VPIDs.
 * May call: asm.h, klog, percpu. Never touches capabilities, threads or page tables.
 */
#include "vmx.h"
#include "../mem.h"

struct vmx_config vmx_config;
struct vmx_cpu vmx_cpus[BH_MAX_CPUS];
uint8_t vmx_rsb_fill;
uint8_t vmx_msr_bitmap[4096] __attribute__((aligned(4096), section(".bss.page")));

static const uint32_t swapped[SWAP_COUNT] = {MSR_STAR, MSR_LSTAR, MSR_SFMASK, MSR_KERNEL_GS_BASE};

/* The MSRs that a guest reaches without an exit. What is not here exits to the monitor's table. */
static const uint32_t passed[] = {MSR_FS_BASE,     MSR_GS_BASE,      MSR_KERNEL_GS_BASE,
                                  MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP};
static const uint32_t passed_read[] = {MSR_STAR, MSR_LSTAR, MSR_SFMASK};

/* Layout: SDM 25.6.9; a set bit exits. Reads at 0, writes at 2048. */
static void msr_pass(uint32_t msr, uint32_t at)
{
    uint32_t n = msr & 0x1fffu;

    vmx_msr_bitmap[at + (msr >= 0xc0000000u ? 1024 : 0) + n / 8] &= (uint8_t) ~(1u << (n % 8));
}

static void build_msr_bitmap(void)
{
    for (unsigned i = 0; i < sizeof(vmx_msr_bitmap); i++) vmx_msr_bitmap[i] = 0xff;
    for (unsigned i = 0; i < sizeof(passed) / 4; i++) {
        msr_pass(passed[i], 0);
        msr_pass(passed[i], 2048);
    }
    for (unsigned i = 0; i < sizeof(passed_read) / 4; i++) msr_pass(passed_read[i], 0);
}

/** A control word: what is required and allowed, with what the CPU insists on (SDM A.3 to A.5). */
static bool adjust(uint64_t cap, uint32_t required, uint32_t optional, uint32_t *value)
{
    uint32_t must = (uint32_t)cap, may = (uint32_t)(cap >> 32);

    *value = ((required | optional) & may) | must;
    return (required & ~may) == 0;
}

/** Fill in a configuration from this CPU's capability MSRs; else tell what is missing. */
static const char *compute(struct vmx_config *c)
{
    uint32_t truth;
    uint64_t ept;

    c->basic = rdmsr(MSR_VMX_BASIC);
    truth = (c->basic & VMX_BASIC_TRUE) != 0 ? 12 : 0;
    if (!adjust(rdmsr(MSR_VMX_PIN + truth),
                PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI | PIN_PREEMPTION_TIMER, 0,
                &c->pin))
        return "this CPU's VT-x has no virtual NMIs or no preemption timer";
    if (!adjust(rdmsr(MSR_VMX_CPU + truth),
                CPU_TSC_OFFSET | CPU_HLT | CPU_MWAIT | CPU_RDPMC | CPU_CR8_LOAD | CPU_CR8_STORE |
                    CPU_IO | CPU_MSR_BITMAP | CPU_MONITOR | CPU_SECONDARY,
                0, &c->cpu))
        return "this CPU's VT-x has no MSR bitmaps or no secondary controls";
    if ((c->cpu & (CPU_CR3_LOAD | CPU_CR3_STORE | CPU_INVLPG)) != 0)
        return "this CPU's VT-x cannot run a guest without exits on CR3";
    /* RDTSCP, INVPCID, XSAVES stay off: CPUID does not offer them, so they raise #UD. */
    if (!adjust(rdmsr(MSR_VMX_CPU2), CPU2_EPT | CPU2_VPID | CPU2_UNRESTRICTED,
                CPU2_WBINVD | CPU2_ENCLS, &c->cpu2))
        return "this CPU's VT-x lacks EPT, VPID or unrestricted guests";
    if (!adjust(rdmsr(MSR_VMX_EXIT + truth),
                EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER |
                    EXIT_LOAD_EFER,
                0, &c->exit) ||
        !adjust(rdmsr(MSR_VMX_ENTRY + truth), ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER,
                0, &c->entry))
        return "this CPU's VT-x cannot switch EFER or PAT";
    ept = rdmsr(MSR_VMX_EPT_VPID);
    if ((ept & EPT_CAP_WALK4) == 0 || (ept & EPT_CAP_WB) == 0 || (ept & EPT_CAP_2M) == 0)
        return "this CPU's EPT has no four-level write-back tables with 2 MiB pages";
    if ((ept & EPT_CAP_INVEPT_ALL) != EPT_CAP_INVEPT_ALL ||
        (ept & EPT_CAP_INVVPID_ALL) != EPT_CAP_INVVPID_ALL)
        return "this CPU cannot flush all EPT or VPID translations";
    if ((c->basic & VMX_BASIC_INS_OUTS) == 0) return "this CPU's VT-x does not describe string I/O";
    c->cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0);
    c->cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1);
    c->timer_shift = (uint32_t)rdmsr(MSR_VMX_MISC) & 31u;
    c->phys_bits = cpuid(0x80000008u, 0).a & 0xffu;
    return NULL;
}

/** vcpu_ops.probe. */
const char *vmx_probe(void)
{
    struct vmx_config c = {0};
    uint64_t control;

    if ((cpuid(1, 0).c & (1u << 5)) == 0) return "this CPU has no VT-x";
    control = rdmsr(MSR_FEATURE_CONTROL);
    if ((control & 5u) == 1u) return "VT-x is switched off by the firmware";
    return compute(&c);
}

/** vcpu_ops.cpu_enable. The first caller is alone. */
bool vmx_cpu_enable(void)
{
    struct percpu *p = percpu();
    struct vmx_cpu *cpu = vmx_this_cpu();
    struct vmx_config c = {0};
    uint32_t modes = cpuid(7, 2).d;
    uint64_t cap = (cpuid(7, 0).d & (1u << 29)) != 0 ? rdmsr(MSR_ARCH_CAP) : 0;
    bool bad;

    if (vmx_probe() != NULL || compute(&c) != NULL) return false;
    if (vmx_config.basic == 0) {
        build_msr_bitmap();
        vmx_config = c;
    }
    /* With enhanced IBRS (1) on, and PBRSB_NO (24), the CPU keeps a guest's predictions away. Where
     * it has them: RETs take no other predictor's word (RRSBA_DIS_S), nor the branch history's
     * (BHI_DIS_S). A guest runs with the same value. SDM vol. 4, MSR 48H. */
    if ((cap & 2u) != 0) wrmsr(MSR_SPEC_CTRL, 1u | (modes & 4u) << 4 | (modes & 16u) << 6);
    if ((~cap & 0x1000002u) != 0) vmx_rsb_fill = 1;
    if (c.basic != vmx_config.basic || c.pin != vmx_config.pin || c.cpu != vmx_config.cpu ||
        c.cpu2 != vmx_config.cpu2 || c.exit != vmx_config.exit || c.entry != vmx_config.entry)
        return false; /* the CPUs differ: a VMCS could not move */
    if ((rdmsr(MSR_FEATURE_CONTROL) & 1u) == 0)
        wrmsr(MSR_FEATURE_CONTROL, rdmsr(MSR_FEATURE_CONTROL) | 5u);
    write_cr4(read_cr4() | CR4_VMXE);
    *(uint32_t *)p->vmxon_page = (uint32_t)c.basic & 0x7fffffffu;
    __asm__ volatile("vmxon %1" : "=@ccbe"(bad) : "m"(p->vmxon_phys) : "memory");
    if (bad) return false;
    cpu->generation = 1;
    cpu->next_vpid = 1;
    vmx_flush_all();
    return true;
}

/** vcpu_ops.flush_all. All contexts of both kinds: SDM 29.4.3.1. */
void vmx_flush_all(void)
{
    static const uint64_t all[2] = {0, 0};
    bool bad_ept, bad_vpid;

    __asm__ volatile("invept %1, %2" : "=@ccbe"(bad_ept) : "m"(all), "r"(2ul) : "memory");
    __asm__ volatile("invvpid %1, %2" : "=@ccbe"(bad_vpid) : "m"(all), "r"(2ul) : "memory");
    invariant(!bad_ept && !bad_vpid, "INVEPT or INVVPID failed");
}

/* Host state is that of the CPU and of the backend; it is the same for every vCPU but for CR3. */
static void write_host_state(struct vcpu *v, struct vmx_cpu *c)
{
    const struct percpu *p = percpu();

    for (unsigned i = 0; i < SWAP_COUNT; i++) {
        c->host_msrs[i].index = swapped[i];
        c->host_msrs[i].value = rdmsr(swapped[i]);
    }
    vmwrite(EXIT_MSR_LOAD_ADDR, image_phys(c->host_msrs));
    vmwrite(HOST_CR0, read_cr0());
    vmwrite(HOST_CR4, read_cr4());
    vmwrite(HOST_EFER, rdmsr(MSR_EFER));
    vmwrite(HOST_PAT, rdmsr(MSR_PAT));
    vmwrite(HOST_FS_BASE, rdmsr(MSR_FS_BASE));
    vmwrite(HOST_GS_BASE, (uint64_t)(uintptr_t)p);
    vmwrite(HOST_TR_BASE, p->tss_base);
    vmwrite(HOST_GDTR_BASE, p->gdt_base);
    vmwrite(HOST_IDTR_BASE, p->idt_base);
    v->host_rsp_slot = 0;
    v->backend[B_HOST_CR3] = 0;
}

/** DR0-3 and DR6 in the registers to the vcpu.backend[] of the vCPU whose they are. */
void vmx_save_debug_registers(struct vmx_cpu *c)
{
    uint64_t *dr;

    if (c->dr_owner == NULL) return;
    dr = &c->dr_owner->backend[B_DR];
    __asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3; mov %%dr6, %4"
                     : "=r"(dr[0]), "=r"(dr[1]), "=r"(dr[2]), "=r"(dr[3]), "=r"(dr[4]));
    c->dr_owner = NULL;
    c->ready = NULL;
}

/* DR0-3 and DR6 of this vCPU into the registers. The host has no breakpoints: DR7 is 0x400. */
static void load_debug_registers(struct vcpu *v, struct vmx_cpu *c)
{
    const uint64_t *dr = &v->backend[B_DR];

    if (c->dr_owner == v) return;
    vmx_save_debug_registers(c);
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3; mov %4, %%dr6"
                     :
                     : "r"(dr[0]), "r"(dr[1]), "r"(dr[2]), "r"(dr[3]), "r"(dr[4]));
    c->dr_owner = v;
}

/**
 * Make the vCPU's VMCS current and give it what it lacks on this CPU: host state after VMCLEAR, a
 * VPID, its debug registers. A VPID is new, so nothing cached under it needs a flush; when they run
 * out, all are flushed and every vCPU takes a new one when it is prepared next.
 */
void vmx_prepare(struct vcpu *v, struct vmx_cpu *c)
{
    vmx_make_current(v, c);
    if (v->launched == 0) write_host_state(v, c);
    if (v->asid_generation != c->generation) {
        if (c->next_vpid > 0xffffu) {
            vmx_flush_all();
            c->generation++;
            c->next_vpid = 1;
        }
        v->asid = c->next_vpid++;
        v->asid_generation = c->generation;
        vmwrite(VMCS_VPID, v->asid);
        vmwrite(EPT_POINTER, ept_pointer(v->nested_root));
    }
    load_debug_registers(v, c);
    c->ready = v;
}

/** vcpu_ops.release. */
void vmx_release(struct vcpu *v)
{
    struct vmx_cpu *c = vmx_this_cpu();

    vmx_save_debug_registers(c);
    vmclear(v->hw_phys);
    if (c->current == v) c->current = c->ready = NULL;
    v->launched = 0;
    v->asid_generation = 0;
}

/** The state after reset but for what is zero: SDM vol. 3A, table 10-1. */
static const struct bh_vcpu_state reset_state = {
    .seg = {[BH_ES] = {0, 0x93, 0xffff, 0},
            [BH_CS] = {0xf000, 0x9b, 0xffff, 0xffff0000},
            [BH_SS... BH_GS] = {0, 0x93, 0xffff, 0},
            [BH_LDTR] = {0, 0x82, 0xffff, 0},
            [BH_TR] = {0, 0x8b, 0xffff, 0},
            [BH_GDTR... BH_IDTR] = {0, 0, 0xffff, 0}},
    .cr0 = CR0_CD | CR0_NW | CR0_ET,
    .dr6 = 0xffff0ff0,
    .dr7 = 0x400,
    .pat = 0x0007040600070406};

/* VMCLEAR leaves the fields undefined (SDM 25.11.3), so that all must be written; these are zero.
 */
static const uint16_t zero_fields[] = {
    PF_ERROR_MASK,     PF_ERROR_MATCH,    CR3_TARGET_COUNT,  ENTRY_EVENT,      ENTRY_EVENT_CODE,
    ENTRY_INSN_LENGTH, HOST_ES_SELECTOR,  HOST_DS_SELECTOR,  HOST_FS_SELECTOR, HOST_GS_SELECTOR,
    HOST_SYSENTER_CS,  HOST_SYSENTER_ESP, HOST_SYSENTER_EIP, GUEST_DEBUGCTL,   GUEST_ACTIVITY,
    GUEST_BLOCKING,    GUEST_PENDING_DB,  GUEST_RSP};

/** vcpu_ops.init. */
void vmx_init(struct vcpu *v)
{
    const struct vmx_config *k = &vmx_config;
    struct vmx_save *s = vmx_save(v);
    /* The object is one physical extent: the XSAVE page follows the VMCS page. */
    uint64_t msrs = v->hw_phys + 4096 + SAVE_OFFSET + offsetof(struct vmx_save, msrs);

    if (s->msrs[SWAP_STAR].index != 0)
        return; /* bound again: it goes on where it stopped, with what vmx_prepare() renews */
    vmx_release(v);
    *(uint32_t *)v->hw = (uint32_t)k->basic & 0x7fffffffu;
    vmx_make_current(v, vmx_this_cpu());
    *s = (struct vmx_save){.controls = k->cpu, .rip = 0xfff0, .rflags = 2};
    for (unsigned i = 0; i < SWAP_COUNT; i++) s->msrs[i].index = swapped[i];
    for (unsigned i = 0; i < sizeof(zero_fields) / sizeof(zero_fields[0]); i++)
        vmwrite(zero_fields[i], 0);
    vmwrite(PIN_CONTROLS, k->pin);
    vmwrite(PRIMARY_CONTROLS, k->cpu);
    vmwrite(SECONDARY_CONTROLS, k->cpu2);
    vmwrite(EXIT_CONTROLS, k->exit);
    vmwrite(EXCEPTION_BITMAP, 1u << 1 | 1u << 17 | 1u << 18); /* #DB, #AC loops; #MC: the host's */
    if ((k->cpu2 & CPU2_ENCLS) != 0) vmwrite(ENCLS_EXIT_BITMAP, ~0ull);
    vmwrite(MSR_BITMAP, image_phys(vmx_msr_bitmap));
    vmwrite(ENTRY_MSR_LOAD_ADDR, msrs);
    vmwrite(EXIT_MSR_STORE_ADDR, msrs + SWAP_KERNEL_GS * sizeof(struct msr_entry));
    vmwrite(ENTRY_MSR_LOAD_COUNT, SWAP_COUNT);
    vmwrite(EXIT_MSR_STORE_COUNT, 1);
    vmwrite(EXIT_MSR_LOAD_COUNT, SWAP_COUNT);
    vmwrite(VMCS_LINK_POINTER, ~0ull);
    vmwrite(HOST_CS_SELECTOR, SEL_KCODE);
    vmwrite(HOST_SS_SELECTOR, SEL_KDATA);
    vmwrite(HOST_TR_SELECTOR, SEL_TSS);
    vmwrite(GUEST_RIP, s->rip);
    vmwrite(GUEST_RFLAGS, s->rflags);
    vmwrite(HOST_RIP, (uint64_t)(uintptr_t)vmx_exit_point);
    vmwrite(CR0_MASK, CR0_OWNED);
    vmwrite(CR4_MASK, CR4_OWNED);
    vmx_load_state(v, &reset_state, BH_STATE_ALL);
    for (unsigned i = 0; i < 16; i++) v->page->gpr[i] = 0;
    v->page->gpr[2] = cpuid(1, 0).a; /* EDX: the processor's signature */
}

const struct vcpu_ops vmx_ops = {
    .name = "VMX",
    .probe = vmx_probe,
    .cpu_enable = vmx_cpu_enable,
    .init = vmx_init,
    .release = vmx_release,
    .leaf_flags = ept_leaf_flags,
    .table_flags = ept_table_flags,
    .run = vmx_run,
    .skip = vmx_skip,
    .read_state = vmx_read_state,
    .write_state = vmx_write_state,
    .flush_all = vmx_flush_all,
};
