/*
 * Instructions that a VM exit hands to the monitor: their length, and what they do with memory.
 * A cache keyed by bytes and mode (never by address) makes the second time short. Carrying out is
 * split from decoding, so that one decoded instruction serves any register values.
 * May call: Zydis (decode.c only). Never touches guest memory or registers other than those given.
 */
#ifndef VMM_MONITOR_DECODE_H
#define VMM_MONITOR_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Size of code: CS.L, else CS.D. */
enum decode_mode { DECODE_16 = 1, DECODE_32 = 2, DECODE_64 = 3 };

enum insn_op {
    INSN_OTHER, /* length only: not an access to memory that can be carried out here */
    INSN_MOV,   /* any plain load or store; loads extend as the flags say */
    INSN_MOVBE, /* load or store of swapped bytes */
    INSN_ADD,
    INSN_OR,
    INSN_ADC,
    INSN_SBB,
    INSN_AND,
    INSN_SUB,
    INSN_XOR,
    INSN_CMP,
    INSN_TEST,
    INSN_INC,
    INSN_DEC,
    INSN_NOT,
    INSN_NEG,
    INSN_XCHG,
    INSN_XADD,
    INSN_CMPXCHG,
    INSN_BT,
    INSN_BTS,
    INSN_BTR,
    INSN_BTC,
    INSN_MOVS, /* memory to memory: reads DS:rSI (or another segment), writes ES:rDI */
    INSN_STOS, /* writes ES:rDI */
    INSN_LODS, /* reads DS:rSI (or another segment) */
    INSN_CMPS, /* reads that and ES:rDI: insn_compare() instead of insn_apply() */
    INSN_SCAS, /* reads ES:rDI, and compares it with rAX: the same */
};

#define INSN_READS     0x01u /* reads memory of size_bytes */
#define INSN_WRITES    0x02u /* writes memory of size_bytes */
#define INSN_SIGN      0x04u /* a load sign-extends to reg_bytes; otherwise it zero-extends */
#define INSN_REPNE     0x04u /* of CMPS, SCAS: INSN_REP goes on while they differ */
#define INSN_IMMEDIATE 0x08u /* the operand that is not memory is imm, not reg */
#define INSN_HIGH_BYTE 0x10u /* reg is AH, CH, DH or BH: bits 8..15 of registers 0..3 */
#define INSN_REG_FIRST 0x20u /* the register is the first operand (destination) */
#define INSN_REP       0x40u /* a string instruction with REP */
#define INSN_LOCK      0x80u

/** A decoded instruction. Registers are numbered as the CPU encodes them: rAX, rCX, rDX, rBX,
 * rSP... */
struct insn {
    uint8_t length; /* bytes, 1..15 */
    uint8_t op;     /* enum insn_op */
    uint8_t flags;  /* INSN_* */
    uint8_t size_bytes;
    uint8_t reg_bytes; /* of a load's destination; else equal to size_bytes */
    uint8_t reg;
    uint8_t address_bytes; /* 2, 4 or 8: size of rSI, rDI, rCX in string instructions */
    uint8_t segment;       /* of the memory source: 0 ES, 1 CS, 2 SS, 3 DS, 4 FS, 5 GS */
    uint64_t imm;          /* already extended to 64 bits */
};

#define DECODE_CACHE_ENTRIES 64u
#define DECODE_MAX_BYTES     15u

struct decode_entry {
    uint64_t key[2];  /* the instruction's bytes; top byte: mode */
    uint64_t mask[2]; /* which bytes count */
    struct insn insn;
    uint64_t pad[2]; /* one cache line in all */
};

/** One per vCPU thread. All zero is empty. */
struct decode_cache {
    struct decode_entry entries[DECODE_CACHE_ENTRIES];
    uint64_t misses;
};

/** Look in the cache's misses' path: decode with Zydis and remember. See decode(). */
const struct insn *decode_miss(struct decode_cache *cache, const uint8_t bytes[16], unsigned count,
                               enum decode_mode mode);

/**
 * Decode one instruction.
 *
 * @param bytes 16 readable bytes (the last one is ignored), of which the first
 * @param count were fetched from the guest, 0..15
 * @return the instruction, valid until the next call with this cache; NULL when the bytes are not an
 *         instruction or end inside one (with count below 15, fetching more may help)
 */
