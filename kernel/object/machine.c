/*
 * Invocations on the machine itself: I/O ports, interrupt lines, kernel control; the audit ring.
 * May call: port I/O, the IOAPIC, the checker.
 */
#include "object/invoke.h"
#include "object/check.h"
#include "object/ntfn.h"
#include "object/thread.h"
#include "arch/x86/apic.h"
#include "arch/x86/asm.h"
#include "arch/x86/audit.h"
#include "arch/x86/klog.h"
#include "arch/x86/layout.h"
#include "arch/x86/lock.h"
#include "core/cnode.h"

struct bh_info info_page __attribute__((aligned(4096), section(".bss.page")));
struct bh_audit_ring audit_ring __attribute__((aligned(4096), section(".bss.page")));
static struct spinlock audit_lock;

void audit(uint32_t kind, uint32_t object, uint64_t tag, uint64_t a, uint64_t b, uint64_t c,
           uint64_t d)
{
    struct bh_audit_record *r;

    spin_lock(&audit_lock);
    r = &audit_ring.records[audit_ring.written % BH_AUDIT_RECORDS];
    __atomic_store_n(&r->sequence, 0, __ATOMIC_RELEASE);
    r->tsc = rdtsc();
    r->kind = kind;
    r->object = object;
    r->tag = tag;
    r->a = a;
    r->b = b;
    r->c = c;
    r->d = d;
    __atomic_store_n(&r->sequence, audit_ring.written + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&audit_ring.written, audit_ring.written + 1, __ATOMIC_RELEASE);
    spin_unlock(&audit_lock);
}

static err_t port_ok(const struct invocation *in, uint32_t right)
{
    const struct cell *c = &cells[in->cell];
    uint64_t port = in->a[0], width = in->a[1];

    if ((cap_rights(c->w0) & right) == 0) return BH_ERR_RIGHTS;
    if ((width != 1 && width != 2 && width != 4) || port < c->a || port - c->a >= c->b ||
        width > c->b - (port - c->a))
        return BH_ERR_RANGE;
    return BH_OK;
}

struct sysret inv_ioports_in(const struct invocation *in)
{
    err_t e = port_ok(in, BH_RIGHT_READ);
    uint16_t port = (uint16_t)in->a[0];

    if (e != BH_OK) return sysret(e, 0);
    return sysret(BH_OK, in->a[1] == 1 ? inb(port) : in->a[1] == 2 ? inw(port) : inl(port));
}

struct sysret inv_ioports_out(const struct invocation *in)
{
    err_t e = port_ok(in, BH_RIGHT_WRITE);
    uint16_t port = (uint16_t)in->a[0];

    if (e != BH_OK) return sysret(e, 0);
    if (in->a[1] == 1)
        outb(port, (uint8_t)in->a[2]);
    else if (in->a[1] == 2)
        outw(port, (uint16_t)in->a[2]);
    else
        outl(port, (uint32_t)in->a[2]);
    return sysret(BH_OK, 0);
}

/* Part of a range of ports, or one line of all: a child that can do no more than its parent. */
static struct sysret derive(const struct invocation *in, uint64_t a, uint64_t b, uint64_t dst_cnode,
                            uint64_t dst_slot)
{
    const struct cell *c = &cells[in->cell];
    uint32_t dst, avail;
    err_t e = arg_dst(dst_cnode, dst_slot, &dst, &avail);

    if (e == BH_OK && cap_grant(c->w0) == 0) e = BH_ERR_RIGHTS;
    if (e == BH_OK && cap_frozen(c->w0) != 0) e = BH_ERR_STATE;
    if (e == BH_OK && c->depth >= CDT_DEPTH_MAX) e = BH_ERR_LIMIT;
    if (e == BH_OK && cell_type(dst) != BH_CAP_NULL) e = BH_ERR_SLOT;
    if (e == BH_OK)
        cnode_commit_new(in->cell, dst, cap_pack(cap_type(c->w0), cap_rights(c->w0), 0), 0, a, b);
    return sysret(e, 0);
}

struct sysret inv_ioports_derive(const struct invocation *in)
{
    const struct cell *c = &cells[in->cell];

    if (in->a[0] < c->a || in->a[1] == 0 || in->a[0] - c->a >= c->b ||
        in->a[1] > c->b - (in->a[0] - c->a))
        return sysret(BH_ERR_RANGE, 0);
    return derive(in, in->a[0], in->a[1], in->a[2], in->a[3]);
}

