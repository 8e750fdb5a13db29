// sources: vmm/monitor/dev/i8042.c vmm/monitor/dev/ps2_keyboard.c vmm/monitor/dev/ps2_mouse.c
// sources: vmm/monitor/dev/bus.c
/* 8042 with nothing attached: the dialogue drivers hold with it when they probe. With keyboard and
 * mouse: their commands, codes and packets, by the tables of their references. */
#include "dev_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include "vmm/monitor/dev/i8042.h"

static struct i8042 k;
static unsigned resets;

static void reset(void *ctx)
{
    (void)ctx;
    resets++;
}

static void setup(bool plugged)
{
    fixture_reset();
    resets = 0;
    assert_true(i8042_init(&k, &bus, &host, plugged, reset, NULL));
}

static void test_probe(void **state)
{
    for (unsigned plugged = 0; plugged < 2; plugged++) {
        (void)state;
        setup(plugged != 0);
        assert_int_equal(in8(0x64), 0x14);
        out8(0x64, 0xaa);
        assert_int_equal(in8(0x64), 0x1d);
        assert_int_equal(in8(0x60), 0x55);
        assert_int_equal(in8(0x64) & 1, 0);
        out8(0x64, 0xab);
        assert_int_equal(in8(0x60), 0);
        out8(0x64, 0xa9);
        assert_int_equal(in8(0x60), 0);
        out8(0x64, 0x60);
        out8(0x60, 0x03);
        out8(0x64, 0x20);
        assert_true(line[1]);
        assert_int_equal(in8(0x60), 0x03);
        assert_false(line[1]);
        out8(0x64, 0xd3); /* auxiliary loop */
        out8(0x60, 0x5a);
        assert_int_equal(in8(0x64) & 0x21, 0x21);
        assert_true(line[12]);
        assert_false(line[1]);
        assert_int_equal(in8(0x60), 0x5a);
        assert_false(line[12]);
        out8(0x64, 0xa7);
        out8(0x64, 0x20);
        assert_int_equal(in8(0x60), 0x23);
        out8(0x64, 0xa8);
        out8(0x64, 0xad);
        out8(0x64, 0x20);
        assert_int_equal(in8(0x60), 0x13);
        out8(0x64, 0xae);
        out8(0x64, 0xd2);
        out8(0x60, 0x77);
        assert_int_equal(in8(0x64) & 0x21, 0x01);
        assert_int_equal(in8(0x60), 0x77);
        for (unsigned i = 0; i < 32; i++) {
            out8(0x64, 0x60 + i);
            out8(0x60, 0xa0 ^ i);
            out8(0x64, 0x20 + i);
            assert_int_equal(in8(0x60), 0xa0 ^ i);
        }
    }
}

/* Software that comes after firmware only reads: make and break code of Escape in set 1. */
static void test_after_firmware(void **state)
{
    (void)state;
    setup(true);
    i8042_setup(&k);
    assert_false(line[1]);
    assert_true(i8042_key(&k, 0x29, true));
    assert_true(line[1]);
    assert_int_equal(in8(0x64) & 0x21, 0x01);
    assert_int_equal(in8(0x60), 0x01);
    assert_true(i8042_key(&k, 0x29, false));
    assert_int_equal(in8(0x60), 0x81);
    assert_false(line[1]);
    out8(0x64, 0x20);
    assert_int_equal(in8(0x60), 0x65);
    setup(false);
    i8042_setup(&k);
    out8(0x64, 0x20);
    assert_int_equal(in8(0x60), 0x74);
}

/* Nothing is plugged in: each byte sent gets a time-out at once, not silence. */
static void test_no_devices(void **state)
{
    (void)state;
    setup(false);
    out8(0x64, 0x60);
    out8(0x60, 0x03);
    out8(0x60, 0xf2);
    assert_true(line[1]);
    assert_int_equal(in8(0x64) & 0x61, 0x41);
    assert_int_equal(in8(0x60), 0xfe);
    assert_false(line[1]);
    out8(0x64, 0xd4);
    out8(0x60, 0xff);
    assert_true(line[12]);
    assert_int_equal(in8(0x64) & 0x61, 0x61);
    assert_int_equal(in8(0x60), 0xfe);
    assert_true(i8042_key(&k, 4, true));
    i8042_move(&k, 1, 1, 1, 1);
    assert_int_equal(in8(0x64) & 1, 0);
}

