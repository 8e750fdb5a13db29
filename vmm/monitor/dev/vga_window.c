/*
 * The window 0xa0000..0xbffff of the VGA: the graphics controller between the CPU and the planes
 * (IBM VGA Technical Reference, "Graphics Controller"), and views: where the registers make the
 * window plain memory, the guest is shown memory instead. A view of bytes by turns (text, 256
 * colours) has memory of its own, in the order the CPU sees it; its bytes go to the planes when it
 * is left, or when somebody looks at the planes. May call: the host's map.
 */
#include "vga.h"
#include "dev_util.h"

#include <string.h>

#define MISC_RAM        0x02u
#define SEQ_MAP_MASK    2u
#define SEQ_MEMORY      4u
#define SEQ_NO_ODD_EVEN 0x04u
#define SEQ_CHAIN4      0x08u
#define GC_SET_RESET    0u
#define GC_SET_ENABLE   1u
#define GC_COMPARE      2u
#define GC_ROTATE       3u
#define GC_READ_MAP     4u
#define GC_MODE         5u
#define GC_MISC         6u
#define GC_DONT_CARE    7u
#define GC_BIT_MASK     8u
#define MODE_WRITE      0x03u
#define MODE_READ       0x08u
#define MODE_ODD_EVEN   0x10u
#define MISC_CHAINED    0x02u /* odd and even bytes go to different planes */
#define BANK_BYTES      0x10000u
#define PLANE_MASK      (VGA_PLANE_BYTES - 1u)

static uint8_t *plane(const struct vga *v, unsigned p) { return v->planes + p * VGA_PLANE_BYTES; }

static bool chain4(const struct vga_registers *r) { return (r->seq[SEQ_MEMORY] & SEQ_CHAIN4) != 0; }

static bool odd_even(const struct vga_registers *r)
{
    return (r->seq[SEQ_MEMORY] & SEQ_NO_ODD_EVEN) == 0 && (r->graphics[GC_MISC] & MISC_CHAINED);
}

/* ---- views ---- */

/* Does the graphics controller neither change what is written nor where it is read from? */
static bool plain(const struct vga_registers *r, uint8_t planes)
{
    const uint8_t *g = r->graphics;

    return (r->seq[SEQ_MAP_MASK] & 0x0fu) == planes && g[GC_SET_ENABLE] == 0 && g[GC_ROTATE] == 0 &&
           (g[GC_MODE] & (MODE_WRITE | MODE_READ)) == 0 && g[GC_BIT_MASK] == 0xffu;
}

static struct vga_view view_wanted(const struct vga *v)
{
    static const uint32_t base[4] = {0, 0, 0x10000, 0x18000};
    static const uint32_t bytes[4] = {0x20000, 0x10000, 0x8000, 0x8000};
    const struct vga_registers *r = &v->r;
    unsigned map = r->graphics[GC_MISC] >> 2 & 3u;
    struct vga_view w = {VGA_VIEW_PLANES, base[map], bytes[map], 0};

    if (!(r->misc & MISC_RAM)) {
        w.bytes = 0;
    } else if (vbe_on(r) && r->vbe[BH_VBE_BPP] != 4u) {
        uint64_t offset = (uint64_t)r->vbe[BH_VBE_BANK] * BANK_BYTES;

        w = (struct vga_view){VGA_VIEW_BANK, 0, 0, 0};
        if (offset + BANK_BYTES <= v->frame.size_bytes) {
            w.offset = (uint32_t)offset;
            w.bytes = BANK_BYTES;
        }
    } else if (chain4(r) && map == 1u && plain(r, 0x0f)) {
        w.kind = VGA_VIEW_CHAIN4;
    } else if (!chain4(r) && odd_even(r) && map != 0 && plain(r, 0x03) &&
               (r->graphics[GC_MODE] & MODE_ODD_EVEN) && !(r->graphics[GC_READ_MAP] & 2u)) {
        w.kind = VGA_VIEW_ODD_EVEN;
    }
    return w;
}

static bool by_turns(const struct vga_view *w)
{
    return w->kind == VGA_VIEW_ODD_EVEN || w->kind == VGA_VIEW_CHAIN4;
}

/* Where byte @n of a view of bytes by turns is among the planes. */
static uint8_t *turn(const struct vga *v, uint32_t kind, uint32_t n)
{
    unsigned low = kind == VGA_VIEW_CHAIN4 ? 3u : 1u;

    return plane(v, n & low) + (n & PLANE_MASK & ~low);
}

void vga_window_sync(struct vga *v)
{
    if (!by_turns(&v->view)) return;
    for (uint32_t n = 0; n < v->view.bytes; n++) *turn(v, v->view.kind, n) = v->linear.bytes[n];
}

static void map(struct vga *v, unsigned access)
{
    const struct vga_view *w = &v->view;
    const struct dev_ram *ram = w->kind == VGA_VIEW_BANK ? &v->frame : &v->linear;

    if (w->bytes == 0 || w->kind == VGA_VIEW_PLANES || v->host->map == NULL) return;
    v->mapped =
        v->host->map(v->host->ctx, ram, w->offset, w->bytes, VGA_WINDOW_BASE + w->base, access) &&
        access != 0;
}

static void unmap(struct vga *v)
{
    if (v->mapped) map(v, 0);
    v->mapped = false;
}

