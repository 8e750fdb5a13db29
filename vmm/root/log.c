/* Root's log and the serial ports; see log.h. */
#include "log.h"
#include <stdarg.h>
#include "fmt.h"
#include "syscall.h"

/* 16550 registers, from the port's base (National PC16550D). */
enum {
    REG_DATA = 0,
    REG_IER = 1,
    REG_FCR = 2,
    REG_LCR = 3,
    REG_MCR = 4,
    REG_LSR = 5,
    REG_SCRATCH = 7
};
#define LSR_DATA_READY 0x01u
#define LSR_THR_EMPTY  0x20u
#define LSR_IDLE       0x40u
#define FIFO_BYTES     16u
/* A transmitter that is not ready after this many polls is not there. */
#define POLLS_MAX 20000u

/* COM2 always; COM1 too when the manifest says so: then there is a mark. */
static const char *com1_mark;
static void (*com1_begin)(void);
static unsigned log_room[2];

uint8_t port_in8(unsigned port) { return (uint8_t)bh_ioports_in(BH_SLOT_IOPORTS, port, 1).value; }

void port_out8(unsigned port, uint8_t value)
{
    (void)bh_ioports_out(BH_SLOT_IOPORTS, port, 1, value);
}

void port_out16(unsigned port, uint16_t value)
{
    (void)bh_ioports_out(BH_SLOT_IOPORTS, port, 2, value);
}

uint32_t port_in32(unsigned port)
{
    return (uint32_t)bh_ioports_in(BH_SLOT_IOPORTS, port, 4).value;
}

void port_out32(unsigned port, uint32_t value)
{
    (void)bh_ioports_out(BH_SLOT_IOPORTS, port, 4, value);
}

static void serial_drain(unsigned port)
{
    for (unsigned i = 0; i < POLLS_MAX && !(port_in8(port + REG_LSR) & LSR_IDLE); i++)
        ;
}

bool serial_present(unsigned port)
{
    port_out8(port + REG_SCRATCH, 0x5a);
    return port_in8(port + REG_SCRATCH) == 0x5a;
}

void serial_init(unsigned port)
{
    serial_drain(port); /* what the kernel said last, before the FIFOs are cleared */
    port_out8(port + REG_IER, 0);
    port_out8(port + REG_LCR, 0x80);
    port_out8(port + REG_DATA, 1);
    port_out8(port + REG_IER, 0);
    port_out8(port + REG_LCR, 3);
    port_out8(port + REG_FCR, 7);
    port_out8(port + REG_MCR, 0x0b);
}

unsigned serial_room(unsigned port)
{
    return port_in8(port + REG_LSR) & LSR_THR_EMPTY ? FIFO_BYTES : 0;
}

void serial_put(unsigned port, uint8_t byte) { port_out8(port + REG_DATA, byte); }

int serial_get(unsigned port)
{
    uint8_t status = port_in8(port + REG_LSR);

    /* All ones: there is no port, and no stream of 0xff that someone types. */
    return status & LSR_DATA_READY && status != 0xffu ? port_in8(port + REG_DATA) : -1;
}

static void log_byte_to(unsigned port, unsigned *room, uint8_t byte)
{
    for (unsigned i = 0; *room == 0 && i < POLLS_MAX; i++) *room = serial_room(port);
    if (*room) {
        serial_put(port, byte);
        --*room;
    }
}

static void com1_byte(uint8_t byte)
{
    log_room[1] = 0; /* the consoles use this port, too */
    log_byte_to(COM1, &log_room[1], byte);
}

static void com1_line_begin(void)
{
    com1_begin();
    com1_byte('[');
    for (const char *c = com1_mark; *c; c++) com1_byte((uint8_t)*c);
    com1_byte(']');
    com1_byte(' ');
}

static void log_byte(uint8_t byte)
{
    static bool inside; /* a line */

    log_byte_to(COM2, &log_room[0], byte);
    if (!com1_mark) return;
    if (!inside) com1_line_begin();
    inside = byte != '\n';
    com1_byte(byte);
}

static void log_put(void *ctx, char c)
{
    if (c == '\n') log_byte('\r');
    log_byte((uint8_t)c);
}

static void log_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void log_text(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_v(log_put, NULL, format, args);
    va_end(args);
}

void say(const char *format, ...)
{
    va_list args;

    log_text("root: ");
    va_start(args, format);
    fmt_v(log_put, NULL, format, args);
    va_end(args);
    log_put(NULL, '\n');
}

void log_line(const char *prefix, const char *text) { log_text("%s%s\n", prefix, text); }

void log_end(int status, const char *reason)
{
    log_text("bulkhead: end status=%d reason=%s\n", status, reason);
    /* The machine would go off with what is still in the FIFOs. */
    serial_drain(COM2);
    serial_drain(COM1);
}

void log_to_com1_too(const char *mark, void (*begin)(void))
{
    com1_begin = begin;
    com1_mark = mark;
}
