// sources: kernel/core/cap.c kernel/core/cdt.c kernel/core/cnode.c
// Derivation tree and CNodes: random operations against a plain model with parent pointers.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/cnode.h"

#define N 96u
struct cell cells[N];
static uint32_t parent_of[N]; /* the model */
static uint8_t used[N];

static void reset(void)
{
    memset(cells, 0, sizeof(cells));
    memset(used, 0, sizeof(used));
    cdt_init();
    cnode_init(1, N - 1);
}

static uint32_t model_depth(uint32_t x) { return x == 0 ? 0 : 1 + model_depth(parent_of[x]); }

static int model_has_child(uint32_t x)
{
    for (uint32_t i = 1; i < N; i++)
        if (used[i] && parent_of[i] == x) return 1;
    return 0;
}

static void check_all(void)
{
    uint32_t seen = 0, x = 0;

    do {
        assert_int_equal(cells[cells[x].next].prev, x);
        x = cells[x].next;
        seen++;
        assert_true(seen <= N);
    } while (x != 0);
    for (uint32_t i = 1; i < N; i++) {
        if (!used[i]) {
            assert_int_equal(cells[i].next, i);
            assert_int_equal(cells[i].depth, 0);
            assert_true(cells[i].w0 == 0 && cells[i].badge == 0 && cells[i].count == 0);
            assert_true(cells[i].a == 0 && cells[i].b == 0 && cells[i].c == 0 && cells[i].d == 0);
            continue;
        }
        seen--;
        assert_int_equal(cells[i].depth, model_depth(i));
        assert_int_equal(cdt_parent(i), parent_of[i]);
        assert_int_equal(cdt_has_child(i), model_has_child(i));
        uint32_t leaf = cdt_first_leaf(i), up = leaf;
        assert_false(model_has_child(leaf));
        while (up != i && up != 0) up = parent_of[up];
        assert_int_equal(up, i);
    }
    assert_int_equal(seen, 1); /* the sentinel: every used cell is in the list */
}

static void random_walk(void **state)
{
    unsigned done[4] = {0};

    reset();
    srand(1);
    for (int step = 0; step < 20000; step++) {
        uint32_t a = 1 + (uint32_t)rand() % (N - 1), b = 1 + (uint32_t)rand() % (N - 1);
        switch (rand() % 4) {
        case 0: /* a root capability */
            if (!used[a] && rand() % 4 == 0) {
                cnode_commit_new(0, a, cap_pack(BH_CAP_ENDPOINT, BH_RIGHTS_ALL, a), 0, 0, 0);
                used[a] = 1;
                parent_of[a] = 0;
                done[0]++;
            }
            break;
        case 1:
            if (cnode_decode_copy(a, b, BH_RIGHTS_ALL) == BH_OK) {
                assert_true(used[a] && !used[b]);
                cnode_commit_copy(a, b, BH_RIGHTS_ALL, 0, 0);
                used[b] = 1;
                parent_of[b] = a;
                done[1]++;
            } else {
                assert_true(!used[a] || used[b] || cells[a].depth == CDT_DEPTH_MAX);
            }
            break;
        case 2:
            if (cnode_decode_move(a, b) == BH_OK) {
                assert_true(used[a] && !used[b]);
                cells[a].count = 5;
                cells[a].a = 6;
                cells[a].b = 7;
                cells[a].c = 8;
                cells[a].d = 9;
                cnode_commit_move(a, b);
                assert_true(cells[b].count == 5 && cells[b].a == 6 && cells[b].b == 7);
                assert_true(cells[b].c == 8 && cells[b].d == 9);
                used[a] = 0;
                used[b] = 1;
                parent_of[b] = parent_of[a];
                for (uint32_t i = 1; i < N; i++)
                    if (used[i] && parent_of[i] == a) parent_of[i] = b;
                done[2]++;
            }
            break;
        default: {
            err_t e = cnode_decode_delete(a);
            assert_int_equal(e, !used[a] ? BH_ERR_CAP : model_has_child(a) ? BH_ERR_BUSY : BH_OK);
            if (e == BH_OK) {
                cnode_commit_delete(a);
                used[a] = 0;
                done[3]++;
            }
        }
        }
        if (step % 16 == 0) check_all();
    }
    for (int i = 0; i < 4; i++) assert_true(done[i] > 100);
    (void)state;
}

