/*
 * Commands of an AHCI port: command headers, command tables, physical regions (AHCI 1.3.1, 4.2 and
 * 5.3). See ahci.h. All of these lie in guest memory and are read once. What a driver may get wrong
 * ends in an error of the port that the standard names.
 */
#include "ahci.h"

#include <string.h>

/* A command header (AHCI 1.3.1, 4.2.2). */
struct header {
    uint32_t flags;
    uint32_t moved;
    uint64_t table;
    uint32_t reserved[4];
};
_Static_assert(sizeof(struct header) == 32, "AHCI 1.3.1, figure 8");

/* A physical region descriptor (4.2.3.3). */
struct prd {
    uint64_t address;
    uint32_t reserved, count;
};
_Static_assert(sizeof(struct prd) == 16, "AHCI 1.3.1, figure 12");

#define HEADER_FIS_DWORDS  0x1fu
#define HEADER_PRDTL_SHIFT 16u
#define HEADER_MOVED       4u /* offset */
#define TABLE_PACKET       0x40u
#define TABLE_PRDT         0x80u
#define PRD_COUNT          0x3fffffu /* bytes, less one */
#define PRD_INTERRUPT      0x80000000u

/* The register frame from the host (Serial ATA 2.6, 10.3.4). */
#define FIS_TYPE_COMMAND 0x27u
#define FIS_DWORDS       5u
#define FIS_IS_COMMAND   0x80u
#define FIS_SOFT_RESET   0x04u

#define COST_COMMAND_BYTES    2048u /* of AHCI_BUDGET_BYTES */
#define COST_DESCRIPTOR_BYTES 128u
#define COST_END_BYTES        16384u /* of a command that takes several steps to end */

static uint32_t spend(uint32_t budget, uint32_t cost) { return budget > cost ? budget - cost : 0; }

bool ahci_port_runnable(const struct ahci *a, unsigned n)
{
    const struct ahci_port *p = &a->port[n];

    if (!pci_master(&a->pci) || !(p->cmd & AHCI_CMD_ST) || p->stopped || !ahci_port_linked(p))
        return false;
    return p->busy || (p->ci && !(p->tfd & (ATA_BSY | ATA_DRQ)));
}

/* The driver's structures are not in memory (AHCI 1.3.1, 6.1.2: a fatal error). */
static void bus_error(struct ahci *a, unsigned n)
{
    a->port[n].stopped = true;
    ahci_port_raise(a, n, AHCI_IS_HBFS);
}

/* A frame that no device takes (6.1.1). */
static void interface_error(struct ahci *a, unsigned n)
{
    a->port[n].stopped = true;
    a->port[n].serr |= AHCI_SERR_H;
    ahci_port_raise(a, n, AHCI_IS_IFS);
}

/* ---- data ---- */

/* The next region. @return false: there is none; or it cannot be read, then the port has stopped */
static bool region_next(struct ahci *a, unsigned n)
{
    struct ahci_port *p = &a->port[n];
    struct prd prd;

    if (p->prd_next >= p->prd_count) return false;
    if (!guest_mem_read(a->host->mem, p->prdt + (uint64_t)p->prd_next * sizeof(prd), &prd,
                        sizeof(prd))) {
        bus_error(a, n);
        return false;
    }
    p->prd_next++;
    p->address = prd.address & ~1ull;
    p->left = ((prd.count & PRD_COUNT) | 1u) + 1u; /* an even number of bytes */
    p->prd_interrupt = (prd.count & PRD_INTERRUPT) != 0;
    return true;
}

/* Move data until all of it is, or the budget is used up, or something is wrong.
 * @return true: the drive has had all the data that there is */
static bool data_move(struct ahci *a, unsigned n, uint32_t *budget)
{
    struct ahci_port *p = &a->port[n];
    struct ata_drive *d = &a->drive[n];

    while (d->s.left) {
        uint32_t bytes;
        void *at;

        if (*budget == 0) return false;
        if (p->left == 0) {
            *budget = spend(*budget, COST_DESCRIPTOR_BYTES);
            if (!region_next(a, n)) {
                if (p->stopped) return false;
                ahci_port_raise(a, n, AHCI_IS_OFS); /* 6.1.5: more data than regions */
                if (d->s.out) ata_fail(d, ATA_ABRT);
                return true;
            }
            continue;
        }
        bytes = d->s.left < p->left ? d->s.left : p->left;
        bytes = bytes < *budget ? bytes : *budget;
        at = guest_mem_ptr(a->host->mem, p->address, bytes);
        if (at == NULL) {
            bus_error(a, n);
            return false;
        }
        if (!ata_move(d, at, bytes)) return true;
        *budget -= bytes;
        p->address += bytes;
        p->left -= bytes;
        p->moved += bytes;
        if (p->prd_interrupt && (p->left == 0 || d->s.left == 0))
            ahci_port_raise(a, n, AHCI_IS_DPS);
    }
    return true;
}

/* ---- the end of a command ---- */

