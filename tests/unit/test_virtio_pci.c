// sources: vmm/monitor/dev/virtio.c vmm/monitor/dev/virtio_pci.c vmm/monitor/dev/virtqueue.c
// sources: vmm/monitor/dev/guest_mem.c vmm/monitor/dev/pci.c vmm/monitor/dev/pci_msi.c
// sources: vmm/monitor/dev/bus.c
/* The virtio PCI transport from virtio 1.2: capabilities (4.1.4), negotiation (3.1), queues, reset
 * at any moment, interrupts, the window in configuration space, rules broken by drivers. */
#include "dev_fixture.h"
#include "virtio_fixture.h"

#define FEATURE ((uint64_t)1 << 3)

static struct virtio v;
static uint8_t config[12];
static unsigned kicks, resets, config_writes;
static uint64_t config_value;
static uint32_t answer;

static uint32_t handle(void *dev, struct virtq_chain *c)
{
    assert_ptr_equal(dev, &v);
    if (answer == VIRTIO_BUSY) return VIRTIO_BUSY;
    return (uint32_t)virtq_copy_in(&c->in, "answer", 6);
}

static void kick(void *dev, unsigned queue)
{
    assert_ptr_equal(dev, &v);
    kicks++;
    virtio_serve(&v, queue, handle);
}

static void dev_reset(void *dev)
{
    assert_ptr_equal(dev, &v);
    resets++;
}

static void config_write(void *dev, unsigned offset, unsigned size_bytes, uint64_t value)
{
    assert_ptr_equal(dev, &v);
    assert_true(offset + size_bytes <= sizeof(config));
    config_writes++;
    config_value = value;
}

static const struct virtio_kind kind = {
    .name = "test",
    .type = 30,
    .class_code = 0x00ff00,
    .queues = 2,
    .queue_size = 64,
    .config_size = sizeof(config),
    .kick = kick,
    .reset = dev_reset,
    .config_write = config_write,
};

static void setup(void)
{
    vf_begin();
    kicks = resets = config_writes = answer = 0;
    for (unsigned i = 0; i < sizeof(config); i++) config[i] = (uint8_t)(0x10 + i);
    assert_true(virtio_init(&v, &bus0, &vf_host, PCI_DEVFN(4, 0), &kind, FEATURE, config, &v));
    vf_attach();
    resets = 0;
}

static void msix_on(void)
{
    unsigned at = cf_read(0x34, 1);
    uint64_t table;

    while (cf_read(at, 1) != 0x11) at = cf_read(at + 1u, 1);
    table = bar_base(cf_read(at + 4u, 4) & 7u);
    for (unsigned i = 0; i < 3; i++) {
        mw(table + 16u * i, 4, 0xfee00000u);
        mw(table + 16u * i + 8u, 4, 0x40u + i);
        mw(table + 16u * i + 12u, 4, 0);
    }
    cf_write(at + 2u, 2, 0x8000);
}

static void test_identity(void **state)
{
    unsigned cap = 0;

    (void)state;
    setup();
    assert_int_equal(cf_read(0, 4), 0x105e1af4); /* 4.1.2: 0x1040 + type */
    assert_int_equal(cf_read(8, 4), 0x00ff0001); /* revision 1: no legacy interface */
    assert_int_equal(cf_read(0x2c, 4) & 0xffff, 0x1af4);
    assert_true(cf_read(0x2e, 2) >= 0x40);
    assert_true(cf_read(0x10, 4) & 1); /* notifications are ports */
    (void)vf_find(2, &cap);
    assert_int_equal(cf_read(cap + 4u, 1), 0);
    assert_int_equal(cf_read(cap + 12u, 4), 2 * notify_step);
    (void)vf_find(3, &cap);
    assert_int_equal(cf_read(cap + 12u, 4), 1);
    (void)vf_find(4, &cap);
    assert_int_equal(cf_read(cap + 12u, 4), sizeof(config));
    (void)vf_find(1, &cap);
    assert_true(cf_read(cap + 12u, 4) >= 56);
    assert_true(cf_read(cap + 8u, 4) % 4 == 0);
    (void)vf_find(5, &cap);
    assert_true(cap != 0);
}

