/*
 * Benchmark guest: a virtio disk and a virtio network card by the smallest driver there is (virtio
 * 1.2, 4.1 over PCI, split rings, one MSI-X vector). One operation is what a program that waits for
 * it sees: buffers made available, the notification, HLT until the interrupt has come, the answer
 * taken off the used ring. Prints "BENCH name mean max n" as guest_exit.c does.
 * Command line: n=COUNT (10000). The disk holds mix64(sector number) at the start of each sector.
 */
#include "guest.h"

enum { RING = 64, WARM_UP = 16, VECTOR = 0x50, BLOCK = 4096, SECTOR = 512 };
enum { FRAME = 64, NET_HEADER = 12, NET_BUFFER = 2048 };
enum { DESC_NEXT = 1, DESC_WRITE = 2, NO_INTERRUPT = 1, NO_NOTIFY = 1 };
enum { ID_NET = 0x1041, ID_BLK = 0x1042, VENDOR = 0x1af4 };
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_DEVICE = 4, CAP_VENDOR = 9, CAP_MSIX = 17 };
/* Common configuration, 4.1.4.3. */
enum {
    DRIVER_SELECT = 0x08,
    DRIVER_FEATURE = 0x0c,
    STATUS = 0x14,
    QUEUE_SELECT = 0x16,
    QUEUE_SIZE = 0x18,
    QUEUE_VECTOR = 0x1a,
    QUEUE_ENABLE = 0x1c,
    QUEUE_NOTIFY_OFF = 0x1e,
    QUEUE_DESC = 0x20,
    QUEUE_DRIVER = 0x28,
    QUEUE_DEVICE = 0x30,
};

struct desc {
    uint64_t addr;
    uint32_t bytes;
    uint16_t flags, next;
};

/* The rings of a queue; all that the device may write is volatile. */
struct queue {
    struct desc desc[RING];
    struct {
        uint16_t flags, index, ring[RING], event;
    } avail;
    volatile struct {
        uint16_t flags, index;
        struct {
            uint32_t id, bytes;
        } ring[RING];
        uint16_t event;
    } used __attribute__((aligned(4)));
    uint16_t seen; /* of used.index */
    uint64_t notify;
    bool notify_port;
} __attribute__((aligned(4096)));

struct device {
    unsigned bdf;
    uint64_t common, config, notify;
    bool notify_port;
    uint32_t notify_step;
};

static struct queue disk_queue, rx, tx;
static uint8_t block[BLOCK] __attribute__((aligned(4096)));
static uint8_t frames[RING][NET_BUFFER] __attribute__((aligned(4096)));
static uint8_t sent[NET_HEADER + FRAME] __attribute__((aligned(64)));
static struct {
    uint32_t type, reserved;
    uint64_t sector;
} request;
static volatile uint8_t status;
static volatile uint32_t interrupts;
static uint64_t count, overhead, random_state;

static uint64_t draw(void) { return random_state = mix64(random_state); }

static void on_interrupt(struct regs *r)
{
    (void)r;
    interrupts++;
    lapic_eoi();
}

/* ---- PCI ---- */

static uint32_t config_read(unsigned bdf, unsigned reg)
{
    outl(0xcf8, 0x80000000u | bdf << 8 | (reg & 0xfcu));
    return inl(0xcfc) >> (reg & 3u) * 8u;
}

static void config_write(unsigned bdf, unsigned reg, uint32_t value)
{
    outl(0xcf8, 0x80000000u | bdf << 8 | (reg & 0xfcu));
    outl(0xcfc, value);
}

/* @return where a base address register points; the first 4 GiB are mapped */
static uint64_t bar(unsigned bdf, unsigned n, bool *port)
{
    uint32_t low = config_read(bdf, 0x10 + 4 * n);

    *port = low & 1u;
    if (*port) return low & ~3u;
    if ((low & 6u) == 4u && config_read(bdf, 0x14 + 4 * n)) skip("a BAR above 4 GiB");
    return low & ~15u;
}

static void msix_enable(unsigned bdf, unsigned at)
{
    uint32_t table = config_read(bdf, at + 4);
    bool port;
    uint64_t entry = bar(bdf, table & 7u, &port) + (table & ~7u);

    config_write(bdf, at, 1u << 31);
    mmio_write32(entry, 0xfee00000);
    mmio_write32(entry + 4, 0);
    mmio_write32(entry + 8, VECTOR);
    mmio_write32(entry + 12, 0);
}

