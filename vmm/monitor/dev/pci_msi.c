/*
 * How PCI functions interrupt: the pin (PCI 3.0, 2.2.6 and 6.2.3), MSI (6.8.1) and MSI-X (6.8.2).
 * Calls the board's intx and the host's msi. A message is a memory write: without the bus master
 * bit there is none.
 */
#include "pci.h"
#include "dev_util.h"

#define STATUS            0x06u
#define STATUS_INTERRUPT  0x08u
#define COMMAND           0x04u
#define CAPABILITY_MSI    0x05u
#define CAPABILITY_MSIX   0x11u
#define MSI_BYTES         14u
#define MSI_CONTROL       2u
#define MSI_ADDRESS       4u
#define MSI_DATA          12u
#define MSI_ENABLE        0x01u
#define MSI_WIDE          0x80u
#define MSI_WRITABLE      0x71u /* enable; vectors granted, one whatever it says */
#define MSIX_BYTES        12u
#define MSIX_CONTROL      2u
#define MSIX_TABLE        4u
#define MSIX_PBA          8u
#define MSIX_ENABLE       0x80u /* of the control word's upper byte */
#define MSIX_MASK_ALL     0x40u
#define MSIX_BAR_BYTES    4096u
#define MSIX_PBA_OFFSET   2048u
#define MSIX_ENTRY_BYTES  16u
#define MSIX_ENTRY_MASKED 1u

static void message_send(const struct pci_function *f, uint64_t address, uint32_t data)
{
    const struct dev_host *host = f->pci->host;

    if (pci_master(f) && host->msi) host->msi(host->ctx, address, data);
}

/* ---- the pin ---- */

/* A function that sends messages leaves its pin alone (6.8.3.3). The status bit shows the request
 * whether or not the pin is used. */
static void intx_update(struct pci_function *f)
{
    struct pci *pci = f->pci;
    bool wire = f->intx_level && f->pin && !(pci_get(f, COMMAND, 2) & PCI_COMMAND_INTX_OFF) &&
                !pci_msi_enabled(f) && !pci_msix_enabled(f);

    f->config[STATUS] = (uint8_t)((f->config[STATUS] & ~STATUS_INTERRUPT) |
                                  (f->intx_level ? STATUS_INTERRUPT : 0u));
    if (wire == f->intx_wire) return;
    f->intx_wire = wire;
    if (pci->intx) pci->intx(pci->ctx, f->devfn, f->pin - 1u, wire);
}

void pci_intx_set(struct pci_function *f, bool level)
{
    f->intx_level = level;
    intx_update(f);
}

/* ---- MSI ---- */

void pci_msi_add(struct pci_function *f)
{
    unsigned at = pci_capability(f, CAPABILITY_MSI, MSI_BYTES);

    if (at == 0) return;
    f->msi = (uint8_t)at;
    f->config[at + MSI_CONTROL] = MSI_WIDE;
    f->writable[at + MSI_CONTROL] = MSI_WRITABLE;
    pci_put(f->writable, at + MSI_ADDRESS, 4, 0xfffffffcu);
    pci_put(f->writable, at + MSI_ADDRESS + 4u, 4, 0xffffffffu);
    pci_put(f->writable, at + MSI_DATA, 2, 0xffffu);
}

bool pci_msi_enabled(const struct pci_function *f)
{
    return f->msi && (f->config[f->msi + MSI_CONTROL] & MSI_ENABLE);
}

void pci_msi_send(struct pci_function *f)
{
    if (!pci_msi_enabled(f)) return;
    message_send(f,
                 (uint64_t)pci_get(f, f->msi + MSI_ADDRESS + 4u, 4) << 32 |
                     pci_get(f, f->msi + MSI_ADDRESS, 4),
                 pci_get(f, f->msi + MSI_DATA, 2));
}

/* ---- MSI-X ---- */

static uint8_t msix_control(const struct pci_function *f)
{
    return f->msix ? f->config[f->msix + MSIX_CONTROL + 1u] : 0;
}

bool pci_msix_enabled(const struct pci_function *f) { return (msix_control(f) & MSIX_ENABLE) != 0; }

static bool vector_masked(const struct pci_function *f, unsigned vector)
{
    return (msix_control(f) & MSIX_MASK_ALL) || (f->vector[vector].control & MSIX_ENTRY_MASKED);
}

