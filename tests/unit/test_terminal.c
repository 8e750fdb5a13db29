// sources: vmm/rt/terminal.c
/*
 * What a VM may say to the user's terminal. What passes and what does not is listed; beyond that, a
 * terminal of its own kind reads what passes of millions of random bytes, and must never be made to
 * answer, to take a string, a mode or a key map, nor be left in the middle of anything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "terminal.h"

static char shown[4096];

static const char *filtered(struct terminal *t, const char *bytes, size_t n)
{
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        uint8_t out[TERMINAL_HELD_BYTES];
        unsigned some = terminal_put(t, (uint8_t)bytes[i], out);

        assert_true(some <= sizeof(out) && at + some < sizeof(shown));
        memcpy(shown + at, out, some);
        at += some;
    }
    shown[at] = '\0';
    return shown;
}

static void expect(const char *said, const char *wanted)
{
    struct terminal t = {.count = 0};

    if (strcmp(filtered(&t, said, strlen(said)), wanted) != 0)
        fail_msg("'%s' shows as '%s'", said, shown);
}

static void test_passes(void **state)
{
    static const char *const same[] = {
        "Debian GNU/Linux\r\n\tlogin: \b \b\a",
        "\033[1;31mred\033[0m \033[38;2;255;128;0m \033[38:5:208m",
        "\033[H\033[2J\033[K\033[10;20H\033[5A\033[1L\033[2P\033[3@\033[1;24r\033[s\033[u",
        "\033[?25l\033[?25h\033[?1049h\033[?1h\033=\033[?1l\033>\033[?7;25l\033[4h\033[4l",
        "\033(0lqqk\033(B\033)0\016x\017",
        "\0337\0338\033D\033E\033M\033H\033c\033[!p",
        "\xc3\xa4 \xe2\x94\x80 \xf0\x9f\x98\x80 \xc2\xa0", /* umlaut, line, emoji, blank */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) expect(same[i], same[i]);
}

static void test_left_out(void **state)
{
    static const char *const gone[] = {
        "\033]0;title\a",                     /* titles ... */
        "\033]52;c;ZXZpbA==\033\\",           /* ... the clipboard ... */
        "\033]4;1;rgb:00/00/00\a",            /* ... colours */
        "\033P$q\"p\033\\",                   /* DECRQSS: answered */
        "\033P+q544e\033\\",                  /* XTGETTCAP: answered */
        "\033_Gi=1;AAAA\033\\",               /* pictures */
        "\033^private\033\\\033Xstart\033\\", /* PM, SOS */
        "\033[6n\033[?6n\033[5n",             /* where is the cursor? */
        "\033[c\033[>c\033[=c\033[0c\033Z",   /* who are you? */
        "\033[21t\033[18t\033[8;2;2t",        /* title, size */
        "\033[1;1;1;1;1;1*y",                 /* DECRQCRA: what is on the screen? */
        "\033[?1000h\033[?1003h\033[?1006h\033[?9h\033[?2026$p", /* mouse; what is a mode? */
        "\033[?1;1000h\033[?1000;1h",                /* one that passes with one that does not */
        "\033[>4;1m\033[>1u\033[=1u\033[20h\033[2h", /* keys */
        "\033[i\033[4i\033[5i",                      /* printing */
        "\033[999999999b",                           /* repeating */
        "\033%@\033%G\033#8\033*0\033+0\033n\033|\033N", /* characters */
        "\x05\x11\x13\x01\x7f",                          /* ENQ is answered */
        "\033[?69h\033[?3h\033[?40h",                    /* sizes */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) expect(gone[i], "");
    /* C1 characters, in one byte or in UTF-8, also not in the shortest form. */
    expect("\x9b"
           "6n",
           "?6n");
    expect("\xc2\x9b"
           "6n",
           "??6n");
    expect("\xe0\x82\x9b"
           "6n",
           "???6n");
    expect("\xc3"
           "A",
           "?A");
    expect("\xc2\033[6nA", "?A");
}

/* What follows is shown, whatever was left open. */
static void test_ends(void **state)
{
    char many[300];
    struct terminal t = {.count = 0};

    (void)state;
    expect("\033]0;no end\r\nlogin: ", "\r\nlogin: ");
    expect("\033P\033]0;a\033[31mred", "\033[31mred");
    expect("\033[1\r\nmore", "\r\nmore");
    expect("\033[3\033[1mx", "\033[1mx");
    expect("\033%GA\033(ZA\033#8A", "AAA");
    memset(many, '1', sizeof(many));
    many[0] = '\033';
    many[1] = '[';
    many[298] = 'm';
    many[299] = 'A';
    assert_string_equal(filtered(&t, many, sizeof(many)), "A");
    /* Half a sequence shows nothing: root's words may come in between. */
    assert_string_equal(filtered(&t, "a\033[3", 4), "a");
    assert_string_equal(filtered(&t, "1mb", 3), "\033[31mb");
}

