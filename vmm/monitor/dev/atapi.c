/*
 * MMC-3 and SPC-3 commands over one table. See atapi.h. The medium is one data track from sector 0
 * to the end; it can be taken out (START STOP UNIT) and put back, never changed.
 */
#include "atapi.h"

#include <string.h>

#define MAX_TRANSFER_BYTES (128u << 20) /* of one READ; drivers ask for a thousandth of it */
#define DVD_FROM_SECTORS   (450000u)    /* more than any CD holds (MMC-3, 4.2.3: 99:59:74) */
#define PROFILE_CD         0x0008u
#define PROFILE_DVD        0x0010u

/* Additional sense codes. */
#define ASC_OPCODE      0x20u
#define ASC_BEYOND_END  0x21u
#define ASC_FIELD       0x24u
#define ASC_CHANGED     0x28u
#define ASC_RESET       0x29u
#define ASC_NO_MEDIUM   0x3au
#define ASC_TRAY_OPEN   0x02u /* its qualifier */
#define ASC_LOCKED      0x53u
#define ASC_LOCKED_TRAY 0x02u
#define ASC_WRONG_MODE  0x64u

/* Media events (MMC-3, table 64). */
#define EVENT_NONE    0u
#define EVENT_NEW     2u
#define EVENT_REMOVED 3u

/* What a command asks of the drive before it is begun. */
enum { ANY = 0, MEDIUM = 1, NO_ATTENTION = 2 /* runs though a unit attention waits */ };

struct entry {
    void (*begin)(struct ata_drive *d, const uint8_t *p);
    uint8_t needs;
};

static uint32_t be16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }

static uint32_t be32(const uint8_t *p) { return be16(p) << 16 | be16(p + 2); }

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}

/* Disks are at most 64 GiB: sectors of a CD fit 32 bits with room to spare. */
static uint32_t medium_sectors(const struct ata_drive *d)
{
    uint64_t n = disk_sectors(d->disk);

    return n < 0x7fffffffu ? (uint32_t)n : 0x7fffffffu;
}

void atapi_fail(struct ata_drive *d, uint8_t key, uint8_t asc, uint8_t ascq)
{
    d->s.sense_key = key;
    d->s.sense_asc = asc;
    d->s.sense_ascq = ascq;
    ata_fail(d, (uint8_t)((unsigned)key << 4 | (key == ATAPI_ILLEGAL_REQUEST ? ATA_ABRT : 0)));
    d->s.count = ATA_REASON_COMMAND | ATA_REASON_IN;
}

void atapi_reset(struct ata_drive *d) { d->s.attention = ASC_RESET; }

static void field_invalid(struct ata_drive *d)
{
    atapi_fail(d, ATAPI_ILLEGAL_REQUEST, ASC_FIELD, 0);
}

/* The first @bytes of the buffer, or as many as the host has room for. */
static void give(struct ata_drive *d, uint32_t bytes, uint32_t allocation)
{
    ata_give_buffer(d, bytes < allocation ? bytes : allocation, (enum ata_protocol)d->s.protocol);
}

static uint8_t *cleared(struct ata_drive *d) { return memset(d->s.buffer, 0, ATA_SECTOR_BYTES); }

/* ---- commands of any device (SPC-3, clause 6) ---- */

static void nothing(struct ata_drive *d, const uint8_t *p)
{
    (void)d;
    (void)p;
}

static void request_sense(struct ata_drive *d, const uint8_t *p)
{
    uint8_t *b = cleared(d);
    struct ata_state *s = &d->s;

    if (s->sense_key == 0 && s->attention) {
        s->sense_key = ATAPI_UNIT_ATTENTION;
        s->sense_asc = s->attention;
        s->attention = 0;
    }
    b[0] = 0x70; /* current error, fixed format */
    b[2] = s->sense_key;
    b[7] = 10;
    b[12] = s->sense_asc;
    b[13] = s->sense_ascq;
    s->sense_key = s->sense_asc = s->sense_ascq = 0;
    give(d, 18, p[4]);
}

