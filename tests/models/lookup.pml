/*
 * A capability is looked up without the lock while others delete, refill and move its cell. After
 * kernel/object/lookup.h (cap_lookup) and kernel/core/cnode.c (cell_fill: cnode_commit_new,
 * cnode_commit_delete), cdt.c (payload_move) and types.h (CELL_TURN, CELL_ORDER).
 *
 * A cell holds a word (which object) and a badge. CPU 0, under the lock, deletes its capability, makes
 * another one in it, moves one in and out: any four of these in any order. CPU 1 looks the cell up
 * twice. Each store and load is a step; x86 keeps their order. Capability n has word n and badge n; 0
 * is none.
 *
 * Holds: what a look-up finds is one capability's word and badge.
 *
 * KNOCK AGAIN    cap_lookup() does not compare the count of changes
 * KNOCK TWICE    cap_lookup() compares the word instead of the count
 * KNOCK CLEAR    cell_fill() does not clear the word before it changes the badge
 * KNOCK TURN     cell_fill() does not count
 * KNOCK BEFORE   cell_fill() counts before it clears the word
 * KNOCK LAST     cell_fill() writes the word first
 * KNOCK MOVE     payload_move() does not count
 */
byte word = 1, badge = 1;    /* the cell */
byte word2, badge2;          /* another one, that things move to and come from */
byte turns;
bool over;

inline fill(n)
{
#ifdef KNOCK_BEFORE
    turns++;
#endif
#ifndef KNOCK_CLEAR
    word = 0;
#endif
#if !defined(KNOCK_TURN) && !defined(KNOCK_BEFORE)
    turns++;
#endif
#ifdef KNOCK_LAST
    word = n;
    badge = n
#else
    badge = n;
    word = n
#endif
}

inline move(to_word, to_badge, from_word, from_badge)
{
    w = from_word;
    from_word = 0;
#ifndef KNOCK_MOVE
    turns++;
#endif
    to_badge = from_badge;
    to_word = w;
    from_badge = 0;
    w = 0
}

active proctype cpu0()
{
    byte w, step, fresh = 1;

    do
    :: step == 4 -> break
    :: step < 4 ->
        step++;
        if
        :: word != 0 -> fill(0)                                /* cnode_commit_delete() */
        :: word == 0 -> atomic { fresh = 3 - fresh }; fill(fresh) /* cnode_commit_new() */
        :: word == 0 && word2 != 0 -> move(word, badge, word2, badge2)
        :: word != 0 && word2 == 0 -> move(word2, badge2, word, badge)
        fi
    od
}

active proctype cpu1()
{
    byte w, b, t, looks;

    do
    :: looks == 2 -> break
    :: looks < 2 ->
        looks++;
        do
        :: t = turns;
            w = word;
            b = badge;
            if
#ifdef KNOCK_AGAIN
            :: true -> break
#elif defined(KNOCK_TWICE)
            :: word == w -> break
            :: else -> skip
#else
            :: turns == t -> break
            :: else -> skip
#endif
            fi
        od;
        assert(w == 0 || w == b);
        w = 0;
        b = 0;
        t = 0
    od
}
