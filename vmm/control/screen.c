/*
 * A VM's screen: fetched piece by piece, drawn, written. What root sends is bounded before it is
 * used. May call: link.c, the renderer, png.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bhctl.h"
#include "bulkhead/screen.h"
#include "render.h"
#include "rle.h"

#define TRIES 5 /* the guest may change the mode while its screen is fetched */

struct shot {
    bool described;
    struct bh_screen screen;
    uint8_t *memory; /* BH_SCREEN_MEMORY bytes */
};

static bool description(struct shot *s, const uint8_t *payload, uint32_t bytes)
{
    if (bytes != sizeof(s->screen)) return false;
    memcpy(&s->screen, payload, sizeof(s->screen));
    if (s->screen.version != BH_SCREEN_VERSION || s->screen.pieces > BH_SCREEN_PIECES) return false;
    for (uint32_t i = 0; i < s->screen.pieces; i++) {
        const struct bh_screen_piece *p = &s->screen.piece[i];

        if (p->address > BH_SCREEN_MEMORY || p->bytes > BH_SCREEN_MEMORY - p->address ||
            p->unit - 1u >= 4u)
            return false;
    }
    s->described = true;
    return true;
}

static bool shot_part(void *ctx, const uint8_t *payload, uint32_t bytes)
{
    struct shot *s = ctx;
    struct bh_wire_pixels pixels;
    const struct bh_screen_piece *p;

    if (!s->described) return description(s, payload, bytes);
    if (bytes < sizeof(pixels)) return false;
    memcpy(&pixels, payload, sizeof(pixels));
    if (pixels.piece >= s->screen.pieces) return false;
    p = &s->screen.piece[pixels.piece];
    if (pixels.offset > p->bytes) return false;
    return rle_unpack(s->memory + p->address + pixels.offset, p->bytes - pixels.offset,
                      payload + sizeof(pixels), bytes - sizeof(pixels), p->unit) != SIZE_MAX;
}

static struct render_memory fetch(const struct options *o, const char *vm, struct shot *s)
{
    uint32_t status = BH_WIRE_CHANGED;

    *s = (struct shot){.memory = calloc(1, BH_SCREEN_MEMORY)};
    if (s->memory == NULL) die(EXIT_REFUSED, "out of memory");
    link_open(o);
    for (int i = 0; i < TRIES && status == BH_WIRE_CHANGED; i++) {
        s->described = false;
        status = link_try(BH_WIRE_SCREENSHOT, vm, NULL, 0, shot_part, s);
    }
    if (status != BH_WIRE_OK) link_refused(status, vm);
    if (!s->described) die(EXIT_BAD_LINK, "the running system's answer makes no sense");
    return (struct render_memory){s->memory, s->memory + BH_SCREEN_FRAME,
                                  BH_SCREEN_MEMORY - BH_SCREEN_FRAME};
}

void verb_screenshot(const struct options *o, int argc, char **argv)
{
    struct shot s;
    struct render_memory memory = fetch(o, argv[0], &s);
    struct render_mode mode = render_mode(&s.screen);
    const char *path = argv[1];
    bool to_stdout = strcmp(path, "-") == 0;
    uint8_t *rgb, *png;
    size_t size;
    FILE *f;

    (void)argc;
    if (to_stdout && o->json) die(EXIT_USAGE, "--json and a picture on stdout do not go together");
    if (mode.kind == RENDER_NOTHING) die(EXIT_REFUSED, "%s: the screen shows nothing", argv[0]);
    rgb = calloc((size_t)mode.width * mode.height, 3);
    if (rgb == NULL) die(EXIT_REFUSED, "out of memory");
    render(&s.screen, &memory, rgb);
    png = png_make(rgb, mode.width, mode.height, &size);
    f = to_stdout ? stdout : fopen(path, "wb");
    if (f == NULL || fwrite(png, 1, size, f) != size || (to_stdout ? fflush(f) : fclose(f)) != 0)
        die(EXIT_REFUSED, "%s: %s", path, strerror(errno));
    if (o->json)
        printf("{\"width\": %u, \"height\": %u, \"text\": %s}", mode.width, mode.height,
               mode.kind == RENDER_TEXT ? "true" : "false");
    free(png);
    free(rgb);
    free(s.memory);
}

/* One line of the screen without the blanks at its end. */
static void line_of(const struct shot *s, const struct render_memory *memory,
                    const struct render_mode *mode, uint32_t row, char *text)
{
    size_t end = 0;

    for (uint32_t column = 0; column < mode->columns; column++) {
        uint8_t code = (uint8_t)render_cell(&s->screen, memory, column, row);

        text[column] = code >= 0x20u && code < 0x7fu ? (char)code : code == 0 ? ' ' : '?';
        if (text[column] != ' ') end = column + 1u;
    }
    text[end] = '\0';
}

void verb_text(const struct options *o, int argc, char **argv)
{
    struct shot s;
    struct render_memory memory = fetch(o, argv[0], &s);
    struct render_mode mode = render_mode(&s.screen);
    char text[RENDER_WIDTH_MAX + 1u];

    (void)argc;
    if (mode.kind != RENDER_TEXT)
        die(EXIT_REFUSED, "%s: the screen shows a picture; 'bhctl screenshot' writes it", argv[0]);
    if (o->json) printf("[");
    for (uint32_t row = 0; row < mode.rows; row++) {
        line_of(&s, &memory, &mode, row, text);
        if (o->json) {
            printf("%s\n  ", row ? "," : "");
            json_string(text);
        } else {
            puts(text);
        }
    }
    if (o->json) printf("\n]");
    free(s.memory);
}
