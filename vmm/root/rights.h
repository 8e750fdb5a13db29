/*
 * Who may ask for what. Every request goes through here, whichever way it has come: the host's
 * line, or a guest's control channel. What the manifest does not name is refused. May call:
 * nothing.
 */
#ifndef VMM_ROOT_RIGHTS_H
#define VMM_ROOT_RIGHTS_H

#include <stdbool.h>
#include "manifest.h"
#include "vm.h"

/** Somebody who asks. */
struct subject {
    const char *name;     /* in audit records */
    const char *rule;     /* the property of the manifest that says what it may: in refusals */
    uint32_t system;      /* enum manifest_may: about the system */
    uint32_t of[VMS_MAX]; /* and about each VM */
};

/** bhctl on the host's line: the manifest's host-may is about all. */
struct subject rights_host(uint32_t host_may);
/** The guest of a VM: the manifest's property may. */
struct subject rights_guest(const struct manifest_vm *config);

/** @param right one bit of enum manifest_may
 *  @param vm whom it is about, NULL: the system
 *  @return NULL: it may; else the name of the rule that refuses it */
const char *rights_refuse(const struct subject *s, uint32_t right, const struct vm *vm);

/** May it ask this about any VM at all? @return as rights_refuse() */
const char *rights_refuse_all(const struct subject *s, uint32_t right);

/** The word for a right in a manifest. */
const char *rights_word(uint32_t right);

#endif
