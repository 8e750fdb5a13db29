/*
 * The MSR policy: one row per register or range. What no row names raises #GP and is counted.
 * Registers that the kernel lets the guest use directly (FS base and the like) never come here.
 * Numbers and layouts: Intel SDM vol. 4; AMD APM vol. 2, appendix A. May call: the local APIC
 * model.
 */
#include "monitor.h"

#define EFER_MUTABLE (EFER_SCE | EFER_LME | EFER_NXE)

typedef bool (*msr_read_fn)(uint32_t msr, uint64_t *value);
typedef bool (*msr_write_fn)(uint32_t msr, uint64_t value);

struct row {
    uint32_t first, last;
    msr_read_fn read;   /* NULL: reads `value` */
    msr_write_fn write; /* NULL: writes are refused, unless `ignore` */
    uint64_t value;
    bool ignore; /* writes are accepted and dropped */
};

/* ---- plain storage: MTRRs say nothing under nested paging, but what was written is read back ----
 */

static uint64_t *mtrr(uint32_t msr)
{
    struct vcpu *v = self();

    if (msr >= 0x200u && msr < 0x200u + MTRR_VARIABLE) return &v->mtrr_variable[msr - 0x200u];
    if (msr == 0x250u) return &v->mtrr_fixed[0];
    if (msr == 0x258u || msr == 0x259u) return &v->mtrr_fixed[1u + msr - 0x258u];
    if (msr >= 0x268u && msr <= 0x26fu) return &v->mtrr_fixed[3u + msr - 0x268u];
    return &v->mtrr_default;
}

static bool read_mtrr(uint32_t msr, uint64_t *value)
{
    *value = *mtrr(msr);
    return true;
}

static bool type_valid(uint64_t type)
{
    return type == 0 || type == 1 || type == 4 || type == 5 || type == 6;
}

static bool write_mtrr(uint32_t msr, uint64_t value)
{
    if (msr == 0x2ffu && ((value & ~(uint64_t)0xcff) || !type_valid(value & 0xffu))) return false;
    if (msr >= 0x250u && msr < 0x2ffu)
        for (unsigned i = 0; i < 8u; i++)
            if (!type_valid(value >> (8u * i) & 0xffu)) return false;
    if (msr < 0x200u + MTRR_VARIABLE && !(msr & 1u) &&
        ((value & 0xf00u) || !type_valid(value & 0xffu)))
        return false;
    if (msr < 0x200u + MTRR_VARIABLE && (msr & 1u) && (value & 0x7ffu)) return false;
    *mtrr(msr) = value;
    return true;
}

/* ---- time-stamp counter ---- */

static bool read_tsc(uint32_t msr, uint64_t *value)
{
    *value = msr == 0x10u ? rt_tsc() + self()->tsc_offset : self()->tsc_adjust;
    return true;
}

/* What @value makes of the offset. Kernels that have all processors write the same at the same
 * moment, to have them agree, cannot have vCPUs do so: one that comes within a second of what
 * another has, and it has not, gets just that (KVM has the same rule). */
static uint64_t offset_for(uint64_t value)
{
    uint64_t now = rt_tsc(), second = start_block()->tsc_khz * 1000ull;
    uint64_t own = self()->tsc_offset;

    for (unsigned i = 0; i < vcpu_count(); i++) {
        uint64_t other = __atomic_load_n(&vcpu_of(i)->tsc_offset, __ATOMIC_RELAXED);

        if (other != own && value - (now + other) + second <= 2u * second) return other;
    }
    return value - now;
}

/* Each vCPU's own, as on processors: what the others have does not change. */
static bool write_tsc(uint32_t msr, uint64_t value)
{
    struct vcpu *v = self();
    uint64_t change;

    device_lock(); /* two that write at once */
    change = msr == 0x10u ? offset_for(value) - v->tsc_offset : value - v->tsc_adjust;
    __atomic_store_n(&v->tsc_offset, v->tsc_offset + change, __ATOMIC_RELAXED);
    device_unlock();
    v->tsc_adjust += change;
    v->page->state.tsc_offset = v->tsc_offset;
    v->flags |= BH_STATE_TSC;
    /* An armed deadline is in guest TSC: have it computed anew. */
    lapic_tick(&v->lapic, clock_ns());
    v->dirty |= DIRTY_TIME | DIRTY_IRQ;
    kvm_tsc_moved();
    return true;
}

/* ---- local APIC ---- */

