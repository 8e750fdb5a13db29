/*
 * Local APIC. Section numbers are those of the Intel SDM vol. 3A, chapter 11. Every register is
 * reached through one table of word registers, whatever the interface; the xAPIC page and the
 * x2APIC MSRs differ only in what they check. May call: host clock, TSC, IPI and EOI callbacks.
 */
#include "lapic.h"
#include "dev_util.h"

#include <string.h>

/* Register numbers: MMIO offset / 16 = x2APIC MSR - 0x800 (table 11-6). */
enum {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_APR = 0x09,
    REG_PPR = 0x0a,
    REG_EOI = 0x0b,
    REG_RRD = 0x0c,
    REG_LDR = 0x0d,
    REG_DFR = 0x0e,
    REG_SVR = 0x0f,
    REG_ISR = 0x10,
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_ICR = 0x30,
    REG_ICR_HIGH = 0x31,
    REG_LVT_TIMER = 0x32,
    REG_LVT_ERROR = 0x37,
    REG_INITIAL = 0x38,
    REG_CURRENT = 0x39,
    REG_DIVIDE = 0x3e,
    REG_SELF_IPI = 0x3f,
};

enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR };

#define VERSION 0x00050014u /* version 0x14, six LVT entries, no EOI-broadcast suppression */

#define LVT_MASKED       0x00010000u
#define LVT_LEVEL        0x00008000u
#define LVT_TIMER_MODE   0x00060000u
#define TIMER_PERIODIC   0x00020000u
#define TIMER_DEADLINE   0x00040000u
#define LVT_MODE(lvt)    ((lvt) >> 8 & 7u)
#define SVR_ENABLED      0x00000100u
#define SVR_WRITABLE     0x000001ffu
#define ESR_SEND_ILLEGAL 0x20u
#define ESR_RECV_ILLEGAL 0x40u
#define ESR_BAD_REGISTER 0x80u
#define ICR_LOGICAL      0x00000800u
#define ICR_ASSERT       0x00004000u
#define ICR_LEVEL        0x00008000u
#define ICR_WRITABLE     0x000ccfffu

/* Writable bits of each LVT entry (figure 11-8). */
static const uint32_t lvt_writable[6] = {
    [LVT_TIMER] = 0x000700ff, [LVT_THERMAL] = 0x000107ff, [LVT_PERF] = 0x000107ff,
    [LVT_LINT0] = 0x0001a7ff, [LVT_LINT1] = 0x0001a7ff,   [LVT_ERROR] = 0x000100ff,
};

static bool bit_get(const uint32_t *map, unsigned n)
{
    return (map[n >> 5 & 7u] >> (n & 31u) & 1u) != 0;
}

static void bit_set(uint32_t *map, unsigned n, bool on)
{
    uint32_t bit = 1u << (n & 31u);

    if (on)
        map[n >> 5 & 7u] |= bit;
    else
        map[n >> 5 & 7u] &= ~bit;
}

/* The same in a map that is searched. */
static void vector_set(struct lapic_vectors *v, unsigned n)
{
    v->map[n >> 5 & 7u] |= 1u << (n & 31u);
    v->words |= 1u << (n >> 5 & 7u);
}

static void vector_clear(struct lapic_vectors *v, unsigned n)
{
    v->map[n >> 5 & 7u] &= ~(1u << (n & 31u));
    if (v->map[n >> 5 & 7u] == 0) v->words &= ~(1u << (n >> 5 & 7u));
}

/* Highest set vector, -1 if none. */
static int vector_highest(const struct lapic_vectors *v)
{
    for (uint32_t words = v->words & 0xffu; words;) {
        unsigned i = 31u - (unsigned)__builtin_clz(words);

        if (v->map[i] != 0) return (int)(i * 32u + 31u) - __builtin_clz(v->map[i]);
        words &= ~(1u << i);
    }
    return -1;
}

/* Fields marked (*) are seen by other threads as they are at some moment. */
#define SEEN(field)        __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define SHOW(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