static void test_registers(void **state)
{
    (void)state;
    setup();
    assert_int_equal(offered(), FEATURE | F_INDIRECT | F_EVENT | F_V1 | F_RESET);
    mw(common, 4, 2);
    assert_int_equal(mr(common, 4), 2);
    assert_int_equal(mr(common + 4, 4), 0);
    assert_int_equal(mr(common + 0x12, 2), 2);
    assert_int_equal(mr(common + 0x10, 2), 0xffff);
    for (unsigned q = 0; q < 3; q++) {
        mw(common + 0x16, 2, q);
        assert_int_equal(mr(common + 0x16, 2), q);
        assert_int_equal(mr(common + 0x18, 2), q < 2 ? 64 : 0);
        assert_int_equal(mr(common + 0x1a, 2), 0xffff);
        assert_int_equal(mr(common + 0x1e, 2), q < 2 ? q : 0);
    }
    mw(common + 0x18, 2, 8); /* of no queue */
    mw(common + 0x16, 2, 1);
    mw(common + 0x18, 2, 3);
    mw(common + 0x18, 2, 128);
    mw(common + 0x18, 2, 0);
    mw(common + 0x18, 4, 8); /* not its width */
    assert_int_equal(mr(common + 0x18, 2), 64);
    mw(common + 0x18, 2, 16);
    assert_int_equal(mr(common + 0x18, 2), 16);
    mw(common + 0x1a, 2, 2);
    assert_int_equal(mr(common + 0x1a, 2), 2);
    mw(common + 0x1a, 2, 3); /* there are three vectors: 4.1.5.1.2 */
    assert_int_equal(mr(common + 0x1a, 2), 0xffff);
    mw(common + 0x10, 2, 0);
    assert_int_equal(mr(common + 0x10, 2), 0);
    mw(common + 0x20, 4, 0x89abcdef);
    mw(common + 0x24, 4, 0x01234567);
    assert_int_equal(mr(common + 0x20, 8), 0x0123456789abcdef);
    assert_int_equal(mr(common + 0x24, 4), 0x01234567);
    assert_int_equal(mr(common + 0x27, 1), 0x01);
    assert_int_equal(mr(device + 4, 4), 0x17161514);
    assert_int_equal(mr(device + 11, 1), 0x1b);
    assert_int_equal(mr(device + 11, 2), 0);
    mw(device + 8, 4, 77);
    assert_int_equal(config_value, 77);
    mw(device + 9, 4, 1); /* over its end */
    assert_int_equal(config_writes, 1);
    assert_int_equal(bus_read(&bus, BUS_PIO, notify, 2), 0);
}

/* 2.2, 3.1.1: what becomes FEATURES_OK, and that it then stands. */
static void test_negotiation(void **state)
{
    (void)state;
    setup();
    vf_features(F_V1 | F_EVENT);
    assert_int_equal(status(), 0xb);
    accept(F_V1); /* too late */
    mw(common + 8, 4, 0);
    assert_int_equal(mr(common + 12, 4), F_EVENT);
    vf_features(F_EVENT); /* no VERSION_1: a legacy driver */
    assert_int_equal(status(), 3);
    set_status(0xf);
    assert_int_equal(status(), 3);
    vf_features(F_V1 | (uint64_t)1 << 9); /* not offered */
    assert_int_equal(status(), 3);
    accept(F_V1);
    set_status(0xb);
    assert_int_equal(status(), 0xb);
    set_status(0x1); /* bits are not taken back but by a reset */
    assert_int_equal(status(), 0xb);
    set_status(0xff);
    assert_int_equal(status(), 0x8f); /* NEEDS_RESET is the device's */
    set_status(0);
    assert_int_equal(status(), 0);
    assert_true(resets >= 4);
    mw(common + 8, 4, 1);
    assert_int_equal(mr(common + 12, 4), 0);
}

static void test_work(void **state)
{
    (void)state;
    setup();
    vf_up(F_V1, 2);
    assert_int_equal(vf_exchange(1, 0, 0, DATA_GPA, 100), 6);
    assert_memory_equal(ram + DATA_GPA, "answer", 7);
    assert_int_equal(kicks, 1);
    assert_true(pin); /* no MSI-X: the pin, until the status is read */
    assert_int_equal(cf_read(6, 2) & 8, 8);
    assert_int_equal(mr(isr, 1), 1);
    assert_false(pin);
    assert_int_equal(mr(isr, 1), 0);
    put16(avail_gpa(1), 1); /* no interrupt wanted */
    assert_int_equal(vf_exchange(1, 0, 0, DATA_GPA, 100), 6);
    assert_false(pin);
    put16(avail_gpa(1), 0);
    virtio_config_changed(&v);
    assert_int_equal(mr(common + 0x15, 1), 1);
    assert_int_equal(mr(isr, 4), 2);
    /* MSI-X */
    msix_on();
    assert_int_equal(vf_exchange(1, 0, 0, DATA_GPA, 100), 6);
    assert_int_equal(messages, 0); /* no vector */
    mw(common + 0x16, 2, 1);
    mw(common + 0x1a, 2, 2);
    assert_int_equal(vf_exchange(1, 0, 0, DATA_GPA, 100), 6);
    assert_int_equal(messages, 1);
    assert_int_equal(message_data, 0x42);
    mw(common + 0x10, 2, 0);
    virtio_config_changed(&v);
    assert_int_equal(messages, 2);
    assert_int_equal(message_data, 0x40);
    assert_false(pin);
    assert_int_equal(mr(isr, 1), 0);
}

