/*
 * PS/2 mouse with a wheel (IBM PS/2 Technical Reference, "Mouse"; Microsoft's IntelliMouse
 * extensions: three buttons and a wheel after the sample rates 200, 100, 80; five buttons after
 * 200, 200, 80). Calls nothing: the controller takes its bytes.
 */
#ifndef VMM_MONITOR_DEV_PS2_MOUSE_H
#define VMM_MONITOR_DEV_PS2_MOUSE_H

#include "ps2.h"

struct ps2_mouse {
    struct ps2_queue out;
    uint8_t command; /* whose parameter is awaited, 0: none */
    uint8_t id;      /* 0 standard, 3 wheel, 4 wheel and five buttons */
    uint8_t rate, resolution;
    uint8_t rates[2];                       /* the two sample rates set before, latest first */
    uint8_t reporting, remote, wrap, twice; /* twice: scaling 2:1 */
    uint8_t buttons;                        /* as they are: left, right, middle, 4th, 5th */
    uint8_t told;                           /* buttons as last reported */
    int32_t dx, dy, dz;                     /* movement not yet reported; up and away is positive */
};

/** As firmware leaves it: the self-test is over, and its result has been taken. */
void ps2_mouse_init(struct ps2_mouse *m);
/** A byte from the host. */
void ps2_mouse_write(struct ps2_mouse *m, uint8_t byte);
/** Movement in counts (right, up), wheel in notches (towards the user), buttons that are down
 *  (bits left, right, middle, 4th, 5th). */
void ps2_mouse_move(struct ps2_mouse *m, int32_t dx, int32_t dy, int32_t dz, uint8_t buttons);
/** The controller has read the last byte: movement that has come meanwhile makes one packet. */
void ps2_mouse_refill(struct ps2_mouse *m);
/** State that was loaded: @return false: not one that a mouse can be in. */
bool ps2_mouse_valid(const struct ps2_mouse *m);

#endif