bool lapic_enabled(const struct lapic *l) { return (SEEN(l->base_msr) & APIC_BASE_ENABLE) != 0; }

bool lapic_x2apic(const struct lapic *l) { return (SEEN(l->base_msr) & APIC_BASE_X2APIC) != 0; }

static bool software_enabled(const struct lapic *l) { return (SEEN(l->svr) & SVR_ENABLED) != 0; }

/* 11.8.3.1: the higher of task priority and the class of the interrupt in service. */
static uint8_t ppr(const struct lapic *l)
{
    int isr = vector_highest(&l->isr);
    unsigned in_service = isr < 0 ? 0u : (unsigned)isr & 0xf0u;

    return (uint8_t)((l->tpr & 0xf0u) >= in_service ? l->tpr : in_service);
}

int lapic_pending_vector(const struct lapic *l)
{
    int vector = vector_highest(&l->irr);

    if (!lapic_enabled(l) || vector < 0 || ((unsigned)vector & 0xf0u) <= (ppr(l) & 0xf0u))
        return -1;
    return vector;
}

int lapic_ack(struct lapic *l)
{
    int vector = lapic_pending_vector(l);

    if (vector < 0) return -1;
    vector_clear(&l->irr, (unsigned)vector);
    vector_set(&l->isr, (unsigned)vector);
    return vector;
}

static void error_raise(struct lapic *l, uint32_t bits);

/* A fixed interrupt arrives (11.8.4). A second one of the same vector merges with the first. */
static void vector_raise(struct lapic *l, uint8_t vector, bool level)
{
    if (!software_enabled(l) || !lapic_enabled(l)) return;
    if (vector < 16u) {
        error_raise(l, ESR_RECV_ILLEGAL);
        return;
    }
    bit_set(l->tmr, vector, level);
    vector_set(&l->irr, vector);
}

/* 11.5.3: errors collect until the guest writes ESR, which also re-arms the interrupt. */
static void error_raise(struct lapic *l, uint32_t bits)
{
    uint32_t lvt = l->lvt[LVT_ERROR];
    bool fresh = (bits & ~l->esr_pending) != 0;

    l->esr_pending |= bits;
    /* An illegal vector in the error entry itself must not raise another error. */
    if (fresh && !(lvt & LVT_MASKED) && (lvt & 0xffu) >= 16u) vector_raise(l, (uint8_t)lvt, false);
}

/* An event at a local vector table entry (11.5.1). */
static void lvt_deliver(struct lapic *l, unsigned entry)
{
    uint32_t lvt = l->lvt[entry];

    if ((lvt & LVT_MASKED) || !lapic_enabled(l)) return;
    switch (entry == LVT_TIMER || entry == LVT_ERROR ? (unsigned)APIC_FIXED : LVT_MODE(lvt)) {
    case APIC_FIXED: vector_raise(l, (uint8_t)lvt, entry == LVT_LINT0 && (lvt & LVT_LEVEL)); break;
    case APIC_SMI: l->smi_pending = true; break;
    case APIC_NMI: l->nmi_pending = true; break;
    case APIC_INIT: l->init_pending = true; break;
    default: /* ExtINT is polled */ break;
    }
}

bool lapic_extint_enabled(const struct lapic *l)
{
    uint32_t lvt = l->lvt[LVT_LINT0];

    return !lapic_enabled(l) || (!(lvt & LVT_MASKED) && LVT_MODE(lvt) == APIC_EXTINT);
}

void lapic_set_lint(struct lapic *l, unsigned pin, bool level)
{
    bool rising;

    if (pin > 1u) return;
    rising = level && !l->lint_level[pin];
    l->lint_level[pin] = level;
    if (rising) lvt_deliver(l, LVT_LINT0 + pin);
}

/* Timer --------------------------------------------------------------------------------------- */

static uint64_t now_ns(const struct lapic *l) { return l->host->now_ns(l->host->ctx); }

static bool deadline_mode(const struct lapic *l)
{
    return (l->lvt[LVT_TIMER] & LVT_TIMER_MODE) == TIMER_DEADLINE;
}

