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

static void exit_string(uint64_t qual)
{
    struct bh_vcpu_page *p = page();
    unsigned size = BH_IO_SIZE(qual), port = BH_IO_PORT(qual);
    bool in = (qual & BH_IO_IN) != 0;
    uint64_t mask = address_mask(qual);
    uint64_t step = p->rflags & RFLAGS_DF ? 0u - (uint64_t)size : size;
    uint64_t count = qual & BH_IO_REP ? p->gpr[RCX] & mask : 1u;
    unsigned reg = in ? RDI : RSI, seg = in ? BH_ES : BH_IO_SEG(qual);
    uint64_t base;

    read_state(BH_STATE_SEG | BH_STATE_CR);
    base = p->state.seg[seg < BH_LDTR ? seg : BH_DS].base;
    if (mode_64() && seg != BH_FS && seg != BH_GS) base = 0;
    for (unsigned i = 0; count && i < STRING_STEPS; i++, count--) {
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
