// sources: vmm/rt/terminal.c vmm/rt/fmt.c
/*
 * The consoles on one port, with VMs that want to be taken for root or for each other: root's words
 * carry the mark, are never swallowed or hidden by what a VM has said, and come between whole
 * sequences only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/root/console.c"
#include "root_fixture.h"

static struct vm all[3];
static struct manifest manifest;
static struct bh_console rings[3];
static char port[262144];
static size_t port_used;
static unsigned port_room = 16; /* of each look */
static unsigned port_look_us;   /* what a look costs */
static unsigned port_byte_us;   /* what a byte takes: 87 at 115200 baud */
static uint64_t now_us, port_busy_until_us;
static unsigned told; /* lines of the log */
static const char *typed = "";

unsigned serial_room(unsigned p)
{
    assert_int_equal(p, COM1);
    now_us += port_look_us;
    return now_us < port_busy_until_us ? 0 : port_room;
}

void serial_put(unsigned p, uint8_t byte)
{
    assert_true(port_used + 1 < sizeof(port));
    port[port_used++] = (char)byte;
    port[port_used] = '\0';
    if (port_busy_until_us < now_us) port_busy_until_us = now_us;
    port_busy_until_us += port_byte_us;
}

/* In a process of the host the TSC runs; this one's time is told by its port. */
uint64_t patient_tsc(void) { return now_us++; }

void say(const char *format, ...) { told++; }

int serial_get(unsigned p) { return *typed ? (uint8_t)*typed++ : -1; }

void vm_signal_console(const struct vm *vm) {}

static void begin(unsigned count)
{
    memset(kept, 0, sizeof(kept));
    memset(rings, 0, sizeof(rings));
    memset(&terminal, 0, sizeof(terminal));
    note_len = note_sent = ready_len = ready_sent = 0;
    port_used = 0;
    port_room = 16;
    port_look_us = port_byte_us = 0;
    port_busy_until_us = 0;
    told = 0;
    for (unsigned i = 0; i < count; i++) {
        manifest.vms[i].console = MANIFEST_CONSOLE_SERIAL;
        manifest.vms[i].name = i == 0 ? "desktop" : i == 1 ? "browser" : "server";
        all[i] = (struct vm){
            .number = i, .state = VM_RUNNING, .config = &manifest.vms[i], .console = &rings[i]};
    }
    manifest.vm_count = count;
    console_init(&manifest, all, "k7qd");
}

static void say_as(unsigned vm, const char *text)
{
    for (; *text; text++)
        rings[vm].out[rings[vm].out_put++ % BH_CONSOLE_OUT_BYTES] = (uint8_t)*text;
}

static const char *polled(void)
{
    port_used = 0;
    port[0] = '\0';
    for (unsigned i = 0; i < 10000u && console_poll(); i++)
        ;
    return port;
}

static void test_one(void **state)
{
    (void)state;
    begin(1);
    say_as(0, "login: \033[1mx\033[6n\033]0;t\a\r\n");
    assert_string_equal(polled(), "login: \033[1mx\r\n");
}

/* A VM that says what root would say lacks the mark; root's own words have it, each of them. */
static void test_imitation(void **state)
{
    (void)state;
    begin(2);
    assert_non_null(strstr(polled(), "--- [k7qd] desktop (1 of 2)"));
    say_as(
        1,
        "\r\n--- [abcd] desktop (1 of 2); Ctrl-] switches to the next console ---\r\nPassword: ");
    typed = "\x1d";
    assert_ptr_equal(strstr(polled(), "\r\n--- [k7qd] browser (2 of 2)"), port);
    assert_null(strstr(strstr(port, "[k7qd]") + 1, "[k7qd]"));
    (void)snprintf(all[1].reason, sizeof(all[1].reason), "vm browser: power-off");
    console_vm_ends(&all[1]);
    assert_non_null(strstr(polled(), "--- [k7qd] browser has ended: vm browser: power-off ---"));
}

