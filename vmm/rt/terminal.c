/* What a VM may say to a terminal; see terminal.h. */
#include "terminal.h"
#include "string.h"

#define BEL 0x07u
#define BS  0x08u
#define CR  0x0du
#define SO  0x0eu
#define SI  0x0fu
#define CAN 0x18u
#define SUB 0x1au
#define ESC 0x1bu

enum {
    TEXT,
    CHARACTER, /* UTF-8: its first byte is held */
    ESCAPE,
    INTERMEDIATE, /* ESC and a byte from 20 to 2F */
    CONTROL,      /* ESC [ */
    SKIP,         /* a control sequence that is too long */
    STRING,       /* OSC, DCS and their like: up to its end, all is left out */
};

/* In this order: DECSC, margins off, DECRC; characters, attributes and insertion; the main screen;
 * keys and cursor as they are at first, lines that wrap. */
const char terminal_reset[] = "\0337\033[r\0338\017\033(B\033)B\033[m\033[4l\033[?1049l\033[?47l"
                              "\033[?1l\033[?7h\033[?25h\033[?2004l\033>";

static unsigned pass(struct terminal *t, uint8_t *out)
{
    unsigned n = t->count;

    memcpy(out, t->held, n);
    t->count = 0;
    t->state = TEXT;
    return n;
}

static unsigned drop(struct terminal *t)
{
    t->count = 0;
    t->state = TEXT;
    return 0;
}

/* @return false: no room. */
static bool hold(struct terminal *t, uint8_t byte)
{
    if (t->count == TERMINAL_HELD_BYTES) return false;
    t->held[t->count++] = byte;
    return true;
}

static bool one_of(uint8_t byte, const char *set)
{
    for (; *set; set++)
        if (byte == (uint8_t)*set) return true;
    return false;
}

/* ---- control sequences: ESC [ parameters intermediates final ---- */

/* Modes that are switched by "?": cursor keys, wrapping, cursor (blinking, shown), the other
 * screen, bracketed paste. Not the mouse, nor what resizes or answers. */
static bool mode_passes(unsigned mode, bool dec)
{
    static const unsigned modes[] = {1, 7, 12, 25, 47, 1047, 1048, 1049, 2004};

    if (!dec) return mode == 4u; /* insertion */
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (modes[i] == mode) return true;
    return false;
}

static bool modes_pass(const uint8_t *p, const uint8_t *end)
{
    bool dec = p < end && *p == '?';
    unsigned mode = 0;

    for (p += dec ? 1 : 0; p < end; p++) {
        if (*p >= '0' && *p <= '9') {
            mode = mode < 10000u ? mode * 10u + *p - '0' : mode;
        } else if (*p != ';' || !mode_passes(mode, dec)) {
            return false;
        } else {
            mode = 0;
        }
    }
    return mode_passes(mode, dec);
}

/* What is held, with @final behind it: moving and erasing; colours, margins, modes. */
static bool control_passes(struct terminal *t, uint8_t final)
{
    const uint8_t *p = t->held + 2, *end = t->held + t->count;

    if (final == 'h' || final == 'l') return modes_pass(p, end);
    if (final == 'p') return end - p == 1 && *p == '!'; /* DECSTR: a soft reset */
    for (; p < end; p++)
        if (!(*p >= '0' && *p <= ';')) return false; /* private ones, intermediates */
    return one_of(final, "@ABCDEFGHIJKLMPSTXZ`adefgmrsu");
}

static unsigned control(struct terminal *t, uint8_t byte, uint8_t *out)
{
    if (byte < 0x40u || t->state == SKIP) {
        if (t->state == SKIP && byte >= 0x40u && byte <= 0x7eu) return drop(t);
        if (!hold(t, byte)) t->state = SKIP;
        return 0;
    }
    if (byte > 0x7eu || !control_passes(t, byte) || !hold(t, byte)) return drop(t);
    t->styled = true;
    return pass(t, out);
}

