/*
 * The packet commands of a CD-ROM drive (MMC-3, SPC-3) as the ATA drive carries them out. Calls
 * ata.h and the disk behind it.
 */
#ifndef VMM_MONITOR_DEV_ATAPI_H
#define VMM_MONITOR_DEV_ATAPI_H

#include "ata.h"

#define ATAPI_SECTOR_BYTES 2048u

/* Sense keys (SPC-3, 4.5.6) and additional sense codes (SPC-3, annex D). */
#define ATAPI_NOT_READY        0x2u
#define ATAPI_MEDIUM_ERROR     0x3u
#define ATAPI_ILLEGAL_REQUEST  0x5u
#define ATAPI_UNIT_ATTENTION   0x6u
#define ATAPI_UNRECOVERED_READ 0x11u

/** Begin the packet; s.protocol says how its data travels. As ata_begin(). */
void atapi_begin(struct ata_drive *d, const uint8_t packet[ATA_PACKET_BYTES]);
/** End a packet command with this sense. */
void atapi_fail(struct ata_drive *d, uint8_t key, uint8_t asc, uint8_t ascq);
/** After a reset: the next command that asks learns of it. */
void atapi_reset(struct ata_drive *d);

#endif
