/*
 * Instruction decoding: Zydis in its minimal mode gives length and fields, a table by opcode says
 * what they mean for a memory operand. May call: Zydis. Never touches guest state.
 */
#include "decode.h"

/* As the library is built (zydis.mk): structures differ with these. */
#define ZYAN_NO_LIBC
#define ZYDIS_STATIC_BUILD
#define ZYCORE_STATIC_BUILD
#define ZYDIS_MINIMAL_MODE
#define ZYDIS_DISABLE_FORMATTER
#define ZYDIS_DISABLE_ENCODER
#include <Zydis/Decoder.h>

_Static_assert(sizeof(struct insn) == 16, "two words: entries stay small");
_Static_assert(sizeof(struct decode_entry) == 64, "one cache line");

/* Forms of operands, by which the fields are read. */
enum form {
    FORM_NONE,
    FORM_MEM_REG, /* memory first, register second */
    FORM_REG_MEM, /* register first, memory second */
    FORM_MEM_IMM,
    FORM_MEM, /* memory alone */
    FORM_MOFFS_LOAD,
    FORM_MOFFS_STORE,
    FORM_STRING,
    FORM_GROUP1, /* 80, 81, 83: the operation is in ModRM.reg */
    FORM_GROUP3, /* F6, F7 */
    FORM_GROUP4, /* FE, FF */
    FORM_GROUP8, /* 0F BA */
    FORM_GROUP11 /* C6, C7 */
};

struct opcode {
    uint8_t form;
    uint8_t op;
    uint8_t access; /* INSN_READS, INSN_WRITES, INSN_SIGN */
};

enum { RD = INSN_READS, WR = INSN_WRITES, RW = INSN_READS | INSN_WRITES };

/* The four forms of an arithmetic instruction with a memory operand. */
#define ARITHMETIC(base, op, access)                                                               \
    [(base)] = {FORM_MEM_REG, op, access}, [(base) + 1] = {FORM_MEM_REG, op, access},              \
    [(base) + 2] = {FORM_REG_MEM, op, RD}, [(base) + 3] = {FORM_REG_MEM, op, RD}

static const struct opcode one_byte[256] = {
    ARITHMETIC(0x00, INSN_ADD, RW),
    ARITHMETIC(0x08, INSN_OR, RW),
    ARITHMETIC(0x10, INSN_ADC, RW),
    ARITHMETIC(0x18, INSN_SBB, RW),
    ARITHMETIC(0x20, INSN_AND, RW),
    ARITHMETIC(0x28, INSN_SUB, RW),
    ARITHMETIC(0x30, INSN_XOR, RW),
    ARITHMETIC(0x38, INSN_CMP, RD),
    [0x63] = {FORM_REG_MEM, INSN_MOV, RD | INSN_SIGN}, /* MOVSXD; elsewhere ARPL, see below */
    [0x80] = {FORM_GROUP1, INSN_OTHER, 0},
    [0x81] = {FORM_GROUP1, INSN_OTHER, 0},
    [0x82] = {FORM_GROUP1, INSN_OTHER, 0},
    [0x83] = {FORM_GROUP1, INSN_OTHER, 0},
    [0x84] = {FORM_MEM_REG, INSN_TEST, RD},
    [0x85] = {FORM_MEM_REG, INSN_TEST, RD},
    [0x86] = {FORM_MEM_REG, INSN_XCHG, RW},
    [0x87] = {FORM_MEM_REG, INSN_XCHG, RW},
    [0x88] = {FORM_MEM_REG, INSN_MOV, WR},
    [0x89] = {FORM_MEM_REG, INSN_MOV, WR},
    [0x8A] = {FORM_REG_MEM, INSN_MOV, RD},
    [0x8B] = {FORM_REG_MEM, INSN_MOV, RD},
    [0xA0] = {FORM_MOFFS_LOAD, INSN_MOV, RD},
    [0xA1] = {FORM_MOFFS_LOAD, INSN_MOV, RD},
    [0xA2] = {FORM_MOFFS_STORE, INSN_MOV, WR},
    [0xA3] = {FORM_MOFFS_STORE, INSN_MOV, WR},
    [0xA4] = {FORM_STRING, INSN_MOVS, RW},
    [0xA5] = {FORM_STRING, INSN_MOVS, RW},
    [0xA6] = {FORM_STRING, INSN_CMPS, RD},
    [0xA7] = {FORM_STRING, INSN_CMPS, RD},
    [0xAA] = {FORM_STRING, INSN_STOS, WR},
    [0xAB] = {FORM_STRING, INSN_STOS, WR},
    [0xAC] = {FORM_STRING, INSN_LODS, RD},
    [0xAD] = {FORM_STRING, INSN_LODS, RD},
    [0xAE] = {FORM_STRING, INSN_SCAS, RD},
    [0xAF] = {FORM_STRING, INSN_SCAS, RD},
    [0xC6] = {FORM_GROUP11, INSN_MOV, WR},
    [0xC7] = {FORM_GROUP11, INSN_MOV, WR},
    [0xF6] = {FORM_GROUP3, INSN_OTHER, 0},
    [0xF7] = {FORM_GROUP3, INSN_OTHER, 0},
    [0xFE] = {FORM_GROUP4, INSN_OTHER, 0},
    [0xFF] = {FORM_GROUP4, INSN_OTHER, 0},
};

