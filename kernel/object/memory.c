/*
 * Invocations on untyped memory, Frames and attachments: thin glue over core/untyped.c and
 * core/frame.c plus the stores they leave to us (zeroing, page-table entries). May call: core,
 * space, the per-CPU window.
 */
#include "object/invoke.h"
#include "object/space.h"
#include "arch/x86/asm.h"
#include "arch/x86/cpu.h"
#include "arch/x86/mem.h"
#include "core/cnode.h"
#include "core/epoch.h"
#include "core/frame.h"
#include "core/ptab.h"
#include "core/untyped.h"

#define SCRUB_PAGES_PER_CALL   64u
#define MAP_STEPS_PER_CALL     512u
#define DETACH_TABLES_PER_CALL 8u

struct sysret inv_untyped_retype(const struct invocation *in)
{
    uint32_t type = (uint32_t)(in->a[0] & 0xff), bits = (uint32_t)(in->a[0] >> 8 & 0xff);
    uint64_t cpu = in->a[0] >> 16;
    struct retype_plan p;
    uint32_t dst, avail;
    err_t e = arg_dst(in->a[2], in->a[3], &dst, &avail);

    if (e == BH_OK && cpu >= epoch_cpus) e = BH_ERR_RANGE;
    if (e == BH_OK) e = untyped_decode_retype(in->cell, type, bits, in->a[1], dst, avail, &p);
    if (e == BH_OK && p.type == BH_CAP_CNODE && p.obj <= dst)
        e = BH_ERR_STATE; /* see cnode_place_ok() */
    if (e != BH_OK) return sysret(e, 0);
    untyped_commit_retype(&p);
#ifdef BREAK_WATERMARK
    cells[in->cell].c -= type == BH_CAP_ENDPOINT ? 1 : 0;
#endif
    for (uint32_t i = 0; i < p.count; i++) object_init(dst + i, (uint32_t)cpu);
    return sysret(BH_OK, 0);
}

/* Past the caches (Intel SDM vol. 1, 10.4.6.2): a new owner who maps the page uncacheable, or whose
 * guest does, reads memory itself, where the old contents would still be. */
static void scrub_page(void *page)
{
    uint64_t kept[2]; /* the register may be a vCPU's */

    __asm__ volatile("movups %%xmm0, %1; pxor %%xmm0, %%xmm0; 1: .set at, 0;"
                     ".rept 32; movntdq %%xmm0, at(%0); .set at, at + 16; .endr;"
                     "add $512, %0; test $4095, %0; jnz 1b; movups %1, %%xmm0"
                     : "+r"(page), "=m"(kept)
                     :
                     : "memory", "cc");
}

struct sysret inv_untyped_scrub(const struct invocation *in)
{
    uint32_t ut = in->cell;
    bool frames = cell_type(ut) == BH_CAP_FUNTYPED;
    uint64_t first, n;
    err_t e = untyped_decode_scrub(ut);

    if (e != BH_OK) return sysret(e, 0);
    if (untyped_scrub_owed(ut) != 0) {
        untyped_commit_charge(ut);
        cells[ut].count = 0;
    }
    if (epoch_passed(cells[ut].d) == 0) return sysret(BH_ERR_BUSY, 0);
    /* The first epoch ended every use of an index looked up before, signals from afar included; the
       second saw every CPU empty its list of them (hazard_work). */
    if (cells[ut].count == 0 && cells[ut].c != 0) {
        untyped_commit_charge(ut);
        cells[ut].count = 1;
        return sysret(BH_ERR_BUSY, 0);
    }
    n = untyped_scrub_count(ut, frames ? SCRUB_PAGES_PER_CALL : SCRUB_PAGES_PER_CALL * PAGE_UNITS);
    first = untyped_scrub_first(ut, n);
    if (frames) {
        fpu_enable();
        for (uint64_t i = 0; i < n; i++) scrub_page(window_map(first + i));
        fpu_disable(); /* drains the stores, as SFENCE does: Intel SDM vol. 3A, 9.3 */
#ifndef BREAK_WINDOW
        window_unmap();
#endif
    } else {
        zero_bytes(&cells[first], n * UNIT_BYTES);
    }
    untyped_commit_scrubbed(ut, n);
    return sysret(n == 0 || cells[ut].c == 0 ? BH_OK : BH_ERR_PREEMPTED, 0);
}

struct sysret inv_untyped_left(const struct invocation *in)
{
    uint64_t unit = cell_type(in->cell) == BH_CAP_FUNTYPED ? PAGE_BYTES : UNIT_BYTES;

    return sysret(BH_OK, untyped_left(in->cell) * unit);
}

struct sysret inv_frame_carve(const struct invocation *in)
{
    uint32_t dst, avail;
    err_t e = arg_dst(in->a[2], in->a[3], &dst, &avail);

    if (e == BH_OK) e = frame_decode_carve(in->cell, in->a[0], in->a[1], dst);
    if (e == BH_OK) frame_commit_carve(in->cell, in->a[0], in->a[1], dst);
    return sysret(e, 0);
}

