/*
 * What a VM may say to the terminal that its console is shown on: text, where it stands and how it
 * looks. All else is left out: what makes the terminal answer (the answer is typed into whichever
 * VM is shown), sets titles, clipboard, colours or keys, reports the mouse, prints, loads fonts; so
 * is half a sequence, which would swallow root's own words. Default deny: by ECMA-48 and xterm's
 * control sequences. Calls nothing.
 */
#ifndef VMM_RT_TERMINAL_H
#define VMM_RT_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

#define TERMINAL_HELD_BYTES 64u /* of a sequence: longer ones are left out */

/** Of one stream of bytes; all zero at first. */
struct terminal {
    uint8_t held[TERMINAL_HELD_BYTES]; /* a sequence, or a character, that is not whole yet */
    uint8_t count, state;
    bool styled; /* something has been passed on that outlives it */
};

/** The next byte of a VM. @param[out] out TERMINAL_HELD_BYTES at most @return bytes to be shown */
unsigned terminal_put(struct terminal *t, uint8_t byte, uint8_t out[TERMINAL_HELD_BYTES]);

/** Puts a terminal right after any sequence that passes: screen, margins, characters, colours,
 *  keys. The cursor stays. */
extern const char terminal_reset[];

#endif
