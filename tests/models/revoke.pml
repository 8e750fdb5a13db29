/*
 * A preemptible revoke, restarted by two callers, while a third derives more. After
 * kernel/object/cnode_inv.c (inv_cnode_revoke, revoke_below, delete_leaf, object_destroy),
 * kernel/core/cdt.c (cdt_insert, cdt_remove, cdt_has_child, cdt_first_leaf) and cnode.c
 * (cnode_decode_copy, cnode_commit_freeze, cnode_commit_thaw).
 *
 * Cells 1 to CELLS hang in the derivation tree, a circular preorder list with depths through the
 * sentinel, cell 0. Cell 1 is the root to revoke; below it a chain and a branch:  1 - 2 - 3, 1 - 4.
 * Cells 3 and 4 own objects of CPU 0 and CPU 1, which only their CPU can destroy. One caller on each CPU
 * revokes cell 1 again while it is told PREEMPTED, or the other CPU's number; one deletion a call.
 * A third thread copies from the root and from cell 2 into free cells, as long as it may. Each
 * invocation holds the kernel lock, so it is one step here; everything may happen between two.
 *
 * Holds: the list stays one tree; nothing is deleted that still has children, nothing by the wrong CPU;
 * nothing is derived from a root while a revoke of it goes on; a revoke that ends has left nothing
 * below the root and thawed it; both callers come to an end.
 *
 * KNOCK FREEZE   revoke_below() does not freeze the root
 * KNOCK FROZEN   cnode_decode_copy() does not refuse a frozen source
 * KNOCK THAW     revoke_below() does not thaw the root in the end
 * KNOCK LEAF     revoke_below() deletes what it comes to first, not a leaf of it
 * KNOCK HOME     object_destroy() does not refuse objects of other CPUs
 * KNOCK AGAIN    an unfinished call says BH_OK
 * KNOCK LINK     cdt_remove() leaves the predecessor's link as it is
 */
#define CELLS 6
#define OK 0
#define PREEMPTED 1
#define OTHER_CPU 2

byte next[CELLS + 1], prev[CELLS + 1], depth[CELLS + 1]; /* a free cell: depth 0, linked to itself */
bool frozen;            /* the root's capability */
byte home[CELLS + 1];   /* CPU of the object it owns, + 1; 0: none, or a copy */
byte copies = 3;        /* that the third thread still tries */
bool going_on;          /* ghost: a revoke has begun and none has ended since */
byte i, c, leaf;        /* scratch of the invocation that holds the lock */

inline link_after(p, x, d)
{
    depth[x] = d;
    prev[x] = p;
    next[x] = next[p];
    prev[next[p]] = x;
    next[p] = x
}

inline remove(x)
{
#ifndef KNOCK_LINK
    next[prev[x]] = next[x];
#endif
    prev[next[x]] = prev[x];
    next[x] = x;
    prev[x] = x;
    depth[x] = 0;
    home[x] = 0
}

/* The circle holds each used cell once, and depth grows by at most one a step. */
inline check_tree()
{
    i = 0;
    c = 0;
    do
    :: next[c] == 0 -> break
    :: else ->
        assert(prev[next[c]] == c && depth[next[c]] > 0 && depth[next[c]] <= depth[c] + 1);
        c = next[c];
        i++;
        assert(i <= CELLS)
    od;
    assert(prev[0] == c);
    for (c : 1 .. CELLS) {
        if
        :: depth[c] > 0 -> i--
        :: else -> assert(next[c] == c && prev[c] == c)
        fi
    }
    assert(i == 0);
    c = 0
}

/* inv_cnode_revoke() of cell 1 by CPU me, REVOKE_STEPS_PER_CALL = 1 */
inline revoke(me, answer)
{
#ifndef KNOCK_FREEZE
    frozen = true;
#endif
    going_on = true;
    if
    :: depth[next[1]] <= depth[1] ->
#ifndef KNOCK_THAW
        frozen = false;
#endif
        going_on = false;
        answer = OK;
        assert(depth[next[1]] <= depth[1] && !frozen)
    :: else ->
        leaf = next[1];
#ifndef KNOCK_LEAF
        do
        :: depth[next[leaf]] > depth[leaf] -> leaf = next[leaf]
        :: else -> break
        od;
#endif
        assert(depth[next[leaf]] <= depth[leaf]); /* delete_leaf(): childless */
        if
#ifndef KNOCK_HOME
        :: home[leaf] != 0 && home[leaf] != me + 1 -> answer = OTHER_CPU
#endif
        :: else ->
            assert(home[leaf] == 0 || home[leaf] == me + 1);
            remove(leaf);
#ifndef KNOCK_AGAIN
            answer = PREEMPTED
#else
            answer = OK
#endif
        fi;
        leaf = 0
    fi;
    check_tree()
}

inline caller(me)
{
    do
    :: d_step { revoke(me, answer) };
        if
        :: answer == OK -> break
        :: answer == OTHER_CPU -> (home[3] != 2 - me && home[4] != 2 - me) || depth[next[1]] <= depth[1]
        :: else -> skip
        fi
    od;
    assert(answer == OK)
}

init {
    d_step {
        for (i : 0 .. CELLS) {
            next[i] = i;
            prev[i] = i
        }
        link_after(0, 1, 1);
        link_after(1, 4, 2);
        link_after(1, 2, 2);
        link_after(2, 3, 3);
        home[3] = 1;
        home[4] = 2;
        check_tree()
    }
    atomic {
        run revoker(0);
        run revoker(1);
        run deriver()
    }
}

proctype revoker(byte me)
{
    byte answer;

    caller(me);
    finished: skip
}

/* cnode_decode_copy(), cnode_commit_copy() from the root or from cell 2 into cell 5 or 6 */
inline copy(src, dst)
{
    if
    :: depth[src] == 0 || depth[dst] != 0 -> skip
#ifndef KNOCK_FROZEN
    :: src == 1 && frozen -> skip
#endif
    :: else ->
        assert(!(src == 1 && going_on));
        link_after(src, dst, depth[src] + 1)
    fi;
    check_tree()
}

proctype deriver()
{
    do
    :: copies == 0 -> break
    :: copies > 0 -> d_step { copies--; copy(1, 5) }
    :: copies > 0 -> d_step { copies--; copy(1, 6) }
    :: copies > 0 -> d_step { copies--; copy(2, 5) }
    :: copies > 0 -> d_step { copies--; copy(2, 6) }
    od
}
