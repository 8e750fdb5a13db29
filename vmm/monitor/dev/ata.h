/*
 * A drive behind a SATA link: a disk (ATA8-ACS, 48-bit addresses, native command queuing) or a
 * CD-ROM drive (PACKET command set, atapi.c). It takes a command, moves data in pieces of any size
 * and leaves a task file; the controller turns that into frames and memory accesses. Calls the disk
 * behind it; never guest memory, but for the pieces that it is handed.
 */
#ifndef VMM_MONITOR_DEV_ATA_H
#define VMM_MONITOR_DEV_ATA_H

#include "disk.h"

#define ATA_SECTOR_BYTES 512u
#define ATA_PACKET_BYTES 12u
#define ATA_QUEUE_DEPTH  32u

/* Status (ATA8-ACS, 6.2) and error register (6.3). */
#define ATA_BSY  0x80u
#define ATA_DRDY 0x40u
#define ATA_DF   0x20u
#define ATA_DSC  0x10u /* "seek complete" to drivers older than ATA8; always set with DRDY */
#define ATA_DRQ  0x08u
#define ATA_ERR  0x01u
#define ATA_UNC  0x40u
#define ATA_IDNF 0x10u
#define ATA_ABRT 0x04u

#define ATA_LBA_MODE 0x40u /* device register: an address, not cylinder, head and sector */

/* Bits of the interrupt reason that a PACKET command leaves in count (ATA8-ACS, 6.4). */
#define ATA_REASON_COMMAND 1u
#define ATA_REASON_IN      2u

/** What the host sent. Already read: nothing in here changes any more. */
struct ata_command {
    uint8_t command, device;
    uint16_t features, count;
    uint64_t lba; /* 48 bits */
    uint8_t packet[ATA_PACKET_BYTES];
};

/** How a command's data travels. */
enum ata_protocol {
    ATA_NONE, /* no data, or none left */
    ATA_PIO,  /* PIO Setup frames; data in has no register frame at its end */
    ATA_DMA,
    ATA_QUEUED,    /* FPDMA: released at once, ends with a Set Device Bits frame */
    ATA_PACKET_PIO /* PACKET without DMA: PIO Setup frames, and a register frame at the end */
};

enum ata_source { ATA_FROM_BUFFER, ATA_FROM_DISK };

/** All of a drive that the guest, or time, changes. Switches are bytes: any value may come back
 * from a saved VM. */
struct ata_state {
    /* task file */
    uint8_t status, error, device;
    uint16_t count;
    uint64_t lba;

    /* the command that is being carried out */
    uint8_t command, protocol, source;
    uint8_t out;          /* data from the host */
    uint32_t left, total; /* bytes of its data phase */
    uint32_t block_bytes; /* of one PIO Setup frame */
    uint64_t at;          /* of the next byte on the disk or in the buffer */
    uint16_t tail;        /* TRIM: bytes of its ranges that are done */
    uint8_t tag;
    uint8_t buffer[ATA_SECTOR_BYTES];

    /* settings */
    uint8_t multiple, transfer_mode, power;
    uint8_t write_cache, look_ahead;

    /* the queued command that failed, for log 10h (ATA8-ACS, A.14) */
    uint8_t queue_failed;
    uint8_t failed_log[16];

    /* of a CD-ROM drive: see atapi.c */
    uint8_t sense_key, sense_asc, sense_ascq; /* of the last command */
    uint8_t attention;                        /* additional sense code that waits; 0: none */
    uint8_t media_event;
    uint8_t open, prevented;
};

struct ata_drive {
    struct disk *disk;
    bool cdrom;
    struct ata_state s;
};

/** Put a drive before @disk, which is a CD if its sectors are as large as a CD's. It has just been
 *  switched on. */
void ata_init(struct ata_drive *d, struct disk *disk);

/** Power on, COMRESET and software reset: settings as at power on, the task file has the drive's
 *  signature (ATA8-ACS, 7.6). A command in progress is forgotten. */
void ata_reset(struct ata_drive *d);

/** Begin a command. Afterwards s.left says how many bytes ata_move() has to move (0: none), then
 *  ata_end() completes. An error before any data shows as ATA_ERR in s.status and left 0. */
void ata_begin(struct ata_drive *d, const struct ata_command *c);
/** Move the next @bytes (at most s.left) to or from @p.
 *  @return false: the medium failed; the task file says so and no data is left */
bool ata_move(struct ata_drive *d, void *p, uint32_t bytes);
/** All data has been moved, or the host had no more. Sets the final task file.
 *  @return false: the command takes longer; call again */
bool ata_end(struct ata_drive *d);
/** The command ends here with @error, whatever it was. */
void ata_fail(struct ata_drive *d, uint8_t error);

/** Is what has been loaded of a drive something that it can be in? */
bool ata_state_valid(const struct ata_drive *d);

/* ---- between ata.c, ata_pages.c and atapi.c ---- */

/** Hand @bytes of s.buffer to the host. */
void ata_give_buffer(struct ata_drive *d, uint32_t bytes, enum ata_protocol protocol);
/** IDENTIFY DEVICE and IDENTIFY PACKET DEVICE data into s.buffer. */
void ata_identify(struct ata_drive *d);
/** One page of the general purpose logs into s.buffer. @return false: there is no such page */
bool ata_log_page(struct ata_drive *d, uint8_t log, uint16_t page);

#endif
