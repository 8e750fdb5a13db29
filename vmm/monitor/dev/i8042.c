/*
 * 8042 keyboard controller (IBM PC/AT Technical Reference, "Keyboard Controller"; the auxiliary
 * port as in the PS/2). No keyboard, no mouse: a byte sent to either port gets what a real
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
#define REPLY_RESEND          0xfeu

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

/* Put a byte into the output buffer; one that has not been read is replaced, as in the chip. */
static void reply(struct i8042 *k, uint8_t value, unsigned flags)
{
    k->output = value;
    k->status = (uint8_t)(STATUS_OBF | flags);
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
    case CMD_WRITE_AUX: reply(k, REPLY_RESEND, STATUS_AUX | STATUS_TIMEOUT); break;
    case 0: /* to the keyboard that is not there; sending opens the port */
        k->ram[0] &= (uint8_t)~CB_KBD_DISABLE;
        reply(k, REPLY_RESEND, STATUS_TIMEOUT);
        break;
    default: k->ram[pending & 0x1fu] = value; break;
    }
}

static uint64_t data_port_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    struct i8042 *k = dev;

    (void)offset;
    (void)size_bytes;
    k->status = 0;
    irq_update(k);
    return k->output;
}

static void data_port_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct i8042 *k = dev;

    (void)offset;
    (void)size_bytes;
    k->last_was_command = false;
    data(k, (uint8_t)value);
    irq_update(k);
}

static uint64_t status_port_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    const struct i8042 *k = dev;

    (void)offset;
    (void)size_bytes;
    return (uint64_t)(k->status | STATUS_UNLOCK | (k->ram[0] & CB_SYSTEM ? STATUS_SYSTEM : 0u) |
                      (k->last_was_command ? STATUS_COMMAND : 0u));
}

static void command_port_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct i8042 *k = dev;

    (void)offset;
    (void)size_bytes;
    k->last_was_command = true;
    command(k, (uint8_t)value);
    irq_update(k);
}

bool i8042_init(struct i8042 *k, struct bus *bus, const struct dev_host *host,
                void (*reset)(void *ctx), void *ctx)
{
    static const struct bus_ops data_ops = {data_port_read, data_port_write};
    static const struct bus_ops command_ops = {status_port_read, command_port_write};

    memset(k, 0, sizeof(*k));
    k->host = host;
    k->reset = reset;
    k->ctx = ctx;
    k->deadline_ns = NO_DEADLINE_NS;
    k->output_port = OUT_RUN | OUT_A20;
    k->ram[0] = CB_SYSTEM | CB_KBD_DISABLE | CB_AUX_DISABLE | CB_TRANSLATE;
    return bus_add(bus, BUS_PIO, 0x60, 1, &data_ops, k, "i8042-data") &&
           bus_add(bus, BUS_PIO, 0x64, 1, &command_ops, k, "i8042-command");
}
