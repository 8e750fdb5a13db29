/*
 * 8254 interval timer and port 0x61. Intel 8254 data sheet (231164-005), "Mode definitions".
 * No state advances with time: count and output are computed from the tick at which the count was
 * loaded, so a pause of any length costs nothing. May call: host interrupt line and clock.
 */
#include "pit.h"
#include "dev_util.h"

#include <string.h>

#define NEVER UINT64_MAX

#define PORT61_GATE2     0x01u
#define PORT61_WRITABLE  0x0fu
#define PORT61_REFRESH   0x10u
#define PORT61_OUT2      0x20u
#define REFRESH_TICKS    18u /* DRAM refresh every 15.085 us: channel 1's count on the PC/AT */
#define STATUS_OUT       0x80u
#define STATUS_NULL      0x40u
#define READBACK_NOCOUNT 0x20u
#define READBACK_NOSTAT  0x10u

static uint64_t tick_now(const struct pit *p)
{
    return ns_to_ticks(p->host->now_ns(p->host->ctx), PIT_HZ);
}

static bool periodic(const struct pit_channel *c) { return c->mode == 2 || c->mode == 3; }

static bool retriggerable(const struct pit_channel *c) { return c->mode == 1 || c->mode == 5; }

/* Ticks counted since the count was loaded. */
static uint64_t elapsed(const struct pit_channel *c, uint64_t t)
{
    if (!c->loaded) return 0;
    if (c->suspended) return c->held;
    return t > c->start ? t - c->start : 0;
}

static bool output(const struct pit_channel *c, uint64_t t)
{
    uint64_t e = elapsed(c, t);

    switch (c->mode) {
    case 0: return c->loaded && e >= c->count;
    case 1: return !c->loaded || c->suspended || e >= c->count;
    case 2: return !c->loaded || c->suspended || c->count < 2u || e % c->count != c->count - 1u;
    case 3: return !c->loaded || c->suspended || e % c->count < (c->count + 1u) / 2u;
    default: return !c->loaded || c->suspended || e != c->count;
    }
}

/* The counting element as the CPU would read it. */
static uint16_t current_count(const struct pit_channel *c, uint64_t t)
{
    uint64_t e = elapsed(c, t);
    uint32_t modulus = c->bcd ? 10000u : 65536u;
    uint32_t value, half;

    switch (c->mode) {
    case 2: value = c->count - (uint32_t)(e % c->count); break;
    case 3:
        e %= c->count;
        half = (c->count + 1u) / 2u;
        value = (c->count & ~1u) - 2u * (uint32_t)(e < half ? e : e - half);
        break;
    default: /* keeps counting down past zero */
        value = modulus + c->count % modulus - (uint32_t)(e % modulus);
        break;
    }
    value %= modulus;
    if (c->bcd)
        value =
            value % 10u | value / 10u % 10u << 4 | value / 100u % 10u << 8 | value / 1000u << 12;
    return (uint16_t)value;
}

/* First tick after @t at which the output rises while the count in force runs on. */
static uint64_t next_rise(const struct pit_channel *c, uint64_t t)
{
    uint64_t rise;

    if (!c->loaded || c->suspended) return NEVER;
    switch (c->mode) {
    case 2:
    case 3:
        if (c->count < 2u) /* not a legal count in these modes */
            return NEVER;
        return c->start + ((t > c->start ? t - c->start : 0) / c->count + 1u) * c->count;
    case 0:
    case 1: rise = c->start + c->count; break;
    default: rise = c->start + c->count + 1u; break;
    }
    return rise > t ? rise : NEVER;
}

/* Let a count written during a period take over if that period has ended by @t. */
static void period_switch(struct pit_channel *c, uint64_t t)
{
    uint64_t end;

    if (!periodic(c) || c->next_count == 0 || c->suspended || t <= c->start) return;
    end = c->start + c->count; /* start was moved to the running period when it was written */
    if (t >= end) {
        c->start = end;
        c->count = c->next_count;
        c->next_count = 0;
    }
}

static void irq_set(struct pit *p, bool level)
{
    if (level != p->irq_level) {
        p->irq_level = level;
        p->host->irq(p->host->ctx, 0, level);
    }
}

/* Deliver a rising edge of channel 0 that lies between the last look and @t. */
static bool irq_sync(struct pit *p, uint64_t t)
{
    struct pit_channel *c = &p->ch[0];
    bool rose = next_rise(c, p->irq_seen) <= t;

    if (rose) {
        irq_set(p, false);
        irq_set(p, true);
    }
    period_switch(c, t);
    p->irq_seen = t;
    return rose;
}

