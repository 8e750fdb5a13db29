/* Files of the boot archive in a monitor's space; see images.h. */
#include "images.h"
#include <stddef.h>
#include "archive.h"
#include "caps.h"
#include "log.h"

static uint64_t large_up(uint64_t va)
{
    return (va + LARGE_BYTES - 1u) / LARGE_BYTES * LARGE_BYTES;
}

static bool cuts(uint64_t va) { return va % LARGE_BYTES != 0; }

/* The image after what lies before it (NULL: nothing). If it begins in the large page that the one
 * before ends in, as it does in the archive, they have that page's table in common. */
static void place(struct images *m, struct image *i, const struct archive_file *before)
{
    const struct archive_file *f = i->file;
    uint64_t gap, end = m->end_va;

    gap = before ? (f->page - before->page - before->pages) * PAGE : 0;
    if (before && f->page >= before->page + before->pages && cuts(end) &&
        gap < LARGE_BYTES - end % LARGE_BYTES) {
        i->va = end + gap;
    } else {
        i->va = large_up(end) + f->above_large;
        m->tables += cuts(i->va) ? 1 : 0;
    }
    m->end_va = i->va + f->pages * PAGE;
    if (cuts(m->end_va) && (i->va / LARGE_BYTES != m->end_va / LARGE_BYTES || !cuts(i->va)))
        m->tables++;
}

void images_place(struct images *m, const struct manifest_vm *config, uint64_t va)
{
    const struct manifest_firmware_files firmware = manifest_firmware_files(config);
    const struct archive_file *before = NULL;

    *m = (struct images){.end_va = va};
    m->image[IMAGE_KERNEL].name = config->kernel;
    m->image[IMAGE_INITRD].name = config->initrd;
    m->image[IMAGE_FIRMWARE].name = firmware.code;
    m->image[IMAGE_VARIABLES].name = firmware.variables;
    m->image[IMAGE_SCREEN_ROM].name = firmware.screen;
    for (unsigned i = 0; i < config->disk_count; i++)
        m->image[IMAGE_DISK + i].name = config->disks[i].image;
    for (unsigned i = 0; i < IMAGES_MAX; i++) {
        struct image *image = &m->image[i];

        if (image->name) image->file = archive_find(image->name);
        if (!image->file) continue;
        place(m, image, before);
        before = image->file;
    }
}

static bool map_one(const struct image *i, const char *vm, uint64_t hostspace, uint64_t slot)
{
    const struct archive_file *f = i->file;
    uint64_t err;

    if (!f || !f->frame) {
        say("vm %s: %s: %s in the boot archive", vm, i->name, f ? "empty" : "no such file");
        return false;
    }
    err = attach(f->frame, hostspace, BH_RIGHT_READ, slot);
    if (!err) err = map(slot, i->va, 0, f->pages, BH_MAP_READ);
    if (err) say("vm %s: %s: %s", vm, i->name, error_name(err));
    return err == BH_OK;
}

bool images_map(const struct images *m, const char *vm, uint64_t hostspace, uint64_t slot)
{
    for (unsigned i = 0; i < IMAGES_MAX; i++)
        if (m->image[i].name && !map_one(&m->image[i], vm, hostspace, slot + i)) return false;
    return true;
}

uint64_t images_unmap(uint64_t slot)
{
    uint64_t err = BH_OK;

    for (unsigned i = 0; i < IMAGES_MAX; i++) {
        uint64_t e = slot_delete(slot + i);

        err = err ? err : e;
    }
    return err;
}

static uint64_t file_pages(const char *name)
{
    const struct archive_file *f = name ? archive_find(name) : NULL;

    return f ? f->pages : 0;
}

uint64_t images_firmware_bytes(const struct manifest_vm *config)
{
    const struct manifest_firmware_files firmware = manifest_firmware_files(config);

    return (file_pages(firmware.code) + file_pages(firmware.variables)) * PAGE;
}

uint64_t image_bytes(const struct image *i) { return i->file ? i->file->bytes : 0; }
