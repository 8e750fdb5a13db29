// sources: vmm/monitor/dev/vga.c vmm/monitor/dev/vga_window.c vmm/monitor/dev/vbe.c
// sources: vmm/monitor/dev/vga_screen.c vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c
// sources: vmm/monitor/dev/bus.c
/* VGA with Bochs VBE: registers and write modes by the tables of the IBM VGA Technical Reference,
 * the extensions as Bochs' and QEMU's specifications have them, and what the guest is shown of the
 * memory. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/vga.h"

#include <stdlib.h>

#define FRAME 0x100000u /* a small frame buffer does */

static struct vga vga;
static struct pci pci;
static uint8_t memory_bytes[VGA_MEMORY_BYTES(FRAME)];
static struct dev_ram memory = {memory_bytes, sizeof(memory_bytes)};

/* What the guest sees of device memory: at most two pieces, the window and BAR0. */
static struct mapped {
    const uint8_t *bytes;
    uint64_t size, gpa;
} mapped[2];
static unsigned maps;
static bool map_fails;

static bool vga_map(void *ctx, const struct dev_ram *ram, uint64_t offset, uint64_t bytes,
                    uint64_t gpa, unsigned access)
{
    struct mapped *m = &mapped[gpa < 0x100000u ? 0 : 1];

    (void)ctx;
    assert_true(((offset | bytes | gpa) & 4095u) == 0 && bytes != 0);
    assert_true(offset + bytes <= ram->size_bytes);
    if (access == 0) {
        assert_true(m->gpa == gpa && m->size == bytes);
        *m = (struct mapped){0};
        return true;
    }
    if (map_fails) return false;
    assert_int_equal(m->size, 0);
    *m = (struct mapped){ram->bytes + offset, bytes, gpa};
    maps++;
    return true;
}

static const struct dev_host screen_host = {
    .irq = fixture_irq, .now_ns = fixture_now, .map = vga_map};

static void no_reset(void *ctx) { (void)ctx; }

static void setup(void)
{
    fixture_reset();
    memset(memory_bytes, 0, sizeof(memory_bytes));
    memset(mapped, 0, sizeof(mapped));
    maps = 0;
    map_fails = false;
    assert_true(pci_init(&pci, &bus, &screen_host, NULL, no_reset, NULL));
    assert_true(vga_init(&vga, &bus, &screen_host, &pci, PCI_DEVFN(1, 0), &memory));
}

static void set(uint16_t port, unsigned index, unsigned value)
{
    out8(port, index);
    out8(port + 1u, value);
}

static unsigned get(uint16_t port, unsigned index)
{
    out8(port, index);
    return in8(port + 1u);
}

#define SEQ 0x3c4u
#define GC  0x3ceu
#define CRT 0x3d4u

static void attribute(unsigned index, unsigned value)
{
    (void)in8(0x3da);
    out8(0x3c0, index);
    out8(0x3c0, value);
}

static uint8_t peek(uint32_t offset)
{
    return (uint8_t)bus_read(&bus, BUS_MMIO, 0xa0000 + offset, 1);
}

static void poke(uint32_t offset, unsigned value)
{
    bus_write(&bus, BUS_MMIO, 0xa0000 + offset, 1, value);
}

static uint8_t plane(unsigned p, uint32_t at) { return vga.planes[p * VGA_PLANE_BYTES + at]; }

/* 640 x 480, 16 colours (mode 12h), as far as the window is concerned. */
static void planar(void)
{
    set(SEQ, 2, 0x0f);
    set(SEQ, 4, 0x06);
    for (unsigned i = 0; i < 5; i++) set(GC, i, 0);
    set(GC, 5, 0x00);
    set(GC, 6, 0x05);
    set(GC, 7, 0x0f);
    set(GC, 8, 0xff);
}

