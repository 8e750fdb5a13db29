// sources: vmm/monitor/dev/virt*.c vmm/monitor/dev/net_*.c vmm/monitor/dev/disk.c
// sources: vmm/monitor/dev/guest_mem.c vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c
// sources: vmm/monitor/dev/bus.c vmm/rt/wire_ring.c vmm/monitor/save_file.c vmm/rt/crc32c.c
// sources: vmm/rt/fmt.c
// flags: -I. -Ivmm/monitor/dev -iquote vmm/rt -lpthread
/*
 * virtio devices under a hostile driver: any register, any ring, features that change in flight,
 * resets in the middle, memory rewritten from inside the devices' own callbacks and, for one input
 * in four, by a second thread all the time. FUZZ_DEVICE=name keeps to one device. What must hold:
 * nothing outside guest RAM and the disk is touched, interrupts agree with the registers, a device
 * that is broken stays so until it is reset, a tick leaves a deadline in the future, and devices
 * that are saved go on as fresh ones as if they had not been.
 */
#include "input.h"
#include "race.h"
#include "saved.h"
#include "vmm/monitor/dev/dev_util.h"
#include "vmm/monitor/dev/net_loopback.h"
#include "vmm/monitor/dev/virtio_balloon.h"
#include "vmm/monitor/dev/virtio_blk.h"
#include "vmm/monitor/dev/virtio_console.h"
#include "vmm/monitor/dev/virtio_net.h"
#include "vmm/monitor/dev/virtio_rng.h"
#include "vmm/rt/crc32c.h"

#define RAM_BYTES  0x20000u
#define RING_GPA   0x1000u /* of queue n at + n * 0x2000: table, 0x1000 on the rings */
#define DISK_BYTES 0x18000u
#define KINDS      5u

static uint8_t ram[RAM_BYTES] __attribute__((aligned(4096)));
static const struct guest_mem mem = {ram, RAM_BYTES, NULL};
static uint8_t image[DISK_BYTES / 2u], disk_memory[0x10000];
static struct bus bus;
static struct pci pci;
static struct disk disk;
static struct virtio_blk blk;
static struct virtio_net net;
static struct net_loopback loopback;
static struct virtio_console con;
static struct virtio_rng rng;
static struct virtio_balloon balloon;
static struct virtio *const all[KINDS] = {&blk.virtio, &net.virtio, &con.virtio, &rng.virtio,
                                          &balloon.virtio};
static const char *const names[KINDS] = {"virtio_blk", "virtio_net", "virtio_console", "virtio_rng",
                                         "virtio_balloon"};
static int only = -1;

static uint64_t now;
static bool pin[32];
static unsigned pages_asked;
static struct input *input; /* for what changes under the devices' hands */

/* ---- the second thread ---- */

static void race_change(uint64_t r)
{
    __atomic_fetch_xor(&ram[RING_GPA + r % 0x8000u], (uint8_t)(1u << (r >> 32 & 7u)),
                       __ATOMIC_RELAXED);
}

/* ---- what is around the devices ---- */

static void rewrite(void)
{
    uint64_t at = take(input, 2);

    ram[at % RAM_BYTES] = (uint8_t)take(input, 1);
}

static void wire_irq(void *ctx, unsigned n, bool level) {}

static uint64_t wire_now(void *ctx) { return now; }

static void wire_msi(void *ctx, uint64_t address, uint32_t data)
{
    show(address ^ (uint64_t)data << 32);
}

static void wire_intx(void *ctx, unsigned devfn, unsigned n, bool level)
{
    CHECK(n == 0 && devfn >> 3 < 32u && pin[devfn >> 3] != level);
    pin[devfn >> 3] = level;
    show(devfn << 1 | level);
}

static void wire_reset(void *ctx) {}

static unsigned wire_output(void *ctx, const uint8_t *bytes, unsigned count)
{
    unsigned room = (unsigned)take(input, 1);

    rewrite();
    if (count > room) count = room;
    show(racing ? 0 : crc32c(0, bytes, count));
    return count;
}

static void wire_fill(void *ctx, uint8_t *bytes, uint64_t count)
{
    rewrite();
    memset(bytes, (int)take(input, 1), count);
}