static void inquiry(struct ata_drive *d, const uint8_t *p)
{
    uint8_t *b = cleared(d);

    if ((p[1] & 3u) || p[2]) { /* vital product data: none */
        field_invalid(d);
        return;
    }
    b[0] = 0x05; /* CD/DVD device */
    b[1] = 0x80; /* removable */
    b[2] = 0x05; /* SPC-3 */
    b[3] = 0x02;
    b[4] = 31;
    memcpy(b + 8, "Bulkhead", 8);
    memcpy(b + 16, "CD-ROM          ", 16);
    memcpy(b + 32, "1.0 ", 4);
    give(d, 36, be16(p + 3));
}

static void prevent_allow(struct ata_drive *d, const uint8_t *p) { d->s.prevented = p[4] & 1u; }

/* Pages 01h (error recovery), 1Ah (power), 2Ah (capabilities: MMC-3, 6.3.11; obsolete there but
 * what drivers look at). @return bytes; 0: no such page */
static uint32_t mode_page(const struct ata_drive *d, uint8_t page, uint8_t *b)
{
    switch (page) {
    case 0x01:
        b[0] = page;
        b[1] = 10;
        b[3] = 1;
        return 12;
    case 0x1a:
        b[0] = page;
        b[1] = 10;
        return 12;
    case 0x2a:
        b[0] = page;
        b[1] = 20;
        b[2] = 0x03; /* reads CD-R and CD-RW */
        b[4] = 0x70; /* mode 2 form 1 and 2, multi-session */
        b[6] = (uint8_t)(0x29u | (d->s.prevented ? 2u : 0u)); /* a tray, can eject, can lock */
        put16(b + 8, 706);                                    /* kB/s: 4x */
        put16(b + 12, 512);                                   /* KiB of buffer */
        put16(b + 14, 706);
        return 22;
    default: return 0;
    }
}

static void mode_sense(struct ata_drive *d, const uint8_t *p)
{
    static const uint8_t pages[] = {0x01, 0x1a, 0x2a};
    bool ten = p[0] == 0x5au;
    uint8_t *b = cleared(d), wanted = p[2] & 0x3fu;
    uint8_t control = p[2] >> 6; /* 0 current, 1 changeable, 2 default, 3 saved */
    uint32_t bytes = ten ? 8u : 4u, header = bytes;

    if (control == 3u) {
        atapi_fail(d, ATAPI_ILLEGAL_REQUEST, 0x39, 0); /* saving parameters not supported */
        return;
    }
    for (unsigned i = 0; i < sizeof(pages); i++)
        if (wanted == 0x3fu || wanted == pages[i]) {
            uint32_t n = mode_page(d, pages[i], b + bytes);

            if (control == 1u) memset(b + bytes + 2u, 0, n - 2u); /* nothing can be changed */
            bytes += n;
        }
    if (bytes == header) {
        field_invalid(d);
        return;
    }
    if (ten)
        put16(b, bytes - 2u);
    else
        b[0] = (uint8_t)(bytes - 1u);
    give(d, bytes, ten ? be16(p + 7) : p[4]);
}

static void start_stop(struct ata_drive *d, const uint8_t *p)
{
    bool load_eject = p[4] & 2u, start = p[4] & 1u;

    if (!load_eject || start != d->s.open) return; /* spins up or down, or is there already */
    if (!start && d->s.prevented) {
        atapi_fail(d, ATAPI_ILLEGAL_REQUEST, ASC_LOCKED, ASC_LOCKED_TRAY);
        return;
    }
    d->s.open = !start;
    d->s.media_event = start ? EVENT_NEW : EVENT_REMOVED;
    if (start) d->s.attention = ASC_CHANGED;
}

/* ---- reading (MMC-3, 6.1) ---- */