static void test_registers(void **state)
{
    static const struct {
        uint16_t port;
        uint8_t index, bits;
    } rows[] = {
        {SEQ, 0, 0x03}, {SEQ, 1, 0x3d}, {SEQ, 2, 0x0f}, {SEQ, 3, 0x3f}, {SEQ, 4, 0x0e},
        {GC, 0, 0x0f},  {GC, 1, 0x0f},  {GC, 2, 0x0f},  {GC, 3, 0x1f},  {GC, 4, 0x03},
        {GC, 5, 0x7b},  {GC, 6, 0x0f},  {GC, 7, 0x0f},  {GC, 8, 0xff},
    };

    (void)state;
    setup();
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        set(rows[i].port, rows[i].index, 0xff);
        assert_int_equal(get(rows[i].port, rows[i].index), rows[i].bits);
        set(rows[i].port, rows[i].index, 0x00);
        assert_int_equal(get(rows[i].port, rows[i].index), 0);
    }
    set(SEQ, 5, 0xff); /* none there */
    assert_int_equal(get(SEQ, 5), 0);
    assert_int_equal(get(GC, 9), 0);
    assert_int_equal(get(CRT, 25), 0);
    bus_write(&bus, BUS_PIO, SEQ, 2, 0x0b02); /* index and data in one */
    assert_int_equal(get(SEQ, 2), 0x0b);
    assert_int_equal(in8(0x3cc), 0x67);
    assert_int_equal(in8(0x3c2) & 0x10, 0x10);
    out8(0x3da, 0x5a);
    assert_int_equal(in8(0x3ca), 0x5a);
    assert_int_equal(in8(0x3b5), 0xff); /* colour: nothing at the monochrome ports */
    out8(0x3c2, 0x66);
    assert_int_equal(in8(0x3d5), 0xff);
    set(0x3b4, 0x0c, 0x12);
    assert_int_equal(get(0x3b4, 0x0c), 0x12);
    out8(0x3c2, 0x67);
    assert_int_equal(get(CRT, 0x0c), 0x12);
    /* Bit 7 of register 0x11 protects 0 to 7, but for bit 4 of 7. */
    set(CRT, 0x11, 0x0e);
    for (unsigned i = 0; i < 8; i++) set(CRT, i, 0x55);
    set(CRT, 0x11, 0x8e);
    for (unsigned i = 0; i < 8; i++) {
        set(CRT, i, 0xaa);
        assert_int_equal(get(CRT, i), i == 7 ? 0x45 : 0x55);
    }
    set(CRT, 7, 0x10);
    assert_int_equal(get(CRT, 7), 0x55);
}

static void test_attribute(void **state)
{
    (void)state;
    setup();
    (void)in8(0x3da);
    out8(0x3c0, 0x05); /* index, then data, then index again */
    out8(0x3c0, 0xff);
    out8(0x3c0, 0x10);
    out8(0x3c0, 0x0c);
    out8(0x3c0, 0x05);
    assert_int_equal(in8(0x3c1), 0x3f); /* palette: six bits */
    (void)in8(0x3da);
    out8(0x3c0, 0x30);
    assert_int_equal(in8(0x3c1), 0x0c);
    (void)in8(0x3da); /* back to the index: this is not data */
    out8(0x3c0, 0x20);
    (void)in8(0x3da);
    assert_int_equal(in8(0x3c0), 0x20);
    attribute(0x15, 0xff); /* none there */
    assert_int_equal(in8(0x3c1), 0);
}

static void test_dac(void **state)
{
    (void)state;
    setup();
    out8(0x3c8, 10);
    for (unsigned i = 0; i < 6; i++) out8(0x3c9, 0xc0 + i);
    assert_int_equal(in8(0x3c7), 0);
    out8(0x3c7, 10);
    assert_int_equal(in8(0x3c7), 3);
    for (unsigned i = 0; i < 6; i++) assert_int_equal(in8(0x3c9), i); /* six bits */
    assert_int_equal(in8(0x3c8), 12);
    out8(0x3c8, 255);
    for (unsigned i = 0; i < 6; i++) out8(0x3c9, i + 1); /* goes round */
    out8(0x3c7, 0);
    assert_int_equal(in8(0x3c9), 4);
    out8(0x3c8, 5);
    out8(0x3c9, 1);
    out8(0x3c9, 2); /* not whole: nothing changes */
    out8(0x3c7, 5);
    assert_int_equal(in8(0x3c9), 42);
    bus_write(&bus, BUS_PIO, 0x1ce, 2, BH_VBE_ENABLE);
    bus_write(&bus, BUS_PIO, 0x1cf, 2, BH_VBE_8BIT_DAC);
    out8(0x3c8, 7);
    out8(0x3c9, 0xff);
    out8(0x3c9, 0x80);
    out8(0x3c9, 0x01);
    out8(0x3c7, 7);
    assert_int_equal(in8(0x3c9), 0xff);
    assert_int_equal(in8(0x3c9), 0x80);
}

