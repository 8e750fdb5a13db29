/*
 * The index has one entry per block of the disk. Blocks of the overlay that were given back form a
 * list through their first four bytes. See disk.h.
 */
#include "disk.h"

#include <string.h>

/* Entries of the index; from FIRST on: block of the overlay. */
enum { ENTRY_IMAGE = 0, ENTRY_ZERO = 1, ENTRY_FIRST = 2 };

#define BLOCK ((uint64_t)DISK_BLOCK_BYTES)

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint8_t *overlay_block(const struct disk *d, uint32_t n)
{
    return n < d->overlay_blocks ? d->overlay + n * BLOCK : NULL;
}

/* The block of the overlay that a block of the disk has, or NULL. */
static uint8_t *written_block(const struct disk *d, uint64_t block)
{
    uint32_t entry = d->index ? d->index[block] : ENTRY_IMAGE;

    return entry >= ENTRY_FIRST ? overlay_block(d, entry - ENTRY_FIRST) : NULL;
}

/* What a block held before anything was written to it: @bytes from @offset in it. */
static void read_base(const struct disk *d, uint64_t block, uint64_t offset, uint8_t *to,
                      uint64_t bytes)
{
    uint64_t at = block * BLOCK + offset, have = 0;

    if ((!d->index || d->index[block] == ENTRY_IMAGE) && at < d->image_bytes) {
        have = least(bytes, d->image_bytes - at);
        memcpy(to, d->image + at, have);
    }
    if (have < bytes) memset(to + have, 0, bytes - have);
}

static bool allocate(struct disk *d, uint32_t *n)
{
    if (d->free_first) {
        uint8_t *block = overlay_block(d, d->free_first - 1u);

        if (!block) return false;
        *n = d->free_first - 1u;
        memcpy(&d->free_first, block, sizeof(d->free_first));
        return true;
    }
    if (d->used >= d->overlay_blocks) return false;
    *n = d->used++;
    return true;
}

static void give_back(struct disk *d, uint64_t block)
{
    uint8_t *old = written_block(d, block);

    if (old) {
        memcpy(old, &d->free_first, sizeof(d->free_first));
        d->free_first = d->index[block] - ENTRY_FIRST + 1u;
    }
    d->index[block] = ENTRY_ZERO;
}

/* The block of the overlay for a write. @whole: what it held need not be kept. */
static uint8_t *block_to_write(struct disk *d, uint64_t block, bool whole)
{
    uint8_t *to = written_block(d, block);
    uint32_t n;

    if (to) return to;
    if (!allocate(d, &n)) {
        d->full++;
        return NULL;
    }
    to = d->overlay + n * BLOCK;
    if (!whole) read_base(d, block, 0, to, BLOCK);
    d->index[block] = n + ENTRY_FIRST;
    return to;
}

bool disk_read(struct disk *d, uint64_t at, void *buf, uint64_t bytes)
{
    uint8_t *to = buf;

    if (!disk_has(d, at, bytes)) return false;
    while (bytes) {
        uint64_t block = at / BLOCK, offset = at % BLOCK, n = least(bytes, BLOCK - offset);
        const uint8_t *from = written_block(d, block);

        if (from)
            memcpy(to, from + offset, n);
        else
            read_base(d, block, offset, to, n);
        to += n;
        at += n;
        bytes -= n;
    }
    return true;
}

/* @param from NULL: zeroes */
static bool write_part(struct disk *d, uint64_t at, const uint8_t *from, uint64_t n)
{
    uint8_t *to = block_to_write(d, at / BLOCK, n == BLOCK);

    if (!to) return false;
    if (from)
        memcpy(to + at % BLOCK, from, n);
    else
        memset(to + at % BLOCK, 0, n);
    return true;
}

static bool writable(const struct disk *d, uint64_t at, uint64_t bytes)
{
    return !d->read_only && d->index && disk_has(d, at, bytes);
}

bool disk_write(struct disk *d, uint64_t at, const void *buf, uint64_t bytes)
{
    const uint8_t *from = buf;

    if (!writable(d, at, bytes)) return false;
    while (bytes) {
        uint64_t n = least(bytes, BLOCK - at % BLOCK);

        if (!write_part(d, at, from, n)) return false;
        from += n;
        at += n;
        bytes -= n;
    }
    return true;
}

bool disk_zero(struct disk *d, uint64_t at, uint64_t bytes)
{
    if (!writable(d, at, bytes)) return false;
    while (bytes) {
        uint64_t n = least(bytes, BLOCK - at % BLOCK);

        if (n == BLOCK)
            give_back(d, at / BLOCK);
        else if (!write_part(d, at, NULL, n))
            return false;
        at += n;
        bytes -= n;
    }
    return true;
}

bool disk_init(struct disk *d, const struct bh_monitor_disk *config, uint8_t *memory)
{
    uint64_t blocks = (config->bytes + BLOCK - 1u) / BLOCK;
    uint64_t index_bytes = bh_disk_memory_bytes(config->bytes, 0);

    *d = (struct disk){
        .image = (const uint8_t *)(uintptr_t)config->image_va,
        .image_bytes = config->image_bytes,
        .bytes = config->bytes,
        .sector_bytes = config->flags & BH_DISK_CDROM ? 2048u : 512u,
        .read_only = (config->flags & (BH_DISK_CDROM | BH_DISK_READ_ONLY)) != 0,
    };
    memcpy(d->id, config->name, DISK_ID_CHARS);
    if (d->bytes == 0 || d->bytes % d->sector_bytes || d->image_bytes > d->bytes ||
        blocks > UINT32_MAX / 2u)
        return false;
    if (d->read_only) return true;
    if (!memory || config->memory_bytes < index_bytes) return false;
    d->index = (uint32_t *)(void *)memory;
    d->overlay = memory + index_bytes;
    d->overlay_blocks = (uint32_t)least((config->memory_bytes - index_bytes) / BLOCK, blocks);
    return true;
}

/* ---- saving: index and overlay are device memory, which is saved as such ---- */

static bool loaded(void *dev)
{
    const struct disk *d = dev;

    /* Entries and links are checked where they are followed. */
    return d->used <= d->overlay_blocks && d->free_first <= d->overlay_blocks;
}

static const struct state_member members[] = {
    STATE_MEMBER(struct disk, used),
    STATE_MEMBER(struct disk, free_first),
    STATE_MEMBER(struct disk, full),
};

const struct dev_state disk_state = DEV_STATE("disk", 1, members, loaded);
