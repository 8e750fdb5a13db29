// sources: vmm/monitor/dev/uart16550.c vmm/monitor/dev/bus.c
/* 16550A against the PC16550D data sheet: registers, FIFOs, interrupt priorities, loopback. */
#include "dev_fixture.h"
#include "vmm/monitor/dev/uart16550.h"

#define COM1 0x3f8

static struct uart16550 u;
static uint8_t sent[64];
static unsigned sent_count;
static bool blocked;

static bool tx(void *ctx, uint8_t byte)
{
    (void)ctx;
    if (blocked) return false;
    sent[sent_count++ % sizeof(sent)] = byte;
    return true;
}

static void setup(void)
{
    fixture_reset();
    sent_count = 0;
    blocked = false;
    assert_true(uart16550_init(&u, &bus, &host, COM1, 4, tx, NULL));
}

static void test_registers(void **state)
{
    (void)state;
    setup();
    assert_int_equal(in8(COM1 + 1), 0);
    assert_int_equal(in8(COM1 + 2), 0x01);
    assert_int_equal(in8(COM1 + 3), 0);
    assert_int_equal(in8(COM1 + 4), 0);
    assert_int_equal(in8(COM1 + 5), 0x60);
    assert_int_equal(in8(COM1 + 6), 0xb0);
    for (unsigned v = 0; v < 256; v++) {
        out8(COM1 + 7, v);
        assert_int_equal(in8(COM1 + 7), v);
        out8(COM1 + 3, v);
        assert_int_equal(in8(COM1 + 3), v);
    }
    out8(COM1 + 3, 0x80);
    out8(COM1, 0x34);
    out8(COM1 + 1, 0x12);
    assert_int_equal(bus_read(&bus, BUS_PIO, COM1, 2), 0x1234);
    out8(COM1 + 3, 0x03);
    assert_int_equal(in8(COM1 + 1), 0); /* IER is not the divisor */
    out8(COM1 + 1, 0xff);
    assert_int_equal(in8(COM1 + 1), 0x0f); /* no XScale or sleep bits */
    out8(COM1 + 4, 0xff);
    assert_int_equal(in8(COM1 + 4), 0x1f);
    out8(COM1 + 4, 0);
    out8(COM1 + 5, 0xff); /* factory test only */
    assert_int_equal(in8(COM1 + 5), 0x60);
    /* A 16550A, not a 16750: a 64-byte FIFO cannot be turned on. */
    out8(COM1 + 2, 0x21);
    assert_int_equal(in8(COM1 + 2) & 0xe0, 0xc0);
    out8(COM1 + 2, 0x00);
    assert_int_equal(in8(COM1 + 2) & 0xc0, 0x00);
}

static void test_transmit(void **state)
{
    (void)state;
    setup();
    out8(COM1 + 2, 0x01);
    out8(COM1 + 4, 0x08);
    out8(COM1, 'a');
    assert_int_equal(sent_count, 1);
    assert_int_equal(sent[0], 'a');
    assert_false(line[4]);
    out8(COM1 + 1, 0x02); /* enabling with an empty holding register interrupts at once */
    assert_true(line[4]);
    assert_int_equal(in8(COM1 + 2), 0xc2);
    assert_false(line[4]); /* reading IIR took it away */
    assert_int_equal(in8(COM1 + 2), 0xc1);
    out8(COM1 + 1, 0x00);
    out8(COM1 + 1, 0x02); /* and again: the driver's test for a broken port */
    assert_int_equal(in8(COM1 + 2), 0xc2);
    out8(COM1, 'b');
    assert_true(line[4]);
    out8(COM1 + 4, 0x00); /* OUT2 off: the line is cut */
    assert_false(line[4]);
    out8(COM1 + 4, 0x08);
    assert_true(line[4]);
}

static void test_transmit_blocked(void **state)
{
    (void)state;
    setup();
    out8(COM1 + 2, 0x01);
    out8(COM1 + 4, 0x08);
    blocked = true;
    for (unsigned i = 0; i < 20; i++) out8(COM1, 'A' + i);
    assert_int_equal(in8(COM1 + 5), 0x00);
    assert_int_equal(u.deadline_ns, 1000000);
    now = u.deadline_ns;
    uart16550_tick(&u, now);
    assert_int_equal(u.deadline_ns, 2000000);
    blocked = false;
    uart16550_tx_ready(&u);
    assert_int_equal(sent_count, 16); /* the FIFO's worth, in order; the rest was lost */
    assert_int_equal(sent[0], 'A');
    assert_int_equal(sent[15], 'P');
    assert_int_equal(in8(COM1 + 5), 0x60);
    assert_true(u.deadline_ns == NO_DEADLINE_NS);
}

