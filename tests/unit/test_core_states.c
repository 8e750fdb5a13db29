// sources: kernel/core/cap.c kernel/core/cdt.c kernel/core/cnode.c kernel/core/epoch.c
// sources: kernel/core/frame.c kernel/core/untyped.c
// Every state that a few cells can get into, from each of which every operation is tried: all that
// docs/ASSURANCE.md assumes or states of the whole system, looked at in each.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/frame.h"
#include "core/untyped.h"

/*
 * States are equal when they differ in the names of cells only: a state is the derivation tree in
 * preorder, with what its capabilities hold, and the ghosts. Numbers of epochs do not count, only
 * whether one has passed; one CPU takes part (test_core_epoch has several).
 */
#define CELLS  10u /* with the sentinel */
#define STATES (1u << 21)
#define AT     0x20u /* first unit or page */
#define GRANT  BH_RIGHT_GRANT
struct cell cells[CELLS];

enum debt { NO_DEBT, OWED, PASSED };
struct entry {
    uint8_t type, rights, frozen, depth, obj, badge, a, b, c, count, debt;
};
struct state {
    struct entry e[CELLS - 1];
    uint8_t caps;
    uint8_t dirty; /* ghost: pages or units, from AT, that are not zero */
    uint8_t stale; /* ghost: pages or objects that a CPU may still reach: TLB, looked up before */
};

static struct state *states;
static uint32_t *table, nstates, fixed, room, rooms;
static uint32_t parent_of[CELLS]; /* the model of the tree */
static uint8_t dirty, stale;
static unsigned long moves_made;

/* ---- From the cells to a state and back ---------------------------------------------------- */

static uint8_t debt_of(uint64_t d) { return d == 0 ? NO_DEBT : epoch_passed(d) ? PASSED : OWED; }

static struct state state_now(void)
{
    struct state s;

    memset(&s, 0, sizeof(s));
    for (uint32_t c = cells[0].next; c != 0; c = cells[c].next) {
        const struct cell *x = &cells[c];

        s.e[s.caps++] = (struct entry){(uint8_t)cap_type(x->w0),
                                       (uint8_t)cap_rights(x->w0),
                                       (uint8_t)cap_frozen(x->w0),
                                       (uint8_t)x->depth,
                                       (uint8_t)cap_obj(x->w0),
                                       (uint8_t)x->badge,
                                       (uint8_t)x->a,
                                       (uint8_t)x->b,
                                       (uint8_t)x->c,
                                       (uint8_t)x->count,
                                       debt_of(x->d)};
    }
    s.dirty = dirty;
    s.stale = stale;
    return s;
}

/* Cells are named differently each time. */
static void state_load(const struct state *s, uint32_t shuffle)
{
    uint32_t name[CELLS] = {0}, path[CELLS] = {0};

    memset(cells, 0, sizeof(cells));
    epoch_cpus = 1;
    epoch_now = 2;
    epoch_cpu[0] = 1; /* 1 has passed, 2 has not */
    dirty = s->dirty;
    stale = s->stale;
    for (uint32_t i = 0; i < CELLS; i++) cells[i].next = cells[i].prev = i;
    for (uint32_t i = 1; i <= room; i++) name[i] = i;
    for (uint32_t i = 1; i < room; i++) {
        uint32_t k = i + shuffle % (room - i + 1), kept = name[i];

        shuffle = shuffle / 3 + 7 * i;
        name[i] = name[k];
        name[k] = kept;
    }
    for (uint32_t i = 0; i < s->caps; i++) {
        const struct entry *e = &s->e[i];
        uint32_t c = name[i + 1], before = name[i];
        struct cell *x = &cells[c];

        x->w0 = cap_pack(e->type, e->rights, e->obj);
        if (e->frozen) x->w0 = cap_freeze(x->w0);
        x->depth = e->depth;
        x->badge = e->badge;
        x->a = e->a;
        x->b = e->b;
        x->c = e->c;
        x->count = e->count;
        x->d = e->debt == NO_DEBT ? 0 : e->debt == PASSED ? 1 : 2;
        x->prev = before;
        x->next = 0;
        cells[before].next = c;
        cells[0].prev = c;
        path[e->depth] = c;
        parent_of[c] = path[e->depth - 1];
    }
}

static void state_add(const struct state *s)
{
    const uint8_t *bytes = (const uint8_t *)s;
    uint64_t h = 14695981039346656037ull;
    uint32_t i;

    for (size_t n = 0; n < sizeof(*s); n++) h = (h ^ bytes[n]) * 1099511628211ull;
    i = (uint32_t)(h ^ h >> 32) % (2 * STATES);
    while (table[i] != 0) {
        if (memcmp(&states[table[i] - 1], s, sizeof(*s)) == 0) return;
        i = (i + 1) % (2 * STATES);
    }
    assert_true(nstates < STATES);
    states[nstates++] = *s;
    table[i] = nstates;
}

