/*
 * 16550A serial port. Register names and rules: National PC16550D data sheet, section 8.
 * The transmitter is infinitely fast: a byte the callback takes has left the wire. Line errors
 * other than overrun do not happen. May call: host interrupt line, clock, tx callback.
 */
#include "uart16550.h"
#include "dev_util.h"

#include <string.h>

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RX    0x01u
#define IER_THRE  0x02u
#define IER_LINE  0x04u
#define IER_MODEM 0x08u

#define IIR_MODEM      0x00u
#define IIR_NONE       0x01u
#define IIR_THRE       0x02u
#define IIR_RX         0x04u
#define IIR_LINE       0x06u
#define IIR_RX_TIMEOUT 0x0cu
#define IIR_FIFO       0xc0u

#define FCR_ENABLE   0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_CLEAR_TX 0x04u

#define LCR_DLAB 0x80u

#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u
#define MCR_MASK 0x1fu

#define LSR_DR   0x01u
#define LSR_OE   0x02u
#define LSR_THRE 0x20u
#define LSR_TEMT 0x40u

#define MSR_DELTA   0x0fu
#define MSR_TERI    0x04u
#define MSR_CTS     0x10u
#define MSR_DSR     0x20u
#define MSR_RI      0x40u
#define MSR_DCD     0x80u
#define MSR_ONLINE  (MSR_CTS | MSR_DSR | MSR_DCD) /* a peer that is always there */
#define TX_RETRY_NS 1000000ull

static bool fifo_on(const struct uart16550 *u) { return (u->fcr & FCR_ENABLE) != 0; }

static unsigned fifo_depth(const struct uart16550 *u)
{
    return fifo_on(u) ? UART16550_FIFO_BYTES : 1u;
}

static unsigned rx_trigger(const struct uart16550 *u)
{
    static const uint8_t level[4] = {1, 4, 8, 14};

    return fifo_on(u) ? level[u->fcr >> 6] : 1u;
}

/* Four characters of ten bits; the divisor counts sixteenths of a bit at 1.8432 MHz. */
static uint64_t rx_timeout_length_ns(const struct uart16550 *u)
{
    uint64_t divisor = u->divisor == 0 ? 1u : u->divisor;

    return divisor * (4u * 10u * 16u * NS_PER_S / 1843200u);
}

static uint8_t iir_source(const struct uart16550 *u)
{
    if ((u->ier & IER_LINE) && u->overrun) return IIR_LINE;
    if ((u->ier & IER_RX) && u->rx_count >= rx_trigger(u)) return IIR_RX;
    if ((u->ier & IER_RX) && u->rx_timed_out) return IIR_RX_TIMEOUT;
    if ((u->ier & IER_THRE) && u->thre_pending) return IIR_THRE;
    if ((u->ier & IER_MODEM) && (u->msr & MSR_DELTA)) return IIR_MODEM;
    return IIR_NONE;
}

/* Recompute the interrupt line and the deadline from the state. On a PC, OUT2 gates the line, and
 * loopback forces OUT2 off. */
static void update(struct uart16550 *u)
{
    bool level = iir_source(u) != IIR_NONE && (u->mcr & MCR_OUT2) != 0 && (u->mcr & MCR_LOOP) == 0;
    bool timing = fifo_on(u) && u->rx_count != 0 && !u->rx_timed_out;

    u->deadline_ns = ns_min(timing ? u->rx_timeout_ns : NO_DEADLINE_NS,
                            u->tx_count != 0 ? u->tx_retry_ns : NO_DEADLINE_NS);
    if (level != u->irq_level) {
        u->irq_level = level;
        u->host->irq(u->host->ctx, u->irq, level);
    }
}

static void rx_clear(struct uart16550 *u)
{
    u->rx_head = 0;
    u->rx_count = 0;
    u->rx_timed_out = false;
}

static void rx_timer_restart(struct uart16550 *u)
{
    u->rx_timed_out = false;
    u->rx_timeout_ns = ns_add(u->host->now_ns(u->host->ctx), rx_timeout_length_ns(u));
}

static void rx_push(struct uart16550 *u, uint8_t byte)
{
    if (u->rx_count >= fifo_depth(u)) {
        u->overrun = true;
        /* Without the FIFO the newcomer overwrites the holding register; with it, it is lost. */
        if (!fifo_on(u)) u->rx[u->rx_head % UART16550_FIFO_BYTES] = byte;
        return;
    }
    u->rx[(u->rx_head + u->rx_count) % UART16550_FIFO_BYTES] = byte;
    u->rx_count++;
    rx_timer_restart(u);
}

