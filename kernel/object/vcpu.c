/*
 * Virtual CPUs, common to VMX and SVM: the run loop that a monitor enters with vcpu_run, doorbells,
 * FPU ownership, and the invocations. Takes no lock on the run path. May call: the backend table,
 * scheduler, notifications.
 */
#include "object/entry.h"
#include "object/vcpu.h"
#include "object/invoke.h"
#include "object/ntfn.h"
#include "object/sched.h"
#include "object/space.h"
#include "arch/x86/apic.h"
#include "arch/x86/asm.h"
#include "arch/x86/audit.h"
#include "arch/x86/cpu.h"
#include "arch/x86/layout.h"
#include "arch/x86/mem.h"
#include "arch/x86/trap.h"
#include "core/epoch.h"

const struct vcpu_ops *vcpu_ops;

/* Standard-format XSAVE of everything the host knows; without XSAVE, FXSAVE. */
static void fpu_store(void *area)
{
    if (host_xcr0 == 0)
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
    else
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
}

static void fpu_fetch(const void *area)
{
    if (host_xcr0 == 0)
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
    else
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
}

static void fpu_xcr0(uint64_t from, uint64_t to)
{
    if (host_xcr0 != 0 && from != to) xsetbv0(to);
}

uint64_t vcpu_xcr0(const struct vcpu *v)
{
    /* QEMU's TCG does not intercept XSETBV: while the guest's state is in the registers, so is its
     * XCR0. */
    return percpu()->fpu_owner == v && host_xcr0 != 0 ? xgetbv0() & host_xcr0 : v->guest_xcr0;
}

/* The owner's domain must be loaded. */
void vcpu_fpu_save(void)
{
    static const struct {
        uint8_t legacy[24];
        uint32_t mxcsr;
        uint8_t rest[548];
    } clean __attribute__((aligned(64))) = {.mxcsr = 0x1f80};
    struct percpu *pc = percpu();
    struct vcpu *v = pc->fpu_owner;

    fpu_enable();
    v->guest_xcr0 = vcpu_xcr0(v);
    fpu_xcr0(v->guest_xcr0, host_xcr0);
    fpu_store(v->xsave);
    /* AMD CPUs load the last x87 instruction's and operand's address only with an exception pending
     * (APM vol. 3, FXRSTOR): an instruction of ours takes the guest's place there. */
    __asm__ volatile("fnclex; ffree %%st(7); fildl %0" : : "m"(clean.mxcsr));
    fpu_fetch(&clean);
    fpu_disable();
    pc->fpu_owner = NULL;
    pc->domain_flush &= ~DOMAIN_FPU;
}

static void vcpu_fpu_load(struct percpu *pc, struct vcpu *v)
{
    if (pc->fpu_owner != NULL)
        vcpu_fpu_save(); /* another vCPU of the same domain: a switch of domains saves */
    fpu_enable();
    fpu_fetch(v->xsave);
    fpu_xcr0(host_xcr0, v->guest_xcr0);
    fpu_disable();
    pc->fpu_owner = v;
    pc->domain_flush |= DOMAIN_FPU;
}

/* Between a vCPU's FPU state and its page: when that is not in the registers. */
static void vcpu_fpu_copy(struct vcpu *v, bool write)
{
    uint64_t *area = v->xsave;

    if (percpu()->fpu_owner == v) vcpu_fpu_save();
    for (uint32_t i = 0; i < sizeof(v->page->fpu) / 8; i++)
        *(write ? &area[i] : &v->page->fpu[i]) = ONCE(*(write ? &v->page->fpu[i] : &area[i]));
    /* What XRSTOR refuses: MXCSR's reserved bits, components that are not there, the header's rest.
     */
    area[3] &= 0xffff;
    area[64] &= host_xcr0 & 7;
    for (uint32_t i = 65; i < 72; i++) area[i] = 0;
}

/* Port writes bound to a notification finish here. */
static bool vcpu_doorbell(struct vcpu *v)
{
    uint32_t q = (uint32_t)v->qual, value = (uint32_t)ONCE(v->page->gpr[0]);

    if ((q & (BH_IO_IN | BH_IO_STRING)) != 0) return false;
    q &= 0xffff0070u;
    for (uint32_t i = 0; i < v->ndoorbells; i++) {
        const struct doorbell *d = &v->doorbells[i];

        if (d->match == q && ((value ^ d->value) & d->mask) == 0) {
            vcpu_ops->skip(v);
            ntfn_signal(d->ntfn, d->badge);
            return true;
        }
    }
    return false;
}

