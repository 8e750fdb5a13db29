/*
 * Storms on the devices of a virtual PC, for storm.c: each function is one blow, number @i of its
 * kind, and begins anew with 0. Nothing here may end the VM by a rule of the PC (reset, power-off),
 * or have a device write to the guest's own code: what devices write to or hear of is room[].
 */
#ifndef STORM_DEVICES_H
#define STORM_DEVICES_H

#include "virtio.h"

enum { ROOM_BYTES = 1 << 20, BLOW = 0x50, AHCI_BDF = 0xfa, IOAPIC = 0xfec00000 };

static uint8_t room[ROOM_BYTES] __attribute__((aligned(4096)));
static uint32_t pages[4096]; /* page 0, for a balloon */
static struct queue rings[2];

/* ---- virtio: network, disk, console, entropy, balloon ---- */

enum { VIRTIO_KINDS = 5, QUEUES = 2, ANEW = 8, SECTOR = 512 };

static struct device virtio[VIRTIO_KINDS];
static uint16_t virtio_kick[VIRTIO_KINDS];

/* @return devices found */
static unsigned find_virtio(void)
{
    unsigned found = 0;

    for (uint16_t n = 0; n < VIRTIO_KINDS; n++) {
        if (!find(&virtio[n], (uint16_t)(ID_NET + n))) continue;
        virtio_kick[n] = (uint16_t)virtio[n].notify;
        found++;
    }
    return found;
}

static bool is_there(unsigned n) { return virtio_kick[n] != 0; }

/* Up to its queues, and off. */
static void begin_anew(unsigned n)
{
    device_begin(&virtio[n], 0);
    for (uint16_t q = 0; q < QUEUES; q++) {
        rings[q].avail.index = 0;
        queue_begin(&virtio[n], &rings[q], q, true);
    }
    put8(virtio[n].common + STATUS, 15);
}

static void kick(unsigned n, uint16_t queue)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    outw((uint16_t)(virtio_kick[n] + queue * virtio[n].notify_step), queue);
}

static void by_kicks(uint64_t i)
{
    unsigned n = (unsigned)(i % VIRTIO_KINDS);

    if (is_there(n)) kick(n, (uint16_t)(i / VIRTIO_KINDS % 4));
}

/* Descriptors, indexes and available heads at random; addresses in the room or nowhere. */
static void by_rings(uint64_t i)
{
    unsigned n = (unsigned)(i / ANEW % VIRTIO_KINDS);
    struct queue *q = &rings[i % QUEUES];
    uint64_t random = mix64(i);
    uint8_t *where = n == 4 ? (uint8_t *)pages : room;
    /* Lengths: what is said on the console would take the place of what this guest has to say. */
    uint32_t mask = n == 2 ? 0xf : 0xfff, more = n == 2 || n == 4 ? 0 : ~0u;

    if (!is_there(n)) return;
    if (i % ANEW == 0) begin_anew(n);
    for (unsigned d = 0; d < RING; d += 1 + (unsigned)random % 8) {
        random = mix64(random);
        q->desc[d].addr =
            random & 7 ? (uint64_t)where + (random >> 8 & 0xfff) : random | 1ull << 40;
        q->desc[d].bytes = (uint32_t)(random >> 20) & (mask | (random & 8 ? 0 : more));
        q->desc[d].flags = (uint16_t)(random >> 4 & 7);
        q->desc[d].next = (uint16_t)(random >> 52 & (random & 16 ? RING - 1 : 0xffff));
        q->avail.ring[d] = (uint16_t)(random >> 44 & (random & 32 ? RING - 1 : 0xffff));
    }
    __atomic_store_n(&q->avail.index, (uint16_t)(random & 64 ? random >> 8 : random % RING),
                     __ATOMIC_RELEASE);
    kick(n, (uint16_t)(i % QUEUES));
}

