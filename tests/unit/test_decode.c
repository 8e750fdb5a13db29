// sources: vmm/monitor/decode.c vmm/monitor/decode_apply.c build/vmm/libzydis.a
/*
 * Unit test of the instruction decoder: a table of encodings, every carried-out instruction against
 * the CPU this test runs on, the cache, string instructions, and random bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "decode.h"

static struct decode_cache cache;

static uint64_t random_state = 0x123456789ABCDEFull;
static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Decode @text, bytes in hexadecimal. */
static const struct insn *decode_text(const char *text, enum decode_mode mode, unsigned *count)
{
    static uint8_t bytes[16];
    memset(bytes, 0, sizeof(bytes));
    *count = 0;
    for (const char *t = text; *t != '\0'; t += (t[2] == ' ') ? 3 : 2) {
        unsigned value;
        assert_int_equal(sscanf(t, "%2x", &value), 1);
        bytes[(*count)++] = (uint8_t)value;
    }
    return decode(&cache, bytes, *count, mode);
}

#define RD INSN_READS
#define WR INSN_WRITES
#define RW (INSN_READS | INSN_WRITES)
#define RF INSN_REG_FIRST
#define IM INSN_IMMEDIATE
#define HI INSN_HIGH_BYTE
#define SX INSN_SIGN
#define RP INSN_REP
#define LK INSN_LOCK
#define RN INSN_REPNE

struct expected {
    const char *bytes;
    enum decode_mode mode;
    uint8_t op, flags, size, reg_bytes, reg;
    uint64_t imm;
};

