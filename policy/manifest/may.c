/*
 * The rules on who may control whom: a VM's property `may`, texts like "browser: start stop" about
 * a VM and "status" about the system. May call: report.h, memcmp-class functions. Never reads the
 * blob other than through parsed strings.
 */
#include "rules.h"

#include <string.h>

static const char vms_path[] = "/vms/";

uint32_t manifest_may_bits(const char *word, size_t length)
{
    for (const struct manifest_may_word *w = manifest_may_words; w->word != NULL; w++) {
        if (strlen(w->word) == length && memcmp(w->word, word, length) == 0) {
            return w->bits;
        }
    }
    return 0;
}

/* report_text() of a part of a text. */
static void report_part(struct report *r, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        const char one[2] = {text[i], '\0'};
        report_text(r, one);
    }
}

void manifest_may_unknown(struct report *r, const char *word, size_t length, uint32_t bits)
{
    const char *between = "\" is no word for it; choose of";

    report_text(r, "\"");
    report_part(r, word, length);
    for (const struct manifest_may_word *w = manifest_may_words; w->word != NULL; w++) {
        if ((w->bits & bits) != 0) {
            report_text(r, between);
            report_text(r, " ");
            report_text(r, w->word);
            between = "";
        }
    }
}

static void target_error(struct report *r, const struct manifest_vm *vm, const char *name,
                         size_t length, const char *text)
{
    report_begin(r, vms_path, vm->name, "may");
    report_text(r, "\"");
    report_part(r, name, length);
    report_text(r, text);
    report_end(r, RULE_MAY_TARGET);
}

/* The words behind the name, or all of a text without one. @return their bits; 0: reported */
static uint32_t words(struct report *r, const struct manifest_vm *vm, const char *text,
                      uint32_t valid)
{
    uint32_t bits = 0;
    while (*text == ' ') {
        text++;
    }
    do {
        const char *end = strchr(text, ' ');
        const size_t length = end != NULL ? (size_t)(end - text) : strlen(text);
        const uint32_t more = manifest_may_bits(text, length) & valid;
        if (more == 0) {
            report_begin(r, vms_path, vm->name, "may");
            manifest_may_unknown(r, text, length, valid);
            report_text(r, valid == MANIFEST_MAY_SYSTEM
                               ? "; begin with the name of a VM and ':' for what concerns one"
                               : "");
            report_end(r, RULE_MAY_WORDS);
            return 0;
        }
        bits |= more;
        text += length;
        while (*text == ' ') {
            text++;
        }
    } while (*text != '\0');
    return bits;
}

static void about_vm(struct report *r, struct manifest *m, struct manifest_vm *vm, const char *text,
                     size_t name_length)
{
    for (uint32_t i = 0; i < m->vm_count; i++) {
        if (strlen(m->vms[i].name) != name_length ||
            memcmp(m->vms[i].name, text, name_length) != 0) {
            continue;
        }
        if (vm->may[i] != 0) {
            target_error(r, vm, text, name_length, "\" is named twice; merge the two texts");
            return;
        }
        vm->may[i] = words(r, vm, text + name_length + 1, MANIFEST_MAY_ALL & ~MANIFEST_MAY_SYSTEM);
        return;
    }
    target_error(r, vm, text, name_length,
                 "\" is not a VM of this manifest; correct the name, or remove it");
}

void manifest_check_may(struct report *r, struct manifest *m)
{
    uint32_t channels = 0;
    for (uint32_t i = 0; i < m->vm_count; i++) {
        struct manifest_vm *vm = &m->vms[i];
        channels += vm->may_texts.text != NULL ? 1u : 0u;
        if (vm->may_texts.text != NULL && channels == MANIFEST_MAX_CHANNELS + 1u) {
            report_begin(r, vms_path, vm->name, "may");
            report_text(r, "is one control channel too many; give it to 32 VMs at most");
            report_end(r, RULE_MAY_COUNT);
        }
        size_t next; /* a VM without texts has no pointer to count on from */
        for (size_t at = 0; at < vm->may_texts.bytes; at = next) {
            const char *text = vm->may_texts.text + at;
            const char *colon = strchr(text, ':');

            next = at + strlen(text) + 1;
            if (colon != NULL) {
                about_vm(r, m, vm, text, (size_t)(colon - text));
            } else {
                vm->may_system |= words(r, vm, text, MANIFEST_MAY_SYSTEM);
            }
        }
    }
}