static bool periodic_mode(const struct lapic *l)
{
    return (l->lvt[LVT_TIMER] & LVT_TIMER_MODE) == TIMER_PERIODIC;
}

/* Nanoseconds per count: 1..128 (figure 11-10). The input clock ticks once a nanosecond. */
static uint64_t timer_divider(const struct lapic *l)
{
    unsigned code = (l->divide & 3u) | (l->divide >> 1 & 4u);

    return 1ull << ((code + 1u) & 7u);
}

static uint64_t timer_length_ns(const struct lapic *l)
{
    return l->initial_count * timer_divider(l);
}

static uint32_t timer_current(const struct lapic *l, uint64_t now)
{
    uint64_t passed = now > l->timer_start_ns ? now - l->timer_start_ns : 0;
    uint64_t length = timer_length_ns(l);

    if (!l->timer_running || length == 0) return 0;
    if (periodic_mode(l)) passed %= length;
    if (passed >= length) return 0;
    return l->initial_count - (uint32_t)(passed / timer_divider(l));
}

static void timer_deadline_update(struct lapic *l, uint64_t now)
{
    l->deadline_ns = NO_DEADLINE_NS;
    if (deadline_mode(l)) {
        uint64_t tsc;

        if (l->tsc_deadline == 0) return;
        tsc = l->lhost->tsc(l->lhost->ctx);
        l->deadline_ns = l->tsc_deadline <= tsc
                             ? now
                             : ns_add(now, ticks_to_ns(l->tsc_deadline - tsc, l->tsc_hz));
    } else if (l->timer_running) {
        l->deadline_ns = ns_add(l->timer_start_ns, timer_length_ns(l));
    }
}

void lapic_tick(struct lapic *l, uint64_t now)
{
    bool fired = false;

    if (deadline_mode(l)) {
        if (l->tsc_deadline != 0 && l->lhost->tsc(l->lhost->ctx) >= l->tsc_deadline) {
            l->tsc_deadline = 0;
            lvt_deliver(l, LVT_TIMER);
        }
    } else if (l->timer_running) {
        uint64_t length = timer_length_ns(l);
        uint64_t passed = now > l->timer_start_ns ? now - l->timer_start_ns : 0;

        if (length != 0 && passed >= length) {
            lvt_deliver(l, LVT_TIMER);
            if (periodic_mode(l))
                l->timer_start_ns += passed / length * length;
            else
                l->timer_running = false;
            fired = true;
        }
    }
    timer_deadline_update(l, now);
    if (fired && l->deadline_ns < ns_add(now, TIMER_MIN_REARM_NS))
        l->deadline_ns = ns_add(now, TIMER_MIN_REARM_NS);
}

static void initial_count_write(struct lapic *l, uint32_t value)
{
    uint64_t now = now_ns(l);

    if (deadline_mode(l)) /* 11.5.4.1: ignored */
        return;
    lapic_tick(l, now);
    l->initial_count = value;
    l->timer_start_ns = now;
    l->timer_running = value != 0;
    timer_deadline_update(l, now);
}

/* The count reached so far goes on at the new rate. */
static void divide_write(struct lapic *l, uint32_t value)
{
    uint64_t now = now_ns(l);
    uint64_t counted, divider;

    lapic_tick(l, now);
    counted = l->initial_count - timer_current(l, now);
    l->divide = value & 0x0bu;
    divider = timer_divider(l);
    l->timer_start_ns = now > counted * divider ? now - counted * divider : 0;
    timer_deadline_update(l, now);
}

static void lvt_timer_write(struct lapic *l, uint32_t value)
{
    uint64_t now = now_ns(l);
    bool was_deadline = deadline_mode(l);

    lapic_tick(l, now);
    if ((value & LVT_TIMER_MODE) == LVT_TIMER_MODE) /* reserved mode: behave as one-shot */
        value &= ~LVT_TIMER_MODE;
    l->lvt[LVT_TIMER] = value;
    if (deadline_mode(l) != was_deadline) { /* 11.5.4.1: changing into or out of it disarms */
        l->timer_running = false;
        l->tsc_deadline = 0;
        l->initial_count = 0;
    }
    timer_deadline_update(l, now);
}

