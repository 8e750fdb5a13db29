// sources: kernel/core/cap.c kernel/core/cdt.c kernel/core/cnode.c kernel/core/epoch.c
// sources: kernel/core/untyped.c
// Retype and scrub: errors, alignment, and that what is handed out never overlaps.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/untyped.h"

#define N     1024u
#define KU    1u
#define FU    2u
#define KSIZE 0x10000u
struct cell cells[N];

static void reset(void)
{
    memset(cells, 0, sizeof(cells));
    cdt_init();
    cnode_init(1, N - 1);
    cnode_commit_new(0, KU, cap_pack(BH_CAP_KUNTYPED, 15, 0), 0, 0x1000, KSIZE);
    cnode_commit_new(0, FU, cap_pack(BH_CAP_FUNTYPED, 15, 0), 0, 0x12345, 0x100000);
    epoch_now = 0;
    epoch_cpus = 2;
    epoch_cpu[0] = epoch_cpu[1] = 0;
}

static void errors(void **state)
{
    struct retype_plan p;

    reset();
    assert_int_equal(untyped_decode_retype(3, BH_CAP_SC, 0, 1, 4, 10, &p), BH_ERR_CAP);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_SC, 0, 0, 4, 10, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_SC, 0, RETYPE_MAX + 1, 4, 600, &p),
                     BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_SC, 0, ~0ull, 4, 600, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_SC, 1, 1, 4, 10, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_FRAME, 0, 1, 4, 10, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(FU, BH_CAP_SC, 0, 1, 4, 10, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(FU, BH_CAP_FRAME, 19, 1, 4, 10, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_CNODE, 3, 1, 4, 10, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_CNODE, 17, 1, 4, 10, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_CNODE, 15, 3, 4, 10, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_CNODE, 0xffffffffu, 1, 4, 10, &p),
                     BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_GUESTSPACE, 3, 8, 4, 10, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_GUESTSPACE, 0, 1, 4, 10, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_GUESTSPACE, 0, 4097, 4, 10, &p),
                     BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_HOSTSPACE, 0, 5, 4, 10, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_HOSTSPACE, 0, 0, 4, 10, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_HOSTSPACE, 0, 4097, 4, 10, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_HOSTSPACE, 0, ~0ull, 4, 10, &p),
                     BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_HOSTSPACE, 0, 6, 4, 0, &p), BH_ERR_SLOT);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_HOSTSPACE, 0, 6, 4, 1, &p), BH_OK);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_GUESTSPACE, 0, 2, 4, 1, &p), BH_OK);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_GUESTSPACE, 0, 1024, 4, 1, &p), BH_OK);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_GUESTSPACE, 0, 1025, 4, 1, &p),
                     BH_ERR_MEMORY);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_SC, 0, 11, 4, 10, &p), BH_ERR_SLOT);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_SC, 0, 1, FU, 10, &p), BH_ERR_SLOT);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_CNODE, 4, 1, 4, 10, &p), BH_OK);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_CNODE, 16, 1, 4, 10, &p), BH_ERR_MEMORY);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_CNODE, 9, 128, 4, 200, &p), BH_OK);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_CNODE, 9, 129, 4, 200, &p), BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_CNODE, 7, RETYPE_MAX, 4, 300, &p), BH_OK);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_CNODE, 7, RETYPE_MAX + 1, 4, 300, &p),
                     BH_ERR_RANGE);
    assert_int_equal(untyped_decode_retype(FU, BH_CAP_FRAME, 18, 1, 4, 10, &p), BH_OK);
    assert_int_equal(p.start, 0x40000);
    assert_int_equal(untyped_decode_retype(FU, BH_CAP_FRAME, 0, 0x40000, 4, 10, &p), BH_OK);
    assert_int_equal(untyped_decode_retype(FU, BH_CAP_FRAME, 0, 0x100000, 4, 10, &p), BH_OK);
    assert_int_equal(untyped_decode_retype(FU, BH_CAP_FUNTYPED, 0, 0x100001, 4, 10, &p),
                     BH_ERR_MEMORY);
    assert_int_equal(untyped_decode_retype(FU, BH_CAP_FUNTYPED, 0, 0x100000, 4, 10, &p), BH_OK);
    assert_int_equal(p.count, 1);
    cells[KU].w0 = cap_pack(BH_CAP_KUNTYPED, 7, 0);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_SC, 0, 1, 4, 10, &p), BH_ERR_RIGHTS);
    cells[KU].w0 = cap_freeze(cap_pack(BH_CAP_KUNTYPED, 15, 0));
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_SC, 0, 1, 4, 10, &p), BH_ERR_STATE);
    cells[KU].w0 = cap_thaw(cells[KU].w0);
    cells[KU].depth = CDT_DEPTH_MAX;
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_SC, 0, 1, 4, 10, &p), BH_ERR_LIMIT);
    (void)state;
}

