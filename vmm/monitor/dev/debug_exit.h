/*
 * The test guests' exit port: a write ends the VM with the value written. Present only when the
 * manifest asks for it. Calls its callback and nothing else.
 */
#ifndef VMM_MONITOR_DEV_DEBUG_EXIT_H
#define VMM_MONITOR_DEV_DEBUG_EXIT_H

#include "bus.h"

#define DEBUG_EXIT_PORT 0xf4u

struct debug_exit {
    void (*exit)(void *ctx, uint32_t value);
    void *ctx;
    uint64_t deadline_ns; /* always idle */
};

/** Register ports 0xf4..0xf7. @param exit gets the value; the exit status is (value << 1) | 1. */
bool debug_exit_init(struct debug_exit *d, struct bus *bus, const struct dev_host *host,
                     void (*exit)(void *ctx, uint32_t value), void *ctx);

#endif