static void wire_discard(void *ctx, uint64_t gpa, bool kept)
{
    CHECK(gpa % 4096u == 0 && gpa < RAM_BYTES);
    show(gpa | kept);
    rewrite();
    memset(ram + gpa, 0, 4096);
}

/* What is not there at first is when it is asked for again, now and then. */
static bool wire_take(void *ctx, uint64_t gpa)
{
    CHECK(gpa % 4096u == 0);
    show(gpa);
    rewrite();
    return (gpa >> 12 & 7u) != 0 || ++pages_asked % 4u == 0;
}

static const struct balloon_pages wire_pages = {.discard = wire_discard, .take = wire_take};

static const struct dev_host host = {
    .irq = wire_irq, .now_ns = wire_now, .mem = &mem, .msi = wire_msi};

static void devices_init(void)
{
    static const uint8_t mac[6] = {2, 'b', 'h', 0, 0, 4};
    const struct bh_monitor_disk config = {
        .name = "disk",
        .bytes = DISK_BYTES,
        .image_va = (uintptr_t)image,
        .image_bytes = sizeof(image),
        .memory_bytes = bh_disk_memory_bytes(DISK_BYTES, DISK_BYTES / 3u),
    };
    bool up = loopback.port.up;

    memset(&bus, 0, sizeof(bus));
    CHECK(config.memory_bytes <= sizeof(disk_memory) && disk_init(&disk, &config, disk_memory));
    net_loopback_init(&loopback, mac);
    loopback.port.up = up;
    CHECK(pci_init(&pci, &bus, &host, wire_intx, wire_reset, NULL));
    CHECK(virtio_blk_init(&blk, &pci, &host, PCI_DEVFN(1, 0), &disk));
    CHECK(virtio_net_init(&net, &pci, &host, PCI_DEVFN(2, 0), &loopback.port));
    CHECK(virtio_console_init(&con, &pci, &host, PCI_DEVFN(3, 0), wire_output, NULL));
    CHECK(virtio_rng_init(&rng, &pci, &host, PCI_DEVFN(4, 0), wire_fill, NULL));
    CHECK(virtio_balloon_init(&balloon, &pci, &host, PCI_DEVFN(5, 0), &wire_pages, NULL));
    CHECK(pci_assign(&pci, 0xe0000000u, 0xf0000000u));
    for (unsigned i = 0; i < KINDS; i++) all[i]->pci.config[4] |= PCI_COMMAND_MASTER;
}

static void reset(void)
{
    memset(ram, 0, sizeof(ram));
    memset(pin, 0, sizeof(pin));
    memset(disk_memory, 0, sizeof(disk_memory));
    now = 0;
    pages_asked = 0;
    loopback.port.up = true;
    devices_init();
}

/* ---- saving; guest memory, the disk's and the network stay ---- */

