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

static bool keeps;
static unsigned takes, settles, resets, tells;
static uint64_t missing; /* a page that is not there yet; 0: all are */

static void discard(void *ctx, uint64_t gpa, bool kept)
{
    assert_ptr_equal(ctx, &balloon);
    assert_int_equal(kept, keeps);
    assert_true(gpa % 4096 == 0 && gpa < RAM_BYTES);
    discarded[discards++ % 64] = gpa;
}

static bool take(void *ctx, uint64_t gpa)
{
    assert_ptr_equal(ctx, &balloon);
    assert_int_equal(gpa % 4096, 0);
    takes++;
    return missing == 0 || gpa != missing;
}
static void settle(void *ctx) { settles++; }
static void reset(void *ctx) { resets++; }
static void told(void *ctx) { tells++; }

static const struct balloon_pages pages = {discard, take, settle, reset, told};
static const struct balloon_pages simple = {.discard = discard};
static const struct balloon_pages *calls = &pages;

static void setup(uint64_t features)
{
    keeps = features & 1u;
    missing = takes = settles = resets = tells = 0;
    vf_begin();
    discards = 0;
    assert_true(virtio_balloon_init(&balloon, &bus0, &vf_host, PCI_DEVFN(4, 0), calls, &balloon));
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

/* A page that is not there holds its chain, until it is; what is told meanwhile is of no account.
 */
static void test_held(void **state)
{
    (void)state;
    setup(1);
    page(0, 3);
    page(1, 4);
    page(2, UINT32_MAX);
    missing = 0x4000;
    assert_int_equal(vf_exchange(1, DATA_GPA, 12, 0, 0), -1);
    assert_int_equal(takes, 3);
    assert_int_equal(settles, 1);
    assert_int_equal(used_idx(1), 0);
    virtio_balloon_come(&balloon); /* something else has come */
    assert_int_equal(used_idx(1), 0);
    missing = 0;
    virtio_balloon_come(&balloon);
    assert_int_equal(used_idx(1), 1);
    virtio_balloon_come(&balloon);
    assert_int_equal(takes, 9);
    assert_int_equal(used_idx(1), 1);
    missing = 0x4000;
    vf_offer(1, QSIZE, 0);
    vf_kick(1);
    resets = 0;
    set_status(0); /* the chain is forgotten, and who has the pages is told */
    assert_int_equal(resets, 1);
    missing = 0;
    virtio_balloon_come(&balloon);
    vf_up(F_V1 | 1, 3);
    assert_int_equal(used_idx(1), 0);
    assert_int_equal(vf_exchange(1, 0, 65540, 0, 0), -1); /* more than one access is to do */
    assert_int_equal(status(), 0x4f);
}

/* Pages are there whenever they are touched. */
static void test_simple(void **state)
{
    (void)state;
    calls = &simple;
    setup(0);
    assert_int_equal(vf_exchange(0, DATA_GPA, 8, 0, 0), 0);
    assert_int_equal(discards, 2);
    assert_int_equal(vf_exchange(1, DATA_GPA, 8, 0, 0), 0);
    assert_int_equal(takes + settles + resets, 0);
    calls = &pages;
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
    assert_int_equal(tells, 2);
    setup(0); /* not negotiated */
    virtio_balloon_ask_stats(&balloon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pages), cmocka_unit_test(test_held),
                                       cmocka_unit_test(test_simple), cmocka_unit_test(test_stats)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
