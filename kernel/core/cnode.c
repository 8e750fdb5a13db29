/*
 * Capability cells and CNodes: see cnode.h.
 */
#include "cnode.h"

void cnode_init(uint32_t first, uint32_t count)
{
    uint32_t i;

    /*@ loop invariant 0 <= i <= count;
        INVARIANT_CORE
        loop invariant made: \forall integer k; first <= k < first + i ==> live(k) && empty(k);
        loop invariant rest: \forall integer k; first + i <= k < first + count ==>
            cell_live[k] == 0 && cells[k].w0 == 0;
        loop assigns i, cells[first .. first + count - 1], cell_live[first .. first + count - 1];
        loop variant count - i; */
    for (i = 0; i < count; i++) cdt_cell_init(first + i);
}

err_t cnode_lookup(uint32_t first, uint32_t count, uint32_t slot, uint32_t *cell)
{
    if (slot >= count) return BH_ERR_SLOT;
    *cell = first + slot;
    return BH_OK;
}

/*@ requires x < POOL_CELLS;
    assigns cells[x].w0, cells[x].badge, cells[x].count, cells[x].a, cells[x].b, cells[x].c,
            cells[x].d;
    ensures word: cells[x].w0 == w0;
    ensures payload: cells[x].badge == badge && cells[x].count == 0 && cells[x].a == a &&
        cells[x].b == b && cells[x].c == 0 && cells[x].d == 0;
*/
static void cell_fill(uint32_t x, uint64_t w0, uint64_t badge, uint64_t a, uint64_t b)
{
    cells[x].w0 = 0;
    CELL_TURN();
    cells[x].badge = badge;
    cells[x].count = 0;
    cells[x].a = a;
    cells[x].b = b;
    cells[x].c = 0;
    cells[x].d = 0;
    CELL_ORDER();
    cells[x].w0 = w0;
}

void cnode_commit_new(uint32_t parent, uint32_t dst, uint64_t w0, uint64_t badge, uint64_t a,
                      uint64_t b)
{
    cell_fill(dst, w0, badge, a, b);
    cdt_insert(parent, dst);
}

/* 1 for types that may have several capabilities to one object; the others are linear. */
/*@ assigns \nothing;
    ensures value: \result != 0 <==> t_copies(type);
    ensures range: \result <= 1; */
static uint32_t type_copies(uint32_t type)
{
    switch (type) {
    case BH_CAP_CNODE:
    case BH_CAP_THREAD:
    case BH_CAP_SC:
    case BH_CAP_ENDPOINT:
    case BH_CAP_NTFN:
    case BH_CAP_HOSTSPACE:
    case BH_CAP_GUESTSPACE:
    case BH_CAP_VCPU:
    case BH_CAP_KERNEL: return 1;
    default: return 0;
    }
}

/*@ assigns \nothing;
    ensures value: \result != 0 <==> t_badges(type);
    ensures range: \result <= 1; */
static uint32_t type_badges(uint32_t type)
{
    switch (type) {
    case BH_CAP_ENDPOINT:
    case BH_CAP_NTFN:
    case BH_CAP_VCPU:
    case BH_CAP_THREAD: return 1;
    default: return 0;
    }
}

err_t cnode_decode_copy(uint32_t src, uint32_t dst, uint32_t rights)
{
    uint64_t w = cells[src].w0;

    if (cap_type(w) == BH_CAP_NULL) return BH_ERR_CAP;
    if (rights > BH_RIGHTS_ALL) return BH_ERR_RANGE;
    if (cap_grant(w) == 0u) return BH_ERR_RIGHTS;
    if (type_copies(cap_type(w)) == 0u || cap_frozen(w) != 0u) return BH_ERR_STATE;
    if (cells[src].depth >= CDT_DEPTH_MAX) return BH_ERR_LIMIT;
    if (cap_type(cells[dst].w0) != BH_CAP_NULL) return BH_ERR_SLOT;
    return BH_OK;
}

err_t cnode_decode_mint(uint32_t src, uint32_t dst, uint32_t rights)
{
    err_t e = cnode_decode_copy(src, dst, rights);

    if (e != BH_OK) return e;
    if (type_badges(cap_type(cells[src].w0)) == 0u || cells[src].badge != 0u) return BH_ERR_STATE;
    return BH_OK;
}

void cnode_commit_copy(uint32_t src, uint32_t dst, uint32_t rights, uint64_t badge,
                       uint32_t set_badge)
{
    uint64_t w = cells[src].w0;
    uint64_t word = cap_pack(cap_type(w), rights_meet(cap_rights(w), rights), cap_obj(w));

    if (set_badge == 0u) badge = cells[src].badge;
    cnode_commit_new(src, dst, word, badge, cells[src].a, cells[src].b);
}

err_t cnode_decode_move(uint32_t src, uint32_t dst)
{
    if (cap_type(cells[src].w0) == BH_CAP_NULL) return BH_ERR_CAP;
    if (cap_frozen(cells[src].w0) != 0u) return BH_ERR_STATE;
    if (cap_type(cells[dst].w0) != BH_CAP_NULL) return BH_ERR_SLOT;
    return BH_OK;
}

void cnode_commit_move(uint32_t src, uint32_t dst)
{
    cdt_move(src, dst);
    /*@ ghost
      ext_from[dst] = ext_from[src];
      ext_lo[dst] = ext_lo[src];
      ext_hi[dst] = ext_hi[src];
      ext_from[src] = 0;
      uint32_t k;
      /@ loop invariant 0 <= k <= POOL_CELLS;
         loop invariant done: \forall integer i; 0 <= i < k ==>
           ext_from[i] == (\at(ext_from[i], LoopEntry) == src ? dst : \at(ext_from[i], LoopEntry));
         loop invariant rest: \forall integer i; k <= i < POOL_CELLS ==>
           ext_from[i] == \at(ext_from[i], LoopEntry);
         loop assigns k, ext_from[0 .. POOL_CELLS - 1];
         loop variant POOL_CELLS - k; @/
      for (k = 0; k < POOL_CELLS; k++) {
        if (ext_from[k] == src)
          ext_from[k] = dst;
      } */
}

err_t cnode_decode_delete(uint32_t cell)
{
    if (cap_type(cells[cell].w0) == BH_CAP_NULL) return BH_ERR_CAP;
    if (cdt_has_child(cell) != 0u) return BH_ERR_BUSY;
    return BH_OK;
}

void cnode_commit_delete(uint32_t cell)
{
    cdt_remove(cell);
    cell_fill(cell, 0, 0, 0, 0);
    /*@ ghost ext_from[cell] = 0; */
}

void cnode_commit_freeze(uint32_t cell) { cells[cell].w0 = cap_freeze(cells[cell].w0); }

void cnode_commit_thaw(uint32_t cell) { cells[cell].w0 = cap_thaw(cells[cell].w0); }
