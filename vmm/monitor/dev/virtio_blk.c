/* Block device; see virtio_blk.h. Sections are those of virtio 1.2. */
#include "virtio_blk.h"

#include <string.h>

/* 5.2.3 */
#define F_SEG_MAX      2u
#define F_RO           5u
#define F_BLK_SIZE     6u
#define F_FLUSH        9u
#define F_TOPOLOGY     10u
#define F_DISCARD      13u
#define F_WRITE_ZEROES 14u

/* 5.2.6 */
enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, WRITE_ZEROES = 13 };
enum { OK = 0, IO_ERROR = 1, UNSUPPORTED = 2 };

struct request {
    uint32_t type, reserved;
    uint64_t sector;
};

struct range {
    uint64_t sector;
    uint32_t sectors, flags;
};

_Static_assert(sizeof(struct request) == 16 && sizeof(struct range) == 16, "virtio 1.2, 5.2.6");

#define RANGE_UNMAP 1u

#define SECTOR        512u
#define QUEUE_SIZE    128u
#define ID_BYTES      20u
#define REQUEST_BYTES (1u << 30) /* no driver asks for more: EDK2's VirtioBlkDxe for so much */
#define RANGES_MAX    16u
#define RANGE_SECTORS 131072u /* 64 MiB: what one range may take of the monitor's time */

static uint64_t at_sector(const struct disk *d, uint64_t sector)
{
    return sector <= d->bytes / SECTOR ? sector * SECTOR : UINT64_MAX;
}

/* ---- requests: each leaves one byte of the chain for the status ---- */

static uint8_t do_read(struct virtio_blk *b, struct virtq_chain *c, uint64_t sector)
{
    uint64_t at = at_sector(b->disk, sector), left = c->in.left - 1u, n;
    uint8_t *to;

    if (left % SECTOR || !disk_has(b->disk, at, left)) return IO_ERROR;
    for (; (to = virtq_piece_next(&c->in, left, &n)) != NULL; at += n, left -= n)
        if (!disk_read(b->disk, at, to, n)) return IO_ERROR;
    return OK;
}

static uint8_t do_write(struct virtio_blk *b, struct virtq_chain *c, uint64_t sector)
{
    uint64_t at = at_sector(b->disk, sector), left = c->out.left, n;
    const uint8_t *from;

    if (left % SECTOR || !disk_has(b->disk, at, left)) return IO_ERROR;
    for (; (from = virtq_piece_next(&c->out, left, &n)) != NULL; at += n, left -= n)
        if (!disk_write(b->disk, at, from, n)) return IO_ERROR;
    return OK;
}

static uint8_t do_id(struct virtio_blk *b, struct virtq_chain *c)
{
    char id[ID_BYTES];

    if (c->in.left - 1u < ID_BYTES) return IO_ERROR;
    memcpy(id, b->disk->id, ID_BYTES); /* with a NUL where there is room (5.2.6.1) */
    (void)virtq_copy_in(&c->in, id, sizeof(id));
    return OK;
}

/* What is asked to be forgotten may as well be kept: parts of blocks are. */
static bool discard(struct disk *d, uint64_t at, uint64_t bytes)
{
    uint64_t from = (at + DISK_BLOCK_BYTES - 1u) / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
    uint64_t to = (at + bytes) / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;

    return disk_has(d, at, bytes) && !d->read_only && (to <= from || disk_zero(d, from, to - from));
}

static uint8_t do_ranges(struct virtio_blk *b, struct virtq_chain *c, bool zeroes)
{
    uint64_t count = c->out.left / sizeof(struct range);

    if (c->out.left % sizeof(struct range) || count > RANGES_MAX) return IO_ERROR;
    for (; count; count--) {
        struct range r;
        uint64_t at, bytes;

        (void)virtq_copy_out(&c->out, &r, sizeof(r));
        if (r.flags & ~(zeroes ? RANGE_UNMAP : 0u)) return UNSUPPORTED; /* 5.2.6.2 */
        if (r.sectors > RANGE_SECTORS) return IO_ERROR;
        at = at_sector(b->disk, r.sector);
        bytes = (uint64_t)r.sectors * SECTOR;
        if (!(zeroes ? disk_zero(b->disk, at, bytes) : discard(b->disk, at, bytes)))
            return IO_ERROR;
    }
    return OK;
}

static uint8_t do_request(struct virtio_blk *b, struct virtq_chain *c, const struct request *r)
{
    switch (r->type) {
    case IN: return do_read(b, c, r->sector);
    case OUT: return do_write(b, c, r->sector);
    case FLUSH: return disk_flush(b->disk) ? OK : IO_ERROR;
    case GET_ID: return do_id(b, c);
    case DISCARD: return do_ranges(b, c, false);
    case WRITE_ZEROES: return do_ranges(b, c, true);
    default: return UNSUPPORTED;
    }
}

static uint32_t handle(void *dev, struct virtq_chain *c)
{
    struct virtio_blk *b = dev;
    uint64_t in_bytes = c->in.left, n;
    struct request r;
    uint8_t status, *to;

    if (in_bytes == 0 || in_bytes > REQUEST_BYTES || c->out.left > REQUEST_BYTES ||
        virtq_copy_out(&c->out, &r, sizeof(r)) != sizeof(r)) {
        virtio_break(&b->virtio); /* nowhere for a status, or no request (5.2.6); or too long */
        return 0;
    }
    status = do_request(b, c, &r);
    /* What an error leaves unread is zero: all bytes before the status are counted as written. */
    while (c->in.left > 1u && (to = virtq_piece_next(&c->in, c->in.left - 1u, &n)) != NULL)
        memset(to, 0, n);
    (void)virtq_copy_in(&c->in, &status, 1);
    return (uint32_t)in_bytes;
}

static void kick(void *dev, unsigned queue)
{
    struct virtio_blk *b = dev;

    virtio_serve(&b->virtio, queue, handle);
}

bool virtio_blk_init(struct virtio_blk *b, struct pci *pci, const struct dev_host *host,
                     unsigned devfn, struct disk *disk)
{
    static const struct virtio_kind kind = {
        .name = "virtio-blk",
        .type = 2,
        .class_code = 0x010000, /* mass storage */
        .queues = 1,
        .queue_size = QUEUE_SIZE,
        .config_size = 60,
        .kick = kick,
    };
    uint64_t features = VIRTIO_BIT(F_SEG_MAX) | VIRTIO_BIT(F_BLK_SIZE) | VIRTIO_BIT(F_FLUSH) |
                        VIRTIO_BIT(F_TOPOLOGY);

    features |=
        disk->read_only ? VIRTIO_BIT(F_RO) : VIRTIO_BIT(F_DISCARD) | VIRTIO_BIT(F_WRITE_ZEROES);
    b->disk = disk;
    b->config = (struct virtio_blk_config){
        .capacity = disk->bytes / SECTOR,
        .seg_max = QUEUE_SIZE - 2u, /* beside request and status */
        .blk_size = SECTOR,
        .physical_block_exp = 3, /* whole blocks of the overlay are written without reading */
        .min_io_size = DISK_BLOCK_BYTES / SECTOR,
        .num_queues = 1,
        .max_discard_sectors = RANGE_SECTORS,
        .max_discard_seg = RANGES_MAX,
        .discard_sector_alignment = DISK_BLOCK_BYTES / SECTOR,
        .max_write_zeroes_sectors = RANGE_SECTORS,
        .max_write_zeroes_seg = RANGES_MAX,
        .write_zeroes_may_unmap = 1,
    };
    return virtio_init(&b->virtio, pci, host, devfn, &kind, features, &b->config, b);
}
