/*
 * The derivation tree: see cdt.h.
 */
#include "cdt.h"

#ifndef __FRAMAC__
uint64_t cell_turns;
#endif

void cdt_cell_init(uint32_t x)
{
    cells[x].next = x;
    cells[x].prev = x;
    cells[x].depth = 0;
    /*@ ghost cell_live[x] = 1; */
}

void cdt_init(void)
{
    cells[0].w0 = 0;
    cdt_cell_init(0);
}

/* Put the empty cell x right behind p, at a depth that p's successor allows. */
/*@ requires tree_ok;
    requires index: live(p) && live(x) && x != 0 && x != p;
    requires p_in: p == 0 || cells[p].depth > 0;
    requires x_free: cells[x].depth == 0;
    requires fits: 0 < depth <= CDT_DEPTH_MAX && depth <= cells[p].depth + 1 &&
                   cells[cells[p].next].depth <= depth + 1;
    assigns cells[x].next, cells[x].prev, cells[x].depth, cells[p].next,
            cells[\at(cells[p].next, Pre)].prev;
    ensures links: links_ok;
    ensures free: free_ok;
    ensures depth: depth_ok;
    ensures root: root_ok;
    ensures placed: cells[p].next == x && cells[x].prev == p && cells[x].depth == depth;
    ensures rest: cells[x].next == \old(cells[p].next);
    ensures back: cells[\old(cells[p].next)].prev == x;
*/
static void cdt_link_after(uint32_t p, uint32_t x, uint32_t depth)
{
    uint32_t n = cells[p].next;

    cells[x].depth = depth;
    cells[x].prev = p;
    cells[x].next = n;
    cells[n].prev = x;
    cells[p].next = x;
}

void cdt_insert(uint32_t parent, uint32_t child)
{
    cdt_link_after(parent, child, cells[parent].depth + 1u);
}

void cdt_remove(uint32_t x)
{
    uint32_t p = cells[x].prev, n = cells[x].next;

    cells[p].next = n;
    cells[n].prev = p;
    cells[x].next = x;
    cells[x].prev = x;
    cells[x].depth = 0;
}

/*@ requires index: from < POOL_CELLS && to < POOL_CELLS && from != to;
    assigns cells[from].w0, cells[from].badge, cells[from].count, cells[from].a, cells[from].b,
            cells[from].c, cells[from].d, cells[to].w0, cells[to].badge, cells[to].count,
            cells[to].a, cells[to].b, cells[to].c, cells[to].d;
    ensures emptied: cells[from].w0 == 0 && cells[from].badge == 0 && cells[from].count == 0 &&
        cells[from].a == 0 && cells[from].b == 0 && cells[from].c == 0 && cells[from].d == 0;
    ensures word: cells[to].w0 == \old(cells[from].w0);
    ensures badge: cells[to].badge == \old(cells[from].badge);
    ensures count: cells[to].count == \old(cells[from].count);
    ensures payload: cells[to].a == \old(cells[from].a) && cells[to].b == \old(cells[from].b) &&
        cells[to].c == \old(cells[from].c) && cells[to].d == \old(cells[from].d);
*/
static void payload_move(uint32_t from, uint32_t to)
{
    uint64_t w0 = cells[from].w0;

    cells[from].w0 = 0;
    CELL_TURN();
    cells[to].badge = cells[from].badge;
    cells[to].count = cells[from].count;
    cells[to].a = cells[from].a;
    cells[to].b = cells[from].b;
    cells[to].c = cells[from].c;
    cells[to].d = cells[from].d;
    CELL_ORDER();
    cells[to].w0 = w0;
    cells[from].badge = 0;
    cells[from].count = 0;
    cells[from].a = 0;
    cells[from].b = 0;
    cells[from].c = 0;
    cells[from].d = 0;
}

void cdt_move(uint32_t from, uint32_t to)
{
    /* a sibling right behind takes over whatever followed, children included */
    cdt_link_after(from, to, cells[from].depth);
    cdt_remove(from);
    payload_move(from, to);
}

uint32_t cdt_has_child(uint32_t x) { return cells[cells[x].next].depth > cells[x].depth ? 1u : 0u; }

uint32_t cdt_parent(uint32_t x)
{
    uint32_t p = cells[x].prev, left = POOL_CELLS;

    /*@ loop invariant live(p);
        loop invariant child: cells[cells[p].next].depth >= cells[x].depth;
        loop invariant left <= POOL_CELLS;
        loop assigns p, left;
        loop variant left; */
    while (left > 0u && cells[p].depth >= cells[x].depth) {
        p = cells[p].prev;
        left = left - 1u;
    }
    return left > 0u ? p : 0u;
}

uint32_t cdt_first_leaf(uint32_t x)
{
    uint32_t c = x;

    /*@ loop invariant live(c);
        loop invariant down: c == x || (cells[c].depth > cells[x].depth && !childless(x));
        loop assigns c;
        loop variant CDT_DEPTH_MAX - cells[c].depth; */
    while (cells[cells[c].next].depth > cells[c].depth) c = cells[c].next;
    return c;
}
