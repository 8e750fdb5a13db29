/*
 * VGA with the Bochs VBE extensions, as the PCI function 1234:1111 (QEMU's "std" adapter):
 * registers 0x3b0..0x3df (IBM VGA Technical Reference; FreeVGA's names), the window
 * 0xa0000..0xbffff, linear modes through a frame buffer in BAR0 and registers in BAR2. Where the
 * guest would have to see nothing but memory, it sees memory: the frame buffer, and the window in
 * text, 256-colour and banked modes. vga.c: registers; vga_window.c: the window; vbe.c: extensions;
 * vga_screen.c: what is on the screen. Calls the bus, the clock and the host's map.
 */
#ifndef VMM_MONITOR_DEV_VGA_H
#define VMM_MONITOR_DEV_VGA_H

#include "bulkhead/screen.h"
#include "bus.h"
#include "pci.h"
#include "state.h"

#define VGA_FRAME_BYTES  0x1000000u /* BAR0 */
#define VGA_PLANE_BYTES  0x10000u
#define VGA_PLANES_BYTES (4u * VGA_PLANE_BYTES)
#define VGA_LINEAR_BYTES 0x10000u
/** Device memory to be given at init: frame buffer, planes, linear view. */
#define VGA_MEMORY_BYTES(frame_bytes) ((frame_bytes) + VGA_PLANES_BYTES + VGA_LINEAR_BYTES)

#define VGA_WINDOW_BASE  0xa0000u
#define VGA_WINDOW_BYTES 0x20000u

/** What the guest sees in the window. */
enum vga_view_kind {
    VGA_VIEW_PLANES,   /* the four planes, through the graphics controller */
    VGA_VIEW_ODD_EVEN, /* bytes of planes 0 and 1 by turns: text */
    VGA_VIEW_CHAIN4,   /* bytes of all planes by turns: 256 colours */
    VGA_VIEW_BANK,     /* 64 KiB of the frame buffer */
};

struct vga_view {
    uint32_t kind;   /* enum vga_view_kind */
    uint32_t base;   /* offset in the window */
    uint32_t bytes;  /* 0: the window is closed */
    uint32_t offset; /* VGA_VIEW_BANK: in the frame buffer */
};

/** Registers; saved as they are. */
struct vga_registers {
    uint8_t misc, feature, enable, status0;
    uint8_t seq_index, graphics_index, crtc_index, attribute_index;
    uint8_t attribute_data; /* 1: the next write to 0x3c0 is data */
    uint8_t dac_mask, dac_index, dac_step, dac_reading;
    uint8_t dac_latch[3];
    uint8_t latch[4];
    uint8_t seq[BH_SCREEN_SEQ], graphics[BH_SCREEN_GRAPHICS];
    uint8_t crtc[BH_SCREEN_CRTC], attribute[BH_SCREEN_ATTRIBUTE];
    uint8_t dac[BH_SCREEN_DAC_BYTES];
    uint16_t vbe_index;
    uint16_t vbe[BH_SCREEN_VBE];
};

struct vga {
    const struct dev_host *host;
    struct pci_function function;
    struct dev_ram frame; /* BAR0 */
    struct dev_ram
        linear;      /* what a view of bytes by turns shows; the planes are out of date then */
    uint8_t *planes; /* plane p at + p * VGA_PLANE_BYTES */
    struct vga_registers r;
    struct vga_view view;
    bool mapped; /* the guest sees the view itself */
};

/**
 * Set the adapter up as firmware leaves it: 80 x 25 text, black.
 * @param memory of VGA_MEMORY_BYTES(a power of two), zero; what is before planes and linear view is
 *               the frame buffer
 */
bool vga_init(struct vga *v, struct bus *bus, const struct dev_host *host, struct pci *pci,
              unsigned devfn, const struct dev_ram *memory);

/** What is on the screen: registers and the pieces of memory that matter. */
void vga_screen(struct vga *v, struct bh_screen *s);
/** Memory at an address of bh_screen's pieces. @return NULL: not all of it exists */
const uint8_t *vga_screen_memory(const struct vga *v, uint32_t address, uint32_t bytes);

extern const struct dev_state vga_state;

/* ---- between the parts ---- */

/** A register has changed that the window depends on. */
void vga_window_update(struct vga *v);
/** Bring the planes up to date while a view of bytes by turns is shown. */
void vga_window_sync(struct vga *v);
/** Registers have been loaded; memory has its contents. */
void vga_window_loaded(struct vga *v);
bool vga_window_init(struct vga *v, struct bus *bus);

uint8_t vga_port_read(struct vga *v, unsigned port);
void vga_port_write(struct vga *v, unsigned port, uint8_t value);

bool vbe_init(struct vga *v, struct bus *bus);
/** A mode of the extensions is on. */
bool vbe_on(const struct vga_registers *r);
void vbe_bars(struct vga *v);

#endif