static void tsc_deadline_write(struct lapic *l, uint64_t value)
{
    if (!deadline_mode(l)) /* 11.5.4.1: ignored in the other modes */
        return;
    l->tsc_deadline = value;
    lapic_tick(l, now_ns(l)); /* a deadline that has passed fires at once */
}

/* Registers ----------------------------------------------------------------------------------- */

void lapic_eoi(struct lapic *l)
{
    int vector = vector_highest(&l->isr);

    if (vector < 0) return;
    vector_clear(&l->isr, (unsigned)vector);
    if (bit_get(l->tmr, (unsigned)vector) && l->lhost->eoi != NULL)
        l->lhost->eoi(l->lhost->ctx, (uint8_t)vector);
}

bool lapic_eoi_is_quiet(const struct lapic *l)
{
    int vector = vector_highest(&l->isr);

    return vector >= 0 && !bit_get(l->tmr, (unsigned)vector) && vector_highest(&l->irr) < 0;
}

static void svr_write(struct lapic *l, uint32_t value)
{
    SHOW(l->svr, value & SVR_WRITABLE);
    if (!software_enabled(l)) { /* 11.4.7.2: every LVT entry becomes masked */
        for (unsigned i = 0; i < 6u; i++) l->lvt[i] |= LVT_MASKED;
    }
}

static void lvt_write(struct lapic *l, unsigned entry, uint32_t value)
{
    value &= lvt_writable[entry];
    if (!software_enabled(l)) value |= LVT_MASKED;
    if (entry == LVT_TIMER)
        lvt_timer_write(l, value);
    else
        l->lvt[entry] = value;
}

static void self_ipi(struct lapic *l, uint8_t vector)
{
    if (vector < 16u)
        error_raise(l, ESR_SEND_ILLEGAL);
    else
        vector_raise(l, vector, false);
}

static void icr_send(struct lapic *l)
{
    uint32_t low = (uint32_t)l->icr;
    uint32_t high = (uint32_t)(l->icr >> 32);
    struct apic_msg msg = {
        .dest = lapic_x2apic(l) ? high : high >> 24,
        .vector = (uint8_t)low,
        .mode = (uint8_t)(low >> 8 & 7u),
        .shorthand = (uint8_t)(low >> 18 & 3u),
        .logical = (low & ICR_LOGICAL) != 0,
        .level = false, /* 11.6.1: IPIs but INIT are edge triggered whatever bit 15 says */
        .assert = (low & ICR_ASSERT) != 0 || !(low & ICR_LEVEL),
        .wide = lapic_x2apic(l),
    };

    if ((msg.mode == APIC_FIXED || msg.mode == APIC_LOWEST) && msg.vector < 16u) {
        error_raise(l, ESR_SEND_ILLEGAL);
        return;
    }
    if (msg.mode == 3u || msg.mode == APIC_EXTINT) /* reserved in the ICR */
        return;
    if (msg.shorthand == 1u) { /* only a fixed interrupt may go to self this way */
        if (msg.mode == APIC_FIXED) vector_raise(l, msg.vector, false);
        return;
    }
    if (l->lhost->ipi != NULL)
        l->lhost->ipi(l->lhost->ctx, &msg);
    else if (msg.shorthand == 2u || (msg.shorthand == 0 && lapic_matches(l, &msg)))
        lapic_accept(l, &msg); /* the only APIC there is */
}

static uint32_t id_read(const struct lapic *l) { return lapic_x2apic(l) ? l->id : l->id << 24; }

static uint32_t ldr_read(const struct lapic *l)
{
    if (lapic_x2apic(l)) /* 11.12.10.2: derived from the id */
        return (l->id & 0xffff0u) << 12 | 1u << (l->id & 15u);
    return SEEN(l->ldr);
}

