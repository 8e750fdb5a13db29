/*
 * The virtual PC's virtio devices and what is behind them. Everything here runs with the device
 * lock held. May call: virtio device models, the VM's disks and wires, the
 * console.
 */
#include "bulkhead/pieces.h"
#include "monitor.h"
#include "dev_util.h"
#include "net_loopback.h"
#include "random.h"
#include "string.h"
#include "virtio_balloon.h"
#include "virtio_blk.h"
#include "virtio_console.h"
#include "virtio_net.h"
#include "virtio_rng.h"

/* Slots of the PCI bus, in the order that guests find the devices in. */
enum { SLOT_BLK = 4, SLOT_NET = 8, SLOT_CONSOLE, SLOT_RNG, SLOT_BALLOON, SLOT_WIRE };

static struct virtio_blk blk[BH_MONITOR_DISKS];
static struct virtio_net net, wired[BH_MONITOR_WIRES];
static struct net_loopback loopback;
static struct virtio_console con;
static struct virtio_rng rng;
static struct virtio_balloon balloon;
static struct random entropy;

#define DEVICES_MAX (BH_MONITOR_DISKS + BH_MONITOR_WIRES + 4u)

/* Every device that there is, and what is saved: the common part, and of some one of their own. */
static struct virtio *devices[DEVICES_MAX];
static struct {
    const struct dev_state *state;
    void *dev;
} saved[2u * DEVICES_MAX];
static unsigned ndevices, nsaved;

static void save(const struct dev_state *state, void *dev)
{
    saved[nsaved].state = state;
    saved[nsaved].dev = dev;
    nsaved++;
}

/* @param state of the kind; NULL: it has none */
static bool add(bool ok, struct virtio *v, const struct dev_state *state)
{
    if (!ok) return false;
    devices[ndevices++] = v;
    save(&virtio_state, v);
    if (state) save(state, v->dev);
    return true;
}

static void fill(void *ctx, uint8_t *bytes, uint64_t count) { random_fill(&entropy, bytes, count); }

/* ---- balloon ---- */

#define STATS_NS 1000000000u

static uint64_t stats_ns; /* when the guest is asked how it is; of an elastic VM */
static uint32_t target_number;

/* A page that the guest has given back holds nothing: it takes no place in the file of a saved VM.
 */
static void discard(void *ctx, uint64_t gpa, bool kept)
{
    void *page = guest_mem_ptr(&guest_mem, gpa, 4096);

    if (page) memset(page, 0, 4096);
    if (kept) pieces_given(gpa);
}

static bool take(void *ctx, uint64_t gpa) { return pieces_taken(gpa); }
static void settle(void *ctx) { pieces_settle(); }
static void reset(void *ctx) { pieces_reset(); }

static void told(void *ctx)
{
    struct bh_pieces *s = (struct bh_pieces *)BH_MONITOR_PIECES;

    if (!vm_elastic()) return;
    s->free_bytes = balloon.stats[BALLOON_STAT_FREE];
    s->total_bytes = balloon.stats[BALLOON_STAT_TOTAL];
    s->available_bytes = balloon.stats[BALLOON_STAT_AVAILABLE];
    s->asked_pages = balloon.config.num_pages;
    __atomic_store_n(&s->told, s->told + 1u, __ATOMIC_RELEASE);
}

static const struct balloon_pages balloon_pages = {discard, take, settle, reset, told};

void virtio_balloon_look(void)
{
    const struct bh_pieces *s = (const struct bh_pieces *)BH_MONITOR_PIECES;
    uint32_t number;

    if (!vm_elastic()) return;
    if (pieces_look()) virtio_balloon_come(&balloon);
    number = __atomic_load_n(&s->target_number, __ATOMIC_ACQUIRE);
    if (number == target_number) return;
    target_number = number;
    virtio_balloon_ask(&balloon, __atomic_load_n(&s->target_pages, __ATOMIC_RELAXED));
}