static const struct saved_part parts[] = {
    {&pci_function_state, &blk.virtio.pci},
    {&pci_function_state, &net.virtio.pci},
    {&pci_function_state, &con.virtio.pci},
    {&pci_function_state, &rng.virtio.pci},
    {&pci_function_state, &balloon.virtio.pci},
    {&pci_state, &pci},
    {&disk_state, &disk},
    {&virtio_state, &blk.virtio},
    {&virtio_state, &net.virtio},
    {&virtio_net_state, &net},
    {&virtio_state, &con.virtio},
    {&virtio_console_state, &con},
    {&virtio_state, &rng.virtio},
    {&virtio_state, &balloon.virtio},
    {&virtio_balloon_state, &balloon},
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static void save(void)
{
    saved.asked = true;
    if (saved.moving) move_parts(parts, PARTS, devices_init);
}

/* ---- what must hold between any two steps ---- */

static void check_device(const struct virtio *v)
{
    bool msix = pci_msix_enabled(&v->pci);

    CHECK((v->isr != 0) == v->pci.intx_level);
    CHECK(pin[v->pci.devfn >> 3] == v->pci.intx_wire && (!v->pci.intx_wire || !msix));
    CHECK(!(v->status & VIRTIO_DRIVER_OK) || (v->status & VIRTIO_FEATURES_OK));
    CHECK(!(v->status & VIRTIO_FEATURES_OK) || (v->accepted & ~v->offered) == 0);
    for (unsigned n = 0; n < v->kind->queues; n++) {
        const struct virtq *q = &v->queue[n];

        CHECK(q->size && q->size <= v->kind->queue_size && !(q->size & (q->size - 1u)));
        CHECK(!q->enabled || virtq_placed(q, &mem));
        CHECK(q->used_next == q->used_shown);
    }
}

static void check_all(void)
{
    for (unsigned i = 0; i < KINDS; i++) check_device(all[i]);
    CHECK(disk.used <= disk.overlay_blocks && disk.free_first <= disk.overlay_blocks);
}

/* ---- steps ---- */

static uint64_t bar(const struct virtio *v, unsigned n) { return v->pci.bar[n].base; }

static void common_write(struct virtio *v, unsigned offset, unsigned bytes, uint64_t value)
{
    bus_write(&bus, BUS_MMIO, bar(v, 2) + offset, bytes, value);
}

static uint64_t ring(unsigned q) { return RING_GPA + 0x2000u * q; }

/* What a driver does at its start, with what the input says. */
static void start(struct virtio *v)
{
    uint8_t how = (uint8_t)take(input, 1);

    common_write(v, 0x14, 1, 0);
    common_write(v, 0x14, 1, 3);
    common_write(v, 0x08, 4, 0);
    common_write(v, 0x0c, 4, v->offered & take_value(input));
    common_write(v, 0x08, 4, 1);
    common_write(v, 0x0c, 4, how & 1u ? 0x101 : 1);
    common_write(v, 0x14, 1, 11);
    for (unsigned q = 0; q < v->kind->queues; q++) {
        common_write(v, 0x16, 2, q);
        common_write(v, 0x18, 2, 1u << (how >> 1 & 7u));
        common_write(v, 0x20, 8, ring(q));
        common_write(v, 0x28, 8, ring(q) + 0x1000u);
        common_write(v, 0x30, 8, ring(q) + 0x1800u);
        common_write(v, 0x1c, 2, 1);
    }
    common_write(v, 0x14, 1, 15);
}

static void descriptor(unsigned q)
{
    uint8_t at = (uint8_t)take(input, 1), where = (uint8_t)take(input, 1);
    uint64_t addr = where < 0xf0u ? 0xa000u + (uint64_t)where * 64u : take_value(input);
    uint32_t len = (uint32_t)take_value(input);
    uint16_t flags = (uint16_t)take(input, 1), next = (uint16_t)take(input, 1);
    /* In the queue's own table, or in one for indirect descriptors. */
    uint8_t *d = ram + (at & 0x80u ? 0xa000u + (at & 15u) * 16u : ring(q) + (at & 0x7fu) * 16u);

    flags = (flags & 7u) | (flags & 0x80u ? flags : 0);
    memcpy(d, &addr, 8);
    memcpy(d + 8, &len, 4);
    memcpy(d + 12, &flags, 2);
    memcpy(d + 14, &next, 2);
}

/* A request as a block driver makes one; for the others it is bytes. */
static void request(struct virtio *v, unsigned q)
{
    uint8_t what = (uint8_t)take(input, 1);
    const uint32_t type[2] = {what & 15u, 0};
    uint64_t sector = take_value(input);
    uint16_t index;
    uint64_t avail = ring(q) + 0x1000u;

    memcpy(ram + 0xd000, type, 8);
    memcpy(ram + 0xd008, &sector, 8);
    if (what & 0x10u) memcpy(ram + 0xd00c, loopback.mac, 6); /* behind the header of a frame */
    memcpy(&index, ram + avail + 2, 2);
    index++;
    ram[avail + 4u + 2u * ((index - 1u) & (v->queue[q].size - 1u))] = (uint8_t)take(input, 1);
    memcpy(ram + avail + 2, &index, 2);
    bus_write(&bus, BUS_PIO, bar(v, 0) + 2u * q, 2, q);
}

static void access(struct virtio *v)
{
    uint8_t how = (uint8_t)take(input, 1), offset = (uint8_t)take(input, 1);
    unsigned size = 1u << (how & 3u), place = how >> 2 & 3u;
    uint64_t at = place == 3u ? bar(v, 1) + offset : bar(v, 2) + place * 256u + offset % 0x44u;

    if (how & 0x10u)
        bus_write(&bus, BUS_MMIO, at, size, take_value(input));
    else
        show(bus_read(&bus, BUS_MMIO, at, size));
}

static void config_space(struct virtio *v)
{
    uint8_t how = (uint8_t)take(input, 1), offset = (uint8_t)take(input, 1);
    unsigned size = 1u << (how & 3u) % 3u;

    /* Mostly where the capabilities are; BARs stay where they can be found. */
    if (how & 0x80u) offset = (uint8_t)(0x40u + offset % 0xb0u);
    if (offset >= 0x0cu && offset < 0x28u) return;
    bus_write(&bus, BUS_PIO, 0xcf8, 4,
              0x80000000u | (uint32_t)v->pci.devfn << 8 | (offset & 0xfcu));
    if (how & 4u)
        bus_write(&bus, BUS_PIO, 0xcfcu + (offset & 3u), size, take_value(input));
    else
        show(bus_read(&bus, BUS_PIO, 0xcfcu + (offset & 3u), size));
}

static void event(void)
{
    uint8_t what = (uint8_t)take(input, 1), typed[40];

    switch (what & 7u) {
    case 0:
    case 1:
        memset(typed, 'a', sizeof(typed));
        CHECK(virtio_console_input(&con, typed, what >> 3) <= what >> 3);
        break;
    case 2: virtio_console_room(&con); break;
    case 3: virtio_balloon_ask(&balloon, what); break;
    case 4:
        virtio_balloon_ask_stats(&balloon);
        virtio_balloon_come(&balloon);
        break;
    case 5: loopback.port.room(loopback.port.dev); break;
    case 6:
        loopback.port.up = !loopback.port.up;
        loopback.port.changed(loopback.port.dev);
        break;
    default:
        if ((what & 0x80u) && !racing) save();
        for (unsigned i = 0; i < KINDS; i++) {
            if (all[i]->deadline_ns == NO_DEADLINE_NS) continue;
            now = now < all[i]->deadline_ns ? all[i]->deadline_ns : now;
            virtio_tick(all[i], now);
            CHECK(all[i]->deadline_ns > now);
        }
        break;
    }
}

static void step(uint8_t op)
{
    struct virtio *v = all[only >= 0 ? (unsigned)only : (op >> 5) % KINDS];
    unsigned q = (op >> 3 & 3u) % v->kind->queues;
    uint64_t at;

    switch (op & 7u) {
    case 0: start(v); break;
    case 1: descriptor(q); break;
    case 2:
    case 3: request(v, q); break;
    case 4: access(v); break;
    case 5: config_space(v); break;
    case 6: event(); break;
    default:
        at = RING_GPA + take(input, 2) % 0x6000u;
        for (unsigned i = 0; i < 2u; i++) ram[at + i] = (uint8_t)take(input, 1);
        bus_write(&bus, BUS_PIO, bar(v, 0) + 2u * q, 2, q);
        break;
    }
}

static void once(void)
{
    static bool done;
    const char *name = getenv("FUZZ_DEVICE");

    if (done) return;
    done = true;
    for (unsigned i = 0; i < KINDS && name != NULL; i++)
        if (strcmp(name, names[i]) == 0) only = (int)i;
    CHECK(name == NULL || only >= 0);
}

static void run(struct input in)
{
    unsigned steps = 0;

    reset();
    input = &in;
    race_begin((take(&in, 1) & 3u) == 3u);
    for (; more(&in) && steps < 1000u; steps++) {
        step((uint8_t)take(&in, 1));
        check_all();
        show_step(steps);
    }
    race_end();
    if (!saved.asked) return;
    show(crc32c(crc32c(0, ram, sizeof(ram)), disk_memory, sizeof(disk_memory)));
    show_step(steps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    once();
    run_twice(run, (struct input){data, data + size}, parts, PARTS);
    return 0;
}
