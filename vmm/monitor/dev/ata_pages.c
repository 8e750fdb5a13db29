/*
 * What a drive says of itself: IDENTIFY DEVICE (ATA8-ACS, 7.16), IDENTIFY PACKET DEVICE (7.17) and
 * the general purpose logs (annex A). Fills the drive's buffer; calls nothing else.
 */
#include "ata.h"

#include <string.h>

#define WORDS           256u
#define MAX_CYLINDERS   16383u
#define HEADS           16u
#define TRACK           63u
#define LBA28_SECTORS   0x0fffffffull
#define ATA_TO_ATA8     0x01f0u /* major versions 4 to 8 */
#define SERIAL_ATA      0x101fu /* ATA8-AST, SATA 1.0a to 2.6 */
#define MULTIPLE_MAX    16u
#define LOG_DIRECTORY   0x00u
#define LOG_QUEUE_ERROR 0x10u

static const char model_disk[] = "Bulkhead disk";
static const char model_cd[] = "Bulkhead CD-ROM";
static const char firmware[] = "1.0";

/* ATA strings: two characters a word, the first in the upper byte, blanks behind. */
static void words_text(uint16_t *w, unsigned first, unsigned count, const char *text)
{
    for (unsigned i = 0; i < count * 2u; i++) {
        uint8_t c = *text ? (uint8_t)*text++ : ' ';

        if (i % 2u == 0)
            w[first + i / 2u] = (uint16_t)(c << 8);
        else
            w[first + i / 2u] |= c;
    }
}

static void words_number(uint16_t *w, unsigned first, unsigned count, uint64_t value)
{
    for (unsigned i = 0; i < count; i++) w[first + i] = (uint16_t)(value >> (16u * i));
}

static uint16_t switched(bool on, unsigned bit) { return (uint16_t)(on ? 1u << bit : 0); }

/* A world wide name of our own making (NAA 3: locally assigned): the same whenever the disk's
 * name is (FNV-1a). */
static uint64_t world_wide_name(const char *id)
{
    uint64_t hash = 0xcbf29ce484222325ull;

    while (*id) hash = (hash ^ (uint8_t)*id++) * 0x100000001b3ull;
    return 3ull << 60 | hash >> 4;
}

/* Words that mean the same in both. */
static void identify_common(const struct ata_drive *d, uint16_t *w)
{
    unsigned mode = d->s.transfer_mode & 7u;

    words_text(w, 10, 10, d->disk->id);
    words_text(w, 23, 4, firmware);
    words_text(w, 27, 20, d->cdrom ? model_cd : model_disk);
    w[63] = 0x0007;
    w[64] = 0x0003;                                 /* PIO modes 3 and 4 */
    for (unsigned i = 65; i <= 68; i++) w[i] = 120; /* ns: of modes that no wire has */
    w[80] = ATA_TO_ATA8;
    w[88] = 0x007f;
    if (d->s.transfer_mode >= 0x40u)
        w[88] |= (uint16_t)(0x100u << mode);
    else
        w[63] |= (uint16_t)(0x100u << mode);
    w[222] = SERIAL_ATA;
}

static void identify_disk(const struct ata_drive *d, uint16_t *w)
{
    uint64_t sectors = disk_sectors(d->disk), wwn = world_wide_name(d->disk->id);
    uint64_t cylinders = sectors / (HEADS * TRACK);

    cylinders = cylinders > MAX_CYLINDERS ? MAX_CYLINDERS : cylinders;
    identify_common(d, w);
    w[0] = 0x0040;
    w[1] = w[54] = (uint16_t)cylinders;
    w[3] = w[55] = HEADS;
    w[6] = w[56] = TRACK;
    words_number(w, 57, 2, cylinders * HEADS * TRACK);
    w[47] = 0x8000u | MULTIPLE_MAX;
    w[48] = 0x4000;
    w[49] = 0x2f00; /* standby timer, IORDY, LBA, DMA */
    w[50] = 0x4000;
    w[53] = 0x0007;
    w[59] = d->s.multiple ? (uint16_t)(0x100u | d->s.multiple) : 0;
    words_number(w, 60, 2, sectors < LBA28_SECTORS ? sectors : LBA28_SECTORS);
    w[69] = 0x4020; /* trimmed sectors read as zero, always */
    w[75] = ATA_QUEUE_DEPTH - 1u;
    w[76] = 0x0106; /* generations 1 and 2, queuing */
    w[82] = 0x4068; /* NOP, look-ahead, write cache, power management */
    w[83] = 0x7400; /* FLUSH (EXT), 48-bit addresses */
    w[84] = 0x4160; /* world wide name, WRITE FUA, logs */
    w[85] = 0x4008u | switched(d->s.write_cache, 5) | switched(d->s.look_ahead, 6);
    w[86] = 0xb400; /* as 83; words 119 and 120 are there */
    w[87] = 0x4160;
    words_number(w, 100, 4, sectors);
    w[105] = 1; /* block of ranges in one DATA SET MANAGEMENT */
    w[106] = 0x4000;
    for (unsigned i = 0; i < 4u; i++) w[108 + i] = (uint16_t)(wwn >> (48u - 16u * i));
    w[119] = w[120] = 0x4000;
    w[169] = 0x0001; /* TRIM */
    w[209] = 0x4000;
    w[217] = 0x0001; /* does not rotate */
}

static void identify_cd(const struct ata_drive *d, uint16_t *w)
{
    identify_common(d, w);
    w[0] = 0x85c0; /* packets of 12 bytes, a removable CD-ROM, DRQ within 50 us */
    w[49] = 0x0f00;
    w[53] = 0x0006;
    w[76] = 0x0006;
    w[82] = 0x4218; /* NOP, DEVICE RESET, PACKET, power management */
    w[83] = w[84] = 0x4000;
    w[85] = 0x4218;
    w[87] = 0x4000;
}

void ata_identify(struct ata_drive *d)
{
    uint16_t w[WORDS];
    unsigned sum = 0;

    memset(w, 0, sizeof(w));
    if (d->cdrom)
        identify_cd(d, w);
    else
        identify_disk(d, w);
    w[255] = 0x00a5; /* ATA8-ACS, 7.16.7.81: all 512 bytes add up to zero */
    memcpy(d->s.buffer, w, sizeof(d->s.buffer));
    for (unsigned i = 0; i < ATA_SECTOR_BYTES - 1u; i++) sum += d->s.buffer[i];
    d->s.buffer[ATA_SECTOR_BYTES - 1u] = (uint8_t)(0u - sum);
}

bool ata_log_page(struct ata_drive *d, uint8_t log, uint16_t page)
{
    uint8_t *b = d->s.buffer;
    unsigned sum = 0;

    if (page != 0 || (log != LOG_DIRECTORY && log != LOG_QUEUE_ERROR)) return false;
    memset(b, 0, ATA_SECTOR_BYTES);
    if (log == LOG_DIRECTORY) {
        b[0] = 1; /* version */
        b[LOG_QUEUE_ERROR * 2u] = 1;
        return true;
    }
    if (d->s.queue_failed)
        memcpy(b, d->s.failed_log, sizeof(d->s.failed_log));
    else
        b[0] = 0x80; /* it was no queued command that failed */
    d->s.queue_failed = false;
    for (unsigned i = 0; i < ATA_SECTOR_BYTES - 1u; i++) sum += b[i];
    b[ATA_SECTOR_BYTES - 1u] = (uint8_t)(0u - sum);
    return true;
}
