/*
 * Reader of the header of one cpio "newc" member (SVR4 portable format without checksum). Works on
 * bytes of which nothing is believed: every length is bounded before it is used. Calls nothing.
 */
#ifndef VMM_RT_CPIO_H
#define VMM_RT_CPIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPIO_HEADER_BYTES 110u
#define CPIO_NAME_MAX     63u /* characters */

struct cpio_member {
    char name[CPIO_NAME_MAX + 1u];
    uint64_t data; /* offset of the contents in the archive */
    uint64_t size;
    uint64_t next; /* offset of the next header */
};

enum cpio_result { CPIO_MEMBER, CPIO_END, CPIO_BAD };

/**
 * Decode the member whose header is at @offset of an archive of @archive_bytes.
 * @param head  at least CPIO_HEADER_BYTES + CPIO_NAME_MAX + 1 bytes from @offset on, or whatever is
 *              left of the archive
 * @param avail bytes readable at @head
 * @return CPIO_END at the trailer or when fewer bytes than a header are left; CPIO_BAD when the
 *         member is malformed or reaches beyond the archive. @m is written on CPIO_MEMBER only.
 */
enum cpio_result cpio_decode(const uint8_t *head, size_t avail, uint64_t offset,
                             uint64_t archive_bytes, struct cpio_member *m);

#endif
