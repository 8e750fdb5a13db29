/*
 * Frames that a port receives, written where PxFB says (AHCI 1.3.1, 4.2.1). See ahci.h. Calls guest
 * memory; what cannot be written there is a host bus error (6.1.2).
 */
#include "ahci.h"

#include <string.h>

/* Places in the received frame structure. */
#define AT_DMA_SETUP 0x00u
#define AT_PIO_SETUP 0x20u
#define AT_REGISTER  0x40u
#define AT_SET_BITS  0x58u

/* Serial ATA 2.6, 10.3: types, and bits of the second byte. */
#define TYPE_REGISTER  0x34u
#define TYPE_DMA_SETUP 0x41u
#define TYPE_PIO_SETUP 0x5fu
#define TYPE_SET_BITS  0xa1u
#define FIS_INTERRUPT  0x40u
#define FIS_TO_HOST    0x20u

static void post(struct ahci *a, unsigned n, unsigned at, const uint8_t *fis, unsigned bytes)
{
    struct ahci_port *p = &a->port[n];

    if (!(p->cmd & AHCI_CMD_FRE) || !pci_master(&a->pci)) return;
    if (!guest_mem_write(a->host->mem, p->fb + at, fis, bytes)) {
        p->stopped = true;
        ahci_port_raise(a, n, AHCI_IS_HBFS);
    }
}

static void put32(uint8_t *p, uint32_t v) { memcpy(p, &v, sizeof(v)); }

/* Bytes 2 to 13 of register and PIO Setup frames. */
static void put_task_file(uint8_t *fis, const struct ata_state *s)
{
    fis[2] = s->status;
    fis[3] = s->error;
    for (unsigned i = 0; i < 3u; i++) {
        fis[4u + i] = (uint8_t)(s->lba >> (8u * i));
        fis[8u + i] = (uint8_t)(s->lba >> (24u + 8u * i));
    }
    fis[7] = s->device;
    fis[12] = (uint8_t)s->count;
    fis[13] = (uint8_t)(s->count >> 8);
}

/* PxTFD after a frame that said so; an error stops the port (AHCI 1.3.1, 6.2.2.1). */
static void task_file_take(struct ahci *a, unsigned n, uint8_t status, uint8_t error)
{
    struct ahci_port *p = &a->port[n];

    p->tfd = (uint32_t)error << 8 | status;
    if ((status & ATA_ERR) && (p->cmd & AHCI_CMD_ST)) {
        p->stopped = true;
        ahci_port_raise(a, n, AHCI_IS_TFES);
    }
}

void ahci_fis_register(struct ahci *a, unsigned n, bool interrupt)
{
    const struct ata_state *s = &a->drive[n].s;
    uint8_t fis[20] = {TYPE_REGISTER, interrupt ? FIS_INTERRUPT : 0};

    put_task_file(fis, s);
    post(a, n, AT_REGISTER, fis, sizeof(fis));
    task_file_take(a, n, s->status, s->error);
    if (interrupt) ahci_port_raise(a, n, AHCI_IS_DHRS);
}

void ahci_fis_pio_setup(struct ahci *a, unsigned n, bool interrupt)
{
    const struct ata_state *s = &a->drive[n].s;
    uint32_t bytes = s->left < s->block_bytes ? s->left : s->block_bytes;
    bool more = s->out || s->protocol == ATA_PACKET_PIO;
    uint8_t fis[20] = {TYPE_PIO_SETUP,
                       (uint8_t)((interrupt ? FIS_INTERRUPT : 0) | (s->out ? 0 : FIS_TO_HOST))};

    put_task_file(fis, s);
    fis[2] = s->status | ATA_DRQ;
    /* The status behind the data: busy where a register frame will follow. */
    fis[15] = more ? (uint8_t)(s->status | ATA_BSY) : s->status;
    fis[16] = (uint8_t)(bytes + (bytes & 1u));
    fis[17] = (uint8_t)(bytes >> 8);
    post(a, n, AT_PIO_SETUP, fis, sizeof(fis));
    a->port[n].tfd = (uint32_t)s->error << 8 | fis[2] | ATA_BSY;
}

void ahci_fis_dma_setup(struct ahci *a, unsigned n)
{
    const struct ata_state *s = &a->drive[n].s;
    uint8_t fis[28] = {TYPE_DMA_SETUP, s->out ? 0 : FIS_TO_HOST};

    put32(fis + 4, s->tag);
    put32(fis + 20, s->left);
    post(a, n, AT_DMA_SETUP, fis, sizeof(fis));
}

void ahci_fis_set_bits(struct ahci *a, unsigned n, uint32_t completed)
{
    const struct ata_state *s = &a->drive[n].s;
    struct ahci_port *p = &a->port[n];
    uint8_t status = s->status & 0x77u; /* all but busy and data request */
    uint8_t fis[8] = {TYPE_SET_BITS, FIS_INTERRUPT, status, s->error};

    put32(fis + 4, completed);
    post(a, n, AT_SET_BITS, fis, sizeof(fis));
    p->sact &= ~completed;
    task_file_take(a, n, (uint8_t)((p->tfd & (ATA_BSY | ATA_DRQ)) | status), s->error);
    ahci_port_raise(a, n, AHCI_IS_SDBS);
}

void ahci_fis_signature(struct ahci *a, unsigned n)
{
    struct ahci_port *p = &a->port[n];
    const struct ata_state *s = &a->drive[n].s;

    if (!p->signature_due || !(p->cmd & AHCI_CMD_FRE)) return;
    p->signature_due = false;
    ahci_fis_register(a, n, false);
    p->sig = (uint32_t)(s->lba & 0xffffffu) << 8 | (s->count & 0xffu);
}