static void test_reset(void **state)
{
    (void)state;
    setup(false);
    for (unsigned c = 0xf0; c <= 0xff; c++) {
        resets = 0;
        out8(0x64, c);
        assert_int_equal(resets, (c & 1) == 0);
    }
    resets = 0;
    out8(0x64, 0xd1);
    out8(0x60, 0x03);
    assert_int_equal(resets, 0);
    out8(0x64, 0xd0);
    assert_int_equal(in8(0x60) & 3, 3);
    out8(0x64, 0xd1);
    out8(0x60, 0x01); /* A20 */
    out8(0x64, 0xd0);
    assert_int_equal(in8(0x60) & 3, 1);
    out8(0x64, 0xd1);
    out8(0x60, 0x02);
    assert_int_equal(resets, 1);
}

/* ---- with keyboard and mouse ---- */

static void plug(unsigned command_byte)
{
    setup(true);
    out8(0x64, 0x60);
    out8(0x60, command_byte);
}

static void mouse_out8(unsigned value)
{
    out8(0x64, 0xd4);
    out8(0x60, value);
}

/* All bytes that wait, each with its line up; text like "fa ab 83", those of the mouse with "m". */
static const char *bytes(void)
{
    static char text[512];
    size_t n = 0;

    text[0] = '\0';
    while ((in8(0x64) & 1) != 0 && n < sizeof(text) - 8u) {
        bool aux = (in8(0x64) & 0x20) != 0;
        unsigned before = rises[aux ? 12 : 1];
        uint8_t value;

        assert_int_equal(line[1], !aux && (k.ram[0] & 1u));
        assert_int_equal(line[12], aux && (k.ram[0] & 2u));
        value = in8(0x60);
        /* One edge for each byte. */
        if ((in8(0x64) & 0x21) == (aux ? 0x21u : 0x01u) && (k.ram[0] & (aux ? 2u : 1u)))
            assert_int_equal(rises[aux ? 12 : 1], before + 1u);
        n += (size_t)snprintf(text + n, 8, "%s%s%02x", n ? " " : "", aux ? "m" : "", value);
    }
    assert_false(line[1] || line[12]);
    return text;
}

static const char *say(unsigned byte)
{
    out8(0x60, byte);
    return bytes();
}

static const char *mouse_say(unsigned byte)
{
    mouse_out8(byte);
    return bytes();
}

static const char *press(uint8_t usage)
{
    assert_true(i8042_key(&k, usage, true));
    return bytes();
}

static const char *release(uint8_t usage)
{
    assert_true(i8042_key(&k, usage, false));
    return bytes();
}

#define assert_text(got, want) assert_string_equal((got), (want))

static void test_keyboard_commands(void **state)
{
    (void)state;
    plug(0x03);
    assert_text(bytes(), ""); /* nothing is left from the self-test */
    assert_text(say(0xff), "fa aa");
    assert_text(say(0xf2), "fa ab 83");
    assert_text(say(0xee), "ee");
    assert_text(say(0xed), "fa");
    assert_text(say(0x05), "fa");
    assert_int_equal(k.keyboard.leds, 5);
    assert_text(say(0xf3), "fa");
    assert_text(say(0x20), "fa");
    assert_text(say(0xf0), "fa");
    assert_text(say(0x00), "fa 02");
    assert_text(say(0xf0), "fa");
    assert_text(say(0x03), "fe"); /* no set 3 */
    assert_text(say(0xf0), "fa");
    assert_text(say(0x01), "fa");
    assert_text(press(0x04), "1e");
    assert_text(release(0x04), "9e");
    assert_text(press(0x52), "e0 48");
    assert_text(release(0x52), "e0 c8");
    assert_text(say(0xf6), "fa");
    assert_text(press(0x04), "1c");
    assert_text(release(0x04), "f0 1c");
    assert_text(say(0xfe), "1c");
    assert_text(say(0xf5), "fa");
    assert_text(press(0x04), "");
    assert_text(say(0xf4), "fa");
    assert_text(press(0x04), "1c");
    assert_text(say(0xe0), "fe");
    assert_text(say(0xed), "fa"); /* a command instead of the parameter */
    assert_text(say(0xf4), "fa");
    assert_text(say(0x07), "fe");
    out8(0x64, 0x60);
    out8(0x60, 0x43); /* translated */
    assert_text(say(0xf2), "fa ab 41");
}

