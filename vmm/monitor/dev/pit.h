/*
 * 8254 interval timer (Intel 231164) and the PC's port 0x61. Counts are exact functions of the
 * host's clock at 1193182 Hz; channel 0 drives line 0, channel 2's gate and output are at 0x61.
 */
#ifndef VMM_MONITOR_DEV_PIT_H
#define VMM_MONITOR_DEV_PIT_H

#include "bus.h"
#include "state.h"

#define PIT_HZ 1193182u

struct pit_channel {
    uint64_t start;      /* tick at which the count in force was loaded */
    uint64_t held;       /* ticks counted when counting was suspended */
    uint32_t count;      /* count in force, 1..65536 (BCD: 1..10000) */
    uint32_t next_count; /* modes 2, 3: takes over at the end of the period; 0 none */
    uint8_t mode;        /* 0..5 */
    uint8_t access;      /* 1 LSB, 2 MSB, 3 both */
    uint8_t lsb;         /* first byte of a two-byte write */
    uint8_t status;
    uint16_t latch;
    uint8_t bcd, loaded, suspended, gate; /* switches are bytes: see state.h */
    uint8_t write_msb, read_msb, count_latched, status_latched;
};

struct pit {
    const struct dev_host *host;

    uint64_t deadline_ns;
    uint64_t irq_seen; /* rising edges of channel 0 up to this tick have been delivered */
    struct pit_channel ch[3];
    uint8_t port61;
    bool irq_level;
};

extern const struct dev_state pit_state;

/** Reset (no channel programmed) and register 0x40..0x43 and 0x61. */
bool pit_init(struct pit *p, struct bus *bus, const struct dev_host *host);

/** Deliver what channel 0 owes up to @now_ns: any number of missed periods become one edge. */
void pit_tick(struct pit *p, uint64_t now_ns);

#endif