static const struct expected table[] = {
    {"8b 07", DECODE_64, INSN_MOV, RD | RF, 4, 4, 0, 0},                /* mov eax,[rdi] */
    {"48 8b 8f 00 01 00 00", DECODE_64, INSN_MOV, RD | RF, 8, 8, 1, 0}, /* mov rcx,[rdi+0x100] */
    {"4c 89 04 25 20 00 e0 fe", DECODE_64, INSN_MOV, WR, 8, 8, 8, 0},   /* mov [0xfee00020],r8 */
    {"66 89 1f", DECODE_64, INSN_MOV, WR, 2, 2, 3, 0},                  /* mov [rdi],bx */
    {"88 27", DECODE_64, INSN_MOV, WR | HI, 1, 1, 0, 0},                /* mov [rdi],ah */
    {"40 88 27", DECODE_64, INSN_MOV, WR, 1, 1, 4, 0},                  /* mov [rdi],spl */
    {"8a 3f", DECODE_64, INSN_MOV, RD | RF | HI, 1, 1, 3, 0},           /* mov bh,[rdi] */
    {"c7 07 78 56 34 92", DECODE_64, INSN_MOV, WR | IM, 4, 4, 0, 0xFFFFFFFF92345678ull},
    {"48 c7 07 ff ff ff ff", DECODE_64, INSN_MOV, WR | IM, 8, 8, 0, UINT64_MAX},
    {"66 c7 07 34 12", DECODE_64, INSN_MOV, WR | IM, 2, 2, 0, 0x1234},
    {"c6 07 80", DECODE_64, INSN_MOV, WR | IM, 1, 1, 0, 0xFFFFFFFFFFFFFF80ull},
    {"a1 f0 00 e0 fe 00 00 00 00", DECODE_64, INSN_MOV, RD | RF, 4, 4, 0, 0},
    {"48 a3 f0 00 e0 fe 00 00 00 00", DECODE_64, INSN_MOV, WR, 8, 8, 0, 0},
    {"a2 f0 00 e0 fe", DECODE_32, INSN_MOV, WR, 1, 1, 0, 0},
    {"0f b6 07", DECODE_64, INSN_MOV, RD | RF, 1, 4, 0, 0},         /* movzx eax,byte */
    {"48 0f b7 07", DECODE_64, INSN_MOV, RD | RF, 2, 8, 0, 0},      /* movzx rax,word */
    {"66 0f be 07", DECODE_64, INSN_MOV, RD | RF | SX, 1, 2, 0, 0}, /* movsx ax,byte */
    {"44 0f be 27", DECODE_64, INSN_MOV, RD | RF | SX, 1, 4, 12, 0},
    {"48 63 07", DECODE_64, INSN_MOV, RD | RF | SX, 4, 8, 0, 0}, /* movsxd rax,dword */
    {"63 07", DECODE_32, INSN_OTHER, 0, 0, 0, 0, 0},             /* arpl */
    {"0f c3 07", DECODE_64, INSN_MOV, WR, 4, 4, 0, 0},           /* movnti */
    {"0f 38 f0 07", DECODE_64, INSN_MOVBE, RD | RF, 4, 4, 0, 0},
    {"48 0f 38 f1 07", DECODE_64, INSN_MOVBE, WR, 8, 8, 0, 0},
    {"f2 0f 38 f1 07", DECODE_64, INSN_OTHER, 0, 0, 0, 0, 0}, /* crc32 eax,[rdi] */
    {"81 0f 00 00 00 80", DECODE_64, INSN_OR, RW | IM, 4, 4, 0, 0xFFFFFFFF80000000ull},
    {"f0 83 0f 01", DECODE_64, INSN_OR, RW | IM | LK, 4, 4, 0, 1}, /* lock or dword [rdi],1 */
    {"83 27 fe", DECODE_64, INSN_AND, RW | IM, 4, 4, 0, 0xFFFFFFFFFFFFFFFEull},
    {"80 3f 7f", DECODE_64, INSN_CMP, RD | IM, 1, 1, 0, 0x7F},
    {"03 07", DECODE_64, INSN_ADD, RD | RF, 4, 4, 0, 0},
    {"01 07", DECODE_64, INSN_ADD, RW, 4, 4, 0, 0},
    {"39 07", DECODE_64, INSN_CMP, RD, 4, 4, 0, 0},
    {"f6 07 01", DECODE_64, INSN_TEST, RD | IM, 1, 1, 0, 1},
    {"f7 07 00 00 01 00", DECODE_64, INSN_TEST, RD | IM, 4, 4, 0, 0x10000},
    {"f7 17", DECODE_64, INSN_NOT, RW, 4, 4, 0, 0},
    {"48 f7 1f", DECODE_64, INSN_NEG, RW, 8, 8, 0, 0},
    {"f7 27", DECODE_64, INSN_OTHER, 0, 0, 0, 0, 0}, /* mul */
    {"ff 07", DECODE_64, INSN_INC, RW, 4, 4, 0, 0},
    {"fe 0f", DECODE_64, INSN_DEC, RW, 1, 1, 0, 0},
    {"ff 17", DECODE_64, INSN_OTHER, 0, 0, 0, 0, 0}, /* call */
    {"87 07", DECODE_64, INSN_XCHG, RW, 4, 4, 0, 0},
    {"f0 0f c1 07", DECODE_64, INSN_XADD, RW | LK, 4, 4, 0, 0},
    {"f0 48 0f b1 0f", DECODE_64, INSN_CMPXCHG, RW | LK, 8, 8, 1, 0},
    {"0f a3 07", DECODE_64, INSN_BT, RD, 4, 4, 0, 0},
    {"0f ba 2f 1f", DECODE_64, INSN_BTS, RW | IM, 4, 4, 0, 0x1F},
    {"a4", DECODE_64, INSN_MOVS, RW, 1, 1, 0, 0},
    {"f3 48 a5", DECODE_64, INSN_MOVS, RW | RP, 8, 8, 0, 0},
    {"f3 ab", DECODE_64, INSN_STOS, WR | RP, 4, 4, 0, 0},
    {"66 ad", DECODE_64, INSN_LODS, RD | RF, 2, 2, 0, 0},
    {"a7", DECODE_64, INSN_CMPS, RD, 4, 4, 0, 0},
    {"f3 a6", DECODE_16, INSN_CMPS, RD | RP, 1, 1, 0, 0},
    {"f2 66 af", DECODE_64, INSN_SCAS, RD | RP | RN, 2, 2, 0, 0},
    {"f2 f3 ae", DECODE_64, INSN_SCAS, RD | RP, 1, 1, 0, 0}, /* the last one counts */
    {"f2 a4", DECODE_64, INSN_MOVS, RW | RP, 1, 1, 0, 0},
    {"8b 07", DECODE_32, INSN_MOV, RD | RF, 4, 4, 0, 0},
    {"8b 07", DECODE_16, INSN_MOV, RD | RF, 2, 2, 0, 0},
    {"66 8b 07", DECODE_16, INSN_MOV, RD | RF, 4, 4, 0, 0},
    {"67 66 8b 07", DECODE_16, INSN_MOV, RD | RF, 4, 4, 0, 0},
    {"8b c7", DECODE_64, INSN_OTHER, 0, 0, 0, 0, 0}, /* register only */
    {"0f a2", DECODE_64, INSN_OTHER, 0, 0, 0, 0, 0},
    {"c5 f8 10 07", DECODE_64, INSN_OTHER, 0, 0, 0, 0, 0}, /* vmovups */
    {"f2 0f 10 07", DECODE_64, INSN_OTHER, 0, 0, 0, 0, 0}, /* movsd xmm */
};

