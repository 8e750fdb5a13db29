// sources: vmm/monitor/dev/virtio.c vmm/monitor/dev/virtio_pci.c vmm/monitor/dev/virtqueue.c
// sources: vmm/monitor/dev/guest_mem.c vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c
// sources: vmm/monitor/dev/bus.c vmm/monitor/dev/virtio_console.c
/* virtio console from virtio 1.2, 5.3: output that is taken in parts, input, emergency write. */
#include "dev_fixture.h"
#include "virtio_fixture.h"
#include "vmm/monitor/dev/virtio_console.h"

static struct virtio_console con;
static char said[256];
static unsigned said_bytes, room;

static unsigned output(void *ctx, const uint8_t *bytes, unsigned count)
{
    unsigned n = count < room ? count : room;

    assert_ptr_equal(ctx, &con);
    memcpy(said + said_bytes, bytes, n);
    said_bytes += n;
    said[said_bytes] = '\0';
    room -= n;
    return n;
}

static void setup(void)
{
    vf_begin();
    said_bytes = 0;
    room = 200;
    assert_true(virtio_console_init(&con, &bus0, &vf_host, PCI_DEVFN(4, 0), output, &con));
    vf_attach();
    vf_up(F_V1, 2);
}

static void test_output(void **state)
{
    (void)state;
    setup();
    assert_int_equal(cf_read(2, 2), 0x1043);
    assert_int_equal(offered() & 0xff, 4);
    memcpy(ram + DATA_GPA, "hello world", 11);
    assert_int_equal(vf_exchange(1, DATA_GPA, 11, 0, 0), 0);
    assert_string_equal(said, "hello world");
    /* no room: the rest follows, nothing twice */
    said_bytes = 0;
    room = 4;
    vf_desc(1, 0, DATA_GPA, 3, NEXT, 1);
    vf_desc(1, 1, DATA_GPA + 3, 8, 0, 0);
    vf_offer(1, QSIZE, 0);
    vf_kick(1);
    assert_string_equal(said, "hell");
    assert_int_equal(used_idx(1), 1);
    vf_kick(1);
    assert_string_equal(said, "hell");
    room = 5;
    now = con.virtio.deadline_ns; /* it looks by itself as well */
    virtio_tick(&con.virtio, now);
    assert_string_equal(said, "hello wor");
    room = 100;
    virtio_console_room(&con);
    assert_string_equal(said, "hello world");
    assert_int_equal(used_idx(1), 2);
    /* a driver that cuts the chain short meanwhile */
    room = 10;
    assert_int_equal(vf_exchange(1, DATA_GPA, 11, 0, 0), -1);
    vf_desc(1, 0, DATA_GPA, 2, 0, 0);
    said_bytes = 0;
    room = 100;
    virtio_console_room(&con);
    assert_int_equal(said_bytes, 0);
    assert_int_equal(used_idx(1), 3);
    /* reset in the middle */
    room = 1;
    assert_int_equal(vf_exchange(1, DATA_GPA, 11, 0, 0), -1);
    vf_up(F_V1, 2);
    room = 100;
    said_bytes = 0;
    assert_int_equal(vf_exchange(1, DATA_GPA, 5, 0, 0), 0);
    assert_string_equal(said, "hello");
}

static void test_input(void **state)
{
    (void)state;
    setup();
    assert_int_equal(virtio_console_input(&con, (const uint8_t *)"lost", 4), 0);
    vf_desc(0, 0, DATA_GPA, 3, WRITE, 0);
    vf_desc(0, 1, DATA_GPA + 0x100, 64, WRITE, 0);
    vf_offer(0, QSIZE, 0);
    vf_offer(0, QSIZE, 1);
    vf_kick(0);
    assert_int_equal(used_idx(0), 0);
    assert_int_equal(virtio_console_input(&con, (const uint8_t *)"typed", 5), 5);
    assert_int_equal(used_idx(0), 2);
    assert_int_equal(used_len(0, 0), 3);
    assert_int_equal(used_len(0, 1), 2);
    assert_memory_equal(ram + DATA_GPA, "typ", 4);
    assert_memory_equal(ram + DATA_GPA + 0x100, "ed", 3);
    assert_int_equal(mr(isr, 1), 1);
    vf_desc(0, 0, DATA_GPA, 3, 0, 0); /* not to be written */
    vf_offer(0, QSIZE, 0);
    assert_int_equal(virtio_console_input(&con, (const uint8_t *)"x", 1), 0);
    assert_int_equal(status(), 0x4f);
}

static void test_emergency(void **state)
{
    (void)state;
    setup();
    set_status(0); /* it works from the start (5.3.4) */
    mw(device + 8, 4, '!');
    assert_string_equal(said, "!");
    mw(device, 4, 7);
    assert_int_equal(said_bytes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_emergency),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
