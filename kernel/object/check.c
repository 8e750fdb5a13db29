/*
 * The invariant checker: walks the derivation tree and what its capabilities name, and counts what
 * does not hold: tree, rights, extents, references against what refers, page-table entries against
 * attachments, the kernel's own half, run and endpoint queues. Shipped, and run by the
 * hostile-ring-3 tests between invocations. Kernel lock held. What only its own CPU may touch is
 * looked at if that is this one. Writes nothing but `seen` fields and a
 * CNode cell's d.
 */
#include "object/check.h"
#include "object/objects.h"
#include "object/invoke.h"
#include "object/sched.h"
#include "object/space.h"
#include "object/thread.h"
#include "arch/x86/audit.h"
#include "arch/x86/layout.h"
#include "arch/x86/mem.h"
#include "arch/x86/vcpu_ops.h"
#include "core/cdt.h"
#include "core/epoch.h"
#include "core/ptab.h"

static uint64_t broken, floors;

static void check(uint32_t cell, uint32_t invariant, uint64_t value)
{
    broken++;
    audit(BH_AUDIT_CHECK, cell, 0, invariant, cell, value, 0);
}

/* Invariant numbers; docs/KERNEL-API.md lists them. */
enum {
    INV_LINK = 1,  /* the tree is one ring */
    INV_DEPTH,     /* a child is one deeper than its parent */
    INV_TYPE,      /* types stand below the types they can be made from */
    INV_RIGHTS,    /* a copy or attachment has no right that its source lacks */
    INV_EXTENT,    /* memory lies inside the memory it was made from; siblings do not overlap */
    INV_WATERMARK, /* what was made lies below the watermark */
    INV_DEBT,      /* no flush is owed to a future epoch */
    INV_ATTACH,    /* a Frame counts its attachments */
    INV_OBJECT,    /* an object counts what refers to it */
    INV_TABLE,     /* entries point to own tables, own kernel pages, or an attached Frame */
    INV_THREAD,    /* state, wait and context agree */
    INV_SC,        /* budgets and the sum of floors within limits; its thread agrees */
    INV_VCPU,      /* bindings are mutual */
    INV_ENDPOINT,  /* the queue is a list of threads that wait there */
    INV_NTFN,      /* the waiter waits there */
};

/* An original: made by retype, or at boot. Copies stand below a capability of the same type. */
static bool original(uint32_t c, uint32_t parent)
{
    return parent == 0 || cell_type(parent) != cell_type(c);
}

/* Memory of an object in units of the pool; 0 units: it has none there. */
static uint64_t object_units(uint32_t c, uint64_t *first)
{
    static const uint32_t bytes[BH_CAP_NTYPES] = {[BH_CAP_THREAD] = BH_THREAD_BYTES,
                                                  [BH_CAP_SC] = BH_SC_BYTES,
                                                  [BH_CAP_ENDPOINT] = BH_ENDPOINT_BYTES,
                                                  [BH_CAP_NTFN] = BH_NTFN_BYTES,
                                                  [BH_CAP_VCPU] = BH_VCPU_BYTES};
    uint64_t n, obj = cell_obj(c);

    switch (cell_type(c)) {
    case BH_CAP_KUNTYPED: *first = cells[c].a; return cells[c].b;
    case BH_CAP_CNODE: *first = obj; return cells[c].a;
    case BH_CAP_HOSTSPACE:
    case BH_CAP_GUESTSPACE: *first = obj * PAGE_UNITS; return cells[c].a * PAGE_UNITS;
    default:
        n = bytes[cell_type(c)] / UNIT_BYTES;
        *first = obj * n;
        return n;
    }
}

static void check_extent(uint32_t c, uint32_t parent)
{
    const struct cell *x = &cells[c], *p = &cells[parent];
    uint32_t type = cell_type(c), ptype = cell_type(parent);
    uint64_t first = x->a, n = x->b;

    if (parent == 0) return;
    if (ptype == BH_CAP_KUNTYPED) {
        n = object_units(c, &first);
        if (n == 0 || type == BH_CAP_FRAME || type == BH_CAP_ATTACH || first < p->a ||
            first - p->a + n > p->c)
            check(c, INV_WATERMARK, p->c);
    } else if (ptype == BH_CAP_FUNTYPED) {
        if ((type != BH_CAP_FUNTYPED && type != BH_CAP_FRAME) || x->a < p->a ||
            x->a - p->a + x->b > p->c)
            check(c, INV_WATERMARK, p->c);
    } else if (ptype == BH_CAP_FRAME) {
        if ((type != BH_CAP_FRAME && type != BH_CAP_ATTACH) || x->a < p->a || x->b > p->b ||
            x->a - p->a > p->b - x->b)
            check(c, INV_EXTENT, x->a);
    } else if (type != ptype) {
        check(c, INV_TYPE, type);
    } else if (type != BH_CAP_IOPORTS && type != BH_CAP_IRQ && cell_obj(c) != cell_obj(parent)) {
        check(c, INV_OBJECT, cell_obj(c));
    } else if (type == BH_CAP_IOPORTS && (x->a < p->a || x->a + x->b > p->a + p->b)) {
        check(c, INV_EXTENT, x->a);
    }
}

