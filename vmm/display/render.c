/* Drawing; see render.h. Registers by their numbers: IBM VGA Technical Reference, section 4. */
#include "render.h"
#include <stddef.h>

#define PLANE_BYTES 0x10000u
#define PLANE_MASK  (PLANE_BYTES - 1u)

#define SEQ_CLOCKING    1u
#define SEQ_FONTS       3u
#define CLOCKING_8_DOTS 0x01u
#define CLOCKING_OFF    0x20u
#define GC_MODE         5u
#define GC_MISC         6u
#define MODE_256        0x40u
#define MISC_GRAPHICS   0x01u
#define ATTRIBUTE_MODE  16u
#define ATTRIBUTE_PANES 18u   /* colour plane enable */
#define ATTRIBUTE_HIGH  20u   /* colour select */
#define AMODE_LINES     0x04u /* the ninth dot of line graphics repeats the eighth */
#define AMODE_BLINK     0x08u
#define AMODE_SELECT    0x80u
#define FONT_BYTES      0x2000u
#define GLYPH_BYTES     32u

static uint32_t crtc_start(const struct bh_screen *s)
{
    return (uint32_t)s->crtc[0x0c] << 8 | s->crtc[0x0d];
}

static uint32_t crtc_offset(const struct bh_screen *s) { return s->crtc[0x13] * 2u; }

/* The counter's steps in a plane: bytes, words or double words. */
static unsigned crtc_shift(const struct bh_screen *s)
{
    return s->crtc[0x14] & 0x40u ? 2u : s->crtc[0x17] & 0x40u ? 0 : 1u;
}

/* Scan lines shown. */
static uint32_t crtc_lines(const struct bh_screen *s)
{
    return (s->crtc[0x12] | (s->crtc[0x07] & 0x02u) << 7 | (s->crtc[0x07] & 0x40u) << 3) + 1u;
}

/* Scan lines of one row of characters, or of one line of pixels. */
static uint32_t row_lines(const struct bh_screen *s)
{
    return ((s->crtc[0x09] & 0x1fu) + 1u) << (s->crtc[0x09] >> 7);
}

static bool vbe_on(const struct bh_screen *s)
{
    return (s->vbe[BH_VBE_ENABLE] & BH_VBE_ENABLED) != 0;
}

static uint32_t dots(const struct bh_screen *s)
{
    return s->seq[SEQ_CLOCKING] & CLOCKING_8_DOTS ? 8u : 9u;
}

struct render_mode render_mode(const struct bh_screen *s)
{
    struct render_mode m = {RENDER_NOTHING, 0, 0, 0, 0};
    uint32_t characters = s->crtc[0x01] + 1u;

    if (vbe_on(s)) {
        m.kind = s->vbe[BH_VBE_BPP] == 4u                      ? RENDER_PLANES
                 : bh_vbe_pixel_bytes(s->vbe[BH_VBE_BPP]) != 0 ? RENDER_LINEAR
                                                               : RENDER_NOTHING;
        m.width = s->vbe[BH_VBE_XRES];
        m.height = s->vbe[BH_VBE_YRES];
    } else if (!(s->graphics[GC_MISC] & MISC_GRAPHICS)) {
        m.kind = RENDER_TEXT;
        m.columns = characters;
        m.rows = crtc_lines(s) / row_lines(s);
        m.width = characters * dots(s);
        m.height = m.rows * row_lines(s);
    } else {
        m.kind = s->graphics[GC_MODE] & MODE_256 ? RENDER_BYTES : RENDER_PLANES;
        m.width = m.kind == RENDER_BYTES ? characters * 4u : characters * 8u;
        m.height = crtc_lines(s) / row_lines(s);
    }
    if (m.width == 0 || m.height == 0 || m.width > RENDER_WIDTH_MAX || m.height > RENDER_HEIGHT_MAX)
        return (struct render_mode){RENDER_NOTHING, 0, 0, 0, 0};
    return m;
}

/* ---- colours ---- */

static void dac_colour(const struct bh_screen *s, uint8_t index, uint8_t rgb[3])
{
    const uint8_t *c = s->dac + 3u * (index & s->dac_mask);
    bool wide = (s->vbe[BH_VBE_ENABLE] & BH_VBE_8BIT_DAC) != 0;

    for (unsigned i = 0; i < 3u; i++)
        rgb[i] = wide ? c[i] : (uint8_t)((c[i] & 0x3fu) << 2 | (c[i] & 0x3fu) >> 4);
}