static void table_of_encodings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct expected *e = &table[i];
        unsigned count;
        const struct insn *insn = decode_text(e->bytes, e->mode, &count);
        if (insn == NULL || insn->op != e->op || insn->flags != e->flags ||
            insn->size_bytes != e->size || insn->reg_bytes != e->reg_bytes || insn->reg != e->reg ||
            insn->imm != e->imm || insn->length != count) {
            print_message("%s\n", e->bytes);
            assert_non_null(insn);
        }
        assert_int_equal(insn->length, count);
        assert_int_equal(insn->op, e->op);
        assert_int_equal(insn->flags, e->flags);
        assert_int_equal(insn->size_bytes, e->size);
        assert_int_equal(insn->reg_bytes, e->reg_bytes);
        assert_int_equal(insn->reg, e->reg);
        assert_int_equal(insn->imm, e->imm);

        /* Cut anywhere: not an instruction, in the cache or not. */
        uint8_t bytes[16] = {0};
        const struct insn *again = decode_text(e->bytes, e->mode, &count);
        assert_non_null(again);
        for (unsigned k = 0; k < count; k++) {
            unsigned value;
            assert_int_equal(sscanf(e->bytes + 3 * k, "%2x", &value), 1);
            bytes[k] = (uint8_t)value;
        }
        for (unsigned cut = 0; cut < count; cut++) {
            const struct insn *part = decode(&cache, bytes, cut, e->mode);
            assert_true(part == NULL || part->length <= cut);
        }
    }
}

/* Registers as the stub below loads and stores them. */
struct machine {
    uint64_t gpr[16]; /* rSP and rDI are the test's own */
    uint64_t rflags;
};

/*
 * Run one instruction whose memory operand is [rdi] on this CPU: load registers and flags, execute,
 * store them.
 */
static void run_native(const uint8_t *bytes, unsigned length, struct machine *m, void *memory)
{
    static uint8_t *code;
    if (code == NULL) {
        code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                    0);
        assert_true(code != MAP_FAILED);
    }
    memcpy(code, bytes, length);
    code[length] = 0xC3;
    register struct machine *machine __asm__("r15") = m;
    register void *operand __asm__("rdi") = memory;
    register uint8_t *target __asm__("r14") = code;
    __asm__ volatile("subq $128, %%rsp\n" /* the red zone */
                     "pushq 128(%%r15)\n"
                     "popfq\n"
                     "movq 0(%%r15), %%rax\n"
                     "movq 8(%%r15), %%rcx\n"
                     "movq 16(%%r15), %%rdx\n"
                     "movq 24(%%r15), %%rbx\n"
                     "movq 64(%%r15), %%r8\n"
                     "callq *%%r14\n"
                     "movq %%rax, 0(%%r15)\n"
                     "movq %%rcx, 8(%%r15)\n"
                     "movq %%rdx, 16(%%r15)\n"
                     "movq %%rbx, 24(%%r15)\n"
                     "movq %%r8, 64(%%r15)\n"
                     "pushfq\n"
                     "popq 128(%%r15)\n"
                     "addq $128, %%rsp\n"
                     : "+r"(machine), "+r"(operand), "+r"(target)
                     :
                     : "rax", "rcx", "rdx", "rbx", "r8", "memory", "cc");
}

static uint64_t interesting(void)
{
    static const uint64_t values[] = {0,          1,          0x7F,       0x80,
                                      0xFF,       0x7FFF,     0x8000,     0xFFFF,
                                      1 << 30,    0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
                                      1ull << 63, ~0ull,      ~0ull >> 1, 0xFFFFFFFF80000000ull};
    const uint64_t r = random_next();
    return (r & 1) != 0 ? values[(r >> 8) % 16] : random_next();
}

