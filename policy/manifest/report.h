/*
 * Error lines of the manifest checker: built in a fixed buffer, without printf, cut when too long.
 * Bytes that are not printable ASCII become '?', so that a blob cannot write to a terminal.
 * May call: nothing. Never allocates.
 */
#ifndef POLICY_MANIFEST_REPORT_H
#define POLICY_MANIFEST_REPORT_H

#include "manifest.h"

#define REPORT_LINE_BYTES 512u

struct report {
    const struct manifest_env *env;
    unsigned errors;
    size_t length;
    char line[REPORT_LINE_BYTES];
};

/** Begin a line: "file: /parent/node: property: ". NULL parts are left out. */
void report_begin(struct report *r, const char *parent, const char *node, const char *property);
void report_text(struct report *r, const char *text);
void report_number(struct report *r, uint64_t value);
/** Add " [rule]", hand the line to the callback, count it. */
void report_end(struct report *r, enum manifest_rule_id rule);

#endif
