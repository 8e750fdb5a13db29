/*
 * Error lines of the manifest checker: built in a fixed buffer, without printf, cut when too long.
 * May call: nothing. Never allocates.
 */
#include "report.h"

/* Room kept for " [longest-rule-name]" and the NUL, so that the rule is never cut off. */
#define REPORT_TAIL_BYTES 40u

static void put(struct report *r, char c, size_t limit)
{
    if (r->length < limit) {
        r->line[r->length++] = (c >= 0x20 && c < 0x7f) ? c : '?';
    }
}

static void put_text(struct report *r, const char *text, size_t limit)
{
    for (; *text != '\0'; text++) {
        put(r, *text, limit);
    }
}

void report_text(struct report *r, const char *text)
{
    put_text(r, text, REPORT_LINE_BYTES - REPORT_TAIL_BYTES);
}

void report_number(struct report *r, uint64_t value)
{
    char digits[20];
    unsigned n = 0;
    do {
        digits[n++] = (char)('0' + (char)(value % 10u));
        value /= 10u;
    } while (value != 0);
    while (n > 0) {
        put(r, digits[--n], REPORT_LINE_BYTES - REPORT_TAIL_BYTES);
    }
}

void report_begin(struct report *r, const char *parent, const char *node, const char *property)
{
    r->length = 0;
    report_text(r, r->env->file != NULL ? r->env->file : "manifest");
    if (r->env->line_of != NULL) {
        const unsigned line = r->env->line_of(r->env->ctx, parent, node, property);
        if (line != 0) {
            report_text(r, ":");
            report_number(r, line);
        }
    }
    report_text(r, ": ");
    if (parent != NULL) {
        report_text(r, parent);
    }
    if (node != NULL) {
        report_text(r, node);
    }
    if (parent != NULL || node != NULL) {
        report_text(r, ": ");
    }
    if (property != NULL) {
        report_text(r, property);
        report_text(r, ": ");
    }
}

void report_end(struct report *r, enum manifest_rule_id rule)
{
    const size_t limit = REPORT_LINE_BYTES - 1u;
    put_text(r, " [", limit);
    put_text(r, manifest_rules[rule].name, limit);
    put_text(r, "]", limit);
    r->line[r->length] = '\0';
    r->errors++;
    if (r->env->report != NULL) {
        r->env->report(r->env->ctx, manifest_rules[rule].name, r->line);
    }
}
