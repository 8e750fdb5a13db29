/*
 * PS/2 keyboard; see ps2_keyboard.h. Codes and commands: IBM PS/2 Technical Reference, "Keyboards";
 * which key has which code: USB HID to PS/2 Scan Code Translation Table, revision 1.3.
 */
#include "ps2_keyboard.h"
#include "dev_util.h"

#include <string.h>

#define KEY_PRINT_SCREEN 0x46u
#define KEY_PAUSE        0x48u
#define KEY_USAGES       0xe8u /* they end with the eight modifiers */

#define CODE_BREAK   0xf0u
#define CODE_E0      0xe0u
#define CODE_LONGEST 8u /* bytes: Pause */

#define TYPEMATIC_DEFAULT 0x2bu /* 500 ms, 10.9 a second */

enum {
    CMD_LEDS = 0xed,
    CMD_ECHO = 0xee,
    CMD_SCAN_SET = 0xf0,
    CMD_IDENTIFY = 0xf2,
    CMD_TYPEMATIC = 0xf3,
    CMD_ENABLE = 0xf4,
    CMD_DISABLE = 0xf5,
    CMD_DEFAULTS = 0xf6,
    CMD_RESEND = 0xfe,
    CMD_RESET = 0xff
};

/* Codes of set 2. Bit 7 stands for the prefix E0, but for F7 (0x83), which has none. */
#define E0(code) (0x80u | (code))
static const uint8_t codes[KEY_USAGES] = {
    /* letters */
    [0x04] = 0x1c,
    0x32,
    0x21,
    0x23,
    0x24,
    0x2b,
    0x34,
    0x33,
    0x43,
    0x3b,
    0x42,
    0x4b,
    0x3a,
    0x31,
    0x44,
    0x4d,
    0x15,
    0x2d,
    0x1b,
    0x2c,
    0x3c,
    0x2a,
    0x1d,
    0x22,
    0x35,
    0x1a,
    /* digits from 1 */
    [0x1e] = 0x16,
    0x1e,
    0x26,
    0x25,
    0x2e,
    0x36,
    0x3d,
    0x3e,
    0x46,
    0x45,
    /* Enter, Esc, Backspace, Tab, space, - = [ ] \ \ ; ' ` , . / Caps Lock */
    [0x28] = 0x5a,
    0x76,
    0x66,
    0x0d,
    0x29,
    0x4e,
    0x55,
    0x54,
    0x5b,
    0x5d,
    0x5d,
    0x4c,
    0x52,
    0x0e,
    0x41,
    0x49,
    0x4a,
    0x58,
    /* F1 to F12 */
    [0x3a] = 0x05,
    0x06,
    0x04,
    0x0c,
    0x03,
    0x0b,
    0x83,
    0x0a,
    0x01,
    0x09,
    0x78,
    0x07,
    /* Print Screen and Pause are longer; Scroll Lock; Insert, Home, PgUp, Del, End, PgDn, arrows */
    [0x47] = 0x7e,
    [0x49] = E0(0x70),
    E0(0x6c),
    E0(0x7d),
    E0(0x71),
    E0(0x69),
    E0(0x7a),
    E0(0x74),
    E0(0x6b),
    E0(0x72),
    E0(0x75),
    /* keypad: Num Lock, / * - + Enter, 1 to 9, 0, . */
    [0x53] = 0x77,
    E0(0x4a),
    0x7c,
    0x7b,
    0x79,
    E0(0x5a),
    0x69,
    0x72,
    0x7a,
    0x6b,
    0x73,
    0x74,
    0x6c,
    0x75,
    0x7d,
    0x70,
    0x71,
    /* the 102nd key, application, power */
    [0x64] = 0x61,
    E0(0x2f),
    E0(0x37),
    /* Ctrl, Shift, Alt, GUI: left, right */
    [0xe0] = 0x14,
    0x12,
    0x11,
    E0(0x1f),
    E0(0x14),
    0x59,
    E0(0x11),
    E0(0x27)};

/* Set 2 to set 1, for codes below 0x80; beyond, only 0x83 and 0x84 are not what they were. */
static const uint8_t translation[128] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

uint8_t ps2_translate(uint8_t byte)
{
    if (byte < 0x80u) return translation[byte];
    return byte == 0x83u ? 0x41u : byte == 0x84u ? 0x54u : byte;
}

/* Bytes of a key in set 2. @return how many */
static unsigned make_code(uint8_t usage, bool down, uint8_t code[CODE_LONGEST])
{
    static const uint8_t print_down[] = {0xe0, 0x12, 0xe0, 0x7c};
    static const uint8_t print_up[] = {0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12};
    static const uint8_t pause[] = {0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77};
    unsigned n = 0;
    uint8_t c;

    if (usage == KEY_PRINT_SCREEN) {
        n = down ? sizeof(print_down) : sizeof(print_up);
        memcpy(code, down ? print_down : print_up, n);
        return n;
    }
    if (usage == KEY_PAUSE) { /* says nothing when it is let go */
        memcpy(code, pause, sizeof(pause));
        return down ? sizeof(pause) : 0;
    }
    if (usage >= KEY_USAGES || codes[usage] == 0) return 0;
    c = codes[usage];
    if (c != 0x83u && (c & 0x80u)) {
        code[n++] = CODE_E0;
        c &= 0x7fu;
    }
    if (!down) code[n++] = CODE_BREAK;
    code[n++] = c;
    return n;
}

