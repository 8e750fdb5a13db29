/*
 * AML writer. Encodings: ACPI 6.3, 20.2 (grammar) and 6.4 (resource descriptors). Package lengths
 * always take three bytes, so that a block can be closed without moving what is in it. Pure.
 */
#include "aml.h"

#include <string.h>

#define PKG_BYTES 3u
#define PKG_MAX   0xfffffu

static void put(struct aml *a, uint8_t byte)
{
    if (a->len >= a->size) {
        a->overflow = true;
        return;
    }
    a->buf[a->len++] = byte;
}

static void put_le(struct aml *a, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) put(a, (uint8_t)(value >> (i * 8u)));
}

static void put_seg(struct aml *a, const char *seg)
{
    for (unsigned i = 0; i < 4u; i++) put(a, (uint8_t)seg[i]);
}

void aml_int(struct aml *a, uint64_t value)
{
    if (value <= 1u) { /* ZeroOp, OneOp */
        put(a, (uint8_t)value);
    } else if (value <= 0xffu) {
        put(a, 0x0a);
        put_le(a, value, 1);
    } else if (value <= 0xffffu) {
        put(a, 0x0b);
        put_le(a, value, 2);
    } else if (value <= 0xffffffffu) {
        put(a, 0x0c);
        put_le(a, value, 4);
    } else {
        put(a, 0x0e);
        put_le(a, value, 8);
    }
}

void aml_string(struct aml *a, const char *s)
{
    put(a, 0x0d);
    for (; *s != '\0'; s++) put(a, (uint8_t)*s);
    put(a, 0);
}

static unsigned hex_digit(char c) { return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10) & 15u; }

/* Three letters of five bits and four hexadecimal digits, most significant byte first. */
void aml_eisa_id(struct aml *a, const char *id)
{
    unsigned letters =
        ((unsigned)id[0] & 31u) << 10 | ((unsigned)id[1] & 31u) << 5 | ((unsigned)id[2] & 31u);

    put(a, 0x0c);
    put(a, (uint8_t)(letters >> 8));
    put(a, (uint8_t)letters);
    put(a, (uint8_t)(hex_digit(id[3]) << 4 | hex_digit(id[4])));
    put(a, (uint8_t)(hex_digit(id[5]) << 4 | hex_digit(id[6])));
}

void aml_name(struct aml *a, const char *seg)
{
    put(a, 0x08);
    put_seg(a, seg);
}

static size_t open(struct aml *a)
{
    size_t mark = a->len;

    put_le(a, 0, PKG_BYTES);
    return mark;
}

void aml_close(struct aml *a, size_t mark)
{
    size_t length = a->len - mark;

    if (a->overflow || length > PKG_MAX) {
        a->overflow = true;
        return;
    }
    a->buf[mark] = (uint8_t)(0x80u | (length & 15u)); /* two more length bytes follow */
    a->buf[mark + 1u] = (uint8_t)(length >> 4);
    a->buf[mark + 2u] = (uint8_t)(length >> 12);
}

size_t aml_scope(struct aml *a, const char *path)
{
    size_t mark;

    put(a, 0x10);
    mark = open(a);
    if (*path == '\\') put(a, (uint8_t)*path++);
    put_seg(a, path);
    return mark;
}

size_t aml_device(struct aml *a, const char *seg)
{
    size_t mark;

    put(a, 0x5b);
    put(a, 0x82);
    mark = open(a);
    put_seg(a, seg);
    return mark;
}

size_t aml_package(struct aml *a, uint8_t elements)
{
    size_t mark;

    put(a, 0x12);
    mark = open(a);
    put(a, elements);
    return mark;
}

size_t aml_crs(struct aml *a)
{
    size_t mark;

    aml_name(a, "_CRS");
    put(a, 0x11);
    mark = open(a);
    put(a, 0x0b); /* the buffer's size, filled in at the end */
    put_le(a, 0, 2);
    return mark;
}

void aml_crs_close(struct aml *a, size_t mark)
{
    size_t first = mark + PKG_BYTES + 3u;

    put(a, 0x79); /* end tag; checksum 0 means "not used" */
    put(a, 0);
    if (!a->overflow) {
        a->buf[first - 2u] = (uint8_t)(a->len - first);
        a->buf[first - 1u] = (uint8_t)((a->len - first) >> 8);
    }
    aml_close(a, mark);
}

void aml_io(struct aml *a, uint16_t base, uint8_t count)
{
    put(a, 0x47);
    put(a, 0x01);
    put_le(a, base, 2);
    put_le(a, base, 2);
    put(a, 0x01);
    put(a, count);
}

void aml_irq(struct aml *a, unsigned line)
{
    put(a, 0x22);
    put_le(a, 1u << (line & 15u), 2);
}

static void word_space(struct aml *a, uint8_t type, uint8_t type_flags, uint16_t first,
                       uint16_t last)
{
    put(a, 0x88);
    put_le(a, 13, 2);
    put(a, type);
    put(a, 0x0c); /* producer, positive decode, minimum and maximum fixed */
    put(a, type_flags);
    put_le(a, 0, 2); /* granularity */
    put_le(a, first, 2);
    put_le(a, last, 2);
    put_le(a, 0, 2); /* translation */
    put_le(a, (uint64_t)last - first + 1u, 2);
}

void aml_word_bus(struct aml *a, uint16_t first, uint16_t last)
{
    word_space(a, 2, 0, first, last);
}

void aml_word_io(struct aml *a, uint16_t first, uint16_t last)
{
    word_space(a, 1, 0x03, first, last);
}