/* Of 16 colours: through the attribute controller's palette. */
static void palette_colour(const struct bh_screen *s, unsigned index, uint8_t rgb[3])
{
    uint8_t high = s->attribute[ATTRIBUTE_HIGH];
    uint8_t colour = s->attribute[index & 15u] & 0x3fu;

    if (s->attribute[ATTRIBUTE_MODE] & AMODE_SELECT)
        colour = (uint8_t)((colour & 0x0fu) | (high & 3u) << 4);
    dac_colour(s, (uint8_t)(colour | (high & 0x0cu) << 4), rgb);
}

static void put(uint8_t *to, const uint8_t rgb[3])
{
    for (unsigned i = 0; i < 3u; i++) to[i] = rgb[i];
}

/* ---- text ---- */

uint16_t render_cell(const struct bh_screen *s, const struct render_memory *m, uint32_t column,
                     uint32_t row)
{
    uint32_t at = (crtc_start(s) + row * crtc_offset(s) + column) << crtc_shift(s) & PLANE_MASK;

    return (uint16_t)(m->planes[at] | m->planes[PLANE_BYTES + at] << 8);
}

/* The font for characters whose attribute bit 3 is @high (character map select register). */
static const uint8_t *font_of(const struct bh_screen *s, const struct render_memory *m, bool high)
{
    uint8_t r = s->seq[SEQ_FONTS];
    uint32_t n = high ? (r >> 2 & 3u) | (r >> 3 & 4u) : (r & 3u) | (r >> 2 & 4u);
    const uint8_t *font =
        m->planes + 2u * PLANE_BYTES + (n & 3u) * 2u * FONT_BYTES + (n >> 2) * FONT_BYTES;

    for (uint32_t i = 0; i < FONT_BYTES; i++)
        if (font[i]) return font;
    return NULL; /* none loaded */
}

static uint8_t glyph_line(const uint8_t *font, uint8_t code, uint32_t line, uint32_t height)
{
    if (font == NULL)
        return height >= 16u ? font_line(code, line) : font_line(code, line * 16u / height);
    return line < GLYPH_BYTES ? font[code * GLYPH_BYTES + line] : 0;
}

static bool under_cursor(const struct bh_screen *s, uint32_t address, uint32_t line)
{
    uint32_t at = (uint32_t)s->crtc[0x0e] << 8 | s->crtc[0x0f];

    return !(s->crtc[0x0a] & 0x20u) && at == address && line >= (s->crtc[0x0a] & 0x1fu) &&
           line <= (s->crtc[0x0b] & 0x1fu);
}

static void draw_text(const struct bh_screen *s, const struct render_memory *m,
                      const struct render_mode *mode, uint8_t *rgb)
{
    const uint8_t *font[2] = {font_of(s, m, false), font_of(s, m, true)};
    uint8_t control = s->attribute[ATTRIBUTE_MODE];
    uint32_t width = dots(s), height = row_lines(s), repeat = s->crtc[0x09] >> 7;

    for (uint32_t y = 0; y < mode->height; y++)
        for (uint32_t column = 0; column < mode->columns; column++) {
            uint32_t row = y / height, line = y % height >> repeat;
            uint16_t cell = render_cell(s, m, column, row);
            uint8_t code = (uint8_t)cell, attribute = (uint8_t)(cell >> 8);
            uint32_t bits =
                (uint32_t)glyph_line(font[attribute >> 3 & 1u], code, line, height >> repeat) << 1;
            unsigned back = attribute >> 4 & (control & AMODE_BLINK ? 7u : 15u);
            uint8_t colour[2][3];

            if ((control & AMODE_LINES) && code >= 0xc0u && code <= 0xdfu) bits |= bits >> 1 & 1u;
            if (under_cursor(s, crtc_start(s) + row * crtc_offset(s) + column, line)) bits = 0x1ff;
            palette_colour(s, back, colour[0]);
            palette_colour(s, attribute & 15u, colour[1]);
            for (uint32_t x = 0; x < width; x++, rgb += 3) put(rgb, colour[bits >> (8u - x) & 1u]);
        }
}

/* ---- planes ---- */