static bool read_apic(uint32_t msr, uint64_t *value)
{
    return lapic_msr_read(&self()->lapic, msr, value);
}

static bool write_apic(uint32_t msr, uint64_t value)
{
    struct vcpu *v = self();
    bool done = lapic_msr_write(&v->lapic, msr, value);

    /* These move no deadline, and bring an interrupt nearer only if one waits. */
    if (msr == MSR_X2APIC_EOI || msr == MSR_X2APIC_ICR)
        v->dirty |= lapic_requested(&v->lapic) ? DIRTY_IRQ : 0;
    else
        v->dirty |= DIRTY_IRQ | DIRTY_TIME;
    return done;
}

/* ---- registers of the vCPU's own state ---- */

static bool canonical(uint64_t v) { return (uint64_t)((int64_t)(v << 16) >> 16) == v; }

static uint64_t *state_register(uint32_t msr)
{
    struct bh_vcpu_state *s = &page()->state;

    switch (msr) {
    case 0x174: return &s->sysenter_cs;
    case 0x175: return &s->sysenter_esp;
    case 0x176: return &s->sysenter_eip;
    case 0x277: return &s->pat;
    case 0xc0000081: return &s->star;
    case 0xc0000082: return &s->lstar;
    case 0xc0000083: return &s->cstar;
    case 0xc0000084: return &s->sfmask;
    default: return &s->kernel_gs_base;
    }
}

static bool read_state_msr(uint32_t msr, uint64_t *value)
{
    read_state(BH_STATE_MSR);
    *value = *state_register(msr);
    return true;
}

static bool write_state_msr(uint32_t msr, uint64_t value)
{
    if (msr == 0x277u)
        for (unsigned i = 0; i < 8u; i++) {
            uint64_t type = value >> (8u * i) & 0xffu;

            if (!type_valid(type) && type != 7u) return false;
        }
    else if (msr == 0xc0000084u && value >> 32)
        return false;
    else if (msr != 0xc0000081u && msr != 0xc0000084u && msr != 0x174u && !canonical(value))
        return false;
    read_state(BH_STATE_MSR);
    *state_register(msr) = value;
    self()->flags |= BH_STATE_MSR;
    return true;
}

static bool read_base(uint32_t msr, uint64_t *value)
{
    read_state(BH_STATE_SEG);
    *value = page()->state.seg[msr == 0xc0000100u ? BH_FS : BH_GS].base;
    return true;
}

static bool write_base(uint32_t msr, uint64_t value)
{
    if (!canonical(value)) return false;
    read_state(BH_STATE_SEG);
    page()->state.seg[msr == 0xc0000100u ? BH_FS : BH_GS].base = value;
    self()->flags |= BH_STATE_SEG;
    return true;
}

static bool read_efer(uint32_t msr, uint64_t *value)
{
    read_state(BH_STATE_CR);
    /* SVME may be the kernel's own business; the guest has no SVM. */
    *value = page()->state.efer & (EFER_MUTABLE | EFER_LMA);
    return true;
}

/* AMD APM vol. 2, 3.1.7: LMA is read-only, LME must not change while paging is on. */
static bool write_efer(uint32_t msr, uint64_t value)
{
    struct bh_vcpu_state *s = &page()->state;

    read_state(BH_STATE_CR);
    if (value & ~(uint64_t)(EFER_MUTABLE | EFER_LMA)) return false;
    if ((s->cr0 & CR0_PG) && ((s->efer ^ value) & EFER_LME)) return false;
    s->efer = (s->efer & EFER_LMA) | (value & EFER_MUTABLE);
    self()->flags |= BH_STATE_CR;
    return true;
}

#define READ_ONLY(msr, value)                                                                      \
    {                                                                                              \
        (msr), (msr), NULL, NULL, (value), false                                                   \
    }
#define IGNORED(msr, value)                                                                        \
    {                                                                                              \
        (msr), (msr), NULL, NULL, (value), true                                                    \
    }
#define STATE(msr)                                                                                 \
    {                                                                                              \
        (msr), (msr), read_state_msr, write_state_msr, 0, false                                    \
    }
#define RANGE(first, last, r, w)                                                                   \
    {                                                                                              \
        (first), (last), r, w, 0, false                                                            \
    }

