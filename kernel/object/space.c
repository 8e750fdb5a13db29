/*
 * Spaces. A HostSpace starts with the path to its private slot (save areas, vCPU pages: supervisor
 * only) and the shared kernel half. Tables are handed out upwards and stay until the space goes.
 * Entries are written once, upwards: a table is complete before it is linked. May call: core/ptab,
 * mem, the backend's entry formats.
 */
#include "object/space.h"
#include "arch/x86/cpu.h"
#include "bulkhead/info.h"
#include "arch/x86/layout.h"
#include "arch/x86/mem.h"
#include "arch/x86/vcpu_ops.h"
#include "core/ptab.h"

_Static_assert(HOST_FIRST_FREE == BH_HOSTSPACE_MIN_PAGES, "no table left is the least");
_Static_assert(GUEST_FIRST_FREE == BH_GUESTSPACE_MIN_PAGES, "no table left is the least");

#define HOST_TABLE (PTE_P | PTE_W | PTE_U | PTE_A)

static uint64_t table_flags(const struct space *s)
{
    return s->kind == SPACE_HOST ? HOST_TABLE : vcpu_ops->table_flags();
}

static uint64_t leaf_flags(const struct space *s, uint64_t flags, uint32_t level)
{
    if (s->kind == SPACE_GUEST) return vcpu_ops->leaf_flags(flags, level);
    return PTE_P | PTE_U | PTE_A | PTE_D | ((flags & BH_MAP_WRITE) != 0 ? PTE_W : 0) |
           ((flags & BH_MAP_EXEC) != 0 ? 0 : pte_nx) |
           ((flags & BH_MAP_UC) != 0 ? PTE_PCD | PTE_PWT : 0) | (level > 1 ? PTE_PS : 0);
}

/* Some Intel CPUs stop the machine when a guest executes from a large entry whose size changes:
 * there it gets none. */
static uint32_t max_level(const struct space *s, uint64_t flags)
{
    if (s->kind == SPACE_HOST) return cpu_has_1g ? 3 : 2;
    return (cpu_prot_on & BH_PROT_EXEC_4K) != 0 && (flags & BH_MAP_EXEC) != 0 ? 1 : 2;
}

void space_init(uint32_t space, uint32_t kind, uint32_t pages)
{
    struct space *s = &spaces[space];

    s->kind = kind;
    s->pages = pages;
    s->next_free = kind == SPACE_HOST ? HOST_FIRST_FREE : GUEST_FIRST_FREE;
    if (kind != SPACE_HOST) return;
    tables[space + HOST_ROOT][0] = page_phys(space + HOST_PDPT) | HOST_TABLE;
    tables[space + HOST_ROOT][511] = kernel_pdpt_entry;
    tables[space + HOST_PDPT][0] = page_phys(space + HOST_PD) | HOST_TABLE;
    tables[space + HOST_PD][0] = page_phys(space + HOST_PRIVATE) | PTE_P | PTE_W | PTE_A;
    pool_hide(space + HOST_SAVE);
    space_private(space, PRIV_SAVE, space + HOST_SAVE);
}

void space_fini(uint32_t space)
{
    if (spaces[space].kind == SPACE_HOST) {
        pool_show(space + HOST_SAVE);
        zero_bytes(page_ptr(space + HOST_SAVE), PAGE_BYTES);
    }
}

void space_private(uint32_t space, uint64_t va, uint32_t page)
{
    tables[space + HOST_PRIVATE][va / PAGE_BYTES % 512] =
        page == 0 ? 0 : page_phys(page) | PTE_P | PTE_W | PTE_A | PTE_D | pte_nx;
}

bool space_range_ok(const struct space *s, uint64_t va, uint64_t pages)
{
    uint64_t end = s->kind == SPACE_HOST ? USER_END : (uint64_t)VPN_MAX * PAGE_BYTES;
    uint64_t start = s->kind == SPACE_HOST ? USER_START : 0;

    return va >= start && va < end && pages <= (end - va) / PAGE_BYTES;
}

struct sysret space_decode_map(struct map_plan *p)
{
    const struct space *s = &spaces[p->space];
    uint32_t steps = 0, need = 0;
    uint64_t done = 0;

