/*
 * 8042 keyboard controller (IBM PC/AT Technical Reference, "Keyboard Controller"; the auxiliary
 * port as in the PS/2). With nothing plugged in, a byte sent to either port gets what a real
 * controller reports then, a time-out with 0xfe in the output buffer, so that a driver's probe ends
 * at once. The A20 line is always open; the bit that stands for it reads back as written.
 */
#include "i8042.h"
#include "dev_util.h"

#include <string.h>

#define STATUS_OBF     0x01u
#define STATUS_SYSTEM  0x04u
#define STATUS_COMMAND 0x08u
#define STATUS_UNLOCK  0x10u
#define STATUS_AUX     0x20u
#define STATUS_TIMEOUT 0x40u
#define STATUS_DEVICE  0x80u /* ours, not shown: the byte came from keyboard or mouse */

#define CB_KBD_INT     0x01u
#define CB_AUX_INT     0x02u
#define CB_SYSTEM      0x04u
#define CB_KBD_DISABLE 0x10u
#define CB_AUX_DISABLE 0x20u
#define CB_TRANSLATE   0x40u

#define OUT_RUN      0x01u /* low: the CPU is held in reset */
#define OUT_A20      0x02u
#define OUT_KBD_FULL 0x10u
#define OUT_AUX_FULL 0x20u

#define CMD_WRITE_OUTPUT_PORT 0xd1u
#define CMD_WRITE_KBD_BUFFER  0xd2u
#define CMD_WRITE_AUX_BUFFER  0xd3u
#define CMD_WRITE_AUX         0xd4u
#define BREAK_PREFIX          0xf0u

static void irq_update(struct i8042 *k)
{
    static const uint8_t line[2] = {1, 12};
    bool full = (k->status & STATUS_OBF) != 0;
    bool aux = (k->status & STATUS_AUX) != 0;
    bool level[2] = {full && !aux && (k->ram[0] & CB_KBD_INT),
                     full && aux && (k->ram[0] & CB_AUX_INT)};

    for (unsigned i = 0; i < 2; i++) {
        if (level[i] != k->irq_level[i]) {
            k->irq_level[i] = level[i];
            k->host->irq(k->host->ctx, line[i], level[i]);
        }
    }
}

/* The controller's own byte into the output buffer; of its own, one that has not been read is
 * replaced, as in the chip. A device's is sent again: the driver has not asked for it. */
static void reply(struct i8042 *k, uint8_t value, unsigned flags)
{
    if ((k->status & STATUS_DEVICE) && k->kept_status == 0) {
        k->kept = k->output;
        k->kept_status = k->status;
    }
    k->output = value;
    k->status = (uint8_t)(STATUS_OBF | flags);
}

static bool keyboard_byte(struct i8042 *k)
{
    while (!(k->ram[0] & CB_KBD_DISABLE) && ps2_waiting(&k->keyboard.out)) {
        uint8_t byte = ps2_get(&k->keyboard.out);

        if (k->ram[0] & CB_TRANSLATE) {
            if (byte == BREAK_PREFIX) {
                k->breaking = true;
                continue;
            }
            byte = ps2_translate(byte) | (k->breaking ? 0x80u : 0u);
            k->breaking = false;
        }
        k->output = byte;
        k->status = STATUS_OBF | STATUS_DEVICE;
        return true;
    }
    return false;
}

static bool mouse_byte(struct i8042 *k)
{
    if (k->ram[0] & CB_AUX_DISABLE) return false;
    ps2_mouse_refill(&k->mouse);
    if (!ps2_waiting(&k->mouse.out)) return false;
    k->output = ps2_get(&k->mouse.out);
    k->status = STATUS_OBF | STATUS_AUX | STATUS_DEVICE;
    return true;
}