static const struct opcode two_byte[256] = {
    [0xA3] = {FORM_MEM_REG, INSN_BT, RD},
    [0xAB] = {FORM_MEM_REG, INSN_BTS, RW},
    [0xB0] = {FORM_MEM_REG, INSN_CMPXCHG, RW},
    [0xB1] = {FORM_MEM_REG, INSN_CMPXCHG, RW},
    [0xB3] = {FORM_MEM_REG, INSN_BTR, RW},
    [0xB6] = {FORM_REG_MEM, INSN_MOV, RD},
    [0xB7] = {FORM_REG_MEM, INSN_MOV, RD},
    [0xBA] = {FORM_GROUP8, INSN_OTHER, 0},
    [0xBB] = {FORM_MEM_REG, INSN_BTC, RW},
    [0xBE] = {FORM_REG_MEM, INSN_MOV, RD | INSN_SIGN},
    [0xBF] = {FORM_REG_MEM, INSN_MOV, RD | INSN_SIGN},
    [0xC0] = {FORM_MEM_REG, INSN_XADD, RW},
    [0xC1] = {FORM_MEM_REG, INSN_XADD, RW},
    [0xC3] = {FORM_MEM_REG, INSN_MOV, WR}, /* MOVNTI */
};

static const struct opcode group1[8] = {
    {FORM_MEM_IMM, INSN_ADD, RW}, {FORM_MEM_IMM, INSN_OR, RW},  {FORM_MEM_IMM, INSN_ADC, RW},
    {FORM_MEM_IMM, INSN_SBB, RW}, {FORM_MEM_IMM, INSN_AND, RW}, {FORM_MEM_IMM, INSN_SUB, RW},
    {FORM_MEM_IMM, INSN_XOR, RW}, {FORM_MEM_IMM, INSN_CMP, RD},
};
static const struct opcode group3[8] = {
    {FORM_MEM_IMM, INSN_TEST, RD},
    {FORM_MEM_IMM, INSN_TEST, RD},
    {FORM_MEM, INSN_NOT, RW},
    {FORM_MEM, INSN_NEG, RW},
};
static const struct opcode group4[8] = {
    {FORM_MEM, INSN_INC, RW},
    {FORM_MEM, INSN_DEC, RW},
};
static const struct opcode group8[8] = {
    [4] = {FORM_MEM_IMM, INSN_BT, RD},
    [5] = {FORM_MEM_IMM, INSN_BTS, RW},
    [6] = {FORM_MEM_IMM, INSN_BTR, RW},
    [7] = {FORM_MEM_IMM, INSN_BTC, RW},
};
static const struct opcode group11[8] = {{FORM_MEM_IMM, INSN_MOV, WR}};

/* The row for an instruction; an empty one for all that is not carried out. */
static struct opcode find_opcode(const ZydisDecodedInstruction *z)
{
    static const struct opcode none = {FORM_NONE, INSN_OTHER, 0};
    const uint8_t digit = z->raw.modrm.reg;
    struct opcode row = none;

    if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
        return none;
    }
    if (z->mnemonic == ZYDIS_MNEMONIC_MOVBE) {
        return z->opcode == 0xF0 ? (struct opcode){FORM_REG_MEM, INSN_MOVBE, RD}
                                 : (struct opcode){FORM_MEM_REG, INSN_MOVBE, WR};
    }
    if (z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT) {
        row = one_byte[z->opcode];
    } else if (z->opcode_map == ZYDIS_OPCODE_MAP_0F) {
        row = two_byte[z->opcode];
    }
    if (z->opcode == 0x63 && z->mnemonic != ZYDIS_MNEMONIC_MOVSXD) {
        row = none;
    }
    switch (row.form) {
    case FORM_GROUP1: row = group1[digit]; break;
    case FORM_GROUP3: row = group3[digit]; break;
    case FORM_GROUP4: row = group4[digit]; break;
    case FORM_GROUP8: row = group8[digit]; break;
    case FORM_GROUP11: row = group11[digit]; break;
    default: break;
    }
    /* A register instead of memory: nothing that a memory exit could come from. */
    const bool has_modrm = row.form == FORM_MEM_REG || row.form == FORM_REG_MEM ||
                           row.form == FORM_MEM_IMM || row.form == FORM_MEM;
    return has_modrm && z->raw.modrm.mod == 3 ? none : row;
}

