// sources: kernel/core/cap.c kernel/core/cdt.c kernel/core/cnode.c kernel/core/epoch.c
// sources: kernel/core/frame.c
// Frames: attach, detach and its flush debt, carve, delete.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>
#include "core/frame.h"

#define N  2048u
#define F  1u
#define HS 2u
#define GS 3u
struct cell cells[N];

static void reset(void)
{
    memset(cells, 0, sizeof(cells));
    cdt_init();
    cnode_init(1, N - 1);
    cnode_commit_new(0, F, cap_pack(BH_CAP_FRAME, 15, 0), 0, 0x1000, 64);
    cnode_commit_new(0, HS, cap_pack(BH_CAP_HOSTSPACE, 15, 5), 0, 8, 0);
    cnode_commit_new(0, GS, cap_pack(BH_CAP_GUESTSPACE, 15, 6), 0, 8, 0);
    epoch_now = 0;
    epoch_cpus = 1;
    epoch_cpu[0] = 0;
}

/* What forbids to derive from a Frame at all, and the space's rights. */
static void refusals(void **state)
{
    reset();
    cells[F].w0 = cap_pack(BH_CAP_FRAME, 7, 0);
    assert_int_equal(frame_decode_attach(F, HS, 7, 10), BH_ERR_RIGHTS);
    assert_int_equal(frame_decode_carve(F, 0, 1, 10), BH_ERR_RIGHTS);
    cells[F].w0 = cap_freeze(cap_pack(BH_CAP_FRAME, 15, 0));
    assert_int_equal(frame_decode_attach(F, HS, 7, 10), BH_ERR_STATE);
    assert_int_equal(frame_decode_carve(F, 0, 1, 10), BH_ERR_STATE);
    cells[F].w0 = cap_pack(BH_CAP_FRAME, 15, 0);
    cells[F].depth = CDT_DEPTH_MAX;
    assert_int_equal(frame_decode_attach(F, HS, 7, 10), BH_ERR_LIMIT);
    assert_int_equal(frame_decode_carve(F, 0, 1, 10), BH_ERR_LIMIT);
    cells[F].depth = CDT_DEPTH_MAX - 1;
    assert_int_equal(frame_decode_attach(F, HS, 15, 10), BH_OK);
    assert_int_equal(frame_decode_carve(F, 0, 1, 10), BH_OK);
    cells[HS].w0 = cap_pack(BH_CAP_HOSTSPACE, 7, 5);
    assert_int_equal(frame_decode_attach(F, HS, 15, 10), BH_ERR_RIGHTS);
    assert_int_equal(frame_decode_attach(F, GS, 15, 10), BH_OK);
    (void)state;
}

static void attach(void **state)
{
    uint32_t f = 0;

    reset();
    assert_int_equal(frame_decode_attach(HS, HS, 7, 10), BH_ERR_CAP);
    assert_int_equal(frame_decode_attach(F, F, 7, 10), BH_ERR_CAP);
    assert_int_equal(frame_decode_attach(F, HS, 16, 10), BH_ERR_RANGE);
    assert_int_equal(frame_decode_attach(F, HS, 7, HS), BH_ERR_SLOT);
    assert_int_equal(frame_decode_attach(F, HS, 3, 10), BH_OK);
    frame_commit_attach(F, HS, 3, 10);
    assert_int_equal(cap_type(cells[10].w0), BH_CAP_ATTACH);
    assert_int_equal(cap_rights(cells[10].w0), 3);
    assert_int_equal(cap_obj(cells[10].w0), 5);
    assert_int_equal(cells[10].badge, BH_CAP_HOSTSPACE);
    assert_int_equal(cells[10].a, 0x1000);
    assert_int_equal(cells[10].b, 64);
    assert_int_equal(frame_decode_attach(F, GS, 7, 11), BH_OK);
    frame_commit_attach(F, GS, 7, 11);
    assert_int_equal(cells[F].count, 2);
    assert_int_equal(frame_decode_delete(F), BH_ERR_BUSY);
    assert_int_equal(frame_decode_carve(F, 0, 1, 12), BH_ERR_STATE);
    assert_int_equal(cnode_decode_copy(10, 12, 15), BH_ERR_RIGHTS);
    assert_int_equal(cnode_decode_copy(F, 12, 15), BH_ERR_STATE);

    assert_int_equal(frame_decode_detach(F, &f), BH_ERR_CAP);
    assert_int_equal(frame_decode_detach(10, &f), BH_OK);
    assert_int_equal(f, F);
    frame_commit_detach(10, f);
    assert_int_equal(cells[F].count, 1);
    assert_int_equal(frame_decode_attach(F, HS, 3, 10), BH_ERR_BUSY); /* owes a flush */
    epoch_cpu[0] = epoch_now;
    assert_int_equal(frame_decode_attach(F, HS, 3, 10), BH_OK);
    assert_int_equal(frame_decode_detach(11, &f), BH_OK);
    frame_commit_detach(11, f);
    assert_int_equal(frame_decode_delete(F), BH_ERR_BUSY);
    assert_int_equal(frame_decode_carve(F, 0, 1, 12), BH_ERR_BUSY);
    epoch_cpu[0] = epoch_now;
    assert_int_equal(frame_decode_delete(F), BH_OK);
    frame_commit_delete(F);
    assert_int_equal(frame_decode_delete(F), BH_ERR_CAP);
    (void)state;
}