static void read_sectors(struct ata_drive *d, uint32_t first, uint32_t count)
{
    uint32_t all = medium_sectors(d);

    if (first > all || count > all - first) {
        atapi_fail(d, ATAPI_ILLEGAL_REQUEST, ASC_BEYOND_END, 0);
        return;
    }
    if (count > MAX_TRANSFER_BYTES / ATAPI_SECTOR_BYTES) {
        field_invalid(d);
        return;
    }
    d->s.source = ATA_FROM_DISK;
    d->s.at = (uint64_t)first * ATAPI_SECTOR_BYTES;
    d->s.left = d->s.total = count * ATAPI_SECTOR_BYTES;
}

static void read10(struct ata_drive *d, const uint8_t *p)
{
    read_sectors(d, be32(p + 2), be16(p + 7));
}

static void read12(struct ata_drive *d, const uint8_t *p)
{
    read_sectors(d, be32(p + 2), be32(p + 6));
}

/* READ CD: user data of mode 1 sectors only, which is what there is. */
static void read_cd(struct ata_drive *d, const uint8_t *p)
{
    uint8_t type = p[1] >> 2 & 7u, fields = p[9] & 0xf8u;

    if (type != 0 && type != 2u)
        atapi_fail(d, ATAPI_ILLEGAL_REQUEST, ASC_WRONG_MODE, 0);
    else if (fields == 0x10u && p[10] == 0)
        read_sectors(d, be32(p + 2), be32(p + 5) & 0xffffffu);
    else if (fields != 0)
        field_invalid(d);
}

static void seek(struct ata_drive *d, const uint8_t *p)
{
    if (be32(p + 2) >= medium_sectors(d)) atapi_fail(d, ATAPI_ILLEGAL_REQUEST, ASC_BEYOND_END, 0);
}

static void read_capacity(struct ata_drive *d, const uint8_t *p)
{
    uint8_t *b = cleared(d);

    (void)p;
    put32(b, medium_sectors(d) - 1u);
    put32(b + 4, ATAPI_SECTOR_BYTES);
    give(d, 8, 8);
}

/* An address as the host wants it: a number, or minute, second and frame from 00:02:00. */
static void put_address(uint8_t *b, uint32_t sector, bool msf)
{
    uint32_t frames = sector + 150u;

    if (!msf) {
        put32(b, sector);
        return;
    }
    b[0] = 0;
    b[1] = (uint8_t)(frames / 75u / 60u);
    b[2] = (uint8_t)(frames / 75u % 60u);
    b[3] = (uint8_t)(frames % 75u);
}

#define DATA_TRACK 0x14u /* ADR 1, a data track */
#define LEAD_OUT   0xaau

static uint32_t toc_tracks(const struct ata_drive *d, uint8_t *b, uint8_t from, bool msf)
{
    uint32_t bytes = 4;

    if (from <= 1u) {
        b[bytes + 1u] = DATA_TRACK;
        b[bytes + 2u] = 1;
        put_address(b + bytes + 4u, 0, msf);
        bytes += 8u;
    }
    b[bytes + 1u] = DATA_TRACK;
    b[bytes + 2u] = LEAD_OUT;
    put_address(b + bytes + 4u, medium_sectors(d), msf);
    b[2] = b[3] = 1;
    return bytes + 8u;
}

static uint32_t toc_session(uint8_t *b, bool msf)
{
    b[2] = b[3] = 1;
    b[5] = DATA_TRACK;
    b[6] = 1;
    put_address(b + 8, 0, msf);
    return 12;
}

/* The raw table: first track, last track, lead-out, track 1 (MMC-3, table 259). */
static uint32_t toc_raw(const struct ata_drive *d, uint8_t *b)
{
    static const uint8_t points[] = {0xa0, 0xa1, 0xa2, 0x01};

    b[2] = b[3] = 1;
    for (unsigned i = 0; i < sizeof(points); i++) {
        uint8_t *e = b + 4u + 11u * i, address[4];

        e[0] = 1; /* session */
        e[1] = DATA_TRACK;
        e[3] = points[i];
        if (points[i] < 0xa2u && points[i] >= 0xa0u) {
            e[8] = 1; /* the track's number */
        } else {
            put_address(address, points[i] == 0xa2u ? medium_sectors(d) : 0, true);
            memcpy(e + 8, address + 1, 3);
        }
    }
    return 4u + 11u * sizeof(points);
}

