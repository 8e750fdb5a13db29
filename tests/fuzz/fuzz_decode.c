// sources: vmm/monitor/decode.c vmm/monitor/decode_apply.c build/vmm/libzydis.a
// flags: -Ivmm/monitor -isystem build/third-party/zydis/include
/*
 * Instruction decoder: any bytes in any mode, decoded twice (the second time from the cache) and
 * carried out on any registers. What must hold: lengths within what was fetched, numbers within
 * their tables, the same answer with and without the cache, only the named registers change.
 */
#include "input.h"
#include "decode.h"

static struct decode_cache cache, fresh;

static void check_insn(const struct insn *i, unsigned count)
{
    CHECK(i->length >= 1u && i->length <= count && i->length <= DECODE_MAX_BYTES);
    CHECK(i->op <= INSN_SCAS);
    if (i->op == INSN_OTHER) return;
    CHECK(i->size_bytes == 1u || i->size_bytes == 2u || i->size_bytes == 4u || i->size_bytes == 8u);
    CHECK(i->reg_bytes >= i->size_bytes && i->reg_bytes <= 8u && i->reg < 16u && i->segment < 6u);
    CHECK(i->address_bytes == 2u || i->address_bytes == 4u || i->address_bytes == 8u);
    CHECK((i->flags & (INSN_READS | INSN_WRITES)) != 0);
    if (i->flags & INSN_HIGH_BYTE) CHECK(i->reg < 4u && i->size_bytes == 1u);
}

static void check_apply(const struct insn *i, struct input *in)
{
    uint64_t gpr[16], before[16], rflags = take(in, 2) | 2u, old = rflags, memory = take_value(in);
    uint64_t ones = i->size_bytes >= 8u ? UINT64_MAX : ((uint64_t)1 << (8u * i->size_bytes)) - 1u;

    for (unsigned n = 0; n < 16u; n++) gpr[n] = before[n] = take_value(in);
    if (i->op >= INSN_MOVS && insn_string_idle(i, gpr)) return;
    if (i->op >= INSN_CMPS)
        insn_compare(i, gpr, &rflags, memory, ~memory);
    else
        (void)(insn_apply(i, gpr, &rflags, memory & ones));
    CHECK(((rflags ^ old) & ~(uint64_t)0x8d5u) == 0); /* arithmetic flags only */
    for (unsigned n = 0; n < 16u; n++)
        CHECK(gpr[n] == before[n] || n == i->reg || (n == 0 && i->op == INSN_CMPXCHG));
    if (i->op < INSN_MOVS) return;
    (void)insn_string_source(i, gpr);
    (void)insn_string_destination(i, gpr);
    memcpy(before, gpr, sizeof(gpr));
    (void)insn_string_next(i, gpr, rflags);
    for (unsigned n = 0; n < 16u; n++) CHECK(gpr[n] == before[n] || n == 1u || n == 6u || n == 7u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    memset(&cache, 0, sizeof(cache));
    for (unsigned steps = 0; more(&in) && steps < 32u; steps++) {
        uint8_t bytes[16] = {0}, how = (uint8_t)take(&in, 1);
        enum decode_mode mode = (enum decode_mode)(how % 3u + 1u);
        unsigned count = how >= 0xc0u ? how & 15u : 15u, length = 0, n;
        const struct insn *i, *again;
        enum system_insn s;

        n = 1u + (unsigned)(take(&in, 1) % 16u);
        for (unsigned k = 0; k < n; k++) bytes[k] = (uint8_t)take(&in, 1);
        s = decode_system(bytes, count, mode, &length);
        CHECK(s == SYSTEM_NONE || (length >= 1u && length <= count));
        i = decode(&cache, bytes, count, mode);
        memset(&fresh, 0, sizeof(fresh));
        again = decode(&fresh, bytes, count, mode);
        CHECK((i == NULL) == (again == NULL));
        if (i == NULL) continue;
        CHECK(memcmp(i, again, sizeof(*i)) == 0 && decode(&cache, bytes, count, mode) == i);
        check_insn(i, count);
        if (s != SYSTEM_NONE) CHECK(i->length == length && i->op == INSN_OTHER);
        if (i->op != INSN_OTHER) check_apply(i, &in);
    }
    return 0;
}
