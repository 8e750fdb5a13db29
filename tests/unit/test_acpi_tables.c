// sources: vmm/monitor/dev/acpi_tables.c vmm/monitor/dev/acpi_dsdt.c vmm/monitor/dev/aml.c
// sources: vmm/monitor/dev/ich9.c vmm/monitor/dev/acpi_pm.c vmm/monitor/dev/pci.c
// sources: vmm/monitor/dev/pci_msi.c vmm/monitor/dev/bus.c
/* ACPI tables: found the way an operating system finds them, checksums, contents; the AML and the
 * tables go through iasl, which must neither complain nor read them differently. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/monitor/dev/acpi_pm.h"
#include "vmm/monitor/dev/acpi_tables.h"

#define BASE 0xe0000u

static uint8_t buf[ACPI_TABLES_MAX_BYTES];

static size_t build(void *to, size_t size, uint64_t base, unsigned cpus)
{
    const struct acpi_config config = {.ncpus = cpus,
                                       .vga = cpus > 1,
                                       .watchdog = cpus > 2,
                                       .window_base = 0x180000000ull,
                                       .window_end = 1ull << 40};

    return acpi_tables_build(to, size, base, &config);
}

static uint64_t le(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)p[i] << (i * 8u);
    return value;
}

static bool sum_is_zero(const uint8_t *p, size_t bytes)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < bytes; i++) sum = (uint8_t)(sum + p[i]);
    return sum == 0;
}

/* The table at a guest address: inside the buffer, signature and checksum right. */
static const uint8_t *table(uint64_t address, const char *signature, size_t used)
{
    const uint8_t *p = buf + (address - BASE);

    assert_true(address >= BASE && address + 36 <= BASE + used);
    assert_memory_equal(p, signature, 4);
    assert_true(address + le(p + 4, 4) <= BASE + used);
    if (memcmp(signature, "FACS", 4) != 0) assert_true(sum_is_zero(p, le(p + 4, 4)));
    return p;
}

static const uint8_t *find(const char *signature, size_t used)
{
    const uint8_t *xsdt = table(le(buf + 24, 8), "XSDT", used);
    const uint8_t *rsdt = table(le(buf + 16, 4), "RSDT", used);
    size_t n = (le(xsdt + 4, 4) - 36) / 8;

    assert_int_equal(n, (le(rsdt + 4, 4) - 36) / 4);
    for (size_t i = 0; i < n; i++) {
        uint64_t address = le(xsdt + 36 + i * 8, 8);

        assert_true(address == le(rsdt + 36 + i * 4, 4));
        if (memcmp(buf + (address - BASE), signature, 4) == 0)
            return table(address, signature, used);
    }
    fail_msg("no %s", signature);
    return NULL;
}

static void test_structure(void **state)
{
    (void)state;
    for (unsigned cpus = 1; cpus <= ACPI_TABLES_MAX_CPUS; cpus++) {
        size_t used = build(buf, sizeof(buf), BASE, cpus);
        const uint8_t *fadt, *madt, *mcfg;
        unsigned lapics = 0;

        assert_in_range(used, 500, sizeof(buf));
        assert_memory_equal(buf, "RSD PTR ", 8);
        assert_true(sum_is_zero(buf, 20) && sum_is_zero(buf, 36));
        assert_int_equal(buf[15], 2);
        fadt = find("FACP", used);
        assert_int_equal(le(fadt + 4, 4), 276);
        table(le(fadt + 40, 4), "DSDT", used);
        assert_true(le(fadt + 40, 4) == le(fadt + 140, 8));
        assert_int_equal(le(fadt + 36, 4) % 64, 0);
        table(le(fadt + 36, 4), "FACS", used);
        assert_int_equal(le(fadt + 46, 2), 9);
        assert_int_equal(le(fadt + 48, 4), ACPI_SMI_PORT);
        assert_int_equal(le(fadt + 52, 2), ACPI_ENABLE_VALUE | ACPI_DISABLE_VALUE << 8);
        assert_int_equal(le(fadt + 109, 2) & 4, cpus > 1 ? 0 : 4); /* no VGA */
        assert_int_equal(le(fadt + 56, 4), ACPI_PM1_EVT);
        assert_int_equal(le(fadt + 152, 8), ACPI_PM1_EVT);
        assert_int_equal(le(fadt + 64, 4), ACPI_PM1_CNT);
        assert_int_equal(le(fadt + 76, 4), ACPI_PM_TIMER);
        assert_int_equal(le(fadt + 112, 4) & 0x100, 0x100); /* 32-bit PM timer */
        assert_int_equal(le(fadt + 120, 8), 0xcf9);
        mcfg = find("MCFG", used);
        assert_int_equal(le(mcfg + 4, 4), 60);
        assert_int_equal(le(mcfg + 44, 8), 0xb0000000);
        assert_int_equal(le(mcfg + 52, 4), 0xff000000); /* segment 0, buses 0 to 255 */
        madt = find("APIC", used);
        for (size_t at = 44; at < le(madt + 4, 4); at += madt[at + 1]) {
            assert_in_range(madt[at + 1], 6, 16);
            if (madt[at] == 0) assert_int_equal(madt[at + 3], lapics++);
        }
        assert_int_equal(lapics, cpus);
    }
}

