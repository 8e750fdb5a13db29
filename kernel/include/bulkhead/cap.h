/*
 * Capability types, rights and the fixed slots that the kernel gives the root task.
 * A capability address is an index into the invoking thread's CNode (flat, bounded).
 */
#ifndef BULKHEAD_CAP_H
#define BULKHEAD_CAP_H

/** Object types. The first five live in their capability slot alone and use no other memory. */
enum bh_cap_type {
    BH_CAP_NULL = 0,
    BH_CAP_KUNTYPED = 1, /* kernel pool: source of every object but Frame */
    BH_CAP_FUNTYPED = 2, /* all other memory: source of Frames, can never be mapped */
    BH_CAP_FRAME = 3,    /* an extent of whole 4 KiB pages */
    BH_CAP_ATTACH = 4,   /* authority to map one Frame into one space */
    BH_CAP_IOPORTS = 5,  /* a range of I/O ports */
    BH_CAP_CNODE = 6,
    BH_CAP_THREAD = 7,
    BH_CAP_SC = 8, /* scheduling context */
    BH_CAP_ENDPOINT = 9,
    BH_CAP_NTFN = 10,       /* notification */
    BH_CAP_HOSTSPACE = 11,  /* address space of threads */
    BH_CAP_GUESTSPACE = 12, /* guest-physical space: EPT or NPT */
    BH_CAP_VCPU = 13,
    BH_CAP_IRQ = 14,      /* one interrupt line of the machine */
    BH_CAP_KERNEL = 15,   /* kernel control: audit, checker, power; root only */
    BH_CAP_DMASPACE = 16, /* reserved: VT-d second level */
    BH_CAP_DEVICE = 17,   /* reserved: PCI function */
    BH_CAP_NTYPES = 18
};

/** Rights. What each means depends on the type: READ = receive, wait, info; WRITE = send, signal,
 *  configure; EXEC = map executable; GRANT = derive, attach, retype. */
#define BH_RIGHT_READ  1u
#define BH_RIGHT_WRITE 2u
#define BH_RIGHT_EXEC  4u
#define BH_RIGHT_GRANT 8u
#define BH_RIGHTS_ALL  15u

/** Slots of the root task's CNode at start. Slots from BH_SLOT_FREE on are told in bh_info. */
enum bh_root_slot {
    BH_SLOT_NULL = 0,
    BH_SLOT_CNODE = 1,
    BH_SLOT_HOSTSPACE = 2,
    BH_SLOT_THREAD = 3,
    BH_SLOT_SC = 4,
    BH_SLOT_KERNEL = 5,
    BH_SLOT_IOPORTS = 6,
    BH_SLOT_KUNTYPED = 7,
    BH_SLOT_IRQ = 8, /* all lines; irq_derive() takes one out */
    BH_SLOT_BOOT_FRAME =
        9, /* Frame: the boot module (root image and archive), mapped nowhere else */
    BH_SLOT_ACPI_FRAME = 10,  /* reserved: Frame over the firmware tables */
    BH_SLOT_FUNTYPED = 16,    /* first of bh_info.funtyped_count */
    BH_SLOT_CPU_THREADS = 32, /* root's thread on CPU n, at + n (CPU 0: BH_SLOT_THREAD) */
    BH_SLOT_CPU_SCS = 96,     /* its scheduling context */
    BH_SLOT_FREE = 160,       /* = bh_info.free_slot */
};

/** Object sizes in bytes (kernel pool). HostSpace and GuestSpace: any number of pages from the
 * least one, which holds the kernel's own (header, root table; of a HostSpace also the private
 * area); the rest is the space's page tables. */
#define BH_CNODE_SLOT_BYTES     64u /* a CNode of n slots takes n * 64, n a power of two >= 16 */
#define BH_THREAD_BYTES         512u
#define BH_SC_BYTES             256u
#define BH_ENDPOINT_BYTES       64u
#define BH_NTFN_BYTES           64u
#define BH_VCPU_BYTES           16384u
#define BH_HOSTSPACE_MIN_PAGES  6u
#define BH_GUESTSPACE_MIN_PAGES 2u
#define BH_SPACE_MAX_PAGES      4096u

#endif
