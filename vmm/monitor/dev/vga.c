/*
 * VGA registers; see vga.h. IBM VGA Technical Reference, section 4; bits that do nothing here read
 * back as written. May call: the other parts of the adapter.
 */
#include "vga.h"
#include "dev_util.h"

#include <string.h>

#define PORT_FIRST 0x3b0u
#define PORT_COUNT 0x30u

#define MISC_COLOUR     0x01u
#define MISC_RAM        0x02u
#define CRTC_PROTECT    0x80u /* of register 0x11 */
#define ATTRIBUTE_VIDEO 0x20u /* of the index: the screen shows something */
#define SENSE_COLOUR    0x10u /* input status 0: a colour monitor is there */

/* A frame of the 70 Hz modes and its lines (25.175 MHz, 800 x 449). The retrace is longer than on
 * a real screen, so that a guest that is seldom looked at finds it. */
#define FRAME_NS        14268000u
#define RETRACE_NS      1100000u
#define LINE_NS         31778u
#define LINE_BLANK_NS   6356u
#define STATUS1_BLANK   0x01u
#define STATUS1_RETRACE 0x08u

static const uint8_t seq_mask[BH_SCREEN_SEQ] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e};
static const uint8_t graphics_mask[BH_SCREEN_GRAPHICS] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03,
                                                          0x7b, 0x0f, 0x0f, 0xff};

/* Mode 3, 80 x 25 characters of 9 x 16 (IBM VGA Technical Reference, "Modes of Operation"). */
static const uint8_t text_seq[BH_SCREEN_SEQ] = {0x03, 0x00, 0x03, 0x00, 0x02};
static const uint8_t text_graphics[BH_SCREEN_GRAPHICS] = {0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff};
static const uint8_t text_crtc[BH_SCREEN_CRTC] = {
    0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
    0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
static const uint8_t text_attribute[BH_SCREEN_ATTRIBUTE] = {
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
    0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00};

/* The colours of the text modes: two bits for each of blue, green, red, the higher one worth 2/3.
 */
static void text_colours(uint8_t dac[BH_SCREEN_DAC_BYTES])
{
    for (unsigned i = 0; i < 64u; i++) {
        dac[3u * i] = (uint8_t)((i & 4u ? 42u : 0) + (i & 32u ? 21u : 0));
        dac[3u * i + 1u] = (uint8_t)((i & 2u ? 42u : 0) + (i & 16u ? 21u : 0));
        dac[3u * i + 2u] = (uint8_t)((i & 1u ? 42u : 0) + (i & 8u ? 21u : 0));
    }
}

static void text_mode(struct vga_registers *r)
{
    memset(r, 0, sizeof(*r));
    r->misc = 0x67;
    r->enable = 1;
    r->dac_mask = 0xff;
    r->attribute_index = ATTRIBUTE_VIDEO;
    memcpy(r->seq, text_seq, sizeof(r->seq));
    memcpy(r->graphics, text_graphics, sizeof(r->graphics));
    memcpy(r->crtc, text_crtc, sizeof(r->crtc));
    memcpy(r->attribute, text_attribute, sizeof(r->attribute));
    text_colours(r->dac);
}

static uint8_t status1(const struct vga *v)
{
    uint64_t at = v->host->now_ns(v->host->ctx) % FRAME_NS;

    if (at < RETRACE_NS) return STATUS1_RETRACE | STATUS1_BLANK;
    return at % LINE_NS < LINE_BLANK_NS ? STATUS1_BLANK : 0;
}

static uint8_t dac_read(struct vga_registers *r)
{
    uint8_t value = r->dac[r->dac_index * 3u + r->dac_step % 3u];

    if (++r->dac_step >= 3u) {
        r->dac_step = 0;
        r->dac_index++;
    }
    return value;
}

/* A colour counts once all of it has come. */
static void dac_write(struct vga_registers *r, uint8_t value)
{
    r->dac_latch[r->dac_step % 3u] = value;
    if (++r->dac_step < 3u) return;
    r->dac_step = 0;
    for (unsigned i = 0; i < 3u; i++)
        r->dac[r->dac_index * 3u + i] =
            r->vbe[BH_VBE_ENABLE] & BH_VBE_8BIT_DAC ? r->dac_latch[i] : r->dac_latch[i] & 0x3fu;
    r->dac_index++;
}

static void crtc_write(struct vga_registers *r, uint8_t value)
{
    unsigned n = r->crtc_index;

    if (n >= BH_SCREEN_CRTC) return;
    if (n < 8u && (r->crtc[0x11] & CRTC_PROTECT)) {
        if (n != 7u) return; /* of register 7 bit 4, line compare, stays writable */
        value = (uint8_t)((r->crtc[7] & ~0x10u) | (value & 0x10u));
    }
    r->crtc[n] = value;
}

static void attribute_write(struct vga_registers *r, uint8_t value)
{
    unsigned n = r->attribute_index & 0x1fu;

    r->attribute_data ^= 1u;
    if (r->attribute_data) /* this was the index */
        r->attribute_index = value & 0x3fu;
    else if (n < BH_SCREEN_ATTRIBUTE)
        r->attribute[n] = value & (n < 16u ? 0x3fu : 0xffu);
}

/* 0x3b4 and 0x3ba where the adapter is monochrome, 0x3d4 and 0x3da where it has colours. */
static bool decoded(const struct vga_registers *r, unsigned port)
{
    bool colour = (r->misc & MISC_COLOUR) != 0;

    return port >= 0x3d0u ? colour : port >= 0x3c0u || !colour;
}

uint8_t vga_port_read(struct vga *v, unsigned port)
{
    struct vga_registers *r = &v->r;

    if (!decoded(r, port)) return 0xff;
    switch (port) {
    case 0x3c0: return r->attribute_data ? 0 : r->attribute_index;
    case 0x3c1: {
        unsigned n = r->attribute_index & 0x1fu;

        return n < BH_SCREEN_ATTRIBUTE ? r->attribute[n] : 0;
    }
    case 0x3c2: return SENSE_COLOUR;
    case 0x3c3: return r->enable;
    case 0x3c4: return r->seq_index;
    case 0x3c5: return r->seq_index < BH_SCREEN_SEQ ? r->seq[r->seq_index] : 0;
    case 0x3c6: return r->dac_mask;
    case 0x3c7: return r->dac_reading ? 3 : 0;
    case 0x3c8: return r->dac_index;
    case 0x3c9: return dac_read(r);
    case 0x3ca: return r->feature;
    case 0x3cc: return r->misc;
    case 0x3ce: return r->graphics_index;
    case 0x3cf: return r->graphics_index < BH_SCREEN_GRAPHICS ? r->graphics[r->graphics_index] : 0;
    case 0x3b4:
    case 0x3d4: return r->crtc_index;
    case 0x3b5:
    case 0x3d5: return r->crtc_index < BH_SCREEN_CRTC ? r->crtc[r->crtc_index] : 0;
    case 0x3ba:
    case 0x3da: r->attribute_data = 0; return status1(v);
    default: return 0xff;
    }
}

void vga_port_write(struct vga *v, unsigned port, uint8_t value)
{
    struct vga_registers *r = &v->r;

    if (!decoded(r, port)) return;
    switch (port) {
    case 0x3c0: attribute_write(r, value); break;
    case 0x3c2:
        r->misc = value;
        vga_window_update(v);
        break;
    case 0x3c3: r->enable = value & 1u; break;
    case 0x3c4: r->seq_index = value; break;
    case 0x3c5:
        if (r->seq_index >= BH_SCREEN_SEQ) break;
        r->seq[r->seq_index] = value & seq_mask[r->seq_index];
        vga_window_update(v);
        break;
    case 0x3c6: r->dac_mask = value; break;
    case 0x3c7:
    case 0x3c8:
        r->dac_index = value;
        r->dac_step = 0;
        r->dac_reading = port == 0x3c7u;
        break;
    case 0x3c9: dac_write(r, value); break;
    case 0x3ce: r->graphics_index = value; break;
    case 0x3cf:
        if (r->graphics_index >= BH_SCREEN_GRAPHICS) break;
        r->graphics[r->graphics_index] = value & graphics_mask[r->graphics_index];
        vga_window_update(v);
        break;
    case 0x3b4:
    case 0x3d4: r->crtc_index = value; break;
    case 0x3b5:
    case 0x3d5: crtc_write(r, value); break;
    case 0x3ba:
    case 0x3da: r->feature = value; break;
    default: break;
    }
}

static uint8_t byte_read(void *dev, unsigned offset)
{
    return vga_port_read(dev, PORT_FIRST + offset);
}

static void byte_write(void *dev, unsigned offset, uint8_t value)
{
    vga_port_write(dev, PORT_FIRST + offset, value);
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    return dev_read_bytes(byte_read, dev, offset, size_bytes);
}

static void port_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    dev_write_bytes(byte_write, dev, offset, size_bytes, value);
}

