/*
 * What is on a VM's screen, as its monitor describes it to whoever draws it: the registers of a VGA
 * with Bochs VBE extensions, and which pieces of its memory are shown. Goes through bulkhead/wire.h
 * as it is: little-endian. Who draws bounds everything anew.
 */
#ifndef BULKHEAD_SCREEN_H
#define BULKHEAD_SCREEN_H

#include <stdint.h>

#define BH_SCREEN_VERSION 1u

/** Registers of each unit (IBM VGA Technical Reference). */
#define BH_SCREEN_SEQ       5u
#define BH_SCREEN_GRAPHICS  9u
#define BH_SCREEN_CRTC      25u
#define BH_SCREEN_ATTRIBUTE 21u
#define BH_SCREEN_DAC_BYTES 768u
#define BH_SCREEN_VBE       11u

/** Indexes of the extensions' registers, and bits of BH_VBE_ENABLE. */
enum {
    BH_VBE_ID = 0,
    BH_VBE_XRES = 1,
    BH_VBE_YRES = 2,
    BH_VBE_BPP = 3,
    BH_VBE_ENABLE = 4,
    BH_VBE_BANK = 5,
    BH_VBE_VIRT_WIDTH = 6,
    BH_VBE_VIRT_HEIGHT = 7,
    BH_VBE_X_OFFSET = 8,
    BH_VBE_Y_OFFSET = 9,
    BH_VBE_MEMORY_64K = 10
};
#define BH_VBE_ENABLED   0x01u
#define BH_VBE_GETCAPS   0x02u
#define BH_VBE_8BIT_DAC  0x20u
#define BH_VBE_LINEAR    0x40u
#define BH_VBE_KEEPS_MEM 0x80u

/** Addresses of memory: four planes of 64 KiB, then the frame buffer. */
#define BH_SCREEN_PLANE(p) ((uint32_t)(p)*0x10000u)
#define BH_SCREEN_FRAME    0x40000u
#define BH_SCREEN_MEMORY   0x1040000u /* where it ends at the latest */
#define BH_SCREEN_PIECES   4u

struct bh_screen_piece {
    uint32_t address, bytes;
    uint32_t unit; /* 1..4: bytes that repeat together, for compression */
};

struct bh_screen {
    uint32_t version;
    uint32_t pieces;
    struct bh_screen_piece piece[BH_SCREEN_PIECES];
    uint16_t vbe[BH_SCREEN_VBE];
    uint8_t misc, dac_mask;
    uint8_t seq[BH_SCREEN_SEQ], graphics[BH_SCREEN_GRAPHICS];
    uint8_t crtc[BH_SCREEN_CRTC], attribute[BH_SCREEN_ATTRIBUTE];
    uint8_t dac[BH_SCREEN_DAC_BYTES];
    uint8_t attribute_on; /* 0: the screen is blank while the palette is set */
    uint8_t reserved[3];
};

_Static_assert(sizeof(struct bh_screen) == 912, "wire");

/** Bytes of one pixel of a linear mode, 0: not one. */
static inline uint32_t bh_vbe_pixel_bytes(uint32_t bpp)
{
    return bpp == 8u ? 1u : bpp == 15u || bpp == 16u ? 2u : bpp == 24u ? 3u : bpp == 32u ? 4u : 0;
}

#endif