/* Decode refuses for each reason by itself, a mint for two more. */
static void mint_errors(void **state)
{
    uint32_t x = 1;

    reset();
    cnode_commit_new(0, 1, cap_pack(BH_CAP_NTFN, BH_RIGHTS_ALL, 7), 0, 0, 0);
    cnode_commit_new(0, 80, cap_pack(BH_CAP_NTFN, BH_RIGHTS_ALL & ~BH_RIGHT_GRANT, 7), 0, 0, 0);
    cnode_commit_new(0, 81, cap_pack(BH_CAP_NTFN, BH_RIGHTS_ALL, 7), 5, 0, 0);
    cnode_commit_new(0, 82, cap_pack(BH_CAP_SC, BH_RIGHTS_ALL, 7), 0, 0, 0);
    assert_int_equal(cnode_decode_mint(90, 91, 15), BH_ERR_CAP);
    assert_int_equal(cnode_decode_mint(1, 91, 16), BH_ERR_RANGE);
    assert_int_equal(cnode_decode_mint(80, 91, 15), BH_ERR_RIGHTS);
    assert_int_equal(cnode_decode_mint(81, 91, 15), BH_ERR_STATE);
    assert_int_equal(cnode_decode_mint(82, 91, 15), BH_ERR_STATE);
    assert_int_equal(cnode_decode_copy(82, 91, 15), BH_OK);
    assert_int_equal(cnode_decode_mint(1, 80, 15), BH_ERR_SLOT);
    assert_int_equal(cnode_decode_mint(1, 91, 15), BH_OK);
    assert_int_equal(cnode_decode_move(90, 91), BH_ERR_CAP);
    assert_int_equal(cnode_decode_move(1, 80), BH_ERR_SLOT);
    assert_int_equal(cnode_decode_move(1, 91), BH_OK);
    for (; x < CDT_DEPTH_MAX; x++) cnode_commit_copy(x, x + 1, 15, 0, 0);
    assert_int_equal(cnode_decode_mint(x, 91, 15), BH_ERR_LIMIT);
    assert_int_equal(cnode_decode_mint(x - 1, 91, 15), BH_OK);
    (void)state;
}

static void copy_errors(void **state)
{
    reset();
    cnode_commit_new(0, 1, cap_pack(BH_CAP_ENDPOINT, BH_RIGHTS_ALL, 7), 0, 0, 0);
    cnode_commit_new(0, 2, cap_pack(BH_CAP_FRAME, BH_RIGHTS_ALL, 0), 0, 5, 6);
    cnode_commit_new(0, 3, cap_pack(BH_CAP_CNODE, BH_RIGHTS_ALL, 9), 0, 16, 0);
    assert_int_equal(cnode_decode_copy(20, 21, 15), BH_ERR_CAP);
    assert_int_equal(cnode_decode_copy(1, 21, 16), BH_ERR_RANGE);
    assert_int_equal(cnode_decode_copy(2, 21, 15), BH_ERR_STATE);
    assert_int_equal(cnode_decode_copy(1, 2, 15), BH_ERR_SLOT);
    assert_int_equal(cnode_decode_copy(1, 0, 15), BH_OK); /* cell 0 is in no CNode */
    assert_int_equal(cnode_decode_mint(3, 21, 15), BH_ERR_STATE);
    assert_int_equal(cnode_decode_mint(1, 21, 15), BH_OK);
    cnode_commit_copy(1, 21, BH_RIGHT_WRITE | BH_RIGHT_GRANT, 0x77, 1);
    assert_int_equal(cells[21].badge, 0x77);
    assert_int_equal(cap_rights(cells[21].w0), BH_RIGHT_WRITE | BH_RIGHT_GRANT);
    assert_int_equal(cap_obj(cells[21].w0), 7);
    assert_int_equal(cnode_decode_mint(21, 22, 15), BH_ERR_STATE); /* has a badge */
    assert_int_equal(cnode_decode_copy(21, 22, BH_RIGHT_READ), BH_OK);
    cnode_commit_copy(21, 22, BH_RIGHT_READ, 0, 0);
    assert_int_equal(cap_rights(cells[22].w0), 0);
    assert_int_equal(cells[22].badge, 0x77);
    assert_int_equal(cnode_decode_copy(22, 23, 0), BH_ERR_RIGHTS);
    cnode_commit_copy(3, 24, 15, 0, 0);
    assert_int_equal(cells[24].a, 16); /* a CNode's copy knows its size */
    cnode_commit_freeze(1);
    assert_int_equal(cnode_decode_copy(1, 25, 15), BH_ERR_STATE);
    assert_int_equal(cnode_decode_move(1, 25), BH_ERR_STATE);
    cnode_commit_thaw(1);
    assert_int_equal(cnode_decode_copy(1, 25, 15), BH_OK);
    (void)state;
}

static void depth_limit(void **state)
{
    uint32_t x = 1;

    reset();
    cnode_commit_new(0, 1, cap_pack(BH_CAP_NTFN, BH_RIGHTS_ALL, 7), 0, 0, 0);
    while (cnode_decode_copy(x, x + 1, 15) == BH_OK) {
        cnode_commit_copy(x, x + 1, 15, 0, 0);
        x++;
    }
    assert_int_equal(x, CDT_DEPTH_MAX);
    assert_int_equal(cnode_decode_copy(x, x + 1, 15), BH_ERR_LIMIT);
    assert_int_equal(cdt_first_leaf(1), x);
    (void)state;
}

static void lookup(void **state)
{
    uint32_t c = 99;

    assert_int_equal(cnode_lookup(16, 16, 15, &c), BH_OK);
    assert_int_equal(c, 31);
    assert_int_equal(cnode_lookup(16, 16, 16, &c), BH_ERR_SLOT);
    assert_int_equal(cnode_lookup(16, 16, 0xffffffffu, &c), BH_ERR_SLOT);
    assert_int_equal(c, 31);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_walk), cmocka_unit_test(mint_errors),
                                       cmocka_unit_test(copy_errors), cmocka_unit_test(depth_limit),
                                       cmocka_unit_test(lookup)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