/* ---- What holds in every state ------------------------------------------------------------- */

static uint32_t type_of(uint32_t c) { return cap_type(cells[c].w0); }
static bool used(uint32_t c) { return type_of(c) != BH_CAP_NULL; }

static bool untyped(uint32_t c)
{
    return type_of(c) == BH_CAP_KUNTYPED || type_of(c) == BH_CAP_FUNTYPED;
}

/* Made from memory, not copied from another capability to the same object. */
static bool original(uint32_t c)
{
    return parent_of[c] != 0 && (untyped(parent_of[c]) || type_of(parent_of[c]) == BH_CAP_FRAME) &&
           type_of(c) != BH_CAP_ATTACH;
}

static uint64_t size_of(uint32_t c, uint64_t *first)
{
    switch (type_of(c)) {
    case BH_CAP_ENDPOINT: *first = cap_obj(cells[c].w0); return 1;
    case BH_CAP_SC: *first = cap_obj(cells[c].w0) * 4ull; return 4;
    default: *first = cells[c].a; return cells[c].b;
    }
}

static uint8_t mask(uint64_t first, uint64_t n)
{
    assert_true(first >= AT && first + n <= AT + 8);
    return (uint8_t)(((1u << n) - 1u) << (first - AT));
}

static uint8_t memory(uint32_t c)
{
    uint64_t first, n = size_of(c, &first);

    return mask(first, n);
}

static bool below(uint32_t c, uint32_t ancestor)
{
    while (c != 0 && c != ancestor) c = parent_of[c];
    return c == ancestor;
}

static void check_cell(uint32_t c)
{
    uint32_t p = parent_of[c], children = 0, attachments = 0;
    uint64_t first, n;

    for (uint32_t k = 1; k <= room; k++) {
        if (!used(k) || parent_of[k] != c) continue;
        children++;
        attachments += type_of(k) == BH_CAP_ATTACH;
    }
    /* childless means that nothing is derived, and nothing taken */
    assert_int_equal(cdt_has_child(c), children != 0);
    assert_int_equal(cdt_parent(c), p);
    assert_int_equal(cells[c].depth, p == 0 ? 1 : cells[p].depth + 1);
    if (type_of(c) == BH_CAP_FRAME) {
        assert_int_equal(cells[c].count, attachments);
        assert_true(attachments == 0 || attachments == children); /* attached or carved */
    }
    if (untyped(c)) {
        assert_true(cells[c].c <= cells[c].b);
        assert_int_equal(dirty & mask(cells[c].a + cells[c].c, cells[c].b - cells[c].c), 0);
    }
    if (p != 0 && !untyped(p)) /* rights never grow */
        assert_int_equal(cap_rights(cells[c].w0) & ~cap_rights(cells[p].w0), 0);
    if (p != 0 && !original(c) && type_of(c) != BH_CAP_ATTACH)
        assert_true(type_of(c) == type_of(p) && cap_obj(cells[c].w0) == cap_obj(cells[p].w0));
    if (type_of(c) == BH_CAP_ATTACH)
        assert_true(type_of(p) == BH_CAP_FRAME && cells[c].a == cells[p].a &&
                    cells[c].b == cells[p].b);
    if (!original(c)) return;
    n = size_of(c, &first); /* below the mark of what it was made from */
    assert_true(first >= cells[p].a && first + n <= cells[p].a + cells[p].c);
    for (uint32_t k = 1; k <= room; k++) /* no two objects overlap, unless one is of the other */
        if (k != c && original(k) && used(k) && !below(k, c) && !below(c, k))
            assert_int_equal(memory(c) & memory(k), 0);
}

static void check_state(void)
{
    uint32_t n = 0, last = 0;

    for (uint32_t c = cells[0].next; c != 0; c = cells[c].next) {
        assert_int_equal(cells[c].prev, last);
        assert_true(used(c) && ++n < CELLS);
        last = c;
    }
    assert_int_equal(cells[0].prev, last);
    for (uint32_t c = 1; c <= room; c++) {
        if (used(c)) {
            check_cell(c);
            n--;
        } else {
            assert_true(cells[c].depth == 0 && cells[c].next == c && cells[c].prev == c);
        }
    }
    assert_int_equal(n, 0);
}

/* ---- Operations: decode, and when it says yes, the ghosts and commit ------------------------- */

static uint32_t empty_cell(void)
{
    uint32_t c = 1;

    while (c <= room && used(c)) c++;
    return c <= room ? c : 0;
}

static bool childless(uint32_t c)
{
    for (uint32_t k = 1; k <= room; k++)
        if (used(k) && parent_of[k] == c) return false;
    return true;
}

