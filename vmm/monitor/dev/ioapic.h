/*
 * I/O APIC with 24 inputs (Intel 82093AA data sheet; EOI register as in the ICH9). Calls the
 * deliver callback only.
 */
#ifndef VMM_MONITOR_DEV_IOAPIC_H
#define VMM_MONITOR_DEV_IOAPIC_H

#include "bus.h"
#include "state.h"
#include "lapic.h"

#define IOAPIC_BASE 0xfec00000ull
#define IOAPIC_PINS 24u

struct ioapic {
    void (*deliver)(void *ctx, const struct apic_msg *msg);
    void *ctx;

    uint64_t deadline_ns; /* always idle */
    uint64_t rte[IOAPIC_PINS];
    uint32_t lines; /* input levels */
    uint8_t index, id;
};

extern const struct dev_state ioapic_state;

/**
 * Reset (all inputs masked) and register the page at IOAPIC_BASE.
 * @param deliver hands a message to the local APICs: see lapic_dispatch()
 */
bool ioapic_init(struct ioapic *io, struct bus *bus, const struct dev_host *host,
                 void (*deliver)(void *ctx, const struct apic_msg *msg), void *ctx);

/**
 * Input @pin changes level; true is "asserted", whatever polarity the guest has programmed.
 * ISA line 0 belongs on pin 2, the other ISA lines on their own number (see the MADT).
 */
void ioapic_set_irq(struct ioapic *io, unsigned pin, bool level);

/** A local APIC has ended a level-triggered @vector. */
void ioapic_eoi(struct ioapic *io, uint8_t vector);

#endif