/* Compare what insn_apply() makes of an instruction with what this CPU does. */
static void check_against_cpu(const uint8_t *bytes, unsigned length)
{
    uint8_t padded[16] = {0};
    memcpy(padded, bytes, length);
    const struct insn *insn = decode(&cache, padded, length, DECODE_64);
    assert_non_null(insn);
    assert_int_equal(insn->length, length);
    assert_int_not_equal(insn->op, INSN_OTHER);
    const bool bit_test = insn->op >= INSN_BT && insn->op <= INSN_BTC;
    const bool logic = insn->op == INSN_AND || insn->op == INSN_OR || insn->op == INSN_XOR ||
                       insn->op == INSN_TEST;

    for (unsigned round = 0; round < 200; round++) {
        struct machine native;
        struct machine ours;
        memset(&native, 0, sizeof(native));
        for (unsigned r = 0; r < 16; r++) {
            native.gpr[r] = interesting();
        }
        if (bit_test) { /* keep register bit offsets inside the operand */
            native.gpr[2] &= 15;
        }
        native.rflags = 0x202 | (random_next() & 0x8D5);
        if (insn->op == INSN_CMPXCHG && (round & 1) != 0) {
            native.gpr[0] = interesting() & 0xFF;
        }
        ours = native;
        uint64_t memory = interesting();
        if (insn->op == INSN_CMPXCHG && (round & 1) != 0) {
            memory = native.gpr[0];
        }
        uint64_t native_memory[2] = {memory, 0};
        run_native(bytes, length, &native, native_memory);

        const uint64_t mask =
            insn->size_bytes == 8 ? UINT64_MAX : (1ull << (8 * insn->size_bytes)) - 1;
        const uint64_t result = insn_apply(insn, ours.gpr, &ours.rflags, memory & mask);
        uint64_t our_memory = memory;
        if ((insn->flags & INSN_WRITES) != 0) {
            assert_int_equal(result & ~mask, 0);
            our_memory = (memory & ~mask) | result;
        }
        uint64_t defined = 0x8D5;
        if (bit_test) {
            defined = 0x041; /* CF; ZF is kept */
        } else if (logic) {
            defined = 0x8C5; /* AF is undefined */
        }
        if (our_memory != native_memory[0] || ((ours.rflags ^ native.rflags) & defined) != 0) {
            print_message("op %u size %u bytes %02x %02x %02x\n", insn->op, insn->size_bytes,
                          bytes[0], bytes[1], bytes[2]);
        }
        assert_int_equal(our_memory, native_memory[0]);
        for (unsigned r = 0; r < 4; r++) {
            assert_int_equal(ours.gpr[r], native.gpr[r]);
        }
        assert_int_equal(ours.gpr[8], native.gpr[8]);
        assert_int_equal((ours.rflags ^ native.rflags) & defined, 0);
    }
}

/* ModRM for [rdi]. */
static uint8_t rdi(unsigned reg) { return (uint8_t)((reg & 7) << 3 | 7); }

/* All sizes of an instruction: byte form, 16, 32 and 64 bits. */
static void check_sizes(const uint8_t *map, unsigned map_length, uint8_t byte_opcode,
                        uint8_t opcode, uint8_t modrm, int immediate_bytes)
{
    for (unsigned size = 0; size < 4; size++) {
        uint8_t bytes[16];
        unsigned n = 0;
        if (size == 1) {
            bytes[n++] = 0x66;
        }
        if (size == 3) {
            bytes[n++] = 0x48;
        }
        if (size == 0 && byte_opcode == 0xCC) {
            continue; /* no byte form */
        }
        for (unsigned i = 0; i < map_length; i++) {
            bytes[n++] = map[i];
        }
        bytes[n++] = size == 0 ? byte_opcode : opcode;
        bytes[n++] = modrm;
        int immediate = immediate_bytes;
        if (immediate == 4) {
            immediate = size == 0 ? 1 : size == 1 ? 2 : 4;
        }
        for (int i = 0; i < immediate; i++) {
            bytes[n++] = (uint8_t)random_next();
        }
        check_against_cpu(bytes, n);
    }
}