/* USB HID to PS/2 Scan Code Translation Table 1.3: usage, set 1 make, set 2 make. */
static const struct {
    uint8_t usage;
    const char *set1, *set2;
} keys[] = {
    {0x04, "1e", "1c"},       {0x05, "30", "32"},       {0x06, "2e", "21"},
    {0x07, "20", "23"},       {0x08, "12", "24"},       {0x09, "21", "2b"},
    {0x0a, "22", "34"},       {0x0b, "23", "33"},       {0x0c, "17", "43"},
    {0x0d, "24", "3b"},       {0x0e, "25", "42"},       {0x0f, "26", "4b"},
    {0x10, "32", "3a"},       {0x11, "31", "31"},       {0x12, "18", "44"},
    {0x13, "19", "4d"},       {0x14, "10", "15"},       {0x15, "13", "2d"},
    {0x16, "1f", "1b"},       {0x17, "14", "2c"},       {0x18, "16", "3c"},
    {0x19, "2f", "2a"},       {0x1a, "11", "1d"},       {0x1b, "2d", "22"},
    {0x1c, "15", "35"},       {0x1d, "2c", "1a"},       {0x1e, "02", "16"},
    {0x1f, "03", "1e"},       {0x20, "04", "26"},       {0x21, "05", "25"},
    {0x22, "06", "2e"},       {0x23, "07", "36"},       {0x24, "08", "3d"},
    {0x25, "09", "3e"},       {0x26, "0a", "46"},       {0x27, "0b", "45"},
    {0x28, "1c", "5a"},       {0x29, "01", "76"},       {0x2a, "0e", "66"},
    {0x2b, "0f", "0d"},       {0x2c, "39", "29"},       {0x2d, "0c", "4e"},
    {0x2e, "0d", "55"},       {0x2f, "1a", "54"},       {0x30, "1b", "5b"},
    {0x31, "2b", "5d"},       {0x32, "2b", "5d"},       {0x33, "27", "4c"},
    {0x34, "28", "52"},       {0x35, "29", "0e"},       {0x36, "33", "41"},
    {0x37, "34", "49"},       {0x38, "35", "4a"},       {0x39, "3a", "58"},
    {0x3a, "3b", "05"},       {0x3b, "3c", "06"},       {0x3c, "3d", "04"},
    {0x3d, "3e", "0c"},       {0x3e, "3f", "03"},       {0x3f, "40", "0b"},
    {0x40, "41", "83"},       {0x41, "42", "0a"},       {0x42, "43", "01"},
    {0x43, "44", "09"},       {0x44, "57", "78"},       {0x45, "58", "07"},
    {0x47, "46", "7e"},       {0x49, "e0 52", "e0 70"}, {0x4a, "e0 47", "e0 6c"},
    {0x4b, "e0 49", "e0 7d"}, {0x4c, "e0 53", "e0 71"}, {0x4d, "e0 4f", "e0 69"},
    {0x4e, "e0 51", "e0 7a"}, {0x4f, "e0 4d", "e0 74"}, {0x50, "e0 4b", "e0 6b"},
    {0x51, "e0 50", "e0 72"}, {0x52, "e0 48", "e0 75"}, {0x53, "45", "77"},
    {0x54, "e0 35", "e0 4a"}, {0x55, "37", "7c"},       {0x56, "4a", "7b"},
    {0x57, "4e", "79"},       {0x58, "e0 1c", "e0 5a"}, {0x59, "4f", "69"},
    {0x5a, "50", "72"},       {0x5b, "51", "7a"},       {0x5c, "4b", "6b"},
    {0x5d, "4c", "73"},       {0x5e, "4d", "74"},       {0x5f, "47", "6c"},
    {0x60, "48", "75"},       {0x61, "49", "7d"},       {0x62, "52", "70"},
    {0x63, "53", "71"},       {0x64, "56", "61"},       {0x65, "e0 5d", "e0 2f"},
    {0x66, "e0 5e", "e0 37"}, {0xe0, "1d", "14"},       {0xe1, "2a", "12"},
    {0xe2, "38", "11"},       {0xe3, "e0 5b", "e0 1f"}, {0xe4, "e0 1d", "e0 14"},
    {0xe5, "36", "59"},       {0xe6, "e0 38", "e0 11"}, {0xe7, "e0 5c", "e0 27"},
};

