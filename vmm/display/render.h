/*
 * Draws what is on a VM's screen (bulkhead/screen.h): text, 16 and 256 colours of the VGA, linear
 * modes of the extensions; not the CGA's modes. Pure arithmetic on what it is given, which anybody
 * may have made up: every address is bounded. Calls nothing. Same source on the host and in tests.
 */
#ifndef VMM_DISPLAY_RENDER_H
#define VMM_DISPLAY_RENDER_H

#include <stdbool.h>
#include <stdint.h>
#include "bulkhead/screen.h"

#define RENDER_WIDTH_MAX  4096u
#define RENDER_HEIGHT_MAX 4096u

/** The memory of a screen, as far as it is known. */
struct render_memory {
    const uint8_t *planes; /* BH_SCREEN_FRAME bytes */
    const uint8_t *frame;
    uint32_t frame_bytes;
};

enum render_kind { RENDER_NOTHING, RENDER_TEXT, RENDER_PLANES, RENDER_BYTES, RENDER_LINEAR };

struct render_mode {
    enum render_kind kind;
    uint32_t width, height; /* pixels, at most the limits above */
    uint32_t columns, rows; /* of text */
};

/** What kind of picture it is. RENDER_NOTHING: the registers make none */
struct render_mode render_mode(const struct bh_screen *s);

/** @param rgb width * height * 3 bytes */
void render(const struct bh_screen *s, const struct render_memory *m, uint8_t *rgb);

/** Code and attribute of a character of a text mode. */
uint16_t render_cell(const struct bh_screen *s, const struct render_memory *m, uint32_t column,
                     uint32_t row);

/** One of the 16 lines of a character of the font that is used when the guest has loaded none; the
 *  leftmost pixel is bit 7. */
uint8_t font_line(uint8_t code, unsigned line);

#endif