static void agrees_with_the_cpu(void **state)
{
    (void)state;
    static const uint8_t escape[] = {0x0F};
    for (unsigned op = 0; op < 8; op++) {
        check_sizes(NULL, 0, (uint8_t)(op << 3), (uint8_t)(op << 3 | 1), rdi(2), 0);
        check_sizes(NULL, 0, (uint8_t)(op << 3 | 2), (uint8_t)(op << 3 | 3), rdi(2), 0);
        check_sizes(NULL, 0, 0x80, 0x81, rdi(op), 4);
        check_sizes(NULL, 0, 0xCC, 0x83, rdi(op), 1);
    }
    check_sizes(NULL, 0, 0x84, 0x85, rdi(1), 0); /* TEST */
    check_sizes(NULL, 0, 0xF6, 0xF7, rdi(0), 4);
    check_sizes(NULL, 0, 0xF6, 0xF7, rdi(2), 0); /* NOT */
    check_sizes(NULL, 0, 0xF6, 0xF7, rdi(3), 0); /* NEG */
    check_sizes(NULL, 0, 0xFE, 0xFF, rdi(0), 0); /* INC */
    check_sizes(NULL, 0, 0xFE, 0xFF, rdi(1), 0); /* DEC */
    check_sizes(NULL, 0, 0x86, 0x87, rdi(3), 0); /* XCHG */
    check_sizes(NULL, 0, 0x88, 0x89, rdi(3), 0); /* MOV */
    check_sizes(NULL, 0, 0x8A, 0x8B, rdi(1), 0);
    check_sizes(NULL, 0, 0xC6, 0xC7, rdi(0), 4);
    check_sizes(escape, 1, 0xC0, 0xC1, rdi(3), 0); /* XADD */
    check_sizes(escape, 1, 0xB0, 0xB1, rdi(3), 0); /* CMPXCHG */
    check_sizes(escape, 1, 0xB6, 0xB7, rdi(0), 0); /* MOVZX: the byte form is 32 bits wide */
    check_sizes(escape, 1, 0xBE, 0xBF, rdi(0), 0); /* MOVSX */
    check_sizes(escape, 1, 0xCC, 0xB6, rdi(0), 0);
    check_sizes(escape, 1, 0xCC, 0xBE, rdi(0), 0);
    for (unsigned op = 0; op < 4; op++) {
        check_sizes(escape, 1, 0xCC, (uint8_t)(0xA3 + 8 * op), rdi(2), 0); /* BT, BTS, BTR, BTC */
        check_sizes(escape, 1, 0xCC, 0xBA, rdi(4 + op), 1);
    }
    /* High byte registers: AH, CH, DH, BH; and REX.R. */
    static const uint8_t more[][4] = {
        {0x00, 0x27, 0, 2},    {0x28, 0x2F, 0, 2},    {0x86, 0x37, 0, 2},    {0x8A, 0x3F, 0, 2},
        {0x8A, 0x2F, 0, 2},    {0x88, 0x27, 0, 2},    {0x4C, 0x01, 0x07, 3}, {0x44, 0x88, 0x07, 3},
        {0x4C, 0x63, 0x07, 3}, {0x48, 0x63, 0x0F, 3}, {0x44, 0x8B, 0x07, 3}, {0x48, 0x63, 0x17, 3},
        {0x63, 0x0F, 0, 2},
    };
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        check_against_cpu(more[i], more[i][3]);
    }
}

static void string_instructions_step(void **state)
{
    (void)state;
    unsigned count;
    uint64_t gpr[16] = {0};
    const struct insn *insn = decode_text("f3 66 a5", DECODE_64, &count);
    assert_non_null(insn);
    gpr[1] = 2;
    gpr[6] = 0x1000;
    gpr[7] = 0x2000;
    assert_false(insn_string_idle(insn, gpr));
    assert_false(insn_string_next(insn, gpr, 0));
    assert_int_equal(insn_string_source(insn, gpr), 0x1002);
    assert_int_equal(insn_string_destination(insn, gpr), 0x2002);
    assert_true(insn_string_next(insn, gpr, 0x400)); /* DF: downwards */
    assert_int_equal(gpr[6], 0x1000);
    assert_int_equal(gpr[1], 0);
    assert_true(insn_string_idle(insn, gpr));

    /* 16-bit addresses wrap and leave the rest of the registers alone. */
    insn = decode_text("aa", DECODE_16, &count);
    assert_non_null(insn);
    gpr[7] = 0xABCD1234FFFFull;
    assert_int_equal(insn_string_destination(insn, gpr), 0xFFFF);
    assert_true(insn_string_next(insn, gpr, 0));
    assert_int_equal(gpr[7], 0xABCD12340000ull);

    /* 32-bit addresses in 64-bit mode clear the upper half. */
    insn = decode_text("67 ab", DECODE_64, &count);
    gpr[7] = 0x1FFFFFFFFull;
    assert_true(insn_string_next(insn, gpr, 0));
    assert_int_equal(gpr[7], 3);

    uint64_t flags = 2;
    insn = decode_text("65 ac", DECODE_64, &count); /* lodsb gs: */
    assert_int_equal(insn->segment, 5);
    gpr[0] = 0x1111;
    (void)insn_apply(insn, gpr, &flags, 0x22);
    assert_int_equal(gpr[0], 0x1122);
    insn = decode_text("ab", DECODE_64, &count);
    assert_int_equal(insn_apply(insn, gpr, &flags, 0), 0x1122);
}

