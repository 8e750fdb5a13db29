/*
 * The manifest: what the system consists of, as a frozen struct parsed once from a device tree
 * blob. The same source runs in root (freestanding) and in the host tool, so both say the same
 * words. May call: libfdt, memcpy-class functions. Never allocates, never changes the blob.
 */
#ifndef POLICY_MANIFEST_MANIFEST_H
#define POLICY_MANIFEST_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_COMPATIBLE "bulkhead,manifest-v1"
#define MANIFEST_MAX_VMS    512u
#define MANIFEST_VM_WORDS   (MANIFEST_MAX_VMS / 64u) /* of a set of VMs */
#define MANIFEST_MAX_VCPUS  8u
#define MANIFEST_MAX_CPUS   64u
#define MANIFEST_MAX_FLOORS                                                                        \
    95u /* % of a CPU; the kernel keeps the rest for root's thread there                           \
         */
#define MANIFEST_MAX_BLOB_BYTES      (1024u * 1024u)
#define MANIFEST_MAX_NAME            31u   /* characters of a VM's name */
#define MANIFEST_MAX_LABEL           63u   /* characters of a label */
#define MANIFEST_MAX_IMAGE_NAME      63u   /* characters of an image's file name */
#define MANIFEST_MAX_APPEND          2047u /* Linux: COMMAND_LINE_SIZE is 2048 with the NUL on x86 */
#define MANIFEST_CPU_ANY             UINT32_MAX
#define MANIFEST_MAX_WIRES           128u
#define MANIFEST_MAX_VM_WIRES        4u       /* ends of wires that a VM has */
#define MANIFEST_WIRE_MAC            0x10u    /* last byte of the first one's address */
#define MANIFEST_WIRE_BYTES          0x82000u /* of memory: two boxes, bulkhead/wire_ring.h */
#define MANIFEST_MAX_DISKS           4u       /* of a VM */
#define MANIFEST_MAX_DISK_NAME       20u      /* characters: guests see it as the serial number */
#define MANIFEST_MAX_DISK_MIB        65536u   /* they lie in memory */
#define MANIFEST_MAX_CHANNELS        32u      /* VMs whose guests have a control channel */
#define MANIFEST_MAX_DIGESTS         64u
#define MANIFEST_DIGEST_BYTES        32u /* SHA-256 */
#define MANIFEST_DIGEST_CHARS        64u
#define MANIFEST_MAX_RESTARTS        100u
#define MANIFEST_MAX_WAIT_MS         600000u
#define MANIFEST_MAX_STOP_S          3600u
#define MANIFEST_MAX_ELASTIC_MIB     8192u  /* of a VM that gives memory back, in pieces of 2 MiB */
#define MANIFEST_MAX_ALL_ELASTIC_MIB 32768u /* of all of them */

enum manifest_protocol {
    MANIFEST_PROTOCOL_DETECT,
    MANIFEST_PROTOCOL_LINUX,
    MANIFEST_PROTOCOL_PVH,
    MANIFEST_PROTOCOL_MULTIBOOT,
    MANIFEST_PROTOCOL_MULTIBOOT2,
};
enum manifest_cpu_model { MANIFEST_CPU_HOST, MANIFEST_CPU_V2, MANIFEST_CPU_V3 };
/** In the order of a terminal's colours (ECMA-48, SGR 31 to 37). */
enum manifest_colour { MANIFEST_COLOUR_NONE, MANIFEST_COLOUR_RED };
enum manifest_on_stop { MANIFEST_ON_STOP_NONE, MANIFEST_ON_STOP_END_SYSTEM };
enum manifest_start { MANIFEST_START_BOOT, MANIFEST_START_MANUAL };
enum manifest_restart { MANIFEST_RESTART_NEVER, MANIFEST_RESTART_ALWAYS, MANIFEST_RESTART_LIMITED };
enum manifest_console { MANIFEST_CONSOLE_SERIAL, MANIFEST_CONSOLE_NONE };
enum manifest_network { MANIFEST_NETWORK_NONE, MANIFEST_NETWORK_LOOPBACK };
enum manifest_display {
    MANIFEST_DISPLAY_NONE,
    MANIFEST_DISPLAY_VGA,
    MANIFEST_DISPLAY_DEFAULT /* while it is read only */
};
enum manifest_log { MANIFEST_LOG_COM1, MANIFEST_LOG_COM2 };
enum manifest_bus { MANIFEST_BUS_VIRTIO, MANIFEST_BUS_AHCI };
enum manifest_firmware {
    MANIFEST_FIRMWARE_NONE,
    MANIFEST_FIRMWARE_SEABIOS,
    MANIFEST_FIRMWARE_OVMF
};

