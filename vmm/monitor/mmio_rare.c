/*
 * Instructions that drivers hardly ever use on device memory and that the decoder does not carry
 * out: PUSH r/m, CMOVcc, and cache lines that are flushed (Intel SDM vol. 2). May call: mmio.c,
 * walk.c.
 */
#include "mmio.h"
#include "monitor.h"

struct form {
    unsigned opcode; /* index of the opcode byte, or of the byte after 0F */
    unsigned size;   /* operand, in bytes */
    unsigned rex;
    bool two_byte, narrow, repeat;
};

static struct form form_of(const uint8_t bytes[16], unsigned length, enum decode_mode mode)
{
    struct form f = {.size = mode == DECODE_16 ? 2 : 4};

    for (; f.opcode < length; f.opcode++) {
        uint8_t b = bytes[f.opcode];

        if (b == 0x66)
            f.narrow = true;
        else if (mode == DECODE_64 && (b & 0xf0u) == 0x40u)
            f.rex = b;
        else if (b == 0xf2 || b == 0xf3)
            f.repeat = true;
        else if (b != 0x67 && b != 0xf0 && (b & 0xe7u) != 0x26u && b != 0x64 && b != 0x65)
            break;
    }
    if (f.narrow) f.size = mode == DECODE_16 ? 4 : 2;
    if (f.rex & 8u) f.size = 8;
    if (bytes[f.opcode] == 0x0f) {
        f.two_byte = true;
        f.opcode++;
    }
    return f;
}

static bool push(unsigned size, uint64_t value)
{
    struct bh_vcpu_page *p = page();
    uint64_t mask, sp, linear;

    read_state(BH_STATE_SEG | BH_STATE_CR | BH_STATE_RSP);
    mask = mode_64() ? UINT64_MAX : p->state.seg[BH_SS].attr & CS_32 ? 0xffffffffu : 0xffffu;
    sp = (p->gpr[RSP] - size) & mask;
    linear = mode_64() ? sp : (p->state.seg[BH_SS].base + sp) & 0xffffffffu;
    if (!operand_ok(linear, size, true)) return false;
    if (linear_write(linear, &value, size) < size) {
        insn_retry("PUSH to a stack outside RAM");
        return false;
    }
    p->gpr[RSP] = (p->gpr[RSP] & ~mask) | sp;
    self()->flags |= BH_STATE_RSP;
    return true;
}

/* Condition codes, Intel SDM vol. 1, appendix B: the lowest bit negates. */
static bool condition(unsigned cc, uint64_t rflags)
{
    bool cf = rflags & 1u, pf = rflags >> 2 & 1u, zf = rflags >> 6 & 1u, sf = rflags >> 7 & 1u;
    bool of = rflags >> 11 & 1u;
    const bool holds[8] = {of, cf, zf, cf || zf, sf, pf, sf != of, zf || sf != of};

    return holds[cc >> 1 & 7u] != (cc & 1u);
}

/* The memory operand is read whether or not the condition holds. */
static void cmov(const struct form *f, uint8_t opcode, uint8_t mod_rm, uint64_t value)
{
    struct bh_vcpu_page *p = page();
    unsigned reg = (mod_rm >> 3 & 7u) | (f->rex & 4u) << 1;
    uint64_t old = p->gpr[reg];
    uint64_t chosen = condition(opcode & 15u, p->rflags) ? value : old;

    if (f->size == 2u)
        chosen = (old & ~(uint64_t)0xffff) | (chosen & 0xffffu);
    else if (f->size == 4u)
        chosen &= 0xffffffffu;
    p->gpr[reg] = chosen;
    if (reg == RSP) self()->flags |= BH_STATE_RSP;
}

/* CLFLUSH, CLFLUSHOPT, CLWB: accesses like loads to who maps memory; no device has anything cached.
 */
static bool is_flush(const struct form *f, uint8_t opcode, uint8_t mod_rm)
{
    unsigned digit = mod_rm >> 3 & 7u;

    return opcode == 0xae && mod_rm < 0xc0 && !f->repeat &&
           (digit == 7u || (digit == 6u && f->narrow));
}

bool mmio_rare(const uint8_t bytes[16], unsigned length, enum decode_mode mode, uint64_t gpa)
{
    struct form f = form_of(bytes, length, mode);

    if (f.opcode + 1u < length && !f.two_byte && bytes[f.opcode] == 0xff &&
        (bytes[f.opcode + 1u] >> 3 & 7u) == 6u) {
        if (mode == DECODE_64 && f.size == 4u) f.size = 8; /* the default of PUSH in 64-bit mode */
        return push(f.size, device_read(gpa, f.size));
    }
    if (f.opcode + 1u < length && f.two_byte && (bytes[f.opcode] & 0xf0u) == 0x40u) {
        cmov(&f, bytes[f.opcode], bytes[f.opcode + 1u], device_read(gpa, f.size));
        return true;
    }
    if (f.opcode + 1u < length && f.two_byte && is_flush(&f, bytes[f.opcode], bytes[f.opcode + 1u]))
        return true;
    insn_retry("instruction that accesses a device is not supported");
    return false;
}