static void test_keys(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char want[16];
        const char *code = keys[i].set2;
        bool wide = strlen(code) > 2;

        plug(0x03);
        assert_text(press(keys[i].usage), code);
        (void)snprintf(want, sizeof(want), "%sf0 %s", wide ? "e0 " : "", code + (wide ? 3 : 0));
        assert_text(release(keys[i].usage), want);
        plug(0x43); /* translated, as it is usual */
        code = keys[i].set1;
        assert_text(press(keys[i].usage), code);
        (void)snprintf(want, sizeof(want), "%s%02x", wide ? "e0 " : "",
                       (unsigned)strtoul(code + (wide ? 3 : 0), NULL, 16) | 0x80u);
        assert_text(release(keys[i].usage), want);
    }
    plug(0x43);
    assert_text(press(0x46), "e0 2a e0 37");
    assert_text(release(0x46), "e0 b7 e0 aa");
    assert_text(press(0x48), "e1 1d 45 e1 9d c5");
    assert_text(release(0x48), "");
    plug(0x03);
    assert_text(press(0x48), "e1 14 77 e1 f0 14 f0 77");
    for (unsigned usage = 0; usage < 256; usage++) { /* no such key */
        bool known = usage == 0x46 || usage == 0x48;

        for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
            known = known || keys[i].usage == usage;
        if (!known) assert_text(press((uint8_t)usage), "");
    }
}

/* A key that does not fit is refused whole; a port that is switched off keeps what waits. */
static void test_queue(void **state)
{
    unsigned taken = 0;

    (void)state;
    plug(0x43);
    while (i8042_key(&k, 0x52, true)) taken++;
    assert_int_equal(taken, 8); /* one byte is in the controller */
    assert_text(bytes(), "e0 48 e0 48 e0 48 e0 48 e0 48 e0 48 e0 48 e0 48");
    out8(0x64, 0xad);
    assert_true(i8042_key(&k, 0x04, true));
    assert_text(bytes(), "");
    out8(0x64, 0xae);
    assert_text(bytes(), "1e");
    /* The controller's answer goes before a key that nobody has read, and the key is not lost. */
    assert_true(i8042_key(&k, 0x05, true));
    out8(0x64, 0x20);
    assert_text(bytes(), "43 30");
    /* A device's answer goes before its keys. */
    out8(0x64, 0xad);
    assert_true(i8042_key(&k, 0x05, true));
    assert_true(i8042_key(&k, 0x06, true));
    assert_text(say(0xee), "ee 30 2e");
    out8(0x64, 0xad);
    assert_true(i8042_key(&k, 0x05, true));
    assert_text(say(0xf4), "fa"); /* forgets what was typed before */
}

static void test_repeat(void **state)
{
    (void)state;
    plug(0x43);
    (void)say(0xf3);
    (void)say(0x00); /* 250 ms, 30 a second */
    assert_int_equal(k.deadline_ns, NO_DEADLINE_NS);
    assert_text(press(0x04), "1e");
    assert_int_equal(k.deadline_ns, 250000000);
    now = k.deadline_ns - 1;
    i8042_tick(&k, now);
    assert_text(bytes(), "");
    now++;
    i8042_tick(&k, now);
    assert_text(bytes(), "1e");
    assert_in_range(k.deadline_ns - now, 33000000, 34000000);
    now = k.deadline_ns;
    i8042_tick(&k, now);
    now = k.deadline_ns + 1000000000; /* nobody has read the last one */
    i8042_tick(&k, now);
    now = k.deadline_ns;
    i8042_tick(&k, now);
    assert_text(bytes(), "1e 1e");
    (void)press(0x05); /* the key pressed last */
    now = k.deadline_ns;
    i8042_tick(&k, now);
    assert_text(bytes(), "30");
    (void)release(0x04);
    assert_true(k.deadline_ns != NO_DEADLINE_NS);
    (void)release(0x05);
    assert_int_equal(k.deadline_ns, NO_DEADLINE_NS);
    (void)say(0xf3);
    (void)say(0x7f); /* 1 s, 2 a second */
    (void)press(0x04);
    assert_int_equal(k.deadline_ns - now, 1000000000);
    now = k.deadline_ns;
    i8042_tick(&k, now);
    assert_in_range(k.deadline_ns - now, 499000000, 501000000);
}

