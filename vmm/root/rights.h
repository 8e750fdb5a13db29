/*
 * Who may ask for what. Every request goes through here, whichever way it has come; today that is
 * the host's line alone, a VM's channel will be another subject. May call: nothing.
 */
#ifndef VMM_ROOT_RIGHTS_H
#define VMM_ROOT_RIGHTS_H

#include <stdbool.h>
#include "manifest.h"
#include "vm.h"

/** Somebody who asks. */
struct subject {
    const char *name; /* in audit records */
    const char *rule; /* the property of the manifest that says what it may: in refusals */
    uint32_t may;     /* enum manifest_may, of every VM and of the system */
};

/** @param right one bit of enum manifest_may
 *  @param vm whom it is about, NULL: the system
 *  @return NULL: it may; else the name of the rule that refuses it */
const char *rights_refuse(const struct subject *s, uint32_t right, const struct vm *vm);

/** The word for a right in a manifest. */
const char *rights_word(uint32_t right);

#endif
