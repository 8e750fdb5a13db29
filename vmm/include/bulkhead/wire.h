/*
 * What `bhctl` and root say to each other over a serial line (COM3; in emulators the socket
 * control.sock of the run's directory). A frame is a header, a payload and the CRC32C of both, all
 * little-endian. bhctl sends one request; root answers with any number of parts and one end that
 * repeat the request's sequence number. A request that comes while another is being answered takes
 * its place. Root looks at the line a hundred times a second only, and a UART holds 16 bytes:
 * before a request bhctl sends BH_WIRE_ENQUIRY and waits for BH_WIRE_READY, from when on root keeps
 * up for a second. Neither side trusts the line: what does not check out is not looked at.
 */
#ifndef BULKHEAD_WIRE_H
#define BULKHEAD_WIRE_H

#include <stdint.h>
#include "bulkhead/net_count.h"

#define BH_WIRE_MAGIC         0x6842u /* "Bh" */
#define BH_WIRE_VERSION       5u
#define BH_WIRE_PAYLOAD_BYTES 2048u
#define BH_WIRE_CRC_BYTES     4u
#define BH_WIRE_ENQUIRY       0x05u
#define BH_WIRE_READY         0x06u

enum bh_wire_kind { BH_WIRE_REQUEST = 1, BH_WIRE_PART = 2, BH_WIRE_END = 3 };

/** How a request ended. Words for people: vmm/control/link.c. */
enum bh_wire_status {
    BH_WIRE_OK = 0,
    BH_WIRE_BAD_VERSION = 1,    /* root speaks the version in its answer's header */
    BH_WIRE_DAMAGED = 2,        /* the request's CRC is wrong */
    BH_WIRE_NO_VERB = 3,        /* not one that this root knows */
    BH_WIRE_BAD_REQUEST = 4,    /* its payload is not what the verb takes */
    BH_WIRE_NO_VM = 5,          /* no VM of this name */
    BH_WIRE_NOT_RUNNING = 6,    /* the VM does not run (any more) */
    BH_WIRE_NO_DEVICE = 7,      /* the VM has no such device */
    BH_WIRE_NO_ANSWER = 8,      /* the VM's monitor did not answer in time */
    BH_WIRE_NOT_TAKEN = 9,      /* the guest does not take any input */
    BH_WIRE_NO_STORE = 10,      /* the VM has no store to be saved to */
    BH_WIRE_STORE_FULL = 11,    /* the store is too small */
    BH_WIRE_NOT_SAVED = 12,     /* the store holds no saved VM */
    BH_WIRE_NOT_MADE = 13,      /* the VM could not be made anew; the log says why */
    BH_WIRE_CHANGED = 14,       /* the guest has changed the screen's mode meanwhile: ask again */
    BH_WIRE_PAUSED = 15,        /* the VM stands still */
    BH_WIRE_RUNS = 16,          /* the VM runs already */
    BH_WIRE_FORBIDDEN = 17,     /* the end's payload: the rule's name, NUL, words; NUL */
    BH_WIRE_NOT_STARTED = 18,   /* the VM has not been started; payload: NUL, why, NUL */
    BH_WIRE_SHUTTING_DOWN = 19, /* the system is being shut down */
    BH_WIRE_BUSY = 20,          /* the VM's monitor is at work for another; or asked too often */
    BH_WIRE_BAD_FILE = 21,      /* what is in the store is not this VM, or damaged */
    BH_WIRE_STATUSES
};

/** A verb's request begins with the VM's name, 32 bytes and NUL-padded, unless it is of no VM. */
enum bh_wire_verb {
    BH_WIRE_LIST = 1, /* no VM. Parts: one struct bh_wire_vm each */
    BH_WIRE_TYPE = 2, /* then struct bh_input events. No part */
    BH_WIRE_SAVE = 3, /* uint64_t parts: 0 while it goes on, at the end the bytes of the
                      saved VM */
    /* Parts: a NUL-terminated text, empty while it goes on; else why it is a BAD_FILE. */
    BH_WIRE_RESTORE = 4,
    /* Parts: struct bh_screen; then struct bh_wire_pixels each, with packed memory behind it */
    BH_WIRE_SCREENSHOT = 5,
    /* Parts: struct bh_wire_vm each second while it goes on, and when it is done. */
    BH_WIRE_START = 6,
    BH_WIRE_STOP = 7, /* then uint64_t: ms until it is killed, 0: the manifest's */
    BH_WIRE_KILL = 8,
    BH_WIRE_RESTART = 9, /* as stop */
    BH_WIRE_PAUSE = 10,
    BH_WIRE_RESUME = 11,
    /* Of no VM. */
    BH_WIRE_PROTECTIONS = 12, /* parts: struct bh_wire_protection */
    BH_WIRE_STATS = 13,       /* parts: struct bh_wire_stats of each VM */
    BH_WIRE_AUDIT = 14,       /* uint64_t: first record wanted. Parts: a record's text each */
    BH_WIRE_MANIFEST = 15,    /* parts: the next bytes of the blob */
    BH_WIRE_SYSTEM = 16,      /* one part: struct bh_wire_system */
    BH_WIRE_SHUTDOWN = 17,    /* parts as list, each second; it is down when the end comes */
    /* Then struct bh_wire_console and bytes to be typed. One part: struct bh_wire_said, and what
     * the VM's console has said */
    BH_WIRE_CONSOLE = 18,
    BH_WIRE_STORE_READ = 19,  /* parts: the saved VM's next bytes */
    BH_WIRE_STORE_WRITE = 20, /* then struct bh_wire_piece and its bytes; in order, from 0 on. No
                                 part */
};

