/*
 * The ATA command set of a drive (ATA8-ACS, clause 7), by one table. See ata.h. What ATA8 has made
 * obsolete is aborted, but for addresses as cylinder, head and sector, which firmware may use.
 */
#include "ata.h"
#include "atapi.h"

#include <string.h>

#define STATUS_GOOD (ATA_DRDY | ATA_DSC)
#define HEADS       16u
#define TRACK       63u
#define LBA28_MASK  0x0fffffffull
#define LBA48_MASK  0xffffffffffffull

#define POWER_ACTIVE  0xffu /* as CHECK POWER MODE says it (ATA8-ACS, table 21) */
#define POWER_IDLE    0x80u
#define POWER_STANDBY 0x00u

#define MODE_UDMA5 0x45u
#define DIAGNOSED  0x01u /* error register after a reset: the drive is fine */

enum { ON_DISK = 1, ON_CD = 2 };

/* How a command says where and how much. */
enum { NO_ADDRESS, LBA28, LBA48, LBA_QUEUED };

struct entry {
    void (*begin)(struct ata_drive *d, const struct ata_command *c);
    uint8_t drives, address, protocol;
    bool out;
};

void ata_fail(struct ata_drive *d, uint8_t error)
{
    struct ata_state *s = &d->s;

    s->status = STATUS_GOOD | ATA_ERR;
    s->error = error;
    s->left = 0;
    if (s->protocol != ATA_QUEUED) return;
    /* ATA8-ACS, A.14: what READ LOG EXT will say of it. */
    s->queue_failed = true;
    memset(s->failed_log, 0, sizeof(s->failed_log));
    s->failed_log[0] = s->tag;
    s->failed_log[2] = s->status;
    s->failed_log[3] = error;
    for (unsigned i = 0; i < 3u; i++) {
        s->failed_log[4u + i] = (uint8_t)(s->lba >> (8u * i));
        s->failed_log[8u + i] = (uint8_t)(s->lba >> (24u + 8u * i));
    }
    s->failed_log[7] = s->device;
}

static void finish(struct ata_drive *d)
{
    d->s.status = STATUS_GOOD;
    d->s.error = 0;
}

void ata_give_buffer(struct ata_drive *d, uint32_t bytes, enum ata_protocol protocol)
{
    d->s.protocol = (uint8_t)protocol;
    d->s.source = ATA_FROM_BUFFER;
    d->s.at = 0;
    d->s.left = d->s.total = bytes;
    d->s.block_bytes = bytes;
    d->s.out = false;
}

/* ---- addresses (ATA8-ACS, 4.11) ---- */

static uint32_t sector_count(const struct ata_command *c, unsigned address)
{
    if (address == LBA_QUEUED) return c->features ? c->features : 65536u;
    if (address == LBA48) return c->count ? c->count : 65536u;
    return c->count & 0xffu ? c->count & 0xffu : 256u;
}

/* @return UINT64_MAX: no such place */
static uint64_t first_sector(const struct ata_command *c, unsigned address)
{
    uint32_t sector = c->lba & 0xffu, cylinder = (uint32_t)(c->lba >> 8) & 0xffffu;

    if (address != LBA28) return c->device & ATA_LBA_MODE ? c->lba & LBA48_MASK : UINT64_MAX;
    if (c->device & ATA_LBA_MODE) return (c->lba & 0xffffffu) | (uint64_t)(c->device & 0xfu) << 24;
    if (sector == 0 || sector > TRACK) return UINT64_MAX;
    return ((uint64_t)cylinder * HEADS + (c->device & 0xfu)) * TRACK + sector - 1u;
}

/* The sectors that the command names. @return false: they are not on the disk; it has failed */
static bool sectors(struct ata_drive *d, const struct ata_command *c, unsigned address,
                    uint64_t *first, uint32_t *count)
{
    uint64_t all = disk_sectors(d->disk);

    *first = first_sector(c, address);
    *count = sector_count(c, address);
    if (*first < all && *count <= all - *first) return true;
    ata_fail(d, ATA_IDNF | (address == LBA_QUEUED ? ATA_ABRT : 0));
    return false;
}