/* Nothing is touched before DRIVER_OK, without bus mastering, of queues that are not there. */
static void test_not_yet(void **state)
{
    (void)state;
    setup();
    vf_features(F_V1);
    vf_queue(0, QSIZE);
    assert_int_equal(vf_exchange(0, 0, 0, DATA_GPA, 10), -1);
    set_status(0xf);
    vf_kick(1); /* not enabled */
    for (unsigned i = 4; i < 8; i += 2) bus_write(&bus, BUS_PIO, notify + i, 2, 0);
    assert_int_equal(kicks, 0);
    cf_write(4, 2, 3);
    vf_kick(0);
    assert_int_equal(kicks, 0);
    cf_write(4, 2, 7);
    vf_kick(0);
    assert_int_equal(used_idx(0), 1);
    setup();
    set_status(3);
    mw(common + 0x1c, 2, 1); /* before FEATURES_OK */
    assert_int_equal(mr(common + 0x1c, 2), 0);
}

static void test_event_index(void **state)
{
    (void)state;
    setup();
    vf_up(F_V1 | F_EVENT, 2);
    for (unsigned i = 0; i < 3; i++) assert_int_equal(vf_exchange(0, 0, 0, DATA_GPA, 9), 6);
    assert_int_equal(get16(used_gpa(0) + 4 + 8 * QSIZE), 3); /* the next one is to be notified */
    assert_int_equal(mr(isr, 1), 1);
    assert_int_equal(get16(avail_gpa(0) + 4 + 2 * QSIZE), 0);
    assert_int_equal(vf_exchange(0, 0, 0, DATA_GPA, 9), 6); /* used_event 0 has passed */
    assert_int_equal(mr(isr, 1), 0);
    put16(avail_gpa(0) + 4 + 2 * QSIZE, 5);
    assert_int_equal(vf_exchange(0, 0, 0, DATA_GPA, 9), 6);
    assert_int_equal(mr(isr, 1), 0);
    assert_int_equal(vf_exchange(0, 0, 0, DATA_GPA, 9), 6);
    assert_int_equal(mr(isr, 1), 1);
    /* Several at once: one look, one interrupt. */
    put16(avail_gpa(0) + 4 + 2 * QSIZE, 7);
    for (unsigned i = 0; i < 4; i++) {
        vf_desc(0, i, DATA_GPA, 9, WRITE, 0);
        vf_offer(0, QSIZE, i);
    }
    kicks = 0;
    vf_kick(0);
    assert_int_equal(kicks, 1);
    assert_int_equal(used_idx(0), 10);
    assert_int_equal(mr(isr, 1), 1);
    assert_int_equal(get16(used_gpa(0) + 4 + 8 * QSIZE), 10);
}

/* One access does as many chains as the queue has entries; the rest follows by itself. */
static void test_later(void **state)
{
    (void)state;
    setup();
    vf_up(F_V1, 2);
    answer = VIRTIO_BUSY;
    assert_int_equal(vf_exchange(0, 0, 0, DATA_GPA, 9), -1);
    vf_kick(0);
    assert_int_equal(used_idx(0), 0);
    assert_int_equal(v.queue[0].avail_next, 0);
    assert_true(v.deadline_ns > now && v.deadline_ns != NO_DEADLINE_NS);
    answer = 0;
    for (unsigned i = 1; i < QSIZE; i++) {
        vf_desc(0, i, DATA_GPA, 9, WRITE, 0);
        vf_offer(0, QSIZE, i);
    }
    vf_kick(0); /* it comes by itself: notifications do not hurry it */
    assert_int_equal(used_idx(0), 0);
    now = v.deadline_ns;
    virtio_tick(&v, now);
    assert_int_equal(used_idx(0), QSIZE);
    assert_true(v.deadline_ns > now && v.deadline_ns != NO_DEADLINE_NS);
    vf_offer(0, QSIZE, 0); /* without a kick */
    now = v.deadline_ns;
    virtio_tick(&v, now);
    assert_int_equal(used_idx(0), QSIZE + 1);
    assert_true(v.deadline_ns == NO_DEADLINE_NS);
}

