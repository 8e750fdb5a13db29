/*
 * Frames: see frame.h.
 */
#include "frame.h"

/* May anything be derived from this cell as a Frame? */
/*@ requires frame < POOL_CELLS;
    assigns \nothing;
    ensures cap: \result == BH_ERR_CAP <==> c_type(cells[frame].w0) != BH_CAP_FRAME;
    ensures rights: \result == BH_ERR_RIGHTS <==>
        c_type(cells[frame].w0) == BH_CAP_FRAME && c_grant(cells[frame].w0) == 0;
    ensures state: \result == BH_ERR_STATE <==> frame_rights(frame) && !frame_thawed(frame);
    ensures limit: \result == BH_ERR_LIMIT <==> frame_thawed(frame) && !usable(frame);
    ensures ok: \result == BH_OK <==> usable(frame);
    ensures only: \result \in {BH_OK, BH_ERR_CAP, BH_ERR_RIGHTS, BH_ERR_STATE, BH_ERR_LIMIT}; */
static err_t frame_check(uint32_t frame)
{
    uint64_t w = cells[frame].w0;

    if (cap_type(w) != BH_CAP_FRAME) return BH_ERR_CAP;
    if (cap_grant(w) == 0u) return BH_ERR_RIGHTS;
    if (cap_frozen(w) != 0u) return BH_ERR_STATE;
    if (cells[frame].depth >= CDT_DEPTH_MAX) return BH_ERR_LIMIT;
    return BH_OK;
}

/* First page that has not been carved out: a Frame without children is whole again. */
/*@ requires core_ok && live(frame);
    assigns \nothing;
    ensures value: (childless(frame) ==> \result == 0) &&
        (!childless(frame) ==> \result == cells[frame].c); */
static uint64_t frame_mark(uint32_t frame)
{
    return cdt_has_child(frame) != 0u ? cells[frame].c : 0u;
}

err_t frame_decode_carve(uint32_t frame, uint64_t offset, uint64_t pages, uint32_t dst)
{
    err_t e = frame_check(frame);

    if (e != BH_OK) return e;
    if (pages == 0u || pages > cells[frame].b || offset > cells[frame].b - pages)
        return BH_ERR_RANGE;
    if (cells[frame].count != 0u || offset < frame_mark(frame)) return BH_ERR_STATE;
    if (epoch_passed(cells[frame].d) == 0u) return BH_ERR_BUSY;
    if (cap_type(cells[dst].w0) != BH_CAP_NULL) return BH_ERR_SLOT;
    return BH_OK;
}

void frame_commit_carve(uint32_t frame, uint64_t offset, uint64_t pages, uint32_t dst)
{
    uint64_t w = cells[frame].w0;

    /*@ assert above: \forall integer k; taken(k) && ext_from[k] == frame ==>
          ext_hi[k] <= cells[frame].a + offset; */
    cells[frame].c = offset + pages;
    cnode_commit_new(frame, dst, cap_pack(BH_CAP_FRAME, cap_rights(w), 0), 0,
                     cells[frame].a + offset, pages);
    /*@ ghost
      ext_from[dst] = frame;
      ext_lo[dst] = cells[frame].a + offset;
      ext_hi[dst] = cells[frame].a + offset + pages; */
}

/*@ assigns \nothing;
    ensures value: \result != 0 <==> t_space_cap(type); */
static uint32_t is_space(uint32_t type)
{
    return type == BH_CAP_HOSTSPACE || type == BH_CAP_GUESTSPACE ? 1u : 0u;
}

err_t frame_decode_attach(uint32_t frame, uint32_t space, uint32_t mask, uint32_t dst)
{
    err_t e = frame_check(frame);

    if (e != BH_OK) return e;
    if (is_space(cap_type(cells[space].w0)) == 0u) return BH_ERR_CAP;
    if (cap_grant(cells[space].w0) == 0u) return BH_ERR_RIGHTS;
    if (mask > BH_RIGHTS_ALL) return BH_ERR_RANGE;
    if (cells[frame].count == 0u && cdt_has_child(frame) != 0u) return BH_ERR_STATE;
    if (cells[frame].count >= ATTACH_MAX) return BH_ERR_LIMIT;
    if (epoch_passed(cells[frame].d) == 0u) return BH_ERR_BUSY;
    if (cap_type(cells[dst].w0) != BH_CAP_NULL) return BH_ERR_SLOT;
    return BH_OK;
}

void frame_commit_attach(uint32_t frame, uint32_t space, uint32_t mask, uint32_t dst)
{
    uint64_t w = cells[frame].w0, s = cells[space].w0;
    uint64_t word = cap_pack(BH_CAP_ATTACH, rights_meet(cap_rights(w), mask), cap_obj(s));

    cells[frame].count = cells[frame].count + 1u;
    cnode_commit_new(frame, dst, word, cap_type(s), cells[frame].a, cells[frame].b);
}

err_t frame_decode_detach(uint32_t attach, uint32_t *frame)
{
    uint32_t f;

    if (cap_type(cells[attach].w0) != BH_CAP_ATTACH) return BH_ERR_CAP;
    f = cdt_parent(attach);
    if (cap_type(cells[f].w0) != BH_CAP_FRAME || cells[f].count == 0u) return BH_ERR_STATE;
    *frame = f;
    return BH_OK;
}

void frame_commit_detach(uint32_t attach, uint32_t frame)
{
    cells[frame].count = cells[frame].count - 1u;
    cells[frame].d = epoch_charge();
    cnode_commit_delete(attach);
}

err_t frame_decode_delete(uint32_t frame)
{
    if (cap_type(cells[frame].w0) != BH_CAP_FRAME) return BH_ERR_CAP;
    if (cdt_has_child(frame) != 0u || cells[frame].count != 0u) return BH_ERR_BUSY;
    if (epoch_passed(cells[frame].d) == 0u) return BH_ERR_BUSY;
    return BH_OK;
}

void frame_commit_delete(uint32_t frame) { cnode_commit_delete(frame); }
