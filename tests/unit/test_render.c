// sources: vmm/display/render.c vmm/display/font.c
/* Drawing of screens: pixels of each kind of mode, computed here by hand from registers and memory;
 * and registers that nobody would set, which must not lead out of the memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/display/render.h"

#define FRAME 0x100000u

static struct bh_screen s;
static uint8_t *planes, *frame, *rgb;
static struct render_memory memory;
static struct render_mode mode;

static const uint8_t text_crtc[BH_SCREEN_CRTC] = {
    0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
    0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};

/* Exact sizes, so that the sanitizer sees each byte beyond. */
static void setup(void)
{
    memset(&s, 0, sizeof(s));
    free(planes);
    free(frame);
    planes = calloc(1, BH_SCREEN_FRAME);
    frame = calloc(1, FRAME);
    memory = (struct render_memory){planes, frame, FRAME};
    s.version = BH_SCREEN_VERSION;
    s.misc = 0x67;
    s.dac_mask = 0xff;
    s.attribute_on = 1;
    s.seq[2] = 3;
    s.graphics[5] = 0x10;
    s.graphics[6] = 0x0e;
    memcpy(s.crtc, text_crtc, sizeof(text_crtc));
    s.attribute[16] = 0x0c;
    s.attribute[18] = 0x0f;
    for (unsigned i = 0; i < 16; i++) s.attribute[i] = (uint8_t)i;
    for (unsigned i = 0; i < 256; i++)
        for (unsigned c = 0; c < 3; c++) s.dac[3 * i + c] = (uint8_t)((i * 4 + c) & 0x3f);
}

static void draw(void)
{
    mode = render_mode(&s);
    free(rgb);
    rgb = NULL;
    if (mode.kind == RENDER_NOTHING) return;
    rgb = malloc((size_t)mode.width * mode.height * 3u);
    render(&s, &memory, rgb);
}