static void draw_planes(const struct bh_screen *s, const struct render_memory *m,
                        const struct render_mode *mode, uint8_t *rgb)
{
    bool vbe = vbe_on(s);
    uint32_t stride = vbe ? s->vbe[BH_VBE_VIRT_WIDTH] / 8u : crtc_offset(s);
    uint32_t start =
        vbe ? s->vbe[BH_VBE_Y_OFFSET] * stride + s->vbe[BH_VBE_X_OFFSET] / 8u : crtc_start(s);
    unsigned shift = vbe ? 0 : crtc_shift(s);

    for (uint32_t y = 0; y < mode->height; y++)
        for (uint32_t x = 0; x < mode->width; x++, rgb += 3) {
            uint32_t at = (start + y * stride + x / 8u) << shift & PLANE_MASK;
            unsigned index = 0;
            uint8_t colour[3];

            for (unsigned p = 0; p < 4u; p++)
                index |= (m->planes[p * PLANE_BYTES + at] >> (7u - x % 8u) & 1u) << p;
            palette_colour(s, index & s->attribute[ATTRIBUTE_PANES], colour);
            put(rgb, colour);
        }
}

static void draw_bytes(const struct bh_screen *s, const struct render_memory *m,
                       const struct render_mode *mode, uint8_t *rgb)
{
    for (uint32_t y = 0; y < mode->height; y++)
        for (uint32_t x = 0; x < mode->width; x++, rgb += 3) {
            uint32_t at =
                (crtc_start(s) + y * crtc_offset(s) + x / 4u) << crtc_shift(s) & PLANE_MASK;
            uint8_t colour[3];

            dac_colour(s, m->planes[x % 4u * PLANE_BYTES + at], colour);
            put(rgb, colour);
        }
}

/* ---- linear ---- */

static uint8_t scaled(uint32_t value, unsigned bits)
{
    uint32_t most = (1u << bits) - 1u;

    return (uint8_t)(((value & most) * 255u + most / 2u) / most);
}

static void pixel_colour(const struct bh_screen *s, uint32_t value, uint8_t rgb[3])
{
    switch (s->vbe[BH_VBE_BPP]) {
    case 8: dac_colour(s, (uint8_t)value, rgb); break;
    case 15:
        rgb[0] = scaled(value >> 10, 5);
        rgb[1] = scaled(value >> 5, 5);
        rgb[2] = scaled(value, 5);
        break;
    case 16:
        rgb[0] = scaled(value >> 11, 5);
        rgb[1] = scaled(value >> 5, 6);
        rgb[2] = scaled(value, 5);
        break;
    default:
        for (unsigned i = 0; i < 3u; i++) rgb[i] = (uint8_t)(value >> (16u - 8u * i));
        break;
    }
}

static void draw_linear(const struct bh_screen *s, const struct render_memory *m,
                        const struct render_mode *mode, uint8_t *rgb)
{
    uint32_t bytes = bh_vbe_pixel_bytes(s->vbe[BH_VBE_BPP]);
    uint64_t stride = (uint64_t)s->vbe[BH_VBE_VIRT_WIDTH] * bytes;

    for (uint32_t y = 0; y < mode->height; y++)
        for (uint32_t x = 0; x < mode->width; x++, rgb += 3) {
            uint64_t at = (y + s->vbe[BH_VBE_Y_OFFSET]) * stride +
                          (uint64_t)(x + s->vbe[BH_VBE_X_OFFSET]) * bytes;
            uint32_t value = 0;
            uint8_t colour[3];

            for (uint32_t i = 0; i < bytes && at + i < m->frame_bytes; i++)
                value |= (uint32_t)m->frame[at + i] << (8u * i);
            pixel_colour(s, value, colour);
            put(rgb, colour);
        }
}

void render(const struct bh_screen *s, const struct render_memory *m, uint8_t *rgb)
{
    struct render_mode mode = render_mode(s);

    if (!vbe_on(s) && (!s->attribute_on || (s->seq[SEQ_CLOCKING] & CLOCKING_OFF))) {
        for (size_t i = 0; i < (size_t)mode.width * mode.height * 3u; i++) rgb[i] = 0;
        return;
    }
    switch (mode.kind) {
    case RENDER_TEXT: draw_text(s, m, &mode, rgb); break;
    case RENDER_PLANES: draw_planes(s, m, &mode, rgb); break;
    case RENDER_BYTES: draw_bytes(s, m, &mode, rgb); break;
    case RENDER_LINEAR: draw_linear(s, m, &mode, rgb); break;
    default: break;
    }
}
