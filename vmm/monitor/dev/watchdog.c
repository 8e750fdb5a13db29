/* A watchdog timer; see watchdog.h. */
#include "watchdog.h"
#include "dev_util.h"

#define PERIOD_NS (WATCHDOG_PERIOD_MS * 1000000ull)

static void begin(struct watchdog *w)
{
    w->deadline_ns = w->run ? w->host->now_ns(w->host->ctx) + w->count * PERIOD_NS : NO_DEADLINE_NS;
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    const struct watchdog *w = dev;
    uint64_t now = w->host->now_ns(w->host->ctx);
    uint32_t value = 0;

    switch (offset & ~3ull) {
    case WATCHDOG_RUN: value = w->run; break;
    case WATCHDOG_COUNT: value = w->count; break;
    case WATCHDOG_NOW:
        if (!w->run)
            value = w->count;
        else if (w->deadline_ns > now)
            value = (uint32_t)((w->deadline_ns - now + PERIOD_NS - 1u) / PERIOD_NS);
        break;
    default: break;
    }
    return value >> (offset & 3u) * 8u & dev_ones(size_bytes);
}

static void port_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct watchdog *w = dev;

    if (size_bytes != 4u || (offset & 3u)) return;
    if (offset == WATCHDOG_RUN) {
        if (w->run == (value & 1u)) return;
        w->run = value & 1u;
    } else if (offset == WATCHDOG_COUNT) {
        value &= UINT32_MAX;
        w->count = value == 0                   ? 1u
                   : value > WATCHDOG_COUNT_MAX ? WATCHDOG_COUNT_MAX
                                                : (uint32_t)value;
    }
    w->late = false;
    begin(w);
}

void watchdog_tick(struct watchdog *w, uint64_t now_ns)
{
    if (w->deadline_ns > now_ns) return;
    if (now_ns - w->deadline_ns > PERIOD_NS && !w->late) {
        w->late = true;
        begin(w);
        return;
    }
    w->run = 0;
    w->deadline_ns = NO_DEADLINE_NS;
    w->bite(w->ctx);
}

static const struct state_member members[] = {
    STATE_MEMBER(struct watchdog, run),
    STATE_MEMBER(struct watchdog, count),
    STATE_MEMBER(struct watchdog, deadline_ns),
    STATE_MEMBER(struct watchdog, late),
};

static bool loaded(void *dev)
{
    const struct watchdog *w = dev;

    return w->run <= 1u && w->count - 1u < WATCHDOG_COUNT_MAX &&
           (w->deadline_ns == NO_DEADLINE_NS) == (w->run == 0);
}

const struct dev_state watchdog_state = DEV_STATE("watchdog", 2, members, loaded);

bool watchdog_init(struct watchdog *w, struct bus *bus, const struct dev_host *host,
                   void (*bite)(void *ctx), void *ctx)
{
    static const struct bus_ops ops = {port_read, port_write};

    *w = (struct watchdog){.host = host,
                           .bite = bite,
                           .ctx = ctx,
                           .count = WATCHDOG_COUNT_MAX,
                           .deadline_ns = NO_DEADLINE_NS};
    return bus_add(bus, BUS_PIO, WATCHDOG_PORT, WATCHDOG_BYTES, &ops, w, "watchdog");
}
