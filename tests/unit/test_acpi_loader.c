// sources: vmm/monitor/dev/acpi_loader.c vmm/monitor/dev/acpi_tables.c vmm/monitor/dev/aml.c
// sources: vmm/monitor/dev/acpi_dsdt.c vmm/monitor/dev/ich9.c vmm/monitor/dev/acpi_pm.c
// sources: vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c vmm/monitor/dev/bus.c
/* The table loader's script: carried out here as firmware does, it gives the tables that are built
 * for that address; damaged tables are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/monitor/dev/acpi_loader.h"
#include "vmm/monitor/dev/acpi_tables.h"

#define BASE 0x7ffe0000u /* where this firmware puts the tables */

static uint8_t tables[ACPI_TABLES_MAX_BYTES], wanted[ACPI_TABLES_MAX_BYTES];
static struct acpi_loader l;

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint8_t *file(const uint8_t *name, size_t *bytes, size_t tables_bytes)
{
    assert_non_null(memchr(name, 0, 56));
    if (strcmp((const char *)name, ACPI_LOADER_RSDP_FILE) == 0) {
        *bytes = sizeof(l.rsdp);
        return l.rsdp;
    }
    assert_string_equal((const char *)name, ACPI_LOADER_TABLES_FILE);
    *bytes = tables_bytes;
    return tables;
}

static void run_script(size_t tables_bytes)
{
    assert_int_equal(l.script_bytes % 128u, 0);
    for (size_t at = 0; at < l.script_bytes; at += 128u) {
        const uint8_t *c = l.script + at;
        size_t bytes, length;
        uint8_t *f = file(c + 4, &bytes, tables_bytes), sum = 0;
        uint32_t where, start;

        switch (le32(c)) {
        case 1:
            assert_true(at < 256u);
            assert_int_equal(c[64], f == tables ? 1 : 2);
            assert_int_equal(le32(c + 60), f == tables ? 64 : 16);
            break;
        case 2:
            assert_string_equal((const char *)c + 60, ACPI_LOADER_TABLES_FILE);
            where = le32(c + 116);
            assert_true(c[120] == 4 || c[120] == 8);
            assert_true(where + c[120] <= bytes);
            start = le32(f + where) + BASE;
            memcpy(f + where, &start, 4);
            break;
        case 3:
            where = le32(c + 60);
            start = le32(c + 64);
            length = le32(c + 68);
            assert_true(where < bytes && start <= bytes && length <= bytes - start);
            assert_int_equal(f[where], 0);
            for (size_t i = 0; i < length; i++) sum = (uint8_t)(sum + f[start + i]);
            f[where] = (uint8_t)(0u - sum);
            break;
        default: fail();
        }
    }
}

static void gives_the_same_tables(void **state)
{
    (void)state;
    for (unsigned cpus = 1; cpus <= 16; cpus *= 2) {
        const struct acpi_config config = {
            .ncpus = cpus, .vga = true, .window_base = 1ull << 32, .window_end = 1ull << 40};
        size_t bytes = acpi_tables_build(tables, sizeof(tables), 0, &config);

        assert_int_equal(acpi_tables_build(wanted, sizeof(wanted), BASE, &config), bytes);
        assert_true(acpi_loader_build(&l, tables, bytes));
        run_script(bytes);
        assert_memory_equal(l.rsdp, wanted, sizeof(l.rsdp));
        memset(wanted, 0, sizeof(l.rsdp)); /* there the file has nothing */
        assert_memory_equal(tables, wanted, bytes);
    }
}

static void refuses_damage(void **state)
{
    const struct acpi_config config = {.ncpus = 2};
    size_t bytes = acpi_tables_build(wanted, sizeof(wanted), 0, &config);

    (void)state;
    assert_false(acpi_loader_build(&l, wanted, 35));
    for (size_t cut = 36; cut < bytes; cut += 4) { /* the last table is the XSDT */
        uint8_t *copy = malloc(cut);

        memcpy(copy, wanted, cut);
        assert_false(acpi_loader_build(&l, copy, cut));
        free(copy);
    }
    for (size_t at = 0; at < bytes; at++) { /* any byte: refused or not, within the buffer */
        uint8_t *copy = malloc(bytes);

        memcpy(copy, wanted, bytes);
        copy[at] ^= 0xff;
        (void)acpi_loader_build(&l, copy, bytes);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_same_tables),
        cmocka_unit_test(refuses_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
