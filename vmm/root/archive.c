/* The boot module's archive; see archive.h. */
#include "archive.h"
#include <mbedtls/sha256.h>
#include <stddef.h>
#include "caps.h"
#include "layout.h"
#include "log.h"
#include "string.h"

/* The archive's own Frame: root's image, which lies before it in the module, is mapped and in use.
 */
static uint64_t archive_frame, archive_bytes;
static struct archive_file files[ARCHIVE_FILES_MAX];
static unsigned nfiles;

/*
 * A window of the module slides over it, so that root needs page tables for the window only.
 * Headers are found in two pages: a header and the part of the name that counts are below 4 KiB.
 */
static enum cpio_result read_member(uint64_t window, uint64_t offset, struct cpio_member *m)
{
    uint64_t first = offset / PAGE;
    uint64_t pages = archive_bytes / PAGE - first;
    enum cpio_result result = CPIO_BAD;

    if (offset >= archive_bytes) return CPIO_END;
    pages = pages < 2u ? pages : 2u;
    if (map(window, ROOT_WINDOW, first, pages, BH_MAP_READ) == BH_OK)
        result = cpio_decode((const uint8_t *)ROOT_WINDOW + offset % PAGE,
                             pages * PAGE - offset % PAGE, offset, archive_bytes, m);
    (void)bh_attach_unmap(window, ROOT_WINDOW, pages);
    return result;
}

static bool read_index(uint64_t window)
{
    uint64_t offset = 0;

    for (;;) {
        struct cpio_member m;
        struct archive_file *f = &files[nfiles];
        enum cpio_result result = read_member(window, offset, &m);

        if (result == CPIO_END) return true;
        if (result == CPIO_BAD) {
            say("boot archive: malformed member at offset %lu", offset);
            return false;
        }
        if (nfiles == ARCHIVE_FILES_MAX) {
            say("boot archive: more than %u files", ARCHIVE_FILES_MAX);
            return false;
        }
        if (m.data % PAGE && m.size) {
            say("boot archive: %s: contents do not start on a page; build the module with "
                "mkboot.py",
                m.name);
            return false;
        }
        memcpy(f->name, m.name, sizeof(f->name));
        f->bytes = m.size;
        f->pages = (m.size + PAGE - 1u) / PAGE;
        f->page = m.data / PAGE;
        f->above_large =
            (info()->boot_misalign + info()->boot_archive + f->page * PAGE) % LARGE_BYTES;
        nfiles++;
        offset = m.next;
    }
}

static bool carve_files(void)
{
    uint64_t slot = slots_take(nfiles);

    if (nfiles && !slot) return false;
    for (unsigned i = 0; i < nfiles; i++, slot++) {
        struct archive_file *f = &files[i];
        uint64_t err;

        if (f->pages == 0) continue;
        err = carve(archive_frame, f->page, f->pages, slot);
        if (err) {
            say("boot archive: %s: no frame: %s", f->name, error_name(err));
            return false;
        }
        f->frame = slot;
    }
    return true;
}

bool archive_open(void)
{
    uint64_t window = slots_take(1);
    uint64_t err;
    bool ok;

    if (info()->boot_archive >= info()->boot_bytes || info()->boot_archive % PAGE) {
        say("boot module: no archive in it");
        return false;
    }
    archive_bytes = info()->boot_bytes - info()->boot_archive;
    archive_frame = slots_take(1);
    err =
        carve(BH_SLOT_BOOT_FRAME, info()->boot_archive / PAGE, archive_bytes / PAGE, archive_frame);
    if (!err) err = attach(archive_frame, BH_SLOT_HOSTSPACE, BH_RIGHT_READ, window);
    if (err) {
        say("boot module: cannot be attached: %s", error_name(err));
        return false;
    }
    ok = read_index(window);
    err = slot_delete(window);
    if (err) say("boot module: cannot be detached: %s", error_name(err));
    return ok && !err && carve_files();
}

const struct archive_file *archive_find(const char *name)
{
    for (unsigned i = 0; i < nfiles; i++)
        if (strcmp(files[i].name, name) == 0) return &files[i];
    return NULL;
}

/* A piece at a time, in a slot that is free again afterwards. */
static uint64_t digest_piece(const struct archive_file *file, uint64_t offset,
                             mbedtls_sha256_context *sha)
{
    static uint64_t slot;
    uint64_t bytes = file->bytes - offset, pages, err, end;

    bytes = bytes < ROOT_LOAD_BYTES ? bytes : ROOT_LOAD_BYTES;
    pages = (bytes + PAGE - 1u) / PAGE;
    if (!slot) slot = slots_take(1);
    if (!slot) return BH_ERR_SLOT;
    err = attach(file->frame, BH_SLOT_HOSTSPACE, BH_RIGHT_READ, slot);
    if (err) return err;
    err = map(slot, ROOT_LOAD, offset / PAGE, pages, BH_MAP_READ);
    if (!err) (void)mbedtls_sha256_update_ret(sha, (const uint8_t *)ROOT_LOAD, bytes);
    end = slot_delete(slot);
    return err ? err : end;
}

bool archive_digest(const struct archive_file *file, uint8_t digest[32])
{
    uint64_t begin = rt_tsc(), err = BH_OK;
    mbedtls_sha256_context sha;
    bool told = false;

    mbedtls_sha256_init(&sha);
    (void)mbedtls_sha256_starts_ret(&sha, 0);
    for (uint64_t at = 0; at < file->bytes && !err; at += ROOT_LOAD_BYTES) {
        err = digest_piece(file, at, &sha);
        if (told || rt_tsc() - begin < info()->tsc_khz * 1000ul) continue;
        say("boot archive: %s: checking the SHA-256 of %lu MiB", file->name, file->bytes >> 20);
        told = true;
    }
    (void)mbedtls_sha256_finish_ret(&sha, digest);
    if (err) say("boot archive: %s: cannot be read: %s", file->name, error_name(err));
    return !err;
}

const void *archive_map(const struct archive_file *file, uint64_t va)
{
    uint64_t slot = slots_take(1);
    uint64_t err;

    if (!slot || !file->frame) return NULL;
    err = attach(file->frame, BH_SLOT_HOSTSPACE, BH_RIGHT_READ, slot);
    if (!err) err = map(slot, va, 0, file->pages, BH_MAP_READ);
    if (err) {
        say("boot archive: %s: cannot be mapped: %s", file->name, error_name(err));
        return NULL;
    }
    return (const void *)va;
}