void virtio_balloon_restored(void)
{
    pieces_restored();
    if (vm_elastic()) virtio_balloon_come(&balloon); /* all is there now */
}

static void balloon_tick(uint64_t now_ns)
{
    pieces_tick();
    if (!vm_elastic() || stats_ns > now_ns) return;
    virtio_balloon_ask_stats(&balloon);
    stats_ns = now_ns + STATS_NS;
}

/* ---- all of them ---- */

static bool network_init(struct pci *pci, const struct dev_host *host)
{
    const struct bh_monitor_start *st = start_block();
    /* Locally administered (IEEE 802, 8.2.2), "bh", number of the VM. */
    const uint8_t mac[6] = {0x02, 'b', 'h', (uint8_t)(st->vm >> 8), (uint8_t)st->vm, 0};

    if (!(st->flags & BH_MONITOR_FLAG_LOOPBACK)) return true;
    net_loopback_init(&loopback, mac);
    return add(virtio_net_init(&net, pci, host, PCI_DEVFN(SLOT_NET, 0), &loopback.port),
               &net.virtio, &virtio_net_state);
}

static bool wires_init(struct pci *pci, const struct dev_host *host)
{
    struct net_port *port;

    for (unsigned n = 0; n < BH_MONITOR_WIRES && (port = wires_port(n, host)) != NULL; n++)
        if (!add(virtio_net_init(&wired[n], pci, host, PCI_DEVFN(SLOT_WIRE + n, 0), port),
                 &wired[n].virtio, NULL))
            return false;
    wires_look(BH_MONITOR_SIGNAL_LINK);
    return true;
}

bool virtio_devices_init(struct pci *pci, const struct dev_host *host)
{
    struct disk *disk;
    unsigned next = 0;

    random_init(&entropy, start_block()->seed);
    for (unsigned n = 0; (disk = disk_next(&next, 0)) != NULL; n++)
        if (!add(virtio_blk_init(&blk[n], pci, host, PCI_DEVFN(SLOT_BLK + n, 0), disk),
                 &blk[n].virtio, NULL))
            return false;
    if (!network_init(pci, host) || !wires_init(pci, host) ||
        !add(virtio_console_init(&con, pci, host, PCI_DEVFN(SLOT_CONSOLE, 0), console_output, NULL),
             &con.virtio, &virtio_console_state) ||
        !add(virtio_rng_init(&rng, pci, host, PCI_DEVFN(SLOT_RNG, 0), fill, NULL), &rng.virtio,
             NULL) ||
        !pieces_init() ||
        !add(virtio_balloon_init(&balloon, pci, host, PCI_DEVFN(SLOT_BALLOON, 0), &balloon_pages,
                                 NULL),
             &balloon.virtio, &virtio_balloon_state))
        return false;
    virtio_balloon_ask(&balloon, start_block()->balloon_pages);
    return true;
}

uint64_t virtio_devices_deadline_ns(void)
{
    uint64_t ns = ns_min(wires_deadline_ns(), pieces_deadline_ns());

    if (vm_elastic()) ns = ns_min(ns, stats_ns);

    for (unsigned i = 0; i < ndevices; i++) ns = ns_min(ns, devices[i]->deadline_ns);
    return ns;
}

void virtio_devices_tick(uint64_t now_ns)
{
    wires_tick(now_ns);
    balloon_tick(now_ns);
    for (unsigned i = 0; i < ndevices; i++)
        if (devices[i]->deadline_ns <= now_ns) virtio_tick(devices[i], now_ns);
}

bool virtio_devices_saved(unsigned n, const struct dev_state **state, void **dev)
{
    if (n >= nsaved) return false;
    *state = saved[n].state;
    *dev = saved[n].dev;
    return true;
}

/* ---- console ---- */

void virtio_console_other(void) { con.spoken = 0; }

int virtio_console_typed(const uint8_t *bytes, unsigned count)
{
    return con.spoken ? (int)virtio_console_input(&con, bytes, count) : -1;
}

void virtio_console_output_room(void) { virtio_console_room(&con); }
