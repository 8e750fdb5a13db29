/*
 * The PC's pair of 8259A interrupt controllers with the edge/level registers (Intel 8259A data
 * sheet, order 231468; ELCR as in the PIIX/ICH). Output is polled: pic_intr(), then pic_ack().
 */
#ifndef VMM_MONITOR_DEV_PIC_H
#define VMM_MONITOR_DEV_PIC_H

#include "bus.h"
#include "state.h"

struct pic_chip {
    uint8_t irr, isr, imr, elcr, lines;
    uint8_t vector_base;
    uint8_t lowest; /* input with the lowest priority, 0..7 */
    uint8_t icw_next;
    /* Switches are bytes: see state.h. */
    uint8_t icw4_expected, single, level_mode, auto_eoi, rotate_aeoi, special_mask, special_nested;
    uint8_t read_isr, poll, slave;
};

struct pic {
    struct pic_chip chip[2]; /* 0 master at 0x20, 1 slave at 0xa0 on the master's input 2 */
    uint16_t isa, pci;       /* who holds the inputs up: ISA devices, pins of PCI functions */
    uint64_t deadline_ns;    /* always idle */
};

extern const struct dev_state pic_state;

/** Reset both chips (uninitialised: no interrupts until ICW1) and register 0x20, 0xa0, 0x4d0. */
bool pic_init(struct pic *p, struct bus *bus, const struct dev_host *host);

/** An ISA device's line 0..15 changes level; line 2 (the cascade) and anything above 15 is ignored.
 */
void pic_set_irq(struct pic *p, unsigned line, bool level);

/** Lines that PCI functions hold up, all at once; an input is up while anybody holds it. */
void pic_set_pci(struct pic *p, uint16_t lines);

/** State of the master's INT output. */
bool pic_intr(const struct pic *p);

/** Interrupt acknowledge cycle. @return the vector; the spurious one when no request is left. */
uint8_t pic_ack(struct pic *p);

void pic_tick(struct pic *p, uint64_t now_ns);

#endif
