/*
 * Bochs VBE extensions: index and data registers at ports 0x1ce and 0x1cf, version 0xb0c5, and the
 * same with the VGA's ports in BAR2 (QEMU's "standard-vga" specification: EDID at 0, VGA ports from
 * 0x400, extensions from 0x500, byte order at 0x604; there is no EDID here). May call: the other
 * parts of the adapter.
 */
#include "vga.h"
#include "dev_util.h"

#include <string.h>

#define PORT_INDEX 0x1ceu
#define PORT_COUNT 4u
#define ID_OLDEST  0xb0c0u
#define ID_NEWEST  0xb0c5u
#define ENABLE_BITS                                                                                \
    (BH_VBE_ENABLED | BH_VBE_GETCAPS | BH_VBE_8BIT_DAC | BH_VBE_LINEAR | BH_VBE_KEEPS_MEM)
#define X_MAX        2560u
#define Y_MAX        1600u
#define BPP_MAX      32u
#define PLANAR_X_MAX 800u /* 4 bits a pixel: what fits planes of 64 KiB */
#define PLANAR_Y_MAX 600u

#define BAR2_BYTES     0x1000u
#define BAR2_VGA       0x400u /* ports 0x3c0..0x3df */
#define BAR2_VGA_PORTS 0x20u
#define BAR2_VBE       0x500u
#define BAR2_QEMU      0x600u
#define ENDIAN_LITTLE  0x1e1e1e1eu

bool vbe_on(const struct vga_registers *r) { return (r->vbe[BH_VBE_ENABLE] & BH_VBE_ENABLED) != 0; }

static uint32_t stride(const struct vga_registers *r)
{
    uint32_t width = r->vbe[BH_VBE_VIRT_WIDTH];

    return r->vbe[BH_VBE_BPP] == 4u ? width / 8u : width * bh_vbe_pixel_bytes(r->vbe[BH_VBE_BPP]);
}

/* Can a mode of these registers be shown? */
static bool mode_fits(const struct vga *v)
{
    const uint16_t *vbe = v->r.vbe;
    uint32_t bpp = vbe[BH_VBE_BPP], x = vbe[BH_VBE_XRES], y = vbe[BH_VBE_YRES];

    if (x == 0 || y == 0) return false;
    if (bpp == 4u) return x <= PLANAR_X_MAX && y <= PLANAR_Y_MAX;
    return x <= X_MAX && y <= Y_MAX &&
           (uint64_t)x * y * bh_vbe_pixel_bytes(bpp) - 1u < v->frame.size_bytes;
}

static uint32_t lines(const struct vga *v)
{
    uint32_t bytes = stride(&v->r);
    uint64_t n = bytes ? v->frame.size_bytes / bytes : 0;

    return n < UINT16_MAX ? (uint32_t)n : UINT16_MAX;
}

static void clear(struct vga *v)
{
    uint64_t bytes = (uint64_t)stride(&v->r) * v->r.vbe[BH_VBE_YRES];

    if (v->r.vbe[BH_VBE_BPP] == 4u)
        memset(v->planes, 0, VGA_PLANES_BYTES);
    else if (bytes <= v->frame.size_bytes)
        memset(v->frame.bytes, 0, bytes);
}

static void enable_write(struct vga *v, uint16_t value)
{
    uint16_t *vbe = v->r.vbe;
    bool was = vbe_on(&v->r);

    value &= ENABLE_BITS;
    if ((value & BH_VBE_ENABLED) && !was) {
        if (!mode_fits(v)) return;
        vbe[BH_VBE_VIRT_WIDTH] = vbe[BH_VBE_XRES];
        vbe[BH_VBE_VIRT_HEIGHT] = (uint16_t)lines(v);
        vbe[BH_VBE_X_OFFSET] = vbe[BH_VBE_Y_OFFSET] = vbe[BH_VBE_BANK] = 0;
    }
    vbe[BH_VBE_ENABLE] = value;
    vga_window_update(v);
    if (vbe_on(&v->r) && !was && !(value & BH_VBE_KEEPS_MEM)) clear(v);
}

static void virt_width_write(struct vga *v, uint16_t value)
{
    uint16_t *vbe = v->r.vbe, before = vbe[BH_VBE_VIRT_WIDTH];

    if (value < vbe[BH_VBE_XRES]) return;
    vbe[BH_VBE_VIRT_WIDTH] = value;
    if (lines(v) < vbe[BH_VBE_YRES])
        vbe[BH_VBE_VIRT_WIDTH] = before;
    else
        vbe[BH_VBE_VIRT_HEIGHT] = (uint16_t)lines(v);
}