static void test_limits(void **state)
{
    size_t used = build(buf, sizeof(buf), BASE, 4);

    (void)state;
    assert_int_equal(build(buf, sizeof(buf), BASE, 0), 0);
    assert_int_equal(build(buf, sizeof(buf), BASE, ACPI_TABLES_MAX_CPUS + 1), 0);
    assert_int_equal(build(buf, sizeof(buf), BASE + 16, 1), 0);
    assert_int_equal(build(buf, sizeof(buf), 0xffffffc0, 1), 0);
    assert_int_equal(build(buf, sizeof(buf), 1ull << 40, 1), 0);
    for (size_t size = 0; size < used; size++) {
        uint8_t *exact = malloc(size + 1u); /* the sanitizer watches the end */

        assert_int_equal(build(exact, size, BASE, 4), 0);
        free(exact);
    }
    assert_int_equal(build(buf, used, BASE, 4), used);
}

/* Nothing of what lay there before is left between the tables (XSA-464). */
static void test_nothing_left(void **state)
{
    static uint8_t other[ACPI_TABLES_MAX_BYTES];
    size_t used;

    (void)state;
    memset(buf, 0, sizeof(buf));
    memset(other, 0xff, sizeof(other));
    used = build(buf, sizeof(buf), BASE, 3);
    assert_int_equal(build(other, sizeof(other), BASE, 3), used);
    assert_memory_equal(buf, other, used);
}

static void save(const char *dir, const char *name, const uint8_t *p)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s.aml", dir, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, le(p + 4, 4), f), le(p + 4, 4));
    fclose(f);
}

/* Each table is disassembled, and the DSDT compiled again, with every warning counted. */
static void test_iasl(void **state)
{
    char dir[] = "/tmp/acpi-tables-XXXXXX";
    char command[1024];
    size_t used = build(buf, sizeof(buf), BASE, 3);
    const uint8_t *fadt = find("FACP", used);

    (void)state;
    assert_non_null(mkdtemp(dir));
    save(dir, "facp", fadt);
    save(dir, "apic", find("APIC", used));
    save(dir, "mcfg", find("MCFG", used));
    save(dir, "wdat", find("WDAT", used));
    save(dir, "xsdt", table(le(buf + 24, 8), "XSDT", used));
    save(dir, "rsdt", table(le(buf + 16, 4), "RSDT", used));
    save(dir, "facs", table(le(fadt + 36, 4), "FACS", used));
    save(dir, "dsdt", table(le(fadt + 40, 4), "DSDT", used));
    snprintf(command, sizeof(command),
             "cd %s && for t in facp apic mcfg wdat xsdt rsdt facs dsdt; do iasl -d $t.aml || exit "
             "1; done "
             ">log 2>&1; if grep -iE 'error|warning|invalid|incorrect|unknown' log *.dsl; then "
             "exit 1; fi; iasl -p again dsdt.dsl >again.log 2>&1; "
             "grep -q '0 Errors, 0 Warnings' again.log || { cat again.log; exit 1; }; "
             "grep -q 'PNP0501' dsdt.dsl && grep -q 'Name (.*_S5, Package' dsdt.dsl",
             dir);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_nothing_left),
        cmocka_unit_test(test_iasl),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