static void deadline_update(struct pit *p, uint64_t t)
{
    uint64_t rise = next_rise(&p->ch[0], t);

    p->deadline_ns = rise == NEVER ? NO_DEADLINE_NS : ticks_to_ns(rise, PIT_HZ);
}

/* Start counting afresh: the count is loaded on the clock pulse after the write or gate edge. */
static void load(struct pit_channel *c, uint64_t t)
{
    c->start = t + 1u;
    c->held = 0;
    c->loaded = true;
    c->suspended = !c->gate && !retriggerable(c);
}

static void count_write(struct pit_channel *c, uint32_t raw, uint64_t t)
{
    uint32_t count = raw;

    if (c->bcd)
        count = (raw & 15u) + (raw >> 4 & 15u) * 10u + (raw >> 8 & 15u) * 100u +
                (raw >> 12 & 15u) * 1000u;
    if (count == 0) count = c->bcd ? 10000u : 65536u;
    if (retriggerable(c)) { /* takes effect at the next trigger; the one running goes on */
        if (c->loaded)
            c->next_count = count;
        else
            c->count = count;
        return;
    }
    if (periodic(c) && c->loaded) {
        if (!c->suspended && t > c->start) c->start += (t - c->start) / c->count * c->count;
        c->next_count = count;
        return;
    }
    c->count = count;
    load(c, t);
}

static void gate_set(struct pit_channel *c, bool gate, uint64_t t)
{
    bool rising = gate && !c->gate;
    bool falling = !gate && c->gate;

    if (falling && c->loaded && !retriggerable(c)) {
        period_switch(c, t);
        c->held = elapsed(c, t);
        c->suspended = true;
    }
    c->gate = gate;
    if (!rising) return;
    if (retriggerable(c) || (periodic(c) && c->loaded)) { /* trigger: reload */
        if (c->next_count != 0) c->count = c->next_count;
        c->next_count = 0;
        load(c, t);
    } else if (c->loaded && c->suspended) { /* modes 0, 4: go on where it stopped */
        if (c->held == 0)
            c->start = t + 1u;
        else
            c->start = t - c->held; /* held never exceeds the ticks since the VM's start */
        c->suspended = false;
    }
}

static void latch_count(struct pit_channel *c, uint64_t t)
{
    if (c->count_latched) return;
    period_switch(c, t);
    c->latch = current_count(c, t);
    c->count_latched = true;
}

static uint8_t status_byte(const struct pit_channel *c, uint64_t t)
{
    bool null = !c->loaded || c->next_count != 0 || t < c->start;

    return (uint8_t)((output(c, t) ? STATUS_OUT : 0u) | (null ? STATUS_NULL : 0u) |
                     (unsigned)c->access << 4 | (unsigned)c->mode << 1 | (c->bcd ? 1u : 0u));
}

static void control_write(struct pit *p, uint8_t value, uint64_t t)
{
    unsigned select = value >> 6;
    struct pit_channel *c;

    if (select == 3) { /* read-back command */
        for (unsigned i = 0; i < 3; i++) {
            if (!(value & (2u << i))) continue;
            c = &p->ch[i];
            if (!(value & READBACK_NOCOUNT)) latch_count(c, t);
            if (!(value & READBACK_NOSTAT) && !c->status_latched) {
                period_switch(c, t);
                c->status = status_byte(c, t);
                c->status_latched = true;
            }
        }
        return;
    }
    c = &p->ch[select];
    if ((value & 0x30u) == 0) {
        latch_count(c, t);
        return;
    }
    c->access = value >> 4 & 3u;
    c->mode = value >> 1 & 7u;
    if (c->mode > 5u) c->mode &= 3u; /* 6 and 7 are 2 and 3 with a don't-care bit set */
    c->bcd = (value & 1u) != 0;
    if (c->bcd && c->count > 10000u) c->count = 10000;
    c->next_count = 0;
    c->held = 0;
    c->loaded = c->suspended = false;
    c->write_msb = c->read_msb = c->count_latched = c->status_latched = false;
}

static void data_write(struct pit_channel *c, uint8_t value, uint64_t t)
{
    switch (c->access) {
    case 1: count_write(c, value, t); break;
    case 2: count_write(c, (uint32_t)value << 8, t); break;
    case 3:
        if (!c->write_msb) {
            c->lsb = value;
            if (c->mode == 0) /* the first byte stops counting and drops the output */
                c->loaded = false;
        } else {
            count_write(c, (uint32_t)value << 8 | c->lsb, t);
        }
        c->write_msb = !c->write_msb;
        break;
    default: /* no control word yet */ break;
    }
}

