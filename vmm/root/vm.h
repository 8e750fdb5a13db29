/*
 * One VM as root sees it: its capabilities, its monitor, its end.
 * Called on CPU 0; goes to a vCPU's CPU for what lives there.
 * May call: capabilities, on_cpu(), archive, console, log.
 */
#ifndef VMM_ROOT_VM_H
#define VMM_ROOT_VM_H

#include <stdbool.h>
#include <stdint.h>
#include "bulkhead/console.h"
#include "bulkhead/control.h"
#include "bulkhead/monitor.h"
#include "bulkhead/pieces.h"
#include "bulkhead/wire.h"
#include "images.h"
#include "manifest.h"

#define VMS_MAX MANIFEST_MAX_VMS

/* Slots of one VM in root's CNode, from vm.slots on. */
enum vm_slot {
    VS_KUNTYPED,  /* what its kernel objects are made of; kept for good */
    VS_FUNTYPED,  /* what its memory is made of; kept until another VM has it (admit.h) */
    VS_HOSTSPACE, /* from here on: made at start, gone at the end */
    VS_GUESTSPACE,
    VS_CNODE,
    VS_RAM,         /* Frame: guest RAM */
    VS_CODE,        /* Frame: the monitor's image */
    VS_SHARED,      /* Frame: start block, report, console */
    VS_RAM_MONITOR, /* attachments */
    VS_RAM_GUEST,
    VS_CODE_MONITOR,
    VS_SHARED_MONITOR,
    VS_SHARED_ROOT,
    VS_IMAGES_MONITOR, /* of each image */
    VS_IMAGES_END = VS_IMAGES_MONITOR + IMAGES_MAX - 1,
    VS_STORE_MONITOR,
    VS_WIRES, /* attachments: own box and the peer's of wire n at + 2n */
    VS_WIRES_END = VS_WIRES + 2 * BH_MONITOR_WIRES - 1,
    VS_SIGNAL,         /* vCPU 0's notification, badged: console */
    VS_SIGNAL_CONTROL, /* the same, badged: control */
    VS_SIGNAL_LINK,    /* the same, badged: link */
    VS_SIGNAL_STOP,    /* the same, badged: power button */
    VS_SIGNAL_PIECES,  /* the same, badged: pieces */
    VS_WINDOW,         /* attachment of VS_CODE to root while the monitor is loaded */
    VS_FAULT,          /* root's notification, badged with the VM's fault bit; kept for good */
    VS_STORE_ROOT,     /* its attachment to root while root copies */
    VS_STORE,          /* Frame: what the VM is saved to; kept for good */
    VS_VCPUS,          /* enum vcpu_slot of vCPU n at + n * VC_COUNT; as many as it has */
};

enum vcpu_slot { VC_SC, VC_NTFN, VC_THREAD, VC_VCPU, VC_COUNT };

/** In its life a VM goes from the left to the right, and back to STARTING. */
enum vm_state {
    VM_CREATED,  /* of the manifest, and never started */
    VM_STARTING, /* waits for the time, or for those that it is after (life.c) */
    VM_RUNNING,
    VM_PAUSED,  /* stands still, and so does its time */
    VM_STOPPED, /* ended by itself, or was asked to */
    VM_CRASHED, /* stopped by its monitor or by a fault of it; or it could not be made */
};

