/*
 * What the kernel tells root at start (one read-only page) and while it runs (the audit ring).
 */
#ifndef BULKHEAD_INFO_H
#define BULKHEAD_INFO_H

#include <stdint.h>

#define BH_INFO_MAGIC    0x444145484b4c5542ull /* "BULKHEAD" */
#define BH_MAX_CPUS      64u
#define BH_MAX_FUNTYPED  16u
#define BH_CMDLINE_BYTES 512u

/** Protections, promise 9: a set bit in `on` is in force, in `off` is missing on this machine. */
#define BH_PROT_NESTED_PAGING (1u << 0)
#define BH_PROT_SMEP          (1u << 1)
#define BH_PROT_SMAP          (1u << 2)
#define BH_PROT_UMIP          (1u << 3)
#define BH_PROT_NX            (1u << 4)
#define BH_PROT_IBPB          (1u << 5)
#define BH_PROT_VERW          (1u << 6)
#define BH_PROT_L1D_FLUSH     (1u << 7)
#define BH_PROT_IOMMU         (1u << 8)
#define BH_PROT_INTREMAP      (1u << 9)
#define BH_PROT_TPM           (1u << 10)
#define BH_PROT_SMT_PARKED    (1u << 11)
#define BH_PROT_RDSEED        (1u << 12)
#define BH_PROT_EXEC_4K       (1u << 13) /* on: executable guest memory takes 4 KiB entries */

enum bh_backend { BH_BACKEND_NONE = 0, BH_BACKEND_VMX = 1, BH_BACKEND_SVM = 2 };

/** Fixed user addresses the kernel maps for root before it starts. */
#define BH_ROOT_BASE  0x400000ul /* root's image: linked here */
#define BH_ROOT_INFO  0x200000ul /* struct bh_info, read-only */
#define BH_ROOT_AUDIT 0x201000ul /* struct bh_audit_ring, read-only */

struct bh_info {
    uint64_t magic;
    uint32_t abi_version;
    uint32_t backend; /* enum bh_backend */
    uint32_t ncpus;
    uint32_t tsc_khz;
    uint32_t prot_on, prot_off;
    uint32_t free_slot; /* first free slot of root's CNode */
    uint32_t cnode_slots;
    uint32_t funtyped_count; /* at BH_SLOT_FUNTYPED */
    uint32_t apic_mode;      /* 1 xAPIC, 2 x2APIC */
    uint64_t kuntyped_bytes;
    uint64_t funtyped_bytes;
    uint64_t boot_bytes;    /* the archive behind root's image, whole pages: BH_SLOT_BOOT_FRAME */
    uint64_t boot_archive;  /* offset of the cpio archive in that frame: 0 */
    uint64_t boot_misalign; /* bytes of the frame's physical start above a 2 MiB boundary: mapped at
                               an address that is as far above one, it takes large entries */
    uint64_t kernel_entry_tsc, root_entry_tsc;
    uint64_t acpi_root;    /* physical address of the XSDT or RSDT, 0: none */
    uint64_t entropy[8];   /* seed for root's generator */
    uint32_t entropy_bits; /* honest estimate; 512 with RDSEED */
    uint32_t cpu_family, cpu_model, cpu_stepping;
    uint64_t microcode;
    char cmdline[BH_CMDLINE_BYTES];
};

enum bh_audit_kind {
    BH_AUDIT_NONE = 0,
    BH_AUDIT_THREAD_FAULT = 1,  /* a = vector, b = error code, c = rip, d = address */
    BH_AUDIT_VCPU_INVALID = 2,  /* a = hardware reason, b = qualification, c = rip */
    BH_AUDIT_VCPU_UNKNOWN = 3,  /* a = hardware reason, b = qualification, c = rip */
    BH_AUDIT_CHECK = 4,         /* checker: a = invariant, b = cell, c = value */
    BH_AUDIT_MACHINE_CHECK = 5, /* a = bank, b = status, c = address */
    BH_AUDIT_NMI = 6,
};

struct bh_audit_record {
    uint64_t sequence; /* 1, 2, ...; 0: being written */
    uint64_t tsc;
    uint32_t kind;   /* enum bh_audit_kind */
    uint32_t object; /* pool index of the thread or vCPU */
    uint64_t a, b, c, d;
    uint64_t tag; /* the badge root gave the object (thread_set_fault_ntfn's badge) */
};

#define BH_AUDIT_RECORDS 63u
struct bh_audit_ring {
    uint64_t written; /* records ever written; record n is at [n % BH_AUDIT_RECORDS] */
    uint64_t reserved[7];
    struct bh_audit_record records[BH_AUDIT_RECORDS];
};

_Static_assert(sizeof(struct bh_audit_record) == 64, "ABI");
_Static_assert(sizeof(struct bh_audit_ring) == 4096, "ABI");
_Static_assert(sizeof(struct bh_info) <= 4096, "ABI");

/** The boot module starts with this header: root's flat image, linked at BH_ROOT_BASE; the header
 * is its first bytes. Sections are whole pages in this order: text (RX), rodata (R), data (RW); bss
 * (RW) follows in memory only. The cpio archive follows the image at image_bytes. */
struct bh_root_header {
    uint64_t magic; /* BH_ROOT_MAGIC */
    uint64_t entry;
    uint64_t text_bytes, rodata_bytes, data_bytes, bss_bytes; /* multiples of 4096 */
    uint64_t stack_top;   /* initial rsp of CPU 0; CPU n's is n * stack_bytes below */
    uint64_t stack_bytes; /* of each CPU's stack */
};
#define BH_ROOT_MAGIC 0x31544f4f52484221ull /* "!BHROOT1" */

#endif