/* Siblings made by retype follow each other downwards: the newest is first and lies highest. */
static void check_siblings(uint32_t c, uint32_t before)
{
    uint64_t a, b, n;

    if (cell_type(c) == BH_CAP_FRAME || cell_type(c) == BH_CAP_FUNTYPED) {
        if (cell_type(before) != BH_CAP_ATTACH && cells[c].a + cells[c].b > cells[before].a)
            check(c, INV_EXTENT, cells[c].a);
        return;
    }
    n = object_units(c, &a);
    (void)object_units(before, &b);
    if (a + n > b) check(c, INV_EXTENT, a);
}

/* Is the leaf entry for frame @pfn covered by an attachment to the space? */
static bool attached(uint32_t obj, uint64_t pfn, uint64_t pages)
{
    for (uint32_t c = cells[0].next; c != 0; c = cells[c].next) {
        if (cell_type(c) == BH_CAP_ATTACH && cell_obj(c) == obj && pfn >= cells[c].a &&
            pfn - cells[c].a + pages <= cells[c].b)
            return true;
    }
    return false;
}

/* Is this page of the pool one of a vCPU that a thread of the space runs? Its page is the last of
 * the four. */
static bool vcpu_page(uint32_t obj, uint32_t page, bool hidden)
{
    for (uint32_t c = cells[0].next; c != 0; c = cells[c].next) {
        if (cell_type(c) == BH_CAP_VCPU && cell_obj(c) == page / (BH_VCPU_BYTES / PAGE_BYTES))
            return page % (BH_VCPU_BYTES / PAGE_BYTES) >= (hidden ? 1 : 3) &&
                   vcpus[cell_obj(c)].thread != NONE &&
                   threads[vcpus[cell_obj(c)].thread].space == obj;
    }
    return false;
}

/* A space's entries point to its own tables, kernel pages of vCPUs, or attached frames. What root
 * starts with is mapped without attachments. */
static void check_space(uint32_t c, uint32_t obj, uint32_t kind)
{
    const struct space *s = &spaces[obj];
    uint32_t t = kind == SPACE_GUEST ? GUEST_ROOT : HOST_ROOT;

    if (s->kind != kind || s->next_free > s->pages || s->pages != cells[c].a) {
        check(c, INV_TABLE, s->next_free);
        return;
    }
    for (; t < s->next_free; t++) {
        if (kind == SPACE_HOST && t == HOST_SAVE) continue;
        for (uint32_t i = 0; i < 512; i++) {
            uint64_t e = tables[obj + t][i], page = ptab_entry_pfn(e) - pool_pfn;

            if (e == 0 || (kind == SPACE_HOST && t == HOST_ROOT && i == 511)) continue;
            if (page < pool_pages) {
                if ((page <= obj || page >= obj + s->next_free) &&
                    (kind == SPACE_GUEST || !vcpu_page(obj, (uint32_t)page, t == HOST_PRIVATE)))
                    check(c, INV_TABLE, e);
                continue;
            }
            /* The level is not known here: the first page must be attached. */
            if (obj >= pool_boot_pages && !attached(obj, ptab_entry_pfn(e), 1))
                check(c, INV_TABLE, e);
        }
    }
}

static void check_thread(uint32_t c, uint32_t obj)
{
    const struct thread *t = &threads[obj];

    if (t->state > BH_THREAD_NO_SC || t->cpu >= epoch_cpus || t->wait > WAIT_NTFN)
        check(c, INV_THREAD, t->state);
    if (t->cpu != percpu()->cpu) return;
    if (t->state == BH_THREAD_READY && (t->sc == NONE || scs[t->sc].thread != obj))
        check(c, INV_THREAD, t->sc);
    if (t->sc != NONE && scs[t->sc].thread == obj && t != percpu()->current &&
        sched_queued(&scs[t->sc]) != (t->state == BH_THREAD_READY))
        check(c, INV_SC, t->state);
    if ((t->wait != WAIT_NOTHING) != (t->state == BH_THREAD_BLOCKED)) check(c, INV_THREAD, t->wait);
    if (t->caller != NONE &&
        (threads[t->caller].wait != WAIT_REPLY || threads[t->caller].server != obj))
        check(c, INV_THREAD, t->caller);
    if (t->wait == WAIT_REPLY && threads[t->server].caller != obj) check(c, INV_THREAD, t->server);
    if (t->wait == WAIT_NTFN && ntfns[t->wait_object].waiter != obj)
        check(c, INV_NTFN, t->wait_object);
    if (t->home_sc != NONE && scs[t->home_sc].users != 1) check(c, INV_SC, t->home_sc);
    if (t->vcpu != NONE && vcpus[t->vcpu].thread != obj) check(c, INV_VCPU, t->vcpu);
}