/* A chain of @n buffers of @bytes in the room behind a header, or each by itself. */
static void fill(struct queue *q, unsigned n, uint32_t bytes, uint16_t flags, void *at)
{
    for (unsigned d = 0; d < n; d++) {
        q->desc[d] = (struct desc){(uint64_t)at, bytes, flags, (uint16_t)(d + 1)};
        q->avail.ring[d] = (uint16_t)d;
    }
    __atomic_store_n(&q->avail.index, (uint16_t)(q->avail.index + n), __ATOMIC_RELEASE);
}

/* As much work as a right queue can give at once. */
static void by_requests(uint64_t i)
{
    static struct {
        uint32_t type, reserved;
        uint64_t sector;
        uint8_t status;
    } header;
    unsigned n = (unsigned)(i / ANEW % VIRTIO_KINDS);
    struct queue *q = &rings[n == 0 || n == 2];

    if (!is_there(n)) return;
    if (i % ANEW == 0) begin_anew(n);
    if (n == 1) {
        unsigned last = 14;

        for (unsigned d = 1; d < last; d++)
            describe(q, d, room, ROOM_BYTES / 16, DESC_NEXT | (i & 1 ? DESC_WRITE : 0));
        header.type = i & 1 ? 0 : 1; /* read, write */
        describe(q, 0, &header, 16, DESC_NEXT);
        describe(q, last, &header.status, 1, DESC_WRITE);
        make_available(q, 0);
    } else if (n == 4) {
        fill(q, RING, sizeof(pages), 0, pages);
    } else if (n == 0) { /* what is sent to all comes back from a reflector */
        memset(room, 0, NET_HEADER);
        memset(room + NET_HEADER, 0xff, 6);
        fill(&rings[0], RING, ROOM_BYTES / RING, DESC_WRITE, room + ROOM_BYTES / 2);
        kick(n, 0);
        fill(q, RING, 1514 + NET_HEADER, 0, room);
    } else {
        fill(q, RING, n == 2 ? 1 : ROOM_BYTES / 2, n == 3 ? DESC_WRITE : 0, room);
    }
    kick(n, (uint16_t)(q - rings));
}

/* ---- SATA: AHCI 1.3.1, 3 and 4.2 ---- */

enum { GHC = 4, PORT0 = 0x100, PXCLB = 0, PXFB = 8, PXIS = 0x10, PXIE = 0x14, PXCMD = 0x18 };
enum { PXSCTL = 0x2c, PXSERR = 0x30, PXCI = 0x38, READ_DMA_EXT = 0x25, SECTORS = 1024 };

static void ahci_command(uint64_t abar)
{
    static uint32_t list[256] __attribute__((aligned(1024)));
    static uint32_t received[64] __attribute__((aligned(256)));
    static uint32_t table[64] __attribute__((aligned(128)));

    mmio_write32(abar + GHC, 0x80000002);
    list[0] = 5 | 1u << 16; /* five words of command, one region */
    list[2] = (uint32_t)(uint64_t)table;
    table[0] = 0x00008027 | READ_DMA_EXT << 16;
    table[1] = 0x40000000;
    table[3] = SECTORS;
    table[32] = (uint32_t)(uint64_t)room;
    table[35] = (SECTORS * SECTOR - 1) | 1u << 31;
    mmio_write32(abar + PORT0 + PXCLB, (uint32_t)(uint64_t)list);
    mmio_write32(abar + PORT0 + PXFB, (uint32_t)(uint64_t)received);
    mmio_write32(abar + PORT0 + PXSERR, ~0u);
    mmio_write32(abar + PORT0 + PXIS, ~0u);
    mmio_write32(abar + PORT0 + PXIE, ~0u);
    mmio_write32(abar + PORT0 + PXCMD, 0x11); /* FRE, ST */
    mmio_write32(abar + PORT0 + PXCI, 1);
}

static bool ahci_is_there(void) { return config_read(AHCI_BDF, 0) != 0xffffffff; }

