/*
 * PNG files (W3C PNG specification, second edition; RFC 1950, 1951): true colour, one IDAT chunk,
 * fixed Huffman codes. Screens repeat themselves to the left and above: those are the only matches
 * that are looked for. Calls stdio only.
 */
#include <stdlib.h>
#include <string.h>
#include "bhctl.h"

#define MATCH_MAX 258u
#define MATCH_MIN 3u
#define ADLER     65521u

struct bits {
    uint8_t *bytes;
    size_t used, room;
    uint32_t pending;
    unsigned count;
};

static void byte_put(struct bits *b, uint8_t byte)
{
    if (b->used == b->room) {
        b->room = b->room ? 2u * b->room : 65536u;
        b->bytes = realloc(b->bytes, b->room);
        if (b->bytes == NULL) die(EXIT_REFUSED, "out of memory");
    }
    b->bytes[b->used++] = byte;
}

/* Least significant bit first. */
static void bits_put(struct bits *b, uint32_t value, unsigned n)
{
    b->pending |= value << b->count;
    b->count += n;
    for (; b->count >= 8u; b->count -= 8u, b->pending >>= 8) byte_put(b, (uint8_t)b->pending);
}

/* Huffman codes go most significant bit first. */
static void code_put(struct bits *b, uint32_t code, unsigned n)
{
    while (n-- != 0) bits_put(b, code >> n & 1u, 1);
}

static void literal_put(struct bits *b, unsigned symbol)
{
    if (symbol < 144u)
        code_put(b, 0x30u + symbol, 8);
    else if (symbol < 256u)
        code_put(b, 0x190u + symbol - 144u, 9);
    else if (symbol < 280u)
        code_put(b, symbol - 256u, 7);
    else
        code_put(b, 0xc0u + symbol - 280u, 8);
}

/* RFC 1951, 3.2.5. */
static void match_put(struct bits *b, unsigned length, unsigned distance)
{
    unsigned symbol, extra, base;

    if (length == MATCH_MAX) {
        literal_put(b, 285);
    } else {
        symbol = length - MATCH_MIN;
        for (extra = 0; symbol >> extra >= 8u; extra++)
            ;
        /* Groups of four symbols: 257..264 without extra bits, then one more bit each. */
        base = extra == 0 ? 257u + symbol : 257u + 4u * extra + (symbol >> extra);
        literal_put(b, base);
        bits_put(b, symbol & ((1u << extra) - 1u), extra);
    }
    distance--;
    for (extra = 0; distance >> extra >= 4u; extra++)
        ;
    code_put(b, extra == 0 ? distance : 2u * extra + (distance >> extra), 5);
    bits_put(b, distance & ((1u << extra) - 1u), extra);
}

static unsigned match_length(const uint8_t *data, size_t at, size_t size, size_t distance)
{
    unsigned n = 0;

    if (distance > at || distance > 32768u) return 0;
    while (n < MATCH_MAX && at + n < size && data[at + n] == data[at + n - distance]) n++;
    return n;
}

static void deflate(struct bits *b, const uint8_t *data, size_t size, size_t above)
{
    byte_put(b, 0x78);
    byte_put(b, 0x01);
    bits_put(b, 1, 1); /* last block */
    bits_put(b, 1, 2); /* fixed codes */
    for (size_t at = 0; at < size;) {
        unsigned left = match_length(data, at, size, 3), up = match_length(data, at, size, above);
        unsigned best = left >= up ? left : up;

        if (best < MATCH_MIN) {
            literal_put(b, data[at++]);
            continue;
        }
        match_put(b, best, left >= up ? 3u : (unsigned)above);
        at += best;
    }
    literal_put(b, 256);
    if (b->count) bits_put(b, 0, 8u - b->count);
}

static void be32_put(struct bits *b, uint32_t value)
{
    for (unsigned i = 4; i-- != 0;) byte_put(b, (uint8_t)(value >> (8u * i)));
}

static uint32_t adler32(const uint8_t *data, size_t size)
{
    uint32_t a = 1, s = 0;

    for (size_t i = 0; i < size; i++) {
        a = (a + data[i]) % ADLER;
        s = (s + a) % ADLER;
    }
    return s << 16 | a;
}

static uint32_t crc32(const uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8u; bit++) crc = crc >> 1 ^ (crc & 1u ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void chunk(struct bits *b, const char *type, const uint8_t *data, size_t size)
{
    size_t at;

    be32_put(b, (uint32_t)size);
    at = b->used;
    for (unsigned i = 0; i < 4u; i++) byte_put(b, (uint8_t)type[i]);
    for (size_t i = 0; i < size; i++) byte_put(b, data[i]);
    be32_put(b, crc32(b->bytes + at, b->used - at));
}

uint8_t *png_make(const uint8_t *rgb, uint32_t width, uint32_t height, size_t *size)
{
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    struct bits file = {0}, packed = {0}, header = {0};
    size_t stride = (size_t)width * 3u + 1u;
    uint8_t *lines = calloc(height, stride); /* each with its filter, none, in front */

    if (lines == NULL) die(EXIT_REFUSED, "out of memory");
    for (uint32_t y = 0; y < height; y++)
        memcpy(lines + y * stride + 1u, rgb + y * (stride - 1u), stride - 1u);
    deflate(&packed, lines, height * stride, stride);
    be32_put(&packed, adler32(lines, height * stride));
    be32_put(&header, width);
    be32_put(&header, height);
    byte_put(&header, 8); /* bits */
    byte_put(&header, 2); /* true colour */
    for (unsigned i = 0; i < 3u; i++) byte_put(&header, 0);
    for (unsigned i = 0; i < sizeof(signature); i++) byte_put(&file, signature[i]);
    chunk(&file, "IHDR", header.bytes, header.used);
    chunk(&file, "IDAT", packed.bytes, packed.used);
    chunk(&file, "IEND", NULL, 0);
    free(lines);
    free(packed.bytes);
    free(header.bytes);
    *size = file.used;
    return file.bytes;
}
