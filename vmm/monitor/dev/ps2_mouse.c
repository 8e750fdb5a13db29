/* PS/2 mouse; see ps2_mouse.h. Commands and packets: IBM PS/2 Technical Reference, "Mouse". */
#include "ps2_mouse.h"

#include <string.h>

enum {
    CMD_SCALE_1 = 0xe6,
    CMD_SCALE_2 = 0xe7,
    CMD_RESOLUTION = 0xe8,
    CMD_STATUS = 0xe9,
    CMD_STREAM = 0xea,
    CMD_READ = 0xeb,
    CMD_UNWRAP = 0xec,
    CMD_WRAP = 0xee,
    CMD_REMOTE = 0xf0,
    CMD_IDENTIFY = 0xf2,
    CMD_RATE = 0xf3,
    CMD_ENABLE = 0xf4,
    CMD_DISABLE = 0xf5,
    CMD_DEFAULTS = 0xf6,
    CMD_RESEND = 0xfe,
    CMD_RESET = 0xff
};

#define ID_STANDARD 0u
#define ID_WHEEL    3u
#define ID_EXPLORER 4u

#define PACKET_BYTES  4u
#define PACKET_ALWAYS 0x08u
#define MOVE_MAX      0xffff /* counts kept while nobody reads */

static void defaults(struct ps2_mouse *m)
{
    m->out.count = 0;
    m->rate = 100;
    m->resolution = 2;
    m->reporting = m->remote = m->twice = false;
    m->dx = m->dy = m->dz = 0;
}

static void self_test(struct ps2_mouse *m)
{
    defaults(m);
    m->wrap = false;
    m->command = 0;
    m->id = ID_STANDARD;
    memset(m->rates, 0, sizeof(m->rates));
}

void ps2_mouse_init(struct ps2_mouse *m)
{
    memset(m, 0, sizeof(*m));
    self_test(m);
}

