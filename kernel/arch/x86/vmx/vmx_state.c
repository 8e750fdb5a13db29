/*
 * The guest's state between the VMCS and the shared page. write_state() checks what an entry would
 * fail on where that is cheap; the CPU checks the rest at VM entry, which then fails for that
 * VM alone. May call: the rest of the backend. Never touches the guest's memory.
 */
#include "vmx.h"
#include "../guest_state.h"
#include "bulkhead/error.h"
#include "object/vcpu.h"

#define FLAGS_FIXED     0x2u
#define FLAGS_ALLOWED   0x3f7fd7u
#define EFER_ALLOWED    (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define ATTR_UNUSABLE   0x1000u
#define RIGHTS_UNUSABLE 0x10000u
#define ATTR_P          0x80u

/* Fields of segment @i of enum bh_seg: the VMCS has them in the same order. */
#define SEG_FIELD(first, i) ((first) + 2u * (i))

static void read_segment(struct bh_segment *seg, unsigned i)
{
    uint32_t rights;

    seg->base = vmread(SEG_FIELD(GUEST_ES_BASE, i));
    seg->limit = (uint32_t)vmread(SEG_FIELD(GUEST_ES_LIMIT, i));
    if (i >= BH_GDTR) return;
    seg->selector = (uint16_t)vmread(SEG_FIELD(GUEST_ES_SELECTOR, i));
    rights = (uint32_t)vmread(SEG_FIELD(GUEST_ES_RIGHTS, i));
    if ((rights & RIGHTS_UNUSABLE) != 0)
        seg->attr = (uint16_t)(ATTR_UNUSABLE | (rights & 0x60u)); /* SS.DPL stays the CPL */
    else
        seg->attr = (uint16_t)((rights & 0xffu) | (rights >> 4 & 0xf00u));
}

static void load_segment(const struct bh_segment *seg, unsigned i)
{
    uint32_t rights = (seg->attr & 0xffu) | (seg->attr & 0xf00u) << 4;

    vmwrite(SEG_FIELD(GUEST_ES_BASE, i), seg->base);
    vmwrite(SEG_FIELD(GUEST_ES_LIMIT, i), seg->limit);
    if (i >= BH_GDTR) return;
    if ((seg->attr & ATTR_UNUSABLE) != 0 || (seg->attr & ATTR_P) == 0) rights |= RIGHTS_UNUSABLE;
    vmwrite(SEG_FIELD(GUEST_ES_SELECTOR, i), seg->selector);
    vmwrite(SEG_FIELD(GUEST_ES_RIGHTS, i), rights);
}

/* SDM 27.3.1.2. */
static bool segment_ok(const struct bh_segment *seg, unsigned i)
{
    if (i >= BH_GDTR) return canonical(seg->base) && seg->limit <= 0xffffu;
    if ((seg->attr & 0xe000u) != 0 || !canonical(seg->base)) return false;
    if (i <= BH_DS && seg->base >> 32 != 0) return false;
    return i != BH_TR ||
           ((seg->attr & (ATTR_UNUSABLE | ATTR_P)) == ATTR_P && (seg->attr & 2u) != 0);
}

static uint64_t guest_cr0(void)
{
    return (vmread(GUEST_CR0) & ~(uint64_t)CR0_OWNED) | (vmread(CR0_SHADOW) & CR0_OWNED);
}

static uint64_t guest_cr4(void)
{
    return (vmread(GUEST_CR4) & ~CR4_OWNED) | (vmread(CR4_SHADOW) & CR4_OWNED);
}

/* What fetching and decoding an instruction needs. */
static void read_decode(struct bh_vcpu_page *page)
{
    struct bh_vcpu_state *s = &page->state;

    s->cr0 = guest_cr0();
    s->cr3 = vmread(GUEST_CR3);
    s->cr4 = guest_cr4();
    s->efer = vmread(GUEST_EFER);
    page->gpr[4] = vmread(GUEST_RSP);
    read_segment(&s->seg[BH_CS], BH_CS);
    read_segment(&s->seg[BH_SS], BH_SS);
}

