/*
 * The derivation tree of capabilities: the preorder of the tree as one circular list through the
 * cells, with the depth in each; cell 0 is the sentinel (depth 0, in no CNode). A cell that holds
 * no capability has depth 0 and is linked to itself. May call: nothing. Never touches the payload
 * of a cell, except cdt_move.
 * All of it: kernel lock held; cell indexes below POOL_CELLS and naming initialised cells.
 */
#ifndef CORE_CDT_H
#define CORE_CDT_H

#include "types.h"

/*
 * Specification. cell_live marks the memory that holds cells: the model's view of the pool has a
 * cell at every unit, but only those of a CNode (and the sentinel) mean anything.
 */
/*@ ghost uint32_t cell_live[POOL_CELLS]; */
/*@
  predicate live{L}(integer i) = 0 <= i < POOL_CELLS && cell_live[i] == 1;

  predicate links_ok{L} = \forall integer i; live(i) ==>
      live(cells[i].next) && live(cells[i].prev) &&
      cells[cells[i].next].prev == i && cells[cells[i].prev].next == i;

  predicate free_ok{L} = \forall integer i; live(i) && i != 0 && cells[i].depth == 0 ==>
      cells[i].next == i && cells[i].prev == i;

  // preorder: one step down at a time; the sentinel alone is in the tree with depth 0
  predicate depth_ok{L} = \forall integer i; live(i) ==>
      cells[i].depth <= CDT_DEPTH_MAX && cells[cells[i].next].depth <= cells[i].depth + 1;

  predicate root_ok{L} = live(0) && cells[0].depth == 0;

  predicate tree_ok{L} = links_ok && free_ok && depth_ok && root_ok;

  predicate childless{L}(integer x) = cells[cells[x].next].depth <= cells[x].depth;
*/

/** Make cell 0 the sentinel of an empty tree. Once, at boot, before any other cell exists. */
/*@ requires none: \forall integer i; 0 <= i < POOL_CELLS ==> cell_live[i] == 0;
    assigns cells[0].w0, cells[0].next, cells[0].prev, cells[0].depth, cell_live[0];
    ensures links: links_ok;
    ensures free: free_ok;
    ensures depth: depth_ok;
    ensures root: root_ok;
    ensures empty: childless(0); */
void cdt_init(void);

/** Make the empty cell @x, whose memory is all zero, ready for use: linked to itself. */
/*@ requires index: x < POOL_CELLS && cell_live[x] == 0;
    assigns cells[x].next, cells[x].prev, cells[x].depth, cell_live[x];
    ensures live: cell_live[x] == 1;
    ensures own: cells[x].next == x && cells[x].prev == x && cells[x].depth == 0;
    ensures links: \old(links_ok) ==> links_ok;
    ensures free: \old(free_ok) ==> free_ok;
    ensures depth: \old(links_ok && depth_ok) ==> depth_ok; */
void cdt_cell_init(uint32_t x);

/** Make the empty cell @child the first child of @parent (0: a root capability).
 *  Depth of @parent < CDT_DEPTH_MAX. */
/*@ requires tree_ok;
    requires index: live(parent) && live(child) && child != 0 && child != parent;
    requires parent_in: parent == 0 || cells[parent].depth > 0;
    requires child_free: cells[child].depth == 0;
    requires limit: cells[parent].depth < CDT_DEPTH_MAX;
    assigns cells[child].next, cells[child].prev, cells[child].depth, cells[parent].next,
            cells[\at(cells[parent].next, Pre)].prev;
    ensures links: links_ok;
    ensures free: free_ok;
    ensures depth: depth_ok;
    ensures root: root_ok;
    ensures first: cells[parent].next == child && cells[child].prev == parent;
    ensures rest: cells[child].next == \old(cells[parent].next);
    ensures below: cells[child].depth == cells[parent].depth + 1; */
void cdt_insert(uint32_t parent, uint32_t child);

/** Take the childless cell @x out of the tree. */
/*@ requires tree_ok;
    requires index: live(x) && x != 0;
    requires leaf: childless(x);
    assigns cells[x].next, cells[x].prev, cells[x].depth,
            cells[\at(cells[x].prev, Pre)].next, cells[\at(cells[x].next, Pre)].prev;
    ensures links: links_ok;
    ensures free: free_ok;
    ensures depth: depth_ok;
    ensures root: root_ok;
    ensures freed: cells[x].depth == 0 && cells[x].next == x && cells[x].prev == x;
    ensures bridged: \old(cells[x].prev) != x ==>
        cells[\old(cells[x].prev)].next == \old(cells[x].next); */
void cdt_remove(uint32_t x);

/** Move capability @from, with payload and place in the tree, to the empty cell @to. @from is then
 *  empty. */
/*@ requires tree_ok;
    requires index: live(from) && live(to) && from != 0 && to != 0 && from != to;
    requires from_in: cells[from].depth > 0;
    requires to_free: cells[to].depth == 0;
    assigns cells[from], cells[to], cells[\at(cells[from].prev, Pre)].next,
            cells[\at(cells[from].next, Pre)].prev;
    ensures links: links_ok;
    ensures free: free_ok;
    ensures depth: depth_ok;
    ensures root: root_ok;
    ensures emptied: cells[from].depth == 0 && cells[from].w0 == 0 && cells[from].badge == 0 &&
        cells[from].count == 0 && cells[from].a == 0 && cells[from].b == 0 &&
        cells[from].c == 0 && cells[from].d == 0;
    ensures place: cells[to].depth == \old(cells[from].depth);
    ensures before: \old(cells[from].prev) != from ==> cells[to].prev == \old(cells[from].prev);
    ensures after: \old(cells[from].next) != from ==> cells[to].next == \old(cells[from].next);
    ensures word: cells[to].w0 == \old(cells[from].w0);
    ensures badge: cells[to].badge == \old(cells[from].badge);
    ensures count: cells[to].count == \old(cells[from].count);
    ensures payload: cells[to].a == \old(cells[from].a) && cells[to].b == \old(cells[from].b) &&
        cells[to].c == \old(cells[from].c) && cells[to].d == \old(cells[from].d); */
void cdt_move(uint32_t from, uint32_t to);

/** 1 if something is derived from @x, else 0. */
/*@ requires tree_ok && live(x);
    assigns \nothing;
    ensures value: \result == 0 <==> childless(x);
    ensures range: \result <= 1; */
uint32_t cdt_has_child(uint32_t x);

/** The cell that @x was derived from; 0 (the sentinel): a root capability. Takes as many steps as
 *  there are cells between the two in preorder. */
/*@ requires tree_ok && live(x);
    requires in: cells[x].depth > 0;
    assigns \nothing;
    ensures index: live(\result);
    ensures above: \result == 0 || cells[\result].depth + 1 == cells[x].depth; */
uint32_t cdt_parent(uint32_t x);

/** The first leaf in preorder below @x; @x itself if nothing is derived from it. At most
 *  CDT_DEPTH_MAX steps. */
/*@ requires tree_ok && live(x);
    assigns \nothing;
    ensures index: live(\result);
    ensures leaf: childless(\result);
    ensures same: \result == x <==> childless(x);
    ensures below: \result != x ==> cells[\result].depth > cells[x].depth; */
uint32_t cdt_first_leaf(uint32_t x);

#endif
