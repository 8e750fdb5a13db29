/*
 * A watchdog timer as ACPI's WDAT table describes one to an operating system (Microsoft, "Hardware
 * Watchdog Timers Design Specification", 1.0): Linux drives it with wdat_wdt, Windows by itself.
 * Once running it has to be reset before its countdown is over; else the VM ends. May call: its
 * callback.
 */
#ifndef VMM_MONITOR_DEV_WATCHDOG_H
#define VMM_MONITOR_DEV_WATCHDOG_H

#include "bus.h"
#include "state.h"

#define WATCHDOG_PORT      0x6c0u
#define WATCHDOG_PERIOD_MS 100u
#define WATCHDOG_COUNT_MAX 0xffffu /* periods */

/** Registers of 4 bytes each, from WATCHDOG_PORT on; only whole ones are written. */
enum {
    WATCHDOG_RUN = 0,   /* 1: it runs */
    WATCHDOG_COUNT = 4, /* periods that the guest has; a write resets the countdown */
    WATCHDOG_NOW = 8,   /* periods left; a write, of any value, resets the countdown */
    WATCHDOG_BYTES = 12
};

struct watchdog {
    const struct dev_host *host;
    void (*bite)(void *ctx);
    void *ctx;
    uint32_t run, count;
    uint64_t deadline_ns;
    bool late; /* the countdown has begun anew without the guest */
};

/** Register its ports. @param bite the countdown is over */
bool watchdog_init(struct watchdog *w, struct bus *bus, const struct dev_host *host,
                   void (*bite)(void *ctx), void *ctx);
/** Time has passed. Noticed later than a period after its end, the countdown begins anew, once
 * until the guest resets it: the host has stood still, and the guest has had no chance. */
void watchdog_tick(struct watchdog *w, uint64_t now_ns);

extern const struct dev_state watchdog_state;

#endif
