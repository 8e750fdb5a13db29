/*
 * What kernel/core's contracts require of their callers, checked at each call from kernel/object in
 * the fuzz target `invoke`: capabilities, Frames, untyped memory, epochs (page tables:
 * requires_tables.c; scheduling: requires_sched.c; inline functions: requires.h). The linker leads
 * calls from other files here (--wrap). The clauses stand here as in the contracts: case
 * build.requires compares them.
 *
 * cell_live, ext_from and pt_* are the ghost state of the proofs, changed where kernel/core's ghost
 * code changes it. Cells of a CNode that goes and tables of a space that comes or goes are no
 * matter of the core, which has no such ghost code: what the glue promises there (ASSUME) is
 * checked too, and that it holds the kernel lock.
 *
 * Not checked here: \valid, which AddressSanitizer is for; \separated (what the glue passes lies on
 * its stack, or in one object); core_ok, tree_ok and pt_ok, which are about all cells and tables.
 * The kernel's own checker looks at those after each step, and pt_ok is looked at on the way of
 * each walk. ext_lo and ext_hi matter to core_ok only.
 *
 * May call: the functions it stands before. Changes nothing of the kernel's.
 */
#include "requires_flush.h"
#include "core/cdt.h"
#include "core/cnode.h"
#include "core/epoch.h"
#include "core/frame.h"
#include "core/untyped.h"

#define CELLS (HOST_POOL_PAGES * PAGE_UNITS) /* of this pool: none behind it is live */

static uint8_t cell_live[CELLS];
static uint32_t ext_from[CELLS];

/* ---- Predicates of cap.h, cdt.h, cnode.h ---- */

static uint32_t c_type(uint64_t w) { return (uint32_t)(w % CAP_NTYPE); }

static bool live(integer i) { return 0 <= i && i < CELLS && cell_live[i] == 1; }

static bool empty(uint32_t i) { return c_type(cells[i].w0) == BH_CAP_NULL; }

static bool childless(uint32_t x) { return cells[cells[x].next].depth <= cells[x].depth; }

static bool is_extent(uint32_t t)
{
    return t == BH_CAP_KUNTYPED || t == BH_CAP_FUNTYPED || t == BH_CAP_FRAME;
}

static bool range_ok(uint32_t t, integer a, integer b, integer c)
{
    return (t != BH_CAP_KUNTYPED || a + b <= POOL_UNITS_MAX) &&
           ((t != BH_CAP_FUNTYPED && t != BH_CAP_FRAME) || a + b <= PFN_MAX) &&
           (!is_extent(t) || c <= b);
}

static bool none_from(uint32_t u)
{
    for (uint32_t k = 0; k < CELLS; k++)
        if (ext_from[k] == u) return false;
    return true;
}

static bool t_copies(uint32_t t)
{
    return t == BH_CAP_CNODE || t == BH_CAP_THREAD || t == BH_CAP_SC || t == BH_CAP_ENDPOINT ||
           t == BH_CAP_NTFN || t == BH_CAP_HOSTSPACE || t == BH_CAP_GUESTSPACE ||
           t == BH_CAP_VCPU || t == BH_CAP_KERNEL;
}

/* Not live, and of zero word. */
static bool all_fresh(uint32_t first, integer count)
{
    for (integer k = first; k < first + count; k++)
        if (live(k) || cells[k].w0 != 0) return false;
    return true;
}

static bool all_dead(void)
{
    for (uint32_t i = 0; i < CELLS; i++)
        if (live(i)) return false;
    return true;
}

static bool all_live(uint32_t first, integer count)
{
    for (integer k = first; k < first + count; k++)
        if (!live(k)) return false;
    return true;
}

/* ---- cdt.c ---- */

REAL(cdt_cell_init);
void __wrap_cdt_cell_init(uint32_t x)
{
    ASSUME("inside the pool", x < CELLS);
    REQUIRE(index, x < POOL_CELLS && cell_live[x] == 0);
    __real_cdt_cell_init(x);
    cell_live[x] = 1;
}

REAL(cdt_init);
void __wrap_cdt_init(void)
{
    REQUIRE_AS(none, "\\forall integer i; 0 <= i < POOL_CELLS ==> cell_live[i] == 0", all_dead());
    __real_cdt_init();
    cell_live[0] = 1;
}

