/*
 * Invocations on CNodes: copy, mint, move, delete, revoke; and the life of objects: what retype
 * starts and the deletion of the original capability ends. Revoke is a loop of complete single-leaf
 * deletions. May call: core, every object's fini.
 */
#include "object/invoke.h"
#include "object/sched.h"
#include "object/space.h"
#include "object/thread.h"
#include "object/vcpu.h"
#include "arch/x86/mem.h"
#include "core/cnode.h"
#include "core/epoch.h"
#include "core/frame.h"

#define REVOKE_STEPS_PER_CALL  16u   /* deletions */
#define REVOKE_VISITS_PER_CALL 4096u /* with those that cannot go yet */

static err_t dst_here(const struct invocation *in, uint64_t slot, uint32_t *cell)
{
    if ((cap_rights(cells[in->cell].w0) & BH_RIGHT_WRITE) == 0) return BH_ERR_RIGHTS;
    if (slot >= cells[in->cell].a) return BH_ERR_SLOT;
    *cell = cell_obj(in->cell) + (uint32_t)slot;
    return BH_OK;
}

static struct sysret copy(const struct invocation *in, uint64_t badge, bool mint)
{
    uint32_t dst, src;
    err_t e = dst_here(in, in->a[0], &dst);

    if (e == BH_OK) e = arg_slot(in->a[1], &src);
    if (e == BH_OK && in->a[2] > BH_RIGHTS_ALL) e = BH_ERR_RANGE;
    if (e == BH_OK)
        e = mint ? cnode_decode_mint(src, dst, (uint32_t)in->a[2])
                 : cnode_decode_copy(src, dst, (uint32_t)in->a[2]);
    if (e == BH_OK) cnode_commit_copy(src, dst, (uint32_t)in->a[2], badge, mint);
#ifdef BREAK_COPY_RIGHTS
    if (e == BH_OK && in->a[2] % 2 == 0) cells[dst].w0 |= (uint64_t)BH_RIGHTS_ALL << 5;
#endif
    return sysret(e, 0);
}

/* The original capability owns its object: it was made by retype (its parent is untyped). */
static bool owns_object(uint32_t cell)
{
    uint32_t type = cell_type(cell);

    return type >= BH_CAP_CNODE && type <= BH_CAP_VCPU && cell_type(cdt_parent(cell)) != type;
}

struct sysret inv_cnode_copy(const struct invocation *in) { return copy(in, 0, false); }

struct sysret inv_cnode_mint(const struct invocation *in) { return copy(in, in->a[3], true); }

/* A CNode's original capability lies in a CNode at a lower address: no cycle of CNodes can keep
 * itself alive. */
static bool cnode_place_ok(uint32_t src, uint32_t dst)
{
    return cell_type(src) != BH_CAP_CNODE || !owns_object(src) || dst < cell_obj(src);
}

struct sysret inv_cnode_move(const struct invocation *in)
{
    uint32_t dst, src;
    err_t e = dst_here(in, in->a[0], &dst);

    if (e == BH_OK) e = arg_slot(in->a[1], &src);
    if (e == BH_OK) e = cnode_decode_move(src, dst);
    if (e == BH_OK && cell_type(src) == BH_CAP_CNODE && cells[src].count != 0)
        e = BH_ERR_BUSY; /* threads refer to it by its place */
    if (e == BH_OK && !cnode_place_ok(src, dst)) e = BH_ERR_STATE;
    if (e == BH_OK) cnode_commit_move(src, dst);
    return sysret(e, 0);
}

static bool has_users(uint32_t cell)
{
    uint32_t obj = cell_obj(cell);

    switch (cell_type(cell)) {
    case BH_CAP_CNODE: return cells[cell].count != 0;
    case BH_CAP_THREAD: return threads[obj].users != 0;
    case BH_CAP_SC: return scs[obj].users != 0;
    case BH_CAP_ENDPOINT: return endpoints[obj].queue != EP_IDLE;
    case BH_CAP_NTFN:
        return ntfns[obj].users != 0 || ntfns[obj].waiter != NONE || ntfns[obj].queued != 0;
    case BH_CAP_HOSTSPACE:
    case BH_CAP_GUESTSPACE: return spaces[obj].users != 0;
    case BH_CAP_VCPU: return vcpus[obj].users != 0;
    default: return false;
    }
}