#define BH_WIRE_NAME_BYTES   32u
#define BH_WIRE_REASON_BYTES 224u

struct bh_wire_header {
    uint16_t magic;
    uint8_t version;
    uint8_t kind; /* enum bh_wire_kind */
    uint16_t verb;
    uint16_t sequence;
    uint32_t bytes;  /* of the payload */
    uint32_t status; /* of an end: enum bh_wire_status */
};

enum bh_wire_vm_state {
    BH_WIRE_VM_CREATED = 0, /* never started */
    BH_WIRE_VM_STARTING = 1,
    BH_WIRE_VM_RUNNING = 2,
    BH_WIRE_VM_PAUSED = 3,
    BH_WIRE_VM_STOPPING = 4, /* has been asked to, and is killed in left_ms */
    BH_WIRE_VM_STOPPED = 5,
    BH_WIRE_VM_CRASHED = 6,
    BH_WIRE_VM_STATES
};

struct bh_wire_vm {
    char name[BH_WIRE_NAME_BYTES];
    char label[64];
    uint32_t state; /* enum bh_wire_vm_state */
    uint32_t cpus;
    uint32_t memory_mib, memory_has_mib; /* at most; now: others may have some of it */
    uint32_t status;                     /* of an ended VM: what the system may end with */
    uint32_t restarts;                   /* by the manifest's rule */
    uint32_t left_ms;                    /* of one that is stopping */
    uint32_t reserved;
    char reason[BH_WIRE_REASON_BYTES]; /* of an ended VM */
};

#define BH_WIRE_EXITS 32u
#define BH_WIRE_LINKS 4u

/** A network card of a VM and the wire that it is on. */
struct bh_wire_link {
    char name[BH_WIRE_NAME_BYTES]; /* of the wire */
    char peer[BH_WIRE_NAME_BYTES]; /* the VM at its other end; "?": of which one may not ask */
    struct bh_net_count count;     /* the monitor's word; 0 of a VM that does not run */
};

struct bh_wire_stats {
    char name[BH_WIRE_NAME_BYTES];
    uint32_t state, cpus;
    uint32_t starts, restarts;
    uint64_t now_ns;    /* since the system's start */
    uint64_t uptime_ns; /* since the VM's */
    uint64_t cpu_ns;    /* of all its vCPUs and of its monitor, since then */
    uint64_t memory_bytes, memory_max_bytes, kernel_bytes; /* max: when nobody has some of it */
    uint64_t exits[BH_WIRE_EXITS];                         /* enum bh_exit */
    uint32_t links, reserved;
    struct bh_wire_link link[BH_WIRE_LINKS];
};

struct bh_wire_console {
    uint32_t from; /* counts the bytes that the console has said, modulo 2^32; what is not kept any
                      more is left out */
    uint32_t reserved;
};

struct bh_wire_said {
    uint32_t next;  /* from there on next time */
    uint32_t taken; /* of the bytes to be typed: the VM has no room for more now */
};

struct bh_wire_protection {
    uint32_t on;
    char words[124];
};

struct bh_wire_system {
    uint32_t abi_version, backend;
    uint32_t cpus, tsc_khz;
    uint64_t memory_bytes, pool_bytes; /* for VMs; for kernel objects */
    uint64_t now_ns;
    uint64_t root_cpu_ns; /* that root has used on CPU 0, where all but making VMs is done */
    uint32_t may;         /* of bhctl: enum manifest_may */
    uint32_t reserved;
};

/** Where the memory in a part of a screenshot belongs; packed by units of the piece (rt/rle.h). */
struct bh_wire_pixels {
    uint32_t piece, offset;
};

/** Of a saved VM that is put into the store. */
struct bh_wire_piece {
    uint64_t total, offset;
};

/** Something a person does. @code and @down of a key; all else of the mouse. */
struct bh_input {
    uint8_t kind; /* enum bh_input_kind */
    uint8_t code; /* USB HID Usage Tables 1.12, page 7 (keyboard) */
    uint8_t down;
    uint8_t buttons;       /* that are down: left, right, middle, 4th, 5th */
    int16_t dx, dy, wheel; /* counts right and up, notches towards the user */
};

enum bh_input_kind { BH_INPUT_KEY = 1, BH_INPUT_MOUSE = 2 };

_Static_assert(sizeof(struct bh_wire_header) == 16, "wire");
_Static_assert(sizeof(struct bh_wire_vm) == 352, "wire");
_Static_assert(sizeof(struct bh_wire_stats) == 936, "wire");
_Static_assert(sizeof(struct bh_wire_system) == 56, "wire");
_Static_assert(sizeof(struct bh_input) == 10, "wire");
_Static_assert(sizeof(struct bh_wire_piece) == 16, "wire");

#endif
