/*
 * Pair of 8259A interrupt controllers. Intel 8259A data sheet (231468-003); OCW/ICW names are its.
 * Pure state machine: calls nothing. Every loop is over at most eight inputs.
 */
#include "pic.h"
#include "dev_util.h"

#include <string.h>

#define ICW1_INIT   0x10u
#define ICW1_LEVEL  0x08u
#define ICW1_SINGLE 0x02u
#define ICW1_ICW4   0x01u
#define ICW4_AEOI   0x02u
#define ICW4_SFNM   0x10u
#define OCW3        0x08u
#define OCW3_POLL   0x04u
#define CASCADE     2u

/* Inputs that may not be level triggered on a PC: timer, keyboard, cascade; RTC, FPU. */
static const uint8_t elcr_mask[2] = {0xf8, 0xde};

/* Highest-priority set bit of @bits; priorities rotate upwards from lowest + 1. 8 when none. */
static unsigned highest(const struct pic_chip *c, unsigned bits)
{
    for (unsigned i = 1; i <= 8u; i++) {
        unsigned n = (c->lowest + i) & 7u;

        if (bits & (1u << n)) return n;
    }
    return 8;
}

static unsigned rank(const struct pic_chip *c, unsigned n)
{
    return n >= 8u ? 8u : (n - c->lowest - 1u) & 7u;
}

/* The input this chip would signal now, 8 when none. */
static unsigned chip_request(const struct pic_chip *c)
{
    unsigned in_service = c->isr;
    unsigned n = highest(c, c->irr & (unsigned)~c->imr);

    if (c->icw_next != 0) return 8;
    if (c->special_mask) /* a masked in-service level does not block the others */
        in_service &= (unsigned)~c->imr;
    /* In special fully nested mode the master lets the slave interrupt itself. */
    if (c->special_nested && !c->slave && n == CASCADE) in_service &= ~(1u << CASCADE);
    return rank(c, n) < rank(c, highest(c, in_service)) ? n : 8u;
}

static bool is_level(const struct pic_chip *c, unsigned n)
{
    return c->level_mode || (c->elcr & (1u << n)) != 0;
}

static void chip_set_line(struct pic_chip *c, unsigned n, bool level)
{
    uint8_t bit = (uint8_t)(1u << n);

    if (is_level(c, n)) {
        c->irr = level ? c->irr | bit : c->irr & (uint8_t)~bit;
    } else if (level && !(c->lines & bit)) {
        c->irr |= bit;
    } else if (!level) {
        c->irr &= (uint8_t)~bit; /* the request must stay up until acknowledged */
    }
    c->lines = level ? c->lines | bit : c->lines & (uint8_t)~bit;
}

/* The slave's INT output is the master's input 2. */
static void cascade_update(struct pic *p)
{
    chip_set_line(&p->chip[0], CASCADE, chip_request(&p->chip[1]) < 8u);
}

static void chip_eoi(struct pic_chip *c, unsigned n, bool rotate)
{
    if (n >= 8u) return;
    c->isr &= (uint8_t) ~(1u << n);
    if (rotate) c->lowest = (uint8_t)n;
}

/* Acknowledge the best request: returns the input, 8 for a spurious one. */
static unsigned chip_take(struct pic_chip *c)
{
    unsigned n = chip_request(c);

    if (n >= 8u) return 8;
    c->isr |= (uint8_t)(1u << n);
    if (!is_level(c, n)) c->irr &= (uint8_t) ~(1u << n);
    if (c->auto_eoi) chip_eoi(c, n, c->rotate_aeoi);
    return n;
}

