/* Lines of a manifest's source; see source.h. Device tree source: Devicetree Specification 0.4, 6.
 */
#include "source.h"

#include <stdbool.h>
#include <string.h>

#define PATH_BYTES 256u
#define DEPTH_MAX  16u
#define NAME_BYTES 64u

struct scan {
    const char *text;
    size_t bytes, at;
    unsigned line;
    char path[PATH_BYTES]; /* of the node around; "" outside of all */
    size_t length[DEPTH_MAX + 1u];
    unsigned depth, lost;  /* lost: nodes too deep, or of too long a name, that are open */
    char name[NAME_BYTES]; /* the last one, and its line */
    unsigned name_line;
};

static bool ends(const struct scan *s) { return s->at >= s->bytes; }

static char look(const struct scan *s, size_t ahead)
{
    return s->at + ahead < s->bytes ? s->text[s->at + ahead] : '\0';
}

static void step(struct scan *s)
{
    if (s->text[s->at++] == '\n') {
        s->line++;
    }
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr(",._+*#?@-&", c) != NULL);
}

/* Comments and strings, whole. @return whether there was one */
static bool skip_opaque(struct scan *s)
{
    if (look(s, 0) == '/' && look(s, 1) == '/') {
        while (!ends(s) && look(s, 0) != '\n') {
            step(s);
        }
        return true;
    }
    if (look(s, 0) == '/' && look(s, 1) == '*') {
        step(s);
        step(s);
        while (!ends(s) && !(look(s, 0) == '*' && look(s, 1) == '/')) {
            step(s);
        }
        for (unsigned i = 0; i < 2 && !ends(s); i++) {
            step(s);
        }
        return true;
    }
    if (look(s, 0) == '"') {
        step(s);
        while (!ends(s) && look(s, 0) != '"') {
            if (look(s, 0) == '\\') {
                step(s);
            }
            if (!ends(s)) {
                step(s);
            }
        }
        if (!ends(s)) {
            step(s);
        }
        return true;
    }
    return false;
}

static void take_name(struct scan *s)
{
    size_t n = 0;

    s->name_line = s->line;
    while (!ends(s) && is_name(look(s, 0))) {
        if (n + 1 < sizeof(s->name)) {
            s->name[n++] = look(s, 0);
        }
        step(s);
    }
    s->name[n] = '\0';
    if (look(s, 0) == ':') { /* a label: the name follows */
        step(s);
        s->name[0] = '\0';
    }
}

/* The root node's path is "/", in front of others it is nothing. */
static void enter(struct scan *s)
{
    const size_t length = s->depth > 1 ? s->length[s->depth] : 0;
    const size_t more = strlen(s->name);

    if (s->lost != 0 || s->depth == DEPTH_MAX || length + 1 + more >= PATH_BYTES) {
        s->lost++;
        return;
    }
    s->path[length] = '/';
    memcpy(s->path + length + 1, s->name, more + 1);
    s->length[++s->depth] = length + 1 + more;
}

static void leave(struct scan *s)
{
    if (s->lost != 0) {
        s->lost--;
    } else if (s->depth != 0) {
        s->path[s->length[--s->depth]] = '\0';
    }
}

static void skip_value(struct scan *s)
{
    while (!ends(s) && look(s, 0) != ';') {
        if (!skip_opaque(s)) {
            step(s);
        }
    }
}

unsigned source_line(const char *text, size_t bytes, const char *path, const char *property)
{
    struct scan s = {.text = text, .bytes = bytes, .line = 1};
    unsigned node_line = 0;

    while (!ends(&s)) {
        const char c = look(&s, 0);
        if (skip_opaque(&s)) {
            continue;
        }
        if (is_name(c)) {
            take_name(&s);
            continue;
        }
        if (c == '/') { /* the root node, or a directive: /dts-v1/ */
            s.name[0] = '\0';
            s.name_line = s.line;
        } else if (c == '{') {
            enter(&s);
            if (node_line == 0 && s.lost == 0 && strcmp(s.path, path) == 0) {
                node_line = s.name_line;
            }
            s.name[0] = '\0';
        } else if (c == '}') {
            leave(&s);
            s.name[0] = '\0';
        } else if (c == '=' || c == ';') {
            if (property != NULL && s.lost == 0 && s.depth != 0 && strcmp(s.path, path) == 0 &&
                strcmp(s.name, property) == 0) {
                return s.name_line;
            }
            if (c == '=') {
                skip_value(&s);
            }
            s.name[0] = '\0';
        }
        if (!ends(&s)) {
            step(&s);
        }
    }
    return node_line;
}