static uint32_t pixel(uint32_t x, uint32_t y)
{
    const uint8_t *p = rgb + ((size_t)y * mode.width + x) * 3u;

    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static uint32_t dac(unsigned i)
{
    uint32_t colour = 0;

    for (unsigned c = 0; c < 3; c++) {
        uint32_t v = s.dac[3 * i + c];

        colour = colour << 8 | (v << 2 | v >> 4);
    }
    return colour;
}

static void cell(unsigned column, unsigned row, uint8_t code, uint8_t attribute)
{
    planes[(row * 80 + column) * 2] = code;
    planes[0x10000 + (row * 80 + column) * 2] = attribute;
}

static void test_text(void **state)
{
    (void)state;
    setup();
    for (unsigned i = 0; i < 16; i++) planes[0x20000 + 'A' * 32 + i] = (uint8_t)(0x80 >> i % 8);
    cell(3, 2, 'A', 0x1e);
    cell(4, 2, 'A', 0x9e); /* bit 7 blinks: the same colours */
    s.crtc[0x0a] = 0x20;
    draw();
    assert_int_equal(mode.kind, RENDER_TEXT);
    assert_int_equal(mode.width, 720);
    assert_int_equal(mode.height, 400);
    assert_int_equal(mode.columns, 80);
    assert_int_equal(mode.rows, 25);
    for (unsigned column = 3; column < 5; column++)
        for (unsigned y = 0; y < 16; y++)
            for (unsigned x = 0; x < 9; x++)
                assert_int_equal(pixel(column * 9 + x, 32 + y), dac(x == y % 8 ? 14 : 1));
    assert_int_equal(pixel(0, 0), dac(0));
    assert_int_equal(render_cell(&s, &memory, 3, 2), 0x1e41);
    s.attribute[16] &= (uint8_t)~8u; /* no blinking: 16 background colours */
    s.seq[1] = 1;                    /* characters of 8 dots */
    draw();
    assert_int_equal(mode.width, 640);
    assert_int_equal(pixel(4 * 8 + 1, 32), dac(9));
    /* Scrolled by a line. */
    s.crtc[0x0d] = 80;
    draw();
    assert_int_equal(pixel(3 * 8, 16), dac(14));
    s.attribute_on = 0;
    draw();
    assert_int_equal(pixel(3 * 8, 16), 0);
}

static void test_text_details(void **state)
{
    (void)state;
    setup();
    planes[0x20000] = 1; /* some font */
    planes[0x20000 + 0xc4 * 32 + 7] = 0xff;
    planes[0x20000 + 0x80 * 32 + 7] = 0xff;
    cell(0, 0, 0xc4, 7);
    cell(1, 0, 0x80, 7);
    s.crtc[0x0e] = 0; /* cursor at 5, lines 13 and 14 */
    s.crtc[0x0f] = 5;
    cell(5, 0, ' ', 7);
    draw();
    assert_int_equal(pixel(8, 7), dac(7)); /* a line goes on into the ninth dot */
    assert_int_equal(pixel(17, 7), dac(0));
    assert_int_equal(pixel(45, 12), dac(0));
    assert_int_equal(pixel(45, 13), dac(7));
    assert_int_equal(pixel(53, 14), dac(7));
    assert_int_equal(pixel(45, 15), dac(0));
    /* The second font, chosen by attribute bit 3: map 1 is 16 KiB further. */
    s.seq[3] = 0x04;
    planes[0x20000 + 0x4000 + 'B' * 32] = 0x80;
    cell(7, 0, 'B', 0x0f);
    cell(8, 0, 'B', 0x07);
    draw();
    assert_int_equal(pixel(63, 0), dac(15));
    assert_int_equal(pixel(72, 0), dac(0));
    /* Colour select: palette bits 4 and 5, DAC bits 6 and 7. */
    s.attribute[16] |= 0x80;
    s.attribute[20] = 0x0e;
    draw();
    assert_int_equal(pixel(63, 0), dac(0xc0 | 0x20 | 15));
}

/* Without a loaded font the built-in one is used; every printable character has a glyph of its own.
 */
static void test_font(void **state)
{
    uint8_t glyphs[256][16];

    (void)state;
    setup();
    s.crtc[0x0a] = 0x20;
    cell(0, 0, 'H', 7);
    draw();
    for (unsigned y = 0; y < 16; y++)
        for (unsigned x = 0; x < 8; x++)
            assert_int_equal(pixel(x, y), dac(font_line('H', y) >> (7 - x) & 1 ? 7 : 0));
    for (unsigned c = 0; c < 256; c++)
        for (unsigned y = 0; y < 16; y++) glyphs[c][y] = font_line((uint8_t)c, y);
    for (unsigned a = 0x20; a < 0x7f; a++)
        for (unsigned b = a + 1; b < 0x7f; b++) assert_memory_not_equal(glyphs[a], glyphs[b], 16);
    assert_int_equal(font_line(0xb3, 0), 0x18);
    assert_int_equal(font_line(0xc4, 7), 0xff);
    assert_int_equal(font_line(0xdb, 15), 0xff);
    assert_int_equal(font_line('A', 16), 0);
    s.crtc[0x09] = 0x47; /* lines of 8: squeezed */
    draw();
    assert_int_equal(mode.rows, 50);
}

/* Mode 12h. */
static void test_planes(void **state)
{
    (void)state;
    setup();
    s.graphics[5] = 0;
    s.graphics[6] = 5;
    s.seq[1] = 1;
    s.crtc[0x07] = 0x3e;
    s.crtc[0x09] = 0x40;
    s.crtc[0x12] = 0xdf;
    s.crtc[0x14] = 0;
    s.crtc[0x17] = 0xe3;
    for (unsigned p = 0; p < 4; p++) planes[p * 0x10000 + 3 * 80 + 2] = (uint8_t)(p & 1 ? 0x80 : 0);
    planes[0x10000 + 3 * 80 + 3] = 0x01;
    s.attribute[10] = 0x3f;
    draw();
    assert_int_equal(mode.kind, RENDER_PLANES);
    assert_int_equal(mode.width, 640);
    assert_int_equal(mode.height, 480);
    assert_int_equal(pixel(16, 3), dac(0x3f));
    assert_int_equal(pixel(17, 3), dac(0));
    assert_int_equal(pixel(31, 3), dac(2));
    s.attribute[18] = 0x0d; /* plane 1 off */
    draw();
    assert_int_equal(pixel(31, 3), dac(0));
    assert_int_equal(pixel(16, 3), dac(8));
}

/* Mode 13h. */
static void test_bytes(void **state)
{
    (void)state;
    setup();
    s.graphics[5] = 0x40;
    s.graphics[6] = 5;
    s.seq[1] = 1;
    s.seq[4] = 0x0e;
    s.crtc[0x09] = 0x41;
    s.crtc[0x14] = 0x40;
    for (uint32_t i = 0; i < 0x10000; i++)
        planes[(i & 3) * 0x10000 + (i & ~3u)] = (uint8_t)(i * 7 + i / 320);
    draw();
    assert_int_equal(mode.kind, RENDER_BYTES);
    assert_int_equal(mode.width, 320);
    assert_int_equal(mode.height, 200);
    for (uint32_t y = 0; y < 200; y++)
        for (uint32_t x = 0; x < 320; x++) {
            uint32_t i = y * 320 + x;

            assert_int_equal(pixel(x, y), dac((uint8_t)(i * 7 + i / 320)));
        }
}

static void linear(unsigned x, unsigned y, unsigned bpp)
{
    setup();
    s.vbe[BH_VBE_XRES] = (uint16_t)x;
    s.vbe[BH_VBE_YRES] = (uint16_t)y;
    s.vbe[BH_VBE_BPP] = (uint16_t)bpp;
    s.vbe[BH_VBE_ENABLE] = BH_VBE_ENABLED | BH_VBE_LINEAR;
    s.vbe[BH_VBE_VIRT_WIDTH] = (uint16_t)(x + 10);
}

static void put(uint32_t at, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) frame[at + i] = (uint8_t)(value >> (8 * i));
}