/* Read a word register. @return false if there is none of that number. */
static bool word_read(struct lapic *l, unsigned reg, uint32_t *value)
{
    if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR) {
        *value = l->lvt[reg - REG_LVT_TIMER];
        return true;
    }
    if (reg >= REG_ISR && reg < REG_ESR) {
        const uint32_t *map = reg < REG_TMR ? l->isr.map : reg < REG_IRR ? l->tmr : l->irr.map;

        *value = map[reg & 7u];
        return true;
    }
    switch (reg) {
    case REG_ID: *value = id_read(l); break;
    case REG_VERSION: *value = VERSION; break;
    case REG_TPR: *value = l->tpr; break;
    case REG_APR:
    case REG_RRD:
    case REG_EOI: *value = 0; break;
    case REG_PPR: *value = ppr(l); break;
    case REG_LDR: *value = ldr_read(l); break;
    case REG_DFR: *value = l->dfr; break;
    case REG_SVR: *value = l->svr; break;
    case REG_ESR: *value = l->esr; break;
    case REG_ICR: *value = (uint32_t)l->icr; break;
    case REG_ICR_HIGH: *value = (uint32_t)(l->icr >> 32); break;
    case REG_INITIAL: *value = l->initial_count; break;
    case REG_CURRENT: /* an expiry due by now must be visible, or the count would be stale */
        lapic_tick(l, now_ns(l));
        *value = timer_current(l, now_ns(l));
        break;
    case REG_DIVIDE: *value = l->divide; break;
    default: return false;
    }
    return true;
}

/* Write a word register; read-only ones ignore it. @return false if there is none. */
static bool word_write(struct lapic *l, unsigned reg, uint32_t value)
{
    if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR) {
        lvt_write(l, reg - REG_LVT_TIMER, value);
        return true;
    }
    if (reg >= REG_ISR && reg < REG_ESR) return true;
    switch (reg) {
    case REG_TPR: SHOW(l->tpr, (uint8_t)value); break;
    case REG_EOI: lapic_eoi(l); break;
    case REG_LDR: SHOW(l->ldr, value & 0xff000000u); break;
    case REG_DFR: SHOW(l->dfr, value | 0x0fffffffu); break;
    case REG_SVR: svr_write(l, value); break;
    case REG_ESR: /* 11.5.3: the write loads what has collected, and clears it */
        l->esr = l->esr_pending;
        l->esr_pending = 0;
        break;
    case REG_ICR:
        l->icr = (l->icr & 0xffffffff00000000ull) | (value & ICR_WRITABLE);
        icr_send(l);
        break;
    case REG_ICR_HIGH:
        l->icr = (l->icr & 0xffffffffull) | (uint64_t)(value & 0xff000000u) << 32;
        break;
    case REG_INITIAL: initial_count_write(l, value); break;
    case REG_DIVIDE: divide_write(l, value); break;
    case REG_ID:
    case REG_VERSION:
    case REG_APR:
    case REG_PPR:
    case REG_RRD:
    case REG_CURRENT: break;
    default: return false;
    }
    return true;
}

/* xAPIC page ---------------------------------------------------------------------------------- */

uint64_t lapic_mmio_read(struct lapic *l, uint64_t offset, unsigned size_bytes)
{
    unsigned in_register = (unsigned)offset & 15u;
    uint32_t value = 0;

    if (!lapic_enabled(l) || lapic_x2apic(l) || offset >= LAPIC_MMIO_BYTES)
        return dev_ones(size_bytes);
    if (in_register + size_bytes > 4u) /* 11.4.1: beyond the register's word is undefined */
        return 0;
    if (offset >= 0x400u || !word_read(l, (unsigned)offset >> 4, &value))
        error_raise(l, ESR_BAD_REGISTER);
    return value >> (in_register * 8u) & dev_ones(size_bytes);
}