/** vcpu_ops.read_state. */
void vmx_read_state(struct vcpu *v, uint64_t groups)
{
    const struct vmx_save *save = vmx_save(v);
    struct vmx_cpu *c = vmx_this_cpu();
    struct bh_vcpu_state *s = &v->page->state;

    vmx_make_current(v, c);
    if (groups == STATE_DECODE) {
        read_decode(v->page);
        return;
    }
    if ((groups & BH_STATE_SEG) != 0) {
        for (unsigned i = 0; i < BH_NSEGS; i++) read_segment(&s->seg[i], i);
    }
    if ((groups & BH_STATE_CR) != 0) {
        s->cr0 = guest_cr0();
        s->cr2 = save->cr2;
        s->cr3 = vmread(GUEST_CR3);
        s->cr4 = guest_cr4();
        s->efer = vmread(GUEST_EFER);
        s->xcr0 = v->guest_xcr0;
    }
    if ((groups & BH_STATE_MSR) != 0) {
        s->star = save->msrs[SWAP_STAR].value;
        s->lstar = save->msrs[SWAP_LSTAR].value;
        s->cstar = save->cstar;
        s->sfmask = save->msrs[SWAP_SFMASK].value;
        s->kernel_gs_base = save->msrs[SWAP_KERNEL_GS].value;
        s->sysenter_cs = vmread(GUEST_SYSENTER_CS);
        s->sysenter_esp = vmread(GUEST_SYSENTER_ESP);
        s->sysenter_eip = vmread(GUEST_SYSENTER_EIP);
        s->pat = vmread(GUEST_PAT);
    }
    if ((groups & BH_STATE_DR) != 0) {
        vmx_save_debug_registers(c);
        for (unsigned i = 0; i < 4; i++) s->dr[i] = v->backend[B_DR + i];
        s->dr6 = v->backend[B_DR6];
        s->dr7 = vmread(GUEST_DR7);
    }
    if ((groups & BH_STATE_TSC) != 0) s->tsc_offset = vmread(TSC_OFFSET);
    if ((groups & BH_STATE_RSP) != 0) v->page->gpr[4] = vmread(GUEST_RSP);
    if ((groups & BH_STATE_FLAGS) != 0) v->page->rflags = save->rflags;
}

/* SDM 27.3.1.1, less what the CPU finds itself. */
static bool control_ok(const struct bh_vcpu_state *s)
{
    bool paging = (s->cr0 & CR0_PG) != 0;

    if ((s->cr0 & ~(uint64_t)CR0_KNOWN) != 0 || (paging && (s->cr0 & CR0_PE) == 0) ||
        (s->cr0 & (CR0_NW | CR0_CD)) == CR0_NW || !xcr0_ok(s->xcr0))
        return false;
    if ((s->cr4 & ~(uint64_t)CR4_GUEST) != 0 || (s->cr4 & ~vmx_config.cr4_fixed1) != 0 ||
        (s->efer & ~(uint64_t)EFER_ALLOWED) != 0 || s->cr3 >> vmx_config.phys_bits != 0)
        return false;
    if (!paging || (s->cr4 & CR4_PAE) == 0) return !paging || (s->efer & EFER_LME) == 0;
    /* 32-bit PAE: the CPU has loaded the four directory entries from memory, which the kernel
     * cannot do; so such a guest keeps the CR3 it has. */
    return (s->efer & EFER_LME) != 0 || s->cr3 == vmread(GUEST_CR3);
}

static bool state_ok(const struct bh_vcpu_state *s, uint64_t groups)
{
    if ((groups & BH_STATE_SEG) != 0) {
        for (unsigned i = 0; i < BH_NSEGS; i++) {
            if (!segment_ok(&s->seg[i], i)) return false;
        }
    }
    if ((groups & BH_STATE_CR) != 0 && !control_ok(s)) return false;
    if ((groups & BH_STATE_MSR) != 0 && !msrs_ok(s)) return false;
    return (groups & BH_STATE_DR) == 0 || (s->dr6 >> 32 == 0 && s->dr7 >> 32 == 0);
}

