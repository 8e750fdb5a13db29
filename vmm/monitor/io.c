/*
 * Port accesses of the guest, string forms included (Intel SDM vol. 2A, INS and OUTS).
 * May call: platform.c for the access, walk.c for string operands.
 */
#include "mmio.h"
#include "monitor.h"

/* String elements done per exit: interrupts are looked at in between. */
#define STRING_STEPS 4096u

static const uint64_t width_mask[8] = {[1] = 0xff, [2] = 0xffff, [4] = 0xffffffffu};

static uint64_t address_mask(uint64_t qual)
{
    return qual & BH_IO_A16 ? 0xffffu : qual & BH_IO_A32 ? 0xffffffffu : ~(uint64_t)0;
}

/* Update a register by the width of the address size: 32-bit forms clear the upper half. */
static void set_masked(unsigned reg, uint64_t value, uint64_t mask)
{
    uint64_t *gpr = &page()->gpr[reg];

    *gpr = mask == 0xffffu ? (*gpr & ~mask) | (value & mask) : value & mask;
}

void page_fault(uint64_t linear, unsigned code)
{
    read_state(BH_STATE_CR);
    page()->state.cr2 = linear;
    self()->flags |= BH_STATE_CR;
    inject_exception(VEC_PF, code);
}

bool operand_ok(uint64_t linear, unsigned size_bytes, bool write)
{
    uint64_t last = linear + size_bytes - 1u, gpa;
    unsigned code;

    if (!walk_allowed(linear, write, &gpa, &code))
        page_fault(linear, code);
    else if (((linear ^ last) & ~(uint64_t)4095u) && !walk_allowed(last, write, &gpa, &code))
        page_fault(last & ~(uint64_t)4095u, code);
    else
        return true;
    return false;
}

#define IO_SIZES     (BH_IO_A16 | BH_IO_A32 | BH_IO_A64)
#define IO_SEG(n)    ((uint64_t)(n) << 10)
#define IO_SEG_MASK  IO_SEG(7u)
#define PREFIX_SIZE  0x67u
#define FIRST_STRING 0x6cu /* INSB, INSD, OUTSB, OUTSD */

/* @return the segment that a prefix names; BH_NSEGS: it is another prefix, or none */
static unsigned prefix_segment(uint8_t b)
{
    switch (b) {
    case 0x26: return BH_ES;
    case 0x2e: return BH_CS;
    case 0x36: return BH_SS;
    case 0x3e: return BH_DS;
    case 0x64: return BH_FS;
    case 0x65: return BH_GS;
    default: return BH_NSEGS;
    }
}

/*
 * Address size and segment, by the instruction's own prefixes: QEMU's SVM says neither, and AMD's
 * processors may leave the segment out, which then reads as ES (APM vol. 2, 15.10.2).
 * @return false: another instruction is there now
 */
static bool string_form(uint64_t *qual)
{
    bool long_mode = mode_64(), wide = (page()->state.seg[BH_CS].attr & CS_32) != 0, other = false;
    unsigned seg = BH_DS, n;
    uint8_t b[16];
    size_t have, at;

    if ((*qual & IO_SIZES) && ((*qual & BH_IO_IN) || BH_IO_SEG(*qual) != BH_ES)) return true;
    have = insn_fetch(b);
    for (at = 0; at < have && b[at] - FIRST_STRING > 3u; at++) {
        n = prefix_segment(b[at]);
        if (n < BH_NSEGS && (!long_mode || n == BH_FS || n == BH_GS)) seg = n;
        if (b[at] == PREFIX_SIZE) other = true;
    }
    if (at >= have) return false;
    *qual = (*qual & ~(uint64_t)(IO_SIZES | IO_SEG_MASK)) | IO_SEG(seg);
    if (long_mode)
        *qual |= other ? BH_IO_A32 : BH_IO_A64;
    else
        *qual |= wide != other ? BH_IO_A32 : BH_IO_A16;
    return true;
}

static void exit_string(uint64_t qual)
{
    struct bh_vcpu_page *p = page();
    unsigned size = BH_IO_SIZE(qual), port = BH_IO_PORT(qual), reg, seg;
    bool in = (qual & BH_IO_IN) != 0;
    uint64_t step = p->rflags & RFLAGS_DF ? 0u - (uint64_t)size : size;
    uint64_t mask, count, base, begun = rt_tsc();

    read_state(BH_STATE_SEG | BH_STATE_CR);
    if (!string_form(&qual)) {
        insn_retry("string I/O that is not there");
        return;
    }
    mask = address_mask(qual);
    count = qual & BH_IO_REP ? p->gpr[RCX] & mask : 1u;
    reg = in ? RDI : RSI;
    seg = in ? BH_ES : BH_IO_SEG(qual);
    base = p->state.seg[seg < BH_LDTR ? seg : BH_DS].base;
    if (mode_64() && seg != BH_FS && seg != BH_GS) base = 0;
    for (unsigned i = 0; count && i < STRING_STEPS && !string_expired(i, begun); i++, count--) {
        uint64_t linear = base + (p->gpr[reg] & mask), value = 0;

        if (!mode_64()) linear &= 0xffffffffu;
        /* First: a port read may have effects. */
        if (!operand_ok(linear, size, in)) return;
        if (in) value = pio_read(port, size);
        if ((in ? linear_write(linear, &value, size) : linear_read(linear, &value, size)) < size &&
            !string_access(linear, size, in, &value)) {
            insn_retry("string I/O with an operand that is not mapped");
            return;
        }
        if (!in) pio_write(port, size, value);
        set_masked(reg, p->gpr[reg] + step, mask);
        if (qual & BH_IO_REP) set_masked(RCX, count - 1u, mask);
    }
    if (count == 0) insn_go(p->next_rip);
}

void exit_io(void)
{
    struct bh_vcpu_page *p = page();
    uint64_t qual = p->qual;
    unsigned size = BH_IO_SIZE(qual), port = BH_IO_PORT(qual);
    uint64_t mask = width_mask[size];

    if (qual & BH_IO_STRING) {
        exit_string(qual);
        return;
    }
    if (qual & BH_IO_IN) {
        uint64_t value = pio_read(port, size) & mask;

        p->gpr[RAX] = size == 4u ? value : (p->gpr[RAX] & ~mask) | value;
    } else {
        pio_write(port, size, p->gpr[RAX] & mask);
    }
    insn_go(p->next_rip);
}