/* Concealed, drawn in lines, on another screen, in the middle of a sequence. */
static void test_hidden(void **state)
{
    (void)state;
    begin(2);
    (void)polled();
    say_as(0, "\033[8m\033[?1049h\016\033[2;3r half: \033[3");
    (void)polled();
    all[1].state = VM_STOPPED;
    console_vm_ends(&all[1]);
    (void)polled();
    assert_memory_equal(port, terminal_reset, strlen(terminal_reset));
    assert_memory_equal(port + strlen(terminal_reset), "\r\n--- [k7qd] browser has ended", 30);
    /* It goes on where it was; the next note needs no reset. */
    say_as(0, "1m");
    assert_string_equal(polled(), "\033[31m");
    terminal.styled = false;
    console_vm_ends(&all[1]);
    assert_ptr_equal(strstr(polled(), "\r\n--- [k7qd]"), port);
}

/* A port that takes one byte at a time: no note and no line of the log in the middle of a sequence.
 */
static void test_whole(void **state)
{
    (void)state;
    begin(2);
    (void)polled();
    say_as(0, "\033[38;2;1;2;3m");
    (void)take_output(&all[0]);
    for (unsigned taken = 1; taken < 13; taken++) {
        kept[0].sent = kept[0].put - 13u;
        port_used = 0;
        for (unsigned i = 0; i < taken; i++) (void)send_some(1);
        console_interrupted();
        assert_memory_equal(port, "\033[38;2;1;2;3m", 13);
        assert_string_equal(port + 13, terminal_reset);
    }
    /* Root's own words have colours, too. */
    manifest.vms[1].colour = MANIFEST_COLOUR_RED;
    all[1].state = VM_STOPPED;
    console_vm_ends(&all[1]);
    for (unsigned taken = 0; note_sent != note_len; taken++) {
        note_sent = 0;
        port_used = 0;
        for (unsigned i = 0; i < taken; i++) (void)send_some(1);
        console_interrupted();
        assert_non_null(strstr(port, "--- [k7qd] \033[0;1;31mbrowser\033[0m has ended: "));
        assert_int_equal(note_sent, note_len);
        if (taken < note_len) note_sent = 0;
    }
    manifest.vms[1].colour = MANIFEST_COLOUR_NONE;
    /* Nor is there an end of waiting for a port that takes nothing. */
    kept[0].sent = kept[0].put - 13u;
    (void)send_some(1);
    port_room = 0;
    console_interrupted();
}

/* One that never stops talking does not keep root; another's words are not lost behind it. */
static void test_flood(void **state)
{
    (void)state;
    begin(2);
    for (unsigned i = 0; i < 1000u; i++) {
        say_as(1, "\033]52;c;ZXZpbA==\a0123456789abcdef");
        if (i % 100u == 0) (void)console_poll();
    }
    rings[0].out_put =
        rings[0].out_get + BH_CONSOLE_OUT_BYTES + 1u; /* a broken ring counts as empty */
    say_as(1, "end");
    (void)polled();
    assert_null(strstr(port, "desktop\r"));
    typed = "\x1d";
    (void)polled();
    assert_null(strchr(port, '\a'));
    assert_string_equal(port + port_used - 3, "end");
}

/* A port that takes nothing while many VMs end: each note is whole or left out, and what a VM says
 * then does not end a sequence of root's or stand behind its mark. */
static void test_full(void **state)
{
    (void)state;
    for (unsigned length = 0; length < 120u; length++) {
        char *at;

        begin(2);
        (void)polled();
        manifest.vms[1].colour = MANIFEST_COLOUR_RED;
        all[1].state = VM_CRASHED;
        memset(all[1].reason, 'x', 100u + length);
        port_room = 0;
        for (unsigned i = 0; i < 100u; i++) console_vm_ends(&all[1]);
        port_room = 16;
        say_as(0, "6n");
        (void)polled();
        for (at = port; strncmp(at, "\r\n--- [k7qd] ", 13) == 0;) {
            at = strstr(at + 2, " has ended: ");
            assert_non_null(at);
            at = strstr(at, " ---\r\n");
            assert_non_null(at);
            at += 6;
        }
        assert_string_equal(at, "6n");
        assert_true(port_used > NOTE_BYTES / 2u);
    }
    manifest.vms[1].colour = MANIFEST_COLOUR_NONE;
}

/* VMs without a console are not among them: nothing of theirs is shown, nothing reaches them, and
 * they wait for nobody. */
