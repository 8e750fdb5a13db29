/*
 * AHCI 1.3.1 host bus adapter of six ports, as the ICH9 has it (PCI 8086:2922 at 00:1f.2): disks
 * and CD-ROM drives for systems that bring no virtio drivers. One command at a time a port, carried
 * out while the driver writes PxCI; a long transfer goes on in ahci_tick(). Reaches guest memory
 * through the host's guest_mem only.
 */
#ifndef VMM_MONITOR_DEV_AHCI_H
#define VMM_MONITOR_DEV_AHCI_H

#include "ata.h"
#include "pci.h"

#define AHCI_PORTS      6u
#define AHCI_SLOTS      32u
#define AHCI_DEVFN      PCI_DEVFN(0x1fu, 2u)
#define AHCI_BAR_BYTES  2048u
#define AHCI_REGION_MAX (4u << 20) /* bytes of a physical region (4.2.3.3) */

/** What the registers of a port hold, and the command that is being carried out. */
struct ahci_port {
    uint64_t clb, fb; /* command list and received frames */
    uint32_t is, ie, cmd, tfd, sig, ssts, sctl, serr, sact, ci;

    /* Switches are bytes: any value may come back from a saved VM. */
    uint8_t signature_due; /* the drive's first frame after a reset waits for PxCMD.FRE */
    uint8_t srst;          /* software reset is asserted */
    uint8_t stopped;       /* an error: nothing happens before PxCMD.ST has been cleared */
    uint8_t busy;          /* command @slot is being carried out */
    uint8_t released;      /* ... and has left PxCI, as queued commands do at their beginning */
    uint8_t slot;          /* or the last one */
    /* its physical region descriptors: each is read once */
    uint64_t prdt;
    uint32_t prd_count, prd_next; /* all; the next to read */
    uint64_t address;             /* what the last one said, as far as it is not used up */
    uint32_t left;
    uint8_t prd_interrupt;
    uint32_t moved; /* bytes, for the command header */
};

struct ahci {
    struct pci_function pci; /* first: it names the device */
    const struct dev_host *host;
    struct ata_drive drive[AHCI_PORTS]; /* without a disk: nothing at the port */
    struct ahci_port port[AHCI_PORTS];
    uint32_t ghc, is;
    uint64_t deadline_ns;
};

/** Put the controller on bus 0, at 00:1f.2. */
bool ahci_init(struct ahci *a, struct pci *pci, const struct dev_host *host);
/** Connect a drive to a port, before the guest runs. @return false: no such port, or taken */
bool ahci_attach(struct ahci *a, unsigned port, struct disk *disk);
/** Go on with transfers. @param now_ns at or after deadline_ns */
void ahci_tick(struct ahci *a, uint64_t now_ns);

/* ---- between ahci.c, ahci_port.c and ahci_fis.c ---- */

/* PxIS (AHCI 1.3.1, 3.3.5) and PxSERR (3.3.12). */
#define AHCI_IS_DHRS (1u << 0)
#define AHCI_IS_PSS  (1u << 1)
#define AHCI_IS_SDBS (1u << 3)
#define AHCI_IS_DPS  (1u << 5)
#define AHCI_IS_PCS  (1u << 6)
#define AHCI_IS_PRCS (1u << 22)
#define AHCI_IS_OFS  (1u << 24)
#define AHCI_IS_IFS  (1u << 27)
#define AHCI_IS_HBFS (1u << 29)
#define AHCI_IS_TFES (1u << 30)
#define AHCI_SERR_N  (1u << 16) /* PhyRdy changed */
#define AHCI_SERR_H  (1u << 22) /* handshake error */
#define AHCI_SERR_X  (1u << 26) /* a device was there */

/* PxCMD (3.3.7). */
#define AHCI_CMD_ST        (1u << 0)
#define AHCI_CMD_SUD       (1u << 1)
#define AHCI_CMD_POD       (1u << 2)
#define AHCI_CMD_CLO       (1u << 3)
#define AHCI_CMD_FRE       (1u << 4)
#define AHCI_CMD_CCS_SHIFT 8u
#define AHCI_CMD_CCS       (31u << AHCI_CMD_CCS_SHIFT)
#define AHCI_CMD_FR        (1u << 14)
#define AHCI_CMD_CR        (1u << 15)
#define AHCI_CMD_ATAPI     (1u << 24)
#define AHCI_CMD_DLAE      (1u << 25)

/** Work of one access to a register: bytes moved, and what reading a descriptor or a command
 *  counts for. */
#define AHCI_BUDGET_BYTES (256u << 10)

/** Is there a drive at the other end? */
static inline bool ahci_port_linked(const struct ahci_port *p) { return (p->ssts & 15u) == 3u; }

/** Carry out commands of a port until there are none, or @budget is used up. @return what is left
 *  of it */
uint32_t ahci_port_run(struct ahci *a, unsigned n, uint32_t budget);
/** Has ahci_port_run() something to do? */
bool ahci_port_runnable(const struct ahci *a, unsigned n);
/** Command list off: PxCMD.ST has been cleared. */
void ahci_port_stop(struct ahci *a, unsigned n);
/** An interrupt cause of a port. */
void ahci_port_raise(struct ahci *a, unsigned n, uint32_t cause);

/* Frames to the host (AHCI 1.3.1, 4.2.1; Serial ATA 2.6, 10.3), with the drive's task file. Those
 * that change PxTFD do so whether or not memory takes them. */
void ahci_fis_register(struct ahci *a, unsigned n, bool interrupt);
void ahci_fis_pio_setup(struct ahci *a, unsigned n, bool interrupt);
void ahci_fis_dma_setup(struct ahci *a, unsigned n);
void ahci_fis_set_bits(struct ahci *a, unsigned n, uint32_t completed);
/** The register frame with the signature, once the host receives frames. */
void ahci_fis_signature(struct ahci *a, unsigned n);

extern const struct dev_state ahci_state;

#endif
