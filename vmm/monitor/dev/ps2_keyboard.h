/*
 * PS/2 keyboard with 104 keys (IBM PS/2 Technical Reference, "Keyboards"; scan code sets 1 and 2).
 * Keys are named by their usage of the USB HID Usage Tables 1.12, page 7. Calls nothing: the
 * controller that it is plugged into takes its bytes, and asks for time by its deadline.
 */
#ifndef VMM_MONITOR_DEV_PS2_KEYBOARD_H
#define VMM_MONITOR_DEV_PS2_KEYBOARD_H

#include "ps2.h"

struct ps2_keyboard {
    struct ps2_queue out;
    uint8_t command;   /* whose parameter is awaited, 0: none */
    uint8_t scan_set;  /* 1 or 2 */
    uint8_t leds;      /* bits 0..2: scroll, num, caps */
    uint8_t typematic; /* as set: delay in bits 5..6, rate in bits 0..4 */
    uint8_t scanning;  /* the host wants keys */
    uint8_t held;      /* usage of the key pressed last, still down; 0: none */
    uint64_t deadline_ns;
};

/** As firmware leaves it: the self-test is over, and its result has been taken. */
void ps2_keyboard_init(struct ps2_keyboard *k);
/** A byte from the host. */
void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t byte);

/**
 * A key goes down or up.
 * @param usage HID usage of page 7; those that a PC keyboard does not have are ignored
 * @return false: no room for its scan code now; nothing has happened
 */
bool ps2_keyboard_key(struct ps2_keyboard *k, uint8_t usage, bool down, uint64_t now_ns);

/** Repeat the key that is held. */
void ps2_keyboard_tick(struct ps2_keyboard *k, uint64_t now_ns);

/** What an 8042 makes of a byte in set 2; also how keyboards make set 1. */
uint8_t ps2_translate(uint8_t byte);

/** State that was loaded: @return false: not one that a keyboard can be in. */
bool ps2_keyboard_valid(const struct ps2_keyboard *k);

#endif