/* Set 1 is set 2 as an 8042 translates it: the break prefix becomes a bit of the code. */
static unsigned to_set_1(uint8_t code[CODE_LONGEST], unsigned n)
{
    unsigned to = 0;
    uint8_t up = 0;

    for (unsigned i = 0; i < n; i++) {
        if (code[i] == CODE_BREAK) {
            up = 0x80;
            continue;
        }
        code[to++] = ps2_translate(code[i]) | up;
        up = 0;
    }
    return to;
}

static bool send(struct ps2_keyboard *k, uint8_t usage, bool down)
{
    uint8_t code[CODE_LONGEST];
    unsigned n = make_code(usage, down, code);

    if (k->scan_set == 1u) n = to_set_1(code, n);
    if (n > ps2_room(&k->out)) return false;
    for (unsigned i = 0; i < n; i++) ps2_put(&k->out, code[i]);
    return true;
}

static uint64_t repeat_delay_ns(const struct ps2_keyboard *k)
{
    return ((k->typematic >> 5 & 3u) + 1u) * 250000000ull;
}

/* (8 + A) * 2^B * 4.17 ms, A bits 0..2 and B bits 3..4 of the rate. */
static uint64_t repeat_period_ns(const struct ps2_keyboard *k)
{
    return ((8u + (k->typematic & 7u)) << (k->typematic >> 3 & 3u)) * 4170000ull;
}

static void defaults(struct ps2_keyboard *k)
{
    k->out.count = 0;
    k->scan_set = 2;
    k->typematic = TYPEMATIC_DEFAULT;
    k->held = 0;
    k->deadline_ns = NO_DEADLINE_NS;
}

static void reset(struct ps2_keyboard *k)
{
    defaults(k);
    k->leds = 0;
    k->scanning = true;
    k->command = 0;
}

void ps2_keyboard_init(struct ps2_keyboard *k)
{
    memset(k, 0, sizeof(*k));
    reset(k);
}

static void parameter(struct ps2_keyboard *k, uint8_t command, uint8_t byte)
{
    switch (command) {
    case CMD_LEDS: k->leds = byte & 7u; break;
    case CMD_TYPEMATIC: k->typematic = byte & 0x7fu; break;
    case CMD_SCAN_SET:
        if (byte > 2u) { /* set 3 is for terminals: this keyboard does not have it */
            ps2_reply(&k->out, PS2_RESEND);
            return;
        }
        ps2_reply(&k->out, PS2_ACK);
        if (byte == 0)
            ps2_reply(&k->out, k->scan_set);
        else
            k->scan_set = byte;
        return;
    default: break;
    }
    ps2_reply(&k->out, PS2_ACK);
}

void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t byte)
{
    uint8_t command = k->command;

    k->command = 0;
    if (command != 0 && byte < CMD_LEDS) {
        parameter(k, command, byte);
        return;
    }
    switch (byte) {
    case CMD_LEDS:
    case CMD_TYPEMATIC:
    case CMD_SCAN_SET:
        k->command = byte;
        ps2_reply(&k->out, PS2_ACK);
        break;
    case CMD_ECHO: ps2_reply(&k->out, CMD_ECHO); break;
    case CMD_IDENTIFY:
        ps2_reply(&k->out, PS2_ACK);
        ps2_reply(&k->out, 0xab);
        ps2_reply(&k->out, 0x83);
        break;
    case CMD_ENABLE:
        k->out.count = 0;
        k->scanning = true;
        ps2_reply(&k->out, PS2_ACK);
        break;
    case CMD_DISABLE:
    case CMD_DEFAULTS:
        defaults(k);
        k->scanning = byte == CMD_DEFAULTS;
        ps2_reply(&k->out, PS2_ACK);
        break;
    case CMD_RESEND: ps2_reply(&k->out, k->out.last); break;
    case CMD_RESET:
        reset(k);
        ps2_reply(&k->out, PS2_ACK);
        ps2_reply(&k->out, PS2_TEST_GOOD);
        break;
    default: ps2_reply(&k->out, PS2_RESEND); break;
    }
}

bool ps2_keyboard_key(struct ps2_keyboard *k, uint8_t usage, bool down, uint64_t now_ns)
{
    if (!k->scanning) return true; /* nobody wants to know */
    if (!send(k, usage, down)) return false;
    if (down && usage != KEY_PAUSE) {
        k->held = usage;
        k->deadline_ns = ns_add(now_ns, repeat_delay_ns(k));
    } else if (!down && usage == k->held) {
        k->held = 0;
        k->deadline_ns = NO_DEADLINE_NS;
    }
    return true;
}

void ps2_keyboard_tick(struct ps2_keyboard *k, uint64_t now_ns)
{
    if (now_ns < k->deadline_ns) return;
    if (k->held == 0 || !k->scanning) {
        k->deadline_ns = NO_DEADLINE_NS;
        return;
    }
    /* While nobody reads, repeats are not kept: they would come all at once later. */
    if (k->out.count == 0) (void)send(k, k->held, true);
    k->deadline_ns = ns_add(now_ns, repeat_period_ns(k));
}

bool ps2_keyboard_valid(const struct ps2_keyboard *k)
{
    return ps2_queue_valid(&k->out) && (k->scan_set == 1u || k->scan_set == 2u);
}
