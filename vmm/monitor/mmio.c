/*
 * Accesses of the guest to memory that is not RAM: decode the instruction, do the access, carry out
 * the rest. May call: decode.h, platform.c, walk.c.
 */
#include "decode.h"
#include "mmio.h"
#include "monitor.h"
#include "string.h"

#define STRING_STEPS 1024u

static inline enum decode_mode mode(void)
{
    const struct bh_vcpu_state *s = &page()->state;

    if ((s->efer & EFER_LMA) && (s->seg[BH_CS].attr & CS_LONG)) return DECODE_64;
    return s->seg[BH_CS].attr & CS_32 ? DECODE_32 : DECODE_16;
}

uint64_t device_read_bytes(uint64_t gpa, unsigned size_bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size_bytes; i++) value |= (mmio_read(gpa + i, 1) & 0xffu) << (8u * i);
    return value;
}

static void device_write(uint64_t gpa, unsigned size_bytes, uint64_t value)
{
    if ((gpa & 4095u) + size_bytes <= 4096u) {
        mmio_write(gpa, size_bytes, value);
        return;
    }
    for (unsigned i = 0; i < size_bytes; i++) mmio_write(gpa + i, 1, value >> (8u * i) & 0xffu);
}

bool string_access(uint64_t linear, unsigned size, bool write, uint64_t *value)
{
    uint64_t gpa;
    void *p;

    if (!mode_64()) linear &= 0xffffffffu;
    if (!operand_ok(linear, size, write) || !walk(linear, &gpa)) return false;
    if ((gpa & 4095u) + size > 4096u) { /* what follows in memory need not be the next page */
        uint64_t bytes = write ? *value : 0;

        for (unsigned i = 0; i < size; i++) {
            uint64_t byte = bytes >> (8u * i) & 0xffu;

            (void)string_access(linear + i, 1, write, &byte);
            if (!write) bytes |= byte << (8u * i);
        }
        if (!write) *value = bytes;
        return true;
    }
    p = memory_seen(gpa, size, write);
    if (write && p)
        memcpy(p, value, size);
    else if (write)
        device_write(gpa, size, *value);
    else if (p)
        memcpy(value, p, size);
    else
        *value = device_read(gpa, size);
    return true;
}

static uint64_t segment_base(unsigned seg)
{
    if (mode_64() && seg != BH_FS && seg != BH_GS) return 0;
    return page()->state.seg[seg < BH_LDTR ? seg : BH_DS].base;
}

static bool string_read(const struct insn *insn, unsigned segment, uint64_t offset, uint64_t *value)
{
    return string_access(segment_base(segment) + offset, insn->size_bytes, false, value);
}

static bool string_compare(const struct insn *insn)
{
    struct bh_vcpu_page *p = page();
    uint64_t first = 0, second = 0;

    if ((insn->op == INSN_CMPS &&
         !string_read(insn, insn->segment, insn_string_source(insn, p->gpr), &first)) ||
        !string_read(insn, BH_ES, insn_string_destination(insn, p->gpr), &second))
        return false;
    insn_compare(insn, p->gpr, &p->rflags, first, second);
    self()->flags |= BH_STATE_FLAGS;
    return true;
}

static bool string_move(const struct insn *insn)
{
    struct bh_vcpu_page *p = page();
    uint64_t value = 0;

    if ((insn->flags & INSN_READS) &&
        !string_read(insn, insn->segment, insn_string_source(insn, p->gpr), &value))
        return false;
    value = insn_apply(insn, p->gpr, &p->rflags, value);
    return !(insn->flags & INSN_WRITES) ||
           string_access(segment_base(BH_ES) + insn_string_destination(insn, p->gpr),
                         insn->size_bytes, true, &value);
}

/* @return true when the instruction is complete. */
static bool string_instruction(const struct insn *insn)
{
    struct bh_vcpu_page *p = page();
    uint64_t begun = rt_tsc();

    read_state(BH_STATE_SEG | BH_STATE_CR);
    if (insn_string_idle(insn, p->gpr)) return true;
    for (unsigned i = 0; i < STRING_STEPS && !string_expired(i, begun); i++) {
        if (!(insn->op >= INSN_CMPS ? string_compare(insn) : string_move(insn))) return false;
        if (insn_string_next(insn, p->gpr, p->rflags)) return true;
    }
    return false;
}

/* The bytes that the processor has fetched may end inside the instruction, at the end of a page
 * (AMD APM vol. 2, 15.8.4). */
static const struct insn *decode_exit(uint8_t bytes[16])
{
    struct bh_vcpu_page *p = page();
    size_t n = p->insn_bytes_len;
    const struct insn *insn = NULL;

    if (n && n < 16u) {
        memcpy(bytes, p->insn_bytes, 16);
        insn = decode(&self()->decode, bytes, (unsigned)n, mode());
    }
    if (insn) return insn;
    n = insn_fetch(bytes);
    return decode(&self()->decode, bytes, (unsigned)n, mode());
}

/*
 * Another thread of the guest's ring 3, which may read here and not write, can have put a store in
 * the place of the load that the processor has let through. A store's exit says that it is one;
 * that of a read-modify-write does on Intel's processors (SDM vol. 3C, table 28-7).
 */
static bool stores_rightly(const struct insn *insn)
{
    return !(insn->flags & INSN_WRITES) || (page()->info & BH_MEM_WRITE) ||
           ((insn->flags & INSN_READS) && start_block()->backend != BH_BACKEND_VMX);
}

void exit_memory(void)
{
    struct bh_vcpu_page *p = page();
    uint64_t gpa = p->qual, memory = 0, rflags = p->rflags, next;
    const struct insn *insn;
    uint8_t bytes[16];

    if (p->info & BH_MEM_WALK) {
        if (!memory_lend(gpa)) vm_stop("page tables outside RAM");
        return;
    }
    if (p->info & BH_MEM_FETCH) {
        /* A hole reads all ones, and FF FF is no instruction. Or was it one for a moment? */
        if (memory_seen(gpa, 1, false))
            insn_retry("code that cannot be fetched");
        else
            inject_exception(VEC_UD, -1);
        return;
    }
    insn = decode_exit(bytes);
    if (!insn) {
        insn_retry("instruction that accesses a device is not one");
        return;
    }
    next = p->rip + insn->length;
    if (insn->op == INSN_OTHER) {
        if ((p->info & BH_MEM_WRITE) && memory_lend(gpa)) return;
        if (mmio_rare(bytes, insn->length, mode(), gpa)) insn_go(next);
        return;
    }
    if (insn->op >= INSN_MOVS) {
        if (string_instruction(insn)) insn_go(next);
        return;
    }
    if (!stores_rightly(insn)) {
        insn_retry("store in the place of a load");
        return;
    }
    if (insn->flags & INSN_READS) memory = device_read(gpa, insn->size_bytes);
    memory = insn_apply(insn, p->gpr, &rflags, memory);
    if (insn->flags & INSN_WRITES) device_write(gpa, insn->size_bytes, memory);
    if (rflags != p->rflags) {
        p->rflags = rflags;
        self()->flags |= BH_STATE_FLAGS;
    }
    if (insn->reg == RSP) self()->flags |= BH_STATE_RSP;
    insn_go(next);
}