void lapic_mmio_write(struct lapic *l, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    if (!lapic_enabled(l) || lapic_x2apic(l) || offset >= LAPIC_MMIO_BYTES) return;
    if ((offset & 15u) != 0 || size_bytes < 4u) return;
    if (offset >= 0x400u || offset >> 4 == REG_SELF_IPI ||
        !word_write(l, (unsigned)offset >> 4, (uint32_t)value))
        error_raise(l, ESR_BAD_REGISTER);
}

static uint64_t page_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    return lapic_mmio_read(dev, offset, size_bytes);
}

static void page_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    lapic_mmio_write(dev, offset, size_bytes, value);
}

/* MSRs ---------------------------------------------------------------------------------------- */

/* 11.12.5: which transitions between disabled, xAPIC and x2APIC are legal. The page's address is
 * fixed: moving it is refused as a reserved bit would be. */
static bool base_write(struct lapic *l, uint64_t value)
{
    const uint64_t flags = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
    uint64_t from = l->base_msr & flags;
    uint64_t to = value & flags;

    if ((value & ~(flags | APIC_BASE_BSP)) != LAPIC_DEFAULT_BASE) return false;
    if (to == APIC_BASE_X2APIC) return false;
    if (from == flags && to == APIC_BASE_ENABLE) /* x2APIC back to xAPIC: only through disabled */
        return false;
    if (from == 0 && to == flags) return false;
    if (to == 0 && from != 0) lapic_reset(l); /* 11.4.3: state is lost as after power-up */
    SHOW(l->base_msr, LAPIC_DEFAULT_BASE | to | (l->base_msr & APIC_BASE_BSP));
    if (to == flags && from != flags) l->icr &= 0xffffffffull;
    return true;
}

bool lapic_msr_mine(uint32_t msr)
{
    return msr == MSR_IA32_APIC_BASE || msr == MSR_IA32_TSC_DEADLINE ||
           (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST);
}

/* Registers with no MSR, or none that can be read (table 11-6). */
static bool x2apic_readable(unsigned reg)
{
    switch (reg) {
    case REG_APR:
    case REG_EOI:
    case REG_RRD:
    case REG_DFR:
    case REG_ICR_HIGH:
    case REG_SELF_IPI: return false;
    default: return true;
    }
}

/* Bits a WRMSR may set; reserved ones raise #GP. @return false: the register is not writable. */
static bool x2apic_writable(unsigned reg, uint64_t *bits)
{
    if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR) {
        *bits = lvt_writable[reg - REG_LVT_TIMER];
        /* Delivery status and remote IRR are read-only, not reserved: writes of them are ignored.
         */
        *bits |= reg == REG_LVT_TIMER + LVT_LINT0 || reg == REG_LVT_TIMER + LVT_LINT1 ? 0x5000u
                                                                                      : 0x1000u;
        return true;
    }
    switch (reg) {
    case REG_TPR:
    case REG_SELF_IPI: *bits = 0xff; return true;
    case REG_EOI:
    case REG_ESR: *bits = 0; return true;
    case REG_SVR: *bits = SVR_WRITABLE; return true;
    case REG_ICR: *bits = 0xffffffff00000000ull | ICR_WRITABLE; return true;
    case REG_INITIAL: *bits = 0xffffffffu; return true;
    case REG_DIVIDE: *bits = 0x0b; return true;
    default: return false;
    }
}

bool lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *value)
{
    unsigned reg = msr - MSR_X2APIC_FIRST;
    uint32_t word;

    if (msr == MSR_IA32_APIC_BASE) {
        *value = l->base_msr;
        return true;
    }
    if (msr == MSR_IA32_TSC_DEADLINE) {
        lapic_tick(l, now_ns(l)); /* reads 0 once it has expired */
        *value = l->tsc_deadline;
        return true;
    }
    if (!lapic_msr_mine(msr) || !lapic_x2apic(l) || !x2apic_readable(reg)) return false;
    if (reg == REG_ICR) {
        *value = l->icr;
        return true;
    }
    if (!word_read(l, reg, &word)) return false;
    *value = word;
    return true;
}