REAL(cdt_parent);
uint32_t __wrap_cdt_parent(uint32_t x)
{
    ASSUME_LOCKED();
    REQUIRE(, live(x));
    REQUIRE(in, cells[x].depth > 0);
    return __real_cdt_parent(x);
}

REAL(cdt_first_leaf);
uint32_t __wrap_cdt_first_leaf(uint32_t x)
{
    ASSUME_LOCKED();
    REQUIRE(, live(x));
    return __real_cdt_first_leaf(x);
}

/* ---- cnode.c ---- */

REAL(cnode_init);
void __wrap_cnode_init(uint32_t first, uint32_t count)
{
    ASSUME_LOCKED();
    REQUIRE_AS(range, "first + count <= POOL_CELLS", (integer)first + count <= POOL_CELLS);
    REQUIRE_AS(fresh,
               "\\forall integer k; first <= k < first + count ==> "
               "cell_live[k] == 0 && cells[k].w0 == 0",
               all_fresh(first, count));
    __real_cnode_init(first, count);
}

REAL(cnode_commit_new);
void __wrap_cnode_commit_new(uint32_t parent, uint32_t dst, uint64_t w0, uint64_t badge, uint64_t a,
                             uint64_t b)
{
    ASSUME_LOCKED();
    REQUIRE(index, live(parent) && live(dst) && dst != 0);
    REQUIRE(parent_in, parent == 0 || !empty(parent));
    REQUIRE(limit, cells[parent].depth < CDT_DEPTH_MAX);
    REQUIRE(dst_empty, empty(dst));
    REQUIRE(word, w0 < CAP_WORDS && c_type(w0) != BH_CAP_NULL);
    REQUIRE(range, range_ok(c_type(w0), a, b, 0));
    __real_cnode_commit_new(parent, dst, w0, badge, a, b);
}

REAL(cnode_decode_copy);
err_t __wrap_cnode_decode_copy(uint32_t src, uint32_t dst, uint32_t rights)
{
    ASSUME_LOCKED();
    REQUIRE(, live(src) && live(dst));
    return ANSWER(__real_cnode_decode_copy(src, dst, rights));
}

REAL(cnode_decode_mint);
err_t __wrap_cnode_decode_mint(uint32_t src, uint32_t dst, uint32_t rights)
{
    ASSUME_LOCKED();
    REQUIRE(, live(src) && live(dst));
    return ANSWER(__real_cnode_decode_mint(src, dst, rights));
}

REAL(cnode_commit_copy);
void __wrap_cnode_commit_copy(uint32_t src, uint32_t dst, uint32_t rights, uint64_t badge,
                              uint32_t set_badge)
{
    ASSUME_LOCKED();
    REQUIRE(, live(src) && live(dst) && dst != 0);
    REQUIRE(decoded, rights <= BH_RIGHTS_ALL && t_copies(c_type(cells[src].w0)) &&
                         cells[src].depth < CDT_DEPTH_MAX && empty(dst));
    __real_cnode_commit_copy(src, dst, rights, badge, set_badge);
}

REAL(cnode_decode_move);
err_t __wrap_cnode_decode_move(uint32_t src, uint32_t dst)
{
    ASSUME_LOCKED();
    REQUIRE(, live(src) && live(dst));
    return ANSWER(__real_cnode_decode_move(src, dst));
}

REAL(cnode_commit_move);
void __wrap_cnode_commit_move(uint32_t src, uint32_t dst)
{
    ASSUME_LOCKED();
    REQUIRE(, live(src) && live(dst) && dst != 0);
    REQUIRE(decoded, !empty(src) && empty(dst));
    __real_cnode_commit_move(src, dst);
    ext_from[dst] = ext_from[src];
    ext_from[src] = 0;
    for (uint32_t k = 0; k < CELLS; k++)
        if (ext_from[k] == src) ext_from[k] = dst;
}

REAL(cnode_decode_delete);
err_t __wrap_cnode_decode_delete(uint32_t cell)
{
    ASSUME_LOCKED();
    REQUIRE(, live(cell));
    return ANSWER(__real_cnode_decode_delete(cell));
}