static void vendor_capability(struct device *d, unsigned at)
{
    unsigned type = config_read(d->bdf, at) >> 24 & 0xff;
    bool port;
    uint64_t place;

    if (type != CAP_COMMON && type != CAP_NOTIFY && type != CAP_DEVICE) return;
    place = bar(d->bdf, config_read(d->bdf, at + 4) & 7u, &port) + config_read(d->bdf, at + 8);
    if (type == CAP_COMMON) d->common = place;
    if (type == CAP_DEVICE) d->config = place;
    if (type != CAP_NOTIFY) return;
    d->notify = place;
    d->notify_port = port;
    d->notify_step = config_read(d->bdf, at + 16);
}

static bool find(struct device *d, uint16_t id)
{
    for (d->bdf = 0; d->bdf < 256; d->bdf++) {
        if (config_read(d->bdf, 0) != ((uint32_t)id << 16 | VENDOR)) continue;
        config_write(d->bdf, 4, 7); /* ports, memory, bus master */
        for (unsigned at = config_read(d->bdf, 0x34) & 0xfc; at;
             at = config_read(d->bdf, at) >> 8 & 0xfc) {
            unsigned kind = config_read(d->bdf, at) & 0xff;

            if (kind == CAP_MSIX) msix_enable(d->bdf, at);
            if (kind == CAP_VENDOR) vendor_capability(d, at);
        }
        return true;
    }
    return false;
}

/* ---- virtio ---- */

static void put8(uint64_t at, uint8_t v) { *(volatile uint8_t *)at = v; }
static void put16(uint64_t at, uint16_t v) { *(volatile uint16_t *)at = v; }
static uint16_t get16(uint64_t at) { return *(volatile uint16_t *)at; }

static void put_address(uint64_t at, volatile void *p)
{
    mmio_write32(at, (uint32_t)(uint64_t)p);
    mmio_write32(at + 4, (uint32_t)((uint64_t)p >> 32));
}

/* 3.1.1: up to the queues; of features nothing but version 1. */
static void device_begin(struct device *d)
{
    put8(d->common + STATUS, 0);
    while (*(volatile uint8_t *)(d->common + STATUS)) pause();
    put8(d->common + STATUS, 1);
    put8(d->common + STATUS, 3);
    for (uint32_t half = 0; half < 2; half++) {
        mmio_write32(d->common + DRIVER_SELECT, half);
        mmio_write32(d->common + DRIVER_FEATURE, half);
    }
    put8(d->common + STATUS, 11);
}

static void queue_begin(struct device *d, struct queue *q, uint16_t number, bool interrupt)
{
    put16(d->common + QUEUE_SELECT, number);
    put16(d->common + QUEUE_SIZE, RING);
    put16(d->common + QUEUE_VECTOR, interrupt ? 0 : 0xffff);
    put_address(d->common + QUEUE_DESC, q->desc);
    put_address(d->common + QUEUE_DRIVER, &q->avail);
    put_address(d->common + QUEUE_DEVICE, &q->used);
    q->notify = d->notify + (uint64_t)d->notify_step * get16(d->common + QUEUE_NOTIFY_OFF);
    q->notify_port = d->notify_port;
    q->avail.flags = interrupt ? 0 : NO_INTERRUPT;
    put16(d->common + QUEUE_ENABLE, 1);
}

static void notify(struct queue *q, uint16_t number)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (q->used.flags & NO_NOTIFY) return;
    if (q->notify_port)
        outw((uint16_t)q->notify, number);
    else
        put16(q->notify, number);
}

static void make_available(struct queue *q, uint16_t head)
{
    q->avail.ring[q->avail.index % RING] = head;
    __atomic_store_n(&q->avail.index, (uint16_t)(q->avail.index + 1), __ATOMIC_RELEASE);
}

static void describe(struct queue *q, unsigned i, volatile void *at, uint32_t bytes, uint16_t flags)
{
    q->desc[i] = (struct desc){(uint64_t)at, bytes, flags, (uint16_t)(i + 1)};
}

/* As an idle loop does: HLT with the interrupt that ends it let in by the same step. */
static void await(struct queue *q)
{
    while (q->used.index == q->seen || !interrupts) {
        cli();
        if (interrupts) {
            sti();
            continue;
        }
        __asm__ volatile("sti; hlt" ::: "memory");
    }
    q->seen++;
}

