/*
 * What decoded instructions do to registers and flags (Intel SDM vol. 2; flags as in vol.
 * 1, 3.4.3). May call: nothing. Never touches memory other than what is passed.
 */
#include "decode.h"

#define FLAG_CF 0x001ull
#define FLAG_PF 0x004ull
#define FLAG_AF 0x010ull
#define FLAG_ZF 0x040ull
#define FLAG_SF 0x080ull
#define FLAG_DF 0x400ull
#define FLAG_OF 0x800ull
#define FLAGS   (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

#define REG_A  0u
#define REG_C  1u
#define REG_SI 6u
#define REG_DI 7u

static uint64_t size_mask(unsigned bytes)
{
    return bytes >= 8 ? UINT64_MAX : (1ull << (8 * bytes)) - 1;
}

static uint64_t reg_get(const uint64_t gpr[16], unsigned reg, bool high, unsigned bytes)
{
    return (high ? gpr[reg] >> 8 : gpr[reg]) & size_mask(bytes);
}

/* 32-bit results clear the upper half; shorter ones leave the rest of the register alone. */
static void reg_set(uint64_t gpr[16], unsigned reg, bool high, unsigned bytes, uint64_t value)
{
    const uint64_t mask = size_mask(bytes);
    if (high) {
        gpr[reg] = (gpr[reg] & ~0xFF00ull) | (value & 0xFF) << 8;
    } else if (bytes == 4) {
        gpr[reg] = value & mask;
    } else {
        gpr[reg] = (gpr[reg] & ~mask) | (value & mask);
    }
}

static uint64_t result_flags(uint64_t result, unsigned bytes)
{
    uint64_t flags = 0;
    if (__builtin_parityll(result & 0xFF) == 0) {
        flags |= FLAG_PF;
    }
    if (result == 0) {
        flags |= FLAG_ZF;
    }
    if ((result >> (8 * bytes - 1) & 1) != 0) {
        flags |= FLAG_SF;
    }
    return flags;
}

static uint64_t add(uint64_t a, uint64_t b, uint64_t carry, unsigned bytes, uint64_t *flags)
{
    const uint64_t result = (a + b + carry) & size_mask(bytes);
    *flags = result_flags(result, bytes);
    *flags |= result < a || (carry != 0 && result == a) ? FLAG_CF : 0;
    *flags |= (a ^ b ^ result) & FLAG_AF;
    *flags |= ((a ^ result) & (b ^ result)) >> (8 * bytes - 1) & 1 ? FLAG_OF : 0;
    return result;
}

static uint64_t subtract(uint64_t a, uint64_t b, uint64_t borrow, unsigned bytes, uint64_t *flags)
{
    const uint64_t result = (a - b - borrow) & size_mask(bytes);
    *flags = result_flags(result, bytes);
    *flags |= a < b || (borrow != 0 && a == b) ? FLAG_CF : 0;
    *flags |= (a ^ b ^ result) & FLAG_AF;
    *flags |= ((a ^ b) & (a ^ result)) >> (8 * bytes - 1) & 1 ? FLAG_OF : 0;
    return result;
}

static uint64_t swap_bytes(uint64_t value, unsigned bytes)
{
    return __builtin_bswap64(value) >> (64 - 8 * bytes);
}

static uint64_t sign_extend(uint64_t value, unsigned bytes)
{
    const unsigned shift = 64 - 8 * bytes;
    return (uint64_t)((int64_t)(value << shift) >> shift);
}

/* Two operands and the flags they leave; only the operations that do not touch other registers. */
static uint64_t arithmetic(unsigned op, uint64_t a, uint64_t b, unsigned bytes, uint64_t *rflags)
{
    const uint64_t carry = *rflags & FLAG_CF;
    uint64_t changed = FLAGS;
    uint64_t flags = 0;
    uint64_t result = a;

    switch (op) {
    case INSN_ADD:
    case INSN_XADD: result = add(a, b, 0, bytes, &flags); break;
    case INSN_ADC: result = add(a, b, carry, bytes, &flags); break;
    case INSN_SUB:
    case INSN_CMP:
    case INSN_CMPXCHG: result = subtract(a, b, 0, bytes, &flags); break;
    case INSN_SBB: result = subtract(a, b, carry, bytes, &flags); break;
    case INSN_NEG: result = subtract(0, a, 0, bytes, &flags); break;
    case INSN_INC:
        result = add(a, 1, 0, bytes, &flags);
        changed = FLAGS & ~FLAG_CF;
        break;
    case INSN_DEC:
        result = subtract(a, 1, 0, bytes, &flags);
        changed = FLAGS & ~FLAG_CF;
        break;
    case INSN_OR:
        result = a | b;
        flags = result_flags(result, bytes);
        break;
    case INSN_XOR:
        result = a ^ b;
        flags = result_flags(result, bytes);
        break;
    default: /* AND, TEST */
        result = a & b;
        flags = result_flags(result, bytes);
        break;
    }
    *rflags = (*rflags & ~changed) | (flags & changed);
    return result;
}

