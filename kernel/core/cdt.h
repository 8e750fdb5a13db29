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

/** Make cell 0 the sentinel of an empty tree. Once, at boot, before any other cell exists. */
void cdt_init(void);

/** Make the empty cell @x, whose memory is all zero, ready for use: linked to itself. */
void cdt_cell_init(uint32_t x);

/** Make the empty cell @child the first child of @parent (0: a root capability).
 *  Depth of @parent < CDT_DEPTH_MAX. */
void cdt_insert(uint32_t parent, uint32_t child);

/** Take the childless cell @x out of the tree. */
void cdt_remove(uint32_t x);

/** Move capability @from, with payload and place in the tree, to the empty cell @to. @from is then
 *  empty. */
void cdt_move(uint32_t from, uint32_t to);

/** 1 if something is derived from @x, else 0. */
uint32_t cdt_has_child(uint32_t x);

/** The cell that @x was derived from; 0 (the sentinel): a root capability. Takes as many steps as
 *  there are cells between the two in preorder. */
uint32_t cdt_parent(uint32_t x);

/** The first leaf in preorder below @x; @x itself if nothing is derived from it. At most
 *  CDT_DEPTH_MAX steps. */
uint32_t cdt_first_leaf(uint32_t x);

#endif
