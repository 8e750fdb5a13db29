/*
 * One PCI bus: configuration space by ports (PCI 3.0, 3.2.2.3.2) and by memory (PCIe 3.0, 7.2.2),
 * base address registers, capabilities, interrupt pins, MSI and MSI-X. A function model fills in a
 * struct pci_function and never sees an address. Calls the bus and the host; never guest RAM.
 */
#ifndef VMM_MONITOR_DEV_PCI_H
#define VMM_MONITOR_DEV_PCI_H

#include "bus.h"
#include "state.h"

#define PCI_FUNCTIONS_MAX           24u
#define PCI_BARS                    6u
#define PCI_CONFIG_BYTES            256u
#define PCI_MSIX_MAX                16u /* vectors of one function */
#define PCI_DEVFN(device, function) ((device) << 3 | (function))

#define PCI_COMMAND_IO       0x1u
#define PCI_COMMAND_MEMORY   0x2u
#define PCI_COMMAND_MASTER   0x4u
#define PCI_COMMAND_INTX_OFF 0x400u

struct pci;

/** A base address register (PCI 3.0, 6.2.5.1). */
struct pci_bar {
    uint64_t size_bytes; /* a power of two; 0: no such register */
    enum bus_kind kind;
    bool wide, prefetchable;   /* memory: 64-bit register (takes the next one as well) */
    const struct bus_ops *ops; /* accesses, offsets from the BAR's base */
    void *dev;
    const struct dev_ram *ram; /* instead of @ops: the guest sees this memory itself */
    uint64_t base;             /* where it is decoded now */
    bool decoded;
};

struct pci_msix_vector {
    uint64_t address;
    uint32_t data, control; /* control bit 0: masked */
};

struct pci_function {
    const char *name;
    struct pci *pci;
    void *dev; /* for the three below */
    /** Configuration bytes [offset, + size) have been written and taken over. May be NULL. */
    void (*written)(void *dev, unsigned offset, unsigned size_bytes);
    /** A saved state has been loaded: derive from config what derives from it. May be NULL. */
    void (*loaded)(void *dev);
    /** They are about to be read: config may be brought up to date. May be NULL. */
    void (*reading)(void *dev, unsigned offset, unsigned size_bytes);
    uint8_t devfn, pin;     /* pin: 1..4 = INTA..INTD, 0: none */
    uint8_t capability_end; /* where the next capability goes */
    uint8_t msi, msix;      /* offsets of those capabilities, 0: none */
    bool intx_level;        /* the function asks for its pin */
    bool intx_wire;         /* the pin's level: what the board has been told */
    uint8_t config[PCI_CONFIG_BYTES];
    uint8_t writable[PCI_CONFIG_BYTES]; /* bits that the guest may change */
    uint8_t clear[PCI_CONFIG_BYTES];    /* bits that a write of 1 clears */
    struct pci_bar bar[PCI_BARS];
    uint8_t msix_vectors;
    struct pci_msix_vector vector[PCI_MSIX_MAX];
    uint16_t msix_pending;
};

struct pci_id {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_code; /* 24 bits: class, subclass, interface */
    uint8_t revision;
    uint8_t pin; /* 0: the function has no interrupt pin */
};

struct pci {
    struct bus *bus;
    const struct dev_host *host;
    /** A function's interrupt pin changes: @pin 0..3 after swizzling is the board's business. */
    void (*intx)(void *ctx, unsigned devfn, unsigned pin, bool level);
    void (*reset)(void *ctx);
    void *ctx;
    uint32_t address;
    uint8_t reset_control;
    uint64_t ecam_base; /* 0: not decoded */
    struct pci_function *function[PCI_FUNCTIONS_MAX];
    unsigned count;
};

extern const struct dev_state pci_state, pci_function_state;

/** Ports 0xcf8..0xcff, with the reset control register at 0xcf9 (ICH9 data sheet, 13.7.5). */
bool pci_init(struct pci *pci, struct bus *bus, const struct dev_host *host,
              void (*intx)(void *ctx, unsigned devfn, unsigned pin, bool level),
              void (*reset)(void *ctx), void *ctx);

/** Decode the memory-mapped configuration space of @buses (1 MiB each) at @base; base 0: no longer.
 *  BARs give way. @return false: something else is there, nothing is decoded */
bool pci_ecam(struct pci *pci, uint64_t base, unsigned buses);

/** Put a function on bus 0: header with identity, no BAR, no capability. Then the calls below. */
bool pci_add(struct pci *pci, struct pci_function *f, const char *name, unsigned devfn,
             const struct pci_id *id, void *dev);

/** Configuration bytes, little-endian; @bytes 1..4. Setting goes past writable and has no effect on
 *  what is decoded: for a function's own model. */
static inline uint32_t pci_get(const struct pci_function *f, unsigned offset, unsigned bytes)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint32_t)f->config[(offset + i) % PCI_CONFIG_BYTES] << (i * 8u);
    return value;
}
static inline void pci_put(uint8_t config[PCI_CONFIG_BYTES], unsigned offset, unsigned bytes,
                           uint32_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        config[(offset + i) % PCI_CONFIG_BYTES] = (uint8_t)(value >> (i * 8u));
}

/** Declare BAR @index; a wide one takes @index + 1 too. */
void pci_bar_add(struct pci_function *f, unsigned index, const struct pci_bar *bar);
/** Append a capability of @bytes (id and next pointer included), zero and read-only until the
 *  caller fills config and writable. @return its offset; 0: no room */
unsigned pci_capability(struct pci_function *f, uint8_t id, unsigned bytes);
/** MSI-X with table and pending bits in memory BAR @bar (which must not be in use). */
bool pci_msix_add(struct pci_function *f, unsigned bar, unsigned vectors);
/** MSI with one vector, 64-bit address. */
void pci_msi_add(struct pci_function *f);

/** May the function read and write memory? */
static inline bool pci_master(const struct pci_function *f)
{
    return (f->config[4] & PCI_COMMAND_MASTER) != 0;
}
bool pci_msix_enabled(const struct pci_function *f);
bool pci_msi_enabled(const struct pci_function *f);
/** Send MSI-X message @vector, or note it as pending while masked. */
void pci_msix_send(struct pci_function *f, unsigned vector);
void pci_msi_send(struct pci_function *f);
/** The function's interrupt pin; repeated levels are fine. */
void pci_intx_set(struct pci_function *f, bool level);

/** The configuration registers of interrupts may have changed; for pci.c alone. */
void pci_interrupts_update(struct pci_function *f);

/** Give BARs the addresses that firmware would give them, for guests that start without one. I/O
 *  from 0xc000, memory from @memory_base below @memory_end (32-bit), decoding switched on.
 *  @return false: not all had room; those that had none are not decoded */
bool pci_assign(struct pci *pci, uint32_t memory_base, uint32_t memory_end);

#endif