/* ---- escape sequences ---- */

static unsigned escape(struct terminal *t, uint8_t byte, uint8_t *out)
{
    if (one_of(byte, "]PX^_")) {
        t->state = STRING;
        return 0;
    }
    (void)hold(t, byte);
    if (byte == '[' || (byte >= 0x20u && byte <= 0x2fu)) {
        t->state = byte == '[' ? CONTROL : INTERMEDIATE;
        return 0;
    }
    /* Cursor saved and restored, index, next line, tab, reverse index, keypad, full reset. */
    if (!one_of(byte, "78DEHM=>c")) return drop(t);
    t->styled = true;
    return pass(t, out);
}

/* Of those with intermediates: G0 and G1 to line drawing and back. */
static unsigned intermediate(struct terminal *t, uint8_t byte, uint8_t *out)
{
    bool charset = t->count == 2u && (t->held[1] == '(' || t->held[1] == ')');

    if (byte >= 0x20u && byte <= 0x2fu) {
        t->held[1] = ' '; /* none that passes */
        return 0;
    }
    if (!charset || !one_of(byte, "0AB")) return drop(t);
    (void)hold(t, byte);
    t->styled = true;
    return pass(t, out);
}

/* ---- text ---- */

/* Of the control characters those that move the cursor, the bell, and two that choose a charset:
 * not ENQ, which is answered. */
static bool plain(uint8_t byte) { return byte >= BEL && byte <= SI; }

/* C1 characters are sequences in one: they must not come in two bytes (or, not in the shortest
 * form, in more) of UTF-8 either. */
static bool second_fits(uint8_t first, uint8_t second)
{
    if (second < 0x80u || second > 0xbfu) return false;
    if (first == 0xc2u || first == 0xe0u) return second >= 0xa0u;
    return first != 0xf0u || second >= 0x90u;
}

static unsigned text(struct terminal *t, uint8_t byte, uint8_t *out)
{
    if (byte == ESC || (byte >= 0xc2u && byte <= 0xf4u)) {
        t->state = byte == ESC ? ESCAPE : CHARACTER;
        t->held[0] = byte;
        t->count = 1;
        return 0;
    }
    if ((byte < 0x20u && !plain(byte)) || byte == 0x7fu) return 0;
    if (byte == SO || byte == SI) t->styled = true;
    out[0] = byte >= 0x80u ? '?' : byte;
    return 1;
}

/* Bytes 80 to BF that continue a character come one by one: only the second can do harm. */
static unsigned character(struct terminal *t, uint8_t byte, uint8_t *out)
{
    uint8_t first = t->held[0];
    unsigned whole = first >= 0xf0u ? 4u : first >= 0xe0u ? 3u : 2u;
    bool fits = t->count == 1u ? second_fits(first, byte) : byte >= 0x80u && byte <= 0xbfu;

    if (!fits) {
        (void)drop(t);
        out[0] = '?';
        return 1u + text(t, byte, out + 1);
    }
    (void)hold(t, byte);
    return t->count == whole ? pass(t, out) : 0;
}

unsigned terminal_put(struct terminal *t, uint8_t byte, uint8_t out[TERMINAL_HELD_BYTES])
{
    bool sequence = t->state != TEXT && t->state != CHARACTER;

    /* In the middle of a sequence: a new one, or its end. A line does not end in one either, so
     * that a string without an end hides nothing but itself. */
    if (sequence && (byte == ESC || byte == CAN || byte == SUB || plain(byte))) {
        bool string = t->state == STRING;

        (void)drop(t);
        return byte == CAN || byte == SUB || (string && byte == BEL) ? 0 : text(t, byte, out);
    }
    switch (t->state) {
    case TEXT: return text(t, byte, out);
    case CHARACTER: return character(t, byte, out);
    case ESCAPE: return escape(t, byte, out);
    case INTERMEDIATE: return intermediate(t, byte, out);
    case STRING: return 0;
    default: return control(t, byte, out);
    }
}