REAL(cnode_commit_delete);
void __wrap_cnode_commit_delete(uint32_t cell)
{
    integer first = 0, count = 0;

    ASSUME_LOCKED();
    REQUIRE(, live(cell));
    REQUIRE(decoded, !empty(cell) && childless(cell));
    REQUIRE(nothing_from, none_from(cell));
    if (c_type(cells[cell].w0) == BH_CAP_CNODE &&
        c_type(cells[__real_cdt_parent(cell)].w0) != BH_CAP_CNODE) { /* the original one */
        first = cap_obj(cells[cell].w0);
        count = cells[cell].a;
    }
    __real_cnode_commit_delete(cell);
    ext_from[cell] = 0;
    for (integer k = first; k < first + count; k++) {
        ASSUME("a CNode that goes is empty", live(k) && empty((uint32_t)k));
        cell_live[k] = 0;
    }
}

REAL(cnode_commit_freeze);
void __wrap_cnode_commit_freeze(uint32_t cell)
{
    ASSUME_LOCKED();
    REQUIRE(, live(cell));
    __real_cnode_commit_freeze(cell);
}

REAL(cnode_commit_thaw);
void __wrap_cnode_commit_thaw(uint32_t cell)
{
    ASSUME_LOCKED();
    REQUIRE(, live(cell));
    __real_cnode_commit_thaw(cell);
}

/* ---- epoch.c ---- */

REAL(epoch_charge);
uint64_t __wrap_epoch_charge(void)
{
    ASSUME_LOCKED();
    REQUIRE(clock, epoch_now < 0xffffffffffffffff);
    return left_out("epoch_charge") ? epoch_now : __real_epoch_charge();
}

REAL(epoch_passed);
uint32_t __wrap_epoch_passed(uint64_t epoch)
{
    REQUIRE(cpus, epoch_cpus <= BH_MAX_CPUS);
    return left_out("epoch_passed") ? 1 : __real_epoch_passed(epoch);
}

/* ---- frame.c ---- */

static bool is_frame(uint32_t f) { return live(f) && c_type(cells[f].w0) == BH_CAP_FRAME; }

static bool t_space_cap(uint32_t t) { return t == BH_CAP_HOSTSPACE || t == BH_CAP_GUESTSPACE; }

static bool carve_range(uint32_t f, integer offset, integer pages)
{
    return 0 < pages && offset + pages <= cells[f].b;
}

static bool carve_state(uint32_t f, integer offset)
{
    return cells[f].count == 0 && (childless(f) || offset >= cells[f].c);
}

REAL(frame_decode_carve);
err_t __wrap_frame_decode_carve(uint32_t frame, uint64_t offset, uint64_t pages, uint32_t dst)
{
    ASSUME_LOCKED();
    REQUIRE(, live(frame) && live(dst) && epoch_cpus <= BH_MAX_CPUS);
    return ANSWER(__real_frame_decode_carve(frame, offset, pages, dst));
}

REAL(frame_commit_carve);
void __wrap_frame_commit_carve(uint32_t frame, uint64_t offset, uint64_t pages, uint32_t dst)
{
    ASSUME_LOCKED();
    REQUIRE(, live(frame) && live(dst) && dst != 0);
    REQUIRE(decoded, c_type(cells[frame].w0) == BH_CAP_FRAME &&
                         cells[frame].depth < CDT_DEPTH_MAX && carve_range(frame, offset, pages) &&
                         carve_state(frame, offset) && empty(dst));
    REQUIRE_AS(nothing_from, "childless(frame) ==> none_from(frame)",
               !childless(frame) || none_from(frame));
    stale_none("it is carved", cells[frame].a + offset, pages, false);
    __real_frame_commit_carve(frame, offset, pages, dst);
    ext_from[dst] = frame;
}

REAL(frame_decode_attach);
err_t __wrap_frame_decode_attach(uint32_t frame, uint32_t space, uint32_t mask, uint32_t dst)
{
    ASSUME_LOCKED();
    REQUIRE(, live(frame) && live(space) && live(dst) && epoch_cpus <= BH_MAX_CPUS);
    return ANSWER(__real_frame_decode_attach(frame, space, mask, dst));
}

REAL(frame_commit_attach);
void __wrap_frame_commit_attach(uint32_t frame, uint32_t space, uint32_t mask, uint32_t dst)
{
    ASSUME_LOCKED();
    REQUIRE(, live(frame) && live(space) && live(dst) && dst != 0);
    REQUIRE(decoded, c_type(cells[frame].w0) == BH_CAP_FRAME &&
                         cells[frame].depth < CDT_DEPTH_MAX &&
                         t_space_cap(c_type(cells[space].w0)) && mask <= BH_RIGHTS_ALL &&
                         cells[frame].count < ATTACH_MAX && empty(dst));
    stale_none("it is attached", cells[frame].a, cells[frame].b, true);
    __real_frame_commit_attach(frame, space, mask, dst);
}

