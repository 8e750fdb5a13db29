/*
 * Writes SMBIOS tables; see smbios.h. Section numbers are those of DSP0134 2.8. Strings follow the
 * formatted part of each structure and are numbered from 1 (6.1.3).
 */
#include "smbios.h"

#include <string.h>

#define VERSION_MAJOR 2u
#define VERSION_MINOR 8u

#define MIB           0x100000ull
#define GIB           0x40000000ull
#define HIGH_RAM_BASE 0x100000000ull

/* Handles: type in the upper byte. */
#define HANDLE(type, n) ((uint16_t)((type) << 8 | (n)))

struct out {
    uint8_t *buf;
    size_t len;
    uint8_t *table; /* the structure being written */
    uint8_t strings;
    bool full;
};

static void set_le(uint8_t *p, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) p[i] = (uint8_t)(value >> i * 8u);
}

static void set(struct out *o, unsigned at, uint64_t value, unsigned bytes)
{
    set_le(o->table + at, value, bytes);
}

/* Begin a structure: its formatted part, zero. A structure that does not fit is written over the
 * first one, and the whole counts for nothing. */
static void begin(struct out *o, uint8_t type, uint16_t handle, uint8_t bytes)
{
    if (SMBIOS_MAX_BYTES - o->len < (size_t)bytes + 2u) {
        o->full = true;
        o->len = 0;
    }
    o->table = o->buf + o->len;
    memset(o->table, 0, bytes);
    o->table[0] = type;
    o->table[1] = bytes;
    set(o, 2, handle, 2);
    o->len += bytes;
    o->strings = 0;
}

/* Append a string and store its number at @at. */
static void string(struct out *o, unsigned at, const char *text)
{
    size_t bytes = strlen(text) + 1u;

    if (bytes == 1u) return;
    if (SMBIOS_MAX_BYTES - o->len < bytes + 1u) {
        o->full = true;
        return;
    }
    memcpy(o->buf + o->len, text, bytes);
    o->len += bytes;
    o->table[at] = ++o->strings;
}

static void end(struct out *o)
{
    unsigned zeroes = o->strings ? 1u : 2u;

    if (SMBIOS_MAX_BYTES - o->len < zeroes) {
        o->full = true;
        return;
    }
    memset(o->buf + o->len, 0, zeroes);
    o->len += zeroes;
}

/* 7.1 BIOS information */
static void bios(struct out *o, const struct smbios_info *info)
{
    begin(o, 0, HANDLE(0, 0), 0x18);
    string(o, 4, "Bulkhead");
    string(o, 5, info->version);
    set(o, 6, 0xf000, 2); /* starting segment */
    string(o, 8, "01/01/2026");
    o->table[9] = 0;       /* 64 KiB */
    set(o, 0x0a, 0x8, 8);  /* no characteristics to tell */
    o->table[0x13] = 0x14; /* extension: virtual machine; targeted content distribution */
    o->table[0x14] = o->table[0x15] = 0;    /* release 0.0 */
    o->table[0x16] = o->table[0x17] = 0xff; /* no embedded controller */
    end(o);
}