static void test_mouse_commands(void **state)
{
    (void)state;
    plug(0x03);
    assert_text(mouse_say(0xff), "mfa maa m00");
    assert_text(mouse_say(0xf2), "mfa m00");
    assert_text(mouse_say(0xe9), "mfa m00 m02 m64");
    assert_text(mouse_say(0xe8), "mfa");
    assert_text(mouse_say(0x03), "mfa");
    assert_text(mouse_say(0xf3), "mfa");
    assert_text(mouse_say(0x28), "mfa");
    assert_text(mouse_say(0xe7), "mfa");
    assert_text(mouse_say(0xf4), "mfa");
    assert_text(mouse_say(0xe9), "mfa m30 m03 m28");
    assert_text(mouse_say(0xe6), "mfa");
    assert_text(mouse_say(0xf0), "mfa");
    assert_text(mouse_say(0xe9), "mfa m60 m03 m28");
    assert_text(mouse_say(0xea), "mfa");
    assert_text(mouse_say(0xee), "mfa");
    assert_text(mouse_say(0xf2), "mf2"); /* wrapped */
    assert_text(mouse_say(0x12), "m12");
    assert_text(mouse_say(0xec), "mfa");
    assert_text(mouse_say(0xe8), "mfa");
    assert_text(mouse_say(0x04), "mfe"); /* not a resolution */
    assert_text(mouse_say(0xfe), "mfe"); /* resent */
    assert_text(mouse_say(0xf6), "mfa");
    assert_text(mouse_say(0xe9), "mfa m00 m02 m64");
    assert_text(mouse_say(0xed), "mfe");
    assert_text(mouse_say(0x00), "mfe");
}

static void test_mouse_packets(void **state)
{
    (void)state;
    plug(0x03);
    i8042_move(&k, 5, 5, 0, 0); /* not yet asked for */
    assert_text(bytes(), "");
    (void)mouse_say(0xf4);
    assert_text(bytes(), "");
    i8042_move(&k, 1, 0, 0, 0);
    assert_text(bytes(), "m08 m01 m00");
    i8042_move(&k, -1, -2, 0, 1);
    assert_text(bytes(), "m39 mff mfe");
    i8042_move(&k, 0, 0, 0, 1); /* nothing new */
    assert_text(bytes(), "");
    i8042_move(&k, 0, 0, 0, 6);
    assert_text(bytes(), "m0e m00 m00");
    i8042_move(&k, 0, 0, 3, 6); /* no wheel yet */
    assert_text(bytes(), "m0e m00 m00");
    i8042_move(&k, 300, -300, 0, 0); /* more than a packet holds */
    assert_text(bytes(), "m28 mff m01 m28 m2d md3");
    /* While nobody reads, movement adds up. */
    i8042_move(&k, 1, 1, 0, 0);
    for (unsigned i = 0; i < 10; i++) i8042_move(&k, 2, 1, 0, 0);
    assert_text(bytes(), "m08 m01 m01 m08 m14 m0a");
    (void)mouse_say(0xe7); /* 2:1 */
    i8042_move(&k, 3, -7, 0, 0);
    assert_text(bytes(), "m28 m03 mf2");
    (void)mouse_say(0xe6);
    (void)mouse_say(0xf0); /* remote: on request only */
    i8042_move(&k, 7, 0, 0, 0);
    assert_text(bytes(), "");
    assert_text(mouse_say(0xeb), "mfa m08 m07 m00");
    assert_text(mouse_say(0xeb), "mfa m08 m00 m00");
}

static void rates(unsigned a, unsigned b, unsigned c)
{
    const unsigned r[3] = {a, b, c};

    for (unsigned i = 0; i < 3; i++) {
        assert_text(mouse_say(0xf3), "mfa");
        assert_text(mouse_say(r[i]), "mfa");
    }
}