void vga_window_loaded(struct vga *v)
{
    unmap(v);
    v->view = view_wanted(v);
    map(v, DEV_MAP_READ | DEV_MAP_WRITE | DEV_MAP_EXEC);
}

void vga_window_update(struct vga *v)
{
    struct vga_view w = view_wanted(v);

    if (w.kind == v->view.kind && w.base == v->view.base && w.bytes == v->view.bytes &&
        w.offset == v->view.offset)
        return;
    unmap(v);
    vga_window_sync(v);
    v->view = w;
    for (uint32_t n = 0; by_turns(&w) && n < w.bytes; n++) v->linear.bytes[n] = *turn(v, w.kind, n);
    map(v, DEV_MAP_READ | DEV_MAP_WRITE | DEV_MAP_EXEC);
}

/* ---- the graphics controller ---- */

static uint8_t combine(unsigned function, uint8_t data, uint8_t latch)
{
    switch (function) {
    case 1: return data & latch;
    case 2: return data | latch;
    case 3: return data ^ latch;
    default: return data;
    }
}

/* Where an address leads: byte within the planes, and which of them a write may reach. */
static uint32_t where(const struct vga_registers *r, uint32_t address, uint8_t *planes)
{
    address &= PLANE_MASK;
    *planes = r->seq[SEQ_MAP_MASK] & 0x0fu;
    if (chain4(r)) {
        *planes &= (uint8_t)(1u << (address & 3u));
        return address & ~3u;
    }
    if (odd_even(r)) {
        *planes &= address & 1u ? 0x0au : 0x05u;
        return address & ~1u;
    }
    return address;
}

static uint8_t planes_read(struct vga *v, uint32_t address)
{
    struct vga_registers *r = &v->r;
    const uint8_t *g = r->graphics;
    uint8_t reached, differs = 0;
    uint32_t at = where(r, address, &reached);
    unsigned from = g[GC_READ_MAP] & 3u;

    for (unsigned p = 0; p < 4u; p++) {
        r->latch[p] = plane(v, p)[at];
        if (g[GC_DONT_CARE] >> p & 1u)
            differs |= (uint8_t)(r->latch[p] ^ (g[GC_COMPARE] >> p & 1u ? 0xffu : 0));
    }
    if (chain4(r)) return r->latch[address & 3u];
    if (g[GC_MODE] & MODE_READ) return (uint8_t)~differs;
    if (odd_even(r)) from = (from & 2u) | (address & 1u);
    return r->latch[from];
}

static void planes_write(struct vga *v, uint32_t address, uint8_t value)
{
    const struct vga_registers *r = &v->r;
    const uint8_t *g = r->graphics;
    unsigned mode = g[GC_MODE] & MODE_WRITE, rotate = g[GC_ROTATE] & 7u;
    uint8_t rotated = (uint8_t)(value >> rotate | value << (8u - rotate));
    uint8_t mask = mode == 3u ? g[GC_BIT_MASK] & rotated : g[GC_BIT_MASK];
    uint8_t reached;
    uint32_t at = where(r, address, &reached);

    for (unsigned p = 0; p < 4u; p++) {
        uint8_t set = g[GC_SET_RESET] >> p & 1u ? 0xffu : 0;
        uint8_t data = rotated;

        if (!(reached & 1u << p)) continue;
        if (mode == 1u) {
            plane(v, p)[at] = r->latch[p];
            continue;
        }
        if (mode == 2u)
            data = value & 1u << p ? 0xffu : 0;
        else if (mode == 3u || (g[GC_SET_ENABLE] >> p & 1u))
            data = set;
        data = combine(g[GC_ROTATE] >> 3 & 3u, data, r->latch[p]);
        plane(v, p)[at] = (uint8_t)((data & mask) | (r->latch[p] & ~mask));
    }
}

/* ---- accesses that are not to memory, and those that the monitor makes for the guest ---- */

static uint8_t *view_bytes(const struct vga *v)
{
    return v->view.kind == VGA_VIEW_BANK ? v->frame.bytes + v->view.offset : v->linear.bytes;
}

static uint64_t window_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    struct vga *v = dev;
    uint64_t value = 0;

    for (unsigned i = 0; i < size_bytes; i++) {
        uint64_t at = offset + i - v->view.base;
        uint8_t byte = 0xff;

        if (at < v->view.bytes)
            byte =
                v->view.kind == VGA_VIEW_PLANES ? planes_read(v, (uint32_t)at) : view_bytes(v)[at];
        value |= (uint64_t)byte << (i * 8u);
    }
    return value;
}

static void window_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct vga *v = dev;

    for (unsigned i = 0; i < size_bytes; i++) {
        uint64_t at = offset + i - v->view.base;
        uint8_t byte = (uint8_t)(value >> (i * 8u));

        if (at >= v->view.bytes) continue;
        if (v->view.kind == VGA_VIEW_PLANES)
            planes_write(v, (uint32_t)at, byte);
        else
            view_bytes(v)[at] = byte;
    }
}

bool vga_window_init(struct vga *v, struct bus *bus)
{
    static const struct bus_ops ops = {window_read, window_write};

    if (!bus_add(bus, BUS_MMIO, VGA_WINDOW_BASE, VGA_WINDOW_BYTES, &ops, v, "vga-window"))
        return false;
    vga_window_update(v);
    return true;
}