/* A guest that waits for the retrace finds its beginning and its end, about 70 times a second. */
static void test_retrace(void **state)
{
    unsigned begins = 0;
    uint8_t last;

    (void)state;
    setup();
    last = in8(0x3da);
    for (now = 0; now < 1000000000u; now += 5000) {
        uint8_t s = in8(0x3da);

        if ((s & 8) && !(last & 8)) begins++;
        if (s & 8) assert_int_equal(s & 1, 1);
        last = s;
    }
    assert_in_range(begins, 69, 71);
}

/* Write modes 0 to 3, the graphics controller's functions, read modes 0 and 1. */
static void test_planes(void **state)
{
    static const uint8_t results[4] = {0x0f, 0x05, 0x5f, 0x5a}; /* 0x0f with 0x55 */

    (void)state;
    setup();
    planar();
    assert_int_equal(mapped[0].size, 0);
    set(SEQ, 2, 0x05); /* map mask */
    poke(100, 0x3c);
    for (unsigned p = 0; p < 4; p++) assert_int_equal(plane(p, 100), p & 1 ? 0 : 0x3c);
    set(SEQ, 2, 0x0f);
    for (unsigned p = 0; p < 4; p++) {
        set(GC, 4, p);
        assert_int_equal(peek(100), p & 1 ? 0 : 0x3c);
    }
    set(GC, 3, 3); /* rotate right by 3 */
    poke(101, 0x01);
    assert_int_equal(plane(0, 101), 0x20);
    for (unsigned f = 0; f < 4; f++) {
        set(GC, 3, 0);
        poke(102, 0x55);
        (void)peek(102);
        set(GC, 3, f << 3);
        poke(102, 0x0f);
        assert_int_equal(plane(2, 102), results[f]);
    }
    set(GC, 3, 0);
    poke(103, 0xf0); /* bit mask: the rest comes from the latch */
    (void)peek(103);
    set(GC, 8, 0x3c);
    poke(103, 0x0f);
    assert_int_equal(plane(3, 103), 0xcc);
    set(GC, 8, 0xff);
    set(GC, 0, 0x0a); /* set/reset for planes 0 and 1 only */
    set(GC, 1, 0x03);
    poke(104, 0x77);
    assert_int_equal(plane(0, 104), 0x00);
    assert_int_equal(plane(1, 104), 0xff);
    assert_int_equal(plane(2, 104), 0x77);
    set(GC, 1, 0);
    set(GC, 5, 1); /* write mode 1: latches */
    (void)peek(104);
    poke(105, 0x12);
    for (unsigned p = 0; p < 4; p++) assert_int_equal(plane(p, 105), plane(p, 104));
    set(GC, 5, 2); /* write mode 2: a colour */
    poke(106, 0x09);
    for (unsigned p = 0; p < 4; p++) assert_int_equal(plane(p, 106), p == 0 || p == 3 ? 0xff : 0);
    set(GC, 5, 3); /* write mode 3: data is a mask of set/reset */
    set(GC, 0, 0x06);
    (void)peek(106);
    poke(106, 0x0f);
    assert_int_equal(plane(0, 106), 0xf0);
    assert_int_equal(plane(1, 106), 0x0f);
    assert_int_equal(plane(3, 106), 0xf0);
    set(GC, 5, 8); /* read mode 1: where is colour 9? */
    set(GC, 2, 9);
    assert_int_equal(peek(106), 0xf0);
    set(GC, 7, 0x01); /* plane 0 alone matters */
    set(GC, 2, 0);
    assert_int_equal(peek(106), 0x0f);
    assert_int_equal(peek(0x10000), 0xff); /* the window ends */
    bus_write(&bus, BUS_MMIO, 0xa0000 + 0xffff, 1, 0);
}