struct sysret inv_frame_attach(const struct invocation *in)
{
    uint32_t dst, avail, space;
    err_t e = arg_dst(in->a[2], in->a[3], &dst, &avail);

    if (e == BH_OK) e = arg_slot(in->a[0], &space);
    if (e == BH_OK && in->a[1] > BH_RIGHTS_ALL) e = BH_ERR_RANGE;
    if (e == BH_OK) e = frame_decode_attach(in->cell, space, (uint32_t)in->a[1], dst);
    if (e == BH_OK) {
        frame_commit_attach(in->cell, space, (uint32_t)in->a[1], dst);
        spaces[cell_obj(dst)].users++;
    }
    return sysret(e, 0);
}

struct sysret inv_frame_size(const struct invocation *in)
{
    return sysret(BH_OK, cells[in->cell].b * PAGE_BYTES);
}

struct sysret inv_attach_map(const struct invocation *in)
{
    const struct cell *at = &cells[in->cell];
    uint64_t va = in->a[0], offset = in->a[1] >> 12, flags = in->a[1] & 0xfff, pages = in->a[2];
    struct space *s = &spaces[cap_obj(at->w0)];
    struct map_plan p;
    struct sysret r;

    if ((flags & ~(uint64_t)(BH_MAP_READ | BH_MAP_WRITE | BH_MAP_EXEC | BH_MAP_UC)) != 0 ||
        (flags & BH_MAP_READ) == 0 || pages == 0 || pages > BH_MAP_MAX_PAGES || offset > at->b ||
#ifndef BREAK_MAP_RANGE
        pages > at->b - offset ||
#endif
        va % PAGE_BYTES != 0 || !space_range_ok(s, va, pages))
        return sysret(BH_ERR_RANGE, 0);
    if ((cap_rights(at->w0) & flags & 7u) != (flags & 7u)) return sysret(BH_ERR_RIGHTS, 0);
    if (cap_frozen(at->w0) != 0 || at->c != 0) /* revoked, or half deleted: see attach_destroy */
        return sysret(BH_ERR_STATE, 0);
    p = (struct map_plan){.space = cap_obj(at->w0),
                          .vpn = va / PAGE_BYTES,
                          .pfn = at->a + offset,
                          .pages = pages,
                          .flags = flags,
                          .steps = MAP_STEPS_PER_CALL};
    r = space_decode_map(&p);
    if (r.err != BH_OK) return r;
    space_commit_map(&p);
    return sysret(p.todo == pages ? BH_OK : BH_ERR_PREEMPTED, p.todo);
}

struct sysret inv_attach_unmap(const struct invocation *in)
{
    struct cell *at = &cells[in->cell];
    uint64_t va = in->a[0], pages = in->a[1], done;
    struct space *s = &spaces[cap_obj(at->w0)];
    uint32_t frame;
    err_t e;

    if (pages == 0 || pages > BH_MAP_MAX_PAGES || va % PAGE_BYTES != 0 ||
        !space_range_ok(s, va, pages) || space_unmap_cuts(cap_obj(at->w0), va / PAGE_BYTES, pages))
        return sysret(BH_ERR_RANGE, 0);
    e = frame_decode_detach(in->cell, &frame);
    if (e != BH_OK) return sysret(e, 0);
    done = space_unmap(cap_obj(at->w0), va / PAGE_BYTES, pages, at->a, at->b, MAP_STEPS_PER_CALL);
#ifndef BREAK_FLUSH_DEBT
    cells[frame].d = epoch_charge();
    cpus_spared = ~s->cpus;
#endif
    return sysret(done == pages ? BH_OK : BH_ERR_PREEMPTED, done);
}

/* Delete an attachment: clear what points into its extent, table by table, then let the Frame owe
 * the flush. */
struct sysret attach_destroy(uint32_t cell)
{
    struct cell *at = &cells[cell];
    struct space *s = &spaces[cap_obj(at->w0)];
    uint32_t frame, n = 0;
    err_t e = frame_decode_detach(cell, &frame);

    if (e != BH_OK) return sysret(e, 0);
    if (at->c == 0) at->c = 1;
    while (at->c < s->next_free && n++ < DETACH_TABLES_PER_CALL) {
        /* The private slot holds no client's frame, and its save areas are not in this map. */
#ifdef BREAK_DETACH
        if (at->c % 2 != 0)
#endif
            if (s->kind == SPACE_GUEST || at->c < HOST_PRIVATE || at->c > HOST_SAVE)
                (void)ptab_clear_extent(cap_obj(at->w0) + (uint32_t)at->c, at->a, at->b);
        at->c = at->c + 1;
    }
    if (at->c < s->next_free) return sysret(BH_ERR_PREEMPTED, 0);
#ifndef BREAK_ATTACH_USERS
    s->users--;
#endif
    frame_commit_detach(cell, frame);
    return sysret(BH_OK, 0);
}