static void test_receive(void **state)
{
    (void)state;
    setup();
    out8(COM1 + 4, 0x08);
    out8(COM1 + 1, 0x05);
    assert_int_equal(uart16550_rx_room(&u), 1); /* no FIFO yet */
    uart16550_rx(&u, 'x');
    assert_true(line[4]);
    assert_int_equal(in8(COM1 + 2), 0x04);
    uart16550_rx(&u, 'y'); /* overrun replaces the byte */
    assert_int_equal(in8(COM1 + 2), 0x06);
    assert_int_equal(in8(COM1 + 5), 0x63);
    assert_int_equal(in8(COM1 + 5), 0x61);
    assert_int_equal(in8(COM1), 'y');
    assert_false(line[4]);
    out8(COM1 + 2, 0x81); /* trigger level 8 */
    for (unsigned i = 0; i < 7; i++) uart16550_rx(&u, (uint8_t)i);
    assert_false(line[4]);
    assert_int_equal(u.deadline_ns, 347222); /* four characters at 115200 baud */
    uart16550_rx(&u, 7);
    assert_int_equal(in8(COM1 + 2), 0xc4);
    assert_int_equal(in8(COM1), 0);
    assert_int_equal(in8(COM1 + 2), 0xc1);
    now = 347221;
    uart16550_tick(&u, now);
    assert_false(line[4]);
    now = 347222;
    uart16550_tick(&u, now);
    assert_int_equal(in8(COM1 + 2), 0xcc); /* character timeout */
    assert_int_equal(in8(COM1), 1);
    assert_int_equal(in8(COM1 + 2), 0xc1);
    for (unsigned i = 0; i < 20; i++) uart16550_rx(&u, (uint8_t)(100 + i));
    assert_int_equal(uart16550_rx_room(&u), 0);
    assert_int_equal(in8(COM1 + 2), 0xc6); /* line status has priority */
    assert_int_equal(in8(COM1 + 5) & 0x03, 0x03);
    for (unsigned i = 2; i < 8; i++) assert_int_equal(in8(COM1), i);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(in8(COM1), 100 + i); /* what came with the FIFO full is lost */
    assert_int_equal(in8(COM1 + 5) & 0x01, 0);
    assert_int_equal(in8(COM1), 0);
    uart16550_rx(&u, 1);
    out8(COM1 + 2, 0x03);
    assert_int_equal(uart16550_rx_room(&u), 16);
}

static void test_loopback(void **state)
{
    (void)state;
    setup();
    /* MCR bit to MSR bit: DTR-DSR, RTS-CTS, OUT1-RI, OUT2-DCD */
    static const uint8_t map[4][2] = {{0x01, 0x20}, {0x02, 0x10}, {0x04, 0x40}, {0x08, 0x80}};

    for (unsigned i = 0; i < 4; i++) {
        out8(COM1 + 4, 0x10u | map[i][0]);
        assert_int_equal(in8(COM1 + 6) & 0xf0, map[i][1]);
    }
    out8(COM1 + 4, 0x1a);
    assert_int_equal(in8(COM1 + 6) & 0xf0, 0x90);
    out8(COM1 + 4, 0x14);
    (void)in8(COM1 + 6);
    out8(COM1 + 4, 0x10);
    assert_int_equal(in8(COM1 + 6), 0x04); /* RI's trailing edge */
    out8(COM1 + 1, 0x01);
    out8(COM1, 0x5a);
    assert_int_equal(sent_count, 0);
    assert_int_equal(uart16550_rx_room(&u), 0);
    uart16550_rx(&u, 0x11); /* cut off from the line */
    assert_false(line[4]);
    assert_int_equal(in8(COM1 + 5), 0x61);
    assert_int_equal(in8(COM1), 0x5a);
    out8(COM1 + 1, 0x08);
    out8(COM1 + 4, 0x08);
    assert_true(line[4]); /* the modem lines came back: delta bits */
    assert_int_equal(in8(COM1 + 2) & 0x0f, 0x00);
    assert_int_equal(in8(COM1 + 6), 0xbb);
    assert_int_equal(in8(COM1 + 6), 0xb0);
    assert_false(line[4]);
}

static void tick(uint64_t t)
{
    blocked = (random_next() & 1u) != 0;
    uart16550_tick(&u, t);
    if (random_next() & 1u) uart16550_rx(&u, (uint8_t)t);
    assert_true(u.rx_count <= 16 && u.tx_count <= 16 && uart16550_rx_room(&u) <= 16);
}

static void test_hammer(void **state)
{
    (void)state;
    setup();
    hammer(300000, tick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),        cmocka_unit_test(test_transmit),
        cmocka_unit_test(test_transmit_blocked), cmocka_unit_test(test_receive),
        cmocka_unit_test(test_loopback),         cmocka_unit_test(test_hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
