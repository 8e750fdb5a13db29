/*
 * What is on the screen: registers, and the pieces of memory that somebody needs to draw it
 * (bulkhead/screen.h). Bounds what the registers say; whoever draws does it once more. May call:
 * the window, for planes that are up to date.
 */
#include "vga.h"

#include <string.h>

#define GC_GRAPHICS     0x01u /* of register 6 */
#define SEQ_CHAIN4      0x08u
#define ATTRIBUTE_VIDEO 0x20u
#define TEXT_BYTES      2u /* between characters in a plane: words, every other address */

static void piece(struct bh_screen *s, uint32_t address, uint64_t bytes, uint32_t unit)
{
    if (bytes == 0 || s->pieces == BH_SCREEN_PIECES) return;
    s->piece[s->pieces++] = (struct bh_screen_piece){address, (uint32_t)bytes, unit};
}

/* From the first pixel shown to the last, as far as there is memory. */
static void linear_pieces(const struct vga *v, struct bh_screen *s)
{
    const uint16_t *vbe = v->r.vbe;
    uint32_t pixel = bh_vbe_pixel_bytes(vbe[BH_VBE_BPP]);
    uint64_t stride = (uint64_t)vbe[BH_VBE_VIRT_WIDTH] * pixel;
    uint64_t start = vbe[BH_VBE_Y_OFFSET] * stride + (uint64_t)vbe[BH_VBE_X_OFFSET] * pixel;
    uint64_t bytes = stride * vbe[BH_VBE_YRES];

    if (start >= v->frame.size_bytes) return;
    if (bytes > v->frame.size_bytes - start) bytes = v->frame.size_bytes - start;
    piece(s, BH_SCREEN_FRAME + (uint32_t)start, bytes, pixel ? pixel : 1u);
}

/* Characters and attributes of as many lines as there can be, and the fonts. */
static void text_pieces(const struct vga *v, struct bh_screen *s)
{
    const uint8_t *crtc = v->r.crtc;
    uint32_t start = ((uint32_t)crtc[0x0c] << 8 | crtc[0x0d]) * TEXT_BYTES;
    uint32_t height = (crtc[0x09] & 0x1fu) + 1u;
    uint32_t shown = crtc[0x12] | (crtc[0x07] & 0x02u) << 7 | (crtc[0x07] & 0x40u) << 3;
    uint32_t rows = shown / height + 1u;
    uint32_t bytes = rows * crtc[0x13] * 2u * TEXT_BYTES;

    if (start + bytes > VGA_PLANE_BYTES) { /* it goes round */
        start = 0;
        bytes = VGA_PLANE_BYTES;
    }
    piece(s, BH_SCREEN_PLANE(0) + start, bytes, TEXT_BYTES);
    piece(s, BH_SCREEN_PLANE(1) + start, bytes, TEXT_BYTES);
    piece(s, BH_SCREEN_PLANE(2), VGA_PLANE_BYTES, 1);
}

void vga_screen(struct vga *v, struct bh_screen *s)
{
    const struct vga_registers *r = &v->r;

    memset(s, 0, sizeof(*s));
    s->version = BH_SCREEN_VERSION;
    s->misc = r->misc;
    s->dac_mask = r->dac_mask;
    s->attribute_on = (r->attribute_index & ATTRIBUTE_VIDEO) != 0;
    memcpy(s->vbe, r->vbe, sizeof(s->vbe));
    memcpy(s->seq, r->seq, sizeof(s->seq));
    memcpy(s->graphics, r->graphics, sizeof(s->graphics));
    memcpy(s->crtc, r->crtc, sizeof(s->crtc));
    memcpy(s->attribute, r->attribute, sizeof(s->attribute));
    memcpy(s->dac, r->dac, sizeof(s->dac));
    vga_window_sync(v);
    if (vbe_on(r) && r->vbe[BH_VBE_BPP] != 4u)
        linear_pieces(v, s);
    else if (r->graphics[6] & GC_GRAPHICS)
        for (uint32_t p = 0; p < 4u; p++)
            piece(s, BH_SCREEN_PLANE(p), VGA_PLANE_BYTES, r->seq[4] & SEQ_CHAIN4 ? 4 : 1);
    else
        text_pieces(v, s);
}

const uint8_t *vga_screen_memory(const struct vga *v, uint32_t address, uint32_t bytes)
{
    if (address < BH_SCREEN_FRAME)
        return bytes <= BH_SCREEN_FRAME - address ? v->planes + address : NULL;
    address -= BH_SCREEN_FRAME;
    if (address > v->frame.size_bytes || bytes > v->frame.size_bytes - address) return NULL;
    return v->frame.bytes + address;
}
