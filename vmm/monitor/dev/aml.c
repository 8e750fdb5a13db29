/*
 * AML writer. Encodings: ACPI 6.3, 20.2 (grammar) and 6.4 (resource descriptors). Package lengths
 * always take three bytes, so that a block can be closed without moving what is in it. Pure.
 */
#include "aml.h"

#include <string.h>

#define PKG_BYTES    3u
#define PKG_MAX      0xfffffu
#define MEMORY_FLAGS 0x01u /* writable, not cacheable (6.4.3.5.5) */

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

void aml_op(struct aml *a, enum aml_opcode op) { put(a, (uint8_t)op); }

void aml_path(struct aml *a, const char *path)
{
    size_t segments;

    if (*path == '\\') put(a, (uint8_t)*path++);
    segments = (strlen(path) + 1u) / 5u;
    if (segments == 2u) {
        put(a, 0x2e); /* DualNamePrefix */
    } else if (segments > 2u) {
        put(a, 0x2f); /* MultiNamePrefix */
        put(a, (uint8_t)segments);
    }
    for (size_t i = 0; i < segments; i++) put_seg(a, path + i * 5u);
}

size_t aml_scope(struct aml *a, const char *path)
{
    size_t mark;

    put(a, 0x10);
    mark = open(a);
    aml_path(a, path);
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

size_t aml_method(struct aml *a, const char *seg, unsigned arguments)
{
    size_t mark;

    put(a, 0x14);
    mark = open(a);
    put_seg(a, seg);
    put(a, (uint8_t)(0x08u | (arguments & 7u))); /* serialized */
    return mark;
}

size_t aml_if(struct aml *a)
{
    put(a, 0xa0);
    return open(a);
}

void aml_pci_region(struct aml *a, const char *seg, uint8_t offset, uint8_t bytes)
{
    put(a, 0x5b);
    put(a, 0x80);
    put_seg(a, seg);
    put(a, 2); /* PCI_Config */
    aml_int(a, offset);
    aml_int(a, bytes);
}

size_t aml_fields(struct aml *a, const char *path)
{
    size_t mark;

    put(a, 0x5b);
    put(a, 0x81);
    mark = open(a);
    aml_path(a, path);
    put(a, 0x01); /* ByteAcc, NoLock, Preserve */
    return mark;
}

void aml_byte_field(struct aml *a, const char *seg)
{
    if (seg)
        put_seg(a, seg);
    else
        put(a, 0);
    put(a, 8); /* bits, as a package length */
}

void aml_buffer(struct aml *a, const uint8_t *bytes, uint8_t count)
{
    size_t mark;

    put(a, 0x11);
    mark = open(a);
    aml_int(a, count);
    for (unsigned i = 0; i < count; i++) put(a, bytes[i]);
    aml_close(a, mark);
}

size_t aml_crs(struct aml *a) { return aml_resources(a, "_CRS"); }

size_t aml_resources(struct aml *a, const char *seg)
{
    size_t mark;

    aml_name(a, seg);
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

void aml_pci_irq(struct aml *a, uint16_t lines)
{
    put(a, 0x23);
    put_le(a, lines, 2);
    put(a, 0x18); /* level, active low, shared */
}

void aml_memory(struct aml *a, uint32_t base, uint32_t bytes)
{
    put(a, 0x86);
    put_le(a, 9, 2);
    put(a, 1); /* writable */
    put_le(a, base, 4);
    put_le(a, bytes, 4);
}

/* Address space descriptors (6.4.3.5): numbers of @width bytes. */
static void space(struct aml *a, unsigned width, uint8_t type, uint8_t type_flags, uint64_t first,
                  uint64_t last)
{
    put(a, width == 8u ? 0x8a : width == 4u ? 0x87 : 0x88);
    put_le(a, 3u + 5u * width, 2);
    put(a, type);
    put(a, 0x0c); /* producer, positive decode, minimum and maximum fixed */
    put(a, type_flags);
    put_le(a, 0, width); /* granularity */
    put_le(a, first, width);
    put_le(a, last, width);
    put_le(a, 0, width); /* translation */
    put_le(a, last - first + 1u, width);
}

void aml_word_bus(struct aml *a, uint16_t first, uint16_t last) { space(a, 2, 2, 0, first, last); }

void aml_word_io(struct aml *a, uint16_t first, uint16_t last)
{
    space(a, 2, 1, 0x03, first, last);
}

void aml_dword_memory(struct aml *a, uint32_t first, uint32_t last)
{
    space(a, 4, 0, MEMORY_FLAGS, first, last);
}

void aml_qword_memory(struct aml *a, uint64_t first, uint64_t last)
{
    space(a, 8, 0, MEMORY_FLAGS, first, last);
}