/** What somebody may ask root for: a bit for each verb of bhctl, and groups of them. The words for
 *  them are in may_words.c. */
enum manifest_may {
    MANIFEST_MAY_LIST = 1 << 0,   /* how a VM is and what it uses */
    MANIFEST_MAY_STATUS = 1 << 1, /* protections and versions; no VM's */
    MANIFEST_MAY_AUDIT = 1 << 2,
    MANIFEST_MAY_MANIFEST = 1 << 3,
    MANIFEST_MAY_SCREENSHOT = 1 << 4,
    MANIFEST_MAY_TYPE = 1 << 5,
    MANIFEST_MAY_START = 1 << 6,
    MANIFEST_MAY_STOP = 1 << 7,
    MANIFEST_MAY_KILL = 1 << 8,
    MANIFEST_MAY_RESTART = 1 << 9,
    MANIFEST_MAY_PAUSE = 1 << 10,
    MANIFEST_MAY_RESUME = 1 << 11,
    MANIFEST_MAY_SHUTDOWN = 1 << 12,
    MANIFEST_MAY_SAVE = 1 << 13,
    MANIFEST_MAY_RESTORE = 1 << 14,
    MANIFEST_MAY_CONSOLE = 1 << 15,
    MANIFEST_MAY_ALL = (1 << 16) - 1,
    MANIFEST_MAY_WATCH =
        MANIFEST_MAY_LIST | MANIFEST_MAY_STATUS | MANIFEST_MAY_AUDIT | MANIFEST_MAY_MANIFEST,
    MANIFEST_MAY_LIFE = MANIFEST_MAY_START | MANIFEST_MAY_STOP | MANIFEST_MAY_KILL |
                        MANIFEST_MAY_RESTART | MANIFEST_MAY_PAUSE | MANIFEST_MAY_RESUME |
                        MANIFEST_MAY_SHUTDOWN,
    MANIFEST_MAY_STORE = MANIFEST_MAY_SAVE | MANIFEST_MAY_RESTORE,
    /* Of the system, not of a VM. */
    MANIFEST_MAY_SYSTEM =
        MANIFEST_MAY_STATUS | MANIFEST_MAY_AUDIT | MANIFEST_MAY_MANIFEST | MANIFEST_MAY_SHUTDOWN
};

struct manifest_may_word {
    const char *word;
    uint32_t bits;
};

/** Groups first, then single verbs; ends with a NULL word. */
extern const struct manifest_may_word manifest_may_words[];

/** Strings one behind the other, as in the blob. */
struct manifest_list {
    const char *text; /* NULL: none */
    size_t bytes;     /* the last NUL included */
};

/** A wire between the network cards of two VMs. */
struct manifest_wire {
    const char *name;
    struct manifest_list ends; /* names of two VMs */
    uint32_t vm[2];            /* their numbers */
    uint32_t card[2];          /* which of the VM's wires this is, 0..MANIFEST_MAX_VM_WIRES - 1 */
    uint32_t around_policy;    /* 1: said to go around the policy VM */
};

/** A disk: an image that is never written, under an overlay that lives as long as the VM. */
struct manifest_disk {
    const char *name;
    const char *image;    /* file name in the boot archive or NULL */
    uint32_t size_mib;    /* 0: the image's */
    uint32_t overlay_mib; /* 0: the disk's */
    uint32_t bus;         /* enum manifest_bus */
    uint32_t cdrom;       /* 1: read-only, 2048-byte sectors */
    uint32_t read_only;
    uint64_t bytes;         /* whole sectors; 0 when the image's size is not known */
    uint64_t overlay_bytes; /* whole blocks of 4 KiB; 0: none, or not known */
};