static uint8_t rx_pop(struct uart16550 *u)
{
    uint8_t byte = u->rx[u->rx_head % UART16550_FIFO_BYTES];

    if (u->rx_count == 0) return 0;
    u->rx_head = (uint8_t)((u->rx_head + 1u) % UART16550_FIFO_BYTES);
    u->rx_count--;
    rx_timer_restart(u);
    return byte;
}

static void tx_drain(struct uart16550 *u)
{
    while (u->tx_count != 0) {
        if (!u->tx(u->tx_ctx, u->tx_fifo[u->tx_head % UART16550_FIFO_BYTES])) {
            u->tx_retry_ns = ns_add(u->host->now_ns(u->host->ctx), TX_RETRY_NS);
            return;
        }
        u->tx_head = (uint8_t)((u->tx_head + 1u) % UART16550_FIFO_BYTES);
        u->tx_count--;
    }
    u->thre_pending = true;
}

static void tx_write(struct uart16550 *u, uint8_t byte)
{
    u->thre_pending = false;
    if (u->mcr & MCR_LOOP) {
        rx_push(u, byte);
        u->thre_pending = u->tx_count == 0;
        return;
    }
    if (u->tx_count < fifo_depth(u)) {
        u->tx_fifo[(u->tx_head + u->tx_count) % UART16550_FIFO_BYTES] = byte;
        u->tx_count++;
    }
    tx_drain(u);
}

/* The modem inputs follow MCR in loopback and a present peer otherwise; changes set the deltas. */
static void modem_update(struct uart16550 *u)
{
    uint8_t lines = MSR_ONLINE;
    uint8_t changed;

    if (u->mcr & MCR_LOOP)
        lines = (uint8_t)((u->mcr & 0x0cu) << 4 | (u->mcr & 0x01u) << 5 | (u->mcr & 0x02u) << 3);
    changed = (uint8_t)((u->msr ^ lines) & 0xf0u);
    u->msr |= (uint8_t)((changed & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4);
    if ((changed & MSR_RI) && !(lines & MSR_RI)) /* only RI's trailing edge counts */
        u->msr |= MSR_TERI;
    u->msr = (uint8_t)(lines | (u->msr & MSR_DELTA));
}

static uint8_t reg_read(void *dev, unsigned reg)
{
    struct uart16550 *u = dev;
    uint8_t value = 0xff;

    switch (reg) {
    case REG_DATA: value = u->lcr & LCR_DLAB ? (uint8_t)u->divisor : rx_pop(u); break;
    case REG_IER: value = u->lcr & LCR_DLAB ? (uint8_t)(u->divisor >> 8) : u->ier; break;
    case REG_IIR_FCR:
        value = iir_source(u);
        if (value == IIR_THRE) u->thre_pending = false;
        if (fifo_on(u)) value |= IIR_FIFO;
        break;
    case REG_LCR: value = u->lcr; break;
    case REG_MCR: value = u->mcr; break;
    case REG_LSR:
        value = (uint8_t)((u->rx_count != 0 ? LSR_DR : 0u) | (u->overrun ? LSR_OE : 0u) |
                          (u->tx_count == 0 ? LSR_THRE | LSR_TEMT : 0u));
        u->overrun = false;
        break;
    case REG_MSR:
        value = u->msr;
        u->msr &= (uint8_t)~MSR_DELTA;
        break;
    case REG_SCR: value = u->scr; break;
    default: break;
    }
    update(u);
    return value;
}

static void fcr_write(struct uart16550 *u, uint8_t value)
{
    bool toggled = ((u->fcr ^ value) & FCR_ENABLE) != 0;

    if (toggled || (value & FCR_CLEAR_RX)) rx_clear(u);
    if ((toggled || (value & FCR_CLEAR_TX)) && u->tx_count != 0) {
        u->tx_count = 0;
        u->thre_pending = true;
    }
    /* The other bits are programmed only while FCR0 is written as one. */
    u->fcr = value & FCR_ENABLE ? value & (0xc0u | FCR_ENABLE) : 0u;
}

static void reg_write(void *dev, unsigned reg, uint8_t value)
{
    struct uart16550 *u = dev;

    switch (reg) {
    case REG_DATA:
        if (u->lcr & LCR_DLAB)
            u->divisor = (uint16_t)((u->divisor & 0xff00u) | value);
        else
            tx_write(u, value);
        break;
    case REG_IER:
        if (u->lcr & LCR_DLAB) {
            u->divisor = (uint16_t)((u->divisor & 0x00ffu) | (unsigned)value << 8);
            break;
        }
        /* Enabling the interrupt while the holding register is empty raises it at once. */
        if ((value & IER_THRE) && !(u->ier & IER_THRE) && u->tx_count == 0) u->thre_pending = true;
        u->ier = value & 0x0fu;
        break;
    case REG_IIR_FCR: fcr_write(u, value); break;
    case REG_LCR: u->lcr = value; break;
    case REG_MCR:
        u->mcr = value & MCR_MASK;
        modem_update(u);
        break;
    case REG_SCR: u->scr = value; break;
    default: /* LSR and MSR: writes are for factory tests */ break;
    }
    update(u);
}

static uint64_t uart_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    return dev_read_bytes(reg_read, dev, offset, size_bytes);
}

