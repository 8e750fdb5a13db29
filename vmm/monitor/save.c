/*
 * Saving the VM to the memory that root has given for it, and going on from a saved one. All vCPUs
 * stand still meanwhile, each at a place where all of its state is in its page and in its struct
 * vcpu; guest time stands still with them. May call: save_file.c, devices' state tables, system
 * calls.
 */
#include "monitor.h"
#include "crc32c.h"
#include "fmt.h"
#include "save_file.h"
#include "string.h"

/* ---- what of a vCPU is saved ---- */

static const struct state_member vcpu_members[] = {
    STATE_MEMBER(struct vcpu, tsc_offset),    STATE_MEMBER(struct vcpu, tsc_adjust),
    STATE_MEMBER(struct vcpu, idle),          STATE_MEMBER(struct vcpu, kvm_time_msr),
    STATE_MEMBER(struct vcpu, mtrr_variable), STATE_MEMBER(struct vcpu, mtrr_fixed),
    STATE_MEMBER(struct vcpu, mtrr_default),  STATE_MEMBER(struct vcpu, kvm_eoi_msr),
};

static bool vcpu_loaded(void *dev) { return ((struct vcpu *)dev)->idle <= IDLE_STARTUP; }

static const struct dev_state vcpu_state = DEV_STATE("vcpu", 2, vcpu_members, vcpu_loaded);

/* What the kernel is given: it checks each word when the vCPU is run. */
static const struct state_member page_members[] = {
    STATE_MEMBER(struct bh_vcpu_page, gpr),    STATE_MEMBER(struct bh_vcpu_page, rip),
    STATE_MEMBER(struct bh_vcpu_page, rflags), STATE_MEMBER(struct bh_vcpu_page, shadow),
    STATE_MEMBER(struct bh_vcpu_page, inject), STATE_MEMBER(struct bh_vcpu_page, state),
    STATE_MEMBER(struct bh_vcpu_page, fpu),
};

static const struct dev_state page_state = DEV_STATE("registers", 1, page_members, NULL);

/* All of this thread's vCPU into its page, as it will be entered next. */
static void vcpu_settle(void)
{
    struct vcpu *v = self();

    read_state(BH_STATE_ALL | BH_STATE_FPU);
    if (v->eoi_offered) kvm_eoi_take();
    if ((v->flags & BH_RUN_RIP) && !(v->flags & BH_RUN_SHADOW))
        v->page->shadow &= ~(uint64_t)BH_SHADOW_STI;
    if (!(v->flags & BH_RUN_INJECT)) v->page->inject = 0;
}

/* And back: what follows a restore is entered with all of it. */
static void vcpu_unsettle(void)
{
    struct vcpu *v = self();

    v->page->state.tsc_offset = v->tsc_offset;
    v->flags = BH_STATE_ALL | BH_STATE_FPU | BH_RUN_RIP | BH_RUN_SHADOW |
               (v->page->inject & BH_EVENT_VALID ? BH_RUN_INJECT : 0);
    v->dirty = DIRTY_TIME | DIRTY_DEVICES | DIRTY_IRQ;
    kvm_clock_update();
}

/* What else of the VM is saved. */
static const struct state_member vm_members[] = {
    {.name = "kvm_wall_msr", .bytes = sizeof(kvm_wall_msr)}};
static const struct dev_state vm_state = DEV_STATE("vm", 1, vm_members, NULL);

/* ---- standing still ---- */

static uint32_t pausing, standing;

static void wait_kicked(void)
{
    struct vcpu *v = self();
    struct bh_result r = bh_wait(BH_MONITOR_SLOT_NTFN + v->number, BH_FOREVER);

    if (r.err != BH_OK) vm_end(BH_END_STOPPED, 0, "cannot wait");
    v->signals |= r.value & ~(uint64_t)BH_MONITOR_SIGNAL_KICK;
    if (v->signals) v->dirty |= DIRTY_SIGNALS;
}

void save_pause(void)
{
    vcpu_settle();
    (void)__atomic_fetch_add(&standing, 1u, __ATOMIC_SEQ_CST);
    (void)bh_signal(BH_MONITOR_SLOT_KICK);
    while (__atomic_load_n(&pausing, __ATOMIC_SEQ_CST)) wait_kicked();
    (void)__atomic_fetch_sub(&standing, 1u, __ATOMIC_SEQ_CST);
    (void)bh_signal(BH_MONITOR_SLOT_KICK); /* who is to stand again is waited for */
    post_take(); /* the kicks for what was posted meanwhile have been taken */
}