static void check_endpoint(uint32_t c, uint32_t obj)
{
    const struct endpoint *ep = &endpoints[obj];
    uint32_t n = 0, i, last = NONE;

    if (ep->cpu != percpu()->cpu || ep->queue == EP_IDLE) return;
    for (i = ep->head; i != NONE && n < 100000; i = threads[i].next, n++) {
        const struct thread *t = &threads[i];
        bool receives = t->wait == WAIT_RECEIVE,
             sends = t->wait == WAIT_SEND || t->wait == WAIT_CALL;

        if (t->wait_object != obj || t->prev != last ||
            !(ep->queue == EP_RECEIVERS ? receives : sends)) {
            check(c, INV_ENDPOINT, i);
            return;
        }
        last = i;
    }
    if (n == 0 || i != NONE || last != ep->tail || ep->queue > EP_RECEIVERS)
        check(c, INV_ENDPOINT, ep->queue);
}

static void check_object(uint32_t c)
{
    uint32_t obj = cell_obj(c);
    const struct ntfn *n;
    const struct sc *s;

    switch (cell_type(c)) {
    case BH_CAP_KUNTYPED:
    case BH_CAP_FUNTYPED:
        if (cells[c].c > cells[c].b) check(c, INV_WATERMARK, cells[c].c);
        break;
    case BH_CAP_FRAME:
        if (cells[c].d > epoch_now) check(c, INV_DEBT, cells[c].d);
        break;
    case BH_CAP_HOSTSPACE: check_space(c, obj, SPACE_HOST); break;
    case BH_CAP_GUESTSPACE: check_space(c, obj, SPACE_GUEST); break;
    case BH_CAP_THREAD: check_thread(c, obj); break;
    case BH_CAP_SC:
        s = &scs[obj];
        if (s->cpu != percpu()->cpu || s->configured == 0) break;
        floors += s->share;
        if (s->time.floor_left > s->time.p.floor || s->time.ceiling_left > s->time.p.ceiling)
            check(c, INV_SC, s->time.ceiling_left);
        if (s->thread != NONE && threads[s->thread].sc != obj && threads[s->thread].home_sc != obj)
            check(c, INV_SC, s->thread);
        break;
    case BH_CAP_ENDPOINT: check_endpoint(c, obj); break;
    case BH_CAP_NTFN:
        n = &ntfns[obj];
        if (n->cpu == percpu()->cpu && n->waiter != NONE &&
            (threads[n->waiter].wait != WAIT_NTFN || threads[n->waiter].wait_object != obj))
            check(c, INV_NTFN, n->waiter);
        if (n->vcpu != NONE && vcpus[n->vcpu].ntfn != obj) check(c, INV_VCPU, n->vcpu);
        break;
    case BH_CAP_VCPU:
        if (vcpus[obj].thread != NONE && threads[vcpus[obj].thread].vcpu != obj)
            check(c, INV_VCPU, obj);
        break;
    default: break;
    }
}

/* ---- References: counted anew from what refers, then compared with what the objects count ---- */

static void seen_clear(uint32_t c)
{
    switch (cell_type(c)) {
    case BH_CAP_NTFN: ntfns[cell_obj(c)].seen = 0; break;
    case BH_CAP_HOSTSPACE:
    case BH_CAP_GUESTSPACE:
        spaces[cell_obj(c)].seen = 0;
        spaces[cell_obj(c)].saves_seen = 0;
        break;
    case BH_CAP_CNODE: cells[c].d = 0; break;
    default: break;
    }
}