static int32_t clamp(int32_t v, int32_t low, int32_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* Scaling 2:1 of streamed movement. */
static int32_t scaled(const struct ps2_mouse *m, int32_t v)
{
    static const uint8_t of[6] = {0, 1, 1, 3, 6, 9};
    int32_t size = v < 0 ? -v : v;

    if (!m->twice || m->remote) return v;
    size = size < 6 ? of[size] : 2 * size;
    return clamp(v < 0 ? -size : size, -255, 255);
}

/* One packet of what has happened; movement that does not fit stays for the next. */
static unsigned packet(struct ps2_mouse *m, uint8_t bytes[PACKET_BYTES])
{
    int32_t dx = clamp(m->dx, -255, 255), dy = clamp(m->dy, -255, 255);
    int32_t dz = clamp(m->dz, m->id == ID_EXPLORER ? -8 : -128, m->id == ID_EXPLORER ? 7 : 127);
    int32_t x = scaled(m, dx), y = scaled(m, dy);

    m->dx -= dx;
    m->dy -= dy;
    m->dz = m->id == ID_STANDARD ? 0 : m->dz - dz;
    m->told = m->buttons;
    bytes[0] =
        (uint8_t)(PACKET_ALWAYS | (m->buttons & 7u) | (x < 0 ? 0x10u : 0u) | (y < 0 ? 0x20u : 0u));
    bytes[1] = (uint8_t)x;
    bytes[2] = (uint8_t)y;
    bytes[3] = (uint8_t)dz;
    if (m->id == ID_EXPLORER) bytes[3] = (uint8_t)((bytes[3] & 0x0fu) | (m->buttons & 0x18u) << 1);
    return m->id == ID_STANDARD ? 3u : 4u;
}

void ps2_mouse_refill(struct ps2_mouse *m)
{
    uint8_t bytes[PACKET_BYTES];
    unsigned n;

    if (!m->reporting || m->remote || m->wrap || ps2_waiting(&m->out)) return;
    if (m->dx == 0 && m->dy == 0 && m->dz == 0 && m->buttons == m->told) return;
    n = packet(m, bytes);
    for (unsigned i = 0; i < n; i++) ps2_put(&m->out, bytes[i]);
}

void ps2_mouse_move(struct ps2_mouse *m, int32_t dx, int32_t dy, int32_t dz, uint8_t buttons)
{
    m->dx = clamp(m->dx + clamp(dx, -MOVE_MAX, MOVE_MAX), -MOVE_MAX, MOVE_MAX);
    m->dy = clamp(m->dy + clamp(dy, -MOVE_MAX, MOVE_MAX), -MOVE_MAX, MOVE_MAX);
    m->dz = clamp(m->dz + clamp(dz, -MOVE_MAX, MOVE_MAX), -MOVE_MAX, MOVE_MAX);
    m->buttons = buttons & 0x1fu;
    if (!m->reporting && !m->remote) m->dx = m->dy = m->dz = 0; /* counted only when asked for */
    ps2_mouse_refill(m);
}

static void status_reply(struct ps2_mouse *m)
{
    uint8_t b = m->buttons;

    /* Left is bit 2 here, right is bit 0. */
    ps2_reply(&m->out,
              (uint8_t)((m->remote ? 0x40u : 0u) | (m->reporting ? 0x20u : 0u) |
                        (m->twice ? 0x10u : 0u) | (b & 1u) << 2 | (b & 4u) >> 1 | (b & 2u) >> 1));
    ps2_reply(&m->out, m->resolution);
    ps2_reply(&m->out, m->rate);
}

/* The sequences of rates that turn a mouse into one with a wheel, with more buttons. */
static void rate_set(struct ps2_mouse *m, uint8_t rate)
{
    if (rate == 80u && m->rates[1] == 200u && m->rates[0] == 100u)
        m->id = ID_WHEEL;
    else if (rate == 80u && m->rates[1] == 200u && m->rates[0] == 200u && m->id != ID_STANDARD)
        m->id = ID_EXPLORER;
    m->rates[1] = m->rates[0];
    m->rates[0] = rate;
    m->rate = rate;
}

static void read_data(struct ps2_mouse *m)
{
    uint8_t bytes[PACKET_BYTES];
    unsigned n = packet(m, bytes);

    for (unsigned i = 0; i < n; i++) ps2_reply(&m->out, bytes[i]);
}

static void command(struct ps2_mouse *m, uint8_t byte)
{
    if (byte == CMD_RESEND) { /* the last byte again: not acknowledged */
        ps2_reply(&m->out, m->out.last);
        return;
    }
    if (byte < CMD_SCALE_1 || byte == 0xed || byte == 0xef || byte == 0xf1 ||
        (byte > CMD_DEFAULTS && byte < CMD_RESEND)) {
        ps2_reply(&m->out, PS2_RESEND);
        return;
    }
    m->out.count = 0; /* a packet that was not taken is void */
    ps2_reply(&m->out, PS2_ACK);
    switch (byte) {
    case CMD_SCALE_1:
    case CMD_SCALE_2: m->twice = byte == CMD_SCALE_2; break;
    case CMD_RESOLUTION:
    case CMD_RATE: m->command = byte; break;
    case CMD_STATUS: status_reply(m); break;
    case CMD_STREAM:
    case CMD_REMOTE: m->remote = byte == CMD_REMOTE; break;
    case CMD_READ: read_data(m); break;
    case CMD_UNWRAP:
    case CMD_WRAP: m->wrap = byte == CMD_WRAP; break;
    case CMD_IDENTIFY: ps2_reply(&m->out, m->id); break;
    case CMD_ENABLE:
    case CMD_DISABLE:
        m->reporting = byte == CMD_ENABLE;
        m->dx = m->dy = m->dz = 0;
        break;
    case CMD_DEFAULTS: defaults(m); break;
    default:
        self_test(m);
        ps2_reply(&m->out, PS2_TEST_GOOD);
        ps2_reply(&m->out, ID_STANDARD);
        break;
    }
}

void ps2_mouse_write(struct ps2_mouse *m, uint8_t byte)
{
    uint8_t waits = m->command;

    m->command = 0;
    if (m->wrap && byte != CMD_UNWRAP && byte != CMD_RESET) {
        ps2_reply(&m->out, byte);
    } else if (waits == CMD_RATE && byte < CMD_SCALE_1) {
        rate_set(m, byte);
        ps2_reply(&m->out, PS2_ACK);
    } else if (waits == CMD_RESOLUTION && byte <= 3u) {
        m->resolution = byte;
        ps2_reply(&m->out, PS2_ACK);
    } else {
        command(m, byte);
    }
}

bool ps2_mouse_valid(const struct ps2_mouse *m)
{
    return ps2_queue_valid(&m->out) &&
           (m->id == ID_STANDARD || m->id == ID_WHEEL || m->id == ID_EXPLORER) &&
           clamp(m->dx, -MOVE_MAX, MOVE_MAX) == m->dx &&
           clamp(m->dy, -MOVE_MAX, MOVE_MAX) == m->dy && clamp(m->dz, -MOVE_MAX, MOVE_MAX) == m->dz;
}
