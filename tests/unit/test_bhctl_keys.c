// sources: vmm/control/keys.c
/* What bhctl makes of a text: each character one key, perhaps with Shift; names; nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/control/bhctl.h"

static struct stroke s;

static const char *strokes(const char *text)
{
    static char out[512];
    size_t n = 0;

    out[0] = '\0';
    while (*text != '\0') {
        if (!keys_next(&text, &s)) return "refused";
        for (unsigned i = 0; i < s.count; i++) {
            const struct bh_input *e = &s.events[i];

            if (e->kind == BH_INPUT_KEY)
                n += (size_t)snprintf(out + n, 16, "%c%02x ", e->down ? '+' : '-', e->code);
            else
                n += (size_t)snprintf(out + n, 32, "(%d,%d,%d,%d) ", e->dx, e->dy, e->wheel,
                                      e->buttons);
        }
    }
    if (n) out[n - 1u] = '\0';
    return out;
}

static void test_characters(void **state)
{
    bool seen[2][256] = {{false}};

    (void)state;
    for (int c = 0x20; c < 0x7f; c++) {
        const char text[3] = {(char)c, c == '<' ? '<' : '\0', '\0'}, *at = text;
        bool shift;

        assert_true(keys_next(&at, &s));
        assert_int_equal(*at, 0);
        shift = s.count == 4;
        assert_true(shift || s.count == 2);
        if (shift) assert_int_equal(s.events[0].code, 0xe1);
        assert_false(seen[shift][s.events[shift].code]); /* no two have the same key */
        seen[shift][s.events[shift].code] = true;
    }
    assert_string_equal(strokes("aZ"), "+04 -04 +e1 +1d -1d -e1");
    assert_string_equal(strokes("1!0)"), "+1e -1e +e1 +1e -1e -e1 +27 -27 +e1 +27 -27 -e1");
    assert_string_equal(strokes("\\|/?\n"),
                        "+31 -31 +e1 +31 -31 -e1 +38 -38 +e1 +38 -38 -e1 +28 -28");
    assert_string_equal(strokes("\xc3\xa4"), "refused");
    assert_string_equal(strokes("\x01"), "refused");
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(strokes("<enter>"), "+28 -28");
    assert_string_equal(strokes("<ctrl-alt-del>"), "+e0 +e2 +4c -4c -e2 -e0");
    assert_string_equal(strokes("<ctrl-c>x"), "+e0 +06 -06 -e0 +1b -1b");
    assert_string_equal(strokes("<f12><<>"), "+45 -45 +e1 +36 -36 -e1 +e1 +37 -37 -e1");
    assert_string_equal(strokes("<ctrl-minus>"), "+e0 +2d -2d -e0");
    assert_string_equal(strokes("<move:10,-20>"), "(10,-20,0,0)");
    assert_string_equal(strokes("<wheel:-1>"), "(0,0,-1,0)");
    assert_string_equal(strokes("<click>"), "(0,0,0,1) (0,0,0,0)");
    assert_string_equal(strokes("<nokey>"), "refused");
    assert_string_equal(strokes("<enter"), "refused");
    assert_string_equal(strokes("<>"), "refused");
    assert_string_equal(strokes("<move:1,2,3>"), "refused");
    assert_string_equal(strokes("<a-b-c-d-e-f-g-h-i>"), "refused"); /* too many at once */
    assert_string_equal(
        strokes("<ctrl-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>"), "refused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
