/*
 * The choice of a boot protocol: the one asked for, or the first whose header is there.
 * May call: the loaders. Never looks at an image itself.
 */
#include "loader_elf.h"

struct loader {
    enum boot_protocol protocol;
    bool (*detect)(const struct boot_request *req);
    bool (*load)(const struct boot_request *req, struct boot_state *state,
                 struct boot_error *error);
};

static const struct loader loaders[] = {
    {BOOT_PROTOCOL_LINUX, loader_linux_detect, loader_linux},
    {BOOT_PROTOCOL_PVH, loader_pvh_detect, loader_pvh},
    {BOOT_PROTOCOL_MULTIBOOT2, loader_multiboot2_detect, loader_multiboot2},
    {BOOT_PROTOCOL_MULTIBOOT, loader_multiboot_detect, loader_multiboot},
};

bool boot_load(const struct boot_request *req, struct boot_state *state, struct boot_error *error)
{
    struct boot_state loaded;

    for (unsigned i = 0; i < sizeof(loaders) / sizeof(loaders[0]); i++) {
        if (req->protocol == loaders[i].protocol ||
            (req->protocol == BOOT_PROTOCOL_DETECT && loaders[i].detect(req))) {
            if (!loaders[i].load(req, &loaded, error)) {
                return false;
            }
            *state = loaded;
            return true;
        }
    }
    /* An ELF file that is damaged, or lacks its note: that loader says what is wrong with it. */
    if (req->protocol == BOOT_PROTOCOL_DETECT && elf_detect(req)) {
        return loader_pvh(req, &loaded, error);
    }
    return boot_fail(error, "kernel",
                     "neither a bzImage nor a PVH or multiboot image; bytes in the file",
                     "give one of these, whole", req->kernel_bytes);
}