/* A command that moves half a MiB; then another at once, a reset of the port or of all. */
static void by_ahci(uint64_t i)
{
    uint64_t abar = config_read(AHCI_BDF, 0x24) & ~15u;

    if (!ahci_is_there()) return;
    if (i == 0) config_write(AHCI_BDF, 4, 7);
    ahci_command(abar);
    if (i % 4 == 1) mmio_write32(abar + PORT0 + PXCMD, 0x10);
    if (i % 4 == 2) {
        mmio_write32(abar + PORT0 + PXSCTL, 1);
        mmio_write32(abar + PORT0 + PXSCTL, 0);
    }
    if (i % 4 == 3) mmio_write32(abar + GHC, 0x80000001);
}

/* ---- screen ---- */

static void by_modes(uint64_t i)
{
    static const uint16_t bits[] = {4, 8, 15, 16, 24, 32, 0, 0xffff};
    uint64_t random = mix64(i);

    outw(0x1ce, 4);
    outw(0x1cf, 0);
    for (uint16_t n = 1; n < 10; n++) {
        outw(0x1ce, n);
        outw(0x1cf, n == 3 ? bits[i % 8] : n == 4 ? 0x41 : (uint16_t)(random >> n * 4));
    }
    outw(0x1ce, 4);
    outw(0x1cf, i & 1 ? 0x41 : 0);
}

static void by_vga(uint64_t i)
{
    static const uint16_t at[] = {0x3c4, 0x3ce, 0x3d4, 0x3c8, 0x3c0};
    uint64_t random = mix64(i);

    outw(at[i % 5], (uint16_t)random);
    outb(0x3c2, (uint8_t)(random >> 16));
    (void)inb(0x3da);
    for (unsigned n = 0; n < 4; n++) {
        random = mix64(random);
        *(volatile uint8_t *)(0xa0000 + random % 0x20000) = (uint8_t)random;
        (void)*(volatile uint16_t *)(0xa0000 + (random >> 20) % 0x1fffe);
    }
}

/* ---- the rest of the board ---- */

static void by_keyboard(uint64_t i)
{
    static const uint8_t commands[] = {0x20, 0x60, 0xa7, 0xa8, 0xa9, 0xaa, 0xab,
                                       0xad, 0xae, 0xc0, 0xd0, 0xd2, 0xd3, 0xd4};
    uint8_t value = commands[i % sizeof(commands)];

    outb(0x64, value);
    outb(0x60, value == 0x60 ? 0x74 : (uint8_t)(0xed + i % 19));
    (void)inb(0x60);
    (void)inb(0x64);
}

static void by_clock(uint64_t i)
{
    static const uint8_t at[] = {0x0a, 0x0b, 0x0c, 0x00, 0x32, 0x01, 0x04, 0x0b};
    static const uint8_t values[] = {0x23, 0x7a, 0, 0x59, 0x20, 0x59, 0x23, 0xf2};

    outb(0x70, at[i % 8]);
    outb(0x71, values[i % 8]);
    (void)inb(0x71);
}

/* All modes of all channels, read-backs, counts that end at once. */
static void by_channels(uint64_t i)
{
    uint8_t channel = (uint8_t)(i % 3);

    outb(0x43, (uint8_t)(channel * 64u + 0x30 + (i / 3 % 8) * 2));
    outb((uint16_t)(0x40 + channel), (uint8_t)(1 + i % 3));
    outb((uint16_t)(0x40 + channel), 0);
    outb(0x43, 0xce);
    (void)inb((uint16_t)(0x40 + channel));
    outb(0x61, (uint8_t)(i & 3));
}

static void by_serial(uint64_t i)
{
    outb(0x3fc, 0x10); /* to itself */
    outb(0x3fa, (uint8_t)(i & 1 ? 0xc7 : 0));
    outb(0x3f9, (uint8_t)(i & 15));
    outb(0x3f8, (uint8_t)i);
    (void)inb(0x3f8);
    (void)inb(0x3fa);
    outb(0x3f9, 0);
    outb(0x3fc, 0);
}

