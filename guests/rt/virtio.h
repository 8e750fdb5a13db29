/*
 * The smallest driver of virtio devices that there is: virtio 1.2, 4.1 over PCI, split rings, one
 * MSI-X vector for all queues that want interrupts.
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include "guest.h"

enum { RING = 64, VIRTIO_VECTOR = 0x50, NET_HEADER = 12 };
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

/* ---- PCI ---- */

static inline uint32_t config_read(unsigned bdf, unsigned reg)
{
    outl(0xcf8, 0x80000000u | bdf << 8 | (reg & 0xfcu));
    return inl(0xcfc) >> (reg & 3u) * 8u;
}

static inline void config_write(unsigned bdf, unsigned reg, uint32_t value)
{
    outl(0xcf8, 0x80000000u | bdf << 8 | (reg & 0xfcu));
    outl(0xcfc, value);
}

/* @return where a base address register points; the first 4 GiB are mapped */
static inline uint64_t bar(unsigned bdf, unsigned n, bool *port)
{
    uint32_t low = config_read(bdf, 0x10 + 4 * n);

    *port = low & 1u;
    if (*port) return low & ~3u;
    if ((low & 6u) == 4u && config_read(bdf, 0x14 + 4 * n)) skip("a BAR above 4 GiB");
    return low & ~15u;
}

static inline void msix_enable(unsigned bdf, unsigned at)
{
    uint32_t table = config_read(bdf, at + 4);
    bool port;
    uint64_t entry = bar(bdf, table & 7u, &port) + (table & ~7u);

    config_write(bdf, at, 1u << 31);
    mmio_write32(entry, 0xfee00000);
    mmio_write32(entry + 4, 0);
    mmio_write32(entry + 8, VIRTIO_VECTOR);
    mmio_write32(entry + 12, 0);
}

static inline void vendor_capability(struct device *d, unsigned at)
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

/* The first from d->bdf on. */
static inline bool find(struct device *d, uint16_t id)
{
    for (; d->bdf < 256; d->bdf++) {
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

static inline void put8(uint64_t at, uint8_t v) { *(volatile uint8_t *)at = v; }
static inline void put16(uint64_t at, uint16_t v) { *(volatile uint16_t *)at = v; }
static inline uint16_t get16(uint64_t at) { return *(volatile uint16_t *)at; }

static inline void put_address(uint64_t at, volatile void *p)
{
    mmio_write32(at, (uint32_t)(uint64_t)p);
    mmio_write32(at + 4, (uint32_t)((uint64_t)p >> 32));
}

/* 3.1.1: up to the queues; version 1, and of the first 32 features these. */
static inline void device_begin(struct device *d, uint32_t features)
{
    put8(d->common + STATUS, 0);
    while (*(volatile uint8_t *)(d->common + STATUS)) pause();
    put8(d->common + STATUS, 1);
    put8(d->common + STATUS, 3);
    for (uint32_t half = 0; half < 2; half++) {
        mmio_write32(d->common + DRIVER_SELECT, half);
        mmio_write32(d->common + DRIVER_FEATURE, half ? 1 : features);
    }
    put8(d->common + STATUS, 11);
}

static inline void queue_begin(struct device *d, struct queue *q, uint16_t number, bool interrupt)
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

static inline void notify(struct queue *q, uint16_t number)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (q->used.flags & NO_NOTIFY) return;
    if (q->notify_port)
        outw((uint16_t)q->notify, number);
    else
        put16(q->notify, number);
}

static inline void make_available(struct queue *q, uint16_t head)
{
    q->avail.ring[q->avail.index % RING] = head;
    __atomic_store_n(&q->avail.index, (uint16_t)(q->avail.index + 1), __ATOMIC_RELEASE);
}

static inline void describe(struct queue *q, unsigned i, volatile void *at, uint32_t bytes,
                            uint16_t flags)
{
    q->desc[i] = (struct desc){(uint64_t)at, bytes, flags, (uint16_t)(i + 1)};
}

#endif