/* 2.1.2: a device that needs a reset says so, does nothing more, and comes back with the reset. */
static void test_broken(void **state)
{
    (void)state;
    setup();
    vf_up(F_V1, 2);
    vf_desc(0, 0, RAM_BYTES, 1, 0, 0);
    vf_offer(0, QSIZE, 0);
    vf_kick(0);
    assert_int_equal(status(), 0x4f);
    assert_int_equal(mr(isr, 1), 2); /* a configuration change */
    assert_int_equal(used_idx(0), 0);
    assert_int_equal(vf_exchange(1, 0, 0, DATA_GPA, 9), -1);
    set_status(0x4f);
    vf_kick(1);
    assert_int_equal(used_idx(1), 0);
    vf_up(F_V1, 2);
    assert_int_equal(vf_exchange(1, 0, 0, DATA_GPA, 9), 6);
    /* A ring outside memory. */
    vf_features(F_V1);
    mw(common + 0x16, 2, 0);
    mw(common + 0x20, 8, RAM_BYTES - 16);
    mw(common + 0x1c, 2, 1);
    assert_int_equal(mr(common + 0x1c, 2), 0);
    assert_int_equal(status(), 0x4b);
}

static void test_queue_reset(void **state)
{
    (void)state;
    setup();
    vf_up(F_V1, 2);
    assert_int_equal(vf_exchange(0, 0, 0, DATA_GPA, 9), 6);
    mw(common + 0x16, 2, 0);
    mw(common + 0x20, 8, 0x1000); /* in use: 4.1.4.3.2 */
    mw(common + 0x18, 2, 4);
    assert_int_equal(mr(common + 0x20, 8), desc_gpa(0));
    assert_int_equal(mr(common + 0x18, 2), QSIZE);
    mw(common + 0x3a, 2, 1); /* not negotiated */
    mw(common + 0x1c, 2, 0);
    assert_int_equal(mr(common + 0x1c, 2), 1);
    vf_up(F_V1 | F_RESET, 2);
    assert_int_equal(vf_exchange(0, 0, 0, DATA_GPA, 9), 6);
    assert_int_equal(vf_exchange(1, 0, 0, DATA_GPA, 9), 6);
    mw(common + 0x16, 2, 0);
    mw(common + 0x3a, 2, 1);
    assert_int_equal(mr(common + 0x3a, 2), 0);
    assert_int_equal(mr(common + 0x1c, 2), 0);
    assert_int_equal(mr(common + 0x18, 2), 64);
    assert_int_equal(vf_exchange(0, 0, 0, DATA_GPA, 9), -1);
    assert_int_equal(vf_exchange(1, 0, 0, DATA_GPA, 9), 6); /* the others go on */
    vf_queue(0, QSIZE);
    assert_int_equal(vf_exchange(0, 0, 0, DATA_GPA, 9), 6);
}

/* 4.1.4.9 */
static void test_window(void **state)
{
    unsigned cap = 0, memory_bar, notify_cap = 0;

    (void)state;
    setup();
    vf_up(F_V1, 2);
    (void)vf_find(1, &cap);
    memory_bar = cf_read(cap + 4u, 1);
    (void)vf_find(2, &notify_cap);
    (void)vf_find(5, &cap);
    cf_write(cap + 4u, 1, memory_bar);
    cf_write(cap + 8u, 4, (uint32_t)(device - bar_base(memory_bar)) + 4u);
    cf_write(cap + 12u, 4, 4);
    assert_int_equal(cf_read(cap + 16u, 4), 0x17161514);
    config[4] = 0x99; /* what is read is read now */
    assert_int_equal(cf_read(cap + 16u, 4), 0x17161599);
    cf_write(cap + 16u, 4, 4711);
    assert_int_equal(config_value, 4711);
    cf_write(cap + 8u, 4, (uint32_t)(common - bar_base(memory_bar)) + 0x14u);
    cf_write(cap + 12u, 4, 1);
    assert_int_equal(cf_read(cap + 16u, 1), 0xf);
    for (unsigned i = 0; i < 3; i++) { /* lengths and places that are none */
        static const uint32_t length[] = {3, 4, 2}, offset[] = {0, 2, 0xfffffffe};

        cf_write(cap + 12u, 4, length[i]);
        cf_write(cap + 8u, 4, offset[i]);
        (void)cf_read(cap + 16u, 4);
        cf_write(cap + 16u, 4, 0);
    }
    cf_write(cap + 4u, 1, 77);
    cf_write(cap + 8u, 4, 0);
    cf_write(cap + 16u, 4, 0);
    assert_int_equal(status(), 0xf);
    vf_desc(1, 0, DATA_GPA, 9, WRITE, 0);
    vf_offer(1, QSIZE, 0);
    cf_write(cap + 4u, 1, cf_read(notify_cap + 4u, 1));
    cf_write(cap + 8u, 4, notify_step);
    cf_write(cap + 12u, 4, 2);
    cf_write(cap + 16u, 2, 1);
    assert_int_equal(used_idx(1), 1);
}