static bool do_retype(uint32_t ut, uint32_t type, uint64_t count)
{
    struct retype_plan p;
    uint32_t dst = empty_cell(), avail = 0;

    while (dst + avail <= room && !used(dst + avail)) avail++;
    if (dst == 0 || untyped_decode_retype(ut, type, 0, count, dst, avail, &p) != BH_OK)
        return false;
    untyped_commit_retype(&p);
    for (uint32_t i = 0; i < p.count; i++) {
        parent_of[dst + i] = ut;
        assert_int_equal(dirty & memory(dst + i), 0); /* it comes clean */
        assert_int_equal(stale & memory(dst + i), 0);
        if (!untyped(dst + i)) dirty |= memory(dst + i);
    }
    return true;
}

static bool do_carve(uint32_t f, uint64_t offset, uint64_t pages)
{
    uint32_t dst = empty_cell();

    if (dst == 0 || frame_decode_carve(f, offset, pages, dst) != BH_OK) return false;
    assert_int_equal(stale & mask(cells[f].a + offset, pages), 0);
    frame_commit_carve(f, offset, pages, dst);
    parent_of[dst] = f;
    return true;
}

static bool do_attach(uint32_t f, uint32_t rights)
{
    uint32_t dst = empty_cell(), space = 0;

    for (uint32_t c = 1; c <= room; c++)
        if (type_of(c) == BH_CAP_HOSTSPACE) space = c;
    if (dst == 0 || frame_decode_attach(f, space, rights, dst) != BH_OK) return false;
    assert_int_equal(stale & memory(f), 0);
    frame_commit_attach(f, space, rights, dst);
    parent_of[dst] = f;
    return true;
}

static bool do_delete(uint32_t c)
{
    bool none = childless(c);
    uint32_t f = 0;
    err_t e;

    if (c == fixed) return false;
    if (!used(c)) {
        assert_int_equal(cnode_decode_delete(c), BH_ERR_CAP);
        return false;
    }
    assert_int_equal(cnode_decode_delete(c), none ? BH_OK : BH_ERR_BUSY);
    if (type_of(c) == BH_CAP_ATTACH) {
        assert_int_equal(frame_decode_detach(c, &f), BH_OK); /* never BH_ERR_STATE */
        assert_int_equal(f, parent_of[c]);
        stale |= memory(c);
        frame_commit_detach(c, f);
    } else if (type_of(c) == BH_CAP_FRAME) {
        e = frame_decode_delete(c);
        if (e != BH_OK) {
            assert_true(!none || (stale & memory(c)) != 0);
            return false;
        }
        assert_true(none && (stale & memory(c)) == 0); /* free: not attached, no flush owed */
        frame_commit_delete(c);
    } else {
        if (!none) return false;
        if (original(c) && !untyped(c)) stale |= memory(c);
        cnode_commit_delete(c);
    }
    return true;
}

static bool do_move(uint32_t c)
{
    uint32_t dst = empty_cell();

    if (dst == 0 || c == fixed || cnode_decode_move(c, dst) != BH_OK) return false;
    cnode_commit_move(c, dst);
    parent_of[dst] = parent_of[c];
    for (uint32_t k = 1; k <= room; k++)
        if (parent_of[k] == c && used(k)) parent_of[k] = dst;
    return true;
}

static bool do_copy(uint32_t c, uint32_t rights, bool mint)
{
    uint32_t dst = empty_cell();

    if (dst == 0 || c == fixed) return false;
    if ((mint ? cnode_decode_mint(c, dst, rights) : cnode_decode_copy(c, dst, rights)) != BH_OK)
        return false;
    assert_true(!mint || cells[c].badge == 0);
    cnode_commit_copy(c, dst, rights, 1, mint);
    assert_int_equal(cells[dst].badge, mint ? 1 : cells[c].badge);
    parent_of[dst] = c;
    return true;
}

static bool do_freeze(uint32_t c)
{
    if (!used(c) || fixed != 0) return false; /* the world without frames has it */
    if (cap_frozen(cells[c].w0) == 0)
        cnode_commit_freeze(c);
    else
        cnode_commit_thaw(c);
    return true;
}

/* As inv_untyped_scrub() does; @n units at most. */
static bool do_scrub(uint32_t ut, uint64_t n)
{
    uint64_t first;

    if (untyped_decode_scrub(ut) != BH_OK) return false;
    if (untyped_scrub_owed(ut)) untyped_commit_charge(ut);
    if (!epoch_passed(cells[ut].d)) return true;
    n = untyped_scrub_count(ut, n);
    first = untyped_scrub_first(ut, n);
    assert_int_equal(stale & mask(first, n), 0);
    for (uint32_t c = 1; c <= room; c++) /* nobody has it */
        if (used(c) && original(c) && !below(ut, c))
            assert_int_equal(memory(c) & mask(first, n), 0);
    dirty &= (uint8_t)~mask(first, n);
    untyped_commit_scrubbed(ut, n);
    return true;
}

