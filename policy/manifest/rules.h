/*
 * The cross checks of a parsed manifest: one function per rule, run in the order of the table.
 * May call: report.h. Never reads the blob other than through the parsed strings.
 */
#ifndef POLICY_MANIFEST_RULES_H
#define POLICY_MANIFEST_RULES_H

#include "report.h"

/** Room for the path of a VM's disks with a NUL; the VM's name is cut to what it may have. */
#define MANIFEST_DISK_PATH_BYTES 48u
/** "/vms/NAME/disks/": what stands in front of a disk in an error. */
void manifest_disk_path(char path[MANIFEST_DISK_PATH_BYTES], const char *vm);

/** "/wires/": what stands in front of a wire in an error. */
extern const char manifest_wires_path[];
/** The rules of wires; finds out which VMs their ends are (wires.c). */
void manifest_check_wires(struct report *r, struct manifest *m);

/** A property of /images, as it is read (digests.c); then the rules of all of them. */
void manifest_parse_digest(struct report *r, struct manifest *m, const char *name,
                           const char *value, int length);
void manifest_check_digests(struct report *r, struct manifest *m);

/** Place vCPUs on CPUs where the manifest leaves that open, then check every cross rule. */
void manifest_check(struct report *r, struct manifest *m);

/** order.c: who is started after whom, and again. */
void manifest_check_order(struct report *r, struct manifest *m);
/** may.c: who may control whom. */
void manifest_check_may(struct report *r, struct manifest *m);
/** @return what a word allows, 0: no such word */
uint32_t manifest_may_bits(const char *word, size_t length);
/** Add to a line that a word is none of those for @bits, and which are. */
void manifest_may_unknown(struct report *r, const char *word, size_t length, uint32_t bits);
void manifest_check_restart(struct report *r, struct manifest *m);

#endif
