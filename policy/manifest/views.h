/*
 * What a right manifest means, for people: in sentences, and as a graph of who reaches whom through
 * what. Part of the host tool only. May call: stdio.
 */
#ifndef POLICY_MANIFEST_VIEWS_H
#define POLICY_MANIFEST_VIEWS_H

#include <stdbool.h>
#include "manifest.h"

/** A bit for each VM. */
struct vm_set {
    uint64_t word[MANIFEST_VM_WORDS];
};

/** Whom bytes of VM @from get to over wires, VMs on the way passing them on, but for VM @avoid; and
 *  itself. @param avoid MANIFEST_MAX_VMS: no VM is left out */
struct vm_set reached(const struct manifest *m, uint32_t from, uint32_t avoid);

/** All of it, or what concerns one VM. @return false: there is no VM of this name */
bool explain(const struct manifest *m, const char *vm);

/** @param dot as Graphviz source; else as text, an edge a line, and who reaches whom in the end */
void graph(const struct manifest *m, bool dot);

#endif