static void ocw2_write(struct pic_chip *c, uint8_t value)
{
    unsigned level = value & 7u;

    switch (value >> 5) {
    case 0: /* rotate in automatic EOI mode off, on */
    case 4: c->rotate_aeoi = (value & 0x80u) != 0; break;
    case 1: /* non-specific EOI, without and with rotation */
    case 5: {
        unsigned served = c->isr;

        if (c->special_mask) served &= (unsigned)~c->imr; /* masked levels are not cleared by it */
        chip_eoi(c, highest(c, served), value >> 5 == 5);
        break;
    }
    case 3: /* specific EOI, without and with rotation */
    case 7: chip_eoi(c, level, value >> 5 == 7); break;
    case 6: /* set priority */ c->lowest = (uint8_t)level; break;
    default: break;
    }
}

static void command_write(struct pic_chip *c, uint8_t value)
{
    if (value & ICW1_INIT) {
        c->irr = 0; /* edge sense is reset: lines need a fresh edge */
        c->isr = 0;
        c->imr = 0;
        c->lowest = 7;
        c->auto_eoi = c->rotate_aeoi = c->special_mask = c->special_nested = false;
        c->read_isr = c->poll = false;
        c->level_mode = (value & ICW1_LEVEL) != 0;
        c->single = (value & ICW1_SINGLE) != 0;
        c->icw4_expected = (value & ICW1_ICW4) != 0;
        c->icw_next = 2;
        for (unsigned n = 0; n < 8u; n++) {
            if (is_level(c, n) && (c->lines & (1u << n))) c->irr |= (uint8_t)(1u << n);
        }
    } else if (value & OCW3) {
        c->poll = (value & OCW3_POLL) != 0;
        if (value & 0x02u) c->read_isr = (value & 0x01u) != 0;
        if (value & 0x40u) c->special_mask = (value & 0x20u) != 0;
    } else {
        ocw2_write(c, value);
    }
}

static void data_write(struct pic_chip *c, uint8_t value)
{
    switch (c->icw_next) {
    case 2:
        c->vector_base = value & 0xf8u;
        c->icw_next = !c->single ? 3 : c->icw4_expected ? 4 : 0;
        break;
    case 3: /* the wiring is fixed, whatever the guest says */
        c->icw_next = c->icw4_expected ? 4 : 0;
        break;
    case 4:
        c->auto_eoi = (value & ICW4_AEOI) != 0;
        c->special_nested = (value & ICW4_SFNM) != 0;
        c->icw_next = 0;
        break;
    default: c->imr = value; break;
    }
}

static uint8_t chip_read(struct pic_chip *c, unsigned reg)
{
    if (c->poll) { /* the next read of the chip is an acknowledge */
        unsigned n = chip_take(c);

        c->poll = false;
        return n < 8u ? (uint8_t)(0x80u | n) : 0u;
    }
    if (reg == 1) return c->imr;
    return c->read_isr ? c->isr : c->irr;
}

static uint8_t reg_read(struct pic *p, unsigned chip, unsigned reg)
{
    uint8_t value;

    if (chip == 1 && p->chip[1].poll) /* an acknowledge drops INT for its duration */
        chip_set_line(&p->chip[0], CASCADE, false);
    value = chip_read(&p->chip[chip], reg & 1u);
    cascade_update(p);
    return value;
}

static void reg_write(struct pic *p, unsigned chip, unsigned reg, uint8_t value)
{
    if (reg & 1u)
        data_write(&p->chip[chip], value);
    else
        command_write(&p->chip[chip], value);
    cascade_update(p);
}

static uint8_t master_read(void *dev, unsigned reg) { return reg_read(dev, 0, reg); }

static void master_write(void *dev, unsigned reg, uint8_t value) { reg_write(dev, 0, reg, value); }

static uint8_t slave_read(void *dev, unsigned reg) { return reg_read(dev, 1, reg); }

static void slave_write(void *dev, unsigned reg, uint8_t value) { reg_write(dev, 1, reg, value); }

static uint8_t elcr_read(void *dev, unsigned reg)
{
    struct pic *p = dev;

    return p->chip[reg & 1u].elcr;
}

