// sources: vmm/monitor/dev/smbios.c
/* SMBIOS tables: structure by structure (DSP0134 2.8), checksums, and dmidecode's opinion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/monitor/dev/smbios.h"

static uint8_t tables[SMBIOS_MAX_BYTES], entry[SMBIOS_ENTRY_BYTES];
static const uint8_t *structure[256]; /* the first of each type */
static unsigned count[256], all;
static size_t longest;

static struct smbios_info info_make(unsigned cpus, uint64_t ram, uint64_t low)
{
    struct smbios_info info = {.name = "work",
                               .version = "1",
                               .cpus = cpus,
                               .cpu_signature = 0x806c1,
                               .cpu_features = 0x1fabfbff,
                               .mhz = 2000,
                               .firmware_table = true,
                               .ram_bytes = ram,
                               .ram_low_bytes = low};

    smbios_uuid(info.name, info.uuid);
    return info;
}

static size_t build(const struct smbios_info *info)
{
    static uint16_t handles[64];
    size_t bytes, at = 0;

    memset(tables, 0xee, sizeof(tables));
    memset(structure, 0, sizeof(structure));
    memset(count, 0, sizeof(count));
    all = 0;
    longest = 0;
    bytes = smbios_build(info, tables);
    assert_true(bytes != 0);
    while (at < bytes) {
        const uint8_t *s = tables + at;
        size_t first = at;

        assert_true(at + 4 <= bytes && s[1] >= 4 && at + s[1] + 2 <= bytes);
        if (count[s[0]]++ == 0) structure[s[0]] = s;
        handles[all] = (uint16_t)(s[2] | s[3] << 8);
        for (unsigned i = 0; i < all; i++) assert_int_not_equal(handles[i], handles[all]);
        all++;
        for (at += s[1]; tables[at] || tables[at + 1]; at++) assert_true(at + 2 < bytes);
        at += 2;
        if (at - first > longest) longest = at - first;
        if (s[0] == 127) break;
    }
    assert_int_equal(at, bytes);
    return bytes;
}

static uint64_t field(unsigned type, unsigned at, unsigned bytes)
{
    uint64_t value = 0;

    assert_non_null(structure[type]);
    assert_true(at + bytes <= structure[type][1]);
    for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)structure[type][at + i] << i * 8;
    return value;
}

static const char *string(unsigned type, unsigned at)
{
    const char *s = (const char *)structure[type] + structure[type][1];

    assert_int_not_equal(structure[type][at], 0);
    for (unsigned n = structure[type][at]; n > 1; n--) s += strlen(s) + 1;
    return s;
}

static void test_structures(void **state)
{
    struct smbios_info info = info_make(4, 256u << 20, 256u << 20);

    (void)state;
    (void)build(&info);
    assert_int_equal(count[0], 1);
    assert_int_equal(count[1], 1);
    assert_string_equal(string(1, 7), "work");
    assert_int_equal(field(1, 8, 1), info.uuid[3]);
    assert_int_equal(field(1, 8 + 6, 1), info.uuid[7]);
    assert_int_equal(field(1, 8 + 15, 1), info.uuid[15]);
    assert_int_equal(count[4], 4);
    assert_int_equal(field(4, 8, 4), 0x806c1);
    assert_int_equal(field(4, 0x14, 2), 2000);
    assert_string_equal(string(4, 4), "CPU 00");
    assert_int_equal(field(16, 7, 4), 256 * 1024);
    assert_int_equal(field(17, 0x0c, 2), 256);
    assert_int_equal(field(17, 4, 2), field(16, 2, 2));
    assert_int_equal(count[19], 1);
    assert_int_equal(field(19, 4, 4), 0);
    assert_int_equal(field(19, 8, 4), 256 * 1024 - 1);
    assert_int_equal(count[32], 1);
    assert_int_equal(count[127], 1);
    info.firmware_table = false;
    info.name = "";
    (void)build(&info);
    assert_int_equal(count[0], 0);
    assert_int_equal(field(1, 7, 1), 0);
}

static void test_large(void **state)
{
    struct smbios_info info = info_make(1, 5ull << 30, 3ull << 30);

    (void)state;
    (void)build(&info);
    assert_int_equal(count[19], 2);
    assert_int_equal(field(17, 0x0c, 2), 5120);
    info = info_make(16, 4ull << 40, 3ull << 30);
    (void)build(&info);
    assert_int_equal(count[4], 16);
    assert_int_equal(field(16, 7, 4), 0x80000000u);
    assert_true(field(16, 0x0f, 8) == 4ull << 40);
    assert_int_equal(field(17, 0x0c, 2), 0x7fff);
    assert_int_equal(field(17, 0x1c, 4), 4u << 20);
    info = info_make(100, 1u << 30, 1u << 30);
    assert_int_equal(smbios_build(&info, tables), 0);
}

static void test_entry(void **state)
{
    struct smbios_info info = info_make(8, 1u << 30, 1u << 30);
    size_t bytes = build(&info);
    uint8_t sum = 0;

    (void)state;
    smbios_entry(tables, bytes, 0xf4020, entry);
    for (unsigned i = 0; i < 31; i++) sum = (uint8_t)(sum + entry[i]);
    assert_int_equal(sum, 0);
    for (unsigned i = 16; i < 31; i++) sum = (uint8_t)(sum + entry[i]);
    assert_int_equal(sum, 0);
    assert_memory_equal(entry, "_SM_", 4);
    assert_int_equal(entry[8] | entry[9] << 8, longest);
    assert_int_equal(entry[0x16] | entry[0x17] << 8, bytes);
    assert_int_equal(entry[0x1c] | entry[0x1d] << 8, all);
    assert_memory_equal(entry + 0x18, "\x20\x40\x0f\0", 4);
}

static void test_uuid(void **state)
{
    uint8_t a[16], b[16];

    (void)state;
    smbios_uuid("work", a);
    smbios_uuid("work", b);
    assert_memory_equal(a, b, 16);
    smbios_uuid("worl", b);
    assert_memory_not_equal(a, b, 16);
    assert_int_equal(a[6] >> 4, 4);
    assert_int_equal(a[8] >> 6, 2);
}

/* dmidecode's dump format: entry point at 0, which says that the tables are at 32. */
static void test_dmidecode(void **state)
{
    struct smbios_info info = info_make(2, 5ull << 30, 3ull << 30);
    size_t bytes = build(&info);
    char name[] = "/tmp/test_smbios.XXXXXX", command[128], line[256];
    int fd = mkstemp(name);
    bool named = false;
    FILE *f;

    (void)state;
    assert_true(fd >= 0);
    smbios_entry(tables, bytes, 32, entry);
    assert_int_equal(write(fd, entry, 31), 31);
    assert_int_equal(write(fd, "", 1), 1);
    assert_int_equal(write(fd, tables, bytes), (ssize_t)bytes);
    close(fd);
    snprintf(command, sizeof(command), "PATH=$PATH:/usr/sbin dmidecode --from-dump %s 2>&1", name);
    f = popen(command, "r");
    while (fgets(line, sizeof(line), f)) {
        if (strstr(line, "OUT OF SPEC") || strstr(line, "<BAD") || strstr(line, "roken") ||
            strstr(line, "nvalid") || strstr(line, "not found"))
            fail_msg("dmidecode: %s", line);
        named = named || strstr(line, "Serial Number: work") != NULL;
    }
    assert_int_equal(pclose(f), 0);
    assert_true(named);
    unlink(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structures), cmocka_unit_test(test_large),
        cmocka_unit_test(test_entry),      cmocka_unit_test(test_uuid),
        cmocka_unit_test(test_dmidecode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
