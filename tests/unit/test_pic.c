// sources: vmm/monitor/dev/pic.c vmm/monitor/dev/bus.c
/* Pair of 8259A: initialisation, nesting, EOI commands, rotation, poll, special mask, spurious. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/pic.h"

static struct pic p;

static void setup(unsigned icw4)
{
    fixture_reset();
    assert_true(pic_init(&p, &bus, &host));
    assert_false(pic_intr(&p));
    out8(0x20, 0x11);
    out8(0x21, 0x30);
    out8(0x21, 0x04);
    out8(0x21, icw4);
    out8(0xa0, 0x11);
    out8(0xa1, 0x38);
    out8(0xa1, 0x02);
    out8(0xa1, icw4);
    out8(0x21, 0x00);
    out8(0xa1, 0x00);
}

static void pulse(unsigned n) { pic_set_irq(&p, n, true); }

static void test_init(void **state)
{
    (void)state;
    fixture_reset();
    pic_init(&p, &bus, &host);
    pulse(1);
    assert_false(pic_intr(&p)); /* masked at reset */
    out8(0x20, 0x11);
    assert_int_equal(in8(0x21), 0); /* ICW1 clears the mask */
    out8(0x21, 0x33);               /* the lower three bits are not the guest's */
    out8(0x21, 0x04);
    assert_false(pic_intr(&p));
    out8(0x21, 0x01);
    pic_set_irq(&p, 1, false);
    pulse(1);
    assert_int_equal(pic_ack(&p), 0x31);
    setup(1);
    for (unsigned v = 0; v < 256; v++) {
        out8(0x21, v);
        out8(0xa1, 255 - v);
        assert_int_equal(in8(0x21), v);
        assert_int_equal(in8(0xa1), 255 - v);
    }
    bus_write(&bus, BUS_PIO, 0x4d0, 2, 0xffff);
    assert_int_equal(bus_read(&bus, BUS_PIO, 0x4d0, 2), 0xdef8);
}

static void test_every_line(void **state)
{
    (void)state;
    setup(1);
    for (unsigned n = 0; n < 16; n++) {
        if (n == 2) continue;
        pulse(n);
        assert_true(pic_intr(&p));
        assert_int_equal(pic_ack(&p), 0x30 + n);
        assert_false(pic_intr(&p)); /* edge: once, though the line is still up */
        if (n >= 8) out8(0xa0, 0x20);
        out8(0x20, 0x20);
        assert_false(pic_intr(&p));
        pic_set_irq(&p, n, false);
    }
    pic_set_irq(&p, 2, true);
    pic_set_irq(&p, 16, true);
    pic_set_irq(&p, UINT32_MAX, true);
    assert_false(pic_intr(&p));
}

static void test_nesting(void **state)
{
    (void)state;
    setup(1);
    pulse(5);
    assert_int_equal(pic_ack(&p), 0x35);
    pulse(6);
    assert_false(pic_intr(&p)); /* lower priority waits */
    pulse(12);
    assert_int_equal(pic_ack(&p), 0x3c); /* the slave sits on input 2 */
    pulse(9);
    assert_false(pic_intr(&p)); /* fully nested master holds its input 2 in service */
    pulse(0);
    assert_int_equal(pic_ack(&p), 0x30);
    out8(0x20, 0x0b);
    assert_int_equal(in8(0x20), 0x25);
    out8(0x20, 0x0a);
    assert_int_equal(in8(0x20), 0x44);
    out8(0x20, 0x20); /* non-specific EOI: the highest */
    out8(0x20, 0x0b);
    assert_int_equal(in8(0x20), 0x24);
    out8(0xa0, 0x64); /* specific EOI of the slave's 4 */
    out8(0x20, 0x62);
    assert_int_equal(pic_ack(&p), 0x39);
    out8(0xa0, 0x20);
    out8(0x20, 0x20);
    out8(0x20, 0x20);
    assert_int_equal(pic_ack(&p), 0x36);
}

static void test_special_nested(void **state)
{
    (void)state;
    setup(0x11);
    pulse(12);
    assert_int_equal(pic_ack(&p), 0x3c);
    pulse(9); /* a higher input of the slave gets through */
    assert_int_equal(pic_ack(&p), 0x39);
    pulse(3);
    assert_false(pic_intr(&p));
}

static void test_auto_eoi(void **state)
{
    (void)state;
    setup(0x03);
    pulse(9);
    pulse(10);
    pulse(4);
    assert_int_equal(pic_ack(&p), 0x39);
    assert_int_equal(pic_ack(&p), 0x3a);
    assert_int_equal(pic_ack(&p), 0x34);
    assert_false(pic_intr(&p));
    out8(0x20, 0x0b);
    assert_int_equal(in8(0x20), 0);
}