static void command_done(struct ahci *a, unsigned n)
{
    struct ahci_port *p = &a->port[n];
    struct ata_drive *d = &a->drive[n];
    uint64_t header = p->clb + p->slot * sizeof(struct header);

    p->busy = false;
    if (!guest_mem_write(a->host->mem, header + HEADER_MOVED, &p->moved, sizeof(p->moved))) {
        bus_error(a, n);
        return;
    }
    if (p->released) {
        ahci_fis_set_bits(a, n, d->s.status & ATA_ERR ? 0 : 1u << d->s.tag);
        return;
    }
    if (!(d->s.status & ATA_ERR)) p->ci &= ~(1u << p->slot);
    if (d->s.protocol == ATA_PIO && !d->s.out && !(d->s.status & ATA_ERR)) {
        p->tfd = (uint32_t)d->s.error << 8 | d->s.status; /* the frame's E_Status */
        ahci_port_raise(a, n, AHCI_IS_PSS);
    } else {
        ahci_fis_register(a, n, true);
    }
}

/* ---- the beginning ---- */

/* A frame that writes the device control register: only software reset means anything. */
static void control_frame(struct ahci *a, unsigned n, uint8_t control)
{
    struct ahci_port *p = &a->port[n];

    p->ci &= ~(1u << p->slot);
    p->busy = false;
    if (p->srst && !(control & FIS_SOFT_RESET)) {
        ata_reset(&a->drive[n]);
        p->signature_due = true;
        ahci_fis_signature(a, n);
    }
    p->srst = (control & FIS_SOFT_RESET) != 0;
}

static void command_from_fis(struct ata_command *c, const uint8_t *fis)
{
    c->command = fis[2];
    c->features = (uint16_t)(fis[3] | fis[11] << 8);
    c->lba = 0;
    for (unsigned i = 0; i < 3u; i++)
        c->lba |= (uint64_t)fis[4u + i] << (8u * i) | (uint64_t)fis[8u + i] << (24u + 8u * i);
    c->device = fis[7];
    c->count = (uint16_t)(fis[12] | fis[13] << 8);
}

static void command_begin(struct ahci *a, unsigned n)
{
    struct ahci_port *p = &a->port[n];
    struct ata_drive *d = &a->drive[n];
    uint8_t fis[FIS_DWORDS * 4u];
    struct ata_command c;
    struct header h;
    uint64_t table;

    if (!guest_mem_read(a->host->mem, p->clb + p->slot * sizeof(h), &h, sizeof(h))) {
        bus_error(a, n);
        return;
    }
    table = h.table & ~(uint64_t)(TABLE_PRDT - 1u);
    if (!guest_mem_read(a->host->mem, table, fis, sizeof(fis)) ||
        !guest_mem_read(a->host->mem, table + TABLE_PACKET, c.packet, sizeof(c.packet))) {
        bus_error(a, n);
        return;
    }
    if ((h.flags & HEADER_FIS_DWORDS) < FIS_DWORDS || fis[0] != FIS_TYPE_COMMAND) {
        interface_error(a, n);
        return;
    }
    if (!(fis[1] & FIS_IS_COMMAND)) {
        control_frame(a, n, fis[15]);
        return;
    }
    p->busy = true;
    p->released = false;
    p->prdt = table + TABLE_PRDT;
    p->prd_count = h.flags >> HEADER_PRDTL_SHIFT;
    p->prd_next = p->left = p->moved = 0;
    p->tfd |= ATA_BSY;
    command_from_fis(&c, fis);
    ata_begin(d, &c);
    if (d->s.left == 0) return;
    if (d->s.protocol == ATA_QUEUED) {
        ahci_fis_register(a, n, false);
        p->ci &= ~(1u << p->slot);
        p->released = true;
        ahci_fis_dma_setup(a, n);
    } else if (d->s.protocol == ATA_PIO || d->s.protocol == ATA_PACKET_PIO) {
        ahci_fis_pio_setup(a, n, !d->s.out);
    }
}

/* PxCMD.ST (AHCI 1.3.1, 3.3.7): slots by turns, from the one after the last; slot 0 at first. */
static uint8_t slot_next(const struct ahci_port *p)
{
    unsigned slot = p->slot;

    do slot = (slot + 1u) % AHCI_SLOTS;
    while (!(p->ci & 1u << slot));
    return (uint8_t)slot;
}

uint32_t ahci_port_run(struct ahci *a, unsigned n, uint32_t budget)
{
    struct ahci_port *p = &a->port[n];

    while (budget && ahci_port_runnable(a, n)) {
        if (!p->busy) {
            p->slot = slot_next(p);
            p->cmd = (p->cmd & ~AHCI_CMD_CCS) | (uint32_t)p->slot << AHCI_CMD_CCS_SHIFT;
            budget = spend(budget, COST_COMMAND_BYTES);
            command_begin(a, n);
        }
        if (!p->busy || p->stopped || !data_move(a, n, &budget)) continue;
        if (ata_end(&a->drive[n]))
            command_done(a, n);
        else
            budget = spend(budget, COST_END_BYTES);
    }
    return budget;
}

void ahci_port_stop(struct ahci *a, unsigned n)
{
    struct ahci_port *p = &a->port[n];

    p->cmd &= ~(AHCI_CMD_ST | AHCI_CMD_CR | AHCI_CMD_CCS);
    p->ci = p->sact = 0;
    p->slot = AHCI_SLOTS - 1u;
    p->busy = p->stopped = false;
}
