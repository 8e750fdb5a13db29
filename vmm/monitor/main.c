/*
 * The monitor's event loop: run the vCPU, handle the exit, look at devices and interrupts when
 * something has changed. May call: everything in the monitor. Nothing here formats text or walks
 * over devices unless time has passed.
 */
#include "monitor.h"
#include "fmt.h"
#include "tables.h"

void monitor_main(unsigned number);

void read_state(uint64_t groups)
{
    /* A group that is to be loaded back is newer in the page than in the vCPU. */
    groups &= ~self()->flags;
    if (groups && bh_vcpu_read(BH_MONITOR_SLOT_VCPU + self()->number, groups).err)
        vm_end(BH_END_STOPPED, 0, "vCPU state cannot be read");
}

void inject_exception(unsigned vector, int64_t code)
{
    page()->inject = BH_EVENT_VALID | BH_EVENT_EXCEPTION | vector |
                     (code < 0 ? 0 : BH_EVENT_CODE | (uint64_t)code << 32);
    self()->flags |= BH_RUN_INJECT;
}

/* ---- interrupts ---- */

static bool can_interrupt(void)
{
    const struct vcpu *v = self();

    /* A skipped instruction ends the shadow. */
    return (v->page->rflags & RFLAGS_IF) &&
           (!(v->page->shadow & BH_SHADOW_STI) || (v->flags & BH_RUN_RIP)) &&
           !(v->flags & BH_RUN_INJECT);
}

/* @return true while an NMI still waits. */
static bool nmi_evaluate(void)
{
    struct vcpu *v = self();

    if ((v->flags & BH_RUN_INJECT) || (v->page->shadow & BH_SHADOW_NMI)) {
        v->flags |= BH_RUN_NMI_WINDOW;
        return true;
    }
    v->lapic.nmi_pending = false;
    v->page->inject = BH_EVENT_VALID | BH_EVENT_NMI | 2u;
    v->flags |= BH_RUN_INJECT;
    return false;
}

static void irq_evaluate(void)
{
    struct vcpu *v = self();
    bool interrupt, waits;

    if (v->eoi_offered) kvm_eoi_take(); /* something has come before the guest ran */
    if (v->lapic.init_pending) cpu_init();
    interrupt = platform_pending(); /* first: it may find an NMI, too */
    waits = v->lapic.nmi_pending && nmi_evaluate();
    if (interrupt) {
        if (can_interrupt()) {
            int vector = platform_ack();

            if (vector >= 0) {
                v->page->inject = BH_EVENT_VALID | BH_EVENT_INTR | (unsigned)vector;
                v->flags |= BH_RUN_INJECT;
                if (v->kvm_eoi_msr & 1u) kvm_eoi_offer();
            }
        }
        if (platform_pending()) {
            v->flags |= BH_RUN_WINDOW;
            waits = true;
        }
    }
    if (!waits) v->dirty &= ~DIRTY_IRQ;
}

static void signalled(uint64_t bits)
{
    if (bits & BH_MONITOR_SIGNAL_KICK) post_take();
    if (bits & ~(uint64_t)BH_MONITOR_SIGNAL_KICK) platform_signalled(bits);
}

void wait_event(uint64_t deadline)
{
    struct vcpu *v = self();
    struct bh_result r = {BH_OK, v->signals};

    v->signals = 0;
    if (!r.value) r = bh_wait(BH_MONITOR_SLOT_NTFN + v->number, deadline);
    if (r.err == BH_OK)
        signalled(r.value);
    else if (r.err != BH_ERR_TIMEOUT)
        vm_end(BH_END_STOPPED, 0, "cannot wait");
}

static void settle(void)
{
    struct vcpu *v = self();

    do {
        if (v->dirty & DIRTY_SIGNALS) {
            uint64_t bits = v->signals;

            v->signals = 0;
            v->dirty &= ~DIRTY_SIGNALS;
            signalled(bits);
        }
        if (v->dirty & DIRTY_RX) {
            v->dirty &= ~DIRTY_RX;
            platform_console_input();
        }
        if (v->dirty & (DIRTY_TIME | DIRTY_DEVICES))
            v->deadline_tsc = clock_ns_to_tsc(platform_deadline_ns());
        if (v->dirty & DIRTY_IRQ) irq_evaluate();
    } while (v->dirty & DIRTY_SIGNALS); /* that came while it waited for the device lock */
}

/* ---- exits that need no file of their own ---- */

static void exit_timeout(void) { platform_tick(); }