/* ---- commands ---- */

static const struct entry *entry_of(uint8_t command);

static void transfer(struct ata_drive *d, const struct ata_command *c)
{
    const struct entry *e = entry_of(c->command);
    struct ata_state *s = &d->s;
    uint32_t count;
    uint64_t first;

    if (!sectors(d, c, e->address, &first, &count)) return;
    s->source = ATA_FROM_DISK;
    s->at = first * ATA_SECTOR_BYTES;
    s->left = s->total = count * ATA_SECTOR_BYTES;
    s->block_bytes = ATA_SECTOR_BYTES;
}

/* READ and WRITE MULTIPLE: a block is as SET MULTIPLE MODE said, or the command is aborted. */
static void transfer_multiple(struct ata_drive *d, const struct ata_command *c)
{
    if (d->s.multiple == 0) {
        ata_fail(d, ATA_ABRT);
        return;
    }
    transfer(d, c);
    d->s.block_bytes = d->s.multiple * ATA_SECTOR_BYTES;
}

static void verify(struct ata_drive *d, const struct ata_command *c)
{
    uint32_t count;
    uint64_t first;

    (void)sectors(d, c, entry_of(c->command)->address, &first, &count);
}

static void nothing(struct ata_drive *d, const struct ata_command *c)
{
    (void)d;
    (void)c;
}

static void flush(struct ata_drive *d, const struct ata_command *c)
{
    (void)c;
    if (!disk_flush(d->disk)) ata_fail(d, ATA_ABRT);
}

static void read_native_max(struct ata_drive *d, const struct ata_command *c)
{
    uint64_t last = disk_sectors(d->disk) - 1u;

    if (!(c->device & ATA_LBA_MODE)) {
        ata_fail(d, ATA_ABRT);
    } else if (entry_of(c->command)->address == LBA48) {
        d->s.lba = last;
    } else {
        last = last < LBA28_MASK ? last : LBA28_MASK;
        d->s.lba = last & 0xffffffu;
        d->s.device = (uint8_t)((d->s.device & 0xf0u) | last >> 24);
    }
}

static void power_mode(struct ata_drive *d, const struct ata_command *c)
{
    bool idle = c->command == 0xe1u || c->command == 0xe3u;

    d->s.power = idle ? POWER_IDLE : POWER_STANDBY;
}

static void check_power_mode(struct ata_drive *d, const struct ata_command *c)
{
    (void)c;
    d->s.count = d->s.power;
}

static void set_multiple(struct ata_drive *d, const struct ata_command *c)
{
    uint8_t n = (uint8_t)c->count;

    if (n > 16u || (n & (n - 1u)))
        ata_fail(d, ATA_ABRT);
    else
        d->s.multiple = n;
}

/* ATA8-ACS, table 49: PIO to mode 4, multiword DMA to 2, Ultra DMA to 6. */
static bool transfer_mode_known(uint8_t mode)
{
    return mode <= 1u || (mode >= 0x08u && mode <= 0x0cu) || (mode >= 0x20u && mode <= 0x22u) ||
           (mode >= 0x40u && mode <= 0x46u);
}

static void set_features(struct ata_drive *d, const struct ata_command *c)
{
    switch (c->features & 0xffu) {
    case 0x02: d->s.write_cache = true; break;
    case 0x82: d->s.write_cache = false; break;
    case 0xaa: d->s.look_ahead = true; break;
    case 0x55: d->s.look_ahead = false; break;
    case 0x66:
    case 0xcc: break; /* whether a software reset keeps settings: they are reset either way */
    case 0x03:
        if (transfer_mode_known((uint8_t)c->count)) {
            if ((c->count & 0xffu) >= 0x20u) d->s.transfer_mode = (uint8_t)c->count;
            break;
        }
        ata_fail(d, ATA_ABRT);
        break;
    default: ata_fail(d, ATA_ABRT); break;
    }
}

static void identify(struct ata_drive *d, const struct ata_command *c)
{
    (void)c;
    ata_identify(d);
    ata_give_buffer(d, ATA_SECTOR_BYTES, ATA_PIO);
}