/* In both of its callers, for the short way of an exit. */
__attribute__((always_inline)) static inline struct sysret
vcpu_loop(struct percpu *pc, struct thread *t, struct vcpu *v, uint64_t flags, uint64_t entered)
{
    struct ntfn *n = &ntfns[v->ntfn];
    unsigned reason;

    for (;;) {
        if (__builtin_expect(n->bits != 0, 0))
            return sysret(BH_EXIT_SIGNALLED | entered,
                          __atomic_exchange_n(&n->bits, 0, __ATOMIC_SEQ_CST));
        if (__builtin_expect((pc->hazard & ~HAZARD_VERW) != 0, 0)) {
            t->cont = CONT_VCPU;
            t->run_flags = flags | entered << 32;
            resume_current();
        }
        if (__builtin_expect(pc->fpu_owner != v, 0)) vcpu_fpu_load(pc, v);
        reason = vcpu_ops->run(v, flags);
        flags = RUN_AGAIN;
        entered = 0;
        v->exits[reason]++;
        if (reason == BH_EXIT_IO && v->ndoorbells != 0 && vcpu_doorbell(v)) continue;
        if (__builtin_expect(reason < BH_NEXITS, 1)) break;
        /* Also for exits that end here: an endless row of them must let interrupts in. */
        exit_irq_window();
        if (rdtsc() >= t->run_deadline) return sysret(BH_EXIT_TIMEOUT, 0);
    }
    if (v->want[reason] != BH_GROUP_RIP)
        vcpu_ops->read_state(v, v->want[reason] == BH_GROUP_FULL ? BH_STATE_ALL : STATE_DECODE);
    if (__builtin_expect(reason == BH_EXIT_INVALID || reason == BH_EXIT_UNKNOWN, 0))
        audit(reason == BH_EXIT_INVALID ? BH_AUDIT_VCPU_INVALID : BH_AUDIT_VCPU_UNKNOWN,
              (uint32_t)(v - vcpus), t->fault_badge, v->qual, v->info, v->rip, 0);
    return sysret(reason, 0);
}

struct sysret sys_vcpu_run(uint64_t deadline, uint64_t flags)
{
    struct percpu *pc = percpu();
    struct thread *t = pc->current;
    struct vcpu *v;
    err_t e;

    if (__builtin_expect(t->vcpu == NONE, 0)) return sysret(0 - (uint64_t)BH_ERR_STATE, 0);
    v = &vcpus[t->vcpu];
    if (__builtin_expect((flags & ~(uint64_t)BH_RUN_ALL) != 0, 0))
        return sysret(0 - (uint64_t)BH_ERR_RANGE, 0);
    if (__builtin_expect((flags & (BH_STATE_ALL | BH_STATE_FPU)) != 0, 0)) {
        e = vcpu_ops->write_state(v, flags & BH_STATE_ALL);
        if (e != BH_OK) return sysret(0 - (uint64_t)e, 0);
        if ((flags & BH_STATE_FPU) != 0) vcpu_fpu_copy(v, true);
        flags &= ~(uint64_t)(BH_STATE_ALL | BH_STATE_FPU);
    }
    t->run_deadline = deadline;
    if (__builtin_expect(deadline < pc->armed, 0)) {
        if (deadline <= rdtsc()) return sysret(BH_EXIT_TIMEOUT | BH_EXIT_NOT_ENTERED, 0);
        timer_arm(deadline);
    }
    return vcpu_loop(pc, t, v, flags, BH_EXIT_NOT_ENTERED);
}

void vcpu_resume(struct thread *t)
{
    struct percpu *pc = percpu();
    uint32_t flags = (uint32_t)t->run_flags, why = (uint32_t)(t->run_flags >> 32);
    struct sysret r = rdtsc() >= t->run_deadline ? sysret(BH_EXIT_TIMEOUT | why, 0)
                                                 : vcpu_loop(pc, t, &vcpus[t->vcpu], flags, why);

    if (pc->hazard != 0) {
        thread_return(t, r.err, r.value);
        resume_current();
    }
    return_syscall(r.err, r.value);
}