#define ZF 0x40u
#define CF 0x01u

static void string_comparisons_step(void **state)
{
    (void)state;
    unsigned count;
    uint64_t gpr[16] = {0x7777, 3}, flags = 0x400;
    const struct insn *insn = decode_text("f3 66 a7", DECODE_64, &count);
    gpr[6] = 0x1004;
    gpr[7] = 0x2004;
    insn_compare(insn, gpr, &flags, 0x51234, 0x61234); /* 16 bits of them */
    assert_int_equal(flags & (ZF | CF), ZF);
    assert_false(insn_string_next(insn, gpr, flags));
    insn_compare(insn, gpr, &flags, 1, 2);
    assert_int_equal(flags & (ZF | CF), CF);
    assert_true(insn_string_next(insn, gpr, flags)); /* they differ: REPE ends, one is left */
    assert_int_equal(gpr[1], 1);
    assert_int_equal(gpr[6], 0x1000);
    assert_int_equal(gpr[7], 0x2000);

    insn = decode_text("f2 ae", DECODE_64, &count); /* repne scasb: looks for AL */
    flags = 0;
    insn_compare(insn, gpr, &flags, 0, 0x76);
    assert_int_equal(flags & (ZF | CF), 0);
    gpr[1] = 2;
    assert_false(insn_string_next(insn, gpr, flags));
    insn_compare(insn, gpr, &flags, 0, 0x77);
    assert_int_equal(flags & (ZF | CF), ZF);
    assert_true(insn_string_next(insn, gpr, flags));
    assert_int_equal(gpr[1], 0);
    assert_int_equal(gpr[6], 0x1000); /* SCAS has no source */
    assert_int_equal(gpr[7], 0x2002);
}

static void cache_knows_bytes_and_mode(void **state)
{
    (void)state;
    memset(&cache, 0, sizeof(cache));
    uint8_t bytes[16] = {0x8B, 0x07, 0x90, 0x90, 1, 2, 3};
    assert_int_equal(decode(&cache, bytes, 15, DECODE_64)->size_bytes, 4);
    assert_int_equal(cache.misses, 1);
    assert_int_equal(decode(&cache, bytes, 15, DECODE_64)->size_bytes, 4);
    bytes[5] = 99; /* behind the instruction */
    bytes[15] = 99;
    assert_int_equal(decode(&cache, bytes, 15, DECODE_64)->size_bytes, 4);
    assert_int_equal(cache.misses, 1);
    assert_int_equal(decode(&cache, bytes, 15, DECODE_16)->size_bytes, 2);
    assert_int_equal(cache.misses, 2);
    assert_null(decode(&cache, bytes, 1, DECODE_16)); /* known, but not all of it was fetched */
    bytes[1] = 0x0F;
    assert_int_equal(decode(&cache, bytes, 15, DECODE_64)->reg, 1);
    /* All zero bytes are an instruction too, and an empty cache does not know it. */
    memset(&cache, 0, sizeof(cache));
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(decode(&cache, bytes, 15, DECODE_64)->op, INSN_ADD);
    assert_int_equal(cache.misses, 1);
}