static bool loaded(void *dev)
{
    struct vga *v = dev;

    v->r.vbe[BH_VBE_MEMORY_64K] = (uint16_t)(v->frame.size_bytes >> 16);
    vga_window_loaded(v);
    return true;
}

static const struct state_member members[] = {
    STATE_MEMBER(struct vga, r),
};

const struct dev_state vga_state = DEV_STATE("vga", 1, members, loaded);

bool vga_init(struct vga *v, struct bus *bus, const struct dev_host *host, struct pci *pci,
              unsigned devfn, const struct dev_ram *memory)
{
    static const struct bus_ops ops = {port_read, port_write};
    static const struct pci_id id = {.vendor = 0x1234,
                                     .device = 0x1111,
                                     .subsystem_vendor = 0x1af4,
                                     .subsystem = 0x1100,
                                     .class_code = 0x030000,
                                     .revision = 2};
    uint64_t frame_bytes = memory->size_bytes - VGA_MEMORY_BYTES(0u);

    memset(v, 0, sizeof(*v));
    if (memory->size_bytes <= VGA_MEMORY_BYTES(0u) || frame_bytes > VGA_FRAME_BYTES ||
        (frame_bytes & (frame_bytes - 1u)) != 0)
        return false;
    v->host = host;
    v->frame = (struct dev_ram){memory->bytes, frame_bytes};
    v->planes = memory->bytes + frame_bytes;
    v->linear = (struct dev_ram){v->planes + VGA_PLANES_BYTES, VGA_LINEAR_BYTES};
    text_mode(&v->r);
    return bus_add(bus, BUS_PIO, PORT_FIRST, PORT_COUNT, &ops, v, "vga") && vbe_init(v, bus) &&
           pci_add(pci, &v->function, "vga", devfn, &id, v) && (vbe_bars(v), true) &&
           vga_window_init(v, bus);
}