static void seen_add(uint32_t c, uint32_t parent)
{
    uint32_t obj = cell_obj(c), n;
    const struct thread *t;
    const struct vcpu *v;

    if (cell_type(c) == BH_CAP_ATTACH) spaces[obj].seen++;
    if (cell_type(c) == BH_CAP_IRQ && (n = irq_ntfn(c)) != NONE) ntfns[n].seen++;
    if (cell_type(c) == BH_CAP_THREAD && original(c, parent)) {
        t = &threads[obj];
        if (t->bound != 0) {
            spaces[t->space].seen++;
            if ((spaces[t->space].saves_seen >> t->save_slot & 1u) != 0)
                check(c, INV_THREAD, t->save_slot);
            spaces[t->space].saves_seen |= 1u << t->save_slot;
            cells[t->cnode].d++;
        }
        if (t->fault_ntfn != NONE) ntfns[t->fault_ntfn].seen++;
    }
    if (cell_type(c) == BH_CAP_VCPU && original(c, parent)) {
        v = &vcpus[obj];
        if (v->thread != NONE) {
            spaces[threads[v->thread].space].seen++;
            spaces[v->guestspace].seen++;
            ntfns[v->ntfn].seen++;
        }
        for (uint32_t i = 0; i < BH_DOORBELLS; i++) {
            if (v->doorbells[i].match != 0) ntfns[v->doorbells[i].ntfn].seen++;
        }
    }
}

static void seen_compare(uint32_t c, uint32_t parent)
{
    uint32_t obj = cell_obj(c);

    switch (cell_type(c)) {
    case BH_CAP_NTFN:
        if (ntfns[obj].seen != ntfns[obj].users) check(c, INV_OBJECT, ntfns[obj].users);
        break;
    case BH_CAP_HOSTSPACE:
    case BH_CAP_GUESTSPACE:
        if (spaces[obj].seen != spaces[obj].users ||
            spaces[obj].saves_seen != spaces[obj].save_used)
            check(c, INV_OBJECT, spaces[obj].users);
        break;
    case BH_CAP_CNODE:
        if (original(c, parent) && cells[c].d != cells[c].count)
            check(c, INV_OBJECT, cells[c].count);
        cells[c].d = 0;
        break;
    default: break;
    }
}

/* The tree is a preorder list: a stack of ancestors gives each cell its parent without searching.
 * @visit is called for each capability. @return false: the tree itself is broken */
static bool walk(void (*visit)(uint32_t c, uint32_t parent))
{
    uint32_t path[CDT_DEPTH_MAX + 2] = {0}, c = 0, n;

    for (uint64_t steps = 0; steps <= (uint64_t)pool_pages * PAGE_UNITS; steps++) {
        n = cells[c].next;
        if (n >= pool_pages * PAGE_UNITS || cells[n].prev != c) {
            check(c, INV_LINK, n);
            return false;
        }
        if (n == 0) return true;
        if (cells[n].depth == 0 || cells[n].depth > cells[c].depth + 1 ||
            cells[n].depth > CDT_DEPTH_MAX || cell_type(n) == BH_CAP_NULL ||
            cell_type(n) >= BH_CAP_NTYPES) {
            check(n, INV_DEPTH, cells[n].depth);
            return false;
        }
        path[cells[n].depth] = n;
        visit(n, path[cells[n].depth - 1]);
        c = n;
    }
    check(c, INV_LINK, 0);
    return false;
}

static uint32_t last_child[CDT_DEPTH_MAX + 2]; /* at each depth, of the parent being walked */

static void visit_tree(uint32_t c, uint32_t parent)
{
    uint32_t depth = cells[c].depth, type = cell_type(c);

    if (parent != 0 && (cell_type(parent) == type || type == BH_CAP_ATTACH) &&
        (cap_rights(cells[c].w0) & ~cap_rights(cells[parent].w0)) != 0)
        check(c, INV_RIGHTS, cells[c].w0);
    check_extent(c, parent);
    if (cells[parent].next == c) /* the first child */
        last_child[depth] = 0;
    if (parent != 0 &&
        (cell_type(parent) == BH_CAP_KUNTYPED || cell_type(parent) == BH_CAP_FUNTYPED)) {
        if (last_child[depth] != 0) check_siblings(c, last_child[depth]);
        last_child[depth] = c;
    }
    seen_clear(c);
}

static void visit_object(uint32_t c, uint32_t parent)
{
    seen_add(c, parent);
    if (original(c, parent) || cell_type(c) <= BH_CAP_ATTACH) check_object(c);
}

static void visit_attach(uint32_t c, uint32_t parent)
{
    uint32_t n = 0;

    if (cell_type(c) == BH_CAP_FRAME) {
        for (uint32_t k = cells[c].next; cells[k].depth > cells[c].depth; k = cells[k].next)
            n += cells[k].depth == cells[c].depth + 1 && cell_type(k) == BH_CAP_ATTACH;
        if (n != cells[c].count) check(c, INV_ATTACH, cells[c].count);
    }
    seen_compare(c, parent);
}

uint64_t check_all(void)
{
    broken = floors = 0;
    if (mem_strays() != 0) check(0, INV_TABLE, mem_strays());
    if (walk(visit_tree) && walk(visit_object)) (void)walk(visit_attach);
    if (floors != percpu()->runq->floors || floors > SC_SHARE_ONE) check(0, INV_SC, floors);
    return broken;
}