static void signature(struct ata_drive *d)
{
    d->s.count = 1;
    d->s.lba = d->cdrom ? 0xeb1401u : 0x000001u;
    d->s.device = 0;
}

/* A CD-ROM drive aborts IDENTIFY DEVICE and READ SECTORS with its signature (ATA8-ACS, 4.3). */
static void abort_signed(struct ata_drive *d, const struct ata_command *c)
{
    (void)c;
    signature(d);
    ata_fail(d, ATA_ABRT);
}

static void identify_or_sign(struct ata_drive *d, const struct ata_command *c)
{
    if (d->cdrom)
        abort_signed(d, c);
    else
        identify(d, c);
}

static void read_or_sign(struct ata_drive *d, const struct ata_command *c)
{
    if (d->cdrom)
        abort_signed(d, c);
    else
        transfer(d, c);
}

static void diagnose(struct ata_drive *d, const struct ata_command *c)
{
    (void)c;
    signature(d);
    d->s.error = DIAGNOSED;
}

static void device_reset(struct ata_drive *d, const struct ata_command *c)
{
    (void)c;
    ata_reset(d);
}

static void read_log(struct ata_drive *d, const struct ata_command *c)
{
    uint16_t page = (uint16_t)((c->lba >> 8 & 0xffu) | (c->lba >> 24 & 0xff00u));

    if (c->count != 1u || !ata_log_page(d, (uint8_t)c->lba, page))
        ata_fail(d, ATA_ABRT);
    else
        ata_give_buffer(d, ATA_SECTOR_BYTES, ATA_PIO);
}

/* DATA SET MANAGEMENT (ATA8-ACS, 7.10): one block of ranges comes first. */
static void trim(struct ata_drive *d, const struct ata_command *c)
{
    if (!(c->features & 1u) || c->count != 1u) {
        ata_fail(d, ATA_ABRT);
        return;
    }
    ata_give_buffer(d, ATA_SECTOR_BYTES, ATA_DMA);
    d->s.out = true;
    d->s.tail = 0;
}

/* One range, or padding: no sectors, from anywhere. @return false: there are more. */
static bool trim_step(struct ata_drive *d)
{
    uint64_t range, lba, count, all = disk_sectors(d->disk);

    /* The block of ranges has not come whole, or all of them are done. */
    if (d->s.at != ATA_SECTOR_BYTES || d->s.tail >= ATA_SECTOR_BYTES) return true;
    memcpy(&range, d->s.buffer + d->s.tail, sizeof(range));
    lba = range & LBA48_MASK;
    count = range >> 48;
    d->s.tail += (uint16_t)sizeof(range);
    if (count && (lba >= all || count > all - lba))
        ata_fail(d, ATA_IDNF);
    else if (count && !disk_zero(d->disk, lba * ATA_SECTOR_BYTES, count * ATA_SECTOR_BYTES))
        ata_fail(d, ATA_ABRT);
    return (d->s.status & ATA_ERR) || d->s.tail >= ATA_SECTOR_BYTES;
}

static void packet(struct ata_drive *d, const struct ata_command *c)
{
    bool dma = (c->features & 1u) != 0;
    uint32_t limit = (uint32_t)(c->lba >> 8) & 0xfffeu;

    d->s.protocol = (uint8_t)(dma ? ATA_DMA : ATA_PACKET_PIO);
    atapi_begin(d, c->packet);
    d->s.block_bytes = limit ? limit : 0xfffeu;
}

