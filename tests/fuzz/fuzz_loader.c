// sources: vmm/monitor/loader_any.c vmm/monitor/loader_elf.c vmm/monitor/loader_linux.c
// sources: vmm/monitor/loader_mem.c vmm/monitor/loader_multiboot.c vmm/monitor/loader_pvh.c
// sources: vmm/monitor/loader_flat.c vmm/monitor/loader_multiboot2.c vmm/monitor/dev/guest_mem.c
// flags: -Ivmm/monitor
/*
 * Boot loaders: any bytes as a bzImage, PVH or multiboot image, with an initrd and a command line
 * of any size. What must hold: nothing outside the image is read, nothing outside guest RAM is
 * written, the legacy hole stays untouched, and a start state points into loaded RAM.
 */
#include "input.h"
#include "loader_mem.h"

#define RAM_MAX ((size_t)24 << 20)
#define HOLE    0xc0u

static uint8_t *ram, *initrd;
static uint8_t pattern[LEGACY_HOLE_END_GPA - LEGACY_HOLE_GPA];

static void check_state(const struct boot_request *req, const struct boot_state *s)
{
    CHECK(s->protocol >= BOOT_PROTOCOL_LINUX && s->protocol <= BOOT_PROTOCOL_MULTIBOOT2);
    CHECK(req->protocol == BOOT_PROTOCOL_DETECT || req->protocol == s->protocol);
    CHECK(guest_mem_ptr(&req->mem, s->rip, 1) != NULL && s->rip >= BOOT_AREA_END_GPA);
    CHECK(guest_mem_ptr(&req->mem, s->gdt_base, (uint64_t)s->gdt_limit + 1u) != NULL);
    CHECK(s->rsp == 0 || guest_mem_ptr(&req->mem, s->rsp - 8u, 8) != NULL);
    if (s->long_mode) CHECK(guest_mem_ptr(&req->mem, s->cr3, 4096) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct boot_request req = {0};
    struct boot_state state;
    struct boot_error error = {0};
    char cmdline[256], *text;
    size_t ram_bytes;
    uint8_t *image;

    if (size < 4u) return 0;
    if (ram == NULL) {
        ram = aligned_alloc(4096, RAM_MAX);
        initrd = malloc(1u << 16);
        CHECK(ram != NULL && initrd != NULL);
        memset(initrd, 0x1d, 1u << 16);
        memset(pattern, HOLE, sizeof(pattern));
        memcpy(pattern + (0xf0000 - LEGACY_HOLE_GPA), "RSD PTR ", 8);
    }
    /* RAM of a few KiB up to all of it. What lies behind it keeps its pattern. */
    ram_bytes =
        data[0] < 0x80u ? RAM_MAX - 4096u : ((size_t)data[0] & 0x7fu) << (data[3] & 7u) << 12;
    if (ram_bytes > RAM_MAX - 4096u) ram_bytes = RAM_MAX - 4096u;
    memset(ram, 0, 0x10000);
    memcpy(ram + LEGACY_HOLE_GPA, pattern, sizeof(pattern));
    memcpy(ram + ram_bytes, pattern, 4096);
    req.mem = (struct guest_mem){ram, ram_bytes, NULL};
    req.protocol = (enum boot_protocol)((data[1] & 3u) | (data[3] & 8u) >> 1);
    req.screen = (data[3] & 16u) != 0;
    if (data[1] & 4u) {
        req.initrd = initrd;
        req.initrd_bytes = (uint64_t)data[2] << (data[1] >> 5);
    }
    memset(cmdline, 'c', sizeof(cmdline));
    cmdline[data[2]] = 0;
    text = (data[1] & 8u) ? strdup(cmdline) : NULL;
    req.cmdline = text;
    req.acpi_rsdp_gpa = data[1] & 16u ? 0xf0000 : 0;
    data += 4;
    size -= 4;
    image = malloc(size + (size == 0 ? 1u : 0u));
    CHECK(image != NULL);
    memcpy(image, data, size);
    req.kernel = image;
    req.kernel_bytes = size;
    memset(&state, 0, sizeof(state));
    if (boot_load(&req, &state, &error))
        check_state(&req, &state);
    else
        CHECK(error.where != NULL && error.what != NULL && error.remedy != NULL);
    CHECK(memcmp(image, data, size) == 0);
    CHECK(memcmp(ram + ram_bytes, pattern, 4096) == 0);
    if (ram_bytes >= LEGACY_HOLE_END_GPA)
        CHECK(memcmp(ram + LEGACY_HOLE_GPA, pattern, sizeof(pattern)) == 0);
    free(image);
    free(text);
    return 0;
}