static void test_saved(void **state)
{
    struct virtio copy;

    (void)state;
    setup();
    vf_up(F_V1 | F_EVENT, 2);
    assert_int_equal(vf_exchange(0, 0, 0, DATA_GPA, 9), 6);
    copy = v;
    for (unsigned i = 0; i < virtio_state.count; i++) { /* into a device that was just made */
        const struct state_member *m = &virtio_state.members[i];

        if (i == 0) set_status(0);
        memcpy((uint8_t *)&v + m->offset, (uint8_t *)&copy + m->offset, m->bytes);
    }
    assert_false(pin);
    assert_true(virtio_state.loaded(&v));
    assert_true(pin);
    assert_int_equal(mr(isr, 1), 1);
    put16(avail_gpa(0) + 4 + 2 * QSIZE, 1);
    assert_int_equal(vf_exchange(0, 0, 0, DATA_GPA, 9), 6);
    assert_int_equal(mr(isr, 1), 1);
    for (unsigned round = 0; round < 20000; round++) { /* what a file may say */
        v = copy;
        for (unsigned i = 0; i < virtio_state.count; i++) {
            const struct state_member *m = &virtio_state.members[i];

            if (random_next() & 3u) continue;
            for (unsigned k = 0; k < m->bytes; k++)
                if ((random_next() & 15u) == 0)
                    ((uint8_t *)&v)[m->offset + k] = (uint8_t)random_next();
        }
        if (!virtio_state.loaded(&v)) continue;
        for (unsigned q = 0; q < 4; q++) vf_kick(q);
        (void)mr(common + 0x20, 8);
        now += 1000000;
        virtio_tick(&v, now);
    }
}

/* Any access at any moment over rings that hold anything. */
static void test_hammer(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        setup();
        if (round & 1u) msix_on();
        vf_up(F_V1 | (round & 2u ? F_EVENT : 0) | (round & 4u ? F_INDIRECT : 0) | F_RESET, 2);
        for (unsigned i = 0; i < 600; i++) {
            uint64_t r = random_next();
            unsigned q = r & 1u;

            switch (r >> 8 & 7u) {
            case 0: mw(common + (r >> 16) % 0x40u, 1u << (r >> 24 & 3u), random_value()); break;
            case 1: (void)mr(common + (r >> 16) % 0x1000u, 1u << (r >> 24 & 3u)); break;
            case 2:
                vf_desc(q, r >> 16 & 7u, DATA_GPA + (r >> 20 & 0xffffu),
                        (uint32_t)(r >> 40 & 0xffu), r >> 50 & 3u, r >> 56 & 7u);
                break;
            case 3: ram[desc_gpa(q) + (r >> 16) % 0x6000u] = (uint8_t)(r >> 40); break;
            case 4:
                if ((r >> 16 & 15u) == 0) vf_up(F_V1, 2);
                break;
            case 5: put16(avail_gpa(q) + 2u, (unsigned)(r >> 16)); break;
            default:
                vf_offer(q, QSIZE, r >> 16 & 7u);
                vf_kick(q);
                break;
            }
            now += 50000;
            if (v.deadline_ns <= now) virtio_tick(&v, now);
            assert_int_equal(pin, bus0.function[0]->intx_wire);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),    cmocka_unit_test(test_registers),
        cmocka_unit_test(test_negotiation), cmocka_unit_test(test_work),
        cmocka_unit_test(test_not_yet),     cmocka_unit_test(test_event_index),
        cmocka_unit_test(test_later),       cmocka_unit_test(test_broken),
        cmocka_unit_test(test_queue_reset), cmocka_unit_test(test_window),
        cmocka_unit_test(test_saved),       cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
