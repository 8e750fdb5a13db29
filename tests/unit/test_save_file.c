// sources: vmm/monitor/save_file.c vmm/rt/crc32c.c vmm/rt/fmt.c
/*
 * The file of a saved VM: what is written comes back; a file that is cut at any byte, has any byte
 * changed, or was made by another VM is refused with a reason and a place; zero pages cost nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "save_file.h"
#include "vmm/rt/crc32c.h"

#define PAGES 200u

struct device {
    void *pointer; /* not saved */
    uint32_t a;
    uint8_t b[5];
    uint64_t c;
};

static const struct state_member members[] = {
    STATE_MEMBER(struct device, a),
    STATE_MEMBER(struct device, b),
    STATE_MEMBER(struct device, c),
};
static bool device_loaded(void *dev) { return ((struct device *)dev)->a < 100; }
static const struct dev_state device_state = DEV_STATE("device", 3, members, device_loaded);
static const struct state_member other_members[] = {
    STATE_MEMBER(struct device, a),
    STATE_MEMBER(struct device, c),
    STATE_MEMBER(struct device, b),
};
static const struct dev_state other_layout = DEV_STATE("device", 3, other_members, NULL);
static const struct dev_state other_version = DEV_STATE("device", 4, members, NULL);

static struct save_header mine(void)
{
    return (struct save_header){.nvcpus = 2,
                                .ram_bytes = PAGES * 4096u,
                                .host_tsc = 77,
                                .guest_ns = 88,
                                .tsc_khz = 1000000,
                                .config = 5,
                                .cpu_model = "model"};
}

static uint8_t *memory, *file;
static uint64_t file_bytes;
static const uint64_t room = PAGES * 4096u + 65536u;

static bool used(unsigned page) { return page % 3u == 1u || (page > 60u && page < 190u); }

static int setup(void **state)
{
    struct device d = {&d, 42, {1, 2, 3, 4, 5}, 0x1122334455667788u};
    struct save_file f;
    struct save_header h = mine();

    (void)state;
    memory = calloc(PAGES, 4096);
    file = malloc(room);
    srand(1);
    for (unsigned i = 0; i < PAGES; i++)
        if (used(i)) memory[i * 4096u + (unsigned)rand() % 4096u] = (uint8_t)(1 + rand() % 255);
    save_begin(&f, file, room);
    save_state(&f, &device_state, &d, 1);
    save_memory(&f, "ram", memory, PAGES * 4096u, NULL);
    file_bytes = save_end(&f, &h);
    return file_bytes == 0;
}

static int teardown(void **state)
{
    (void)state;
    free(memory);
    free(file);
    return 0;
}

/* By one who has no such VM: is it whole? */
static bool looked_through(uint8_t *bytes, uint64_t length)
{
    struct save_file f;
    struct save_header h;
    bool ok = save_open(&f, bytes, length, NULL, &h) && save_check(&f);

    assert_true(ok == (f.error == NULL) && f.at <= length);
    return ok;
}

/* Everything in @bytes, @length. @return whether it was taken; else why is in *why */
static bool load(uint8_t *bytes, uint64_t length, struct device *d, uint8_t *ram, const char **why)
{
    struct save_file f;
    struct save_header h, expected = mine();
    bool ok = save_open(&f, bytes, length, &expected, &h) &&
              save_load_state(&f, &device_state, d, 1) &&
              save_load_memory(&f, "ram", ram, PAGES * 4096u) && save_close(&f);

    assert_true(ok == (f.error == NULL));
    assert_true(f.at <= length);
    if (!ok) assert_true(strlen(f.where) > 0 && strlen(f.where) <= SAVE_NAME_CHARS);
    *why = f.error;
    return ok;
}

static void test_round_trip(void **state)
{
    struct device d = {.pointer = &d};
    uint8_t *ram = calloc(PAGES, 4096);
    const char *why;
    unsigned pages = 0;

    (void)state;
    assert_true(looked_through(file, file_bytes));
    assert_true(load(file, file_bytes, &d, ram, &why));
    assert_ptr_equal(d.pointer, &d);
    assert_int_equal(d.a, 42);
    assert_int_equal(d.b[4], 5);
    assert_true(d.c == 0x1122334455667788u);
    assert_memory_equal(ram, memory, PAGES * 4096u);
    for (unsigned i = 0; i < PAGES; i++) pages += used(i) ? 1 : 0;
    assert_true(file_bytes < pages * 4096u * 102u / 100u); /* 2 % on top of what is not zero */
    free(ram);
}

/* Every byte of headers and section, some of the pages: whatever changes is noticed. */
static void test_damaged(void **state)
{
    uint8_t *ram = calloc(PAGES, 4096), *copy = malloc(file_bytes);
    struct device d;
    const char *why;

    (void)state;
    for (uint64_t at = 0; at < file_bytes; at += at < 400u ? 1u : 997u) {
        memcpy(copy, file, file_bytes);
        copy[at] ^= (uint8_t)(1u << at % 8u);
        assert_false(load(copy, file_bytes, &d, ram, &why));
        assert_false(looked_through(copy, file_bytes));
    }
    for (uint64_t n = 0; n < file_bytes; n += n < 400u ? 1u : 1009u) {
        /* Not a byte more than there is, so that reading beyond is seen. */
        uint8_t *cut = malloc(n ? n : 1u);

        memcpy(cut, file, n);
        assert_false(load(cut, n, &d, ram, &why));
        assert_false(looked_through(cut, n));
        free(cut);
    }
    free(ram);
    free(copy);
}

