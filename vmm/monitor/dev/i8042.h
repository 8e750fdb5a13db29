/*
 * 8042 keyboard controller; into its two ports a keyboard and a mouse are plugged, or nothing.
 * Lines 1 and 12. Calls the host's interrupt lines and clock and the reset callback only.
 */
#ifndef VMM_MONITOR_DEV_I8042_H
#define VMM_MONITOR_DEV_I8042_H

#include "bus.h"
#include "ps2_keyboard.h"
#include "ps2_mouse.h"
#include "state.h"

#define I8042_RAM_BYTES 32u

struct i8042 {
    const struct dev_host *host;
    void (*reset)(void *ctx);
    void *ctx;

    bool plugged; /* keyboard and mouse are there */

    uint64_t deadline_ns;         /* the keyboard's: everything else answers at once */
    uint8_t ram[I8042_RAM_BYTES]; /* byte 0 is the command byte */
    uint8_t output, output_port;
    uint8_t status;  /* output full, auxiliary, time-out; the rest is computed */
    uint8_t pending; /* command whose data byte is awaited, 0 none */
    bool last_was_command;
    bool breaking;       /* translation: the keyboard has sent the prefix of a key's release */
    uint8_t kept;        /* a device's byte that an answer of the controller has displaced */
    uint8_t kept_status; /* 0: none */
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;
    bool irq_level[2];
};

/**
 * Register ports 0x60 and 0x64.
 * @param plugged whether there are a keyboard and a mouse
 * @param reset   the guest pulsed the CPU's reset line
 */
bool i8042_init(struct i8042 *k, struct bus *bus, const struct dev_host *host, bool plugged,
                void (*reset)(void *ctx), void *ctx);

/** As firmware leaves it: a keyboard that is there is on, translated, with its interrupt. */
void i8042_setup(struct i8042 *k);

/** A key, by its USB HID usage. @return false: no room now, offer it again */
bool i8042_key(struct i8042 *k, uint8_t usage, bool down);
/** The mouse, see ps2_mouse_move(). */
void i8042_move(struct i8042 *k, int32_t dx, int32_t dy, int32_t dz, uint8_t buttons);
void i8042_tick(struct i8042 *k, uint64_t now_ns);

extern const struct dev_state i8042_state;

#endif
