// sources: kernel/core/cap.c
// Capability words: every field survives packing, rights only shrink.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "core/cap.h"

static void packing(void **state)
{
    static const uint32_t objs[] = {0, 1, 0xffff, 0x10000, 0xffffff, 0x80000000u, 0xffffffffu};

    for (uint32_t t = 0; t < CAP_NTYPE; t++)
        for (uint32_t r = 0; r < CAP_NRIGHTS; r++)
            for (size_t i = 0; i < sizeof(objs) / sizeof(objs[0]); i++) {
                uint64_t w = cap_pack(t, r, objs[i]), f = cap_freeze(w);

                assert_int_equal(cap_type(w), t);
                assert_int_equal(cap_rights(w), r);
                assert_int_equal(cap_obj(w), objs[i]);
                assert_int_equal(cap_frozen(w), 0);
                assert_int_equal(cap_grant(w), (r & BH_RIGHT_GRANT) != 0);
                assert_int_equal(cap_frozen(f), 1);
                assert_int_equal(cap_type(f), t);
                assert_int_equal(cap_rights(f), r);
                assert_int_equal(cap_obj(f), objs[i]);
                assert_int_equal(cap_freeze(f), f);
                assert_int_equal(cap_thaw(f), w);
                assert_int_equal(cap_thaw(w), w);
            }
    (void)state;
}

static void meet(void **state)
{
    for (uint32_t a = 0; a < CAP_NRIGHTS; a++)
        for (uint32_t b = 0; b < CAP_NRIGHTS; b++) assert_int_equal(rights_meet(a, b), a & b);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(packing), cmocka_unit_test(meet)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
