/*
 * A block device (virtio 1.2, 5.2) in front of a disk in memory. May call: virtio, the disk.
 */
#ifndef VMM_MONITOR_DEV_VIRTIO_BLK_H
#define VMM_MONITOR_DEV_VIRTIO_BLK_H

#include <stddef.h>
#include "disk.h"
#include "virtio.h"

/** Configuration space, 5.2.4. */
struct virtio_blk_config {
    uint64_t capacity; /* sectors of 512 bytes, whatever blk_size */
    uint32_t size_max, seg_max;
    uint16_t cylinders;
    uint8_t heads, sectors;
    uint32_t blk_size;
    uint8_t physical_block_exp, alignment_offset;
    uint16_t min_io_size;
    uint32_t opt_io_size;
    uint8_t writeback, unused0;
    uint16_t num_queues;
    uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
    uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap, unused1[3];
};

_Static_assert(sizeof(struct virtio_blk_config) == 64, "virtio 1.2, 5.2.4, and padding");
_Static_assert(offsetof(struct virtio_blk_config, write_zeroes_may_unmap) == 56, "5.2.4");

struct virtio_blk {
    struct virtio virtio; /* holds all the state there is beside the disk's */
    struct disk *disk;
    struct virtio_blk_config config;
};

bool virtio_blk_init(struct virtio_blk *b, struct pci *pci, const struct dev_host *host,
                     unsigned devfn, struct disk *disk);

#endif