static void by_ioapic(uint64_t i)
{
    uint32_t random = (uint32_t)mix64(i);

    mmio_write32(IOAPIC, 0x10 + 2 * (uint32_t)(i % 24));
    mmio_write32(IOAPIC + 0x10, BLOW | (random & 0x12800)); /* edge: no line stays up */
    mmio_write32(IOAPIC, 0x11 + 2 * (uint32_t)(i % 24));
    mmio_write32(IOAPIC + 0x10, random & 0xff000000);
}

static void ioapic_mask_all(void)
{
    for (uint32_t n = 0; n < 24; n++) {
        mmio_write32(IOAPIC, 0x10 + 2 * n);
        mmio_write32(IOAPIC + 0x10, 0x10000);
    }
}

/* Each function's base addresses anywhere, decoded and not; and back. */
static void by_bars(uint64_t i)
{
    static uint8_t there[32], count;
    uint64_t random = mix64(i);
    unsigned bdf, reg = 0x10 + 4 * (unsigned)(random % 6);
    uint32_t old;

    for (unsigned n = 0; i == 0 && count == 0 && n < 256; n++)
        if (config_read(n, 0) != 0xffffffff && count < sizeof(there)) there[count++] = (uint8_t)n;
    if (count == 0) return;
    bdf = there[random % count];
    old = config_read(bdf, reg);
    config_write(bdf, 4, random >> 8 & 7);
    config_write(bdf, reg, (uint32_t)(random >> 16));
    config_write(bdf, 4, 7);
    config_write(bdf, reg, old);
}

static void by_watchdog(uint64_t i)
{
    outl(0x6c4, 0xffff);
    outl(0x6c0, (uint32_t)i & 1);
    outl(0x6c8, 0);
    (void)inl(0x6c8);
    outl(0x6c0, 0);
}

/* Where there is firmware: files byte by byte, and copied to the room. */
static void by_fw_cfg(uint64_t i)
{
    static uint32_t dma[4];
    uint64_t at = (uint64_t)dma;

    outw(0x510, (uint16_t)(i % 0x40));
    (void)inb(0x511);
    dma[0] = __builtin_bswap32((uint32_t)(i % 0x40) << 16 | (i & 1 ? 10 : 12)); /* read, skip */
    dma[1] = __builtin_bswap32(i & 2 ? 0xffffffff : ROOM_BYTES);
    dma[2] = 0;
    dma[3] = __builtin_bswap32((uint32_t)(uint64_t)room);
    if (i & 2 && i & 1) dma[1] = __builtin_bswap32(ROOM_BYTES);
    outl(0x514, 0);
    outl(0x518, __builtin_bswap32((uint32_t)at));
}

/* Variables of UEFI firmware, behind Intel's command set: query, status, identifiers, program,
 * erase. */
static void by_flash(uint64_t i)
{
    static const uint8_t commands[] = {0x98, 0x70, 0x90, 0x40, 0x20, 0xe8, 0x50, 0xff};
    volatile uint8_t *at = (volatile uint8_t *)(0xffc00000 + (mix64(i) & 0x7ffff));

    *at = commands[i % 8];
    *at = i % 8 == 4 ? 0xd0 : i % 8 == 5 ? 31 : (uint8_t)i;
    (void)*at;
    *at = 0xff;
}

static void by_msr(uint64_t i)
{
    uint64_t value;

    (void)rdmsr_fault((uint32_t)(i & 0x1fff) | (i & 0x2000 ? 0xc0000000 : 0), &value);
}

static void by_strings(uint64_t i)
{
    void *at = room;
    uint64_t n = 4096;

    if (i & 1)
        __asm__ volatile("rep insb" : "+D"(at), "+c"(n) : "d"(0x1234) : "memory");
    else
        __asm__ volatile("rep outsb" : "+S"(at), "+c"(n) : "d"(0x1234) : "memory");
}

#endif