static void uart_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    dev_write_bytes(reg_write, dev, offset, size_bytes, value);
}

static bool loaded(void *dev)
{
    const struct uart16550 *u = dev;

    return u->rx_head < UART16550_FIFO_BYTES && u->rx_count <= UART16550_FIFO_BYTES &&
           u->tx_head < UART16550_FIFO_BYTES && u->tx_count <= UART16550_FIFO_BYTES;
}

static const struct state_member members[] = {
    STATE_MEMBER(struct uart16550, deadline_ns),  STATE_MEMBER(struct uart16550, rx_timeout_ns),
    STATE_MEMBER(struct uart16550, tx_retry_ns),  STATE_MEMBER(struct uart16550, divisor),
    STATE_MEMBER(struct uart16550, ier),          STATE_MEMBER(struct uart16550, fcr),
    STATE_MEMBER(struct uart16550, lcr),          STATE_MEMBER(struct uart16550, mcr),
    STATE_MEMBER(struct uart16550, msr),          STATE_MEMBER(struct uart16550, scr),
    STATE_MEMBER(struct uart16550, rx),           STATE_MEMBER(struct uart16550, tx_fifo),
    STATE_MEMBER(struct uart16550, rx_head),      STATE_MEMBER(struct uart16550, rx_count),
    STATE_MEMBER(struct uart16550, tx_head),      STATE_MEMBER(struct uart16550, tx_count),
    STATE_MEMBER(struct uart16550, overrun),      STATE_MEMBER(struct uart16550, rx_timed_out),
    STATE_MEMBER(struct uart16550, thre_pending), STATE_MEMBER(struct uart16550, irq_level),
};

const struct dev_state uart16550_state = DEV_STATE("uart16550", 1, members, loaded);

bool uart16550_init(struct uart16550 *u, struct bus *bus, const struct dev_host *host,
                    uint16_t port, unsigned irq, bool (*tx)(void *ctx, uint8_t byte), void *ctx)
{
    static const struct bus_ops ops = {uart_read, uart_write};

    memset(u, 0, sizeof(*u));
    u->host = host;
    u->tx = tx;
    u->tx_ctx = ctx;
    u->irq = irq;
    u->msr = MSR_ONLINE;
    u->divisor = 1; /* 115200 baud, as firmware would leave it */
    u->deadline_ns = NO_DEADLINE_NS;
    return bus_add(bus, BUS_PIO, port, 8, &ops, u, "uart16550");
}

void uart16550_rx(struct uart16550 *u, uint8_t byte)
{
    if (u->mcr & MCR_LOOP) /* the receiver is disconnected from the line */
        return;
    rx_push(u, byte);
    update(u);
}

unsigned uart16550_rx_room(const struct uart16550 *u)
{
    unsigned depth = fifo_depth(u);

    if ((u->mcr & MCR_LOOP) || u->rx_count >= depth) return 0;
    return depth - u->rx_count;
}

void uart16550_tx_ready(struct uart16550 *u)
{
    if (u->tx_count != 0) tx_drain(u);
    update(u);
}

void uart16550_tick(struct uart16550 *u, uint64_t now_ns)
{
    if (fifo_on(u) && u->rx_count != 0 && now_ns >= u->rx_timeout_ns) u->rx_timed_out = true;
    if (u->tx_count != 0 && now_ns >= u->tx_retry_ns) tx_drain(u);
    update(u);
}