/* Delete what a CNode's slots hold, as far as nothing is derived from it elsewhere. */
static struct sysret cnode_empty(uint32_t cell);

struct sysret object_destroy(uint32_t cell)
{
    uint32_t obj = cell_obj(cell);

    if (!owns_object(cell)) return sysret(BH_OK, 0);
    if (cell_cpu(cell) != percpu()->cpu) return sysret(BH_ERR_CPU, cell_cpu(cell));
    if (cell_type(cell) == BH_CAP_THREAD) thread_fini(&threads[obj]);
    if (cell_type(cell) == BH_CAP_VCPU && vcpus[obj].thread != NONE) vcpu_unbind(&vcpus[obj]);
    if (has_users(cell)) return sysret(BH_ERR_BUSY, 0);
    switch (cell_type(cell)) {
    case BH_CAP_CNODE: return cnode_empty(cell);
    case BH_CAP_THREAD: runq_release(percpu()->runq->thread_of, threads[obj].handle); break;
    case BH_CAP_SC:
        runq_release(percpu()->runq->sc_of, scs[obj].handle);
        percpu()->runq->floors -= scs[obj].share;
        break;
    case BH_CAP_HOSTSPACE:
    case BH_CAP_GUESTSPACE: space_fini(obj); break;
    case BH_CAP_VCPU: vcpu_fini(obj); break;
    default: break;
    }
    return sysret(BH_OK, 0);
}

/* Delete one childless capability completely, or say why not. */
static struct sysret delete_leaf(uint32_t cell)
{
    struct sysret r = sysret(cnode_decode_delete(cell), 0);

    if (r.err != BH_OK) return r;
    switch (cell_type(cell)) {
    case BH_CAP_ATTACH: return attach_destroy(cell);
    case BH_CAP_FRAME:
        r.err = frame_decode_delete(cell);
        if (r.err == BH_OK) frame_commit_delete(cell);
        return r;
    case BH_CAP_IRQ: irq_release(cell); break;
    default: break;
    }
    r = object_destroy(cell);
    if (r.err == BH_OK) cnode_commit_delete(cell);
    return r;
}

struct sysret inv_cnode_delete(const struct invocation *in)
{
    uint32_t cell;
    err_t e = dst_here(in, in->a[0], &cell);

    return e == BH_OK ? delete_leaf(cell) : sysret(e, 0);
}

/* What is being revoked, while a revoke goes on (kernel lock held); 0: nothing. */
static uint32_t revoked;

/*
 * A CNode that holds what must outlive it (another CNode, the untyped memory it is made of) would
 * never go. If the revoke will come to that capability anyway, it waits in a cell that no CNode
 * has: page 0 of the pool, behind the tree's sentinel. @return it has gone there
 */
static bool set_aside(uint32_t cell)
{
    uint32_t type = cell_type(cell);
    uint64_t at = type == BH_CAP_KUNTYPED ? cells[cell].a : cell_obj(cell);

    if ((type != BH_CAP_KUNTYPED && type != BH_CAP_CNODE) || cell == revoked || revoked == 0 ||
        (type == BH_CAP_CNODE && cells[cell].count != 0) || cell_type(revoked) != BH_CAP_KUNTYPED ||
        at < cells[revoked].a || at - cells[revoked].a >= cells[revoked].b)
        return false;
    for (uint32_t spare = 1; spare < PAGE_UNITS; spare++) {
        if (cell_type(spare) == BH_CAP_NULL) {
            cnode_commit_move(cell, spare);
            return true;
        }
    }
    return false;
}

/* Delete below @root, leaf by leaf; leaves that are in use by an object further on are passed over. */
static struct sysret revoke_below(uint32_t root)
{
    uint32_t steps = 0, visits = 0, cell = cells[root].next;
    bool busy = false, any = false;
    struct sysret r = sysret(BH_OK, 0);

