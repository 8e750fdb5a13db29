/*
 * Registers of the AHCI host bus adapter, its resets and its interrupt (AHCI 1.3.1, clauses 3 and
 * 10). See ahci.h.
 */
#include "ahci.h"
#include "dev_util.h"

#include <string.h>

/* Generic host control (3.1). */
enum { R_CAP = 0x00, R_GHC = 0x04, R_IS = 0x08, R_PI = 0x0c, R_VS = 0x10 };

#define CAP                                                                                        \
    ((1u << 31) /* 64-bit addresses */ | (1u << 30) /* native command queuing */ |                 \
     (2u << 20) /* generation 2: 3 Gb/s */ | (1u << 24) /* PxCMD.CLO */ |                          \
     (1u << 18) /* no legacy registers */ | (1u << 15) /* several PIO blocks */ |                  \
     (AHCI_SLOTS - 1u) << 8 | (AHCI_PORTS - 1u))
#define GHC_AE          (1u << 31)
#define GHC_IE          (1u << 1)
#define GHC_HR          (1u << 0)
#define VERSION         0x00010301u
#define PORTS_MASK      ((1u << AHCI_PORTS) - 1u)
#define PORT_BASE       0x100u
#define PORT_BYTES      0x80u
#define IS_WRITABLE     0xfd8000afu /* 3.3.5: the causes that are not copies of PxSERR */
#define IE_WRITABLE     0xfdc000ffu
#define CMD_WRITABLE    (AHCI_CMD_ATAPI | AHCI_CMD_DLAE | AHCI_CMD_FRE | AHCI_CMD_ST)
#define CMD_RESET       (AHCI_CMD_SUD | AHCI_CMD_POD)
#define SCTL_DET        0xfu
#define DET_COMRESET    1u
#define DET_OFFLINE     4u
#define SCTL_WRITABLE   0xfffu
#define SSTS_LINKED     0x123u /* active, generation 2, communication established */
#define SSTS_OFFLINE    0x4u
#define SERR_WRITABLE   0x07ff0f03u
#define TFD_NO_DRIVE    0x7fu
#define SIG_NO_DRIVE    0xffffffffu
#define CONFIG_MAP      0x90u /* ICH9 data sheet, 15.1.36 */
#define CONFIG_PCS      0x92u /* 15.1.37 */
#define CONFIG_MAP_AHCI 0x40u

/* Registers of a port (3.3). */
enum {
    P_CLB = 0x00,
    P_CLBU = 0x04,
    P_FB = 0x08,
    P_FBU = 0x0c,
    P_IS = 0x10,
    P_IE = 0x14,
    P_CMD = 0x18,
    P_TFD = 0x20,
    P_SIG = 0x24,
    P_SSTS = 0x28,
    P_SCTL = 0x2c,
    P_SERR = 0x30,
    P_SACT = 0x34,
    P_CI = 0x38,
};

/* ---- interrupt (10.7) ---- */

static uint32_t port_is(const struct ahci_port *p)
{
    return p->is | (p->serr & AHCI_SERR_X ? AHCI_IS_PCS : 0) |
           (p->serr & AHCI_SERR_N ? AHCI_IS_PRCS : 0);
}

static bool pending(const struct ahci *a) { return (a->ghc & GHC_IE) && a->is; }

/* IS has changed, or what is in it has: the pin follows; a message tells of each new bit, and of
 * those that are still set when the driver clears some (10.7.2.2). */
static void interrupt_update(struct ahci *a, uint32_t before)
{
    for (unsigned n = 0; n < AHCI_PORTS; n++)
        if (port_is(&a->port[n]) & a->port[n].ie) a->is |= 1u << n;
    if (!pci_msi_enabled(&a->pci))
        pci_intx_set(&a->pci, pending(a));
    else if (pending(a) && a->is != before)
        pci_msi_send(&a->pci);
}

void ahci_port_raise(struct ahci *a, unsigned n, uint32_t cause)
{
    a->port[n].is |= cause;
    interrupt_update(a, a->is);
}

/* ---- links and resets (10.4) ---- */

