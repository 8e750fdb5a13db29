/*
 * Linux bzImage by the 64-bit boot protocol, or by the 32-bit one if that is all the kernel has
 * (Linux Documentation/arch/x86/boot.rst and zero-page.rst). May call: loader_mem.h. Never trusts a
 * header field before checking it against image and memory.
 */
#include "loader_mem.h"

#include <string.h>

/* The setup header, offsets in the image and in boot_params alike. */
#define HDR_SETUP_SECTS     0x1F1u
#define HDR_SYSSIZE         0x1F4u
#define HDR_BOOT_FLAG       0x1FEu
#define HDR_JUMP_LENGTH     0x201u
#define HDR_MAGIC           0x202u
#define HDR_VERSION         0x206u
#define HDR_TYPE_OF_LOADER  0x210u
#define HDR_LOADFLAGS       0x211u
#define HDR_RAMDISK_IMAGE   0x218u
#define HDR_RAMDISK_SIZE    0x21Cu
#define HDR_CMD_LINE_PTR    0x228u
#define HDR_INITRD_ADDR_MAX 0x22Cu
#define HDR_KERNEL_ALIGN    0x230u
#define HDR_RELOCATABLE     0x234u
#define HDR_XLOADFLAGS      0x236u
#define HDR_CMDLINE_SIZE    0x238u
#define HDR_SETUP_DATA      0x250u
#define HDR_PREF_ADDRESS    0x258u
#define HDR_INIT_SIZE       0x260u
#define HDR_END_MIN         0x268u /* end of the header in protocol 2.12 */
#define HDR_END_MAX         0x290u /* boot_params: the next field after room for the header */

#define LOADFLAG_LOADED_HIGH 0x01u
#define XLF_KERNEL_64        0x0001u
#define LOADER_UNDEFINED     0xFFu
#define ENTRY_64_OFFSET      0x200u
#define SECTOR_BYTES         512u

/* boot_params beyond the header. The screen: 80 x 25 characters of 16 lines (screen_info). */
#define PARAMS_VIDEO_MODE   0x06u
#define PARAMS_VIDEO_COLS   0x07u
#define PARAMS_VIDEO_LINES  0x0Eu
#define PARAMS_VIDEO_IS_VGA 0x0Fu
#define PARAMS_VIDEO_POINTS 0x10u
#define PARAMS_BYTES        4096u
#define PARAMS_ACPI_RSDP    0x070u
#define PARAMS_E820_ENTRIES 0x1E8u
#define PARAMS_E820_TABLE   0x2D0u
#define E820_ENTRY_BYTES    20u

static const char where[] = "kernel (bzImage)";
static const char remedy_image[] = "copy the image again, or choose another kernel";
static const char remedy_kernel[] = "choose a kernel with a boot protocol of 2.12 or later";

/* What the header says, checked. */
struct linux_header {
    uint32_t header_end;
    uint64_t setup_bytes;
    uint64_t payload_bytes;
    uint64_t load_gpa;
    bool entry_64;
    uint64_t init_bytes;
    uint64_t initrd_ceiling;
    uint64_t cmdline_max;
};

bool loader_linux_detect(const struct boot_request *req)
{
    return req->kernel_bytes >= HDR_MAGIC + 4 && memcmp(req->kernel + HDR_MAGIC, "HdrS", 4) == 0 &&
           le16_get(req->kernel + HDR_BOOT_FLAG) == 0xAA55;
}

static bool check_file(const struct boot_request *req, struct linux_header *h,
                       struct boot_error *error)
{
    const uint8_t *image = req->kernel;

    if (!loader_linux_detect(req)) {
        return boot_fail(error, where, "the boot sector has no Linux setup header",
                         "give a bzImage, or name the right protocol in the manifest", 0);
    }
    if (req->kernel_bytes < HDR_END_MIN) {
        return boot_fail(error, where, "the image ends inside the setup header; bytes",
                         remedy_image, req->kernel_bytes);
    }
    if (le16_get(image + HDR_VERSION) < 0x020C) {
        return boot_fail(error, where, "the boot protocol is too old; version", remedy_kernel,
                         le16_get(image + HDR_VERSION));
    }
    h->header_end = HDR_MAGIC + image[HDR_JUMP_LENGTH];
    if (h->header_end < HDR_END_MIN || h->header_end > HDR_END_MAX ||
        h->header_end > req->kernel_bytes) {
        return boot_fail(error, where, "the setup header has an impossible length; its end",
                         remedy_image, h->header_end);
    }
    /* 0 means 4 for historical reasons; the boot sector comes on top. */
    const uint64_t sects = image[HDR_SETUP_SECTS] != 0 ? image[HDR_SETUP_SECTS] : 4;
    h->setup_bytes = (sects + 1) * SECTOR_BYTES;
    if (h->setup_bytes < h->header_end || req->kernel_bytes <= h->setup_bytes) {
        return boot_fail(error, where, "the image ends inside the setup code; bytes", remedy_image,
                         req->kernel_bytes);
    }
    h->payload_bytes = (uint64_t)le32_get(image + HDR_SYSSIZE) * 16;
    /* syssize counts paragraphs, rounded up: the last one may be incomplete. */
    if (h->payload_bytes <= ENTRY_64_OFFSET ||
        h->payload_bytes - 15 > req->kernel_bytes - h->setup_bytes) {
        return boot_fail(error, where, "the image is cut short; bytes of code it should have",
                         remedy_image, h->payload_bytes);
    }
    if (h->payload_bytes > req->kernel_bytes - h->setup_bytes) {
        h->payload_bytes = req->kernel_bytes - h->setup_bytes;
    }
    return true;
}

static bool check_entry(const struct boot_request *req, struct linux_header *h,
                        struct boot_error *error)
{
    const uint8_t *image = req->kernel;
    const uint32_t alignment = le32_get(image + HDR_KERNEL_ALIGN);

