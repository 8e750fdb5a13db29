/*
 * A disk in memory: a base image that is never written, under an overlay that takes what the guest
 * writes, 4 KiB at a time. Read and written in bytes, so that a controller copies straight between
 * the disk and the guest's scattered buffers. Knows nothing of any bus. Calls memcpy and memset
 * only; never trusts what its own tables say beyond what it has checked, because a saved VM's
 * tables come from a file.
 */
#ifndef VMM_MONITOR_DEV_DISK_H
#define VMM_MONITOR_DEV_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include "bulkhead/monitor.h"
#include "state.h"

#define DISK_BLOCK_BYTES 4096u
#define DISK_ID_CHARS    20u /* virtio 1.2, 5.2.6.1; ATA8-ACS, table 12: a serial number as well */

struct disk {
    /* what it is: set by init */
    const uint8_t *image;
    uint64_t image_bytes;  /* what is behind them up to bytes reads as zero */
    uint64_t bytes;        /* a multiple of sector_bytes */
    uint32_t sector_bytes; /* 512; 2048: a CD */
    bool read_only;
    char id[DISK_ID_CHARS + 1u];
    uint32_t *index;         /* per block of the disk: enum in disk.c */
    uint8_t *overlay;        /* its blocks */
    uint32_t overlay_blocks; /* how many there are */

    /* state, with what index and overlay hold */
    uint32_t used;       /* blocks of the overlay that have been handed out so far */
    uint32_t free_first; /* given back: number of the first of a list, plus one; 0: none */
    uint64_t full;       /* writes that found the overlay full */
};

extern const struct dev_state disk_state;

/**
 * @param memory of the overlay and its index, as bh_disk_memory_bytes() says, zero; NULL: a disk
 *               that is only read
 * @return false: sizes that do not fit each other
 */
bool disk_init(struct disk *d, const struct bh_monitor_disk *config, uint8_t *memory);

static inline uint64_t disk_sectors(const struct disk *d) { return d->bytes / d->sector_bytes; }

/** Is [at, at + bytes) on the disk? */
static inline bool disk_has(const struct disk *d, uint64_t at, uint64_t bytes)
{
    return at <= d->bytes && bytes <= d->bytes - at;
}

/**
 * Move @bytes from or to byte @at of the disk; any number of them, of any alignment. @buf may be
 * guest memory, changing meanwhile.
 * @return false: beyond the disk's end, a write to a disk that is only read, or no room left in the
 *         overlay: then some of it may have been written
 */
bool disk_read(struct disk *d, uint64_t at, void *buf, uint64_t bytes);
bool disk_write(struct disk *d, uint64_t at, const void *buf, uint64_t bytes);
/** Write zeroes; gives whole blocks of the overlay back. The same errors. */
bool disk_zero(struct disk *d, uint64_t at, uint64_t bytes);
/** What is written stays written for as long as the VM lives: nothing is left to do. */
static inline bool disk_flush(struct disk *d) { return d->bytes != 0; }

#endif