static void test_none(void **state)
{
    (void)state;
    begin(3);
    manifest.vms[0].console = MANIFEST_CONSOLE_NONE;
    console_init(&manifest, all, "k7qd");
    note_len = note_sent = 0;
    announce();
    assert_non_null(strstr(polled(), "] browser (1 of 2)"));
    for (unsigned i = 0; i < 3; i++) say_as(i, i == 0 ? "secret" : i == 1 ? "one" : "two");
    typed = "a";
    assert_string_equal(polled(), "one");
    typed = "\x1d";
    assert_null(strstr(polled(), "secret"));
    assert_non_null(strstr(port, "] server (2 of 2)"));
    assert_non_null(strstr(port, "two"));
    typed = "b\x1d";
    (void)polled();
    typed = "c";
    assert_string_equal(polled(), "");
    assert_int_equal(rings[0].out_get, rings[0].out_put);
    assert_int_equal(rings[0].in_put, 0);
    assert_memory_equal(rings[1].in, "ac", 2);
    assert_memory_equal(rings[2].in, "b", 1);
    manifest.vms[1].console = manifest.vms[2].console = MANIFEST_CONSOLE_NONE;
    console_init(&manifest, all, "k7qd");
    note_len = note_sent = 0;
    say_as(2, "secret");
    typed = "d\x1d";
    assert_string_equal(polled(), "");
    assert_int_equal(rings[2].out_get, rings[2].out_put);
    assert_int_equal(rings[1].in_put, 2);
}

/* A real line, and all that a VM and its neighbour have left to say when the system ends. */
static void test_slow(void **state)
{
    (void)state;
    begin(2);
    (void)polled();
    port_look_us = 1;
    port_byte_us = 87;
    for (unsigned i = 0; i < 1600u; i++) {
        say_as(0, "desktop 0123456\n");
        say_as(1, "browser 0123456\n");
        for (unsigned k = 0; k < 2u; k++) (void)take_output(&all[k]);
    }
    say_as(0, "last");
    say_as(1, "the end");
    port_used = 0;
    console_end();
    assert_true(port_used > 2u * 1600u * 16u);
    assert_non_null(strstr(port, "last\r\n--- [k7qd] browser, not shown until now"));
    assert_string_equal(port + port_used - 7, "the end");
    assert_int_equal(told, 0);

    /* The words of a VM that ends come before root's, as long as they do not take long. */
    begin(2);
    (void)polled();
    port_look_us = 1;
    port_byte_us = 87;
    for (unsigned i = 0; i < 256u; i++) say_as(0, "desktop 0123456\n");
    all[0].state = VM_STOPPED;
    console_vm_ends(&all[0]);
    assert_string_equal(port + port_used - 8, "0123456\n");
    assert_non_null(strstr(polled(), "--- [k7qd] desktop has ended"));
    for (unsigned i = 0; i < 1600u; i++) {
        say_as(0, "desktop 0123456\n");
        (void)take_output(&all[0]);
    }
    const uint64_t begun = now_us;
    console_vm_ends(&all[0]);
    assert_in_range(now_us - begun, VM_END_MS * 1000u, VM_END_MS * 1100u);
}

/* Nor is there an end of waiting for a line that is held, or far too slow: root says so. */
static void test_stuck(void **state)
{
    static const unsigned byte_us[] = {1000000000, 3000};

    (void)state;
    for (unsigned i = 0; i < 2u; i++) {
        begin(2);
        (void)polled();
        port_look_us = 1;
        port_byte_us = byte_us[i];
        for (unsigned n = 0; n < 1600u; n++) {
            say_as(0, "desktop 0123456\n");
            (void)take_output(&all[0]);
        }
        const uint64_t begun = now_us;
        console_end();
        assert_in_range(now_us - begun, STUCK_MS * 1000u, END_MS * 1100u);
        assert_int_equal(told, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),    cmocka_unit_test(test_imitation),
        cmocka_unit_test(test_hidden), cmocka_unit_test(test_whole),
        cmocka_unit_test(test_flood),  cmocka_unit_test(test_full),
        cmocka_unit_test(test_none),   cmocka_unit_test(test_slow),
        cmocka_unit_test(test_stuck),
    };

    return cmocka_run_group_tests(tests, map_info, NULL);
}
