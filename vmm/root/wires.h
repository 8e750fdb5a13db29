/*
 * Wires between VMs (bulkhead/wire_ring.h): their boxes, which are made once and outlive the VMs,
 * and what each monitor is told and given of them: its own box to write, the peer's to read, the
 * peer's notification to signal. May call: capabilities, VMs' slots, the log.
 */
#ifndef VMM_ROOT_WIRES_H
#define VMM_ROOT_WIRES_H

#include <stdbool.h>
#include <stdint.h>
#include "manifest.h"
#include "vm.h"

/** Memory that the boxes of all wires take. */
uint64_t wires_memory_bytes(const struct manifest *m);
/** Addresses that a VM's ends of wires take in its monitor's space. */
uint64_t wires_window_bytes(const struct manifest_vm *config);

/** Make the boxes. @param vms those of the manifest, kept @return false: no memory, said why */
bool wires_make(const struct manifest *m, struct vm *vms);

/** Of card @n of a VM: the wire's name, and the VM at its other end. */
const char *wires_name(const struct vm *vm, unsigned n);
const struct vm *wires_peer(const struct vm *vm, unsigned n);

/** While a VM is made: attach and map the boxes from @va on. @return false: said why */
bool wires_map(struct vm *vm, uint64_t va);
/** And tell its monitor. */
void wires_fill_start(struct vm *vm, uint64_t va);
/** The VM runs: it and its peers can signal each other; the peers are told. */
void wires_up(struct vm *vm);
/** It does not run any more: its peers are told. */
void wires_down(struct vm *vm);
/** Take the attachments back, wipe the VM's boxes. @return BH_OK or the kernel's error */
uint64_t wires_unmap(struct vm *vm);

#endif
