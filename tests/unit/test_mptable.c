// sources: vmm/monitor/dev/mptable.c vmm/monitor/dev/ich9.c vmm/monitor/dev/acpi_pm.c
// sources: vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c vmm/monitor/dev/bus.c
/* MP table: entry by entry (MultiProcessor Specification 1.4, chapter 4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/monitor/dev/ich9.h"
#include "vmm/monitor/dev/mptable.h"

#define GPA 0xfa000u

static uint8_t buf[MPTABLE_MAX_BYTES + 1u];

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint8_t sum(const uint8_t *p, size_t bytes)
{
    uint8_t s = 0;

    while (bytes--) s = (uint8_t)(s + *p++);
    return s;
}

static void table(void **state)
{
    static const uint8_t bytes_of[5] = {20, 8, 8, 8, 8};

    (void)state;
    for (unsigned cpus = 1; cpus <= 16; cpus++) {
        const uint8_t *t = buf + 16, *e;
        unsigned count[5] = {0}, isa = 0, pci = 0, last = 0;
        size_t bytes;

        memset(buf, 0xee, sizeof(buf));
        bytes = mptable_build(buf, GPA, cpus, 0x806c1, 0x1fabfbff);
        assert_true(bytes != 0 && bytes <= MPTABLE_MAX_BYTES);
        assert_int_equal(buf[MPTABLE_MAX_BYTES], 0xee);
        assert_memory_equal(buf, "_MP_", 4);
        assert_int_equal(le32(buf + 4), GPA + 16);
        assert_int_equal(buf[8], 1);
        assert_int_equal(buf[9], 4);
        assert_int_equal(sum(buf, 16), 0);
        assert_memory_equal(t, "PCMP", 4);
        assert_int_equal(t[4] | t[5] << 8, bytes - 16);
        assert_int_equal(t[6], 4);
        assert_int_equal(sum(t, bytes - 16), 0);
        assert_int_equal(le32(t + 36), 0xfee00000);
        for (e = t + 44; e < buf + bytes; e += bytes_of[e[0]]) {
            assert_true(e[0] <= 4 && e[0] >= last); /* in the order of types */
            last = e[0];
            count[e[0]]++;
            if (e[0] == 0) {
                assert_int_equal(e[1], count[0] - 1);
                assert_int_equal(e[3], count[0] == 1 ? 3 : 1);
                assert_int_equal(le32(e + 4), 0x6c1);
            } else if (e[0] == 3 && e[4] == 1) {
                assert_int_equal(e[1], 0);
                assert_int_equal(e[7], e[5] == 0 ? 2 : e[5]);
                assert_int_equal(e[2], e[5] == 9 ? 0xd : 0);
                isa |= 1u << e[5];
            } else if (e[0] == 3) {
                assert_int_equal(e[4], 0);
                assert_int_equal(e[7], 16 + ich9_pirq_default(e[5] >> 2, e[5] & 3u));
                pci++;
            }
        }
        assert_ptr_equal(e, buf + bytes);
        assert_int_equal(count[0], cpus);
        assert_int_equal(count[1], 2);
        assert_int_equal(count[2], 1);
        assert_int_equal(count[4], 2);
        assert_int_equal(isa, 0xfffb);
        assert_int_equal(pci, 128);
        assert_int_equal(t[34] | t[35] << 8, count[0] + count[1] + count[2] + count[3] + count[4]);
    }
    assert_int_equal(mptable_build(buf, GPA, 0, 0, 0), 0);
    assert_int_equal(mptable_build(buf, GPA, 17, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
