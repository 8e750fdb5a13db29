// sources: vmm/monitor/dev/virtio.c vmm/monitor/dev/virtio_pci.c vmm/monitor/dev/virtqueue.c
// sources: vmm/monitor/dev/guest_mem.c vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c
// sources: vmm/monitor/dev/bus.c vmm/monitor/dev/virtio_rng.c
/* virtio entropy device from virtio 1.2, 5.4. */
#include "dev_fixture.h"
#include "virtio_fixture.h"
#include "vmm/monitor/dev/virtio_rng.h"

static struct virtio_rng rng;

static void fill(void *ctx, uint8_t *bytes, uint64_t count)
{
    assert_ptr_equal(ctx, &rng);
    memset(bytes, 0x5a, count);
}

static void setup(void)
{
    vf_begin();
    assert_true(virtio_rng_init(&rng, &bus0, &vf_host, PCI_DEVFN(4, 0), fill, &rng));
    vf_attach();
    vf_up(F_V1 | F_INDIRECT, 1);
}

static void test_fill(void **state)
{
    (void)state;
    setup();
    assert_int_equal(cf_read(2, 2), 0x1044);
    assert_int_equal(device, 0); /* no configuration space */
    assert_int_equal(vf_exchange(0, 0, 0, DATA_GPA, 64), 64);
    assert_int_equal(ram[DATA_GPA + 63], 0x5a);
    assert_int_equal(ram[DATA_GPA + 64], 0);
    assert_int_equal(vf_exchange(0, DATA_GPA, 10, DATA_GPA + 0x100, 8),
                     8); /* what it is told is of no use */
    assert_int_equal(vf_exchange(0, DATA_GPA, 10, 0, 0), 0);
    assert_int_equal(vf_exchange(0, 0, 0, DATA_GPA, 0x10000), 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fill)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