/* ATA8-ACS, table 11, and for the CD-ROM drive table 12. Not there: aborted. */
static const struct entry table[256] = {
    [0x06] = {trim, ON_DISK, NO_ADDRESS, ATA_DMA, true},
    [0x08] = {device_reset, ON_CD, NO_ADDRESS, ATA_NONE, false},
    [0x20] = {read_or_sign, ON_DISK | ON_CD, LBA28, ATA_PIO, false},
    [0x21] = {transfer, ON_DISK, LBA28, ATA_PIO, false}, /* "without retries", to ATA-4 */
    [0x24] = {transfer, ON_DISK, LBA48, ATA_PIO, false},
    [0x25] = {transfer, ON_DISK, LBA48, ATA_DMA, false},
    [0x27] = {read_native_max, ON_DISK, LBA48, ATA_NONE, false},
    [0x29] = {transfer_multiple, ON_DISK, LBA48, ATA_PIO, false},
    [0x2f] = {read_log, ON_DISK, NO_ADDRESS, ATA_PIO, false},
    [0x30] = {transfer, ON_DISK, LBA28, ATA_PIO, true},
    [0x31] = {transfer, ON_DISK, LBA28, ATA_PIO, true},
    [0x34] = {transfer, ON_DISK, LBA48, ATA_PIO, true},
    [0x35] = {transfer, ON_DISK, LBA48, ATA_DMA, true},
    [0x39] = {transfer_multiple, ON_DISK, LBA48, ATA_PIO, true},
    [0x3d] = {transfer, ON_DISK, LBA48, ATA_DMA, true}, /* FUA: all writes are */
    [0x40] = {verify, ON_DISK, LBA28, ATA_NONE, false},
    [0x41] = {verify, ON_DISK, LBA28, ATA_NONE, false},
    [0x42] = {verify, ON_DISK, LBA48, ATA_NONE, false},
    [0x60] = {transfer, ON_DISK, LBA_QUEUED, ATA_QUEUED, false},
    [0x61] = {transfer, ON_DISK, LBA_QUEUED, ATA_QUEUED, true},
    [0x90] = {diagnose, ON_DISK | ON_CD, NO_ADDRESS, ATA_NONE, false},
    [0x91] = {nothing, ON_DISK, NO_ADDRESS, ATA_NONE, false}, /* the geometry is what it is */
    [0xa0] = {packet, ON_CD, NO_ADDRESS, ATA_NONE, false},
    [0xa1] = {identify, ON_CD, NO_ADDRESS, ATA_PIO, false},
    [0xc4] = {transfer_multiple, ON_DISK, LBA28, ATA_PIO, false},
    [0xc5] = {transfer_multiple, ON_DISK, LBA28, ATA_PIO, true},
    [0xc6] = {set_multiple, ON_DISK, NO_ADDRESS, ATA_NONE, false},
    [0xc8] = {transfer, ON_DISK, LBA28, ATA_DMA, false},
    [0xc9] = {transfer, ON_DISK, LBA28, ATA_DMA, false},
    [0xca] = {transfer, ON_DISK, LBA28, ATA_DMA, true},
    [0xcb] = {transfer, ON_DISK, LBA28, ATA_DMA, true},
    [0xce] = {transfer_multiple, ON_DISK, LBA48, ATA_PIO, true},
    [0xe0] = {power_mode, ON_DISK | ON_CD, NO_ADDRESS, ATA_NONE, false},
    [0xe1] = {power_mode, ON_DISK | ON_CD, NO_ADDRESS, ATA_NONE, false},
    [0xe2] = {power_mode, ON_DISK | ON_CD, NO_ADDRESS, ATA_NONE, false},
    [0xe3] = {power_mode, ON_DISK | ON_CD, NO_ADDRESS, ATA_NONE, false},
    [0xe5] = {check_power_mode, ON_DISK | ON_CD, NO_ADDRESS, ATA_NONE, false},
    [0xe6] = {power_mode, ON_DISK | ON_CD, NO_ADDRESS, ATA_NONE, false},
    [0xe7] = {flush, ON_DISK, NO_ADDRESS, ATA_NONE, false},
    [0xea] = {flush, ON_DISK, NO_ADDRESS, ATA_NONE, false},
    [0xec] = {identify_or_sign, ON_DISK | ON_CD, NO_ADDRESS, ATA_PIO, false},
    [0xef] = {set_features, ON_DISK | ON_CD, NO_ADDRESS, ATA_NONE, false},
    [0xf8] = {read_native_max, ON_DISK, LBA28, ATA_NONE, false},
};