/* One slot per IOAPIC line: the notification it signals. Level-triggered lines stay masked until
 * unmasked again. */
static struct {
    uint32_t ntfn; /* NONE + 1 = 0 at boot: index + 1, 0: not bound */
    uint32_t taken;
    uint64_t badge;
} lines[24];

struct sysret inv_irq_derive(const struct invocation *in)
{
    struct sysret r;

    if (cells[in->cell].a != IRQ_ALL || in->a[0] >= ioapic_lines()) return sysret(BH_ERR_RANGE, 0);
    if (lines[in->a[0]].taken != 0) return sysret(BH_ERR_BUSY, 0);
    r = derive(in, in->a[0], 0, in->a[1], in->a[2]);
    if (r.err == BH_OK) lines[in->a[0]].taken = 1;
    return r;
}

struct sysret inv_irq_bind(const struct invocation *in)
{
    uint64_t line = cells[in->cell].a;
    uint32_t cell;
    err_t e = arg_cell(in->a[0], BH_CAP_NTFN, BH_RIGHT_WRITE, &cell);

    if (line == IRQ_ALL) return sysret(BH_ERR_RANGE, 0);
    if (e == BH_OK && lines[line].ntfn != 0) e = BH_ERR_STATE;
    if (e != BH_OK) return sysret(e, 0);
    lines[line].badge = cells[cell].badge;
    lines[line].ntfn = cell_obj(cell) + 1;
    ntfns[cell_obj(cell)].users++;
    ioapic_route((uint32_t)line, (uint8_t)(VEC_IRQ_BASE + line),
                 percpus[ntfns[cell_obj(cell)].cpu].apic_id, false);
    return sysret(BH_OK, 0);
}

struct sysret inv_irq_unmask(const struct invocation *in)
{
    uint64_t line = cells[in->cell].a;

    if (line == IRQ_ALL || lines[line].ntfn == 0) return sysret(BH_ERR_STATE, 0);
    ioapic_mask((uint32_t)line, false);
    return sysret(BH_OK, 0);
}

uint32_t irq_ntfn(uint32_t cell)
{
    return cells[cell].a == IRQ_ALL ? NONE : lines[cells[cell].a].ntfn - 1; /* 0 - 1 = NONE */
}

void irq_release(uint32_t cell)
{
    uint64_t line = cells[cell].a;

    if (line == IRQ_ALL) return;
    ioapic_mask((uint32_t)line, true);
    if (lines[line].ntfn != 0) ntfns[lines[line].ntfn - 1].users--;
    lines[line].ntfn = 0;
    lines[line].taken = 0;
}

/* An interrupt of a line: mask it, tell its owner. */
void irq_arrived(uint32_t line)
{
    /* Another CPU may release it now. */
    uint32_t n = __atomic_load_n(&lines[line].ntfn, __ATOMIC_RELAXED);

    if (n == 0) return;
    ioapic_mask(line, true);
    ntfn_signal(n - 1, lines[line].badge);
}

struct sysret inv_kernel_putc(const struct invocation *in)
{
    klog_putc((char)in->a[0]);
    return sysret(BH_OK, 0);
}

struct sysret inv_kernel_check(const struct invocation *in) { return sysret(BH_OK, check_all()); }

struct sysret inv_kernel_audit_consumed(const struct invocation *in)
{
    return sysret(BH_OK, audit_ring.written);
}

struct sysret inv_kernel_stat(const struct invocation *in)
{
    const struct percpu *pc;

    if (in->a[1] >= info_page.ncpus) return sysret(BH_ERR_RANGE, 0);
    pc = &percpus[in->a[1]];
    switch (in->a[0]) {
    case BH_STAT_IDLE_TICKS: return sysret(BH_OK, pc->idle_ticks);
    case BH_STAT_IRQS: return sysret(BH_OK, pc->irqs);
    case BH_STAT_IPIS: return sysret(BH_OK, pc->ipis);
    case BH_STAT_SWITCHES: return sysret(BH_OK, pc->switches);
    case BH_STAT_FLUSHES: return sysret(BH_OK, pc->flushes);
    default: return sysret(BH_ERR_RANGE, 0);
    }
}

struct sysret inv_hostspace_tables_left(const struct invocation *in)
{
    const struct space *s = &spaces[cell_obj(in->cell)];

    return sysret(BH_OK, s->pages - s->next_free);
}

struct sysret inv_guestspace_tables_left(const struct invocation *in)
{
    return inv_hostspace_tables_left(in);
}