static void read_toc(struct ata_drive *d, const uint8_t *p)
{
    bool msf = p[1] & 2u;
    uint8_t *b = cleared(d);
    uint8_t format = p[2] & 0xfu ? p[2] & 0xfu : p[9] >> 6; /* SFF-8020 had it in the last byte */
    uint32_t bytes;

    if (format == 0 && p[6] > 1u && p[6] != LEAD_OUT) {
        field_invalid(d);
        return;
    }
    switch (format) {
    case 0: bytes = toc_tracks(d, b, p[6], msf); break;
    case 1: bytes = toc_session(b, msf); break;
    case 2: bytes = toc_raw(d, b); break;
    default: field_invalid(d); return;
    }
    put16(b, bytes - 2u);
    give(d, bytes, be16(p + 7));
}

static void read_disc_information(struct ata_drive *d, const uint8_t *p)
{
    uint8_t *b = cleared(d);

    if (p[1] & 7u) {
        field_invalid(d);
        return;
    }
    put16(b, 32);
    b[2] = 0x0e; /* complete, last session complete */
    b[3] = b[4] = b[5] = b[6] = 1;
    b[7] = 0x20;             /* unrestricted use */
    memset(b + 16, 0xff, 8); /* no place for another session */
    give(d, 34, be16(p + 7));
}

static void read_track_information(struct ata_drive *d, const uint8_t *p)
{
    uint8_t *b = cleared(d);
    uint32_t all = medium_sectors(d), which = be32(p + 2);
    bool known = (p[1] & 3u) == 0 ? which < all : which == 1u;

    if ((p[1] & 3u) == 3u || !known) {
        field_invalid(d);
        return;
    }
    put16(b, 34);
    b[2] = b[3] = 1;
    b[5] = 0x04; /* a data track */
    b[6] = 0x01; /* mode 1 */
    put32(b + 24, all);
    give(d, 36, be16(p + 7));
}

/* ---- what the drive can do, and what happened to it ---- */

static uint32_t profile(const struct ata_drive *d)
{
    if (d->s.open) return 0;
    return medium_sectors(d) > DVD_FROM_SECTORS ? PROFILE_DVD : PROFILE_CD;
}

struct feature {
    uint8_t code_high, code, version, bytes; /* version: with persistent (2) and current (1) bits */
    uint8_t data[8];
};

/* MMC-3, 5.3. Those of a medium are current while it is of that kind. */
static const struct feature features[] = {
    {0x00, 0x00, 0x03, 8, {0, 0x10, 0, 0, 0, 0x08, 0, 0}}, /* profiles: DVD-ROM, CD-ROM */
    {0x00, 0x01, 0x03, 4, {0, 0, 0, 2}},                   /* core: ATAPI */
    {0x00, 0x02, 0x03, 4, {0}},                            /* morphing: by polling */
    {0x00, 0x03, 0x03, 4, {0x29}},                         /* a tray, can eject, can lock */
    {0x00, 0x10, 0x00, 8, {0, 0, 8, 0, 0, 1, 0, 0}},       /* random reads of 2048 bytes */
    {0x00, 0x1e, 0x00, 4, {0}},                            /* CD read */
    {0x00, 0x1f, 0x00, 0, {0}},                            /* DVD read */
    {0x01, 0x00, 0x03, 0, {0}},                            /* power management */
    {0x01, 0x05, 0x03, 0, {0}},                            /* time-out */
};

static bool feature_current(const struct feature *f, uint32_t now)
{
    if (f->version & 1u) return true;
    return f->code == 0x10u ? now != 0 : now == (f->code == 0x1eu ? PROFILE_CD : PROFILE_DVD);
}