/** One VM. Strings are NUL-terminated printable ASCII inside the blob; absent ones are NULL. */
struct manifest_vm {
    const char *name;   /* [a-z][a-z0-9-]*, unique */
    const char *label;  /* what people see; the name when absent */
    uint32_t colour;    /* of the label: enum manifest_colour */
    const char *kernel; /* file name in the boot archive or NULL: firmware starts */
    const char *initrd; /* file name in the boot archive or NULL */
    const char *append; /* guest command line; "" when absent */
    uint32_t memory_mib;
    uint32_t save_mib;                     /* of the store that it can be saved to; 0: none */
    uint32_t cpus;                         /* 1..MANIFEST_MAX_VCPUS */
    uint32_t cpu;                          /* CPU of vCPU 0 as asked for, or MANIFEST_CPU_ANY */
    uint64_t cpu_set;                      /* CPUs its vCPUs may be on, a bit each; 0: any */
    uint32_t cpu_model;                    /* enum manifest_cpu_model */
    uint32_t protocol;                     /* enum manifest_protocol */
    uint32_t console;                      /* enum manifest_console */
    uint32_t display;                      /* enum manifest_display */
    uint32_t firmware;                     /* enum manifest_firmware */
    uint32_t firmware_log;                 /* 1: port 0x402 is on the console */
    uint32_t network;                      /* enum manifest_network */
    uint32_t balloon_mib;                  /* what the guest is asked to give back */
    uint32_t balloon_min_mib;              /* what it always keeps; 0: all its memory */
    uint32_t floor_percent;                /* of one CPU, per vCPU */
    uint32_t ceiling_percent;              /* of one CPU, per vCPU */
    uint32_t weight;                       /* share of leftover time, 1..1000 */
    uint32_t on_stop;                      /* enum manifest_on_stop */
    uint32_t watchdog;                     /* 1: it has a watchdog timer */
    uint32_t start;                        /* enum manifest_start */
    uint32_t restart;                      /* enum manifest_restart */
    uint32_t restart_count;                /* "limited": so often in a row */
    uint32_t restart_wait_ms;              /* before the first of a row; then twice as long each */
    uint32_t stop_wait_s;                  /* for a guest that is asked to stop */
    struct manifest_list after_names;      /* VMs that run before this one is started */
    uint64_t after[MANIFEST_VM_WORDS];     /* the same, a bit for each VM's number */
    struct manifest_list may_texts;        /* what the guest may ask root for */
    uint32_t may_system;                   /* the same: enum manifest_may, of the system */
    uint32_t may[MANIFEST_MAX_VMS];        /* and of each VM */
    uint32_t debug_exit;                   /* 1: guest port 0xf4 ends the VM with a status */
    uint32_t vcpu_cpu[MANIFEST_MAX_VCPUS]; /* placement; MANIFEST_CPU_ANY when CPUs are unknown */
    uint32_t wire_count;                   /* wires that end here, at most MANIFEST_MAX_VM_WIRES */
    uint32_t wires[MANIFEST_MAX_VM_WIRES]; /* which, in the order they are written */
    uint32_t disk_count;
    struct manifest_disk disks[MANIFEST_MAX_DISKS]; /* in the order they are written */
};

/** What an image is to be. */
struct manifest_digest {
    const char *image;  /* file name in the boot archive */
    const char *sha256; /* MANIFEST_DIGEST_CHARS hexadecimal digits, lower case */
};

/** Is VM @number in the set? */
static inline bool manifest_in_set(const uint64_t *set, uint32_t number)
{
    return (set[number / 64u] >> (number % 64u) & 1u) != 0;
}

static inline void manifest_add_to_set(uint64_t *set, uint32_t number)
{
    set[number / 64u] |= 1ull << (number % 64u);
}

struct manifest {
    uint32_t log;           /* enum manifest_log */
    uint32_t end_when_idle; /* 1: the system ends when every VM has ended */
    uint32_t host_may;      /* enum manifest_may */
    uint32_t vm_count;      /* 1..MANIFEST_MAX_VMS */
    struct manifest_vm vms[MANIFEST_MAX_VMS];
    uint32_t wire_count;
    struct manifest_wire wires[MANIFEST_MAX_WIRES];
    const char *policy_name; /* NULL: no VM stands in the network path */
    uint32_t policy_vm;      /* its number; MANIFEST_MAX_VMS: none */
    uint32_t digest_count;
    struct manifest_digest digests[MANIFEST_MAX_DIGESTS];
};

/** Promise 7 in words, which log, bhctl and bhmanifest have in common: does every wire end at the
 *  policy VM? @param m as manifest_load() accepted it. @param[out] on they do.
 *  @return NULL: there are no wires */
const char *manifest_path_words(const struct manifest *m, bool *on);
/** Is there a policy VM, and the wire does not end at it? */
bool manifest_wire_around(const struct manifest *m, const struct manifest_wire *w);

/** Files of the boot archive that firmware consists of. */
struct manifest_firmware_files {
    const char *code, *variables, *screen; /* NULL: none. screen: the BIOS of the display */
};
struct manifest_firmware_files manifest_firmware_files(const struct manifest_vm *vm);

/** @return the digest that an image is to have, NULL: it may have any */
const char *manifest_digest(const struct manifest *m, const char *image);

