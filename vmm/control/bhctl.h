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

/** Exit statuses; stable, documented in docs/BHCTL.md. */
enum {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,
    EXIT_USAGE = 2,
    EXIT_NO_LINK = 3,
    EXIT_BAD_LINK = 4,
    EXIT_FORBIDDEN = 5,
};

/** What is the same for all verbs. */
struct options {
    const char *socket; /* NULL: found by link_open() */
    bool json;
    unsigned delay_ms;           /* between keys */
    uint64_t timeout_ms;         /* stop, restart: until a VM is killed; 0: the manifest's */
    uint64_t interval_ms, count; /* top; count 0: until it is interrupted */
    uint64_t from;               /* audit: first record */
    bool follow;
};

/* ---- main.c ---- */

/** Print what went wrong and end. With --json also as an object on stdout, for which @word says
 *  what kind of thing it is, and @rule (or NULL) which rule of the manifest has refused it. */
__attribute__((noreturn, format(printf, 4, 5))) void
die_of(int status, const char *word, const char *rule, const char *format, ...);
/** The same, the word being that of the exit status. */
__attribute__((noreturn, format(printf, 2, 3))) void die(int status, const char *format, ...);
/** A string as JSON, quotes included. */
void json_string(const char *text);

/* ---- link.c ---- */

/** Connect, or die with EXIT_NO_LINK. */
void link_open(const struct options *o);

/** Let another bhctl have the line for a while; link_open() takes it again. */
void link_close(void);

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
/** A status for programs. */
const char *link_status_name(uint32_t status);
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

typedef void verb_run(const struct options *o, int argc, char **argv);

struct verb {
    const char *name, *arguments, *help;
    int min_args, max_args; /* beyond the name */
    verb_run *run;
    const char *options;  /* of its own, as in "--timeout=S"; "" */
    const char *details;  /* what there is to know; whole lines, may be empty */
    const char *examples; /* one line each */
    const char *result;   /* with --json: what "result" is */
};

/* screen.c */
verb_run verb_screenshot, verb_text;
/* store.c */
verb_run verb_save, verb_restore;
/* vms.c */
verb_run verb_list, verb_start, verb_stop, verb_kill, verb_restart, verb_pause, verb_resume,
    verb_shutdown;
/* status.c */
verb_run verb_status, verb_version;
/* top.c */
verb_run verb_stats, verb_top;
/* audit.c */
verb_run verb_audit;
/* manifest.c */
verb_run verb_manifest;
/* console.c */
verb_run verb_console;

/** Is there a NUL in a text of the wire, and nothing before it but printable ASCII? It goes to
 *  terminals. */
bool text_ends(const char *text, size_t room);
/** "96 MiB", or "64/96 MiB" when others have some of it. */
void memory_words(char *text, size_t room, uint64_t has_mib, uint64_t most_mib);
/** The list of VMs: as a table, or as a JSON array. */
void list_vms(const struct options *o);
/** Words for enum bh_wire_vm_state. */
extern const char *const state_words[BH_WIRE_VM_STATES];

/* ---- help.c ---- */

void help_all(void);
void help_verb(const struct verb *v);
/** The man page (troff), and what bash completes, from the table of verbs. */
void help_man(void);
void help_completion(void);

/** Ended by a NULL name. */
extern const struct verb verbs[];

#endif
