// sources: vmm/rt/fmt.c
/* Audit records: JSON whatever a monitor says, bounded, numbered, the last ones kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

/* Time is what the test says: one tick a nanosecond. */
static uint64_t now_ns;
#define rt_tsc real_rt_tsc
#include "syscall.h"
#undef rt_tsc
#define rt_tsc() now_ns

#include "vmm/root/audit.c"

static unsigned logged;

void log_line(const char *prefix, const char *text)
{
    assert_string_equal(prefix, "audit: ");
    assert_true(strlen(text) < AUDIT_LINE_BYTES);
    logged++;
}

/* Quotes come in pairs, brackets too, and nothing ends the line. */
static void assert_json(const char *text)
{
    unsigned quotes = 0;
    int open = 0;

    assert_int_equal(text[0], '{');
    assert_int_equal(text[strlen(text) - 1], '}');
    for (; *text; text++) {
        assert_true(*text >= ' ' && *text <= '~' && *text != '\\');
        quotes += *text == '"';
        if (quotes % 2 == 0) open += (*text == '[') - (*text == ']');
    }
    assert_int_equal(quotes % 2, 0);
    assert_int_equal(open, 0);
}

static void fields(void **state)
{
    const uint64_t numbers[] = {1, 2};
    char wanted[128];

    (void)state;
    audit_begin("x");
    audit_text("vm", "a\"b\\c\n\x80");
    audit_number("n", 5);
    audit_numbers("m", numbers, 2);
    audit_hex("h", 0xab);
    audit_end();
    (void)snprintf(
        wanted, sizeof(wanted),
        "{\"event\": \"x\", \"vm\": \"a?b?c??\", \"n\": 5, \"m\": [1, 2], \"h\": \"0xab\", "
        "\"seq\": %u, \"us\": ",
        logged - 1);
    assert_memory_equal(audit_record(logged - 1), wanted, strlen(wanted));
    assert_json(audit_record(logged - 1));
}

/* Fields of every length up to too long: each record is whole, number and time are always there. */
static void too_long(void **state)
{
    static char text[2048];
    uint64_t numbers[200];

    (void)state;
    memset(numbers, 0xff, sizeof(numbers));
    for (size_t n = 0; n < sizeof(text) - 1; n += 7) {
        memset(text, 'x', n);
        text[n] = '\0';
        audit_begin("long");
        audit_text("text", text);
        audit_numbers("numbers", numbers, n % 200u);
        audit_hex("hex", ~0ull);
        audit_text("more", text);
        audit_number("number", ~0ull);
        audit_end();
        assert_json(audit_record(audit_count() - 1));
        assert_non_null(strstr(audit_record(audit_count() - 1), "\"us\": "));
    }
}

/* A machine that has run for three years. */
static void time_goes_on(void **state)
{
    (void)state;
    now_ns = 94608000000000000ull;
    audit_begin("t");
    audit_end();
    assert_non_null(strstr(audit_record(audit_count() - 1), "\"us\": 94608000000000}"));
}

static void last_ones_are_kept(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3 * AUDIT_RECORDS; i++) {
        audit_begin("n");
        audit_end();
    }
    assert_int_equal(audit_count(), logged);
    assert_null(audit_record(audit_count()));
    assert_null(audit_record(audit_count() - AUDIT_RECORDS - 1));
    for (uint64_t n = audit_count() - AUDIT_RECORDS; n < audit_count(); n++) {
        char number[32];

        (void)snprintf(number, sizeof(number), "\"seq\": %u,", (unsigned)n);
        assert_non_null(strstr(audit_record(n), number));
    }
    assert_null(audit_record(0));
    assert_null(audit_record(UINT64_MAX));
}

static int info_page(void **state)
{
    struct bh_info *i = mmap((void *)BH_ROOT_INFO, 4096, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    (void)state;
    if (i != (void *)BH_ROOT_INFO) return -1;
    i->tsc_khz = 1000000;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),
        cmocka_unit_test(too_long),
        cmocka_unit_test(time_goes_on),
        cmocka_unit_test(last_ones_are_kept),
    };
    return cmocka_run_group_tests(tests, info_page, NULL);
}
