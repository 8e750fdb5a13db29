/*
 * From text to keys: which keys of a US keyboard give a character, and names for the others.
 * Calls nothing. Usages: USB HID Usage Tables 1.12, page 7.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bhctl.h"

#define NAME_MAX_CHARS 64u
#define LEFT_SHIFT     0xe1u

static const struct {
    const char *name;
    uint8_t usage;
} names[] = {
    {"enter", 0x28}, {"esc", 0x29},    {"backspace", 0x2a}, {"tab", 0x2b},   {"space", 0x2c},
    {"caps", 0x39},  {"print", 0x46},  {"scroll", 0x47},    {"pause", 0x48}, {"insert", 0x49},
    {"home", 0x4a},  {"pageup", 0x4b}, {"del", 0x4c},       {"end", 0x4d},   {"pagedown", 0x4e},
    {"right", 0x4f}, {"left", 0x50},   {"down", 0x51},      {"up", 0x52},    {"num", 0x53},
    {"menu", 0x65},  {"ctrl", 0xe0},   {"shift", 0xe1},     {"alt", 0xe2},   {"super", 0xe3},
    {"rctrl", 0xe4}, {"rshift", 0xe5}, {"altgr", 0xe6},     {"f1", 0x3a},    {"f2", 0x3b},
    {"f3", 0x3c},    {"f4", 0x3d},     {"f5", 0x3e},        {"f6", 0x3f},    {"f7", 0x40},
    {"f8", 0x41},    {"f9", 0x42},     {"f10", 0x43},       {"f11", 0x44},   {"f12", 0x45},
    {"lt", 0x36},    {"minus", 0x2d},
};
#define NAMES (sizeof(names) / sizeof(names[0]))

void keys_help(void)
{
    int column = 2;

    fputs("  a letter, digit or sign, or:", stdout);
    column = 30;
    for (size_t i = 0; i < NAMES; i++) {
        if (column > 84) column = printf("\n   ");
        column += printf(" %s", names[i].name);
    }
    puts("\n  as in 'ls<enter>', '<ctrl-alt-del>'; << is the sign itself. The mouse: <move:DX,DY> "
         "(right and\n  up, -999 to 999), <wheel:N> (down), <click>, <rightclick>, <middleclick>");
}

/* The key for a character; whether with Shift. 0: none. */
static uint8_t usage_of(char c, bool *shift)
{
    static const char plain[] = "1234567890\0\0\0\t -=[]\\\0;'`,./";
    static const char shifted[] = "!@#$%^&*()\0\0\0\0 _+{}|\0:\"~<>?";

    *shift = false;
    if (c >= 'a' && c <= 'z') return (uint8_t)(0x04 + (c - 'a'));
    if (c >= 'A' && c <= 'Z') {
        *shift = true;
        return (uint8_t)(0x04 + (c - 'A'));
    }
    if (c == '\n' || c == '\r') return 0x28;
    if (c == '\0') return 0;
    for (size_t i = 0; i < sizeof(plain) - 1u; i++) {
        if (plain[i] != c && shifted[i] != c) continue;
        *shift = plain[i] != c;
        return (uint8_t)(0x1e + i);
    }
    return 0;
}

static bool add(struct stroke *s, struct bh_input event)
{
    if (s->count == sizeof(s->events) / sizeof(s->events[0])) return false;
    s->events[s->count++] = event;
    return true;
}

/* All keys down in their order, and up in the reverse. */
static bool press(struct stroke *s, const uint8_t *usages, unsigned n)
{
    for (unsigned i = 0; i < 2u * n; i++) {
        bool down = i < n;
        uint8_t usage = usages[down ? i : 2u * n - 1u - i];

        if (!add(s, (struct bh_input){.kind = BH_INPUT_KEY, .code = usage, .down = down}))
            return false;
    }
    return true;
}

static bool character(struct stroke *s, char c)
{
    uint8_t usages[2] = {LEFT_SHIFT, 0};
    bool shift;

    usages[1] = usage_of(c, &shift);
    return usages[1] != 0 && press(s, usages + !shift, shift ? 2u : 1u);
}

static bool click(struct stroke *s, uint8_t buttons)
{
    return add(s, (struct bh_input){.kind = BH_INPUT_MOUSE, .buttons = buttons}) &&
           add(s, (struct bh_input){.kind = BH_INPUT_MOUSE});
}

static bool mouse(struct stroke *s, const char *name)
{
    int x, y, end = 0;

    if (strcmp(name, "click") == 0) return click(s, 1);
    if (strcmp(name, "rightclick") == 0) return click(s, 2);
    if (strcmp(name, "middleclick") == 0) return click(s, 4);
    if (sscanf(name, "move:%4d,%4d%n", &x, &y, &end) == 2 && name[end] == '\0')
        return add(s,
                   (struct bh_input){.kind = BH_INPUT_MOUSE, .dx = (int16_t)x, .dy = (int16_t)y});
    if (sscanf(name, "wheel:%4d%n", &x, &end) == 1 && end != 0 && name[end] == '\0')
        return add(s, (struct bh_input){.kind = BH_INPUT_MOUSE, .wheel = (int16_t)x});
    return false;
}

static uint8_t named(const char *name)
{
    bool shift;

    for (size_t i = 0; i < NAMES; i++)
        if (strcmp(names[i].name, name) == 0) return names[i].usage;
    return strlen(name) == 1 ? usage_of(name[0], &shift) : 0;
}

/* What stands between < and >. */
static bool chord(struct stroke *s, char *name)
{
    uint8_t usages[8];
    unsigned n = 0;

    if (mouse(s, name)) return true;
    for (char *part = strtok(name, "-"); part != NULL; part = strtok(NULL, "-")) {
        if (n == sizeof(usages) || (usages[n] = named(part)) == 0) return false;
        n++;
    }
    return n != 0 && press(s, usages, n);
}

bool keys_next(const char **text, struct stroke *s)
{
    char name[NAME_MAX_CHARS];
    const char *end = strchr(*text, '>');
    size_t length;

    s->count = 0;
    if (**text != '<' || (*text)[1] == '<') {
        char c = **text;

        *text += c == '<' ? 2 : 1;
        return character(s, c);
    }
    if (end == NULL) return false;
    length = (size_t)(end - *text) - 1u;
    if (length >= sizeof(name)) return false;
    memcpy(name, *text + 1, length);
    name[length] = '\0';
    if (!chord(s, name)) return false;
    *text = end + 1;
    return true;
}
