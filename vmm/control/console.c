/*
 * A VM's console on this terminal, or with a script's input. Polls: each request types what has
 * come and takes what the VM has said, and between two the line is free for another bhctl. May
 * call: link.c, the terminal.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "bhctl.h"
#include "terminal.h"

#define KEY_DETACH 0x1c /* control and backslash; Ctrl-] and Ctrl-A are make run's */
#define POLL_MS    50
#define QUIET_MS   1000u /* a script's input has ended, and the VM says nothing more */
#define TYPE_MAX   256u

static struct termios before;

static void terminal_back(void) { (void)tcsetattr(0, TCSADRAIN, &before); }

static bool terminal_raw(void)
{
    struct termios t;

    if (!isatty(0) || tcgetattr(0, &before) != 0) return false;
    t = before;
    cfmakeraw(&t);
    if (tcsetattr(0, TCSADRAIN, &t) != 0) return false;
    (void)atexit(terminal_back);
    return true;
}

static struct view {
    uint32_t from, taken;
    uint32_t said; /* bytes, of the last answer */
    uint8_t bytes[BH_WIRE_PAYLOAD_BYTES];
} view;

static struct {
    struct bh_wire_console head;
    uint8_t typed[TYPE_MAX];
} request;

static bool said_part(void *ctx, const uint8_t *payload, uint32_t bytes)
{
    struct view *v = ctx;
    struct bh_wire_said s;

    if (bytes < sizeof(s)) return false;
    memcpy(&s, payload, sizeof(s));
    v->from = s.next;
    v->taken = s.taken;
    v->said = bytes - (uint32_t)sizeof(s);
    memcpy(v->bytes, payload + sizeof(s), v->said);
    return true;
}

/* @return bytes that are still to be typed */
static uint32_t exchange(const struct options *o, const char *vm, uint32_t typed)
{
    request.head = (struct bh_wire_console){.from = view.from};
    link_open(o);
    link_ask(BH_WIRE_CONSOLE, vm, &request, (uint32_t)sizeof(request.head) + typed, said_part,
             &view);
    link_close();
    if (view.taken > typed) die(EXIT_BAD_LINK, "the running system's answer makes no sense");
    typed -= view.taken;
    memmove(request.typed, request.typed + view.taken, typed);
    return typed;
}

/* A VM must not do to this terminal what it may not do to the one that root shows it on. */
static struct terminal terminal;

static void show_on_terminal(void)
{
    for (uint32_t i = 0; i < view.said; i++) {
        uint8_t out[TERMINAL_HELD_BYTES];

        (void)fwrite(out, 1, terminal_put(&terminal, view.bytes[i], out), stdout);
    }
}

static void terminal_right(void)
{
    if (terminal.styled) (void)fputs(terminal_reset, stdout);
    (void)fflush(stdout);
}

static void show(const struct options *o)
{
    static bool begun;

    if (!o->json && isatty(1)) {
        if (!begun) (void)atexit(terminal_right);
        begun = true;
        show_on_terminal();
        (void)fflush(stdout);
        return;
    }
    if (!o->json) {
        (void)fwrite(view.bytes, 1, view.said, stdout);
        (void)fflush(stdout);
        return;
    }
    for (uint32_t i = 0; i < view.said; i++) /* the inside of a JSON string */
        if (view.bytes[i] == '"' || view.bytes[i] == '\\')
            printf("\\%c", view.bytes[i]);
        else if (view.bytes[i] < 0x20 || view.bytes[i] > 0x7e)
            printf("\\u%04x", view.bytes[i]);
        else
            putchar(view.bytes[i]);
}

enum { KEYS_NONE = 0, KEYS_END = -1, KEYS_LEAVE = -2 };

/* Wait for keys, but not for long. @return how many there are, or KEYS_* */
static int keys(uint8_t *to, size_t room, bool raw)
{
    struct pollfd p = {.fd = 0, .events = POLLIN};
    ssize_t n;

    if (room == 0 || poll(&p, 1, POLL_MS) <= 0) return KEYS_NONE;
    n = read(0, to, room);
    if (n <= 0) return KEYS_END;
    return raw && memchr(to, KEY_DETACH, (size_t)n) ? KEYS_LEAVE : (int)n;
}

void verb_console(const struct options *o, int argc, char **argv)
{
    uint64_t quiet_ms = 0, quiet_end = o->timeout_ms ? o->timeout_ms : QUIET_MS;
    uint32_t typed = 0;
    bool open = true, raw = terminal_raw();

    (void)argc;
    if (raw) fprintf(stderr, "bhctl: console of %s; Ctrl-\\ leaves it\r\n", argv[0]);
    if (o->json) putchar('"');
    while (open || typed != 0 || quiet_ms < quiet_end) {
        int n = open ? keys(request.typed + typed, TYPE_MAX - typed, raw) : KEYS_NONE;

        if (n == KEYS_LEAVE || (n == KEYS_END && raw)) break;
        if (n == KEYS_END) open = false;
        if (n > 0) typed += (uint32_t)n;
        if (!open) (void)usleep(POLL_MS * 1000u);
        typed = exchange(o, argv[0], typed);
        quiet_ms = view.said != 0 || open ? 0 : quiet_ms + POLL_MS;
        show(o);
    }
    if (o->json) putchar('"');
    if (raw) fprintf(stderr, "\r\nbhctl: left the console of %s; the VM goes on\r\n", argv[0]);
}