/* ---- measuring ---- */

struct sum {
    uint64_t total, max;
};

static void sum_add(struct sum *s, uint64_t ticks)
{
    ticks = ticks > overhead ? ticks - overhead : 0;
    s->total += ticks;
    if (ticks > s->max) s->max = ticks;
}

static void report(const char *name, const struct sum *s)
{
    uint64_t hundredths = s->total * 100 / count;

    print("BENCH %s %lu.%02lu %lu %lu\n", name, hundredths / 100, hundredths % 100, s->max, count);
}

static void disk(void)
{
    struct device d = {0};
    struct sum sum = {0, 0};
    uint64_t blocks, bad = 0;

    if (!find(&d, ID_BLK)) skip("no disk");
    device_begin(&d);
    queue_begin(&d, &disk_queue, 0, true);
    put8(d.common + STATUS, 15);
    blocks = *(volatile uint64_t *)d.config / (BLOCK / SECTOR);
    describe(&disk_queue, 0, &request, sizeof(request), DESC_NEXT);
    describe(&disk_queue, 1, block, BLOCK, DESC_NEXT | DESC_WRITE);
    describe(&disk_queue, 2, &status, 1, DESC_WRITE);
    for (uint64_t i = 0; i < count + WARM_UP; i++) {
        uint64_t t;

        request.sector = draw() % blocks * (BLOCK / SECTOR);
        status = 0xff;
        interrupts = 0;
        t = rdtsc();
        make_available(&disk_queue, 0);
        notify(&disk_queue, 0);
        await(&disk_queue);
        t = rdtsc() - t;
        if (i >= WARM_UP) sum_add(&sum, t);
        for (unsigned s = 0; s < BLOCK / SECTOR; s++)
            bad += *(uint64_t *)(block + s * SECTOR) != mix64(request.sector + s);
        bad += status;
    }
    report("blk_read4k", &sum);
    fact("disk", bad == 0, "%lu sectors are not as they should be", bad);
    put8(d.common + STATUS, 0);
}

static void network(void)
{
    struct device d = {0};
    struct sum sum = {0, 0};
    uint64_t bad = 0;
    uint8_t *frame = sent + NET_HEADER;

    if (!find(&d, ID_NET)) skip("no network card");
    device_begin(&d);
    queue_begin(&d, &rx, 0, true);
    queue_begin(&d, &tx, 1, false);
    put8(d.common + STATUS, 15);
    for (uint16_t i = 0; i < RING; i++) {
        describe(&rx, i, frames[i], NET_BUFFER, DESC_WRITE);
        make_available(&rx, i);
    }
    notify(&rx, 0);
    /* To the reflector, whose address is this card's but for a bit; type: local experiment. */
    for (unsigned i = 0; i < 6; i++) frame[i] = frame[6 + i] = *(volatile uint8_t *)(d.config + i);
    frame[5] ^= 1;
    frame[12] = 0x88;
    frame[13] = 0xb5;
    describe(&tx, 0, sent, sizeof(sent), 0);
    for (uint64_t i = 0; i < count + WARM_UP; i++) {
        uint64_t t, word = draw();
        uint32_t at;

        memcpy(frame + 16, &word, sizeof(word));
        interrupts = 0;
        t = rdtsc();
        make_available(&tx, 0);
        notify(&tx, 1);
        await(&rx);
        at = rx.used.ring[(uint16_t)(rx.seen - 1) % RING].id % RING;
        bad += memcmp(frames[at] + NET_HEADER + 16, &word, sizeof(word)) != 0;
        make_available(&rx, (uint16_t)at);
        notify(&rx, 0);
        t = rdtsc() - t;
        if (i >= WARM_UP) sum_add(&sum, t);
    }
    report("net_pingpong", &sum);
    fact("network", bad == 0, "%lu frames came back changed", bad);
    put8(d.common + STATUS, 0);
}

void guest_main(void)
{
    count = arg_u64("n", 10000);
    random_state = rdtsc();
    pic_init();
    if (!lapic_init(true)) skip("no local APIC");
    trap_set(VECTOR, on_interrupt);
    overhead = ~0ULL;
    for (int i = 0; i < 1000; i++) {
        uint64_t t = rdtsc();

        t = rdtsc() - t;
        if (t < overhead) overhead = t;
    }
    sti();
    disk();
    network();
}
