/*
 * The script of the ACPI table loader; see acpi_loader.h. Finds every address by walking the tables
 * from the RSDP (ACPI 6.3, 5.2.5 to 5.2.9), so it does not depend on which tables there are. Pure:
 * writes the buffers it is given.
 */
#include "acpi_loader.h"

#include <string.h>

#define COMMAND_ALLOCATE 1u
#define COMMAND_POINTER  2u
#define COMMAND_CHECKSUM 3u
#define ZONE_HIGH        1u
#define ZONE_F_SEGMENT   2u
#define FILE_BYTES       56u

#define HEADER_BYTES    36u
#define HEADER_LENGTH   4u
#define HEADER_CHECKSUM 9u
#define RSDP_CHECKSUM   8u  /* of the first 20 bytes */
#define RSDP_RSDT       16u /* 4 bytes */
#define RSDP_XSDT       24u /* 8 bytes */
#define RSDP_CHECKSUM_2 32u /* of all of it */
#define FADT_FACS       36u /* 4 bytes */
#define FADT_DSDT       40u /* 4 bytes */
#define FADT_X_FACS     132u
#define FADT_X_DSDT     140u

struct walk {
    struct acpi_loader *l;
    uint8_t *tables;
    size_t bytes;
};

static uint64_t get_le(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)p[i] << i * 8u;
    return value;
}

static void set_le(uint8_t *p, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) p[i] = (uint8_t)(value >> i * 8u);
}

/* Room for a command, NULL: none. */
static uint8_t *command(struct acpi_loader *l, unsigned kind, const char *file)
{
    uint8_t *c = l->script + l->script_bytes;

    if (l->script_bytes + ACPI_LOADER_COMMAND_BYTES > sizeof(l->script)) return NULL;
    l->script_bytes += ACPI_LOADER_COMMAND_BYTES;
    memset(c, 0, ACPI_LOADER_COMMAND_BYTES);
    set_le(c, kind, 4);
    memcpy(c + 4, file, strlen(file));
    return c;
}

static bool allocate(struct acpi_loader *l, const char *file, unsigned align, unsigned zone)
{
    uint8_t *c = command(l, COMMAND_ALLOCATE, file);

    if (!c) return false;
    set_le(c + 4 + FILE_BYTES, align, 4);
    c[8 + FILE_BYTES] = (uint8_t)zone;
    return true;
}

/* The @size bytes at @at of @file are an offset into the tables. */
static bool pointer(struct acpi_loader *l, const char *file, size_t at, unsigned size)
{
    uint8_t *c = command(l, COMMAND_POINTER, file);

    if (!c) return false;
    memcpy(c + 4 + FILE_BYTES, ACPI_LOADER_TABLES_FILE, sizeof(ACPI_LOADER_TABLES_FILE));
    set_le(c + 4 + 2u * FILE_BYTES, at, 4);
    c[8 + 2u * FILE_BYTES] = (uint8_t)size;
    return true;
}

static bool checksum(struct acpi_loader *l, const char *file, size_t at, size_t start,
                     size_t length)
{
    uint8_t *c = command(l, COMMAND_CHECKSUM, file);

    if (!c) return false;
    set_le(c + 4 + FILE_BYTES, at, 4);
    set_le(c + 8 + FILE_BYTES, start, 4);
    set_le(c + 12 + FILE_BYTES, length, 4);
    return true;
}

/* @return length of the table at @at; 0: there is none */
static size_t table_bytes(const struct walk *w, uint64_t at)
{
    size_t length;

    if (at > w->bytes || w->bytes - at < HEADER_BYTES) return 0;
    length = (size_t)get_le(w->tables + at + HEADER_LENGTH, 4);
    return length >= HEADER_BYTES && length <= w->bytes - at ? length : 0;
}

static bool table_checksum(const struct walk *w, uint64_t at, size_t length)
{
    w->tables[at + HEADER_CHECKSUM] = 0;
    return checksum(w->l, ACPI_LOADER_TABLES_FILE, at + HEADER_CHECKSUM, at, length);
}

/* An address in a table; 0 means that there is none, and stays. */
static bool field(const struct walk *w, uint64_t at, unsigned size)
{
    uint64_t to = get_le(w->tables + at, size);

    return to == 0 || (to < w->bytes && pointer(w->l, ACPI_LOADER_TABLES_FILE, at, size));
}

static bool fadt(const struct walk *w, uint64_t at, size_t length)
{
    return length >= FADT_X_DSDT + 8u && field(w, at + FADT_FACS, 4) &&
           field(w, at + FADT_DSDT, 4) && field(w, at + FADT_X_FACS, 8) &&
           field(w, at + FADT_X_DSDT, 8) && table_checksum(w, at, length);
}

/* RSDT or XSDT. The FADT is in both, and seen to once. */
static bool root(const struct walk *w, uint64_t at, unsigned entry_bytes)
{
    size_t length = table_bytes(w, at);

    if (!length || (length - HEADER_BYTES) % entry_bytes != 0) return false;
    for (size_t i = HEADER_BYTES; i < length; i += entry_bytes) {
        uint64_t to = get_le(w->tables + at + i, entry_bytes);
        size_t to_bytes = table_bytes(w, to);

        if (!to_bytes || !field(w, at + i, entry_bytes)) return false;
        if (entry_bytes == 8u && memcmp(w->tables + to, "FACP", 4) == 0 && !fadt(w, to, to_bytes))
            return false;
    }
    return table_checksum(w, at, length);
}

bool acpi_loader_build(struct acpi_loader *l, uint8_t *tables, size_t bytes)
{
    const struct walk w = {l, tables, bytes};
    const char *rsdp = ACPI_LOADER_RSDP_FILE;

    memset(l, 0, sizeof(*l));
    if (bytes > UINT32_MAX || bytes < sizeof(l->rsdp) || memcmp(tables, "RSD PTR ", 8) != 0)
        return false;
    memcpy(l->rsdp, tables, sizeof(l->rsdp));
    memset(tables, 0, sizeof(l->rsdp));
    l->rsdp[RSDP_CHECKSUM] = l->rsdp[RSDP_CHECKSUM_2] = 0;
    return allocate(l, rsdp, 16, ZONE_F_SEGMENT) &&
           allocate(l, ACPI_LOADER_TABLES_FILE, 64, ZONE_HIGH) &&
           root(&w, get_le(l->rsdp + RSDP_RSDT, 4), 4) &&
           root(&w, get_le(l->rsdp + RSDP_XSDT, 8), 8) && pointer(l, rsdp, RSDP_RSDT, 4) &&
           pointer(l, rsdp, RSDP_XSDT, 8) && checksum(l, rsdp, RSDP_CHECKSUM, 0, 20) &&
           checksum(l, rsdp, RSDP_CHECKSUM_2, 0, ACPI_LOADER_RSDP_BYTES);
}