static void load_control(struct vcpu *v, const struct bh_vcpu_state *s)
{
    uint64_t efer = s->efer & ~(uint64_t)EFER_LMA;
    bool long_mode = (efer & EFER_LME) != 0 && (s->cr0 & CR0_PG) != 0;

    vmwrite(GUEST_CR0, (s->cr0 & ~(uint64_t)CR0_OWNED) | CR0_NE | CR0_ET);
    vmwrite(CR0_SHADOW, s->cr0);
    vmwrite(GUEST_CR3, s->cr3);
    vmwrite(GUEST_CR4, s->cr4 | vmx_config.cr4_fixed0 | CR4_MCE);
    vmwrite(CR4_SHADOW, s->cr4);
    vmwrite(GUEST_EFER, efer | (long_mode ? EFER_LMA : 0));
    vmwrite(ENTRY_CONTROLS, vmx_config.entry | (long_mode ? ENTRY_IA32E : 0));
    vmx_save(v)->cr2 = s->cr2;
    /* The guest would have flushed its TLB by writing these itself: a new VPID does the same. */
    v->asid_generation = 0;
    vmx_this_cpu()->ready = NULL;
}

/* The VMCS is current. */
void vmx_load_state(struct vcpu *v, const struct bh_vcpu_state *s, uint64_t groups)
{
    struct vmx_save *save = vmx_save(v);
    struct vmx_cpu *c = vmx_this_cpu();

    if ((groups & BH_STATE_SEG) != 0) {
        for (unsigned i = 0; i < BH_NSEGS; i++) load_segment(&s->seg[i], i);
    }
    if ((groups & BH_STATE_CR) != 0) load_control(v, s);
    if ((groups & BH_STATE_MSR) != 0) {
        save->msrs[SWAP_STAR].value = s->star;
        save->msrs[SWAP_LSTAR].value = s->lstar;
        save->cstar = s->cstar;
        save->msrs[SWAP_SFMASK].value = s->sfmask;
        save->msrs[SWAP_KERNEL_GS].value = s->kernel_gs_base;
        vmwrite(GUEST_SYSENTER_CS, s->sysenter_cs);
        vmwrite(GUEST_SYSENTER_ESP, s->sysenter_esp);
        vmwrite(GUEST_SYSENTER_EIP, s->sysenter_eip);
        vmwrite(GUEST_PAT, s->pat);
    }
    if ((groups & BH_STATE_DR) != 0) {
        vmx_save_debug_registers(c); /* and so they are loaded again at the next run */
        for (unsigned i = 0; i < 4; i++) v->backend[B_DR + i] = s->dr[i];
        v->backend[B_DR6] = s->dr6;
        vmwrite(GUEST_DR7, s->dr7);
    }
    if ((groups & BH_STATE_TSC) != 0) vmwrite(TSC_OFFSET, s->tsc_offset);
}

/** vcpu_ops.write_state. */
uint32_t vmx_write_state(struct vcpu *v, uint64_t groups)
{
    struct vmx_save *save = vmx_save(v);
    const struct bh_vcpu_page *page = v->page;

    vmx_make_current(v, vmx_this_cpu());
    if ((groups & (BH_STATE_SEG | BH_STATE_CR | BH_STATE_MSR | BH_STATE_DR | BH_STATE_TSC)) != 0) {
        struct bh_vcpu_state s;

        /* The monitor's other threads may change the page at any time: check and use one copy. */
        for (unsigned i = 0; i < sizeof(s) / 8; i++)
            ((uint64_t *)&s)[i] = ONCE(((const uint64_t *)&page->state)[i]);
        if (!state_ok(&s, groups)) return BH_ERR_RANGE;
        vmx_load_state(v, &s, groups);
        if ((groups & BH_STATE_CR) != 0 && s.xcr0 != v->guest_xcr0) {
            if (percpu()->fpu_owner == v)
                vcpu_fpu_save(); /* in the old one; loaded with the new one */
            v->guest_xcr0 = s.xcr0;
        }
    }
    if ((groups & BH_STATE_RSP) != 0) vmwrite(GUEST_RSP, ONCE(page->gpr[4]));
    if ((groups & BH_STATE_FLAGS) != 0) {
        save->rflags = (ONCE(page->rflags) & FLAGS_ALLOWED) | FLAGS_FIXED;
        vmwrite(GUEST_RFLAGS, save->rflags);
    }
    return BH_OK;
}