static void test_mouse_wheel(void **state)
{
    (void)state;
    plug(0x03);
    rates(200, 200, 80); /* only after the wheel */
    assert_text(mouse_say(0xf2), "mfa m00");
    rates(200, 100, 80);
    assert_text(mouse_say(0xf2), "mfa m03");
    (void)mouse_say(0xf4);
    i8042_move(&k, 1, 2, -1, 0);
    assert_text(bytes(), "m08 m01 m02 mff");
    i8042_move(&k, 0, 0, 200, 0x1f);
    assert_text(bytes(), "m0f m00 m00 m7f m0f m00 m00 m49");
    rates(200, 200, 80);
    assert_text(mouse_say(0xf2), "mfa m04");
    i8042_move(&k, 0, 0, -1, 0x18);
    assert_text(bytes(), "m08 m00 m00 m3f");
    i8042_move(&k, 0, 0, 9, 0);
    assert_text(bytes(), "m08 m00 m00 m07 m08 m00 m00 m02");
    assert_text(mouse_say(0xff), "mfa maa m00");
    assert_text(mouse_say(0xf2), "mfa m00");
}

/* What Linux' drivers say first, in their order: flush, command byte, loop test, both devices. */
static void test_both(void **state)
{
    (void)state;
    plug(0x47);
    i8042_move(&k, 1, 1, 1, 1);
    (void)say(0xf4);
    (void)mouse_say(0xf4);
    out8(0x64, 0xa7); /* mouse off: its packet waits, the keyboard goes on */
    i8042_move(&k, 1, 1, 0, 0);
    assert_text(press(0x04), "1e");
    out8(0x64, 0xa8);
    assert_text(bytes(), "m08 m01 m01");
    /* A byte of the mouse is not translated and does not disturb a key's release. */
    out8(0x64, 0xad);
    assert_true(i8042_key(&k, 0x04, false));
    i8042_move(&k, 0x1c, 0, 0, 0);
    out8(0x64, 0xae);
    assert_text(bytes(), "m08 9e m1c m00");
}

static void test_saved(void **state)
{
    static struct i8042 copy;

    (void)state;
    plug(0x43);
    assert_true(i8042_key(&k, 0x52, true));
    copy = k;
    fixture_reset();
    assert_true(i8042_init(&k, &bus, &host, true, reset, NULL));
    for (unsigned i = 0; i < i8042_state.count; i++) {
        const struct state_member *m = &i8042_state.members[i];

        memcpy((char *)&k + m->offset, (char *)&copy + m->offset, m->bytes);
    }
    assert_true(i8042_state.loaded(&k));
    assert_text(bytes(), "e0 48");
    k.mouse.out.count = 200;
    assert_false(i8042_state.loaded(&k));
    k.mouse.out.count = 0;
    k.keyboard.scan_set = 3;
    assert_false(i8042_state.loaded(&k));
}

static void tick(uint64_t t)
{
    uint64_t r = random_next();

    i8042_tick(&k, t);
    (void)i8042_key(&k, (uint8_t)r, (r & 0x100u) != 0);
    i8042_move(&k, (int32_t)(r >> 32), (int32_t)(r >> 16), (int8_t)(r >> 8), (uint8_t)r);
    assert_true(ps2_keyboard_valid(&k.keyboard) && ps2_mouse_valid(&k.mouse));
}

static void test_hammer(void **state)
{
    (void)state;
    setup(false);
    hammer(200000, NULL);
    setup(true);
    hammer(200000, tick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe),         cmocka_unit_test(test_no_devices),
        cmocka_unit_test(test_reset),         cmocka_unit_test(test_keyboard_commands),
        cmocka_unit_test(test_keys),          cmocka_unit_test(test_queue),
        cmocka_unit_test(test_repeat),        cmocka_unit_test(test_mouse_commands),
        cmocka_unit_test(test_mouse_packets), cmocka_unit_test(test_mouse_wheel),
        cmocka_unit_test(test_both),          cmocka_unit_test(test_saved),
        cmocka_unit_test(test_hammer),        cmocka_unit_test(test_after_firmware),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