/* The link goes down; with a drive at its other end it comes up again, unless it is held. */
static void port_link_reset(struct ahci *a, unsigned n)
{
    struct ahci_port *p = &a->port[n];
    uint32_t det = p->sctl & SCTL_DET;

    p->busy = p->srst = p->signature_due = false;
    p->ci = p->sact = 0;
    p->tfd = TFD_NO_DRIVE;
    p->sig = SIG_NO_DRIVE;
    p->ssts = det == DET_OFFLINE ? SSTS_OFFLINE : 0;
    if (a->drive[n].disk == NULL || det == DET_COMRESET || det == DET_OFFLINE) return;
    p->ssts = SSTS_LINKED;
    p->serr |= AHCI_SERR_X | AHCI_SERR_N;
    p->tfd |= ATA_BSY;
    ata_reset(&a->drive[n]);
    p->signature_due = true;
    ahci_fis_signature(a, n);
}

/* All but PxCLB and PxFB (10.4.3). */
static void port_reset(struct ahci *a, unsigned n)
{
    struct ahci_port *p = &a->port[n];

    *p = (struct ahci_port){.clb = p->clb, .fb = p->fb, .cmd = CMD_RESET, .slot = AHCI_SLOTS - 1u};
    port_link_reset(a, n);
}

static void hba_reset(struct ahci *a)
{
    a->ghc = GHC_AE;
    for (unsigned n = 0; n < AHCI_PORTS; n++) port_reset(a, n);
    a->is = 0;
    a->deadline_ns = NO_DEADLINE_NS;
    interrupt_update(a, 0);
}

/* ---- work ---- */

static void deadline_update(struct ahci *a)
{
    a->deadline_ns = NO_DEADLINE_NS;
    for (unsigned n = 0; n < AHCI_PORTS; n++)
        if (ahci_port_runnable(a, n))
            a->deadline_ns = ns_add(a->host->now_ns(a->host->ctx), TIMER_MIN_REARM_NS);
}

static void port_work(struct ahci *a, unsigned n)
{
    (void)ahci_port_run(a, n, AHCI_BUDGET_BYTES);
    deadline_update(a);
}

void ahci_tick(struct ahci *a, uint64_t now_ns)
{
    (void)now_ns;
    for (unsigned n = 0; n < AHCI_PORTS; n++) (void)ahci_port_run(a, n, AHCI_BUDGET_BYTES);
    deadline_update(a);
}

/* ---- registers of a port ---- */

static uint32_t port_read(const struct ahci_port *p, unsigned reg)
{
    switch (reg) {
    case P_CLB: return (uint32_t)p->clb;
    case P_CLBU: return (uint32_t)(p->clb >> 32);
    case P_FB: return (uint32_t)p->fb;
    case P_FBU: return (uint32_t)(p->fb >> 32);
    case P_IS: return port_is(p);
    case P_IE: return p->ie;
    case P_CMD: return p->cmd;
    case P_TFD: return p->tfd;
    case P_SIG: return p->sig;
    case P_SSTS: return p->ssts;
    case P_SCTL: return p->sctl;
    case P_SERR: return p->serr;
    case P_SACT: return p->sact;
    case P_CI: return p->ci;
    default: return 0;
    }
}

static uint64_t half(uint64_t old, bool upper, uint32_t value, uint32_t mask, uint32_t writable)
{
    unsigned shift = upper ? 32u : 0u;
    uint64_t bits = (uint64_t)(mask & writable) << shift;

    return (old & ~bits) | ((uint64_t)value << shift & bits);
}

static uint32_t merged(uint32_t old, uint32_t value, uint32_t mask)
{
    return (old & ~mask) | (value & mask);
}

static void cmd_write(struct ahci *a, unsigned n, uint32_t value, uint32_t mask)
{
    struct ahci_port *p = &a->port[n];
    bool was_on = (p->cmd & AHCI_CMD_ST) != 0;

    p->cmd = merged(p->cmd, value, mask & CMD_WRITABLE);
    p->cmd = (p->cmd & ~AHCI_CMD_FR) | (p->cmd & AHCI_CMD_FRE ? AHCI_CMD_FR : 0);
    if (was_on && !(p->cmd & AHCI_CMD_ST)) ahci_port_stop(a, n);
    if (p->cmd & AHCI_CMD_ST)
        p->cmd |= AHCI_CMD_CR;
    else if (value & mask & AHCI_CMD_CLO)
        p->tfd &= ~(ATA_BSY | ATA_DRQ);
    ahci_fis_signature(a, n);
    port_work(a, n);
}