/* Whatever has happened: an empty output buffer takes what waits, then the lines follow. */
static void settle(struct i8042 *k)
{
    if (!(k->status & STATUS_OBF)) {
        if (k->kept_status != 0) {
            k->output = k->kept;
            k->status = k->kept_status;
            k->kept_status = 0;
        } else if (k->plugged && !keyboard_byte(k)) {
            (void)mouse_byte(k);
        }
    }
    k->deadline_ns = k->keyboard.deadline_ns;
    irq_update(k);
}

static void to_keyboard(struct i8042 *k, uint8_t value)
{
    k->ram[0] &= (uint8_t)~CB_KBD_DISABLE; /* sending opens the port */
    if (k->plugged)
        ps2_keyboard_write(&k->keyboard, value);
    else
        reply(k, PS2_RESEND, STATUS_TIMEOUT);
}

static void to_mouse(struct i8042 *k, uint8_t value)
{
    if (k->plugged)
        ps2_mouse_write(&k->mouse, value);
    else
        reply(k, PS2_RESEND, STATUS_AUX | STATUS_TIMEOUT);
}

static void output_port_write(struct i8042 *k, uint8_t value)
{
    k->output_port = value & (OUT_RUN | OUT_A20);
    if (!(value & OUT_RUN)) {
        k->output_port |= OUT_RUN;
        k->reset(k->ctx);
    }
}

static void command(struct i8042 *k, uint8_t value)
{
    k->pending = 0;
    if (value >= 0x20u && value <= 0x3fu) {
        reply(k, k->ram[value & 0x1fu], 0);
        return;
    }
    if (value >= 0xf0u) { /* pulse the output lines whose bit is 0; line 0 is reset */
        if (!(value & 1u)) k->reset(k->ctx);
        return;
    }
    switch (value) {
    case 0xa7: k->ram[0] |= CB_AUX_DISABLE; break;
    case 0xa8: k->ram[0] &= (uint8_t)~CB_AUX_DISABLE; break;
    case 0xa9: /* test of the auxiliary port's lines: good */
    case 0xab: /* the same for the keyboard's */ reply(k, 0x00, 0); break;
    case 0xaa: /* controller self-test: passed, and back to the power-on setting */
        k->ram[0] = CB_TRANSLATE | CB_KBD_DISABLE | CB_AUX_DISABLE | CB_SYSTEM;
        k->status = k->kept_status = 0;
        k->breaking = false;
        reply(k, 0x55, 0);
        break;
    case 0xad: k->ram[0] |= CB_KBD_DISABLE; break;
    case 0xae: k->ram[0] &= (uint8_t)~CB_KBD_DISABLE; break;
    case 0xc0: /* input port: keyboard not locked, no manufacturing jumper */
        reply(k, 0xa0, 0);
        break;
    case 0xd0:
        reply(
            k,
            (uint8_t)(k->output_port | (k->status & STATUS_OBF
                                            ? (k->status & STATUS_AUX ? OUT_AUX_FULL : OUT_KBD_FULL)
                                            : 0u)),
            0);
        break;
    case CMD_WRITE_OUTPUT_PORT:
    case CMD_WRITE_KBD_BUFFER:
    case CMD_WRITE_AUX_BUFFER:
    case CMD_WRITE_AUX: k->pending = value; break;
    default:
        if (value >= 0x60u && value <= 0x7fu) k->pending = value;
        break;
    }
}

static void data(struct i8042 *k, uint8_t value)
{
    uint8_t pending = k->pending;

    k->pending = 0;
    switch (pending) {
    case CMD_WRITE_OUTPUT_PORT: output_port_write(k, value); break;
    case CMD_WRITE_KBD_BUFFER: reply(k, value, 0); break;
    case CMD_WRITE_AUX_BUFFER: reply(k, value, STATUS_AUX); break;
    case CMD_WRITE_AUX: to_mouse(k, value); break;
    case 0: to_keyboard(k, value); break;
    default: k->ram[pending & 0x1fu] = value; break;
    }
}