/* Units a cell's object takes in the pool, and where. */
static uint64_t extent(uint32_t c, uint64_t *start)
{
    uint64_t obj = cap_obj(cells[c].w0);

    switch (cap_type(cells[c].w0)) {
    case BH_CAP_KUNTYPED: *start = cells[c].a; return cells[c].b;
    case BH_CAP_CNODE: *start = obj; return cells[c].a;
    case BH_CAP_THREAD: *start = obj * 8; return 8;
    case BH_CAP_SC: *start = obj * 4; return 4;
    case BH_CAP_VCPU: *start = obj * 256; return 256;
    case BH_CAP_HOSTSPACE:
    case BH_CAP_GUESTSPACE: *start = obj * 64; return cells[c].a * 64;
    default: *start = obj; return 1;
    }
}

static void no_overlap(void **state)
{
    static uint8_t taken[0x1000 + KSIZE];
    static const uint32_t types[] = {BH_CAP_KUNTYPED,  BH_CAP_CNODE,      BH_CAP_THREAD,
                                     BH_CAP_SC,        BH_CAP_ENDPOINT,   BH_CAP_NTFN,
                                     BH_CAP_HOSTSPACE, BH_CAP_GUESTSPACE, BH_CAP_VCPU};
    uint32_t next = 3;
    struct retype_plan p;

    reset();
    memset(taken, 0, sizeof(taken));
    srand(2);
    for (int step = 0; step < 4000; step++) {
        uint32_t type = types[(size_t)rand() % 9];
        bool space = type == BH_CAP_HOSTSPACE || type == BH_CAP_GUESTSPACE;
        uint32_t bits = space ? 0 : (uint32_t)rand() % 8;
        uint64_t count = 1 + (uint64_t)rand() % (space ? 24 : 6);
        err_t e = untyped_decode_retype(KU, type, bits, count, next, N - next, &p);

        if (e != BH_OK) continue;
        untyped_commit_retype(&p);
        for (uint32_t i = 0; i < p.count; i++) {
            uint64_t start, n = extent(next + i, &start);

            assert_int_equal(cap_type(cells[next + i].w0), type);
            assert_int_equal(cdt_parent(next + i), KU);
            assert_int_equal(cap_rights(cells[next + i].w0), BH_RIGHTS_ALL);
            assert_true(cells[next + i].badge == 0 && cells[next + i].count == 0);
            assert_true(cells[next + i].c == 0 && cells[next + i].d == 0);
            assert_true(start >= 0x1000 && start + n <= 0x1000 + KSIZE);
            assert_int_equal(start % (type == BH_CAP_KUNTYPED || space ? 64 : n), 0);
            for (uint64_t u = start; u < start + n; u++) {
                assert_int_equal(taken[u], 0);
                taken[u] = 1;
            }
        }
        next += p.count;
    }
    assert_true(next > 100);
    assert_true(untyped_left(KU) < KSIZE / 8);
    (void)state;
}

/* A space is one object of any number of pages, on a page, with nothing lost but up to there. */
static void spaces(void **state)
{
    struct retype_plan p;

    reset();
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_NTFN, 0, 1, 4, 1, &p), BH_OK);
    untyped_commit_retype(&p);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_HOSTSPACE, 0, 11, 5, 1, &p), BH_OK);
    assert_int_equal(p.count, 1);
    untyped_commit_retype(&p);
    assert_int_equal(cap_obj(cells[5].w0), 0x1000 / 64 + 1);
    assert_int_equal(cells[5].a, 11);
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_GUESTSPACE, 0, 5, 6, 1, &p), BH_OK);
    untyped_commit_retype(&p);
    assert_int_equal(cap_obj(cells[6].w0), 0x1000 / 64 + 1 + 11);
    assert_int_equal(cells[6].a, 5);
    assert_int_equal(untyped_left(KU), KSIZE - 17 * 64);
    /* What is aligned to its size still is, behind them. */
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_VCPU, 0, 1, 7, 1, &p), BH_OK);
    assert_int_equal(p.start % 256, 0);
    (void)state;
}