bool lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t value)
{
    unsigned reg = msr - MSR_X2APIC_FIRST;
    uint64_t bits;

    if (msr == MSR_IA32_APIC_BASE) return base_write(l, value);
    if (msr == MSR_IA32_TSC_DEADLINE) {
        tsc_deadline_write(l, value);
        return true;
    }
    if (!lapic_msr_mine(msr) || !lapic_x2apic(l) || !x2apic_writable(reg, &bits)) return false;
    if ((value & ~bits) != 0) return false;
    if (reg == REG_ICR) {
        l->icr = value;
        icr_send(l);
        return true;
    }
    if (reg == REG_SELF_IPI) {
        self_ipi(l, (uint8_t)value);
        return true;
    }
    return word_write(l, reg, (uint32_t)value);
}

uint8_t lapic_cr8_read(const struct lapic *l) { return l->tpr >> 4; }

void lapic_cr8_write(struct lapic *l, uint8_t cr8) { SHOW(l->tpr, (uint8_t)((cr8 & 15u) << 4)); }

/* Messages ------------------------------------------------------------------------------------ */

bool lapic_matches(const struct lapic *l, const struct apic_msg *msg)
{
    uint32_t mda = msg->dest, dfr, ldr;

    if (!lapic_enabled(l)) return false;
    if (msg->wide ? mda == 0xffffffffu : mda == 0xffu) /* broadcast */
        return true;
    if (!msg->logical) return mda == (lapic_x2apic(l) ? l->id : l->id & 0xffu);
    if (lapic_x2apic(l)) /* 11.12.10.2: cluster id equal and a member bit in common */
        return mda >> 16 == ldr_read(l) >> 16 && (mda & ldr_read(l) & 0xffffu) != 0;
    mda &= 0xffu;
    dfr = SEEN(l->dfr);
    ldr = SEEN(l->ldr);
    if (dfr >> 28 == 15u) /* 11.6.2.2: flat model */
        return (mda & ldr >> 24) != 0;
    if (dfr >> 28 == 0u) /* cluster model */
        return mda >> 4 == ldr >> 28 && (mda & ldr >> 24 & 15u) != 0;
    return false;
}

void lapic_accept(struct lapic *l, const struct apic_msg *msg)
{
    if (!lapic_enabled(l)) return;
    switch (msg->mode) {
    case APIC_FIXED:
    case APIC_LOWEST: vector_raise(l, msg->vector, msg->level); break;
    case APIC_SMI: l->smi_pending = true; break;
    case APIC_NMI: l->nmi_pending = true; break;
    case APIC_INIT:
        if (msg->assert) l->init_pending = true;
        break;
    case APIC_STARTUP:
        l->sipi_pending = true;
        l->sipi_vector = msg->vector;
        break;
    default: /* ExtINT reaches the CPU through LINT0 only */ break;
    }
}

static bool broadcast(const struct apic_msg *msg)
{
    return msg->dest == (msg->wide ? 0xffffffffu : 0xffu);
}

uint32_t lapic_targets(struct lapic *const *cpus, unsigned count, unsigned sender,
                       const struct apic_msg *msg)
{
    uint32_t all = 0xffffffffu >> (32u - count), me = sender < count ? 1u << sender : 0, hits = 0;
    unsigned lowest = count;

    switch (msg->shorthand) {
    case 1: hits = me; break;
    case 2: hits = all; break;
    case 3: hits = all & ~me; break;
    default:
        /* Most are for one CPU, whose id is its index. */
        if (!msg->logical && !broadcast(msg) && msg->dest < count &&
            cpus[msg->dest]->id == msg->dest)
            hits = lapic_enabled(cpus[msg->dest]) ? 1u << msg->dest : 0;
        else
            for (unsigned i = 0; i < count; i++) hits |= lapic_matches(cpus[i], msg) ? 1u << i : 0;
        break;
    }
    if (msg->mode != APIC_LOWEST) return hits;
    /* 11.6.2.4; the priority that a processor shows to the others is its task priority (11.8.3.1).
     */
    for (unsigned i = 0; i < count; i++)
        if ((hits >> i & 1u) && software_enabled(cpus[i]) &&
            (lowest == count || SEEN(cpus[i]->tpr) < SEEN(cpus[lowest]->tpr)))
            lowest = i;
    return lowest == count ? 0 : 1u << lowest;
}