static uint64_t data_port_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    struct i8042 *k = dev;
    uint8_t value = k->output;

    (void)offset;
    (void)size_bytes;
    k->status = 0;
    irq_update(k); /* the line falls, also when the next byte is there already */
    settle(k);
    return value;
}

static void data_port_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct i8042 *k = dev;

    (void)offset;
    (void)size_bytes;
    k->last_was_command = false;
    data(k, (uint8_t)value);
    settle(k);
}

static uint64_t status_port_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    const struct i8042 *k = dev;

    (void)offset;
    (void)size_bytes;
    return (uint64_t)((k->status & ~STATUS_DEVICE) | STATUS_UNLOCK |
                      (k->ram[0] & CB_SYSTEM ? STATUS_SYSTEM : 0u) |
                      (k->last_was_command ? STATUS_COMMAND : 0u));
}

static void command_port_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct i8042 *k = dev;

    (void)offset;
    (void)size_bytes;
    k->last_was_command = true;
    command(k, (uint8_t)value);
    settle(k);
}

void i8042_setup(struct i8042 *k)
{
    if (k->plugged) k->ram[0] = CB_SYSTEM | CB_KBD_INT | CB_AUX_DISABLE | CB_TRANSLATE;
}

bool i8042_key(struct i8042 *k, uint8_t usage, bool down)
{
    bool taken =
        !k->plugged || ps2_keyboard_key(&k->keyboard, usage, down, k->host->now_ns(k->host->ctx));

    settle(k);
    return taken;
}

void i8042_move(struct i8042 *k, int32_t dx, int32_t dy, int32_t dz, uint8_t buttons)
{
    if (!k->plugged) return;
    ps2_mouse_move(&k->mouse, dx, dy, dz, buttons);
    settle(k);
}

void i8042_tick(struct i8042 *k, uint64_t now_ns)
{
    ps2_keyboard_tick(&k->keyboard, now_ns);
    settle(k);
}

static bool loaded(void *dev)
{
    struct i8042 *k = dev;

    if (!ps2_keyboard_valid(&k->keyboard) || !ps2_mouse_valid(&k->mouse)) return false;
    settle(k);
    return true;
}

static const struct state_member members[] = {
    STATE_MEMBER(struct i8042, ram),         STATE_MEMBER(struct i8042, output),
    STATE_MEMBER(struct i8042, output_port), STATE_MEMBER(struct i8042, status),
    STATE_MEMBER(struct i8042, pending),     STATE_MEMBER(struct i8042, last_was_command),
    STATE_MEMBER(struct i8042, breaking),    STATE_MEMBER(struct i8042, kept),
    STATE_MEMBER(struct i8042, kept_status), STATE_MEMBER(struct i8042, keyboard),
    STATE_MEMBER(struct i8042, mouse),
};

const struct dev_state i8042_state = DEV_STATE("i8042", 1, members, loaded);

bool i8042_init(struct i8042 *k, struct bus *bus, const struct dev_host *host, bool plugged,
                void (*reset)(void *ctx), void *ctx)
{
    static const struct bus_ops data_ops = {data_port_read, data_port_write};
    static const struct bus_ops command_ops = {status_port_read, command_port_write};

    memset(k, 0, sizeof(*k));
    k->host = host;
    k->reset = reset;
    k->ctx = ctx;
    k->plugged = plugged;
    ps2_keyboard_init(&k->keyboard);
    ps2_mouse_init(&k->mouse);
    k->deadline_ns = NO_DEADLINE_NS;
    k->output_port = OUT_RUN | OUT_A20;
    k->ram[0] = CB_SYSTEM | CB_KBD_DISABLE | CB_AUX_DISABLE | CB_TRANSLATE;
    return bus_add(bus, BUS_PIO, 0x60, 1, &data_ops, k, "i8042-data") &&
           bus_add(bus, BUS_PIO, 0x64, 1, &command_ops, k, "i8042-command");
}