static inline const struct insn *decode(struct decode_cache *cache, const uint8_t bytes[16],
                                        unsigned count, enum decode_mode mode)
{
    uint64_t low;
    uint64_t high;
    __builtin_memcpy(&low, bytes, sizeof(low));
    __builtin_memcpy(&high, bytes + 8, sizeof(high));
    high = (high & 0x00FFFFFFFFFFFFFFull) | (uint64_t)mode << 56;

    /* Instructions that touch memory differ within their first four bytes. */
    const uint32_t hash = (uint32_t)low * 0x9E3779B1u;
    const struct decode_entry *e = &cache->entries[hash >> 26];
    if ((((low ^ e->key[0]) & e->mask[0]) | ((high ^ e->key[1]) & e->mask[1])) == 0 &&
        e->insn.length != 0 && e->insn.length <= count) {
        return &e->insn;
    }
    return decode_miss(cache, bytes, count, mode);
}

/** Instructions whose exits come without the next RIP on some CPUs. */
enum system_insn {
    SYSTEM_NONE,
    SYSTEM_CPUID,
    SYSTEM_RDMSR,
    SYSTEM_WRMSR,
    SYSTEM_VMMCALL,
    SYSTEM_VMCALL,
    SYSTEM_HLT,
    SYSTEM_XSETBV,
    SYSTEM_RDTSC,
    SYSTEM_RDTSCP,
    SYSTEM_RDPMC,
    SYSTEM_INVD,
    SYSTEM_WBINVD,
    SYSTEM_MONITOR,
    SYSTEM_MWAIT,
    SYSTEM_PAUSE,
};

/** The part of decode_system() for bytes that begin with a prefix or are rarer. */
enum system_insn decode_system_slow(const uint8_t bytes[16], unsigned count, enum decode_mode mode,
                                    unsigned *length);

/**
 * Recognise one of the instructions above, with any prefixes, without a full decoding.
 * @param[out] length in bytes, written unless SYSTEM_NONE is returned
 */
static inline enum system_insn decode_system(const uint8_t bytes[16], unsigned count,
                                             enum decode_mode mode, unsigned *length)
{
    if (count >= 2 && bytes[0] == 0x0F && bytes[1] == 0xA2) {
        *length = 2;
        return SYSTEM_CPUID;
    }
    return decode_system_slow(bytes, count, mode, length);
}

/**
 * Carry out the part of an instruction that is not the access itself. Call it once the memory
 * operand has been read (when INSN_READS); write what it returns (when INSN_WRITES). The caller
 * moves RIP.
 *
 * @param insn    not INSN_OTHER, INSN_CMPS, INSN_SCAS
 * @param gpr     16 registers in the CPU's order, rSP at 4; changed as the instruction says
 * @param rflags  arithmetic flags are changed exactly as the CPU does; those that the manuals leave
 *                undefined are cleared (AND, OR, XOR, TEST: AF) or kept (BT: all but CF)
 * @param memory  what was read, zero-extended; ignored without INSN_READS
 * @return what to write, in the low size_bytes
 */
uint64_t insn_apply(const struct insn *insn, uint64_t gpr[16], uint64_t *rflags, uint64_t memory);

/** What CMPS and SCAS do with the first (CMPS alone) and the second of their operands: they leave
 * the flags of a comparison. */
void insn_compare(const struct insn *insn, const uint64_t gpr[16], uint64_t *rflags, uint64_t first,
                  uint64_t second);

/** @return whether a string instruction has nothing to do: REP with rCX = 0. */
bool insn_string_idle(const struct insn *insn, const uint64_t gpr[16]);

/** Offsets of a string instruction's source and destination, within segment and ES. */
uint64_t insn_string_source(const struct insn *insn, const uint64_t gpr[16]);
uint64_t insn_string_destination(const struct insn *insn, const uint64_t gpr[16]);

/**
 * One element of a string instruction is done: move rSI, rDI and rCX.
 * @param rflags as the element has left them
 * @return whether the instruction is complete, so that RIP moves
 */
bool insn_string_next(const struct insn *insn, uint64_t gpr[16], uint64_t rflags);

#endif
