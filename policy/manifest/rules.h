/*
 * The cross checks of a parsed manifest: one function per rule, run in the order of the table.
 * May call: report.h. Never reads the blob other than through the parsed strings.
 */
#ifndef POLICY_MANIFEST_RULES_H
#define POLICY_MANIFEST_RULES_H

#include "report.h"

/** Place vCPUs on CPUs where the manifest leaves that open, then check every cross rule. */
void manifest_check(struct report *r, struct manifest *m);

#endif