/* 80 x 25 text: the guest sees memory; characters are in plane 0, attributes in plane 1. */
static void test_text_view(void **state)
{
    static const char text[] = "Hello";
    struct bh_screen s;

    (void)state;
    setup();
    assert_int_equal(mapped[0].gpa, 0xb8000);
    assert_int_equal(mapped[0].size, 0x8000);
    for (unsigned i = 0; i < 5; i++) {
        poke(0x18000 + 2 * i, (uint8_t)text[i]);
        poke(0x18001 + 2 * i, 0x1f);
    }
    assert_memory_equal(mapped[0].bytes,
                        "H\x1f"
                        "e\x1f",
                        4);
    assert_int_equal(peek(0x18002), 'e');
    assert_int_equal(peek(0), 0xff);
    assert_int_equal(peek(0x17fff), 0xff);
    vga_screen(&vga, &s);
    assert_int_equal(plane(0, 2), 'e');
    assert_int_equal(plane(1, 2), 0x1f);
    assert_int_equal(s.pieces, 3);
    assert_int_equal(s.piece[0].bytes, 25 * 160);
    /* A font is loaded as firmware does it: to plane 2, bytes after bytes. */
    set(SEQ, 2, 0x04);
    assert_int_equal(mapped[0].size, 0);
    set(SEQ, 4, 0x07);
    set(GC, 4, 2);
    set(GC, 5, 0);
    set(GC, 6, 0x04);
    for (unsigned i = 0; i < 32; i++) poke('A' * 32 + i, i);
    assert_int_equal(plane(2, 'A' * 32 + 31), 31);
    assert_int_equal(peek('A' * 32 + 30), 30);
    set(SEQ, 2, 0x03);
    set(SEQ, 4, 0x03);
    set(GC, 4, 0);
    set(GC, 5, 0x10);
    set(GC, 6, 0x0e);
    assert_int_equal(mapped[0].size, 0x8000); /* and the text is back */
    assert_memory_equal(mapped[0].bytes,
                        "H\x1f"
                        "e\x1f",
                        4);
    assert_int_equal(plane(2, 'A' * 32 + 31), 31);
    /* The same through the graphics controller: even and odd bytes to different planes. */
    map_fails = true;
    set(GC, 6, 0x0a); /* monochrome: 0xb0000 */
    assert_int_equal(mapped[0].size, 0);
    assert_int_equal(peek(0x10002), 'e');
    poke(0x10002, 'E');
    set(GC, 8, 0x0f); /* now it is not plain memory any more */
    (void)peek(0x10002);
    poke(0x10002, 0xff);
    assert_int_equal(plane(0, 2), ('E' & 0xf0) | 0x0f);
    assert_int_equal(plane(1, 2), 0x1f);
    assert_int_equal(peek(0x10003), 0x1f);
    out8(0x3c2, 0x65); /* memory off */
    assert_int_equal(peek(0x10002), 0xff);
}

/* 320 x 200, 256 colours (mode 13h). */
static void test_chain4(void **state)
{
    (void)state;
    setup();
    planar();
    set(SEQ, 4, 0x0e);
    set(GC, 5, 0x40);
    assert_int_equal(mapped[0].gpa, 0xa0000);
    assert_int_equal(mapped[0].size, 0x10000);
    for (unsigned i = 0; i < 256; i++) poke(0x1000 + i, i);
    for (unsigned i = 0; i < 256; i++) assert_int_equal(peek(0x1000 + i), i);
    set(GC, 8, 0xfe); /* MMIO from here on */
    assert_int_equal(mapped[0].size, 0);
    for (unsigned i = 0; i < 256; i++) assert_int_equal(plane(i & 3, (0x1000 + i) & ~3u), i);
    for (unsigned i = 0; i < 256; i++) assert_int_equal(peek(0x1000 + i), i);
    set(GC, 8, 0xff);
    set(SEQ, 4, 0x06); /* and unchained: each plane by itself */
    set(SEQ, 2, 0x02);
    poke(0x1000, 0xee);
    assert_int_equal(plane(1, 0x1000), 0xee);
}

static void vbe(unsigned index, unsigned value)
{
    bus_write(&bus, BUS_PIO, 0x1ce, 2, index);
    bus_write(&bus, BUS_PIO, 0x1cf, 2, value);
}

static unsigned vbe_get(unsigned index)
{
    bus_write(&bus, BUS_PIO, 0x1ce, 2, index);
    return (unsigned)bus_read(&bus, BUS_PIO, 0x1cf, 2);
}

static void mode(unsigned x, unsigned y, unsigned bpp, unsigned enable)
{
    vbe(BH_VBE_ENABLE, 0);
    vbe(BH_VBE_XRES, x);
    vbe(BH_VBE_YRES, y);
    vbe(BH_VBE_BPP, bpp);
    vbe(BH_VBE_ENABLE, enable);
}

