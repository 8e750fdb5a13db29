/*
 * The invariant checker: walks the derivation tree and what its capabilities name, and counts what
 * does not hold. Reads only. Shipped, and run by the hostile-ring-3 tests between invocations.
 */
#include "object/check.h"
#include "object/objects.h"
#include "object/space.h"
#include "arch/x86/audit.h"
#include "arch/x86/mem.h"
#include "core/cap.h"
#include "core/cdt.h"
#include "core/epoch.h"
#include "core/ptab.h"

static uint64_t broken;

static void check(uint32_t cell, uint32_t invariant, uint64_t value)
{
    broken++;
    audit(BH_AUDIT_CHECK, cell, 0, invariant, cell, value, 0);
}

/* Invariant numbers; docs/KERNEL-API.md lists them. */
enum {
    INV_LINK = 1,
    INV_DEPTH,
    INV_TYPE,
    INV_RIGHTS,
    INV_EXTENT,
    INV_WATERMARK,
    INV_DEBT,
    INV_ATTACH,
    INV_OBJECT,
    INV_TABLE,
    INV_THREAD,
    INV_SC,
    INV_VCPU,
    INV_ENDPOINT,
};

static void check_extent(uint32_t c, uint32_t parent)
{
    const struct cell *x = &cells[c], *p = &cells[parent];
    uint32_t type = cap_type(x->w0), ptype = cap_type(p->w0);

    if (parent == 0)
        return;
    if (type == BH_CAP_FRAME || type == BH_CAP_FUNTYPED || type == BH_CAP_KUNTYPED ||
        type == BH_CAP_IOPORTS || type == BH_CAP_ATTACH) {
        if (x->a < p->a || x->b > p->b || x->a - p->a > p->b - x->b)
            check(c, INV_EXTENT, x->a);
    }
    if ((ptype == BH_CAP_FUNTYPED || ptype == BH_CAP_KUNTYPED) && ptype == type &&
        x->a - p->a + x->b > p->c)
        check(c, INV_WATERMARK, p->c);
    if (type == BH_CAP_ATTACH && ptype != BH_CAP_FRAME)
        check(c, INV_ATTACH, ptype);
}

/* A space's entries point to its own tables, kernel pages of vCPUs, or frames outside the pool. */
static void check_space(uint32_t c, uint32_t obj, uint32_t kind)
{
    const struct space *s = &spaces[obj];

    if (s->kind != kind || s->next_free > s->pages || s->pages != cells[c].a) {
        check(c, INV_TABLE, s->next_free);
        return;
    }
    if (kind != SPACE_GUEST)
        return;
    for (uint32_t t = GUEST_ROOT; t < s->next_free; t++) {
        for (uint32_t i = 0; i < 512; i++) {
            uint64_t pfn = ptab_entry_pfn(tables[obj + t][i]);
            if (tables[obj + t][i] == 0 || pfn < pool_pfn || pfn - pool_pfn >= pool_pages)
                continue;
            if (pfn - pool_pfn <= obj + GUEST_ROOT || pfn - pool_pfn >= obj + s->next_free)
                check(c, INV_TABLE, tables[obj + t][i]);
        }
    }
}

static void check_object(uint32_t c)
{
    uint32_t obj = cap_obj(cells[c].w0);
    const struct thread *t;

    switch (cap_type(cells[c].w0)) {
    case BH_CAP_KUNTYPED:
    case BH_CAP_FUNTYPED:
        if (cells[c].c > cells[c].b)
            check(c, INV_WATERMARK, cells[c].c);
        break;
    case BH_CAP_FRAME:
        if (cells[c].d > epoch_now)
            check(c, INV_DEBT, cells[c].d);
        break;
    case BH_CAP_HOSTSPACE:
        check_space(c, obj, SPACE_HOST);
        break;
    case BH_CAP_GUESTSPACE:
        check_space(c, obj, SPACE_GUEST);
        break;
    case BH_CAP_THREAD:
        t = &threads[obj];
        if (t->state > BH_THREAD_NO_SC || t->cpu >= epoch_cpus || t->wait > WAIT_NTFN)
            check(c, INV_THREAD, t->state);
        if (t->state == BH_THREAD_READY && (t->sc == NONE || scs[t->sc].thread != obj))
            check(c, INV_THREAD, t->sc);
        if (t->caller != NONE && threads[t->caller].wait != WAIT_REPLY)
            check(c, INV_THREAD, t->caller);
        break;
    case BH_CAP_SC:
        if (scs[obj].time.floor_left > scs[obj].time.p.floor ||
            scs[obj].time.ceiling_left > scs[obj].time.p.ceiling)
            check(c, INV_SC, scs[obj].time.ceiling_left);
        break;
    case BH_CAP_ENDPOINT:
        if (endpoints[obj].queue > EP_RECEIVERS ||
            (endpoints[obj].queue != EP_IDLE && threads[endpoints[obj].head].wait_object != obj))
            check(c, INV_ENDPOINT, endpoints[obj].queue);
        break;
    default:
        break;
    }
}

/* The tree is a preorder list: a stack of ancestors gives each cell its parent without searching.
 */
uint64_t check_all(void)
{
    uint32_t path[CDT_DEPTH_MAX + 2] = {0};
    uint32_t c = 0, n;

    broken = 0;
    for (uint64_t steps = 0; steps <= (uint64_t)pool_pages * PAGE_UNITS; steps++) {
        n = cells[c].next;
        if (n >= pool_pages * PAGE_UNITS || cells[n].prev != c) {
            check(c, INV_LINK, n);
            return broken;
        }
        if (n == 0)
            return broken;
        if (cells[n].depth == 0 || cells[n].depth > cells[c].depth + 1 ||
            cells[n].depth > CDT_DEPTH_MAX) {
            check(n, INV_DEPTH, cells[n].depth);
            return broken;
        }
        path[cells[n].depth] = n;
        if (cap_type(cells[n].w0) == BH_CAP_NULL || cap_type(cells[n].w0) >= BH_CAP_NTYPES)
            check(n, INV_TYPE, cells[n].w0);
        uint32_t parent = path[cells[n].depth - 1];
        if (parent != 0 && cap_type(cells[parent].w0) == cap_type(cells[n].w0) &&
            (cap_rights(cells[n].w0) & ~cap_rights(cells[parent].w0)) != 0)
            check(n, INV_RIGHTS, cells[n].w0);
        check_extent(n, parent);
        check_object(n);
        c = n;
    }
    check(c, INV_LINK, 0);
    return broken;
}