static void frames(void **state)
{
    struct retype_plan p;

    reset();
    assert_int_equal(untyped_decode_retype(FU, BH_CAP_FRAME, 9, 512, 4, 1, &p), BH_OK);
    untyped_commit_retype(&p);
    assert_int_equal(cells[4].a, 0x12400);
    assert_int_equal(cells[4].b, 512);
    assert_int_equal(cap_obj(cells[4].w0), 0);
    assert_int_equal(untyped_decode_retype(FU, BH_CAP_FRAME, 0, 3, 5, 1, &p), BH_OK);
    untyped_commit_retype(&p);
    assert_int_equal(cells[5].a, 0x12600);
    assert_int_equal(untyped_decode_retype(FU, BH_CAP_FUNTYPED, 1, 7, 6, 1, &p), BH_OK);
    untyped_commit_retype(&p);
    assert_int_equal(cells[6].a, 0x12604);
    assert_int_equal(cells[6].c, 0);
    assert_int_equal(untyped_decode_retype(6, BH_CAP_FRAME, 0, 8, 7, 1, &p), BH_ERR_MEMORY);
    assert_int_equal(untyped_decode_retype(6, BH_CAP_FRAME, 0, 7, 7, 1, &p), BH_OK);
    (void)state;
}

static void scrub(void **state)
{
    struct retype_plan p;
    uint64_t cleaned = 0;

    reset();
    assert_int_equal(untyped_decode_scrub(3), BH_ERR_CAP);
    assert_int_equal(untyped_decode_scrub(KU), BH_OK);
    cells[KU].w0 = cap_pack(BH_CAP_KUNTYPED, 7, 0);
    assert_int_equal(untyped_decode_scrub(KU), BH_ERR_RIGHTS);
    cells[KU].w0 = cap_pack(BH_CAP_KUNTYPED, 15, 0);
    assert_int_equal(untyped_scrub_owed(KU), 0); /* nothing to clean */
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_THREAD, 0, 5, 10, 5, &p), BH_OK);
    untyped_commit_retype(&p);
    assert_int_equal(untyped_decode_scrub(KU), BH_ERR_BUSY);
    for (uint32_t i = 10; i < 15; i++) {
        assert_int_equal(cnode_decode_delete(i), BH_OK);
        cnode_commit_delete(i);
    }
    assert_int_equal(untyped_decode_scrub(KU), BH_OK);
    assert_int_equal(untyped_scrub_owed(KU), 1);
    untyped_commit_charge(KU);
    assert_int_equal(untyped_scrub_owed(KU), 0);
    assert_int_equal(epoch_passed(cells[KU].d), 0);
    epoch_cpu[0] = epoch_now;
    assert_int_equal(epoch_passed(cells[KU].d), 0);
    epoch_cpu[1] = epoch_now;
    assert_int_equal(epoch_passed(cells[KU].d), 1);
    /* a retype in between: its memory must not be cleaned on the old epoch */
    assert_int_equal(untyped_decode_retype(KU, BH_CAP_NTFN, 0, 1, 10, 1, &p), BH_OK);
    untyped_commit_retype(&p);
    cnode_commit_delete(10);
    assert_int_equal(untyped_scrub_owed(KU), 1);
    untyped_commit_charge(KU);
    assert_int_equal(epoch_passed(cells[KU].d), 0);
    epoch_cpu[0] = epoch_cpu[1] = epoch_now;
    assert_int_equal(cells[KU].c, 41);
    while (cells[KU].c != 0) {
        uint64_t n = untyped_scrub_count(KU, 16);

        assert_int_equal(untyped_scrub_first(KU, n), 0x1000 + cells[KU].c - n);
        untyped_commit_scrubbed(KU, n);
        cleaned += n;
    }
    assert_int_equal(cleaned, 41);
    assert_int_equal(cells[KU].d, 0);
    assert_int_equal(untyped_left(KU), KSIZE);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(errors), cmocka_unit_test(no_overlap),
                                       cmocka_unit_test(spaces), cmocka_unit_test(frames),
                                       cmocka_unit_test(scrub)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