static uint8_t data_read(struct pit_channel *c, uint64_t t)
{
    uint16_t value;
    bool msb = c->access == 2;

    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    period_switch(c, t);
    value = c->count_latched ? c->latch : current_count(c, t);
    if (c->access == 3) {
        msb = c->read_msb;
        c->read_msb = !c->read_msb;
    }
    if (c->access != 3 || msb) c->count_latched = false;
    return (uint8_t)(msb ? value >> 8 : value);
}

static uint8_t reg_read(void *dev, unsigned reg)
{
    struct pit *p = dev;
    uint64_t t = tick_now(p);

    if (reg > 2u) return 0xff; /* the control word register cannot be read */
    if (reg == 0) {            /* a read may end a period: deliver that period's edge first */
        irq_sync(p, t);
        deadline_update(p, t);
    }
    return data_read(&p->ch[reg], t);
}

static void reg_write(void *dev, unsigned reg, uint8_t value)
{
    struct pit *p = dev;
    uint64_t t = tick_now(p);

    irq_sync(p, t);
    if (reg > 2u)
        control_write(p, value, t);
    else
        data_write(&p->ch[reg], value, t);
    irq_set(p, output(&p->ch[0], t));
    deadline_update(p, t);
}

static uint8_t port61_read(void *dev, unsigned reg)
{
    struct pit *p = dev;
    uint64_t t = tick_now(p);

    (void)reg;
    period_switch(&p->ch[2], t);
    return (uint8_t)(p->port61 | (t / REFRESH_TICKS & 1u ? PORT61_REFRESH : 0u) |
                     (output(&p->ch[2], t) ? PORT61_OUT2 : 0u));
}

static void port61_write(void *dev, unsigned reg, uint8_t value)
{
    struct pit *p = dev;

    (void)reg;
    p->port61 = value & PORT61_WRITABLE;
    gate_set(&p->ch[2], (value & PORT61_GATE2) != 0, tick_now(p));
}

static uint64_t pit_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    return dev_read_bytes(reg_read, dev, offset, size_bytes);
}

static void pit_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    dev_write_bytes(reg_write, dev, offset, size_bytes, value);
}

static uint64_t speaker_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    return dev_read_bytes(port61_read, dev, offset, size_bytes);
}

static void speaker_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    dev_write_bytes(port61_write, dev, offset, size_bytes, value);
}

static bool loaded(void *dev)
{
    const struct pit *p = dev;

    for (unsigned i = 0; i < 3; i++) {
        const struct pit_channel *c = &p->ch[i];

        if (c->mode > 5u || c->access - 1u > 2u || c->count - 1u >= 65536u ||
            c->next_count > 65536u)
            return false;
    }
    return true;
}

static const struct state_member members[] = {
    STATE_MEMBER(struct pit, deadline_ns), STATE_MEMBER(struct pit, irq_seen),
    STATE_MEMBER(struct pit, ch),          STATE_MEMBER(struct pit, port61),
    STATE_MEMBER(struct pit, irq_level),
};

const struct dev_state pit_state = DEV_STATE("pit", 1, members, loaded);

bool pit_init(struct pit *p, struct bus *bus, const struct dev_host *host)
{
    static const struct bus_ops pit_ops = {pit_read, pit_write};
    static const struct bus_ops speaker_ops = {speaker_read, speaker_write};

    memset(p, 0, sizeof(*p));
    p->host = host;
    for (unsigned i = 0; i < 3; i++) {
        p->ch[i].count = 65536;
        p->ch[i].access = 3;
        p->ch[i].gate = i != 2; /* 0 and 1 are tied high, 2 follows port 0x61 */
    }
    p->deadline_ns = NO_DEADLINE_NS;
    return bus_add(bus, BUS_PIO, 0x40, 4, &pit_ops, p, "pit") &&
           bus_add(bus, BUS_PIO, 0x61, 1, &speaker_ops, p, "port61");
}

void pit_tick(struct pit *p, uint64_t now_ns)
{
    uint64_t t = ns_to_ticks(now_ns, PIT_HZ);
    bool rose;

    if (t < p->irq_seen) /* never look back: a caller may hold an older reading of the clock */
        t = p->irq_seen;
    rose = irq_sync(p, t);
    deadline_update(p, t);
    if (rose && p->deadline_ns != NO_DEADLINE_NS &&
        p->deadline_ns < ns_add(now_ns, TIMER_MIN_REARM_NS))
        p->deadline_ns = ns_add(now_ns, TIMER_MIN_REARM_NS);
}