static void test_rotation(void **state)
{
    (void)state;
    setup(1);
    out8(0x20, 0xc3); /* input 3 lowest: 4 is highest */
    pulse(3);
    pulse(4);
    pulse(0);
    assert_int_equal(pic_ack(&p), 0x34);
    out8(0x20, 0xa0); /* rotate on EOI: 4 lowest */
    assert_int_equal(pic_ack(&p), 0x30);
    out8(0x20, 0xe0); /* rotate on specific EOI: 0 lowest */
    pic_set_irq(&p, 0, false);
    pulse(0);
    assert_int_equal(pic_ack(&p), 0x33);
}

static void test_level(void **state)
{
    (void)state;
    setup(1);
    out8(0x4d1, 0x02); /* line 9 */
    pulse(9);
    assert_int_equal(pic_ack(&p), 0x39);
    out8(0xa0, 0x20);
    out8(0x20, 0x20);
    assert_int_equal(pic_ack(&p), 0x39); /* still asserted: again */
    pic_set_irq(&p, 9, false);
    out8(0xa0, 0x20);
    out8(0x20, 0x20);
    assert_false(pic_intr(&p));
}

static void test_spurious(void **state)
{
    (void)state;
    setup(1);
    assert_int_equal(pic_ack(&p), 0x37);
    out8(0x20, 0x0b);
    assert_int_equal(in8(0x20), 0); /* no in-service bit */
    pulse(3);
    pic_set_irq(&p, 3, false); /* gone before it was taken */
    assert_int_equal(pic_ack(&p), 0x37);
    pulse(14);
    out8(0xa1, 0xff);
    assert_false(pic_intr(&p));
}

static void test_special_mask(void **state)
{
    (void)state;
    setup(1);
    pulse(1);
    assert_int_equal(pic_ack(&p), 0x31);
    pulse(6);
    out8(0x21, 0x02);
    assert_false(pic_intr(&p));
    out8(0x20, 0x68); /* special mask on: the masked level no longer blocks */
    assert_true(pic_intr(&p));
    assert_int_equal(pic_ack(&p), 0x36);
    out8(0x20, 0x20);
    out8(0x20, 0x0b);
    assert_int_equal(in8(0x20), 0x02);
    out8(0x20, 0x48);
}

static void test_poll(void **state)
{
    (void)state;
    setup(1);
    out8(0x20, 0x0c);
    assert_int_equal(in8(0x20), 0x00);
    pulse(5);
    out8(0x20, 0x0c);
    assert_int_equal(in8(0x20), 0x85);
    assert_false(pic_intr(&p));
    out8(0x20, 0x0b);
    assert_int_equal(in8(0x20), 0x20);
    pulse(8);
    pulse(11);
    out8(0xa0, 0x0c);
    assert_int_equal(in8(0xa1), 0x80); /* any read of the chip */
    out8(0xa0, 0x0c);
    assert_int_equal(in8(0xa0), 0x00);
    out8(0xa0, 0x20);
    out8(0xa0, 0x0c);
    assert_int_equal(in8(0xa0), 0x83);
}

/* A level-triggered input is up while an ISA device or a PCI pin holds it. */
static void test_shared(void **state)
{
    (void)state;
    setup(3); /* automatic EOI */
    bus_write(&bus, BUS_PIO, 0x4d1, 1, 0x0c);
    pic_set_pci(&p, 1 << 10 | 1 << 11 | 1 << 2);
    assert_int_equal(pic_ack(&p), 0x3a);
    pic_set_irq(&p, 10, true);
    pic_set_pci(&p, 1 << 11);
    assert_int_equal(pic_ack(&p), 0x3a);
    pic_set_irq(&p, 10, false);
    assert_int_equal(pic_ack(&p), 0x3b);
    pic_set_pci(&p, 0);
    assert_false(pic_intr(&p));
}

static void tick(uint64_t t)
{
    pic_set_irq(&p, (unsigned)(t >> 4) % 20u, (random_next() & 1u) != 0);
    if (random_next() & 1u) (void)pic_ack(&p);
}

static void test_hammer(void **state)
{
    (void)state;
    setup(1);
    hammer(300000, tick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),     cmocka_unit_test(test_every_line),
        cmocka_unit_test(test_nesting),  cmocka_unit_test(test_special_nested),
        cmocka_unit_test(test_auto_eoi), cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_level),    cmocka_unit_test(test_spurious),
        cmocka_unit_test(test_poll),     cmocka_unit_test(test_special_mask),
        cmocka_unit_test(test_shared),   cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