static void sctl_write(struct ahci *a, unsigned n, uint32_t value, uint32_t mask)
{
    struct ahci_port *p = &a->port[n];
    uint32_t before = p->sctl & SCTL_DET;

    p->sctl = merged(p->sctl, value, mask & SCTL_WRITABLE);
    if ((p->sctl & SCTL_DET) == before) return;
    port_link_reset(a, n);
    deadline_update(a);
}

/* @param mask the bits of the register that the access covers */
static void port_write(struct ahci *a, unsigned n, unsigned reg, uint32_t value, uint32_t mask)
{
    struct ahci_port *p = &a->port[n];
    bool on = (p->cmd & AHCI_CMD_ST) != 0;

    switch (reg) {
    case P_CLB:
    case P_CLBU:
        p->clb = half(p->clb, reg == P_CLBU, value, mask, reg == P_CLB ? 0xfffffc00u : UINT32_MAX);
        break;
    case P_FB:
    case P_FBU:
        p->fb = half(p->fb, reg == P_FBU, value, mask, reg == P_FB ? 0xffffff00u : UINT32_MAX);
        break;
    case P_IS: p->is &= ~(value & mask & IS_WRITABLE); break;
    case P_IE: p->ie = merged(p->ie, value, mask & IE_WRITABLE); break;
    case P_CMD: cmd_write(a, n, value, mask); break;
    case P_SCTL: sctl_write(a, n, value, mask); break;
    case P_SERR: p->serr &= ~(value & mask & SERR_WRITABLE); break;
    case P_SACT:
        if (on) p->sact |= value & mask;
        break;
    case P_CI:
        if (!on) break;
        p->ci |= value & mask;
        port_work(a, n);
        break;
    default: break;
    }
    interrupt_update(a, a->is);
}

/* ---- registers ---- */

static uint32_t dword_read(const struct ahci *a, unsigned reg)
{
    if (reg >= PORT_BASE) {
        unsigned n = (reg - PORT_BASE) / PORT_BYTES;

        return n < AHCI_PORTS ? port_read(&a->port[n], (reg - PORT_BASE) % PORT_BYTES) : 0;
    }
    switch (reg) {
    case R_CAP: return CAP;
    case R_GHC: return a->ghc;
    case R_IS: return a->is;
    case R_PI: return PORTS_MASK;
    case R_VS: return VERSION;
    default: return 0;
    }
}

static void dword_write(struct ahci *a, unsigned reg, uint32_t value, uint32_t mask)
{
    if (reg >= PORT_BASE) {
        unsigned n = (reg - PORT_BASE) / PORT_BYTES;

        if (n < AHCI_PORTS) port_write(a, n, (reg - PORT_BASE) % PORT_BYTES, value, mask);
        return;
    }
    if (reg == R_GHC && (value & mask & GHC_HR)) {
        hba_reset(a);
    } else if (reg == R_GHC) {
        bool was_on = pending(a);

        a->ghc = merged(a->ghc, value, mask & GHC_IE);
        interrupt_update(a, was_on ? a->is : 0);
    } else if (reg == R_IS) {
        uint32_t cleared = a->is & value & mask;

        a->is &= ~cleared;
        interrupt_update(a, cleared ? 0 : a->is);
    }
}

static uint64_t bar_read(void *dev, uint64_t offset, unsigned size_bytes)
{
    const struct ahci *a = dev;
    unsigned reg = (unsigned)offset & ~3u, shift = (unsigned)(offset & 3u) * 8u;
    uint64_t value = dword_read(a, reg);

    if (shift + size_bytes * 8u > 32u) value |= (uint64_t)dword_read(a, reg + 4u) << 32;
    return value >> shift & dev_ones(size_bytes);
}