/** What the manifest is checked against. Zero and NULL mean "not known": that check is left out. */
struct manifest_env {
    const char *file;         /* shown in front of each error; NULL: "manifest" */
    uint32_t host_cpus;       /* CPUs that run VMs, 0..MANIFEST_MAX_CPUS */
    uint64_t host_memory_mib; /* memory that VMs can have */
    /** @return whether the boot archive holds @name, and its size in bytes. */
    bool (*image_size)(void *ctx, const char *name, uint64_t *size_bytes);
    /** SHA-256 of a file of the boot archive. @return false: it cannot be read. */
    bool (*image_digest)(void *ctx, const char *name, uint8_t digest[MANIFEST_DIGEST_BYTES]);
    /**
     * One error. @rule is the name in manifest_rules[]; @line is the whole text without a newline:
     * "file: /vms/desktop: memory-mib: what is wrong; what to do [rule]". Valid during the call.
     */
    void (*report)(void *ctx, const char *rule, const char *line);
    /**
     * Where in the source something is: the node @parent followed by @node (either may be NULL), its
     * property or NULL. @return the line, from 1 on, for "file:line: "; 0: not known. NULL: never.
     */
    unsigned (*line_of)(void *ctx, const char *parent, const char *node, const char *property);
    void *ctx;
};

/**
 * Parse and check a manifest as a whole.
 *
 * @param blob       device tree blob; 8-byte aligned; unchanged for as long as @out is used, which
 *                   points into it. Not read when it is shorter than a header or larger than 1 MiB
 * @param size_bytes bytes readable at @blob
 * @param env        what to check against and where errors go
 * @param[out] out   valid only when 0 is returned
 * @return number of errors reported. All rules are tried; parse errors suppress the cross checks.
 * Any context; about 1 KiB of stack beyond libfdt's.
 */
unsigned manifest_load(const void *blob, size_t size_bytes, const struct manifest_env *env,
                       struct manifest *out);

/** A rule: its name in errors, documentation and tests, and what it demands. */
struct manifest_rule {
    const char *name;
    const char *demands;
};

enum manifest_rule_id {
    RULE_BLOB_WELL_FORMED,
    RULE_FORMAT_VERSION,
    RULE_NODE_KNOWN,
    RULE_NODE_ONCE,
    RULE_PROPERTY_KNOWN,
    RULE_PROPERTY_ONCE,
    RULE_PROPERTY_TYPE,
    RULE_PROPERTY_REQUIRED,
    RULE_PROPERTY_CHOICE,
    RULE_VM_COUNT,
    RULE_VM_NAME,
    RULE_VM_NAME_UNIQUE,
    RULE_LABEL_TEXT,
    RULE_LABEL_UNIQUE,
    RULE_MEMORY_RANGE,
    RULE_MEMORY_FITS_HOST,
    RULE_CPUS_RANGE,
    RULE_CPU_EXISTS,
    RULE_CPU_SET_ONCE,
    RULE_CPU_OR_SET,
    RULE_SHARE_RANGE,
    RULE_FLOOR_BELOW_CEILING,
    RULE_FLOOR_SUM,
    RULE_IMAGE_NAME,
    RULE_IMAGE_PRESENT,
    RULE_IMAGES_FIT_MEMORY,
    RULE_IMAGE_DIGEST,
    RULE_DIGEST_TEXT,
    RULE_DIGEST_USED,
    RULE_APPEND_TEXT,
    RULE_START_IMAGE,
    RULE_FIRMWARE_ALONE,
    RULE_FIRMWARE_MEMORY,
    RULE_BALLOON_BELOW_MEMORY,
    RULE_BALLOON_MIN,
    RULE_DISK_COUNT,
    RULE_DISK_NAME,
    RULE_DISK_NAME_UNIQUE,
    RULE_DISK_RANGE,
    RULE_DISK_SIZE,
    RULE_DISK_OVERLAY,
    RULE_DISK_CDROM,
    RULE_SAVE_RANGE,
    RULE_WIRE_COUNT,
    RULE_WIRE_NAME,
    RULE_WIRE_NAME_UNIQUE,
    RULE_WIRE_TWO_ENDS,
    RULE_WIRE_END_KNOWN,
    RULE_WIRE_ENDS_DIFFER,
    RULE_POLICY_VM_KNOWN,
    RULE_WIRE_THROUGH_POLICY,
    RULE_AROUND_POLICY_USED,
    RULE_RESTART_RANGE,
    RULE_RESTART_USED,
    RULE_STOP_RANGE,
    RULE_MAY_WORDS,
    RULE_MAY_TARGET,
    RULE_MAY_COUNT,
    RULE_AFTER_KNOWN,
    RULE_AFTER_BOOT,
    RULE_AFTER_CYCLE,
    RULE_COUNT,
};

extern const struct manifest_rule manifest_rules[RULE_COUNT];

#endif