static void system_instructions_have_lengths(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[16];
        unsigned count;
        enum decode_mode mode;
        enum system_insn what;
        unsigned length;
    } rows[] = {
        {{0x0F, 0xA2}, 2, DECODE_64, SYSTEM_CPUID, 2},
        {{0x66, 0x0F, 0xA2}, 15, DECODE_64, SYSTEM_CPUID, 3},
        {{0xF3, 0x48, 0x0F, 0xA2}, 15, DECODE_64, SYSTEM_CPUID, 4},
        {{0x48, 0x0F, 0xA2}, 15, DECODE_32, SYSTEM_NONE, 0}, /* dec eax there */
        {{0x0F, 0x32}, 15, DECODE_16, SYSTEM_RDMSR, 2},
        {{0x0F, 0x30}, 15, DECODE_64, SYSTEM_WRMSR, 2},
        {{0x0F, 0x01, 0xD9}, 15, DECODE_64, SYSTEM_VMMCALL, 3},
        {{0x0F, 0x01, 0xC1}, 15, DECODE_64, SYSTEM_VMCALL, 3},
        {{0x0F, 0x01, 0xD9}, 2, DECODE_64, SYSTEM_NONE, 0},
        {{0xF4}, 1, DECODE_64, SYSTEM_HLT, 1},
        {{0xF3, 0x90}, 2, DECODE_64, SYSTEM_PAUSE, 2},
        {{0x90}, 1, DECODE_64, SYSTEM_NONE, 0},
        {{0x0F}, 1, DECODE_64, SYSTEM_NONE, 0},
        {{0x0F, 0x0B}, 2, DECODE_64, SYSTEM_NONE, 0},
        {{0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
          0x66},
         15,
         DECODE_64,
         SYSTEM_NONE,
         0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned length = 0;
        assert_int_equal(decode_system(rows[i].bytes, rows[i].count, rows[i].mode, &length),
                         rows[i].what);
        assert_int_equal(length, rows[i].length);
        if (rows[i].what != SYSTEM_NONE) { /* Zydis agrees on the length */
            const struct insn *insn = decode(&cache, rows[i].bytes, rows[i].count, rows[i].mode);
            assert_non_null(insn);
            assert_int_equal(insn->length, length);
        }
    }
}

/* Random bytes: always an answer within bounds; cache and no cache agree; nothing undefined
 * happens. */
static void random_bytes_do_no_harm(void **state)
{
    (void)state;
    static const uint8_t prefixes[] = {0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x48, 0x2E, 0x65};
    static struct decode_cache fresh;
    uint64_t gpr[16] = {0};
    uint64_t rflags = 2;
    unsigned carried_out = 0;
    for (unsigned round = 0; round < 300000; round++) {
        uint8_t bytes[16];
        const uint64_t a = random_next();
        const uint64_t b = random_next();
        memcpy(bytes, &a, 8);
        memcpy(bytes + 8, &b, 8);
        if ((round & 3) == 0) {
            bytes[0] = prefixes[b >> 61];
        }
        if ((round & 7) == 1) {
            bytes[0] = 0x0F;
        }
        const enum decode_mode mode = (enum decode_mode)(1 + round % 3);
        const unsigned count = (unsigned)(random_next() % 16);
        const struct insn *insn = decode(&cache, bytes, count, mode);
        unsigned length = 0;
        if (decode_system(bytes, count, mode, &length) != SYSTEM_NONE) {
            assert_in_range(length, 1, count);
        }
        if (insn == NULL) {
            continue;
        }
        assert_in_range(insn->length, 1, count);
        memset(fresh.entries, 0, sizeof(fresh.entries));
        assert_memory_equal(decode(&fresh, bytes, count, mode), insn, sizeof(*insn));
        if (insn->op == INSN_OTHER) {
            continue;
        }
        carried_out++;
        assert_true(insn->size_bytes == 1 || insn->size_bytes == 2 || insn->size_bytes == 4 ||
                    insn->size_bytes == 8);
        assert_in_range(insn->reg, 0, 15);
        assert_true((insn->flags & (INSN_READS | INSN_WRITES)) != 0);
        (void)insn_apply(insn, gpr, &rflags, random_next());
        if (insn->op >= INSN_MOVS) {
            (void)insn_string_idle(insn, gpr);
            (void)insn_string_next(insn, gpr, rflags);
        }
    }
    assert_true(carried_out > 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_encodings),
        cmocka_unit_test(agrees_with_the_cpu),
        cmocka_unit_test(string_instructions_step),
        cmocka_unit_test(string_comparisons_step),
        cmocka_unit_test(cache_knows_bytes_and_mode),
        cmocka_unit_test(system_instructions_have_lengths),
        cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
