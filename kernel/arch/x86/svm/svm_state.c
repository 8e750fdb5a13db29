/*
 * Guest state between VMCB and page. Words from the page are read once into a local, checked, then
 * stored: VMRUN's consistency checks (AMD APM vol. 2, 15.5.1) must not be the first to look.
 */
#include "svm.h"
#include "../asm.h"
#include "../guest_state.h"
#include "../percpu.h"
#include "bulkhead/error.h"
#include "object/vcpu.h"

void svm_debug_save(struct vcpu *v)
{
    __asm__ volatile("mov %%dr0, %0" : "=r"(v->backend[SVM_DR0]));
    __asm__ volatile("mov %%dr1, %0" : "=r"(v->backend[SVM_DR0 + 1]));
    __asm__ volatile("mov %%dr2, %0" : "=r"(v->backend[SVM_DR0 + 2]));
    __asm__ volatile("mov %%dr3, %0" : "=r"(v->backend[SVM_DR0 + 3]));
}

void svm_debug_load(struct vcpu *v)
{
    __asm__ volatile("mov %0, %%dr0" : : "r"(v->backend[SVM_DR0]));
    __asm__ volatile("mov %0, %%dr1" : : "r"(v->backend[SVM_DR0 + 1]));
    __asm__ volatile("mov %0, %%dr2" : : "r"(v->backend[SVM_DR0 + 2]));
    __asm__ volatile("mov %0, %%dr3" : : "r"(v->backend[SVM_DR0 + 3]));
}

/* The same layout on both sides (AMD's), but for a bit that says "unusable". */
static inline void seg_read(struct bh_segment *to, const struct vmcb_seg *from, uint16_t attr)
{
    to->selector = from->selector;
    to->attr = (attr & 0x80) != 0 ? attr : attr | 0x1000;
    to->limit = from->limit;
    to->base = from->base;
}

/* With the privilege level in it. */
static inline uint16_t ss_attr(const struct vmcb *b)
{
    return (uint16_t)((b->ss.attr & 0xf9fu) | (b->cpl & 3u) << 5);
}

/* What fetching and decoding an instruction needs. */
static inline void read_decode(struct bh_vcpu_page *page, const struct vmcb *b)
{
    struct bh_vcpu_state *s = &page->state;

    s->cr0 = b->cr0;
    s->cr3 = b->cr3;
    s->cr4 = b->cr4;
    s->efer = b->efer & ~(uint64_t)EFER_SVME;
    page->gpr[4] = b->rsp;
    seg_read(&s->seg[BH_CS], &b->cs, b->cs.attr & 0xfff);
    seg_read(&s->seg[BH_SS], &b->ss, ss_attr(b));
}

static void seg_write(struct vmcb_seg *to, const struct bh_segment *from)
{
    to->selector = from->selector;
    to->attr = (from->attr & 0x1000) != 0 ? 0 : from->attr & 0xfff;
    to->limit = from->limit;
    to->base = from->base;
}

static struct vmcb_seg *seg_of(struct vmcb *b, unsigned i)
{
    struct vmcb_seg *const segs[BH_NSEGS] = {&b->es, &b->cs,   &b->ss, &b->ds,   &b->fs,
                                             &b->gs, &b->ldtr, &b->tr, &b->gdtr, &b->idtr};

    return segs[i];
}

void svm_read_state(struct vcpu *v, uint64_t groups)
{
    struct vmcb *b = v->hw;
    struct bh_vcpu_state *s = &v->page->state;

    if (groups == STATE_DECODE) {
        read_decode(v->page, b);
        return;
    }
    if ((groups & BH_STATE_SEG) != 0) {
        for (unsigned i = 0; i < BH_NSEGS; i++)
            seg_read(&s->seg[i], seg_of(b, i),
                     i == BH_SS ? ss_attr(b) : seg_of(b, i)->attr & 0xfff);
    }
    if ((groups & BH_STATE_CR) != 0) {
        s->cr0 = b->cr0;
        s->cr2 = b->cr2;
        s->cr3 = b->cr3;
        s->cr4 = b->cr4;
        s->efer = b->efer & ~(uint64_t)EFER_SVME;
        s->xcr0 = vcpu_xcr0(v);
    }
    if ((groups & BH_STATE_MSR) != 0) {
        s->star = b->star;
        s->lstar = b->lstar;
        s->cstar = b->cstar;
        s->sfmask = b->sfmask;
        s->kernel_gs_base = b->kernel_gs_base;
        s->sysenter_cs = b->sysenter_cs;
        s->sysenter_esp = b->sysenter_esp;
        s->sysenter_eip = b->sysenter_eip;
        s->pat = b->g_pat;
    }
    if ((groups & BH_STATE_DR) != 0) {
        if (percpu()->last_vcpu == v) svm_debug_save(v);
        for (unsigned i = 0; i < 4; i++) s->dr[i] = v->backend[SVM_DR0 + i];
        s->dr6 = b->dr6;
        s->dr7 = b->dr7;
    }
    if ((groups & BH_STATE_TSC) != 0) s->tsc_offset = b->tsc_offset;
    if ((groups & BH_STATE_RSP) != 0) v->page->gpr[4] = b->rsp;
    if ((groups & BH_STATE_FLAGS) != 0) v->page->rflags = b->rflags;
}