void vcpu_object_init(uint32_t obj, uint32_t cpu)
{
    struct vcpu *v = &vcpus[obj];
    uint32_t page = obj * (BH_VCPU_BYTES / PAGE_BYTES);

    v->cpu = cpu;
    v->thread = v->guestspace = v->ntfn = NONE;
    v->hw_phys = page_phys(page + 1);
    for (uint32_t i = 1; i <= 3; i++) pool_hide(page + i);
}

void vcpu_fini(uint32_t obj)
{
    uint32_t page = obj * (BH_VCPU_BYTES / PAGE_BYTES);

    for (uint32_t i = 0; i < BH_DOORBELLS; i++) {
        if (vcpus[obj].doorbells[i].match != 0) ntfns[vcpus[obj].doorbells[i].ntfn].users--;
    }
    for (uint32_t i = 1; i <= 3; i++) {
        pool_show(page + i);
        zero_bytes(page_ptr(page + i), PAGE_BYTES);
    }
}

static struct vcpu *invoked(const struct invocation *in) { return &vcpus[cell_obj(in->cell)]; }

struct sysret inv_vcpu_bind(const struct invocation *in)
{
    struct percpu *pc = percpu();
    struct vcpu *v = invoked(in);
    struct thread *t;
    struct space *s;
    uint32_t thread, gspace, ntfn, slot, page;
    err_t e = arg_cell(in->a[0], BH_CAP_THREAD, BH_RIGHT_WRITE, &thread);
    if (e == BH_OK) e = arg_cell(in->a[1], BH_CAP_GUESTSPACE, BH_RIGHT_GRANT, &gspace);
    if (e == BH_OK) e = arg_cell(in->a[2], BH_CAP_NTFN, BH_RIGHT_READ, &ntfn);
    if (e != BH_OK) return sysret(e, 0);
    t = &threads[cell_obj(thread)];
    if (t->cpu != v->cpu || ntfns[cell_obj(ntfn)].cpu != v->cpu) return sysret(BH_ERR_CPU, v->cpu);
    if (v->thread != NONE || t->vcpu != NONE || t->bound == 0 ||
        (t->state != BH_THREAD_STOPPED && t != pc->current))
        return sysret(BH_ERR_STATE, 0);
    if (ntfns[cell_obj(ntfn)].vcpu != NONE || epoch_passed(v->unbound) == 0)
        return sysret(BH_ERR_BUSY, 0);
    s = &spaces[t->space];
    for (slot = 0; slot < PRIV_VCPU_COUNT && (s->vcpu_used >> slot & 1u) != 0; slot++)
        ;
    if (slot == PRIV_VCPU_COUNT) return sysret(BH_ERR_LIMIT, 0);
    page = cell_obj(in->cell) * (BH_VCPU_BYTES / PAGE_BYTES);
    e = space_map_kernel_page(t->space, in->a[3], page + 3);
    if (e != BH_OK) return sysret(e, 0);
    s->vcpu_used |= 1u << slot;
    s->users++;
    v->page_va = in->a[3];
    v->slot = slot;
    v->hw = (void *)(uint64_t)(PRIV_VCPU + slot * PRIV_VCPU_STRIDE);
    v->xsave = (char *)v->hw + PAGE_BYTES;
    v->page = (struct bh_vcpu_page *)((char *)v->hw + 2 * PAGE_BYTES);
    for (uint32_t i = 0; i < 3; i++)
        space_private(t->space, (uint64_t)v->hw + i * PAGE_BYTES, page + 1 + i);
    v->thread = cell_obj(thread);
    v->guestspace = cell_obj(gspace);
    v->nested_root = page_phys(v->guestspace + GUEST_ROOT);
    spaces[v->guestspace].users++;
    spaces[v->guestspace].cpus |= 1ull << v->cpu;
    v->ntfn = cell_obj(ntfn);
    ntfns[v->ntfn].users++;
    ntfns[v->ntfn].vcpu = cell_obj(in->cell);
    t->vcpu = cell_obj(in->cell);
    write_cr3(t->cr3);
    if (v->initialised == 0) {
        v->guest_xcr0 = host_xcr0 == 0 ? 0 : 1;
        *(uint32_t *)((char *)v->xsave + 24) = 0x1f80; /* MXCSR */
        *(uint16_t *)v->xsave = 0x37f;
        v->initialised = 1;
    }
    vcpu_ops->init(v);
    write_cr3(pc->cr3);
    return sysret(BH_OK, 0);
}