    while (done < p->pages && steps < p->steps) {
        uint64_t vpn = p->vpn + done;
        uint32_t level =
            ptab_leaf_level(vpn, p->pfn + done, p->pages - done, max_level(s, p->flags));
        struct ptab_walk w = ptab_walk(p->space + 1, vpn, level);

        if (w.level == level) {
            if (tables[w.table][ptab_slot(vpn, level)] != 0) return sysret(BH_ERR_MAPPED, 0);
        } else {
            if (tables[w.table][ptab_slot(vpn, w.level)] != 0) return sysret(BH_ERR_MAPPED, 0);
                /* Tables missing below w: each is counted where the range enters it. */
#ifndef BREAK_TABLE_COUNT
            for (uint32_t l = level; l < w.level; l++)
#else
            for (uint32_t l = level; l + 1 < w.level; l++)
#endif
                need += done == 0 || (vpn & ((1ull << 9 * l) - 1)) == 0 ? 1 : 0;
        }
        done += ptab_leaf_pages(level);
        steps++;
    }
    if (need > s->pages - s->next_free)
        return sysret(BH_ERR_TABLES, need - (s->pages - s->next_free));
    p->todo = done;
    return sysret(BH_OK, 0);
}

void space_commit_map(const struct map_plan *p)
{
    struct space *s = &spaces[p->space];
    uint64_t done = 0;

    while (done < p->todo) {
        uint64_t vpn = p->vpn + done;
        uint32_t level =
            ptab_leaf_level(vpn, p->pfn + done, p->pages - done, max_level(s, p->flags));
        struct ptab_walk w = ptab_walk(p->space + 1, vpn, level);

        while (w.level > level) {
            uint32_t table = p->space + s->next_free++;
            w = ptab_link(w, vpn, table, page_phys(table) | table_flags(s));
        }
        ptab_put(w, vpn, (p->pfn + done) * PAGE_BYTES | leaf_flags(s, p->flags, level));
        done += ptab_leaf_pages(level);
    }
}

/* A large leaf is cleared whole or not at all: does the range [vpn, + pages) cut one? */
bool space_unmap_cuts(uint32_t space, uint64_t vpn, uint64_t pages)
{
    struct ptab_walk w = ptab_walk(space + 1, vpn, 1);

    if (w.level <= 3 && tables[w.table][ptab_slot(vpn, w.level)] != 0 &&
        vpn % ptab_leaf_pages(w.level) != 0)
        return true;
    w = ptab_walk(space + 1, vpn + pages - 1, 1);
    return w.level <= 3 && tables[w.table][ptab_slot(vpn + pages - 1, w.level)] != 0 &&
           (vpn + pages) % ptab_leaf_pages(w.level) != 0;
}

uint64_t space_unmap(uint32_t space, uint64_t vpn, uint64_t pages, uint64_t pfn, uint64_t extent,
                     uint32_t steps)
{
    uint64_t done = 0;

    while (done < pages && steps-- > 0) {
        struct ptab_walk w = ptab_walk(space + 1, vpn + done, 1);
        uint64_t size = w.level > 3 ? 0x8000000u : ptab_leaf_pages(w.level);
        uint64_t in = (vpn + done) % size;
        uint64_t e = tables[w.table][ptab_slot(vpn + done, w.level)];

        if (e != 0 && ptab_entry_pfn(e) - pfn < extent && ptab_entry_pfn(e) >= pfn &&
            (w.level == 1 || (in == 0 && pages - done >= size)))
            ptab_put(w, vpn + done, 0);
        done += size - in;
    }
    return done < pages ? done : pages;
}

err_t space_map_kernel_page(uint32_t space, uint64_t va, uint32_t page)
{
    struct map_plan p = {.space = space,
                         .vpn = va / PAGE_BYTES,
                         .pfn = pool_pfn + page,
                         .pages = 1,
                         .flags = BH_MAP_READ | BH_MAP_WRITE,
                         .steps = 1};
    struct sysret r;

    if (va % PAGE_BYTES != 0 || !space_range_ok(&spaces[space], va, 1)) return BH_ERR_RANGE;
    r = space_decode_map(&p);
    if (r.err == BH_OK) space_commit_map(&p);
    return (err_t)r.err;
}

void space_unmap_kernel_page(uint32_t space, uint64_t va)
{
    struct ptab_walk w = ptab_walk(space + 1, va / PAGE_BYTES, 1);

    if (w.level == 1) ptab_put(w, va / PAGE_BYTES, 0);
}