struct vm {
    unsigned number;
    enum vm_state state;
    const struct manifest_vm *config;
    uint64_t slots;
    uint64_t ntfn;                           /* root's */
    uint64_t kuntyped_bytes, funtyped_bytes; /* of the sub-untypeds, when nothing is made of them;
                                                0: it has none */
    uint64_t table_bytes;                    /* page tables among its kernel objects */
    struct bh_monitor_start *start;          /* root's mappings of the shared pages */
    struct bh_monitor_report *report;
    struct bh_console *console;
    struct bh_console *channel; /* of its guest's control channel; NULL: it has none */
    struct bh_control *control;
    struct bh_pieces *pieces; /* of an elastic one */
    uint32_t pieces_have;     /* of RAM that comes and goes: what it has (pieces.h) */
    uint32_t pieces_seen;     /* bh_pieces.changes that have been looked at */
    bool pieces_left;         /* and there is more to do */
    uint32_t starts;          /* how often it has been made */
    uint32_t asked;           /* number of the last question, see ask.h */
    uint64_t ask_deadline_tsc;
    const void *asker;    /* whose question it is; NULL: nobody waits for an answer */
    uint64_t store_va;    /* where its monitor sees the store */
    uint64_t saved_bytes; /* length of the saved VM in the store; 0: none */
    uint64_t store_taken; /* bytes of a saved VM that is on its way there */
    bool restore;         /* it is made anew to go on from that */
    bool made;            /* the last start has not failed */
    bool has_ended;       /* and life.c has not looked at it yet */
    bool crashed;         /* it has not ended in an orderly way */
    bool guest_reset;     /* it ended because its guest reset the machine */
    uint64_t started_tsc; /* the last time */
    int status;           /* of an ended VM: what the system may end with */
    char reason[BH_WIRE_REASON_BYTES];
};

/** It has a monitor. */
static inline bool vm_lives(const struct vm *vm)
{
    return vm->state == VM_RUNNING || vm->state == VM_PAUSED;
}

/** Badges of root's notification: the VM's monitor has reported; its thread has faulted. VMs share
 *  bits, whoever gets one looks at all whose it is; a fault's badge names the VM in the bits above.
 */
#define VM_SIGNAL_BITS 32u
#define VM_FAULT_BITS  16u
static inline uint64_t vm_signal_badge(unsigned number)
{
    return (uint64_t)1 << number % VM_SIGNAL_BITS;
}
static inline uint64_t vm_fault_badge(unsigned number)
{
    return (uint64_t)1 << (VM_SIGNAL_BITS + number % VM_FAULT_BITS) |
           (uint64_t)number << (VM_SIGNAL_BITS + VM_FAULT_BITS);
}
/** The bits of @signals that may be the VM's. */
static inline uint64_t vm_signals(unsigned number, uint64_t signals)
{
    return signals &
           (vm_signal_badge(number) | (uint64_t)1 << (VM_SIGNAL_BITS + number % VM_FAULT_BITS));
}

/** Bytes of FrameUntyped that a VM takes, alignment included; without its pieces. */
uint64_t vm_memory_bytes(const struct manifest_vm *config);

/** May others have some of its memory? */
static inline bool vm_elastic(const struct manifest_vm *config)
{
    return config->balloon_min_mib != 0;
}
/** Pieces of its RAM that come and go: all but the first 2 MiB. */
uint64_t vm_pieces(const struct manifest_vm *config);

/** Make and start a VM on the CPUs that the manifest's rules have found for its vCPUs.
 *  @param ntfn root's notification. @return false: said why; nothing is left of it. */
bool vm_start(struct vm *vm, unsigned number, const struct manifest_vm *config, uint64_t ntfn);

/** Make the VM anew, to go on from what it was saved as. One that lives is killed for it.
 *  @return as vm_start() */
bool vm_restore(struct vm *vm);

/** End a living VM at once. @param why for its reason and the record: "killed" */
void vm_kill(struct vm *vm, const char *why);

/** Something happened to the VM's monitor (@faulted: a fault of a thread of its own): see whether it has ended,
 *  and if so take all back. */
void vm_check(struct vm *vm, bool faulted);

/** Tell the monitor that the console has input, or room. */
void vm_signal_console(const struct vm *vm);
/** Tell the monitor that there is a question. */
void vm_signal_control(const struct vm *vm);
/** Tell the monitor that the peer of a wire has come or gone. */
void vm_signal_link(const struct vm *vm);
/** Tell the monitor that pieces have come, or that there is a target. */
void vm_signal_pieces(const struct vm *vm);
/** Press the VM's power button. */
void vm_signal_stop(const struct vm *vm);

/** Does its monitor say that it stands still? */
bool vm_stands(const struct vm *vm);
/** What its threads have used since it was started, TSC ticks; its exits so far. */
uint64_t vm_cpu_ticks(const struct vm *vm);
void vm_count_exits(const struct vm *vm, uint64_t exits[BH_MONITOR_EXITS]);

#endif
