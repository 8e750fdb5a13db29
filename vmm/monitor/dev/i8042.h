/*
 * 8042 keyboard controller with nothing plugged into its two ports. Lines 1 and 12.
 * Calls the host's interrupt lines and the reset callback only.
 */
#ifndef VMM_MONITOR_DEV_I8042_H
#define VMM_MONITOR_DEV_I8042_H

#include "bus.h"

#define I8042_RAM_BYTES 32u

struct i8042 {
    const struct dev_host *host;
    void (*reset)(void *ctx);
    void *ctx;

    uint64_t deadline_ns;         /* always idle: everything answers at once */
    uint8_t ram[I8042_RAM_BYTES]; /* byte 0 is the command byte */
    uint8_t output, output_port;
    uint8_t status;  /* output full, auxiliary, time-out; the rest is computed */
    uint8_t pending; /* command whose data byte is awaited, 0 none */
    bool last_was_command;
    bool irq_level[2];
};

/** Register ports 0x60 and 0x64. @param reset the guest pulsed the CPU's reset line */
bool i8042_init(struct i8042 *k, struct bus *bus, const struct dev_host *host,
                void (*reset)(void *ctx), void *ctx);

#endif
