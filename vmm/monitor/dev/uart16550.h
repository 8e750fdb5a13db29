/*
 * 16550A serial port (National PC16550D data sheet). Output goes to a callback, input comes in
 * through uart16550_rx(). Calls the host's interrupt line and clock and the tx callback only.
 */
#ifndef VMM_MONITOR_DEV_UART16550_H
#define VMM_MONITOR_DEV_UART16550_H

#include "bus.h"
#include "state.h"

#define UART16550_FIFO_BYTES 16u

struct uart16550 {
    /* wiring: set by init, not part of the saved state */
    const struct dev_host *host;
    bool (*tx)(void *ctx, uint8_t byte);
    void *tx_ctx;
    unsigned irq;

    /* state: plain data */
    uint64_t deadline_ns;
    uint64_t rx_timeout_ns; /* when the character timeout interrupt is due */
    uint64_t tx_retry_ns;   /* when output the callback refused is offered again */
    uint16_t divisor;
    uint8_t ier, fcr, lcr, mcr, msr, scr;
    uint8_t rx[UART16550_FIFO_BYTES], tx_fifo[UART16550_FIFO_BYTES];
    uint8_t rx_head, rx_count, tx_head, tx_count;
    bool overrun, rx_timed_out, thre_pending, irq_level;
};

extern const struct dev_state uart16550_state;

/**
 * Reset the port and register its eight I/O ports.
 * @param tx  takes one byte; false means "would block": the byte is kept and offered again
 * @return false when the bus has no place for it
 */
bool uart16550_init(struct uart16550 *u, struct bus *bus, const struct dev_host *host,
                    uint16_t port, unsigned irq, bool (*tx)(void *ctx, uint8_t byte), void *ctx);

/** A byte arrives on the line. With no room left it is lost and LSR.OE is set. */
void uart16550_rx(struct uart16550 *u, uint8_t byte);

/** Bytes uart16550_rx() can take now without loss, 0..16 (0 in loopback: the line is cut off). */
unsigned uart16550_rx_room(const struct uart16550 *u);

/** The output's reader has room again: offer what is waiting (uart16550_tick does so, too). */
void uart16550_tx_ready(struct uart16550 *u);

void uart16550_tick(struct uart16550 *u, uint64_t now_ns);

#endif