void pci_msix_send(struct pci_function *f, unsigned vector)
{
    if (vector >= f->msix_vectors || !pci_msix_enabled(f)) return;
    if (vector_masked(f, vector))
        f->msix_pending = (uint16_t)(f->msix_pending | 1u << vector);
    else
        message_send(f, f->vector[vector].address, f->vector[vector].data);
}

/* What has waited is sent as soon as nothing masks it (6.8.3.4). */
static void pending_send(struct pci_function *f)
{
    if (!pci_msix_enabled(f)) f->msix_pending = 0;
    for (unsigned i = 0; f->msix_pending && i < f->msix_vectors; i++) {
        if (!((unsigned)f->msix_pending >> i & 1u) || vector_masked(f, i)) continue;
        f->msix_pending = (uint16_t)(f->msix_pending & ~(1u << i));
        message_send(f, f->vector[i].address, f->vector[i].data);
    }
}

void pci_interrupts_update(struct pci_function *f)
{
    intx_update(f);
    pending_send(f);
}

static uint32_t msix_dword(const struct pci_function *f, unsigned offset)
{
    unsigned n = offset / MSIX_ENTRY_BYTES;

    if (offset == MSIX_PBA_OFFSET) return f->msix_pending;
    if (n >= f->msix_vectors) return 0;
    switch (offset % MSIX_ENTRY_BYTES) {
    case 0: return (uint32_t)f->vector[n].address;
    case 4: return (uint32_t)(f->vector[n].address >> 32);
    case 8: return f->vector[n].data;
    default: return f->vector[n].control;
    }
}

static void msix_dword_write(struct pci_function *f, unsigned offset, uint32_t value)
{
    unsigned n = offset / MSIX_ENTRY_BYTES;
    struct pci_msix_vector *v;

    if (n >= f->msix_vectors) return;
    v = &f->vector[n];
    switch (offset % MSIX_ENTRY_BYTES) {
    case 0: v->address = (v->address & ~(uint64_t)UINT32_MAX) | (value & ~3u); break;
    case 4: v->address = (uint32_t)v->address | (uint64_t)value << 32; break;
    case 8: v->data = value; break;
    default: v->control = value & MSIX_ENTRY_MASKED; break;
    }
}

/* Aligned dwords and quadwords are defined (6.8.2); of anything else a read gives the bytes, a
 * write is dropped. */
static uint64_t msix_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    unsigned at = (unsigned)offset & ~3u, shift = ((unsigned)offset & 3u) * 8u;
    uint64_t value = msix_dword(dev, at) | (uint64_t)msix_dword(dev, at + 4u) << 32;

    return value >> shift & dev_ones(size_bytes);
}

static void msix_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    if (size_bytes < 4u || offset % size_bytes != 0) return;
    msix_dword_write(dev, (unsigned)offset, (uint32_t)value);
    if (size_bytes == 8u) msix_dword_write(dev, (unsigned)offset + 4u, (uint32_t)(value >> 32));
    pending_send(dev);
}

bool pci_msix_add(struct pci_function *f, unsigned bar, unsigned vectors)
{
    static const struct bus_ops ops = {msix_read, msix_write};
    const struct pci_bar memory = {
        .size_bytes = MSIX_BAR_BYTES, .kind = BUS_MMIO, .ops = &ops, .dev = f};
    unsigned at;

    if (bar >= PCI_BARS || f->bar[bar].size_bytes || vectors == 0 || vectors > PCI_MSIX_MAX)
        return false;
    at = pci_capability(f, CAPABILITY_MSIX, MSIX_BYTES);
    if (at == 0) return false;
    f->msix = (uint8_t)at;
    f->msix_vectors = (uint8_t)vectors;
    f->config[at + MSIX_CONTROL] = (uint8_t)(vectors - 1u);
    f->writable[at + MSIX_CONTROL + 1u] = MSIX_ENABLE | MSIX_MASK_ALL;
    pci_put(f->config, at + MSIX_TABLE, 4, bar);
    pci_put(f->config, at + MSIX_PBA, 4, MSIX_PBA_OFFSET | bar);
    for (unsigned i = 0; i < vectors; i++) f->vector[i].control = MSIX_ENTRY_MASKED;
    pci_bar_add(f, bar, &memory);
    return true;
}
