/*
 * What the parts of bhctl share. bhctl runs on the machine that started the emulator (or has the
 * other end of the serial line): libc, no privileges. May call: the socket. Believes what root
 * says only after checking it.
 */
#ifndef VMM_CONTROL_BHCTL_H
#define VMM_CONTROL_BHCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bulkhead/wire.h"

/** Exit statuses; documented in README. */
enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_NO_LINK = 3, EXIT_BAD_LINK = 4 };

/** What is the same for all verbs. */
struct options {
    const char *socket; /* NULL: found by link_open() */
    bool json;
    unsigned delay_ms; /* between keys */
};

/* ---- main.c ---- */

/** Print what went wrong and end. */
__attribute__((noreturn, format(printf, 2, 3))) void die(int status, const char *format, ...);
/** A string as JSON, quotes included. */
void json_string(const char *text);

/* ---- link.c ---- */

/** Connect, or die with EXIT_NO_LINK. */
void link_open(const struct options *o);

/** Takes one part of an answer. @return false: it makes no sense */
typedef bool link_part(void *ctx, const uint8_t *payload, uint32_t bytes);

/**
 * Ask root, and hand each part of the answer to @part (NULL: there should be none).
 * @param vm name, or NULL for a verb that is of no VM; @payload follows it
 * Dies when root refuses (EXIT_REFUSED, in words), does not answer or speaks nonsense
 * (EXIT_BAD_LINK).
 */
void link_ask(enum bh_wire_verb verb, const char *vm, const void *payload, uint32_t bytes,
              link_part *part, void *ctx);

/** The same without dying of a refusal. @return enum bh_wire_status, or one of a newer root's */
uint32_t link_try(enum bh_wire_verb verb, const char *vm, const void *payload, uint32_t bytes,
                  link_part *part, void *ctx);
/** Die of a refusal, in words. */
__attribute__((noreturn)) void link_refused(uint32_t status, const char *vm);

/* ---- png.c ---- */

/** A PNG file in memory, to be freed. @param rgb width * height * 3 bytes */
uint8_t *png_make(const uint8_t *rgb, uint32_t width, uint32_t height, size_t *size);

/* ---- keys.c ---- */

/** Events of one key or click: pressed and let go. */
struct stroke {
    struct bh_input events[16];
    unsigned count;
};

/**
 * The next stroke of a text, e.g. "a", "<enter>", "<ctrl-alt-del>", "<move:3,-4>".
 * @param text moved on behind it
 * @return false: the text begins with something that no key stands for
 */
bool keys_next(const char **text, struct stroke *s);
/** Names that may stand between < and >, for --help. */
void keys_help(void);

/* ---- verbs.c ---- */

struct verb {
    const char *name, *arguments, *help;
    int min_args, max_args; /* beyond the name */
    void (*run)(const struct options *o, int argc, char **argv);
};

/* screen.c */
void verb_screenshot(const struct options *o, int argc, char **argv);
void verb_text(const struct options *o, int argc, char **argv);

/** Ended by a NULL name. */
extern const struct verb verbs[];

#endif
