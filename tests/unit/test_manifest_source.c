// sources: policy/manifest/source.c
/* Lines of nodes and properties in device tree sources, also in damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "source.h"

static const char text[] = "/* /vms { */\n"                                     /* 1 */
                           "/dts-v1/;\n"                                        /* 2 */
                           "/ {\n"                                              /* 3 */
                           "    compatible = \"a { b = c; }\\\"\";\n"           /* 4 */
                           "    vms {\n"                                        /* 5 */
                           "        work: desktop {  // x {\n"                  /* 6 */
                           "            memory-mib =\n"                         /* 7 */
                           "                <1>; flag;\n"                       /* 8 */
                           "            disks { root { size-mib = <2>; }; };\n" /* 9 */
                           "        };\n"                                       /* 10 */
                           "        b { memory-mib = <3>; };\n"                 /* 11 */
                           "    };\n"                                           /* 12 */
                           "    system { };\n"                                  /* 13 */
                           "};\n";

static unsigned line(const char *path, const char *property)
{
    return source_line(text, sizeof(text) - 1, path, property);
}

static void names_have_lines(void **state)
{
    (void)state;
    assert_int_equal(line("/", NULL), 3);
    assert_int_equal(line("/", "compatible"), 4);
    assert_int_equal(line("/vms", NULL), 5);
    assert_int_equal(line("/vms/desktop", NULL), 6);
    assert_int_equal(line("/vms/desktop", "memory-mib"), 7);
    assert_int_equal(line("/vms/desktop", "flag"), 8);
    assert_int_equal(line("/vms/desktop/disks/root", "size-mib"), 9);
    assert_int_equal(line("/vms/b", "memory-mib"), 11);
    assert_int_equal(line("/system", NULL), 13);
}

static void what_is_missing_has_its_node(void **state)
{
    (void)state;
    assert_int_equal(line("/vms/b", "kernel"), 11);
    assert_int_equal(line("/vms/c", "kernel"), 0);
    assert_int_equal(line("/b", NULL), 0);
    assert_int_equal(line("/vms/desktop/disks", "memory-mib"), 9);
}

/* Cut anywhere, with any byte anywhere: no harm, and no line beyond the end. */
static void damage_does_no_harm(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(text); n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, text, n);
        assert_true(source_line(copy, n, "/vms/b", "memory-mib") <= 14);
        for (unsigned c = 0; n != 0 && c < 256; c += 5) {
            copy[n / 2] = (char)c;
            assert_true(source_line(copy, n, "/vms/b", NULL) <= 15);
        }
        free(copy);
    }
}

static void depth_is_bounded(void **state)
{
    static char deep[4096];

    (void)state;
    memset(deep, 'a', sizeof(deep));
    for (size_t i = 1; i < sizeof(deep); i += 2) {
        deep[i] = i < 2048 ? '{' : '}';
    }
    assert_int_equal(source_line(deep, sizeof(deep), "/b", NULL), 0);
    memset(deep, '}', sizeof(deep));
    assert_int_equal(source_line(deep, sizeof(deep), "/", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_lines),
        cmocka_unit_test(what_is_missing_has_its_node),
        cmocka_unit_test(damage_does_no_harm),
        cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