/* Is there an event that ends HLT? An NMI that waits for the end of another is none. */
static bool woken(void)
{
    bool interrupt = platform_pending(); /* first: it may find an NMI, too */
    const struct lapic *l = &self()->lapic;

    return (l->nmi_pending && !(page()->shadow & BH_SHADOW_NMI)) || l->init_pending ||
           (interrupt && (page()->rflags & RFLAGS_IF));
}

void wait_halted(void)
{
    struct vcpu *v = self();

    while (!woken()) {
        v->idle = IDLE_HLT;
        wait_event(clock_ns_to_tsc(platform_deadline_ns()));
        platform_tick();
    }
    v->idle = IDLE_NOT;
}

/* HLT: the instruction is over; nothing runs until an event that the guest takes. */
static void exit_hlt(void)
{
    insn_skip(0xf4, 1);
    wait_halted();
}

/*
 * QEMU's emulation of SVM opens the window in the shadow of STI already. Between STI and HLT that
 * would run the handler before the HLT, which then sleeps through it: there the HLT is taken as
 * executed, which with an interrupt pending ends at once. Processors with next-RIP save do not need
 * this.
 */
static void exit_window(void)
{
    struct bh_vcpu_page *p = page();

    self()->dirty |= DIRTY_IRQ;
    if (start_block()->backend == BH_BACKEND_SVM && !p->next_rip &&
        !(self()->flags & BH_RUN_INJECT) && insn_between_sti_and_hlt())
        insn_go(p->rip + 1u);
}

static void exit_shutdown(void) { vm_end(BH_END_TRIPLE_FAULT, 0, "triple fault"); }

static void exit_cache(void)
{
    struct bh_vcpu_page *p = page();
    uint8_t bytes[16];
    size_t n;

    if (p->next_rip) {
        insn_go(p->next_rip);
        return;
    }
    /* INVD (0F 08) or WBINVD (0F 09): the exit does not say which. */
    read_state(BH_STATE_SEG | BH_STATE_CR);
    n = insn_fetch(bytes);
    for (size_t i = 0; i + 1u < n && i < 14u; i++)
        if (bytes[i] == 0x0f) {
            insn_skip((uint32_t)bytes[i] | (uint32_t)bytes[i + 1u] << 8, 2);
            return;
        }
    vm_stop("cache instruction not found");
}

static void exit_undefined(void) { inject_exception(VEC_UD, -1); }

static void exit_rdpmc(void) { inject_exception(VEC_GP, 0); }

/* The kernel intercepts these only to break endless loops: hand them on. */
static void exit_exception(void)
{
    const struct bh_vcpu_page *p = page();
    bool has_code = p->qual == 8u || (p->qual >= 10u && p->qual <= 14u) || p->qual == 17u;

    inject_exception((unsigned)p->qual & 31u, has_code ? (int64_t)(p->info & 0xffffu) : -1);
}

/* Nothing is read back: where it is and what was asked for stands in the page. */
static void exit_invalid(void)
{
    self()->flags = BH_STATE_ALL;
    vm_stop("the processor refuses this vCPU state");
}

static void exit_unknown(void) { vm_stop("unknown exit reason"); }

static void exit_unexpected(void) { vm_stop("exit reason that is not handled"); }

typedef void (*exit_fn)(void);

static const exit_fn exit_table[BH_NEXITS] = {
    [BH_EXIT_SIGNALLED] = NULL, /* handled in the loop: it has a value */
    [BH_EXIT_TIMEOUT] = exit_timeout,
    [BH_EXIT_CPUID] = exit_cpuid,
    [BH_EXIT_IO] = exit_io,
    [BH_EXIT_RDMSR] = exit_rdmsr,
    [BH_EXIT_WRMSR] = exit_wrmsr,
    [BH_EXIT_HLT] = exit_hlt,
    [BH_EXIT_MEMORY] = exit_memory,
    [BH_EXIT_WINDOW] = exit_window,
    [BH_EXIT_SHUTDOWN] = exit_shutdown,
    [BH_EXIT_HYPERCALL] = exit_hypercall,
    [BH_EXIT_CR] = exit_cr,
    [BH_EXIT_XSETBV] = exit_xsetbv,
    [BH_EXIT_CACHE] = exit_cache,
    [BH_EXIT_MWAIT] = exit_undefined,
    [BH_EXIT_UNDEFINED] = exit_undefined,
    [BH_EXIT_RDPMC] = exit_rdpmc,
    [BH_EXIT_NMI_WINDOW] = exit_window,
    [BH_EXIT_EXCEPTION] = exit_exception,
    [BH_EXIT_TASK_SWITCH] = exit_unexpected,
    [BH_EXIT_INIT] = exit_unexpected,
    [BH_EXIT_INVALID] = exit_invalid,
    [BH_EXIT_UNKNOWN] = exit_unknown,
    [BH_EXIT_DR] = exit_unexpected,
};

