// sources: vmm/monitor/dev/virtio.c vmm/monitor/dev/virtio_pci.c vmm/monitor/dev/virtqueue.c
// sources: vmm/monitor/dev/guest_mem.c vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c
// sources: vmm/monitor/dev/bus.c vmm/monitor/dev/virtio_balloon.c
/* virtio memory balloon from virtio 1.2, 5.5. */
#include "dev_fixture.h"
#include "virtio_fixture.h"
#include "vmm/monitor/dev/virtio_balloon.h"

static struct virtio_balloon balloon;
static unsigned discards;
static uint64_t discarded[64];

static void discard(void *ctx, uint64_t gpa)
{
    assert_ptr_equal(ctx, &balloon);
    assert_true(gpa % 4096 == 0 && gpa < RAM_BYTES);
    discarded[discards++ % 64] = gpa;
}

static void setup(uint64_t features)
{
    vf_begin();
    discards = 0;
    assert_true(virtio_balloon_init(&balloon, &bus0, &vf_host, PCI_DEVFN(4, 0), discard, &balloon));
    vf_attach();
    vf_up(F_V1 | features, 3);
}

static void page(unsigned i, uint32_t number) { memcpy(ram + DATA_GPA + 4 * i, &number, 4); }

static void test_pages(void **state)
{
    (void)state;
    setup(0);
    assert_int_equal(cf_read(2, 2), 0x1045);
    assert_int_equal(offered() & 0xff, 3);
    assert_int_equal(mr(device, 4), 0);
    virtio_balloon_ask(&balloon, 77);
    assert_int_equal(mr(device, 4), 77);
    assert_int_equal(mr(isr, 1), 2);
    page(0, 3);
    page(1, RAM_BYTES >> 12); /* no RAM */
    page(2, UINT32_MAX);
    page(3, 0xff);
    assert_int_equal(vf_exchange(0, DATA_GPA, 16, 0, 0), 0);
    assert_int_equal(discards, 2);
    assert_int_equal(discarded[0], 0x3000);
    assert_int_equal(discarded[1], 0xff000);
    mw(device + 4, 4, 2);
    mw(device, 4, 5); /* not the driver's to write */
    assert_int_equal(mr(device, 8), 77 | (uint64_t)2 << 32);
    assert_int_equal(vf_exchange(1, DATA_GPA, 16, 0, 0), 0); /* deflate */
    assert_int_equal(discards, 2);
    assert_int_equal(vf_exchange(0, DATA_GPA, 3, 0, 0), 0); /* no whole number */
    assert_int_equal(discards, 2);
    assert_int_equal(vf_exchange(0, 0, 65540, 0, 0), -1); /* more than one access is to do */
    assert_int_equal(status(), 0x4f);
    vf_up(F_V1, 3);
    assert_int_equal(mr(device, 8), 77);
}

static void stat(unsigned i, unsigned tag, uint64_t value)
{
    put16(DATA_GPA + 10 * i, tag);
    memcpy(ram + DATA_GPA + 10 * i + 2, &value, 8);
}

/* 5.5.6.3: the device keeps the buffer until it wants to be told again. */
static void test_stats(void **state)
{
    (void)state;
    setup(2);
    assert_true(balloon.stats[4] == UINT64_MAX);
    virtio_balloon_ask_stats(&balloon); /* there is none yet */
    stat(0, 4, 1000);
    stat(1, 99, 5);
    stat(2, 5, 2000);
    assert_int_equal(vf_exchange(2, DATA_GPA, 30, 0, 0), -1);
    assert_true(balloon.stats[4] == 1000 && balloon.stats[5] == 2000);
    virtio_balloon_ask_stats(&balloon);
    assert_int_equal(used_idx(2), 1);
    assert_int_equal(mr(isr, 1), 1);
    virtio_balloon_ask_stats(&balloon);
    assert_int_equal(used_idx(2), 1);
    stat(0, 4, 1001);
    vf_offer(2, QSIZE, 0);
    vf_kick(2);
    assert_true(balloon.stats[4] == 1001);
    setup(0); /* not negotiated */
    virtio_balloon_ask_stats(&balloon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pages), cmocka_unit_test(test_stats)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
