/*
 * The file of a saved VM, written to and read from one piece of memory: a header, then sections in
 * a fixed order, each with its name, the layout it was written by and a CRC-32C; memory as runs of
 * pages that are not zero, each with a CRC of its own. Same source on the host. Believes nothing
 * that it reads. May call: crc32c(), fmt_buf(), memcpy-class functions.
 */
#ifndef VMM_MONITOR_SAVE_FILE_H
#define VMM_MONITOR_SAVE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "dev/state.h"

#define SAVE_MAGIC      0x4556415356484200ull /* "\0BHVSAVE", little-endian */
#define SAVE_VERSION    1u
#define SAVE_NAME_CHARS 16u
#define SAVE_RUN_PAGES  64u /* of memory, under one CRC */

/** What must be the same in the VM that is restored, and when it was saved. */
struct save_header {
    uint64_t magic;
    uint32_t version;
    uint32_t nvcpus;
    uint64_t total_bytes; /* of the file */
    uint64_t ram_bytes, device_ram_bytes;
    uint64_t host_tsc; /* when the VM stood still */
    uint64_t guest_ns; /* its clock then */
    uint32_t tsc_khz;
    uint32_t config; /* CRC of what else the virtual PC consists of */
    char cpu_model[32];
    uint32_t reserved;
    uint32_t crc; /* of all above */
};

struct save_section {
    char name[SAVE_NAME_CHARS]; /* not terminated when all are used */
    uint32_t instance;
    uint32_t version;
    uint64_t bytes;  /* of what follows, a multiple of 8 */
    uint32_t layout; /* CRC of the names and sizes of the members */
    uint32_t data_crc;
    uint32_t reserved;
    uint32_t crc; /* of all above */
};

/** One run of pages; their contents follow. */
struct save_run {
    uint64_t offset;
    uint32_t pages; /* 1..SAVE_RUN_PAGES */
    uint32_t crc;   /* of the contents */
};

_Static_assert(sizeof(struct save_header) == 104, "file format");
_Static_assert(sizeof(struct save_section) == 48, "file format");
_Static_assert(sizeof(struct save_run) == 16, "file format");

/** A file on its way out or in. */
struct save_file {
    uint8_t *bytes;
    uint64_t size_bytes; /* room when writing, length when reading */
    uint64_t at;
    uint64_t section;                 /* offset of the one that is open */
    bool full;                        /* there was no room: nothing of the file counts */
    const char *error;                /* reading: what is wrong, in words; NULL: nothing so far */
    char where[SAVE_NAME_CHARS + 1u]; /* section that it was found in */
    char text[112];                   /* of an error that is put together */
};

/* ---- writing: nothing fails before save_end() ---- */

void save_begin(struct save_file *f, uint8_t *bytes, uint64_t room_bytes);
void save_state(struct save_file *f, const struct dev_state *state, const void *dev,
                uint32_t instance);
/** @param bytes a multiple of 4096
 *  @param absent a bit for each 2 MiB that cannot be looked at and counts as zero; NULL: none */
void save_memory(struct save_file *f, const char *name, const uint8_t *memory, uint64_t bytes,
                 const uint64_t *absent);
/** Close the file. @param h all but magic, version, total_bytes and crc.
 *  @return its length; 0: the room was too small */
uint64_t save_end(struct save_file *f, const struct save_header *h);

/* ---- reading: each false leaves f->error and f->where ---- */

/** Check length, header and everything that tells what the file was made by.
 *  @param expected header of the VM that is to become this one: all that must agree; NULL: any */
bool save_open(struct save_file *f, uint8_t *bytes, uint64_t length_bytes,
               const struct save_header *expected, struct save_header *h);
/** After save_open(): all that is left is whole; nothing is loaded, f is at its end. */
bool save_check(struct save_file *f);
/** The next section must be this device's: its members are overwritten, and checked by it. */
bool save_load_state(struct save_file *f, const struct dev_state *state, void *dev,
                     uint32_t instance);
/** @param memory zero; gets what is not */
bool save_load_memory(struct save_file *f, const char *name, uint8_t *memory, uint64_t bytes);
/** Nothing may be left. */
bool save_close(struct save_file *f);

#endif