/* The thread that has another end the VM meanwhile does not come back. */
static void pause_others(void)
{
    /* One that has not gone on yet since the last time would be counted, and then go on. */
    while (__atomic_load_n(&standing, __ATOMIC_SEQ_CST)) {
        wait_kicked();
        post_take();
    }
    __atomic_store_n(&pausing, 1u, __ATOMIC_SEQ_CST);
    for (unsigned n = 1; n < vcpu_count(); n++) post(vcpu_of(n), POST_PAUSE);
    while (__atomic_load_n(&standing, __ATOMIC_SEQ_CST) < vcpu_count() - 1u) {
        wait_kicked();
        post_take();
    }
    for (unsigned n = 0; n < vcpu_count(); n++) post_take_for(vcpu_of(n));
}

/* Guest time goes on where it stopped: by the clock and by every TSC. */
static void resume_others(uint64_t stopped_ns, uint64_t stopped_tsc)
{
    uint64_t now = rt_tsc();

    clock_set(stopped_ns, now);
    for (unsigned n = 0; n < vcpu_count(); n++) {
        struct vcpu *v = vcpu_of(n);

        v->tsc_offset -= now - stopped_tsc;
        v->page->state.tsc_offset = v->tsc_offset;
        v->flags |= BH_STATE_TSC;
        v->dirty |= DIRTY_TIME | DIRTY_DEVICES | DIRTY_IRQ;
    }
    __atomic_store_n(&pausing, 0u, __ATOMIC_SEQ_CST);
    for (unsigned n = 1; n < vcpu_count(); n++) (void)bh_signal(BH_MONITOR_SLOT_KICK + n);
}

/* ---- the file ---- */

static uint8_t *device_ram(void)
{
    return (uint8_t *)(BH_MONITOR_RAM +
                       ((start_block()->ram_bytes + 0x1fffffu) & ~(uint64_t)0x1fffffu));
}

/* What lies under disk @n's overlay: it stays the same as long as the VM lives. */
static uint32_t image_crc(unsigned n)
{
    static struct {
        bool known;
        uint32_t crc;
    } images[BH_MONITOR_DISKS];
    const struct bh_monitor_disk *d = &start_block()->disks[n];

    if (!images[n].known) images[n].crc = crc32c(0, (const void *)d->image_va, d->image_bytes);
    images[n].known = true;
    return images[n].crc;
}

/* This VM, as a file must describe it. */
static struct save_header describe(void)
{
    const struct bh_monitor_start *st = start_block();
    struct save_header h = {
        .nvcpus = st->nvcpus,
        .ram_bytes = st->ram_bytes,
        .device_ram_bytes = st->device_ram_bytes,
        .tsc_khz = st->tsc_khz,
    };

    for (unsigned i = 0; i < st->ndisks; i++) {
        const struct bh_monitor_disk *d = &st->disks[i];
        const uint64_t what[] = {d->bytes, d->image_bytes, d->flags, image_crc(i)};

        h.config = crc32c(h.config, what, sizeof(what));
    }
    h.config = crc32c(h.config, &st->flags, sizeof(st->flags));
    h.config = crc32c(h.config, &st->nwires, sizeof(st->nwires));
    cpuid_model(h.cpu_model);
    return h;
}

static uint64_t write_file(uint64_t stopped_ns, uint64_t stopped_tsc)
{
    const struct bh_monitor_start *st = start_block();
    struct save_header h = describe();
    struct save_file f;
    const struct dev_state *state;
    uint32_t instance;
    void *dev;

    h.host_tsc = stopped_tsc;
    h.guest_ns = stopped_ns;
    save_begin(&f, (uint8_t *)st->store_va, st->store_bytes);
    save_memory(&f, "ram", guest_mem.base, st->ram_bytes, guest_mem.absent);
    save_memory(&f, "device-ram", device_ram(), st->device_ram_bytes, NULL);
    save_state(&f, &vm_state, &kvm_wall_msr, 0);
    for (unsigned i = 0; platform_saved(i, &state, &dev, &instance); i++)
        save_state(&f, state, dev, instance);
    for (unsigned n = 0; n < vcpu_count(); n++) {
        save_state(&f, &vcpu_state, vcpu_of(n), n);
        save_state(&f, &page_state, vcpu_of(n)->page, n);
        save_state(&f, &lapic_state, &vcpu_of(n)->lapic, n);
    }
    return save_end(&f, &h);
}

/* The VM stands still because root has asked for it, since pause_tsc; it is to go on. */
static bool pause_on, pause_over;
static uint64_t pause_ns, pause_tsc;