/* SIGNALLED or TIMEOUT before the guest ran: what was asked for still is to be done. */
static bool not_entered(struct bh_result r)
{
    if (r.err == (BH_EXIT_SIGNALLED | BH_EXIT_NOT_ENTERED))
        signalled(r.value);
    else if (r.err == (BH_EXIT_TIMEOUT | BH_EXIT_NOT_ENTERED))
        platform_tick();
    else
        return false;
    return true;
}

static __attribute__((noreturn)) void run(void)
{
    struct vcpu *v = self();

    for (;;) {
        struct bh_result r;

        if (v->dirty) settle();
        r = bh_vcpu_run(v->deadline_tsc, v->flags);
        if (__builtin_expect(v->eoi_offered, 0)) kvm_eoi_take();
        if (__builtin_expect(r.err >= BH_NEXITS, 0)) {
            char text[64];

            if (not_entered(r)) continue;

            (void)fmt_buf(text, sizeof(text), "vcpu_run: error %lu, flags 0x%lx", 0u - r.err,
                          v->flags);
            vm_end(BH_END_STOPPED, 0, text);
        }
        v->exits[r.err]++;
        v->exit_reason = (uint32_t)r.err;
        /* An event whose delivery the exit has interrupted is delivered again. */
        v->flags = v->page->inject & BH_EVENT_VALID ? BH_RUN_INJECT : 0;
        if (r.err == BH_EXIT_SIGNALLED)
            signalled(r.value);
        else
            exit_table[r.err]();
    }
}

/* ---- setup ---- */

static void load_images(struct boot_state *state)
{
    const struct bh_monitor_start *st = start_block();
    struct boot_error error = {"", "", "", 0};
    const struct boot_request request = {
        .mem = guest_mem,
        .kernel = (const uint8_t *)st->kernel_va,
        .kernel_bytes = st->kernel_bytes,
        .initrd = (const uint8_t *)st->initrd_va,
        .initrd_bytes = st->initrd_bytes,
        .cmdline = st->cmdline,
        .acpi_rsdp_gpa = TABLES_RSDP_GPA,
        .protocol = (enum boot_protocol)st->protocol,
        .screen = (st->flags & BH_MONITOR_FLAG_VGA) != 0,
    };

    if (firmware_state(state)) return;
    if (!tables_put()) vm_end(BH_END_STOPPED, 0, "no room for tables");
    if (!boot_load(&request, state, &error)) {
        char text[160];

        (void)fmt_buf(text, sizeof(text), "%s: %s (%lu); %s", error.where, error.what, error.value,
                      error.remedy);
        vm_end(BH_END_IMAGE, 0, text);
    }
}

/* What each exit brings along: enough for its handler, and no more. */
static bool want_groups(void)
{
    return bh_vcpu_want(BH_MONITOR_SLOT_VCPU + self()->number, BH_EXIT_MEMORY, BH_GROUP_MMIO).err ==
           BH_OK;
}

/* Everything that all threads see, before any vCPU runs. */
static void vm_init(struct boot_state *state)
{
    char text[160];

    if (start_block()->magic != BH_MONITOR_MAGIC || start_block()->version != BH_MONITOR_VERSION ||
        start_block()->nvcpus - 1u >= BH_MONITOR_MAX_VCPUS)
        vm_end(BH_END_STOPPED, 0, "root and monitor speak different versions");
    clock_init();
    memory_init();
    if (!memory_map_ram()) vm_end(BH_END_STOPPED, 0, "guest RAM cannot be mapped");
    if (!cpuid_init(text, sizeof(text))) vm_end(BH_END_IMAGE, 0, text);
    if (!platform_init()) vm_end(BH_END_STOPPED, 0, "the virtual PC cannot be set up");
    if (!restore_wanted()) load_images(state);
}

/* One thread per vCPU. Those of the others touch nothing that is shared until vCPU 0's guest starts
 * them: what vm_init() has written is there by then. */
void monitor_main(unsigned number)
{
    struct vcpu *v = self();
    struct boot_state state;

    v->number = number;
    v->page = (struct bh_vcpu_page *)(BH_MONITOR_VCPU + number * 4096ul);
    if (number == 0) vm_init(&state);
    if (!want_groups()) vm_end(BH_END_STOPPED, 0, "vCPU cannot be configured");
    if (restore_wanted())
        number == 0 ? restore_vm() : restore_vcpu();
    else if (number == 0)
        state_boot(&state);
    else
        state_start_others();
    v->dirty = DIRTY_TIME | DIRTY_DEVICES | DIRTY_IRQ;
    run();
}