static void get_configuration(struct ata_drive *d, const uint8_t *p)
{
    uint8_t which = p[1] & 3u, *b = cleared(d);
    uint32_t start = be16(p + 2), bytes = 8, now = profile(d);

    if (which == 3u) {
        field_invalid(d);
        return;
    }
    put16(b + 6, now);
    for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        const struct feature *f = &features[i];
        uint32_t code = (uint32_t)f->code_high << 8 | f->code;
        bool current = feature_current(f, now);
        uint8_t *e = b + bytes;

        if (code < start || (which == 2u && code != start) || (which == 1u && !current)) continue;
        put16(e, code);
        e[2] = (uint8_t)(f->version | (current ? 1u : 0u));
        e[3] = f->bytes;
        memcpy(e + 4, f->data, f->bytes);
        if (code == 0) { /* which of the profiles is current */
            e[6] = now == PROFILE_DVD;
            e[10] = now == PROFILE_CD;
        }
        bytes += 4u + f->bytes;
    }
    put32(b, bytes - 4u);
    give(d, bytes, be16(p + 7));
}

#define CLASS_MEDIA 4u

static void get_event_status(struct ata_drive *d, const uint8_t *p)
{
    uint8_t *b = cleared(d);
    uint32_t bytes = 4;

    if (!(p[1] & 1u)) { /* asynchronous */
        field_invalid(d);
        return;
    }
    b[3] = 1u << CLASS_MEDIA;
    if (p[4] & 1u << CLASS_MEDIA) {
        b[2] = CLASS_MEDIA;
        b[4] = d->s.media_event;
        b[5] = d->s.open ? 1u : 2u; /* tray open; medium there */
        bytes = 8;
        if (be16(p + 7) >= bytes) d->s.media_event = EVENT_NONE;
    } else {
        b[2] = 0x80; /* none of the classes asked for */
    }
    put16(b, bytes - 2u);
    give(d, bytes, be16(p + 7));
}

static void mechanism_status(struct ata_drive *d, const uint8_t *p)
{
    uint8_t *b = cleared(d);

    b[1] = d->s.open ? 0x10u : 0;
    b[5] = 1; /* slots in the table that follows: none is loaded or changed */
    give(d, 8, be16(p + 8));
}

static const struct entry table[256] = {
    [0x00] = {nothing, MEDIUM}, /* TEST UNIT READY */
    [0x03] = {request_sense, NO_ATTENTION},
    [0x12] = {inquiry, NO_ATTENTION},
    [0x1a] = {mode_sense, ANY},
    [0x1b] = {start_stop, ANY},
    [0x1e] = {prevent_allow, ANY},
    [0x25] = {read_capacity, MEDIUM},
    [0x28] = {read10, MEDIUM},
    [0x2b] = {seek, MEDIUM},
    [0x43] = {read_toc, MEDIUM},
    [0x46] = {get_configuration, NO_ATTENTION},
    [0x4a] = {get_event_status, NO_ATTENTION},
    [0x51] = {read_disc_information, MEDIUM},
    [0x52] = {read_track_information, MEDIUM},
    [0x5a] = {mode_sense, ANY},
    [0xa8] = {read12, MEDIUM},
    [0xbb] = {nothing, ANY}, /* SET CD SPEED */
    [0xbd] = {mechanism_status, ANY},
    [0xbe] = {read_cd, MEDIUM},
};

void atapi_begin(struct ata_drive *d, const uint8_t packet[ATA_PACKET_BYTES])
{
    const struct entry *e = &table[packet[0]];
    struct ata_state *s = &d->s;
    uint8_t attention = s->attention;

    /* SPC-3, 4.5.1: sense data is that of the last command, unless it is asked for. */
    if (packet[0] != 0x03u) s->sense_key = s->sense_asc = s->sense_ascq = 0;
    if (attention && !(e->begin && e->needs == NO_ATTENTION)) {
        s->attention = 0;
        atapi_fail(d, ATAPI_UNIT_ATTENTION, attention, 0);
    } else if (!e->begin) {
        atapi_fail(d, ATAPI_ILLEGAL_REQUEST, ASC_OPCODE, 0);
    } else if (e->needs == MEDIUM && s->open) {
        atapi_fail(d, ATAPI_NOT_READY, ASC_NO_MEDIUM, ASC_TRAY_OPEN);
    } else {
        e->begin(d, packet);
    }
}