static const struct entry *entry_of(uint8_t command) { return &table[command]; }

void ata_begin(struct ata_drive *d, const struct ata_command *c)
{
    const struct entry *e = entry_of(c->command);
    struct ata_state *s = &d->s;

    s->command = c->command;
    s->device = c->device;
    s->count = c->count;
    s->lba = c->lba & LBA48_MASK;
    s->protocol = ATA_NONE;
    s->out = false;
    s->left = s->total = 0;
    s->tag = 0;
    finish(d);
    if (!e->begin || !(e->drives & (d->cdrom ? ON_CD : ON_DISK))) {
        ata_fail(d, ATA_ABRT);
        return;
    }
    /* After an error in the queue only its log is of interest (ATA8-ACS, 4.16). */
    if (s->queue_failed && e->begin != read_log) {
        ata_fail(d, ATA_ABRT);
        return;
    }
    if (e->protocol != ATA_NONE && c->command != 0xecu && c->command != 0xa1u)
        s->power = POWER_ACTIVE;
    s->protocol = e->protocol;
    s->out = e->out;
    if (e->protocol == ATA_QUEUED) s->tag = (uint8_t)(c->count >> 3 & (ATA_QUEUE_DEPTH - 1u));
    e->begin(d, c);
}

bool ata_move(struct ata_drive *d, void *p, uint32_t bytes)
{
    struct ata_state *s = &d->s;
    bool ok = true;

    if (s->source == ATA_FROM_BUFFER) {
        if (s->out)
            memcpy(s->buffer + s->at, p, bytes);
        else
            memcpy(p, s->buffer + s->at, bytes);
    } else if (s->out) {
        ok = disk_write(d->disk, s->at, p, bytes);
    } else {
        ok = disk_read(d->disk, s->at, p, bytes);
    }
    if (!ok) {
        if (s->command == 0xa0u)
            atapi_fail(d, ATAPI_MEDIUM_ERROR, ATAPI_UNRECOVERED_READ, 0);
        else
            ata_fail(d, s->out ? ATA_ABRT : ATA_UNC);
        return false;
    }
    s->at += bytes;
    s->left -= bytes;
    return true;
}

bool ata_end(struct ata_drive *d)
{
    d->s.left = 0;
    if (d->s.status & ATA_ERR) return true;
    if (d->s.command == 0x06u) return trim_step(d);
    if (d->s.command == 0xa0u) d->s.count = ATA_REASON_COMMAND | ATA_REASON_IN;
    return true;
}

void ata_reset(struct ata_drive *d)
{
    struct ata_state *s = &d->s;
    bool open = s->open;

    memset(s, 0, sizeof(*s));
    s->status = d->cdrom ? 0 : STATUS_GOOD; /* ATA8-ACS, table 8: a PACKET drive is not "ready" */
    s->error = DIAGNOSED;
    signature(d);
    s->power = POWER_ACTIVE;
    s->transfer_mode = MODE_UDMA5;
    s->write_cache = s->look_ahead = true;
    s->open = open;
    if (d->cdrom) atapi_reset(d);
}

void ata_init(struct ata_drive *d, struct disk *disk)
{
    memset(d, 0, sizeof(*d));
    d->disk = disk;
    d->cdrom = disk->sector_bytes == ATAPI_SECTOR_BYTES;
    ata_reset(d);
}

bool ata_state_valid(const struct ata_drive *d)
{
    const struct ata_state *s = &d->s;

    if (s->protocol > ATA_PACKET_PIO || s->source > ATA_FROM_DISK || s->tag >= ATA_QUEUE_DEPTH ||
        s->multiple > 16u || !transfer_mode_known(s->transfer_mode) || s->left > s->total ||
        s->tail > ATA_SECTOR_BYTES || s->tail % 8u)
        return false;
    if (s->left == 0) return true;
    if (s->block_bytes == 0) return false;
    if (s->source == ATA_FROM_BUFFER)
        return s->at <= sizeof(s->buffer) && s->left <= sizeof(s->buffer) - s->at;
    return disk_has(d->disk, s->at, s->left);
}
