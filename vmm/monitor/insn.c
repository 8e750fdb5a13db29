/*
 * Skipping the instruction that has exited. The hardware often says where the next one is; where it
 * does not (AMD without next-RIP save), the instruction is known from the exit reason and only its
 * prefixes are not. May call: walk.c.
 */
#include "monitor.h"
#include "string.h"

/* One vCPU alone executes the same bytes each time. */
#define RETRIES 1000u

void insn_stepped(void)
{
    if (self()->flags & BH_RUN_INJECT) return;
    read_state(BH_STATE_DR);
    page()->state.dr6 |= DR6_BS;
    self()->flags |= BH_STATE_DR;
    inject_exception(VEC_DB, -1);
}

void insn_retry(const char *text)
{
    struct vcpu *v = self();
    uint64_t nth = v->exits[v->exit_reason];

    /* In a row: one that went well in between, however long ago the others were, begins anew. */
    if (v->retry_rip != v->page->rip || nth != v->retry_exit + 1u) v->retries = 0;
    v->retry_rip = v->page->rip;
    v->retry_exit = nth;
    if (++v->retries > RETRIES) vm_stop(text);
}

static uint64_t linear_rip(void)
{
    const struct bh_vcpu_page *p = page();

    return mode_64() ? p->rip : (p->state.seg[BH_CS].base + p->rip) & 0xffffffffu;
}

size_t insn_fetch(uint8_t bytes[16])
{
    uint64_t rip = linear_rip();
    const uint8_t *cached = code_page_cached(rip);

    if (cached && (rip & 4095u) <= 4096u - 16u) {
        memcpy(bytes, cached + (rip & 4095u), 16);
        return 15;
    }
    memset(bytes, 0, 16);
    code_page_remember(rip);
    return linear_read(rip, bytes, 15);
}

bool insn_between_sti_and_hlt(void)
{
    uint8_t bytes[2];

    read_state(BH_STATE_SEG | BH_STATE_CR);
    return linear_read(linear_rip() - 1u, bytes, 2) == 2u && bytes[0] == 0xfb && bytes[1] == 0xf4;
}

static bool is_prefix(uint8_t b, bool long_mode)
{
    switch (b) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xf0:
    case 0xf2:
    case 0xf3: return true;
    default: return long_mode && (b & 0xf0u) == 0x40u;
    }
}

void exit_brings_state(void)
{
    struct vcpu *v = self();

    if (v->wants_mmio >> v->exit_reason & 1u) return;
    read_state(BH_STATE_SEG | BH_STATE_CR);
    if (bh_vcpu_want(BH_MONITOR_SLOT_VCPU + v->number, v->exit_reason, BH_GROUP_MMIO).err == BH_OK)
        v->wants_mmio |= 1u << v->exit_reason;
}

void insn_skip_slow(uint32_t opcode, unsigned length)
{
    struct bh_vcpu_page *p = page();
    uint8_t bytes[16];
    size_t have, at = 0;
    uint32_t found = 0;
    uint64_t next;

    read_state(BH_STATE_SEG | BH_STATE_CR);
    have = insn_fetch(bytes);
    while (at < have && is_prefix(bytes[at], mode_64())) at++;
    if (at + length > have) {
        insn_retry("instruction not readable");
        return;
    }
    memcpy(&found, bytes + at, length);
    if (found != opcode) {
        insn_retry("instruction is not the one that exited");
        return;
    }
    next = p->rip + at + length;
    if (!mode_64()) next &= p->state.seg[BH_CS].attr & CS_32 ? 0xffffffffu : 0xffffu;
    insn_go(next);
    exit_brings_state(); /* what the quick way needs */
}