static void test_linear(void **state)
{
    static const struct {
        unsigned bpp, bytes;
        uint32_t value, colour;
    } rows[] = {
        {15, 2, 0x7fff, 0xffffff}, {15, 2, 0x7c00, 0xff0000},   {15, 2, 0x0010, 0x000084},
        {16, 2, 0xffff, 0xffffff}, {16, 2, 0xf800, 0xff0000},   {16, 2, 0x07e0, 0x00ff00},
        {16, 2, 0x0400, 0x008200}, {24, 3, 0x123456, 0x123456}, {32, 4, 0xff123456, 0x123456},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        linear(100, 50, rows[i].bpp);
        put((7 * 110 + 9) * rows[i].bytes, rows[i].value, rows[i].bytes);
        draw();
        assert_int_equal(mode.kind, RENDER_LINEAR);
        assert_int_equal(mode.width, 100);
        assert_int_equal(mode.height, 50);
        assert_int_equal(pixel(9, 7), rows[i].colour);
        s.vbe[BH_VBE_X_OFFSET] = 4;
        s.vbe[BH_VBE_Y_OFFSET] = 2;
        draw();
        assert_int_equal(pixel(5, 5), rows[i].colour);
    }
    linear(64, 64, 8);
    frame[5] = 200;
    draw();
    assert_int_equal(pixel(5, 0), dac(200));
    s.vbe[BH_VBE_ENABLE] |= BH_VBE_8BIT_DAC;
    s.dac[600] = 0xff;
    s.dac[601] = 0x80;
    s.dac[602] = 0x01;
    draw();
    assert_int_equal(pixel(5, 0), 0xff8001);
    linear(64, 64, 4); /* planes with the extensions' geometry */
    s.vbe[BH_VBE_VIRT_WIDTH] = 64;
    planes[0x30000 + 8] = 0x40;
    draw();
    assert_int_equal(mode.kind, RENDER_PLANES);
    assert_int_equal(pixel(1, 1), dac(8));
}

static void test_made_up(void **state)
{
    uint64_t r = 0x9e3779b97f4a7c15ull;

    (void)state;
    setup();
    for (unsigned i = 0; i < 60; i++) {
        for (size_t k = 0; k < sizeof(s); k++) {
            r ^= r << 13;
            r ^= r >> 7;
            r ^= r << 17;
            ((uint8_t *)&s)[k] = (uint8_t)r;
        }
        if (i & 1u) s.vbe[BH_VBE_ENABLE] &= (uint16_t)~BH_VBE_ENABLED;
        if (i & 2u) s.graphics[6] &= (uint8_t)~1u;
        s.vbe[BH_VBE_XRES] &= 0x1ff; /* else most is refused as too large */
        s.vbe[BH_VBE_YRES] &= 0x1ff;
        draw();
        assert_true(mode.width <= RENDER_WIDTH_MAX && mode.height <= RENDER_HEIGHT_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),    cmocka_unit_test(test_text_details),
        cmocka_unit_test(test_font),    cmocka_unit_test(test_planes),
        cmocka_unit_test(test_bytes),   cmocka_unit_test(test_linear),
        cmocka_unit_test(test_made_up),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    free(planes);
    free(frame);
    free(rgb);
    return failed;
}