/* @return whether this is the byte form of its instruction. */
static bool is_byte_form(const ZydisDecodedInstruction *z)
{
    if (z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT) {
        return (z->opcode & 1) == 0; /* 63 is the only odd one out, and odd */
    }
    return z->opcode_map == ZYDIS_OPCODE_MAP_0F && (z->opcode == 0xB0 || z->opcode == 0xC0);
}

static void set_sizes(const ZydisDecodedInstruction *z, struct insn *insn)
{
    const uint8_t operand = is_byte_form(z) ? 1 : (uint8_t)(z->operand_width / 8);

    insn->size_bytes = operand;
    insn->reg_bytes = operand;
    if (z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && z->opcode == 0x63) {
        insn->size_bytes = operand < 4 ? operand : 4; /* MOVSXD */
    } else if (z->opcode_map == ZYDIS_OPCODE_MAP_0F && (z->opcode & 0xF6) == 0xB6) {
        insn->size_bytes = (z->opcode & 1) != 0 ? 2 : 1; /* MOVZX, MOVSX: B6, B7, BE, BF */
    }
}

static void set_register(const ZydisDecodedInstruction *z, uint8_t encoded, struct insn *insn)
{
    const bool has_rex = (z->attributes & ZYDIS_ATTRIB_HAS_REX) != 0;
    insn->reg = (uint8_t)(encoded | (has_rex ? z->raw.rex.R << 3 : 0));
    if (insn->reg_bytes == 1 && !has_rex && insn->reg >= 4) {
        insn->reg = (uint8_t)(insn->reg - 4);
        insn->flags |= INSN_HIGH_BYTE;
    }
}

static uint64_t sign_extend(uint64_t value, unsigned bits)
{
    const unsigned shift = 64 - bits;
    return shift == 0 || bits == 0 ? value : (uint64_t)((int64_t)(value << shift) >> shift);
}

/* Prefixes in the order they stand; of several segment overrides the last one counts, and of
 * several
 * REPs: @rep; 0: none. */
static void read_prefixes(const ZydisDecodedInstruction *z, struct insn *insn, uint8_t *rep)
{
    const bool long_mode = z->machine_mode == ZYDIS_MACHINE_MODE_LONG_64;
    insn->segment = 3;
    *rep = 0;
    for (unsigned i = 0; i < z->raw.prefix_count; i++) {
        switch (z->raw.prefixes[i].value) {
        case 0x26: insn->segment = long_mode ? insn->segment : 0; break;
        case 0x2E: insn->segment = long_mode ? insn->segment : 1; break;
        case 0x36: insn->segment = long_mode ? insn->segment : 2; break;
        case 0x3E: insn->segment = long_mode ? insn->segment : 3; break;
        case 0x64: insn->segment = 4; break;
        case 0x65: insn->segment = 5; break;
        case 0xF0: insn->flags |= INSN_LOCK; break;
        case 0xF2:
        case 0xF3:
            *rep = z->raw.prefixes[i].value; /* MOVS, STOS and LODS take either as REP */
            break;
        default: break;
        }
    }
}

static void translate(const ZydisDecodedInstruction *z, struct insn *insn)
{
    const struct opcode row = find_opcode(z);
    uint8_t rep;

    *insn = (struct insn){.length = z->length, .op = INSN_OTHER};
    if (row.form == FORM_NONE) {
        return;
    }
    insn->op = row.op;
    insn->flags = row.access;
    insn->address_bytes = (uint8_t)(z->address_width / 8);
    read_prefixes(z, insn, &rep);
    set_sizes(z, insn);
    switch (row.form) {
    case FORM_REG_MEM:
        insn->flags |= INSN_REG_FIRST;
        set_register(z, z->raw.modrm.reg, insn);
        break;
    case FORM_MEM_REG: set_register(z, z->raw.modrm.reg, insn); break;
    case FORM_MEM_IMM:
        insn->flags |= INSN_IMMEDIATE;
        insn->imm = sign_extend(z->raw.imm[0].value.u, z->raw.imm[0].size);
        break;
    case FORM_MOFFS_LOAD: insn->flags |= INSN_REG_FIRST; break;
    case FORM_STRING:
        insn->flags |= rep != 0 ? INSN_REP : 0u;
        insn->flags |=
            rep == 0xF2 && (row.op == INSN_CMPS || row.op == INSN_SCAS) ? INSN_REPNE : 0u;
        insn->flags |= row.op == INSN_LODS ? INSN_REG_FIRST : 0u;
        break;
    default: break;
    }
}