REAL(frame_decode_detach);
err_t __wrap_frame_decode_detach(uint32_t attach, uint32_t *frame)
{
    ASSUME_LOCKED();
    REQUIRE(, live(attach));
    return __real_frame_decode_detach(attach, frame);
}

REAL(frame_commit_detach);
void __wrap_frame_commit_detach(uint32_t attach, uint32_t frame)
{
    ASSUME_LOCKED();
    REQUIRE(, live(attach) && is_frame(frame));
    REQUIRE(decoded, c_type(cells[attach].w0) == BH_CAP_ATTACH && cells[frame].count > 0);
    REQUIRE(leaf, childless(attach));
    REQUIRE(nothing_from, none_from(attach));
    REQUIRE(clock, epoch_now < 0xffffffffffffffff);
    stale_detached(cap_obj(cells[attach].w0), cells[frame].a, cells[frame].b);
    __real_frame_commit_detach(attach, frame);
}

REAL(frame_decode_delete);
err_t __wrap_frame_decode_delete(uint32_t frame)
{
    ASSUME_LOCKED();
    REQUIRE(, live(frame) && epoch_cpus <= BH_MAX_CPUS);
    return ANSWER(__real_frame_decode_delete(frame));
}

REAL(frame_commit_delete);
void __wrap_frame_commit_delete(uint32_t frame)
{
    ASSUME_LOCKED();
    REQUIRE(, is_frame(frame));
    REQUIRE(decoded, childless(frame) && cells[frame].count == 0);
    REQUIRE(nothing_from, none_from(frame));
    stale_none("it is given back", cells[frame].a, cells[frame].b, false);
    __real_frame_commit_delete(frame);
}

/* ---- untyped.c ---- */

static bool t_untyped(uint32_t t) { return t == BH_CAP_KUNTYPED || t == BH_CAP_FUNTYPED; }

static integer mark(uint32_t ut) { return (integer)cells[ut].a + cells[ut].c; }

static integer limit(uint32_t ut) { return (integer)cells[ut].a + cells[ut].b; }

static bool plan_place(struct retype_plan p)
{
    if (!live(p.ut) || !t_untyped(c_type(cells[p.ut].w0)) || cells[p.ut].depth >= CDT_DEPTH_MAX ||
        p.count == 0 || p.count > RETYPE_MAX || p.dst == 0 || (integer)p.dst + p.count > POOL_CELLS)
        return false;
    for (uint32_t k = p.dst; k < p.dst + p.count; k++)
        if (!live(k) || !empty(k)) return false;
    return true;
}

static bool plan_extent(struct retype_plan p)
{
    return 0 < p.obj_units && p.obj_units <= PFN_MAX && mark(p.ut) <= p.start &&
           p.start + (integer)p.count * p.obj_units <= limit(p.ut);
}

static bool plan_shape(struct retype_plan p)
{
    return 0 < p.type && p.type < BH_CAP_NTYPES &&
           (!is_extent(p.type) || (p.count == 1 && p.a == p.start && p.b == p.obj_units)) &&
           (p.type != BH_CAP_KUNTYPED || c_type(cells[p.ut].w0) == BH_CAP_KUNTYPED) &&
           (is_extent(p.type) || p.obj_units <= BH_SPACE_MAX_PAGES * PAGE_UNITS) &&
           p.obj <= POOL_UNITS_MAX && p.obj_step <= BH_SPACE_MAX_PAGES * PAGE_UNITS;
}

/* Kernel memory [first, + units) may be cleared: nothing in it is in use. */
static bool unused(integer first, integer units)
{
    for (integer k = first; k < first + units; k++)
        if (live(k) || is_table(k / PAGE_UNITS)) return false;
    return true;
}

static bool all_zero(integer first, integer units)
{
    for (integer i = 0; i < units * (UNIT_BYTES / 8u); i++)
        if (((const uint64_t *)&cells[first])[i] != 0) return false;
    return true;
}