static bool do_acknowledge(void)
{
    epoch_cpu[0] = epoch_now;
    stale = 0;
    return true;
}

/* Operation @n; false: refused, or there is no such one for this cell. */
static bool operate(uint32_t n, uint32_t c)
{
    switch (n) {
    case 0: return do_move(c);
    case 1: return do_delete(c);
    case 2: return do_freeze(c);
    case 3: return do_scrub(c, 1);
    case 4: return do_scrub(c, 8);
    case 5: return do_retype(c, BH_CAP_FRAME, 1);
    case 6: return do_retype(c, BH_CAP_FRAME, 2);
    case 7: return do_retype(c, BH_CAP_FUNTYPED, 1);
    case 8: return do_retype(c, BH_CAP_FUNTYPED, 2);
    case 9: return do_carve(c, 0, 1);
    case 10: return do_carve(c, 1, 1);
    case 11: return do_carve(c, 0, 2);
    case 12: return do_attach(c, BH_RIGHTS_ALL);
    case 13: return do_attach(c, BH_RIGHT_READ);
    case 14: return do_retype(c, BH_CAP_ENDPOINT, 1);
    case 15: return do_retype(c, BH_CAP_ENDPOINT, 2);
    case 16: return do_retype(c, BH_CAP_SC, 1);
    case 17: return do_copy(c, BH_RIGHTS_ALL, false);
    case 18: return do_copy(c, GRANT | BH_RIGHT_READ, false);
    case 19: return do_copy(c, BH_RIGHT_WRITE, false);
    case 20: return do_copy(c, BH_RIGHTS_ALL, true);
    default: return c == 1 && do_acknowledge();
    }
}
#define OPERATIONS 22u

static void explore(const char *what)
{
    uint32_t done[OPERATIONS] = {0};
    struct state s;

    s = state_now();
    state_add(&s);
    for (uint32_t i = 0; i < nstates; i++) {
        for (uint32_t n = 0; n < OPERATIONS; n++) {
            for (uint32_t c = 1; c <= room; c++) {
                state_load(&states[i], i);
                fixed = 0;
                for (uint32_t k = 1; k <= room; k++)
                    if (type_of(k) == BH_CAP_HOSTSPACE) fixed = k;
                if (!operate(n, c)) continue;
                done[n]++;
                check_state();
                s = state_now();
                state_add(&s);
            }
        }
    }
    for (uint32_t n = 0; n < OPERATIONS; n++) moves_made += done[n];
    printf("%s: %u states, %lu steps\n", what, nstates, moves_made);
}

static void begin(uint32_t cells_in_use)
{
    memset(cells, 0, sizeof(cells));
    memset(table, 0, 2 * STATES * sizeof(*table));
    memset(parent_of, 0, sizeof(parent_of));
    nstates = 0;
    moves_made = 0;
    dirty = 0xff; /* memory starts dirty, and is scrubbed before its first use */
    stale = 0;
    room = cells_in_use;
    epoch_now = 2;
    epoch_cpus = 1;
    epoch_cpu[0] = 1;
    cdt_init();
    cnode_init(1, CELLS - 1);
}

/* Memory for three pages of Frames, one space, and room for three or more other capabilities. */
static void frames(void **state)
{
    begin(rooms + 1);
    cnode_commit_new(0, 1, cap_pack(BH_CAP_FUNTYPED, BH_RIGHTS_ALL, 0), 0, AT, 3);
    cells[1].c = 3;
    cnode_commit_new(0, 2, cap_pack(BH_CAP_HOSTSPACE, BH_RIGHTS_ALL, 7), 0, 8, 0);
    explore("frames");
    assert_true(nstates > 1000);
    (void)state;
}

/* Kernel memory for five units, and room for three or more capabilities to it, copies too. */
static void objects(void **state)
{
    begin(rooms);
    cnode_commit_new(0, 1, cap_pack(BH_CAP_KUNTYPED, BH_RIGHTS_ALL, 0), 0, AT, 5);
    cells[1].c = 5;
    explore("objects");
    assert_true(nstates > 1000);
    (void)state;
}

static int setup(void **state)
{
    states = malloc(STATES * sizeof(*states));
    table = malloc(2 * STATES * sizeof(*table));
    (void)state;
    return states == NULL || table == NULL;
}

static int teardown(void **state)
{
    free(states);
    free(table);
    (void)state;
    return 0;
}

/* "5": one cell more, which takes a minute. */
int main(int argc, char **argv)
{
    rooms = argc > 1 ? (uint32_t)atoi(argv[1]) : 4;
    const struct CMUnitTest tests[] = {cmocka_unit_test(frames), cmocka_unit_test(objects)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
