/*
 * The ends of wires that this VM has (bulkhead/monitor.h): one network card each. Everything here
 * runs with the device lock held; whoever is signalled, vCPU 0's thread looks. May call: the wire's
 * device, signals.
 */
#include "monitor.h"
#include "dev_util.h"
#include "net_wire.h"

static struct net_wire wires[BH_MONITOR_WIRES];

static unsigned count(void) { return start_block()->nwires; }

static void signal_peer(void *ctx)
{
    const struct net_wire *w = ctx;

    (void)bh_signal(BH_MONITOR_SLOT_WIRE + (uint64_t)(w - wires));
}

struct net_port *wires_port(unsigned n, const struct dev_host *host)
{
    const struct bh_monitor_wire *c = &start_block()->wires[n];

    if (n >= count()) return NULL;
    net_wire_init(&wires[n], c->mac, &report_page()->wires[n], (uint8_t *)c->own_va,
                  (const uint8_t *)c->peer_va, c->self, host, signal_peer, &wires[n]);
    return &wires[n].port;
}

void wires_look(uint64_t bits)
{
    for (unsigned n = 0; n < count(); n++) {
        if (bits & BH_MONITOR_SIGNAL_LINK)
            net_wire_peer(&wires[n],
                          __atomic_load_n(&start_block()->wires[n].peer, __ATOMIC_ACQUIRE));
        if (bits & BH_MONITOR_SIGNAL_WIRE(n)) net_wire_signalled(&wires[n]);
    }
}

void wires_restored(void)
{
    for (unsigned n = 0; n < count(); n++) net_wire_restored(&wires[n]);
}

uint64_t wires_deadline_ns(void)
{
    uint64_t ns = NO_DEADLINE_NS;

    for (unsigned n = 0; n < count(); n++) ns = ns_min(ns, wires[n].deadline_ns);
    return ns;
}

void wires_tick(uint64_t now_ns)
{
    for (unsigned n = 0; n < count(); n++) net_wire_tick(&wires[n], now_ns);
}
