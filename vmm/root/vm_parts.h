/*
 * What the files of a VM's life share: vm_size.c how much it takes, vm_start_block.c what its
 * monitor is told, vm_make.c making it and taking it back, vm_end.c how it has ended, vm.c the
 * states. Nobody else includes this. May call: capabilities, images, log.
 */
#ifndef VMM_ROOT_VM_PARTS_H
#define VMM_ROOT_VM_PARTS_H

#include "caps.h"
#include "images.h"
#include "layout.h"
#include "vm.h"

#define MIB 0x100000ull

/* Exit status of the system when a VM did not end by itself; documented in README. */
enum { STATUS_STOPPED = 123, STATUS_IMAGE = 122 };

/* Page offsets in the frame shared with the monitor. */
enum {
    SHARED_START = 0,
    SHARED_REPORT = 1,
    SHARED_CONSOLE = 2,
    SHARED_CONTROL = SHARED_CONSOLE + BH_CONSOLE_PAGES,
    SHARED_CHANNEL = SHARED_CONTROL + BH_CONTROL_PAGES, /* if it has one */
    SHARED_PIECES = SHARED_CHANNEL + BH_CONSOLE_PAGES,  /* if it is elastic */
    SHARED_PAGES = SHARED_PIECES + BH_PIECES_PAGES
};

_Static_assert(SHARED_PAGES *PAGE <= ROOT_SHARED_BYTES, "window of one VM");

static inline unsigned log2_up(uint64_t n)
{
    unsigned bits = 0;

    while (((uint64_t)1 << bits) < n) bits++;
    return bits;
}

static inline uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1u) / to * to; }

/** Does its guest have a control channel? */
static inline bool vm_has_channel(const struct manifest_vm *c) { return c->may_texts.text != NULL; }

static inline uint64_t vm_shared_pages(const struct manifest_vm *c)
{
    return vm_elastic(c) ? SHARED_PAGES : vm_has_channel(c) ? SHARED_PIECES : SHARED_CHANNEL;
}

/* ---- vm_size.c ---- */

/** Memory of a disk's own; 0: it is only read. */
uint64_t vm_disk_bytes(const struct manifest_disk *d);
/** What the VM's devices need beside RAM; see bh_monitor_start. */
uint64_t vm_device_bytes(const struct manifest_vm *c);
/** Guest RAM that is in its Frame: all of it, or what no other ever has. */
uint64_t vm_own_ram_bytes(const struct manifest_vm *c);
/** The Frame of that and of device memory, each from a 2 MiB boundary on. */
uint64_t vm_ram_frame_bytes(const struct manifest_vm *c);
/** Where its monitor sees all RAM and device memory. */
uint64_t vm_ram_window_bytes(const struct manifest_vm *c);
/** Pages of the VM's own untyped. */
uint64_t vm_own_pages(const struct manifest_vm *c);
/** Where the VM may be saved to: a Frame apart, which outlives it. */
uint64_t vm_store_bytes(const struct manifest_vm *c);
/** The files that its monitor sees, placed behind its memory. */
struct images vm_find_images(const struct manifest_vm *c);
/** Where its monitor sees the store: behind the images, with a large page between. */
uint64_t vm_store_va(const struct images *m);
/** Where its monitor sees the boxes of its wires: behind the store, from a 2 MiB boundary on. */
uint64_t vm_wires_va(const struct images *m, const struct manifest_vm *c);
uint64_t vm_hostspace_pages(const struct images *m, const struct manifest_vm *c);
uint64_t vm_guestspace_pages(const struct manifest_vm *c);
/** Page tables among the pages of both spaces: all but two headers and the save areas. */
uint64_t vm_table_pages(uint64_t host_pages, uint64_t guest_pages);

/** Pages of kernel memory for its objects, what is lost by alignment included. */
uint64_t vm_kernel_pages(const struct manifest_vm *c);
/** Slots of root's CNode. */
uint64_t vm_slots(const struct manifest_vm *c);

/* ---- vm_start_block.c ---- */

/** Write down for the monitor what it is to be. */
void vm_fill_start(struct vm *vm, const struct images *m);

/* ---- vm_make.c ---- */

/** Slot @what of vCPU @n. */
uint64_t vcpu_slot(const struct vm *vm, unsigned n, enum vcpu_slot what);
/** Where thread and vCPU @n live. */
unsigned vcpu_cpu(const struct vm *vm, unsigned n);
/** Say what has failed. @return whether it has */
bool vm_failed(const struct vm *vm, const char *what, uint64_t err);
/** The slots that a VM has for good. @return false: said why */
bool vm_make_slots(struct vm *vm);
/** Make all its objects and start its threads. @return false: said why; what is there is for vm_take_back() */
bool vm_make(struct vm *vm);
/** Everything that was made goes; memory is clean again. */
void vm_take_back(struct vm *vm);

/* ---- vm_end.c ---- */

/** Has it ended? Then its record is written, its status and reason are set. */
bool vm_has_ended(struct vm *vm, bool faulted);

#endif