static void test_vbe(void **state)
{
    (void)state;
    setup();
    assert_int_equal(vbe_get(BH_VBE_ID), 0xb0c5);
    vbe(BH_VBE_ID, 0xb0c0);
    assert_int_equal(vbe_get(BH_VBE_ID), 0xb0c0);
    vbe(BH_VBE_ID, 0x1234);
    assert_int_equal(vbe_get(BH_VBE_ID), 0xb0c0);
    assert_int_equal(vbe_get(BH_VBE_MEMORY_64K), FRAME >> 16);
    assert_int_equal(vbe_get(11), 0);
    vbe(BH_VBE_ENABLE, BH_VBE_GETCAPS);
    assert_int_equal(vbe_get(BH_VBE_XRES), 2560);
    assert_int_equal(vbe_get(BH_VBE_YRES), 1600);
    assert_int_equal(vbe_get(BH_VBE_BPP), 32);
    memset(vga.frame.bytes, 0xaa, FRAME);
    mode(640, 400, 32, BH_VBE_ENABLED | BH_VBE_LINEAR);
    assert_int_equal(vbe_get(BH_VBE_ENABLE), 0x41);
    assert_int_equal(vbe_get(BH_VBE_VIRT_WIDTH), 640);
    assert_int_equal(vbe_get(BH_VBE_VIRT_HEIGHT), FRAME / (640 * 4));
    assert_int_equal(vga.frame.bytes[640 * 400 * 4 - 1], 0); /* cleared */
    assert_int_equal(vga.frame.bytes[640 * 400 * 4], 0xaa);
    vbe(BH_VBE_XRES, 1024); /* not while it is on */
    assert_int_equal(vbe_get(BH_VBE_XRES), 640);
    vbe(BH_VBE_VIRT_WIDTH, 655);
    assert_int_equal(vbe_get(BH_VBE_VIRT_WIDTH), 655);
    vbe(BH_VBE_VIRT_WIDTH, 100); /* narrower than what is shown */
    assert_int_equal(vbe_get(BH_VBE_VIRT_WIDTH), 655);
    vbe(BH_VBE_VIRT_WIDTH, 1000); /* no memory for all lines */
    assert_int_equal(vbe_get(BH_VBE_VIRT_WIDTH), 655);
    mode(1024, 768, 32, BH_VBE_ENABLED); /* 3 MiB of 1 */
    assert_int_equal(vbe_get(BH_VBE_ENABLE), 0);
    mode(0, 400, 32, BH_VBE_ENABLED);
    assert_int_equal(vbe_get(BH_VBE_ENABLE), 0);
    mode(640, 480, 7, BH_VBE_ENABLED);
    assert_int_equal(vbe_get(BH_VBE_ENABLE), 0);
    memset(vga.frame.bytes, 0x55, 16);
    mode(800, 600, 16, BH_VBE_ENABLED | BH_VBE_KEEPS_MEM);
    assert_int_equal(vga.frame.bytes[0], 0x55);
}

static void test_bank(void **state)
{
    struct bh_screen s;

    (void)state;
    setup();
    mode(640, 480, 8, BH_VBE_ENABLED);
    assert_int_equal(mapped[0].gpa, 0xa0000);
    assert_ptr_equal(mapped[0].bytes, vga.frame.bytes);
    vbe(BH_VBE_BANK, 3);
    assert_ptr_equal(mapped[0].bytes, vga.frame.bytes + 0x30000);
    poke(5, 0x77);
    assert_int_equal(vga.frame.bytes[0x30005], 0x77);
    vbe(BH_VBE_BANK, FRAME >> 16); /* beyond the memory */
    assert_int_equal(mapped[0].size, 0);
    assert_int_equal(peek(5), 0xff);
    vga_screen(&vga, &s);
    assert_int_equal(s.pieces, 1);
    assert_int_equal(s.piece[0].address, BH_SCREEN_FRAME);
    assert_int_equal(s.piece[0].bytes, 640 * 480);
    vbe(BH_VBE_Y_OFFSET, 0xffff); /* shows what is not there */
    vga_screen(&vga, &s);
    assert_int_equal(s.pieces, 0);
    vbe(BH_VBE_ENABLE, 0);
    assert_int_equal(mapped[0].gpa, 0xb8000);
    planar();
    mode(800, 600, 4, BH_VBE_ENABLED);
    assert_int_equal(mapped[0].size, 0);
    mode(1024, 768, 4, BH_VBE_ENABLED);
    assert_int_equal(vbe_get(BH_VBE_ENABLE), 0);
}

static uint32_t config(unsigned offset)
{
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0x80000800u | offset);
    return (uint32_t)bus_read(&bus, BUS_PIO, 0xcfc, 4);
}