#define CR0_VALID  0xe005003full
#define CR4_VALID  0x7fffffull /* what the guest sets itself the hardware checks; no VMXE */
#define EFER_VALID 0xfd01ull

uint32_t svm_write_state(struct vcpu *v, uint64_t groups)
{
    const struct bh_vcpu_state s = *(const volatile struct bh_vcpu_state *)&v->page->state;
    struct vmcb *b = v->hw;
    uint64_t xcr0 = s.xcr0;

    if ((groups & BH_STATE_CR) != 0 &&
        ((s.cr0 & ~CR0_VALID) != 0 || (s.cr4 & ~CR4_VALID) != 0 || (s.cr4 >> 13 & 1) != 0 ||
         (s.efer & ~EFER_VALID) != 0 || (s.efer & EFER_SVME) != 0 || s.cr3 >> 52 != 0 ||
         ((s.cr0 >> 31 & 1) != 0 && (s.cr0 & 1) == 0) ||
         ((s.cr0 >> 29 & 1) != 0 && (s.cr0 >> 30 & 1) == 0) || !xcr0_ok(s.xcr0)))
        return BH_ERR_RANGE;
    if ((groups & BH_STATE_SEG) != 0) {
        for (unsigned i = BH_FS; i < BH_NSEGS; i++) {
            if (!canonical(s.seg[i].base)) return BH_ERR_RANGE;
        }
    }
    if ((groups & BH_STATE_MSR) != 0 && !msrs_ok(&s)) return BH_ERR_RANGE;
    if ((groups & BH_STATE_DR) != 0 && (s.dr6 >> 32 != 0 || s.dr7 >> 32 != 0)) return BH_ERR_RANGE;

    if ((groups & BH_STATE_SEG) != 0) {
        for (unsigned i = 0; i < BH_NSEGS; i++) seg_write(seg_of(b, i), &s.seg[i]);
        b->cpl = (uint8_t)(s.seg[BH_SS].attr >> 5 & 3);
    }
    if ((groups & BH_STATE_CR) != 0) {
        b->cr0 = s.cr0;
        b->cr2 = s.cr2;
        b->cr3 = s.cr3;
        b->cr4 = s.cr4;
        b->efer = s.efer | EFER_SVME;
#ifdef BREAK_PAGE_TWICE /* and late: the other CPU is to come in between also where it is slow */
        for (uint64_t late = rdtsc() + (1u << 20); rdtsc() < late;) cpu_relax();
        xcr0 = ONCE(v->page->state.xcr0);
#endif
        if (xcr0 != vcpu_xcr0(v)) {
            if (percpu()->fpu_owner == v) vcpu_fpu_save();
            v->guest_xcr0 = xcr0;
        }
        v->asid_generation = 0; /* the guest would have flushed by writing these itself */
    }
    if ((groups & BH_STATE_MSR) != 0) {
        b->star = s.star;
        b->lstar = s.lstar;
        b->cstar = s.cstar;
        b->sfmask = s.sfmask;
        b->kernel_gs_base = s.kernel_gs_base;
        b->sysenter_cs = s.sysenter_cs;
        b->sysenter_esp = s.sysenter_esp;
        b->sysenter_eip = s.sysenter_eip;
        b->g_pat = s.pat;
    }
    if ((groups & BH_STATE_DR) != 0) {
        for (unsigned i = 0; i < 4; i++) v->backend[SVM_DR0 + i] = s.dr[i];
        b->dr6 = s.dr6;
        b->dr7 = s.dr7;
        if (percpu()->last_vcpu == v) svm_debug_load(v);
    }
    if ((groups & BH_STATE_TSC) != 0) b->tsc_offset = s.tsc_offset;
    if ((groups & BH_STATE_RSP) != 0) b->rsp = ONCE(v->page->gpr[4]);
    if ((groups & BH_STATE_FLAGS) != 0) b->rflags = (ONCE(v->page->rflags) & 0x3f7fd7ull) | 2;
    return BH_OK;
}
