/*
 * Guest-physical memory: which piece of the VM's memory the guest sees where. Guest RAM has its
 * places for good; memory of devices (frame buffer, firmware) comes and goes as devices say.
 * May call: the attachment of the VM's memory to its GuestSpace.
 */
#include "monitor.h"

#define PAGE_BYTES  4096u
#define LARGE_BYTES 0x200000ull
#define VIEWS_MAX   64u

struct guest_mem guest_mem;

/* What is mapped beside guest RAM, as it was mapped; under the device lock. */
struct view {
    uint64_t gpa, bytes; /* bytes 0: free */
    uint8_t *at;
    unsigned access;
};

static struct view views[VIEWS_MAX];

static uint64_t device_ram_used;

/* Offset of the devices' memory in the Frame. */
static uint64_t device_ram_offset(void)
{
    return (start_block()->ram_bytes + LARGE_BYTES - 1u) & ~(LARGE_BYTES - 1u);
}

void memory_init(void)
{
    guest_mem.base = (uint8_t *)BH_MONITOR_RAM;
    guest_mem.size_bytes = start_block()->ram_bytes;
}

/* @return bytes mapped: less than @bytes when the rest cannot be. */
static uint64_t map(uint64_t gpa, uint64_t offset, uint64_t bytes, uint64_t flags)
{
    uint64_t done = 0;

    while (done < bytes) {
        uint64_t pages = rt_map_pages(gpa + done, (bytes - done) / PAGE_BYTES);
        struct bh_result r =
            bh_attach_map(BH_MONITOR_SLOT_RAM, gpa + done, (offset + done) | flags, pages);

        if (r.err == BH_ERR_PREEMPTED)
            pages = r.value;
        else if (r.err)
            break;
        done += pages * PAGE_BYTES;
    }
    return done;
}

static bool unmap(uint64_t gpa, uint64_t bytes)
{
    for (uint64_t done = 0; done < bytes;) {
        uint64_t pages = rt_map_pages(gpa + done, (bytes - done) / PAGE_BYTES);
        struct bh_result r = bh_attach_unmap(BH_MONITOR_SLOT_RAM, gpa + done, pages);

        if (r.err == BH_ERR_PREEMPTED)
            pages = r.value;
        else if (r.err)
            return false;
        done += pages * PAGE_BYTES;
    }
    return true;
}

bool memory_map_ram(void)
{
    const uint64_t all = BH_MAP_READ | BH_MAP_WRITE | BH_MAP_EXEC;
    uint64_t low = guest_mem_low_end(&guest_mem), high = guest_mem_high_bytes(&guest_mem);
    uint64_t first = low < GUEST_VGA_HOLE ? low : GUEST_VGA_HOLE;
    uint64_t second = low > GUEST_LEGACY_END ? low - GUEST_LEGACY_END : 0;

    return map(0, 0, first, all) == first &&
           map(GUEST_LEGACY_END, GUEST_LEGACY_END, second, all) == second &&
           map(GUEST_HIGH_RAM_BASE, low, high, all) == high;
}

static struct view *view_free(void)
{
    for (unsigned i = 0; i < VIEWS_MAX; i++)
        if (views[i].bytes == 0) return &views[i];
    return NULL;
}

/* Devices take away what they have shown, whole. */
static void views_forget(uint64_t gpa, uint64_t bytes)
{
    for (unsigned i = 0; i < VIEWS_MAX; i++)
        if (views[i].gpa < gpa + bytes && gpa < views[i].gpa + views[i].bytes)
            views[i] = (struct view){0};
    self()->code_page.bytes = NULL;
}

void *memory_seen(uint64_t gpa, uint64_t bytes, bool write)
{
    void *p = NULL;

    if (bytes == 0 || gpa + bytes <= GUEST_VGA_HOLE || gpa >= GUEST_LEGACY_END)
        p = guest_mem_ptr(&guest_mem, gpa, bytes);
    if (p) return p;
    device_lock();
    for (unsigned i = 0; i < VIEWS_MAX && !p; i++) {
        const struct view *v = &views[i];

        if (gpa >= v->gpa && gpa - v->gpa < v->bytes && bytes <= v->bytes - (gpa - v->gpa) &&
            (!write || (v->access & DEV_MAP_WRITE)))
            p = v->at + (gpa - v->gpa);
    }
    device_unlock();
    return p;
}

bool memory_take(struct dev_ram *ram, uint64_t bytes)
{
    uint64_t left = start_block()->device_ram_bytes - device_ram_used;

    bytes = (bytes + PAGE_BYTES - 1u) & ~(uint64_t)(PAGE_BYTES - 1u);
    if (bytes == 0 || bytes > left) return false;
    ram->bytes = (uint8_t *)BH_MONITOR_RAM + device_ram_offset() + device_ram_used;
    ram->size_bytes = bytes;
    device_ram_used += bytes;
    return true;
}

bool memory_map_device(void *ctx, const struct dev_ram *ram, uint64_t offset, uint64_t bytes,
                       uint64_t gpa, unsigned access)
{
    uint64_t at = (uint64_t)ram->bytes - BH_MONITOR_RAM + offset, done;
    struct view *view = view_free();

    if (((offset | bytes | gpa) & (PAGE_BYTES - 1u)) || offset > ram->size_bytes ||
        bytes > ram->size_bytes - offset)
        return false;
    if (access == 0) {
        views_forget(gpa, bytes);
        return unmap(gpa, bytes);
    }
    if (!view) return false;
    done = map(gpa, at, bytes,
               BH_MAP_READ | (access & DEV_MAP_WRITE ? BH_MAP_WRITE : 0) |
                   (access & DEV_MAP_EXEC ? BH_MAP_EXEC : 0));
    /* RAM may be there: only what was mapped just now goes. */
    if (done < bytes) {
        (void)unmap(gpa, done);
        return false;
    }
    *view = (struct view){gpa, bytes, ram->bytes + offset, access};
    return true;
}
