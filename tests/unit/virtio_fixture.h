/*
 * A driver for unit tests of virtio devices, built from virtio 1.2: finds the registers by the
 * capabilities, negotiates, fills rings in a small guest RAM. Included once per test program, after
 * dev_fixture.h.
 */
#ifndef TESTS_UNIT_VIRTIO_FIXTURE_H
#define TESTS_UNIT_VIRTIO_FIXTURE_H

#include "vmm/monitor/dev/virtio.h"

#define RAM_BYTES 0x100000u
#define QUEUE_GPA 0x10000u /* of queue n at + n * 0x8000 */
#define DATA_GPA  0x80000u /* buffers from here on */
#define QSIZE     8u

static uint8_t ram[RAM_BYTES] __attribute__((aligned(4096)));
static const struct guest_mem mem = {ram, RAM_BYTES, NULL};
static struct pci bus0;
static bool pin;
static unsigned messages;
static uint32_t message_data;
static uint64_t common, isr, device, notify; /* addresses */
static uint32_t notify_step;

static void vf_intx(void *ctx, unsigned devfn, unsigned n, bool level)
{
    (void)ctx;
    assert_int_equal(devfn, PCI_DEVFN(4, 0));
    assert_int_equal(n, 0);
    pin = level;
}

static void vf_msi(void *ctx, uint64_t address, uint32_t data)
{
    (void)ctx;
    assert_int_equal(address, 0xfee00000);
    messages++;
    message_data = data;
}

static void vf_reset(void *ctx)
{
    (void)ctx;
    fail();
}

static const struct dev_host vf_host = {
    .irq = fixture_irq, .now_ns = fixture_now, .mem = &mem, .msi = vf_msi};

static void vf_begin(void)
{
    fixture_reset();
    memset(ram, 0, sizeof(ram));
    pin = false;
    messages = 0;
    assert_true(pci_init(&bus0, &bus, &vf_host, vf_intx, vf_reset, NULL));
}

/* ---- configuration space, by mechanism 1 ---- */

static void cf_select(unsigned at)
{
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0x80000000u | PCI_DEVFN(4, 0) << 8 | (at & 0xfcu));
}

__attribute__((unused)) static uint32_t cf_read(unsigned at, unsigned bytes)
{
    cf_select(at);
    return (uint32_t)bus_read(&bus, BUS_PIO, 0xcfcu + (at & 3u), bytes);
}

__attribute__((unused)) static void cf_write(unsigned at, unsigned bytes, uint32_t value)
{
    cf_select(at);
    bus_write(&bus, BUS_PIO, 0xcfcu + (at & 3u), bytes, value);
}

static uint64_t bar_base(unsigned n)
{
    uint32_t v = cf_read(0x10u + 4u * n, 4);

    return v & 1u ? v & ~3u : v & ~15u;
}

/* 4.1.4: where the first capability of a type says its registers are. */
static uint64_t vf_find(unsigned type, unsigned *cap)
{
    unsigned at = cf_read(0x34, 1);

    for (; at; at = cf_read(at + 1u, 1)) {
        if (cf_read(at, 1) != 9 || cf_read(at + 3u, 1) != type) continue;
        assert_true(cf_read(at + 2u, 1) >= 16);
        if (cap) *cap = at;
        return bar_base(cf_read(at + 4u, 1)) + cf_read(at + 8u, 4);
    }
    return 0;
}

static void vf_attach(void)
{
    unsigned cap = 0;

    assert_true(pci_assign(&bus0, 0xe0000000u, 0xf0000000u));
    cf_write(4, 2, 7); /* I/O, memory, master */
    common = vf_find(1, NULL);
    notify = vf_find(2, &cap);
    notify_step = cf_read(cap + 16u, 4);
    isr = vf_find(3, NULL);
    device = vf_find(4, NULL);
    assert_true(common && isr && notify);
}

/* ---- common configuration, 4.1.4.3 ---- */

static uint64_t mr(uint64_t at, unsigned bytes) { return bus_read(&bus, BUS_MMIO, at, bytes); }
static void mw(uint64_t at, unsigned bytes, uint64_t v) { bus_write(&bus, BUS_MMIO, at, bytes, v); }

static unsigned status(void) { return (unsigned)mr(common + 0x14u, 1); }
static void set_status(unsigned v) { mw(common + 0x14u, 1, v); }

__attribute__((unused)) static uint64_t offered(void)
{
    uint64_t low;

    mw(common, 4, 0);
    low = mr(common + 4u, 4);
    mw(common, 4, 1);
    return low | mr(common + 4u, 4) << 32;
}