    if ((image[HDR_LOADFLAGS] & LOADFLAG_LOADED_HIGH) == 0) {
        return boot_fail(error, where, "this is a zImage, which loads below 1 MiB", remedy_kernel,
                         0);
    }
    h->entry_64 = (le16_get(image + HDR_XLOADFLAGS) & XLF_KERNEL_64) != 0;
    h->load_gpa = le64_get(image + HDR_PREF_ADDRESS);
    h->init_bytes = le32_get(image + HDR_INIT_SIZE);
    if (image[HDR_RELOCATABLE] != 0 &&
        (alignment == 0 || (alignment & (alignment - 1)) != 0 || h->load_gpa % alignment != 0)) {
        return boot_fail(error, where, "kernel_alignment and pref_address do not agree; alignment",
                         remedy_image, alignment);
    }
    if (h->load_gpa < LEGACY_HOLE_END_GPA) {
        return boot_fail(error, where, "pref_address is below 1 MiB", remedy_image, h->load_gpa);
    }
    if (h->init_bytes < h->payload_bytes) {
        return boot_fail(error, where, "init_size is smaller than the code; init_size",
                         remedy_image, h->init_bytes);
    }
    /*
     * The kernel runs at pref_address or above wherever it is loaded, relocatable or not, and needs
     * init_size bytes there. The page tables we make reach 4 GiB, low RAM ends before.
     */
    if (h->load_gpa > guest_mem_low_end(&req->mem) ||
        h->init_bytes > guest_mem_low_end(&req->mem) - h->load_gpa) {
        return boot_fail(
            error, where, "the VM has too little memory; MiB the kernel needs to start",
            "raise memory-mib",
            h->load_gpa < GUEST_HIGH_RAM_BASE ? ((h->load_gpa + h->init_bytes) >> 20) + 1
                                              : h->load_gpa >> 20);
    }
    h->initrd_ceiling = (uint64_t)le32_get(image + HDR_INITRD_ADDR_MAX) + 1;
    h->cmdline_max = le32_get(image + HDR_CMDLINE_SIZE);
    return true;
}

/* What the kernel's own 16-bit code would have asked the BIOS. */
static void put_screen(uint8_t *params)
{
    params[PARAMS_VIDEO_MODE] = 3;
    params[PARAMS_VIDEO_COLS] = 80;
    params[PARAMS_VIDEO_LINES] = 25;
    params[PARAMS_VIDEO_IS_VGA] = 1;
    params[PARAMS_VIDEO_POINTS] = 16;
}

static bool put_params(const struct boot_request *req, const struct linux_header *h,
                       uint64_t initrd_gpa, struct boot_error *error)
{
    uint8_t *params = guest_mem_ptr(&req->mem, BOOT_INFO_GPA, PARAMS_BYTES);
    struct memory_range map[MEMORY_MAP_MAX];
    const unsigned ranges = boot_memory_map(&req->mem, map);

    if (params == NULL) {
        return boot_fail(error, "memory-mib", "the VM has no room for boot data", "give 1 or more",
                         0);
    }
    memset(params, 0, PARAMS_BYTES);
    if (req->screen) put_screen(params);
    memcpy(params + HDR_SETUP_SECTS, req->kernel + HDR_SETUP_SECTS,
           h->header_end - HDR_SETUP_SECTS);
    params[HDR_TYPE_OF_LOADER] = LOADER_UNDEFINED;
    le32_put(params + HDR_CMD_LINE_PTR, BOOT_CMDLINE_GPA);
    le64_put(params + HDR_SETUP_DATA, 0);
    le32_put(params + HDR_RAMDISK_IMAGE, (uint32_t)initrd_gpa);
    le32_put(params + HDR_RAMDISK_SIZE, req->initrd != NULL ? (uint32_t)req->initrd_bytes : 0);
    le64_put(params + PARAMS_ACPI_RSDP, req->acpi_rsdp_gpa);
    params[PARAMS_E820_ENTRIES] = (uint8_t)ranges;
    for (unsigned i = 0; i < ranges; i++) {
        uint8_t *entry = params + PARAMS_E820_TABLE + i * E820_ENTRY_BYTES;
        le64_put(entry, map[i].base);
        le64_put(entry + 8, map[i].length_bytes);
        le32_put(entry + 16, map[i].type);
    }
    return true;
}

bool loader_linux(const struct boot_request *req, struct boot_state *state,
                  struct boot_error *error)
{
    struct linux_header h;
    uint64_t initrd_gpa = 0;

    if (!check_file(req, &h, error) || !check_entry(req, &h, error)) {
        return false;
    }
    uint8_t *to = guest_mem_ptr(&req->mem, h.load_gpa, h.init_bytes);
    if (to == NULL) {
        return boot_fail(error, where, "the VM has too little memory", "raise memory-mib", 0);
    }
    memcpy(to, req->kernel + h.setup_bytes, h.payload_bytes);
    /* Page tables reach, and 32-bit fields can name, addresses below 4 GiB: so does low RAM. */
    if (req->initrd != NULL &&
        !boot_put_initrd(req, h.load_gpa + h.init_bytes, h.initrd_ceiling, &initrd_gpa, error)) {
        return false;
    }
    if (!boot_put_cmdline(req, h.cmdline_max, error) || !put_params(req, &h, initrd_gpa, error) ||
        !(h.entry_64 ? boot_state_long(req, h.load_gpa + ENTRY_64_OFFSET, state, error)
                     : boot_state_protected(req, h.load_gpa, state, error))) {
        return false;
    }
    state->rsi = BOOT_INFO_GPA;
    state->protocol = BOOT_PROTOCOL_LINUX;
    return true;
}
