// sources: vmm/rt/cpio.c
/* cpio newc reader: members, padding, trailer, and everything hostile that a length can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/rt/cpio.h"

#define ARCHIVE 8192u

static uint8_t archive[ARCHIVE];

/* One member at @offset. @return offset of the next. */
static size_t put(size_t offset, const char *name, size_t name_size, size_t size)
{
    char head[CPIO_HEADER_BYTES + 1u];
    size_t data = (offset + CPIO_HEADER_BYTES + name_size + 3u) & ~(size_t)3u;

    snprintf(head, sizeof(head), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 1u,
             0100444u, 0u, 0u, 1u, 0u, (unsigned)size, 0u, 0u, 0u, 0u, (unsigned)name_size, 0u);
    memcpy(archive + offset, head, CPIO_HEADER_BYTES);
    memset(archive + offset + CPIO_HEADER_BYTES, 0, data - offset - CPIO_HEADER_BYTES);
    memcpy(archive + offset + CPIO_HEADER_BYTES, name, strlen(name));
    return (data + size + 3u) & ~(size_t)3u;
}

static enum cpio_result at(size_t offset, size_t bytes, struct cpio_member *m)
{
    /* A copy of exact size, so that the sanitizer sees every byte read too many. */
    size_t avail = bytes > offset ? bytes - offset : 0;
    uint8_t *copy = malloc(avail ? avail : 1u);
    enum cpio_result r;

    memcpy(copy, archive + (avail ? offset : 0), avail);
    r = cpio_decode(copy, avail, offset, bytes, m);
    free(copy);
    return r;
}

static void members(void **state)
{
    struct cpio_member m;
    size_t padded = 4096u - CPIO_HEADER_BYTES;
    size_t second = put(0, "kernel", padded, 5);
    size_t end;

    end = put(second, "b", 2, 0);
    put(end, "TRAILER!!!", 11, 0);
    assert_int_equal(at(0, ARCHIVE, &m), CPIO_MEMBER);
    assert_string_equal(m.name, "kernel");
    assert_int_equal(m.data, 4096);
    assert_int_equal(m.size, 5);
    assert_int_equal(m.next, second);
    assert_int_equal(at(second, ARCHIVE, &m), CPIO_MEMBER);
    assert_int_equal(m.size, 0);
    assert_int_equal(m.next, end);
    assert_int_equal(at(end, ARCHIVE, &m), CPIO_END);
    assert_int_equal(at(ARCHIVE, ARCHIVE, &m), CPIO_END);
    assert_int_equal(at(ARCHIVE + 4u, ARCHIVE, &m), CPIO_END);
}

static void hostile(void **state)
{
    struct cpio_member m = {.size = 77};
    char name[CPIO_NAME_MAX + 2u];

    put(0, "x", 2, 0xffffffffu);
    assert_int_equal(at(0, ARCHIVE, &m), CPIO_BAD);
    put(0, "x", 0, 1);
    assert_int_equal(at(0, ARCHIVE, &m), CPIO_BAD);
    put(0, "x", 2, ARCHIVE - 112u + 1u);
    assert_int_equal(at(0, ARCHIVE, &m), CPIO_BAD);
    put(0, "x", 2, 0);
    memcpy(archive + 6u + 11u * 8u, "FFFFFFFF", 8);
    assert_int_equal(at(0, ARCHIVE, &m), CPIO_BAD);
    put(0, "x", 2, 0);
    archive[6u + 6u * 8u] = 'g';
    assert_int_equal(at(0, ARCHIVE, &m), CPIO_BAD);
    put(0, "x", 2, 0);
    archive[0] = '1';
    assert_int_equal(at(0, ARCHIVE, &m), CPIO_BAD);
    put(0, "x", 1, 0); /* no NUL inside the name */
    assert_int_equal(at(0, ARCHIVE, &m), CPIO_BAD);
    memset(name, 'n', sizeof(name) - 1u);
    name[sizeof(name) - 1u] = '\0';
    put(0, name, sizeof(name), 0);
    assert_int_equal(at(0, ARCHIVE, &m), CPIO_BAD);
    assert_int_equal(m.size, 77); /* nothing was written */
}

/* Every truncation of a good archive ends or is refused, and reads nothing beyond. */
static void truncated(void **state)
{
    struct cpio_member m;

    put(put(0, "abc", 4, 100), "TRAILER!!!", 11, 0);
    for (size_t n = 0; n < 512u; n++) {
        enum cpio_result r = at(0, n, &m);

        if (n < CPIO_HEADER_BYTES)
            assert_int_equal(r, CPIO_END);
        else if (n < 116u + 100u)
            assert_int_equal(r, CPIO_BAD);
        else
            assert_int_equal(r, CPIO_MEMBER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members),
        cmocka_unit_test(hostile),
        cmocka_unit_test(truncated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