/* Random damage with right checksums cannot be made here, but runs can be: sizes and places. */
static void test_runs(void **state)
{
    static const struct save_run bad[] = {
        {0, 0, 0},
        {0, SAVE_RUN_PAGES + 1u, 0},
        {1, 1, 0},
        {PAGES * 4096u, 1, 0},
        {UINT64_MAX - 4095u, 1, 0},
        {(PAGES - 1u) * 4096u, 2, 0},
    };
    uint8_t *ram = calloc(PAGES, 4096), *copy = malloc(file_bytes);
    uint64_t at = sizeof(struct save_header) + 2u * sizeof(struct save_section) + 24u;
    struct device d;
    const char *why;

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memcpy(copy, file, file_bytes);
        memcpy(copy + at, &bad[i], sizeof(bad[i]));
        assert_false(load(copy, file_bytes, &d, ram, &why));
        assert_non_null(strstr(why, "run of pages"));
    }
    free(ram);
    free(copy);
}

static void expect_refused(struct save_header expected, const char *text)
{
    struct save_file f;
    struct save_header h;

    assert_false(save_open(&f, file, file_bytes, &expected, &h));
    assert_non_null(strstr(f.error, text));
    assert_string_equal(f.where, "header");
}

static void test_other_vm(void **state)
{
    struct save_header h = mine();

    (void)state;
    h.nvcpus = 3;
    expect_refused(h, "vCPUs");
    h = mine();
    h.ram_bytes += 4096;
    expect_refused(h, "memory");
    h = mine();
    h.device_ram_bytes = 4096;
    expect_refused(h, "devices");
    h = mine();
    h.config = 6;
    expect_refused(h, "devices");
    h = mine();
    memcpy(h.cpu_model, "other", 6);
    expect_refused(h, "saved on CPU model 'model', this VM has 'other'");
    memset(h.cpu_model, 'x', sizeof(h.cpu_model));
    expect_refused(h, "'model', this VM has 'xxxxx");
    { /* A file that somebody else has made: its words are shown on a terminal. */
        struct save_file f;
        struct save_header evil = mine();
        uint8_t *small = malloc(4096);

        memcpy(evil.cpu_model, "\033]0;x\a\033[6n\x9b", 12);
        save_begin(&f, small, 4096);
        assert_true(save_end(&f, &evil) != 0);
        h = mine();
        assert_false(save_open(&f, small, 4096, &h, &evil));
        assert_non_null(strstr(f.error, "'?]0;x??[6n?', this VM has 'model'"));
        free(small);
    }
    h = mine();
    h.tsc_khz = 2000000;
    expect_refused(h, "frequency");
}

static void test_other_device(void **state)
{
    struct save_file f;
    struct save_header h, expected = mine();
    struct device d;

    (void)state;
    assert_true(save_open(&f, file, file_bytes, &expected, &h));
    assert_int_equal(h.host_tsc, 77);
    assert_int_equal(h.guest_ns, 88);
    assert_false(save_load_state(&f, &other_layout, &d, 1));
    assert_non_null(strstr(f.error, "version"));
    assert_true(save_open(&f, file, file_bytes, &expected, &h));
    assert_false(save_load_state(&f, &other_version, &d, 1));
    assert_true(save_open(&f, file, file_bytes, &expected, &h));
    assert_false(save_load_state(&f, &device_state, &d, 2));
    assert_string_equal(f.where, "device");
    /* A device that refuses what it is given. */
    assert_true(save_open(&f, file, file_bytes, &expected, &h));
    {
        struct device strange = {.a = 100};
        struct save_file w;
        uint8_t *small = malloc(4096);

        save_begin(&w, small, 4096);
        save_state(&w, &device_state, &strange, 1);
        assert_true(save_end(&w, &expected) != 0);
        assert_true(save_open(&f, small, 4096, &expected, &h));
        assert_false(save_load_state(&f, &device_state, &d, 1));
        assert_non_null(strstr(f.error, "state"));
        free(small);
    }
}

/* A room that is too small by any number of bytes: never written beyond, never half a file. */
static void test_no_room(void **state)
{
    struct device d = {.a = 1};
    struct save_header h = mine();

    (void)state;
    for (uint64_t n = 0; n < file_bytes; n += n < 300u ? 1u : 4001u) {
        uint8_t *small = malloc(n ? n : 1u);
        struct save_file f;

        save_begin(&f, small, n);
        save_state(&f, &device_state, &d, 1);
        save_memory(&f, "ram", memory, PAGES * 4096u, NULL);
        assert_int_equal(save_end(&f, &h), 0);
        free(small);
    }
}

/* RFC 3720, B.4, and the two ways of computing it against each other. */
static void test_crc(void **state)
{
    uint8_t bytes[300];
    uint32_t pieces = 0;

    (void)state;
    memset(bytes, 0, sizeof(bytes));
    assert_true(crc32c(0, bytes, 32) == 0x8a9136aau);
    memset(bytes, 0xff, 32);
    assert_true(crc32c(0, bytes, 32) == 0x62a8ab43u);
    for (unsigned i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)(i * 7u);
    for (unsigned i = 0; i < sizeof(bytes); i++) pieces = crc32c(pieces, bytes + i, 1);
    assert_true(crc32c(0, bytes, sizeof(bytes)) == pieces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc),      cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damaged),  cmocka_unit_test(test_runs),
        cmocka_unit_test(test_other_vm), cmocka_unit_test(test_other_device),
        cmocka_unit_test(test_no_room),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