/* No CPU reaches units [first, + n) of @ut by an old translation before @what comes. */
static void unreached(const char *what, uint32_t ut, uint64_t first, uint64_t n)
{
    uint64_t end = first + n;

    if (n == 0) return;
    if (c_type(cells[ut].w0) == BH_CAP_KUNTYPED) {
        first = pool_pfn + first / PAGE_UNITS;
        end = pool_pfn + (end + PAGE_UNITS - 1u) / PAGE_UNITS;
    }
    stale_none(what, first, end - first, false);
}

REAL(untyped_decode_retype);
err_t __wrap_untyped_decode_retype(uint32_t ut, uint32_t type, uint32_t size_bits, uint64_t count,
                                   uint32_t dst, uint32_t dst_avail, struct retype_plan *p)
{
    err_t e;

    ASSUME_LOCKED();
    REQUIRE(, live(ut));
    REQUIRE_AS(room,
               "0 < dst && dst + dst_avail <= POOL_CELLS && "
               "\\forall integer k; dst <= k < dst + dst_avail ==> live(k)",
               0 < dst && (integer)dst + dst_avail <= POOL_CELLS && all_live(dst, dst_avail));
    e = __real_untyped_decode_retype(ut, type, size_bits, count, dst, dst_avail, p);
    if (e != BH_OK) *p = (struct retype_plan){0}; /* not what a stack happens to hold */
    return ANSWER(e);
}

REAL(untyped_commit_retype);
void __wrap_untyped_commit_retype(const struct retype_plan *p)
{
    const struct retype_plan q = *p;

    ASSUME_LOCKED();
    REQUIRE(decoded, plan_place(*p) && plan_extent(*p) && plan_shape(*p));
    unreached("it is retyped", p->ut, p->start, p->count * p->obj_units);
    __real_untyped_commit_retype(p);
    for (uint32_t i = 0; i < q.count; i++) ext_from[q.dst + i] = q.ut;
}

REAL(untyped_left);
uint64_t __wrap_untyped_left(uint32_t ut)
{
    ASSUME_LOCKED();
    REQUIRE(, live(ut) && t_untyped(c_type(cells[ut].w0)));
    return __real_untyped_left(ut);
}

REAL(untyped_decode_scrub);
err_t __wrap_untyped_decode_scrub(uint32_t ut)
{
    ASSUME_LOCKED();
    REQUIRE(, live(ut));
    return ANSWER(__real_untyped_decode_scrub(ut));
}

REAL(untyped_scrub_owed);
uint32_t __wrap_untyped_scrub_owed(uint32_t ut)
{
    ASSUME_LOCKED();
    REQUIRE(, live(ut));
    return __real_untyped_scrub_owed(ut);
}

REAL(untyped_commit_charge);
void __wrap_untyped_commit_charge(uint32_t ut)
{
    ASSUME_LOCKED();
    REQUIRE(, live(ut) && t_untyped(c_type(cells[ut].w0)));
    REQUIRE(clock, epoch_now < 0xffffffffffffffff);
    __real_untyped_commit_charge(ut);
}

REAL(untyped_scrub_count);
uint64_t __wrap_untyped_scrub_count(uint32_t ut, uint64_t max)
{
    ASSUME_LOCKED();
    REQUIRE(, live(ut));
    return __real_untyped_scrub_count(ut, max);
}

REAL(untyped_scrub_first);
uint64_t __wrap_untyped_scrub_first(uint32_t ut, uint64_t n)
{
    ASSUME_LOCKED();
    REQUIRE(, live(ut) && t_untyped(c_type(cells[ut].w0)));
    REQUIRE(counted, n <= cells[ut].c);
    unreached("it is scrubbed", ut, mark(ut) - n, n);
    ASSUME("no live cell and no table in what is scrubbed",
           c_type(cells[ut].w0) != BH_CAP_KUNTYPED || unused(mark(ut) - n, n));
    return __real_untyped_scrub_first(ut, n);
}

REAL(untyped_commit_scrubbed);
void __wrap_untyped_commit_scrubbed(uint32_t ut, uint64_t n)
{
    ASSUME_LOCKED();
    REQUIRE(, live(ut) && t_untyped(c_type(cells[ut].w0)));
    REQUIRE(counted, n <= cells[ut].c);
    REQUIRE(decoded, childless(ut));
    REQUIRE(nothing_from, none_from(ut));
    ASSUME("kernel memory is all zero when it is called clean",
           c_type(cells[ut].w0) != BH_CAP_KUNTYPED || all_zero(mark(ut) - n, n));
    __real_untyped_commit_scrubbed(ut, n);
}