void lapic_reset(struct lapic *l)
{
    struct lapic fresh = {
        .host = l->host,
        .lhost = l->lhost,
        .tsc_hz = l->tsc_hz,
        .deadline_ns = NO_DEADLINE_NS,
        .base_msr = l->base_msr,
        .id = l->id,
        .dfr = UINT32_MAX,
        .svr = 0xff,
        .lint_level = {l->lint_level[0], l->lint_level[1]},
        /* A start-up message that came after the INIT stays. */
        .sipi_pending = l->sipi_pending,
        .sipi_vector = l->sipi_vector,
    };

    for (unsigned i = 0; i < 6u; i++) fresh.lvt[i] = LVT_MASKED;
    *l = fresh;
}

void lapic_virtual_wire(struct lapic *l)
{
    l->svr = SVR_WRITABLE;
    l->lvt[LVT_LINT0] = APIC_EXTINT << 8;
    l->lvt[LVT_LINT1] = APIC_NMI << 8;
}

static const struct state_member members[] = {
    STATE_MEMBER(struct lapic, deadline_ns),   STATE_MEMBER(struct lapic, tsc_deadline),
    STATE_MEMBER(struct lapic, base_msr),      STATE_MEMBER(struct lapic, timer_start_ns),
    STATE_MEMBER(struct lapic, icr),           STATE_MEMBER(struct lapic, ldr),
    STATE_MEMBER(struct lapic, dfr),           STATE_MEMBER(struct lapic, svr),
    STATE_MEMBER(struct lapic, lvt),           STATE_MEMBER(struct lapic, divide),
    STATE_MEMBER(struct lapic, initial_count), STATE_MEMBER(struct lapic, esr),
    STATE_MEMBER(struct lapic, esr_pending),   STATE_MEMBER(struct lapic, irr.map),
    STATE_MEMBER(struct lapic, isr.map),       STATE_MEMBER(struct lapic, tmr),
    STATE_MEMBER(struct lapic, tpr),           STATE_MEMBER(struct lapic, timer_running),
    STATE_MEMBER(struct lapic, lint_level),    STATE_MEMBER(struct lapic, nmi_pending),
    STATE_MEMBER(struct lapic, smi_pending),   STATE_MEMBER(struct lapic, init_pending),
    STATE_MEMBER(struct lapic, sipi_pending),  STATE_MEMBER(struct lapic, sipi_vector),
};

static bool loaded(void *dev)
{
    struct lapic *l = dev;

    l->irr.words = l->isr.words = 0xff;
    /* A timer that counts from 0 would be due for ever, and the vCPU never run. */
    l->timer_running = l->timer_running && l->initial_count != 0;
    return true;
}

const struct dev_state lapic_state = DEV_STATE("lapic", 2, members, loaded);

bool lapic_init(struct lapic *l, struct bus *bus, const struct dev_host *host,
                const struct lapic_host *lhost, uint32_t id, bool bsp, uint64_t tsc_hz)
{
    static const struct bus_ops ops = {page_read, page_write};

    memset(l, 0, sizeof(*l));
    l->host = host;
    l->lhost = lhost;
    l->id = id;
    l->tsc_hz = tsc_hz;
    l->base_msr = LAPIC_DEFAULT_BASE | APIC_BASE_ENABLE | (bsp ? APIC_BASE_BSP : 0u);
    lapic_reset(l);
    if (tsc_hz == 0 || tsc_hz > 18000000000ull) return false;
    return bus == NULL ||
           bus_add(bus, BUS_MMIO, LAPIC_DEFAULT_BASE, LAPIC_MMIO_BYTES, &ops, l, "lapic");
}