static void config_write(unsigned offset, uint32_t value)
{
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0x80000800u | offset);
    bus_write(&bus, BUS_PIO, 0xcfc, 4, value);
}

static uint64_t bar2(unsigned offset, unsigned size)
{
    return bus_read(&bus, BUS_MMIO, 0xe1000000 + offset, size);
}

static void test_pci(void **state)
{
    (void)state;
    setup();
    assert_int_equal(config(0), 0x11111234);
    assert_int_equal(config(8) >> 8, 0x030000);
    config_write(0x10, 0xffffffff);
    assert_int_equal(config(0x10), ~(FRAME - 1u) | 8u);
    config_write(0x10, 0xe0000000);
    config_write(0x18, 0xe1000000);
    config_write(4, 3);
    assert_int_equal(mapped[1].gpa, 0xe0000000);
    assert_ptr_equal(mapped[1].bytes, vga.frame.bytes);
    assert_int_equal(mapped[1].size, FRAME);
    assert_int_equal(bar2(0, 1), 0); /* no EDID */
    assert_int_equal(bar2(0x500, 2), 0xb0c5);
    bus_write(&bus, BUS_MMIO, 0xe1000000 + 0x502, 2, 640);
    assert_int_equal(vbe_get(BH_VBE_XRES), 640);
    assert_int_equal(bar2(0x514, 2), FRAME >> 16);
    assert_int_equal(bar2(0x516, 2), 0xffff);
    assert_int_equal(bar2(0x604, 4), 0x1e1e1e1e);
    assert_int_equal(bar2(0x40c, 1), 0x67); /* 0x3cc */
    bus_write(&bus, BUS_MMIO, 0xe1000000 + 0x404, 2, 0x0902);
    assert_int_equal(get(SEQ, 2), 9);
    config_write(4, 0);
    assert_int_equal(mapped[1].size, 0);
}

/* A saved VGA goes on with the text that it had, whatever the other one has shown. */
static void test_saved(void **state)
{
    static struct vga copy;
    static uint8_t copy_memory[sizeof(memory_bytes)];

    (void)state;
    setup();
    poke(0x18000, 'S');
    set(CRT, 0x0e, 0x01);
    copy = vga;
    memcpy(copy_memory, memory_bytes, sizeof(copy_memory));
    setup();
    mode(640, 400, 32, BH_VBE_ENABLED);
    for (unsigned i = 0; i < vga_state.count; i++) {
        const struct state_member *m = &vga_state.members[i];

        memcpy((char *)&vga + m->offset, (char *)&copy + m->offset, m->bytes);
    }
    assert_true(vga_state.loaded(&vga));
    memcpy(memory_bytes, copy_memory, sizeof(copy_memory));
    assert_int_equal(mapped[0].gpa, 0xb8000);
    assert_int_equal(peek(0x18000), 'S');
    assert_int_equal(get(CRT, 0x0e), 1);
    vga_window_sync(&vga);
    assert_int_equal(plane(0, 0), 'S');
}

static void look(uint64_t t)
{
    struct bh_screen s;
    uint64_t r = random_next();

    (void)t;
    if (r & 7u) return;
    map_fails = (r & 8u) != 0;
    vga_screen(&vga, &s);
    assert_true(s.pieces <= BH_SCREEN_PIECES);
    for (uint32_t i = 0; i < s.pieces; i++) {
        assert_true(s.piece[i].bytes != 0 && s.piece[i].unit - 1u < 4u);
        assert_non_null(vga_screen_memory(&vga, s.piece[i].address, s.piece[i].bytes));
    }
}

static void test_hammer(void **state)
{
    (void)state;
    setup();
    config_write(0x18, 0xe1000000);
    config_write(4, 3);
    hammer(100000, look);
    assert_null(vga_screen_memory(&vga, BH_SCREEN_FRAME + FRAME, 1));
    assert_null(vga_screen_memory(&vga, BH_SCREEN_FRAME - 1u, 2));
    assert_null(vga_screen_memory(&vga, UINT32_MAX, UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers), cmocka_unit_test(test_attribute),
        cmocka_unit_test(test_dac),       cmocka_unit_test(test_retrace),
        cmocka_unit_test(test_planes),    cmocka_unit_test(test_text_view),
        cmocka_unit_test(test_chain4),    cmocka_unit_test(test_vbe),
        cmocka_unit_test(test_bank),      cmocka_unit_test(test_pci),
        cmocka_unit_test(test_saved),     cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
