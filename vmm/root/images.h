/*
 * The files of the boot archive that a VM's monitor sees, read-only: kernel, initrd, firmware,
 * disks. Each is attached on its own, in one row of addresses behind the VM's memory. May call:
 * archive, capabilities, the log.
 */
#ifndef VMM_ROOT_IMAGES_H
#define VMM_ROOT_IMAGES_H

#include <stdbool.h>
#include <stdint.h>
#include "bulkhead/monitor.h"
#include "manifest.h"

enum {
    IMAGE_KERNEL,
    IMAGE_INITRD,
    IMAGE_FIRMWARE,
    IMAGE_VARIABLES,
    IMAGE_SCREEN_ROM,
    IMAGE_DISK,
    IMAGES_MAX = IMAGE_DISK + BH_MONITOR_DISKS
};

struct image {
    const char *name;                /* NULL: there is none */
    const struct archive_file *file; /* NULL: not in the archive */
    uint64_t va;                     /* in the monitor */
};

struct images {
    struct image image[IMAGES_MAX];
    uint64_t end_va;
    uint64_t tables; /* page tables of the lowest level, for ends that fill no large entry */
};

/** Where the images lie, from the first 2 MiB boundary at or behind @va on. Each as far above one as
 *  in memory, so that it takes large entries. */
void images_place(struct images *m, const struct manifest_vm *config, uint64_t va);

/** Attach and map them. @param slot first of IMAGES_MAX slots @return false: said why */
bool images_map(const struct images *m, const char *vm, uint64_t hostspace, uint64_t slot);

/** Take the attachments back. @return BH_OK or the kernel's error */
uint64_t images_unmap(uint64_t slot);

/** Memory for copies of the firmware that the guest sees. */
uint64_t images_firmware_bytes(const struct manifest_vm *config);

/** Size of an image in bytes; 0: there is none. */
uint64_t image_bytes(const struct image *i);

#endif
