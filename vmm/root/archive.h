/*
 * The boot module's archive: an index of its files, and each file as a Frame of its own, carved out
 * of the module, so that whoever is given it can read that file and nothing else.
 * May call: capabilities, cpio, SHA-256 of Mbed TLS, the log.
 */
#ifndef VMM_ROOT_ARCHIVE_H
#define VMM_ROOT_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>
#include "cpio.h"

#define ARCHIVE_FILES_MAX 32u

struct archive_file {
    char name[CPIO_NAME_MAX + 1u];
    uint64_t bytes;
    uint64_t frame; /* slot; 0: empty file */
    uint64_t page;  /* of the archive, where it begins */
    uint64_t pages;
    uint64_t above_large; /* bytes of its physical start above a 2 MiB boundary */
};

/** Read the index, carve the frames. Once, at start. */
bool archive_open(void);
/** @return the file of that name, or NULL. */
const struct archive_file *archive_find(const char *name);
/** SHA-256 of a file, before anybody else is given it: nobody writes to the archive later. Says so
 *  when it takes more than a second. @return false: it cannot be mapped, said why */
bool archive_digest(const struct archive_file *file, uint8_t digest[32]);
/** Map a file read-only into root for good. @return its bytes or NULL. */
const void *archive_map(const struct archive_file *file, uint64_t va);

#endif