static const struct row rows[] = {
    RANGE(0x10, 0x10, read_tsc, write_tsc),
    READ_ONLY(0x17, 0), /* platform id */
    RANGE(0x1b, 0x1b, read_apic, write_apic),
    READ_ONLY(0x3a, 1), /* feature control: locked, VMX off */
    RANGE(0x3b, 0x3b, read_tsc, write_tsc),
    IGNORED(0x79, 0), /* microcode update: done, and nothing is new (SDM vol. 3C, 26.3) */
    IGNORED(0x8b, 0x100000000ull), /* microcode revision: Intel writes 0 before reading */
    READ_ONLY(0xfe, 0x508),        /* MTRR capabilities: 8 variable, fixed, WC */
    STATE(0x174),
    STATE(0x175),
    STATE(0x176),
    READ_ONLY(0x179, 0), /* machine check: no banks */
    IGNORED(0x17a, 0),
    IGNORED(0x1a0, 1u | 1u << 11 | 1u << 12), /* misc enable: fast strings; no BTS, no PEBS */
    IGNORED(0x1d9, 0),                        /* debug control */
    RANGE(0x200, 0x20f, read_mtrr, write_mtrr),
    RANGE(0x250, 0x250, read_mtrr, write_mtrr),
    RANGE(0x258, 0x259, read_mtrr, write_mtrr),
    RANGE(0x268, 0x26f, read_mtrr, write_mtrr),
    STATE(0x277),
    RANGE(0x2ff, 0x2ff, read_mtrr, write_mtrr),
    RANGE(0x6e0, 0x6e0, read_apic, write_apic),
    RANGE(0x800, 0x8ff, read_apic, write_apic),
    RANGE(MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, kvm_msr_read, kvm_msr_write),
    RANGE(MSR_KVM_EOI, MSR_KVM_EOI, kvm_eoi_msr_read, kvm_eoi_msr_write),
    RANGE(0xc0000080, 0xc0000080, read_efer, write_efer),
    STATE(0xc0000081),
    STATE(0xc0000082),
    STATE(0xc0000083),
    STATE(0xc0000084),
    RANGE(0xc0000100, 0xc0000101, read_base, write_base),
    STATE(0xc0000102),
    IGNORED(0xc0010010, 0),                    /* AMD SYSCFG: no memory above TOM2 */
    IGNORED(0xc0010015, 1u << 24),             /* AMD HWCR: the TSC counts at P0 */
    IGNORED(0xc001001f, 0),                    /* AMD NB_CFG */
    IGNORED(0xc0010055, 0),                    /* AMD interrupt pending message */
    READ_ONLY(0xc0010058, 0),                  /* AMD MMIO configuration base: none */
    RANGE(0xc0010064, 0xc001006b, NULL, NULL), /* AMD P-states: none is valid */
    IGNORED(0xc0010020, 0),                    /* AMD microcode update, as 0x79 */
    IGNORED(0xc0011022, 0),                    /* AMD DC_CFG */
    IGNORED(0xc0011023, 0),                    /* AMD BU_CFG */
    IGNORED(0xc0011029, 2),                    /* AMD DE_CFG: LFENCE serialises */
};

static const struct row *row_of(uint32_t msr)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (msr >= rows[i].first && msr <= rows[i].last) return &rows[i];
    self()->holes++;
    return NULL;
}

void exit_rdmsr(void)
{
    struct bh_vcpu_page *p = page();
    uint32_t msr = (uint32_t)p->gpr[RCX];
    const struct row *r = row_of(msr);
    uint64_t value = r ? r->value : 0;

    if (!r || (r->read && !r->read(msr, &value)) || (!r->read && r->write)) {
        inject_exception(VEC_GP, 0);
        return;
    }
    p->gpr[RAX] = (uint32_t)value;
    p->gpr[RDX] = value >> 32;
    insn_skip(0x320f, 2);
}

void exit_wrmsr(void)
{
    struct bh_vcpu_page *p = page();
    uint32_t msr = (uint32_t)p->gpr[RCX];
    uint64_t value = p->gpr[RDX] << 32 | (uint32_t)p->gpr[RAX];
    const struct row *r;

    /* The most frequent writes by far: timer and end of interrupt. */
    if (lapic_msr_mine(msr)) {
        if (!write_apic(msr, value)) {
            inject_exception(VEC_GP, 0);
            return;
        }
        insn_skip(0x300f, 2);
        return;
    }
    r = row_of(msr);
    if (!r || (r->write && !r->write(msr, value)) || (!r->write && !r->ignore)) {
        inject_exception(VEC_GP, 0);
        return;
    }
    insn_skip(0x300f, 2);
}