/* A mask of the first @length bytes of 16, in two words; the mode's byte always counts. */
static void entry_mask(unsigned length, uint64_t mask[2])
{
    mask[0] = length >= 8 ? UINT64_MAX : (1ull << (8 * length)) - 1;
    mask[1] = length <= 8 ? 0 : (1ull << (8 * (length - 8))) - 1;
    mask[1] |= 0xFFull << 56;
}

const struct insn *decode_miss(struct decode_cache *cache, const uint8_t bytes[16], unsigned count,
                               enum decode_mode mode)
{
    static const struct {
        ZydisMachineMode machine;
        ZydisStackWidth stack;
    } modes[] = {
        [DECODE_16] = {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
        [DECODE_32] = {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
        [DECODE_64] = {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
    };
    ZydisDecoder decoder;
    ZydisDecodedInstruction z;

    cache->misses++;
    if (count > DECODE_MAX_BYTES) {
        count = DECODE_MAX_BYTES;
    }
    if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, modes[mode].machine, modes[mode].stack)) ||
        !ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, bytes, count, &z)) ||
        z.length == 0 || z.length > count) {
        return NULL;
    }
    uint64_t key[2];
    __builtin_memcpy(key, bytes, sizeof(key));
    key[1] = (key[1] & 0x00FFFFFFFFFFFFFFull) | (uint64_t)mode << 56;
    struct decode_entry *e = &cache->entries[((uint32_t)key[0] * 0x9E3779B1u) >> 26];
    e->key[0] = key[0];
    e->key[1] = key[1];
    entry_mask(z.length, e->mask);
    translate(&z, &e->insn);
    return &e->insn;
}

static bool is_prefix(uint8_t byte)
{
    return byte == 0x66 || byte == 0x67 || byte == 0xF0 || byte == 0xF2 || byte == 0xF3 ||
           byte == 0x2E || byte == 0x36 || byte == 0x3E || byte == 0x26 || byte == 0x64 ||
           byte == 0x65;
}

enum system_insn decode_system_slow(const uint8_t bytes[16], unsigned count, enum decode_mode mode,
                                    unsigned *length)
{
    static const struct {
        uint8_t opcode; /* after 0F */
        uint8_t third;  /* 0: the instruction ends with the opcode */
        uint8_t what;
    } known[] = {
        {0xA2, 0, SYSTEM_CPUID},      {0x32, 0, SYSTEM_RDMSR},     {0x30, 0, SYSTEM_WRMSR},
        {0x01, 0xD9, SYSTEM_VMMCALL}, {0x01, 0xC1, SYSTEM_VMCALL}, {0x01, 0xD1, SYSTEM_XSETBV},
        {0x31, 0, SYSTEM_RDTSC},      {0x01, 0xF9, SYSTEM_RDTSCP}, {0x33, 0, SYSTEM_RDPMC},
        {0x08, 0, SYSTEM_INVD},       {0x09, 0, SYSTEM_WBINVD},    {0x01, 0xC8, SYSTEM_MONITOR},
        {0x01, 0xC9, SYSTEM_MWAIT},
    };
    unsigned at = 0;
    bool rep = false;

    if (count > DECODE_MAX_BYTES) {
        count = DECODE_MAX_BYTES;
    }
    while (at < count &&
           (is_prefix(bytes[at]) || (mode == DECODE_64 && (bytes[at] & 0xF0) == 0x40))) {
        rep = rep || bytes[at] == 0xF3;
        at++;
    }
    if (at >= count) {
        return SYSTEM_NONE;
    }
    if (bytes[at] == 0xF4) {
        *length = at + 1;
        return SYSTEM_HLT;
    }
    if (bytes[at] == 0x90 && rep) {
        *length = at + 1;
        return SYSTEM_PAUSE;
    }
    if (bytes[at] != 0x0F || at + 1 >= count) {
        return SYSTEM_NONE;
    }
    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const unsigned needed = known[i].third != 0 ? 3 : 2;
        if (bytes[at + 1] == known[i].opcode && at + needed <= count &&
            (known[i].third == 0 || bytes[at + 2] == known[i].third)) {
            *length = at + needed;
            return known[i].what;
        }
    }
    return SYSTEM_NONE;
}