static void attach_limit(void **state)
{
    uint32_t n = 0;

    reset();
    while (frame_decode_attach(F, GS, 7, 10 + n) == BH_OK) {
        frame_commit_attach(F, GS, 7, 10 + n);
        n++;
    }
    assert_int_equal(n, ATTACH_MAX);
    assert_int_equal(frame_decode_attach(F, GS, 7, 10 + n), BH_ERR_LIMIT);
    (void)state;
}

static void carve(void **state)
{
    reset();
    assert_int_equal(frame_decode_carve(F, 0, 0, 10), BH_ERR_RANGE);
    assert_int_equal(frame_decode_carve(F, 0, 65, 10), BH_ERR_RANGE);
    assert_int_equal(frame_decode_carve(F, 64, 1, 10), BH_ERR_RANGE);
    assert_int_equal(frame_decode_carve(F, ~0ull, 2, 10), BH_ERR_RANGE);
    assert_int_equal(frame_decode_carve(F, 2, ~0ull, 10), BH_ERR_RANGE);
    assert_int_equal(frame_decode_carve(F, 8, 8, HS), BH_ERR_SLOT);
    assert_int_equal(frame_decode_carve(F, 8, 8, 10), BH_OK);
    frame_commit_carve(F, 8, 8, 10);
    assert_int_equal(cells[10].a, 0x1008);
    assert_int_equal(cells[10].b, 8);
    assert_int_equal(frame_decode_carve(F, 0, 8, 11), BH_ERR_STATE); /* ascending only */
    assert_int_equal(frame_decode_carve(F, 15, 1, 11), BH_ERR_STATE);
    assert_int_equal(frame_decode_carve(F, 16, 48, 11), BH_OK);
    assert_int_equal(frame_decode_attach(F, GS, 7, 11), BH_ERR_STATE);
    assert_int_equal(frame_decode_attach(10, GS, 7, 11), BH_OK);
    assert_int_equal(frame_decode_delete(F), BH_ERR_BUSY);
    assert_int_equal(frame_decode_delete(10), BH_OK);
    frame_commit_delete(10);
    /* whole again: the watermark counts no longer */
    assert_int_equal(frame_decode_carve(F, 0, 64, 11), BH_OK);
    frame_commit_carve(F, 0, 4, 11);
    assert_int_equal(cells[F].c, 4);
    assert_int_equal(frame_decode_carve(F, 3, 1, 12), BH_ERR_STATE);
    frame_commit_delete(11);
    assert_int_equal(frame_decode_attach(F, GS, 7, 11), BH_OK);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(refusals), cmocka_unit_test(attach),
                                       cmocka_unit_test(attach_limit), cmocka_unit_test(carve)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