static void accept(uint64_t features)
{
    mw(common + 8u, 4, 0);
    mw(common + 12u, 4, (uint32_t)features);
    mw(common + 8u, 4, 1);
    mw(common + 12u, 4, features >> 32);
}

#define F_INDIRECT ((uint64_t)1 << 28)
#define F_EVENT    ((uint64_t)1 << 29)
#define F_V1       ((uint64_t)1 << 32)
#define F_RESET    ((uint64_t)1 << 40)

static void vf_features(uint64_t features)
{
    set_status(0);
    set_status(1);
    set_status(3);
    accept(features);
    set_status(0xb);
}

static uint64_t desc_gpa(unsigned q) { return QUEUE_GPA + q * 0x8000u; }
static uint64_t avail_gpa(unsigned q) { return desc_gpa(q) + 0x2000u; }
static uint64_t used_gpa(unsigned q) { return desc_gpa(q) + 0x4000u; }

static void vf_queue(unsigned q, unsigned size)
{
    memset(ram + desc_gpa(q), 0, 0x8000);
    mw(common + 0x16u, 2, q);
    mw(common + 0x18u, 2, size);
    mw(common + 0x20u, 4, desc_gpa(q));
    mw(common + 0x24u, 4, 0);
    mw(common + 0x28u, 8, avail_gpa(q));
    mw(common + 0x30u, 8, used_gpa(q));
    mw(common + 0x1cu, 2, 1);
    assert_int_equal(mr(common + 0x1cu, 2), 1);
}

/* All queues of @queues, then DRIVER_OK. */
__attribute__((unused)) static void vf_up(uint64_t features, unsigned queues)
{
    vf_features(features);
    assert_int_equal(status(), 0xb);
    for (unsigned q = 0; q < queues; q++) vf_queue(q, QSIZE);
    set_status(0xf);
    assert_int_equal(status(), 0xf);
}

/* ---- rings, 2.7 ---- */

static uint16_t get16(uint64_t gpa)
{
    uint16_t v;

    memcpy(&v, ram + gpa, sizeof(v));
    return v;
}

static uint32_t get32(uint64_t gpa)
{
    uint32_t v;

    memcpy(&v, ram + gpa, sizeof(v));
    return v;
}

static void put16(uint64_t gpa, unsigned v)
{
    uint16_t x = (uint16_t)v;

    memcpy(ram + gpa, &x, sizeof(x));
}

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

static void set_desc(uint64_t gpa, uint64_t addr, uint32_t len, unsigned flags, unsigned next)
{
    memcpy(ram + gpa, &addr, 8);
    memcpy(ram + gpa + 8u, &len, 4);
    put16(gpa + 12u, flags);
    put16(gpa + 14u, next);
}

static void vf_desc(unsigned q, unsigned i, uint64_t addr, uint32_t len, unsigned flags,
                    unsigned next)
{
    set_desc(desc_gpa(q) + 16u * i, addr, len, flags, next);
}

/* Make head available. */
static void vf_offer(unsigned q, unsigned size, unsigned head)
{
    uint16_t idx = get16(avail_gpa(q) + 2u);

    put16(avail_gpa(q) + 4u + 2u * (idx % size), head);
    put16(avail_gpa(q) + 2u, idx + 1u);
}

static void vf_kick(unsigned q)
{
    bus_write(&bus, BUS_PIO, notify + (uint64_t)q * notify_step, 2, q);
}

static unsigned used_idx(unsigned q) { return get16(used_gpa(q) + 2u); }
static uint32_t used_id(unsigned q, unsigned i) { return get32(used_gpa(q) + 4u + 8u * i); }
static uint32_t used_len(unsigned q, unsigned i) { return get32(used_gpa(q) + 8u + 8u * i); }

/* One buffer to the device and one from it, kicked. @return bytes used, or -1: not used */
__attribute__((unused)) static int64_t vf_exchange(unsigned q, uint64_t out, uint32_t out_bytes,
                                                   uint64_t in, uint32_t in_bytes)
{
    unsigned idx = used_idx(q);

    if (out_bytes) vf_desc(q, 0, out, out_bytes, in_bytes ? NEXT : 0, 1);
    if (in_bytes) vf_desc(q, out_bytes ? 1 : 0, in, in_bytes, WRITE, 0);
    vf_offer(q, QSIZE, 0);
    vf_kick(q);
    if (used_idx(q) == idx) return -1;
    assert_int_equal(used_idx(q), (uint16_t)(idx + 1u));
    assert_int_equal(used_id(q, idx % QSIZE), 0);
    return used_len(q, idx % QSIZE);
}

#endif