uint64_t save_vm(void)
{
    uint64_t ns, tsc, bytes;

    if (pause_on) return write_file(pause_ns, pause_tsc);
    vcpu_settle();
    pause_others();
    tsc = rt_tsc(); /* one moment for both: the host may hold us up between two looks */
    ns = clock_ns_at(tsc);
    bytes = write_file(ns, tsc);
    resume_others(ns, tsc);
    return bytes;
}

void pause_begin(void)
{
    if (pause_on) return;
    vcpu_settle();
    pause_others();
    pause_on = true;
    pause_tsc = rt_tsc();
    pause_ns = clock_ns_at(pause_tsc);
}

void pause_end(void) { pause_over = pause_on; }

bool paused(void) { return pause_on && !pause_over; }

/* All signals but questions are kept for when it goes on. */
void pause_stand(void)
{
    static bool inside;
    struct vcpu *v = self();

    if (!pause_on || inside) return;
    inside = true;
    while (!pause_over) {
        wait_kicked();
        if (v->signals & BH_MONITOR_SIGNAL_CONTROL) {
            v->signals &= ~(uint64_t)BH_MONITOR_SIGNAL_CONTROL;
            control_asked();
        }
    }
    inside = pause_on = pause_over = false;
    resume_others(pause_ns, pause_tsc);
    post_take();
}

/* ---- restoring ---- */

static uint32_t restored;

static uint32_t put_refusal(const struct save_file *f, char text[BH_CONTROL_TEXT_BYTES])
{
    return (uint32_t)fmt_buf(text, BH_CONTROL_TEXT_BYTES, "saved VM: %s: %s", f->where, f->error) +
           1u;
}

uint32_t save_refuses(uint64_t bytes, char text[BH_CONTROL_TEXT_BYTES])
{
    const struct save_header expected = describe();
    struct save_header saved;
    struct save_file f;

    if (save_open(&f, (uint8_t *)start_block()->store_va, bytes, &expected, &saved) &&
        save_check(&f))
        return 0;
    return put_refusal(&f, text);
}

static __attribute__((noreturn)) void refuse(const struct save_file *f)
{
    char text[BH_CONTROL_TEXT_BYTES];

    (void)put_refusal(f, text);
    vm_end(BH_END_IMAGE, 0, text);
}

/* The vCPU of this thread goes on. */
static void vcpu_restored(void)
{
    struct vcpu *v = self();

    vcpu_unsettle();
    post_take();
    if (v->idle == IDLE_STARTUP) wait_for_startup();
    if (v->idle == IDLE_HLT) wait_halted();
}

/* The other threads wait in restore_vcpu() and touch nothing of this. */
static bool load_file(struct save_file *f, const struct save_header *saved)
{
    const struct bh_monitor_start *st = start_block();
    const struct dev_state *state;
    uint32_t instance;
    void *dev;
    bool ok = save_load_memory(f, "ram", guest_mem.base, st->ram_bytes) &&
              save_load_memory(f, "device-ram", device_ram(), st->device_ram_bytes) &&
              save_load_state(f, &vm_state, &kvm_wall_msr, 0);
    uint64_t now;

    for (unsigned i = 0; ok && platform_saved(i, &state, &dev, &instance); i++)
        ok = save_load_state(f, state, dev, instance);
    now = rt_tsc();
    clock_set(saved->guest_ns, now);
    for (unsigned n = 0; ok && n < vcpu_count(); n++) {
        struct vcpu *v = vcpu_of(n);

        ok = save_load_state(f, &vcpu_state, v, n) && save_load_state(f, &page_state, v->page, n) &&
             save_load_state(f, &lapic_state, &v->lapic, n);
        v->tsc_offset -= now - saved->host_tsc;
    }
    return ok && save_close(f);
}

void restore_vm(void)
{
    const struct bh_monitor_start *st = start_block();
    const struct save_header expected = describe();
    struct save_header saved;
    struct save_file file;

    if (!save_open(&file, (uint8_t *)st->restore_va, st->restore_bytes, &expected, &saved) ||
        !load_file(&file, &saved))
        refuse(&file);
    platform_restored();
    __atomic_store_n(&restored, 1u, __ATOMIC_SEQ_CST);
    for (unsigned n = 1; n < vcpu_count(); n++) (void)bh_signal(BH_MONITOR_SLOT_KICK + n);
    vcpu_restored();
}

void restore_vcpu(void)
{
    while (!__atomic_load_n(&restored, __ATOMIC_SEQ_CST)) wait_kicked();
    vcpu_restored();
}