static void elcr_write(void *dev, unsigned reg, uint8_t value)
{
    struct pic *p = dev;
    struct pic_chip *c = &p->chip[reg & 1u];

    c->elcr = value & elcr_mask[reg & 1u];
    for (unsigned n = 0; n < 8u; n++) {
        if (c->elcr & (1u << n)) chip_set_line(c, n, (c->lines & (1u << n)) != 0);
    }
    cascade_update(p);
}

#define PORT_OPS(name)                                                                             \
    static uint64_t name##_port_read(void *dev, uint64_t offset, unsigned size_bytes)              \
    {                                                                                              \
        return dev_read_bytes(name##_read, dev, offset, size_bytes);                               \
    }                                                                                              \
    static void name##_port_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value) \
    {                                                                                              \
        dev_write_bytes(name##_write, dev, offset, size_bytes, value);                             \
    }                                                                                              \
    static const struct bus_ops name##_ops = {name##_port_read, name##_port_write};

PORT_OPS(master)
PORT_OPS(slave)
PORT_OPS(elcr)

/* Any register may hold any value; what indexes or counts may not. */
static bool loaded(void *dev)
{
    const struct pic *p = dev;

    for (unsigned i = 0; i < 2; i++)
        if (p->chip[i].lowest > 7u || p->chip[i].icw_next > 4u || p->chip[i].slave != (i == 1u))
            return false;
    return true;
}

static const struct state_member members[] = {
    STATE_MEMBER(struct pic, chip),
    STATE_MEMBER(struct pic, isa),
    STATE_MEMBER(struct pic, pci),
};

const struct dev_state pic_state = DEV_STATE("pic", 2, members, loaded);

bool pic_init(struct pic *p, struct bus *bus, const struct dev_host *host)
{
    (void)host;
    memset(p, 0, sizeof(*p));
    for (unsigned i = 0; i < 2; i++) {
        p->chip[i].lowest = 7;
        p->chip[i].imr = 0xff;
    }
    p->chip[1].slave = true;
    p->deadline_ns = NO_DEADLINE_NS;
    return bus_add(bus, BUS_PIO, 0x20, 2, &master_ops, p, "pic-master") &&
           bus_add(bus, BUS_PIO, 0xa0, 2, &slave_ops, p, "pic-slave") &&
           bus_add(bus, BUS_PIO, 0x4d0, 2, &elcr_ops, p, "pic-elcr");
}

static void input_update(struct pic *p, unsigned line)
{
    bool level = ((unsigned)(p->isa | p->pci) >> line & 1u) != 0;

    if (line == CASCADE) return;
    chip_set_line(&p->chip[line >> 3], line & 7u, level);
    cascade_update(p);
}

void pic_set_irq(struct pic *p, unsigned line, bool level)
{
    if (line > 15u) return;
    p->isa = (uint16_t)(level ? p->isa | 1u << line : p->isa & ~(1u << line));
    input_update(p, line);
}

void pic_set_pci(struct pic *p, uint16_t lines)
{
    unsigned changed = (unsigned)p->pci ^ lines;

    p->pci = lines;
    for (unsigned line = 0; line < 16u; line++)
        if (changed >> line & 1u) input_update(p, line);
}

bool pic_intr(const struct pic *p) { return chip_request(&p->chip[0]) < 8u; }

uint8_t pic_ack(struct pic *p)
{
    unsigned chip = 0;
    unsigned n = chip_take(&p->chip[0]);

    if (n == CASCADE) {
        chip = 1;
        n = chip_take(&p->chip[1]);
        chip_set_line(&p->chip[0], CASCADE, false); /* INT drops: a next request is a fresh edge */
    }
    cascade_update(p);
    if (n >= 8u) /* the request went away: input 7, no ISR bit */
        n = 7;
    return (uint8_t)(p->chip[chip].vector_base | n);
}

void pic_tick(struct pic *p, uint64_t now_ns)
{
    (void)p;
    (void)now_ns;
}
