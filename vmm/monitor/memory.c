/*
 * Guest-physical memory: which piece of the VM's memory the guest sees where. Guest RAM has its
 * places for good; memory of devices (frame buffer, firmware) comes and goes as devices say.
 * May call: the attachment of the VM's memory to its GuestSpace, clock.c.
 */
#include "monitor.h"
#include "string.h"

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

/*
 * What is read-only may be written by instructions that are not carried out here, and by the
 * processor itself: the busy bit of a descriptor in ROM, an accessed bit. A PC drops such writes.
 * Here the guest gets a copy of the page for them, for a short while, in RAM that it sees nowhere:
 * what lies behind VGA's window. Under the device lock.
 */
#define LENT_MAX ((unsigned)((GUEST_VGA_END - GUEST_VGA_HOLE) / PAGE_BYTES))
#define LEND_NS  1000000u

static uint64_t lent[LENT_MAX]; /* guest-physical pages */
static unsigned nlent;
static uint64_t lent_until_ns = NO_DEADLINE_NS;

static uint64_t device_ram_used;

/* Offset of the devices' memory in the Frame. */
static uint64_t device_ram_offset(void)
{
    return (start_block()->ram_bytes + LARGE_BYTES - 1u) & ~(LARGE_BYTES - 1u);
}

/* Guest RAM that is in the Frame: what comes and goes is not. */
static uint64_t own_ram_bytes(void) { return vm_elastic() ? BH_PIECE_BYTES : guest_mem.size_bytes; }

/* Where in the Frame is what lies at @offset from BH_MONITOR_RAM here? */
static uint64_t frame_offset(uint64_t offset)
{
    return offset < own_ram_bytes() || !vm_elastic()
               ? offset
               : offset - device_ram_offset() + BH_PIECE_BYTES;
}

void memory_init(void)
{
    guest_mem.base = (uint8_t *)BH_MONITOR_RAM;
    guest_mem.size_bytes = start_block()->ram_bytes;
}

/* What lies at @from from BH_MONITOR_RAM on here. @return bytes mapped: less than @bytes when the
 * rest cannot be. */
static uint64_t map(uint64_t gpa, uint64_t from, uint64_t bytes, uint64_t flags)
{
    uint64_t offset = frame_offset(from), done = 0;

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
    uint64_t own = own_ram_bytes(); /* root sees to the rest */
    uint64_t low = own < GUEST_LOW_RAM_END ? own : GUEST_LOW_RAM_END, high = own - low;
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

static const struct view *view_at(uint64_t gpa)
{
    for (unsigned i = 0; i < VIEWS_MAX; i++)
        if (gpa >= views[i].gpa && gpa - views[i].gpa < views[i].bytes) return &views[i];
    return NULL;
}

static uint64_t map_flags(unsigned access)
{
    return BH_MAP_READ | (access & DEV_MAP_WRITE ? BH_MAP_WRITE : 0) |
           (access & DEV_MAP_EXEC ? BH_MAP_EXEC : 0);
}

/* The page of a view that is not mapped anew. */
static void page_map(const struct view *v, uint64_t gpa)
{
    (void)map(gpa, (uint64_t)v->at - BH_MONITOR_RAM + (gpa - v->gpa), PAGE_BYTES,
              map_flags(v->access));
}

static void give_back(void)
{
    for (unsigned i = 0; i < nlent; i++) {
        const struct view *v = view_at(lent[i]);

        /* A page that cannot be mapped again exits: its device answers. */
        if (unmap(lent[i], PAGE_BYTES) && v) page_map(v, lent[i]);
    }
    nlent = 0;
    lent_until_ns = NO_DEADLINE_NS;
}

static bool lend(uint64_t gpa)
{
    const struct view *v = view_at(gpa);
    uint64_t at;

    if (!v || (v->access & DEV_MAP_WRITE) || guest_mem.size_bytes < GUEST_VGA_END) return false;
    for (unsigned i = 0; i < nlent; i++)
        if (lent[i] == gpa) return true; /* by another vCPU, meanwhile */
    if (nlent == LENT_MAX) give_back();
    at = GUEST_VGA_HOLE + nlent * (uint64_t)PAGE_BYTES;
    memcpy(guest_mem.base + at, v->at + (gpa - v->gpa), PAGE_BYTES);
    if (!unmap(gpa, PAGE_BYTES)) return false;
    if (map(gpa, at, PAGE_BYTES, map_flags(DEV_MAP_WRITE | DEV_MAP_EXEC)) < PAGE_BYTES) {
        page_map(v, gpa);
        return false;
    }
    lent[nlent++] = gpa;
    lent_until_ns = clock_ns() + LEND_NS;
    return true;
}

bool memory_lend(uint64_t gpa)
{
    bool ok;

    device_lock();
    ok = lend(gpa & ~(uint64_t)(PAGE_BYTES - 1u));
    device_unlock();
    if (ok) self()->dirty |= DIRTY_DEVICES;
    return ok;
}

uint64_t memory_deadline_ns(void) { return lent_until_ns; }

void memory_tick(uint64_t now_ns)
{
    if (lent_until_ns <= now_ns) give_back();
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

/* Where RAM is, or comes back to when it is wanted again: no place for anything else. What is
 * behind VGA's window and above it the devices see to. */
static bool is_ram(uint64_t gpa, uint64_t bytes)
{
    uint64_t end = gpa + bytes;

    if (gpa - GUEST_VGA_HOLE < GUEST_LEGACY_END - GUEST_VGA_HOLE && end <= GUEST_LEGACY_END)
        return false;
    return end < gpa || gpa < guest_mem_low_end(&guest_mem) ||
           (end > GUEST_HIGH_RAM_BASE &&
            gpa < GUEST_HIGH_RAM_BASE + guest_mem_high_bytes(&guest_mem));
}

bool memory_map_device(void *ctx, const struct dev_ram *ram, uint64_t offset, uint64_t bytes,
                       uint64_t gpa, unsigned access)
{
    uint64_t at = (uint64_t)ram->bytes - BH_MONITOR_RAM + offset, done;
    struct view *view = view_free();

    give_back();

    if (((offset | bytes | gpa) & (PAGE_BYTES - 1u)) || offset > ram->size_bytes ||
        bytes > ram->size_bytes - offset)
        return false;
    if (access == 0) {
        views_forget(gpa, bytes);
        return unmap(gpa, bytes);
    }
    if (!view || is_ram(gpa, bytes)) return false;
    done = map(gpa, at, bytes, map_flags(access));
    /* What is mapped else is not touched: only what was mapped just now goes. */
    if (done < bytes) {
        (void)unmap(gpa, done);
        return false;
    }
    *view = (struct view){gpa, bytes, ram->bytes + offset, access};
    return true;
}