static uint16_t register_read(const struct vga *v, unsigned n)
{
    static const uint16_t most[] = {
        [BH_VBE_XRES] = X_MAX, [BH_VBE_YRES] = Y_MAX, [BH_VBE_BPP] = BPP_MAX};

    if (n >= BH_SCREEN_VBE) return 0;
    if ((v->r.vbe[BH_VBE_ENABLE] & BH_VBE_GETCAPS) && n >= BH_VBE_XRES && n <= BH_VBE_BPP)
        return most[n];
    return v->r.vbe[n];
}

static void register_write(struct vga *v, unsigned n, uint16_t value)
{
    uint16_t *vbe = v->r.vbe;

    switch (n) {
    case BH_VBE_ID:
        if (value >= ID_OLDEST && value <= ID_NEWEST) vbe[n] = value;
        break;
    case BH_VBE_XRES:
    case BH_VBE_YRES:
    case BH_VBE_BPP: /* only while no mode is on */
        if (!vbe_on(&v->r)) vbe[n] = value;
        break;
    case BH_VBE_ENABLE: enable_write(v, value); break;
    case BH_VBE_BANK:
        vbe[n] = value;
        vga_window_update(v);
        break;
    case BH_VBE_VIRT_WIDTH: virt_width_write(v, value); break;
    case BH_VBE_X_OFFSET:
    case BH_VBE_Y_OFFSET: vbe[n] = value; break;
    default: break; /* what follows from the others */
    }
}

/* Words at 0x1ce, 0x1cf and, for those who dislike odd addresses, 0x1d0. */
static uint64_t port_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    const struct vga *v = dev;

    if (size_bytes != 2u || offset > 2u) return dev_ones(size_bytes);
    return offset == 0 ? v->r.vbe_index : register_read(v, v->r.vbe_index);
}

static void port_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct vga *v = dev;

    if (size_bytes != 2u || offset > 2u) return;
    if (offset == 0)
        v->r.vbe_index = (uint16_t)value;
    else
        register_write(v, v->r.vbe_index, (uint16_t)value);
}

static uint8_t vga_byte_read(void *dev, unsigned offset)
{
    return vga_port_read(dev, 0x3c0u + offset);
}

static void vga_byte_write(void *dev, unsigned offset, uint8_t value)
{
    vga_port_write(dev, 0x3c0u + offset, value);
}

static uint64_t bar2_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    const struct vga *v = dev;

    if (offset >= BAR2_VGA && offset + size_bytes <= BAR2_VGA + BAR2_VGA_PORTS)
        return dev_read_bytes(vga_byte_read, dev, offset - BAR2_VGA, size_bytes);
    if (offset >= BAR2_VBE && offset + size_bytes <= BAR2_VBE + 2u * BH_SCREEN_VBE &&
        size_bytes == 2u && (offset & 1u) == 0)
        return register_read(v, (unsigned)(offset - BAR2_VBE) / 2u);
    if (size_bytes == 4u && offset == BAR2_QEMU) return 8; /* bytes of these registers */
    if (size_bytes == 4u && offset == BAR2_QEMU + 4u) return ENDIAN_LITTLE;
    return offset < BAR2_VGA ? 0 : dev_ones(size_bytes);
}

static void bar2_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    if (offset >= BAR2_VGA && offset + size_bytes <= BAR2_VGA + BAR2_VGA_PORTS)
        dev_write_bytes(vga_byte_write, dev, offset - BAR2_VGA, size_bytes, value);
    else if (offset >= BAR2_VBE && offset + size_bytes <= BAR2_VBE + 2u * BH_SCREEN_VBE &&
             size_bytes == 2u && (offset & 1u) == 0)
        register_write(dev, (unsigned)(offset - BAR2_VBE) / 2u, (uint16_t)value);
}

void vbe_bars(struct vga *v)
{
    static const struct bus_ops ops = {bar2_read, bar2_write};
    const struct pci_bar frame = {.size_bytes = v->frame.size_bytes,
                                  .kind = BUS_MMIO,
                                  .prefetchable = true,
                                  .ram = &v->frame};
    const struct pci_bar registers = {
        .size_bytes = BAR2_BYTES, .kind = BUS_MMIO, .ops = &ops, .dev = v};

    pci_bar_add(&v->function, 0, &frame);
    pci_bar_add(&v->function, 2, &registers);
}

bool vbe_init(struct vga *v, struct bus *bus)
{
    static const struct bus_ops ops = {port_read, port_write};

    v->r.vbe[BH_VBE_ID] = ID_NEWEST;
    v->r.vbe[BH_VBE_MEMORY_64K] = (uint16_t)(v->frame.size_bytes >> 16);
    return bus_add(bus, BUS_PIO, PORT_INDEX, PORT_COUNT, &ops, v, "vbe");
}