static void bar_write(void *dev, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    unsigned reg = (unsigned)offset & ~3u, shift = (unsigned)(offset & 3u) * 8u;
    uint64_t mask = dev_ones(size_bytes);

    if (shift + size_bytes * 8u > 32u) {
        if (shift) return; /* 3: accesses are aligned */
        dword_write(dev, reg, (uint32_t)value, UINT32_MAX);
        dword_write(dev, reg + 4u, (uint32_t)(value >> 32), UINT32_MAX);
        return;
    }
    dword_write(dev, reg, (uint32_t)(value << shift), (uint32_t)(mask << shift));
}

/* ---- setup ---- */

/* Bus mastering may have been switched on, or the way interrupts take changed. */
static void config_written(void *dev, unsigned offset, unsigned size_bytes)
{
    struct ahci *a = dev;

    (void)offset;
    (void)size_bytes;
    for (unsigned n = 0; n < AHCI_PORTS; n++) (void)ahci_port_run(a, n, AHCI_BUDGET_BYTES);
    deadline_update(a);
    interrupt_update(a, a->is);
}

bool ahci_init(struct ahci *a, struct pci *pci, const struct dev_host *host)
{
    static const struct bus_ops ops = {bar_read, bar_write};
    static const struct pci_id id = {
        .vendor = 0x8086,
        .device = 0x2922,
        .subsystem_vendor = 0x8086,
        .subsystem = 0x2922,
        .class_code = 0x010601,
        .revision = 2,
        .pin = 1,
    };
    const struct pci_bar bar = {
        .size_bytes = AHCI_BAR_BYTES, .kind = BUS_MMIO, .ops = &ops, .dev = a};

    memset(a, 0, sizeof(*a));
    a->host = host;
    if (!pci_add(pci, &a->pci, "ahci", AHCI_DEVFN, &id, a)) return false;
    a->pci.written = config_written;
    pci_bar_add(&a->pci, 5, &bar);
    pci_msi_add(&a->pci);
    a->pci.config[CONFIG_MAP] = CONFIG_MAP_AHCI;
    a->pci.config[CONFIG_PCS] = a->pci.writable[CONFIG_PCS] = PORTS_MASK;
    hba_reset(a);
    return true;
}

bool ahci_attach(struct ahci *a, unsigned port, struct disk *disk)
{
    if (port >= AHCI_PORTS || a->drive[port].disk != NULL) return false;
    ata_init(&a->drive[port], disk);
    port_reset(a, port);
    return true;
}

/* ---- saving: the drives' media are saved as disks ---- */

static bool port_valid(const struct ahci *a, unsigned n)
{
    const struct ahci_port *p = &a->port[n];
    const struct ata_drive *d = &a->drive[n];

    if ((p->clb & 0x3ffu) || (p->fb & 0xffu) || (p->ie & ~IE_WRITABLE) || (p->is & ~IS_WRITABLE) ||
        (p->serr & ~SERR_WRITABLE) || p->slot >= AHCI_SLOTS || p->left > AHCI_REGION_MAX ||
        p->prd_count > UINT16_MAX || p->prd_next > p->prd_count)
        return false;
    if (d->disk == NULL) return !ahci_port_linked(p) && !p->busy && !p->signature_due;
    return ata_state_valid(d);
}

static bool loaded(void *dev)
{
    struct ahci *a = dev;

    if ((a->ghc & ~(GHC_AE | GHC_IE)) || (a->is & ~PORTS_MASK)) return false;
    for (unsigned n = 0; n < AHCI_PORTS; n++)
        if (!port_valid(a, n)) return false;
    interrupt_update(a, a->is);
    deadline_update(a);
    return true;
}

#define DRIVE(n) STATE_MEMBER(struct ahci, drive[n].s)

static const struct state_member members[] = {
    STATE_MEMBER(struct ahci, port),
    STATE_MEMBER(struct ahci, ghc),
    STATE_MEMBER(struct ahci, is),
    DRIVE(0),
    DRIVE(1),
    DRIVE(2),
    DRIVE(3),
    DRIVE(4),
    DRIVE(5),
};

const struct dev_state ahci_state = DEV_STATE("ahci", 1, members, loaded);