static void test_styled(void **state)
{
    static const struct {
        const char *said;
        bool styled;
    } of[] = {{"text\r\n", false}, {"\033]0;x\a\033[6n", false},
              {"\033[8m", true},   {"\033(0", true},
              {"\016", true},      {"\033[?1049h", true}};

    (void)state;
    for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
        struct terminal t = {.count = 0};

        (void)filtered(&t, of[i].said, strlen(of[i].said));
        assert_int_equal(t.styled, of[i].styled);
    }
}

/* ---- a terminal that believes everything (ECMA-48; xterm, control sequences) ---- */

enum { GROUND, AFTER_ESC, CSI, TEXT_STRING };

static struct {
    int state;
    char sequence[512];
    unsigned used, utf8_left;
    uint32_t code;
} model;

static void model_csi(uint8_t final)
{
    const char *s = model.sequence;
    bool private = s[0] >= '<' && s[0] <= '?';

    assert_null(strchr("cntxiqyw|}", final));
    if (private) assert_true(s[0] == '?' && (final == 'h' || final == 'l'));
    if (final == 'p') assert_string_equal(s, "!");
    if (final == 'h' || final == 'l') {
        unsigned mode = 0;

        for (const char *c = s + private;; c++) {
            if (*c >= '0' && *c <= '9') {
                mode = mode * 10u + (unsigned)(*c - '0');
                continue;
            }
            assert_true(private ? mode == 1 || mode == 7 || mode == 12 || mode == 25 ||
                                      mode == 47 || (mode >= 1047 && mode <= 1049) || mode == 2004
                                : mode == 4);
            mode = 0;
            if (!*c) break;
        }
    }
}

static void model_code(uint32_t c)
{
    if (c == 0x1b) {
        model.state = AFTER_ESC;
        model.used = 0;
        return;
    }
    assert_true(c != 5 && (c < 0x80 || c > 0x9f));
    switch (model.state) {
    case GROUND: break;
    case AFTER_ESC:
        assert_null(strchr("]PX^_Zno|}~NO%#*+", (int)c)); /* none that answers or stays */
        if (c == '[')
            model.state = CSI;
        else if (c != '(' && c != ')')
            model.state = GROUND;
        break;
    default:
        if (c >= 0x40 && c <= 0x7e) {
            model.sequence[model.used] = '\0';
            model_csi((uint8_t)c);
            model.state = GROUND;
        } else {
            assert_true(c >= 0x20 && model.used < sizeof(model.sequence) - 1u);
            model.sequence[model.used++] = (char)c;
        }
        break;
    }
}

/* UTF-8 by the lax rules of old: what is not in the shortest form counts as well. */
static void model_byte(uint8_t b)
{
    if (model.utf8_left && b >= 0x80 && b <= 0xbf) {
        model.code = model.code << 6 | (b & 0x3fu);
        if (--model.utf8_left == 0) model_code(model.code);
        return;
    }
    model.utf8_left = 0;
    if (b >= 0xc0) {
        model.utf8_left = b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : 1;
        model.code = b & (0x3fu >> model.utf8_left);
        return;
    }
    model_code(b);
}

static uint32_t random_next(void)
{
    static uint64_t x = 88172645463325252ull;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 16);
}

static void test_random(void **state)
{
    static const char often[] =
        "\033\033\033[[[]P_^X?;;:!>=<$\"' 0123456789mhlrncqtpuJ\a\\\x9b\x9d\x90"
        "\xc2\xe0\x80\x82\x1b\x18\r\n()*%#BGABZc78=";
    struct terminal t = {.count = 0};

    (void)state;
    for (unsigned i = 0; i < 3000000u; i++) {
        uint8_t out[TERMINAL_HELD_BYTES];
        uint8_t byte = random_next() % 8u ? (uint8_t)often[random_next() % (sizeof(often) - 1u)]
                                          : (uint8_t)random_next();
        unsigned n = terminal_put(&t, byte, out);

        assert_true(n <= sizeof(out));
        for (unsigned k = 0; k < n; k++) model_byte(out[k]);
        assert_int_equal(model.state, GROUND);
        assert_int_equal(model.utf8_left, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes), cmocka_unit_test(test_left_out), cmocka_unit_test(test_ends),
        cmocka_unit_test(test_styled), cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
