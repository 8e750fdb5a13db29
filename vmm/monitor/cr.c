/*
 * Control registers that the kernel leaves to the monitor: CR8 (the APIC's task priority), owned
 * bits of CR0 and CR4, and XCR0. May call: the local APIC model, insn.c.
 */
#include "monitor.h"

#define CR4_ALLOWED                                                                                \
    0x0037ffffull /* defined bits up to SMAP; LA57, VMXE, PCIDE, PKE are not there */
#define CR4_DENIED  (1u << 12 | 1u << 13 | 1u << 14 | 1u << 17)
#define CR0_DEFINED 0xe005003fu

/* MOV to or from CRn: 0F 22 or 0F 20, a ModR/M byte of register form, REX for R8-R15 and CR8. */
static bool decode_move(unsigned *cr, unsigned *gpr, bool *read)
{
    struct bh_vcpu_page *p = page();
    uint8_t b[16];
    size_t n, at = 0;
    unsigned rex = 0;

    if (p->qual & BH_CR_DECODED) {
        *cr = BH_CR_NUMBER(p->qual);
        *gpr = BH_CR_GPR(p->qual);
        *read = (p->qual & BH_CR_READ) != 0;
        return true;
    }
    read_state(BH_STATE_SEG | BH_STATE_CR);
    n = insn_fetch(b);
    while (at < n && (b[at] == 0x66 || b[at] == 0xf0 || b[at] == 0xf2 || b[at] == 0xf3)) at++;
    if (mode_64() && at < n && (b[at] & 0xf0u) == 0x40u) rex = b[at++];
    if (at + 3u > n || b[at] != 0x0f || (b[at + 1u] & 0xfdu) != 0x20) return false;
    *read = b[at + 1u] == 0x20;
    *cr = (b[at + 2u] >> 3 & 7u) | (rex & 4u) << 1;
    *gpr = (b[at + 2u] & 7u) | (rex & 1u) << 3;
    if (!p->next_rip) p->next_rip = p->rip + at + 3u;
    return true;
}

static bool write_cr4(uint64_t value)
{
    struct bh_vcpu_state *s = &page()->state;

    if ((value & ~CR4_ALLOWED) || (value & CR4_DENIED)) return false;
    if ((s->efer & EFER_LMA) && !(value & CR4_PAE)) return false;
    s->cr4 = value;
    self()->flags |= BH_STATE_CR;
    return true;
}

static bool write_cr0(uint64_t value)
{
    struct bh_vcpu_state *s = &page()->state;

    if (value >> 32 || ((value & CR0_PG) && !(value & CR0_PE)) ||
        ((value & 0x20000000u) && !(value & 0x40000000u))) /* NW needs CD */
        return false;
    if ((value & CR0_PG) && !(s->cr0 & CR0_PG) && (s->efer & EFER_LME)) {
        if (!(s->cr4 & CR4_PAE)) return false;
        s->efer |= EFER_LMA;
    } else if (!(value & CR0_PG)) {
        if (mode_64()) return false;
        s->efer &= ~(uint64_t)EFER_LMA;
    }
    s->cr0 = (value & CR0_DEFINED) | 0x10u; /* ET is fixed */
    self()->flags |= BH_STATE_CR;
    return true;
}

static bool cr_write(unsigned cr, uint64_t value)
{
    switch (cr) {
    case 8:
        if (value > 15u) return false;
        lapic_cr8_write(&self()->lapic, (uint8_t)value);
        self()->dirty |= DIRTY_IRQ;
        return true;
    case 0: return write_cr0(value);
    case 4: return write_cr4(value);
    default: vm_stop("write to a control register that cannot exit");
    }
}

void exit_cr(void)
{
    struct bh_vcpu_page *p = page();
    unsigned cr, gpr;
    bool read;

    if (!decode_move(&cr, &gpr, &read)) vm_stop("control register access not decoded");
    read_state((cr != 8u ? BH_STATE_SEG | BH_STATE_CR : 0) | (gpr == RSP ? BH_STATE_RSP : 0));
    if (read) {
        p->gpr[gpr] = cr == 8u   ? lapic_cr8_read(&self()->lapic)
                      : cr == 0u ? p->state.cr0
                                 : p->state.cr4;
        if (gpr == RSP) self()->flags |= BH_STATE_RSP;
    } else if (!cr_write(cr, p->gpr[gpr])) {
        inject_exception(VEC_GP, 0);
        return;
    }
    if (!p->next_rip) vm_stop("control register access without its length");
    insn_go(p->next_rip);
}

/* Intel SDM vol. 2D, XSETBV: x87 always, AVX needs SSE, nothing beyond what CPUID announces. Not
 * every CPU looks at the privilege before it exits (Bochs does not). */
void exit_xsetbv(void)
{
    struct bh_vcpu_page *p = page();
    uint64_t value = p->gpr[RDX] << 32 | (uint32_t)p->gpr[RAX];

    read_state(BH_STATE_SEG | BH_STATE_CR);
    if ((p->state.seg[BH_SS].attr >> 5 & 3u) != 0 || (uint32_t)p->gpr[RCX] != 0 || !(value & 1u) ||
        (value & ~cpuid_xcr0_mask()) || ((value & 4u) && !(value & 2u))) {
        inject_exception(VEC_GP, 0);
        return;
    }
    p->state.xcr0 = value;
    self()->flags |= BH_STATE_CR;
    insn_skip(0xd1010f, 3);
}