void vcpu_unbind(struct vcpu *v)
{
    struct percpu *pc = percpu();
    struct thread *t = &threads[v->thread];

    write_cr3(t->cr3);
    if (pc->fpu_owner == v) vcpu_fpu_save();
    vcpu_ops->release(v);
    write_cr3(pc->cr3);
    space_unmap_kernel_page(t->space, v->page_va);
    for (uint32_t i = 0; i < 3; i++) space_private(t->space, (uint64_t)v->hw + i * PAGE_BYTES, 0);
    spaces[t->space].vcpu_used &= ~(1u << v->slot);
    spaces[t->space].users--;
    spaces[v->guestspace].users--;
    ntfns[v->ntfn].users--;
    ntfns[v->ntfn].vcpu = NONE;
    t->vcpu = NONE;
    if (t->cont == CONT_VCPU) thread_return(t, 0 - (uint64_t)BH_ERR_ABORTED, 0);
    v->thread = v->guestspace = v->ntfn = NONE;
    v->unbound = epoch_charge();
}

struct sysret inv_vcpu_unbind(const struct invocation *in)
{
    if (invoked(in)->thread == NONE) return sysret(BH_ERR_STATE, 0);
    vcpu_unbind(invoked(in));
    return sysret(BH_OK, 0);
}

struct sysret inv_vcpu_doorbell(const struct invocation *in)
{
    struct vcpu *v = invoked(in);
    struct doorbell *d;
    uint32_t cell = 0, width = (uint32_t)(in->a[1] >> 16 & 0xff);
    err_t e = BH_OK;

    if (in->a[0] >= BH_DOORBELLS || (in->a[1] >> 24 & 0xff) > 1 ||
        (width != 1 && width != 2 && width != 4))
        return sysret(BH_ERR_RANGE, 0);
    /* It is used from then on, and cannot be deleted: more than who may signal it can ask for. */
    if (in->a[2] != 0) e = arg_cell(in->a[2], BH_CAP_NTFN, BH_RIGHT_WRITE | BH_RIGHT_GRANT, &cell);
    if (e != BH_OK) return sysret(e, 0);
    d = &v->doorbells[in->a[0]];
    if (d->match != 0) ntfns[d->ntfn].users--;
    *d = (struct doorbell){0};
    if (cell != 0) {
        d->match = (uint32_t)(in->a[1] & 0xffff) << 16 | width << 4;
        d->value = (uint32_t)(in->a[1] >> 32);
        if ((in->a[1] >> 24 & 1) != 0) d->mask = width == 4 ? ~0u : (1u << 8 * width) - 1;
        d->ntfn = cell_obj(cell);
        d->badge = cells[cell].badge;
        ntfns[d->ntfn].users++;
        if (v->ndoorbells <= in->a[0]) v->ndoorbells = (uint32_t)in->a[0] + 1;
    }
    return sysret(BH_OK, 0);
}

struct sysret inv_vcpu_want(const struct invocation *in)
{
    if (in->a[0] >= BH_NEXITS || in->a[1] > BH_GROUP_FULL) return sysret(BH_ERR_RANGE, 0);
    invoked(in)->want[in->a[0]] = (uint8_t)in->a[1];
    return sysret(BH_OK, 0);
}

struct sysret inv_vcpu_read(const struct invocation *in)
{
    if ((in->a[0] & ~(uint64_t)(BH_STATE_ALL | BH_STATE_FPU)) != 0) return sysret(BH_ERR_RANGE, 0);
    if (percpu()->current->vcpu != cell_obj(in->cell)) return sysret(BH_ERR_STATE, 0);
    vcpu_ops->read_state(invoked(in), in->a[0]);
    if ((in->a[0] & BH_STATE_FPU) != 0) vcpu_fpu_copy(invoked(in), false);
    return sysret(BH_OK, 0);
}

struct sysret inv_vcpu_exits(const struct invocation *in)
{
    if (in->a[0] >= BH_NEXITS + 8) return sysret(BH_ERR_RANGE, 0);
    return sysret(BH_OK, vcpus[cell_obj(in->cell)].exits[in->a[0]]);
}