/* 7.2 system information */
static void system(struct out *o, const struct smbios_info *info)
{
    begin(o, 1, HANDLE(1, 0), 0x1b);
    string(o, 4, "Bulkhead");
    string(o, 5, "Virtual PC");
    string(o, 6, info->version);
    string(o, 7, info->name);
    /* The first three fields of a UUID are little-endian here (7.2.1). */
    for (unsigned i = 0; i < 16u; i++) {
        static const uint8_t from[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

        o->table[8 + i] = info->uuid[from[i]];
    }
    o->table[0x18] = 6; /* power switch */
    end(o);
}

/* 7.4 system enclosure */
static void enclosure(struct out *o)
{
    begin(o, 3, HANDLE(3, 0), 0x16);
    string(o, 4, "Bulkhead");
    o->table[5] = 1;                                   /* other */
    o->table[9] = o->table[0x0a] = o->table[0x0b] = 3; /* states: safe */
    o->table[0x0c] = 2;                                /* security: unknown */
    end(o);
}

/* 7.5 processor information: one socket a vCPU */
static void processor(struct out *o, const struct smbios_info *info, unsigned n)
{
    char socket[] = "CPU 00";

    socket[4] = (char)('0' + n / 10u);
    socket[5] = (char)('0' + n % 10u);
    begin(o, 4, HANDLE(4, n), 0x2a);
    string(o, 4, socket);
    o->table[5] = 3; /* central processor */
    o->table[6] = 1; /* family: other */
    string(o, 7, info->amd ? "AMD" : "Intel");
    set(o, 8, info->cpu_signature, 4);
    set(o, 12, info->cpu_features, 4);
    o->table[0x11] = 0; /* voltage unknown */
    set(o, 0x14, info->mhz, 2);
    set(o, 0x16, info->mhz, 2);
    o->table[0x18] = 0x41;   /* populated, enabled */
    o->table[0x19] = 1;      /* upgrade: other */
    set(o, 0x1a, 0xffff, 2); /* caches: not provided */
    set(o, 0x1c, 0xffff, 2);
    set(o, 0x1e, 0xffff, 2);
    o->table[0x23] = o->table[0x24] = o->table[0x25] = 1; /* cores, enabled, threads */
    set(o, 0x26, 0x4, 2);                                 /* 64-bit capable */
    set(o, 0x28, 1, 2);
    end(o);
}

/* 7.17 physical memory array */
static void memory_array(struct out *o, const struct smbios_info *info)
{
    begin(o, 16, HANDLE(16, 0), 0x17);
    o->table[4] = 1; /* location: other */
    o->table[5] = 3; /* system memory */
    o->table[6] = 6; /* multi-bit ECC */
    if (info->ram_bytes < 0x80000000ull * 1024u) {
        set(o, 7, info->ram_bytes / 1024u, 4);
    } else {
        set(o, 7, 0x80000000u, 4);
        set(o, 0x0f, info->ram_bytes, 8);
    }
    set(o, 0x0b, 0xfffe, 2); /* no error handle */
    set(o, 0x0d, 1, 2);
    end(o);
}

/* 7.18 memory device */
static void memory_device(struct out *o, const struct smbios_info *info)
{
    uint64_t mib = info->ram_bytes / MIB;

    begin(o, 17, HANDLE(17, 0), 0x28);
    set(o, 4, HANDLE(16, 0), 2);
    set(o, 6, 0xfffe, 2);
    set(o, 8, 0xffff, 2); /* widths unknown */
    set(o, 0x0a, 0xffff, 2);
    if (mib < 0x7fffu) {
        set(o, 0x0c, mib, 2);
    } else {
        set(o, 0x0c, 0x7fff, 2);
        set(o, 0x1c, mib, 4);
    }
    o->table[0x0e] = 9; /* DIMM */
    string(o, 0x10, "DIMM 0");
    o->table[0x12] = 7;   /* RAM */
    set(o, 0x13, 0x2, 2); /* other */
    string(o, 0x17, "Bulkhead");
    end(o);
}

/* 7.20 memory array mapped address */
static void memory_mapping(struct out *o, unsigned n, uint64_t first, uint64_t bytes)
{
    uint64_t last = first + bytes - 1u;

    begin(o, 19, HANDLE(19, n), 0x1f);
    if (last / 1024u < UINT32_MAX) {
        set(o, 4, first / 1024u, 4);
        set(o, 8, last / 1024u, 4);
    } else {
        set(o, 4, UINT32_MAX, 4);
        set(o, 8, UINT32_MAX, 4);
        set(o, 0x0f, first, 8);
        set(o, 0x17, last, 8);
    }
    set(o, 0x0c, HANDLE(16, 0), 2);
    o->table[0x0e] = 1;
    end(o);
}

size_t smbios_build(const struct smbios_info *info, uint8_t buf[SMBIOS_MAX_BYTES])
{
    struct out o = {.buf = buf};

    if (info->firmware_table) bios(&o, info);
    system(&o, info);
    enclosure(&o);
    for (unsigned n = 0; n < info->cpus; n++) processor(&o, info, n);
    memory_array(&o, info);
    memory_device(&o, info);
    memory_mapping(&o, 0, 0, info->ram_low_bytes);
    if (info->ram_bytes > info->ram_low_bytes)
        memory_mapping(&o, 1, HIGH_RAM_BASE, info->ram_bytes - info->ram_low_bytes);
    begin(&o, 32, HANDLE(32, 0), 0x0b); /* 7.33 boot information: no errors detected */
    end(&o);
    begin(&o, 127, HANDLE(127, 0), 4);
    end(&o);
    return o.full ? 0 : o.len;
}

static uint8_t negative_sum(const uint8_t *p, size_t bytes)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < bytes; i++) sum = (uint8_t)(sum + p[i]);
    return (uint8_t)(0u - sum);
}

/* 5.2.1 */
void smbios_entry(const uint8_t *tables, size_t bytes, uint32_t address,
                  uint8_t entry[SMBIOS_ENTRY_BYTES])
{
    size_t longest = 0, count = 0;

    for (size_t at = 0; at < bytes; count++) {
        size_t first = at;

        at += tables[at + 1u];
        while (tables[at] || tables[at + 1u]) at++;
        at += 2u;
        if (at - first > longest) longest = at - first;
    }
    memset(entry, 0, SMBIOS_ENTRY_BYTES);
    memcpy(entry, "_SM_", 4);
    entry[5] = SMBIOS_ENTRY_BYTES;
    entry[6] = VERSION_MAJOR;
    entry[7] = VERSION_MINOR;
    set_le(entry + 8, longest, 2);
    memcpy(entry + 0x10, "_DMI_", 5);
    set_le(entry + 0x16, bytes, 2);
    set_le(entry + 0x18, address, 4);
    set_le(entry + 0x1c, count, 2);
    entry[0x1e] = VERSION_MAJOR << 4 | VERSION_MINOR;
    entry[0x15] = negative_sum(entry + 0x10, 15);
    entry[4] = negative_sum(entry, SMBIOS_ENTRY_BYTES);
}

/* The finalizer of splitmix64: every bit of the result depends on every bit of the input. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

void smbios_uuid(const char *name, uint8_t uuid[16])
{
    uint64_t half[2] = {0x42756c6b68656164ull, 0x5669727475616c21ull};

    for (unsigned h = 0; h < 2u; h++) {
        for (const char *p = name; *p; p++) half[h] = mix(half[h] + (uint8_t)*p + 1u);
        half[h] = mix(half[h]);
    }
    memcpy(uuid, half, 16);
    uuid[6] = (uint8_t)((uuid[6] & 0x0fu) | 0x40u); /* RFC 4122: version 4, variant 1 */
    uuid[8] = (uint8_t)((uuid[8] & 0x3fu) | 0x80u);
}
