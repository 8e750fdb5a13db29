/*
 * Bytes between the guest and root: the rings, and the guest's control channel, which is COM2 of
 * the VMs that the manifest gives one. Runs with the device lock held. May call: the serial port's
 * model, signals. Believes nothing of a ring but what it has bounded.
 */
#include "monitor.h"
#include "dev_util.h"
#include "uart16550.h"

#define COM2_PORT 0x2f8u
#define COM2_IRQ  3u

bool ring_put(struct bh_console *c, uint8_t byte)
{
    uint32_t put = c->out_put;
    uint32_t used = put - __atomic_load_n(&c->out_get, __ATOMIC_ACQUIRE);

    if (used >= BH_CONSOLE_OUT_BYTES) {
        (void)bh_signal(BH_MONITOR_SLOT_ROOT);
        return false;
    }
    c->out[put % BH_CONSOLE_OUT_BYTES] = byte;
    __atomic_store_n(&c->out_put, put + 1u, __ATOMIC_RELEASE);
    /* Root looks by itself every few milliseconds. */
    if (used == BH_CONSOLE_OUT_BYTES / 2u) (void)bh_signal(BH_MONITOR_SLOT_ROOT);
    return true;
}

void ring_take(struct bh_console *c, unsigned (*take)(const uint8_t *bytes, unsigned count))
{
    uint32_t get = c->in_get;
    uint32_t used = __atomic_load_n(&c->in_put, __ATOMIC_ACQUIRE) - get;

    if (used == 0 || used > BH_CONSOLE_IN_BYTES) return;
    while (used) {
        uint32_t at = get % BH_CONSOLE_IN_BYTES, n = BH_CONSOLE_IN_BYTES - at, done;

        if (n > used) n = used;
        done = take(c->in + at, n);
        get += done;
        used -= done;
        if (done < n) break;
    }
    __atomic_store_n(&c->in_get, get, __ATOMIC_RELEASE);
}

/* ---- the control channel ---- */

static struct uart16550 port;

static bool there(void) { return (start_block()->flags & BH_MONITOR_FLAG_CHANNEL) != 0; }

static struct bh_console *rings(void) { return (struct bh_console *)BH_MONITOR_CHANNEL; }

static bool tx(void *ctx, uint8_t byte) { return ring_put(rings(), byte); }

static unsigned rx(const uint8_t *bytes, unsigned count)
{
    unsigned room = uart16550_rx_room(&port), n = count < room ? count : room;

    for (unsigned i = 0; i < n; i++) uart16550_rx(&port, bytes[i]);
    return n;
}

bool channel_init(struct bus *bus, const struct dev_host *host)
{
    port.deadline_ns = NO_DEADLINE_NS;
    return !there() || uart16550_init(&port, bus, host, COM2_PORT, COM2_IRQ, tx, NULL);
}

bool channel_is(const void *dev) { return dev == &port; }

void channel_input(void)
{
    if (there()) ring_take(rings(), rx);
}

void channel_output_room(void)
{
    if (there()) uart16550_tx_ready(&port);
}

uint64_t channel_deadline_ns(void) { return port.deadline_ns; }

void channel_tick(uint64_t now_ns)
{
    if (port.deadline_ns <= now_ns) uart16550_tick(&port, now_ns);
}

bool channel_saved(const struct dev_state **state, void **dev)
{
    if (!there()) return false;
    *state = &uart16550_state;
    *dev = &port;
    return true;
}
