// sources: kernel/arch/x86/acpi.c kernel/arch/x86/loader_info.c
// flags: -DPHYS_BASE=0x200000000000ul -iquote kernel/arch/x86
/*
 * Tables that loader and firmware leave: multiboot2 and PVH information, RSDP, RSDT, XSDT, MADT.
 * The input is a list of pieces of physical memory; those that ask for it get the checksums that
 * the tables need. What must hold: nothing outside the first 4 GiB is read (of multiboot2's
 * information nothing behind its end), and what is found is within the limits that the boot code
 * relies on.
 */
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include "input.h"
#include "acpi.h"
#include "klog.h"
#include "loader_info.h"

#define LOW_END   0x100000000ull
#define PIECES    16u
#define MB2_MAGIC 0x36d76289u
#define PVH_MAGIC 0x336ec578u

static uint8_t *memory;
static struct {
    uint64_t at, bytes;
} pieces[PIECES];

void klog(const char *fmt, ...) {}

static void memory_init(void)
{
    memory = mmap((void *)PHYS_BASE, LOW_END + 4096u, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(memory == (uint8_t *)PHYS_BASE);
    CHECK(mprotect(memory + LOW_END, 4096, PROT_NONE) == 0);
}

static void fix_sum(uint8_t *p, uint64_t have, uint64_t n, uint64_t at)
{
    uint8_t s = 0;

    if (n > have || at >= n) return;
    p[at] = 0;
    for (uint64_t i = 0; i < n; i++) s = (uint8_t)(s + p[i]);
    p[at] = (uint8_t)-s;
}

/* Places a hundred KiB apart, the ends of what the identity map reaches, or anywhere. */
static uint64_t take_place(struct input *in)
{
    uint8_t how = (uint8_t)take(in, 1);

    if (how < 0x40u) return 0x100000u + (uint64_t)how * 0x20000u;
    if (how < 0x50u) return 0xe0000u + (how & 15u) * 16u;
    if (how < 0x60u) return LOW_END - 16u * (how & 15u) - take(in, 1);
    if (how == 0x60u) return 0x40e;
    if (how == 0x61u) return 0x9fc00;
    return take(in, 4);
}

static unsigned place_pieces(struct input *in)
{
    unsigned n = 0;

    while (more(in) && n < PIECES) {
        uint64_t at = take_place(in), bytes = take(in, 2) & 0x7ffu;
        uint8_t sums = (uint8_t)take(in, 1);
        uint32_t length = 0;

        if (bytes > (uint64_t)(in->end - in->at)) bytes = (uint64_t)(in->end - in->at);
        if (bytes > LOW_END - at) bytes = LOW_END - at;
        memcpy(memory + at, in->at, bytes);
        in->at += bytes;
        if (sums & 1u) {
            fix_sum(memory + at, bytes, 20, 8);
            fix_sum(memory + at, bytes, 36, 32);
        }
        if ((sums & 2u) && bytes >= 36u) {
            memcpy(&length, memory + at + 4, 4);
            fix_sum(memory + at, bytes, length, 9);
        }
        pieces[n].at = at;
        pieces[n++].bytes = bytes;
    }
    return n;
}

static void read_loader(uint32_t magic, uint64_t phys)
{
    static struct loader_info info;
    uint32_t total = 0;
    const char *why;

    memset(&info, 0xa5, sizeof(info));
    if (magic == MB2_MAGIC && phys % 8u == 0 && phys <= LOW_END - 16u) {
        memcpy(&total, memory + phys, 4);
        if (total < 8u) total = 8;
        if (total < LOW_END - phys - 4096u)
            ASAN_POISON_MEMORY_REGION(memory + phys + total, 4096);
        else
            total = 0;
    }
    why = loader_read(magic, phys, &info);
    if (total != 0) ASAN_UNPOISON_MEMORY_REGION(memory + phys + total, 4096);
    CHECK(info.nranges <= RAM_RANGES_MAX);
    CHECK(memchr(info.cmdline, 0, sizeof(info.cmdline)) != NULL);
    if (why != NULL) {
        CHECK(strlen(why) > 0);
        return;
    }
    CHECK(info.nranges > 0 && info.module != 0 && info.module % 4096u == 0);
    CHECK(info.module_bytes >= 4096u && info.module + info.module_bytes <= LOW_END);
    for (unsigned i = 0; i < info.nranges; i++) {
        const struct ram_range *r = &info.ranges[i];

        CHECK(r->base <= r->end && (r->base | r->end) % 4096u == 0);
        if (r->base == r->end) continue; /* taken whole */
        CHECK(r->base >= 0x100000u && r->end <= (uint64_t)1 << 52);
        CHECK(r->end <= info.module || r->base >= info.module + info.module_bytes);
        for (unsigned k = 0; k < i; k++)
            CHECK(info.ranges[k].base == info.ranges[k].end || r->end <= info.ranges[k].base ||
                  r->base >= info.ranges[k].end);
    }
    CHECK(info.low_page % 4096u == 0 && info.low_page < 0xa0000u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    uint8_t how = (uint8_t)take(&in, 1);
    uint64_t at = take_place(&in), root;
    struct madt_info madt;
    unsigned n;

    if (memory == NULL) memory_init();
    n = place_pieces(&in);
    if (how & 1u) {
        read_loader(how & 2u ? MB2_MAGIC : PVH_MAGIC, at);
    } else {
        memset(&madt, 0xa5, sizeof(madt));
        root = acpi_madt(how & 2u ? at : 0, &madt);
        CHECK(root <= LOW_END - 36u && madt.cpus <= BH_MAX_CPUS);
        if (root == 0) CHECK(madt.cpus == 0);
    }
    for (unsigned i = 0; i < n; i++) memset(memory + pieces[i].at, 0, pieces[i].bytes);
    return 0;
}