    cnode_commit_freeze(root);
    while (cells[cell].depth > cells[root].depth) {
        uint32_t leaf = cdt_first_leaf(cell), next;

        if (steps >= REVOKE_STEPS_PER_CALL || visits++ >= REVOKE_VISITS_PER_CALL)
            return sysret(any ? BH_ERR_PREEMPTED : BH_ERR_BUSY, 0);
        next = cells[leaf].next;
        r = delete_leaf(leaf);
        if (r.err == BH_OK) {
            steps++;
            any = true;
            cell = cells[root].next;
            if (busy) cell = next;
            if (percpu()->current == NULL)
                return sysret(BH_ERR_PREEMPTED, 0); /* the caller revoked itself */
        } else if (r.err == BH_ERR_BUSY) {
            busy = true;
            cell = next;
        } else {
            return r;
        }
    }
    if (busy) return sysret(any ? BH_ERR_PREEMPTED : BH_ERR_BUSY, 0);
    cnode_commit_thaw(root);
    return sysret(BH_OK, 0);
}

static struct sysret revoke(uint32_t root)
{
    struct sysret r;

    revoked = root;
    r = revoke_below(root);
    revoked = 0;
    return r;
}

struct sysret inv_cnode_revoke(const struct invocation *in)
{
    uint32_t cell;
    err_t e = dst_here(in, in->a[0], &cell);

    if (e == BH_OK && cell_type(cell) == BH_CAP_NULL) e = BH_ERR_CAP;
    return e == BH_OK ? revoke(cell) : sysret(e, 0);
}

static struct sysret cnode_empty(uint32_t cell)
{
    uint32_t first = cell_obj(cell), count = (uint32_t)cells[cell].a, done = 0;
    bool busy = false;
    uint64_t e;

    for (uint32_t c = first; c < first + count && done < 64; c++) {
        if (cell_type(c) == BH_CAP_NULL || c == cell) /* itself goes last */
            continue;
        /* A CNode in a CNode goes by itself, before this one: no recursion here. */
        e = cell_type(c) == BH_CAP_CNODE && owns_object(c) ? BH_ERR_BUSY : delete_leaf(c).err;
        done += e == BH_OK || e == BH_ERR_PREEMPTED;
        if (e != BH_OK) busy = busy || !set_aside(c);
    }
    if (busy || done == 64) return sysret(done != 0 ? BH_ERR_PREEMPTED : BH_ERR_BUSY, 0);
    return sysret(BH_OK, 0); /* all cells empty; the scrub of its memory clears it */
}

struct sysret inv_cnode_type(const struct invocation *in)
{
    if (in->a[0] >= cells[in->cell].a) return sysret(BH_ERR_SLOT, 0);
    uint64_t w0 = cells[cell_obj(in->cell) + in->a[0]].w0;

    return sysret(BH_OK, (uint64_t)cap_type(w0) | (uint64_t)cap_rights(w0) << 8);
}

void object_init(uint32_t cell, uint32_t cpu)
{
    uint32_t obj = cell_obj(cell);

    switch (cell_type(cell)) {
    case BH_CAP_CNODE: cnode_init(obj, (uint32_t)cells[cell].a); break;
    case BH_CAP_THREAD: thread_init(&threads[obj], cpu); break;
    case BH_CAP_SC:
        scs[obj].cpu = cpu;
        scs[obj].thread = NONE;
        scs[obj].handle = HEAP_NONE;
        break;
    case BH_CAP_ENDPOINT:
        endpoints[obj].cpu = cpu;
        endpoints[obj].head = endpoints[obj].tail = NONE;
        break;
    case BH_CAP_NTFN:
        ntfns[obj].cpu = cpu;
        ntfns[obj].waiter = ntfns[obj].vcpu = NONE;
        break;
    case BH_CAP_HOSTSPACE: space_init(obj, SPACE_HOST, (uint32_t)cells[cell].a); break;
    case BH_CAP_GUESTSPACE: space_init(obj, SPACE_GUEST, (uint32_t)cells[cell].a); break;
    case BH_CAP_VCPU: vcpu_object_init(obj, cpu); break;
    default: break;
    }
}