/* A bit offset beyond the operand is already part of the address that was accessed. */
static uint64_t bit_operation(const struct insn *insn, uint64_t memory, uint64_t offset,
                              uint64_t *rflags)
{
    const uint64_t bit = 1ull << (offset & (8u * insn->size_bytes - 1));
    *rflags = (*rflags & ~FLAG_CF) | ((memory & bit) != 0 ? FLAG_CF : 0);
    switch (insn->op) {
    case INSN_BTS: return memory | bit;
    case INSN_BTR: return memory & ~bit;
    case INSN_BTC: return memory ^ bit;
    default: return memory;
    }
}

uint64_t insn_apply(const struct insn *insn, uint64_t gpr[16], uint64_t *rflags, uint64_t memory)
{
    const unsigned bytes = insn->size_bytes;
    const bool high = (insn->flags & INSN_HIGH_BYTE) != 0;
    const bool reg_first = (insn->flags & INSN_REG_FIRST) != 0;
    const uint64_t operand = (insn->flags & INSN_IMMEDIATE) != 0
                                 ? insn->imm & size_mask(bytes)
                                 : reg_get(gpr, insn->reg, high, bytes);
    memory &= size_mask(bytes);

    switch (insn->op) {
    case INSN_MOV:
    case INSN_LODS:
    case INSN_STOS:
        if (!reg_first) {
            return operand;
        }
        if ((insn->flags & INSN_SIGN) != 0) {
            memory = sign_extend(memory, bytes);
        }
        reg_set(gpr, insn->reg, high, insn->reg_bytes, memory);
        return memory;
    case INSN_MOVBE:
        if (!reg_first) {
            return swap_bytes(operand, bytes);
        }
        reg_set(gpr, insn->reg, false, bytes, swap_bytes(memory, bytes));
        return memory;
    case INSN_MOVS: return memory;
    case INSN_NOT: return ~memory & size_mask(bytes);
    case INSN_XCHG: reg_set(gpr, insn->reg, high, bytes, memory); return operand;
    case INSN_XADD:
        reg_set(gpr, insn->reg, high, bytes, memory);
        return arithmetic(insn->op, memory, operand, bytes, rflags);
    case INSN_CMPXCHG: {
        const uint64_t expected = reg_get(gpr, REG_A, false, bytes);
        (void)arithmetic(insn->op, expected, memory, bytes, rflags);
        if (expected == memory) {
            return operand;
        }
        reg_set(gpr, REG_A, false, bytes, memory);
        return memory;
    }
    case INSN_BT:
    case INSN_BTS:
    case INSN_BTR:
    case INSN_BTC: return bit_operation(insn, memory, operand, rflags);
    default: break;
    }
    if (!reg_first) {
        return arithmetic(insn->op, memory, operand, bytes, rflags);
    }
    const uint64_t result = arithmetic(insn->op, operand, memory, bytes, rflags);
    if (insn->op != INSN_CMP) {
        reg_set(gpr, insn->reg, high, bytes, result);
    }
    return result;
}

void insn_compare(const struct insn *insn, const uint64_t gpr[16], uint64_t *rflags, uint64_t first,
                  uint64_t second)
{
    const uint64_t mask = size_mask(insn->size_bytes);

    if (insn->op == INSN_SCAS) {
        first = gpr[REG_A];
    }
    (void)arithmetic(INSN_CMP, first & mask, second & mask, insn->size_bytes, rflags);
}

bool insn_string_idle(const struct insn *insn, const uint64_t gpr[16])
{
    return (insn->flags & INSN_REP) != 0 && (gpr[REG_C] & size_mask(insn->address_bytes)) == 0;
}

uint64_t insn_string_source(const struct insn *insn, const uint64_t gpr[16])
{
    return gpr[REG_SI] & size_mask(insn->address_bytes);
}

uint64_t insn_string_destination(const struct insn *insn, const uint64_t gpr[16])
{
    return gpr[REG_DI] & size_mask(insn->address_bytes);
}

bool insn_string_next(const struct insn *insn, uint64_t gpr[16], uint64_t rflags)
{
    const unsigned bytes = insn->address_bytes;
    const uint64_t step =
        (rflags & FLAG_DF) != 0 ? 0 - (uint64_t)insn->size_bytes : insn->size_bytes;

    const bool compares = insn->op == INSN_CMPS || insn->op == INSN_SCAS;
    const bool differ = (rflags & FLAG_ZF) == 0;

    if (insn->op == INSN_MOVS || insn->op == INSN_LODS || insn->op == INSN_CMPS) {
        reg_set(gpr, REG_SI, false, bytes, gpr[REG_SI] + step);
    }
    if (insn->op != INSN_LODS) {
        reg_set(gpr, REG_DI, false, bytes, gpr[REG_DI] + step);
    }
    if ((insn->flags & INSN_REP) == 0) {
        return true;
    }
    reg_set(gpr, REG_C, false, bytes, gpr[REG_C] - 1);
    if (compares && differ != ((insn->flags & INSN_REPNE) != 0)) {
        return true;
    }
    return (gpr[REG_C] & size_mask(bytes)) == 0;
}
