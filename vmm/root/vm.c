/* Making, watching and taking back a VM; see vm.h. */
#include "vm.h"
#include "archive.h"
#include "clock.h"
#include "console.h"
#include "caps.h"
#include "fmt.h"
#include "layout.h"
#include "log.h"
#include "program.h"
#include "string.h"
#include "bulkhead/vcpu.h"

#define MIB         0x100000ull
#define LARGE_PAGES 512u /* 2 MiB */
#define PERIOD_US   10000u

/* Exit status of the system when a VM did not end by itself; documented in README. */
enum { STATUS_STOPPED = 123, STATUS_IMAGE = 122 };

/* Page offsets in the frame shared with the monitor. */
enum {
    SHARED_START = 0,
    SHARED_REPORT = 1,
    SHARED_CONSOLE = 2,
    SHARED_PAGES = 2 + BH_CONSOLE_PAGES
};

_Static_assert(SHARED_PAGES *PAGE <= ROOT_SHARED_BYTES, "window of one VM");

static uint64_t pages_of(uint64_t bytes) { return (bytes + PAGE - 1u) / PAGE; }

static unsigned log2_up(uint64_t n)
{
    unsigned bits = 0;

    while (((uint64_t)1 << bits) < n) bits++;
    return bits;
}

uint64_t vm_memory_bytes(const struct manifest_vm *config)
{
    return config->memory_mib * MIB + (program_pages() + SHARED_PAGES + LARGE_PAGES) * PAGE;
}

/* Page tables a region of @bytes at an aligned address takes below the root table, with entries of
 * 4 KiB (@small) or 2 MiB. */
static uint64_t tables_for(uint64_t bytes, bool small)
{
    uint64_t gib = (bytes + 0x3fffffffu) >> 30;
    uint64_t large = (bytes + 0x1fffffu) >> 21;

    return bytes ? gib + (small ? large + 1u : 0) : 0;
}

static uint64_t hostspace_pages(const struct manifest_vm *c, uint64_t image_bytes)
{
    /* Header, root table, one third-level table (512 GiB), code and shared pages, the vCPU's page
     * and private area, RAM, images. */
    uint64_t n =
        2u + 1u + 4u + 4u + tables_for(c->memory_mib * MIB, false) + tables_for(image_bytes, true);

    return n < BH_HOSTSPACE_MIN_PAGES ? BH_HOSTSPACE_MIN_PAGES : n;
}

static uint64_t guestspace_pages(const struct manifest_vm *c)
{
    /* Header, root table, third level, small entries around the hole below 1 MiB, the hole below
     * 4 GiB splits a GiB. */
    uint64_t n = 2u + 1u + 1u + 1u + tables_for(c->memory_mib * MIB, false);

    return n < BH_GUESTSPACE_MIN_PAGES ? BH_GUESTSPACE_MIN_PAGES : n;
}

static bool failed(const struct vm *vm, const char *what, uint64_t err)
{
    if (err) say("vm %s: %s: %s", vm->config->name, what, error_name(err));
    return err != BH_OK;
}

/* The sub-untypeds: all that this VM will ever be made of, so that taking it back is two revokes.
 */
static bool make_untypeds(struct vm *vm, uint64_t host_pages, uint64_t guest_pages)
{
    uint64_t largest = host_pages > guest_pages ? host_pages : guest_pages;
    /* Spaces are aligned to their size: the largest may lose as much again. */
    uint64_t kpages = host_pages + guest_pages + largest + BH_VCPU_BYTES / PAGE + 2u;
    uint64_t fpages = vm_memory_bytes(vm->config) / PAGE - LARGE_PAGES;
    uint64_t err = BH_ERR_MEMORY;

    if (vm->kuntyped_bytes) return true;
    if (failed(vm, "kernel memory",
               retype(BH_SLOT_KUNTYPED, BH_CAP_KUNTYPED, 0, 0, kpages, vm->slots + VS_KUNTYPED)))
        return false;
    for (unsigned i = 0; i < info()->funtyped_count && err; i++)
        err = retype(BH_SLOT_FUNTYPED + i, BH_CAP_FUNTYPED, log2_up(LARGE_PAGES), 0, fpages,
                     vm->slots + VS_FUNTYPED);
    if (failed(vm, "guest memory", err)) {
        (void)slot_delete(vm->slots + VS_KUNTYPED);
        return false;
    }
    vm->kuntyped_bytes = bh_untyped_left(vm->slots + VS_KUNTYPED).value;
    vm->funtyped_bytes = bh_untyped_left(vm->slots + VS_FUNTYPED).value;
    return true;
}

static bool make_objects(struct vm *vm, unsigned cpu, uint64_t host_pages, uint64_t guest_pages,
                         uint64_t ntfn)
{
    uint64_t s = vm->slots, k = vm->slots + VS_KUNTYPED;
    uint64_t period = (uint64_t)info()->tsc_khz * PERIOD_US / 1000u;
    const struct manifest_vm *c = vm->config;
    /* The larger space first: each is aligned to its size. */
    bool host_first = host_pages >= guest_pages;

    return !(host_first &&
             failed(vm, "monitor's address space",
                    retype(k, BH_CAP_HOSTSPACE, log2_up(host_pages), cpu, 1, s + VS_HOSTSPACE))) &&
           !failed(vm, "guest's address space",
                   retype(k, BH_CAP_GUESTSPACE, log2_up(guest_pages), cpu, 1, s + VS_GUESTSPACE)) &&
           !(!host_first &&
             failed(vm, "monitor's address space",
                    retype(k, BH_CAP_HOSTSPACE, log2_up(host_pages), cpu, 1, s + VS_HOSTSPACE))) &&
           !failed(vm, "vCPU", retype(k, BH_CAP_VCPU, 0, cpu, 1, s + VS_VCPU)) &&
           !failed(vm, "CNode",
                   retype(k, BH_CAP_CNODE, log2_up(BH_MONITOR_SLOTS), cpu, 1, s + VS_CNODE)) &&
           !failed(vm, "thread", retype(k, BH_CAP_THREAD, 0, cpu, 1, s + VS_THREAD)) &&
           !failed(vm, "scheduling context", retype(k, BH_CAP_SC, 0, cpu, 1, s + VS_SC)) &&
           !failed(vm, "notification", retype(k, BH_CAP_NTFN, 0, cpu, 1, s + VS_NTFN)) &&
           !failed(vm, "scheduling context",
                   bh_sc_configure(s + VS_SC, period * c->floor_percent / 100u,
                                   period * c->ceiling_percent / 100u, period, c->weight)
                       .err) &&
           !failed(vm, "thread: bind",
                   bh_thread_bind(s + VS_THREAD, s + VS_CNODE, s + VS_HOSTSPACE).err) &&
           !failed(vm, "thread: scheduling context",
                   bh_thread_set_sc(s + VS_THREAD, s + VS_SC).err) &&
           !failed(vm, "root's notification",
                   bh_cnode_mint(s + VS_CNODE, BH_MONITOR_SLOT_ROOT, ntfn, BH_RIGHT_WRITE,
                                 (uint64_t)1 << vm->number)
                       .err) &&
           !failed(vm, "console signal",
                   bh_cnode_mint(BH_SLOT_CNODE, s + VS_SIGNAL, s + VS_NTFN, BH_RIGHT_WRITE,
                                 BH_MONITOR_SIGNAL_CONSOLE)
                       .err) &&
           !failed(
               vm, "notification",
               bh_cnode_copy(s + VS_CNODE, BH_MONITOR_SLOT_NTFN, s + VS_NTFN, BH_RIGHT_READ).err);
}

/* Guest RAM is the monitor's at BH_MONITOR_RAM; the attachment to the guest's space is given away:
 * where RAM lies in the guest's physical space is the monitor's business. */
static bool make_memory(struct vm *vm)
{
    uint64_t s = vm->slots, f = vm->slots + VS_FUNTYPED;
    uint64_t ram_pages = vm->config->memory_mib * MIB / PAGE;
    uint64_t rw = BH_RIGHT_READ | BH_RIGHT_WRITE;

    return !failed(vm, "guest RAM",
                   retype(f, BH_CAP_FRAME, log2_up(LARGE_PAGES), 0, ram_pages, s + VS_RAM)) &&
           !failed(vm, "monitor's memory",
                   retype(f, BH_CAP_FRAME, 0, 0, program_pages(), s + VS_CODE)) &&
           !failed(vm, "shared pages",
                   retype(f, BH_CAP_FRAME, 0, 0, SHARED_PAGES, s + VS_SHARED)) &&
           !failed(vm, "guest RAM: monitor",
                   attach(s + VS_RAM, s + VS_HOSTSPACE, rw, s + VS_RAM_MONITOR)) &&
           !failed(
               vm, "guest RAM: monitor",
               map(s + VS_RAM_MONITOR, BH_MONITOR_RAM, 0, ram_pages, BH_MAP_READ | BH_MAP_WRITE)) &&
           !failed(vm, "guest RAM: guest",
                   attach(s + VS_RAM, s + VS_GUESTSPACE, rw | BH_RIGHT_EXEC, s + VS_RAM_GUEST)) &&
           !failed(vm, "guest RAM: guest",
                   bh_cnode_move(s + VS_CNODE, BH_MONITOR_SLOT_RAM, s + VS_RAM_GUEST).err);
}

static bool share_pages(struct vm *vm)
{
    uint64_t s = vm->slots, rw = BH_RIGHT_READ | BH_RIGHT_WRITE;
    uint64_t m = s + VS_SHARED_MONITOR;
    uint64_t va = ROOT_SHARED + vm->number * ROOT_SHARED_BYTES;

    if (failed(vm, "shared pages: root",
               attach(s + VS_SHARED, BH_SLOT_HOSTSPACE, rw, s + VS_SHARED_ROOT)) ||
        failed(vm, "shared pages: root",
               map(s + VS_SHARED_ROOT, va, 0, SHARED_PAGES, BH_MAP_READ | BH_MAP_WRITE)) ||
        failed(vm, "shared pages: monitor", attach(s + VS_SHARED, s + VS_HOSTSPACE, rw, m)) ||
        failed(vm, "start block", map(m, BH_MONITOR_START, SHARED_START, 1, BH_MAP_READ)) ||
        failed(vm, "report page",
               map(m, BH_MONITOR_REPORT, SHARED_REPORT, 1, BH_MAP_READ | BH_MAP_WRITE)) ||
        failed(vm, "console ring",
               map(m, BH_MONITOR_CONSOLE, SHARED_CONSOLE, BH_CONSOLE_PAGES,
                   BH_MAP_READ | BH_MAP_WRITE)))
        return false;
    vm->start = (struct bh_monitor_start *)(va + SHARED_START * PAGE);
    vm->report = (struct bh_monitor_report *)(va + SHARED_REPORT * PAGE);
    vm->console = (struct bh_console *)(va + SHARED_CONSOLE * PAGE);
    vm->console->magic = BH_CONSOLE_MAGIC;
    return true;
}

/* A file of the archive, read-only for the monitor, whole pages from @va on. */
static bool map_image(struct vm *vm, const char *name, unsigned slot, uint64_t va, uint64_t *bytes)
{
    const struct archive_file *f = archive_find(name);
    uint64_t err;

    if (!f || !f->frame) {
        say("vm %s: %s: %s in the boot archive", vm->config->name, name,
            f ? "empty" : "no such file");
        return false;
    }
    err = attach(f->frame, vm->slots + VS_HOSTSPACE, BH_RIGHT_READ, vm->slots + slot);
    if (!err) err = map(vm->slots + slot, va, 0, f->pages, BH_MAP_READ);
    *bytes = f->bytes;
    return !failed(vm, name, err);
}

static bool load_monitor(struct vm *vm)
{
    uint64_t s = vm->slots;

    return !failed(vm, "monitor's memory",
                   attach(s + VS_CODE, s + VS_HOSTSPACE, BH_RIGHTS_ALL, s + VS_CODE_MONITOR)) &&
           !failed(vm, "monitor's program",
                   program_load(s + VS_CODE, s + VS_CODE_MONITOR, s + VS_WINDOW));
}

static void fill_start(struct vm *vm, uint64_t kernel_bytes, uint64_t initrd_va,
                       uint64_t initrd_bytes)
{
    const struct manifest_vm *c = vm->config;
    struct bh_monitor_start *st = vm->start;

    st->magic = BH_MONITOR_MAGIC;
    st->version = BH_MONITOR_VERSION;
    st->vm = vm->number;
    (void)fmt_buf(st->name, sizeof(st->name), "%s", c->name);
    st->nvcpus = c->cpus;
    st->backend = info()->backend;
    st->tsc_khz = info()->tsc_khz;
    st->flags = c->debug_exit ? BH_MONITOR_FLAG_DEBUG_EXIT : 0;
    st->protocol = c->protocol;
    st->ram_bytes = c->memory_mib * MIB;
    st->kernel_va = BH_MONITOR_IMAGES;
    st->kernel_bytes = kernel_bytes;
    st->initrd_va = initrd_va;
    st->initrd_bytes = initrd_bytes;
    st->wall_clock_s = wall_clock_s(&st->wall_clock_tsc);
    /* Each VM gets a seed that tells nothing of another's: the kernel's seed through a mixer with
     * the VM's number and the time. */
    seed_vm(vm->number, st->seed);
    (void)fmt_buf(st->cmdline, sizeof(st->cmdline), "%s", c->append ? c->append : "");
}

static void take_back(struct vm *vm)
{
    uint64_t s = vm->slots, err;

    if (bh_cnode_type(BH_SLOT_CNODE, s + VS_THREAD).value) (void)bh_thread_stop(s + VS_THREAD);
    vm->start = NULL;
    vm->report = NULL;
    vm->console = NULL;
    /* Images belong to the archive: their attachments go one by one. */
    err = slot_delete(s + VS_KERNEL_MONITOR);
    err = err ? err : slot_delete(s + VS_INITRD_MONITOR);
    err = err ? err : slot_revoke(s + VS_FUNTYPED);
    err = err ? err : slot_revoke(s + VS_KUNTYPED);
    err = err ? err : scrub(s + VS_FUNTYPED, vm->funtyped_bytes);
    err = err ? err : scrub(s + VS_KUNTYPED, vm->kuntyped_bytes);
    (void)failed(vm, "taking it back", err);
    audit_begin("vm-freed");
    audit_text("vm", vm->config->name);
    audit_number("kernel_bytes", vm->kuntyped_bytes);
    audit_number("kernel_bytes_free", bh_untyped_left(s + VS_KUNTYPED).value);
    audit_number("frame_bytes", vm->funtyped_bytes);
    audit_number("frame_bytes_free", bh_untyped_left(s + VS_FUNTYPED).value);
    audit_end();
}

static bool build(struct vm *vm, uint64_t ntfn)
{
    const struct manifest_vm *c = vm->config;
    const struct archive_file *kernel = archive_find(c->kernel);
    const struct archive_file *initrd = c->initrd ? archive_find(c->initrd) : NULL;
    uint64_t image_bytes =
        (kernel ? kernel->pages : 0) * PAGE + (initrd ? initrd->pages : 0) * PAGE;
    uint64_t host_pages = (uint64_t)1 << log2_up(hostspace_pages(c, image_bytes));
    uint64_t guest_pages = (uint64_t)1 << log2_up(guestspace_pages(c));
    uint64_t kernel_bytes, initrd_bytes = 0, initrd_va = 0;
    uint64_t s = vm->slots;

    if (!make_untypeds(vm, host_pages, guest_pages) ||
        !make_objects(vm, 0, host_pages, guest_pages, ntfn) || !make_memory(vm) ||
        !share_pages(vm) || !load_monitor(vm) ||
        !map_image(vm, c->kernel, VS_KERNEL_MONITOR, BH_MONITOR_IMAGES, &kernel_bytes))
        return false;
    if (c->initrd) {
        initrd_va = BH_MONITOR_IMAGES + pages_of(kernel_bytes) * PAGE;
        if (!map_image(vm, c->initrd, VS_INITRD_MONITOR, initrd_va, &initrd_bytes)) return false;
    }
    fill_start(vm, kernel_bytes, initrd_va, initrd_bytes);
    if (failed(vm, "fault notification",
               bh_thread_set_fault_ntfn(s + VS_THREAD, s + VS_FAULT).err) ||
        failed(vm, "vCPU: bind",
               bh_vcpu_bind(s + VS_VCPU, s + VS_THREAD, s + VS_GUESTSPACE, s + VS_NTFN,
                            BH_MONITOR_VCPU)
                   .err) ||
        failed(vm, "vCPU",
               bh_cnode_copy(s + VS_CNODE, BH_MONITOR_SLOT_VCPU, s + VS_VCPU, BH_RIGHTS_ALL).err) ||
        failed(vm, "thread: start", bh_thread_start(s + VS_THREAD, program_entry(), 0, 0).err))
        return false;
    return true;
}

/* What can be said before anything is made. */
static bool startable(const struct vm *vm)
{
    const struct manifest_vm *c = vm->config;

    if (c->cpus > 1u) {
        say("vm %s: cpus = %u: this version runs VMs with one vCPU", c->name, c->cpus);
        return false;
    }
    if (c->vcpu_cpu[0] != 0 && c->vcpu_cpu[0] != MANIFEST_CPU_ANY)
        say("vm %s: runs on CPU 0, not %u: this version uses one CPU", c->name, c->vcpu_cpu[0]);
    return true;
}

/* The slots that a VM has for good, and the notification for its faults in one of them. */
static bool make_slots(struct vm *vm, uint64_t ntfn)
{
    if (!vm->slots) vm->slots = slots_take(VS_COUNT);
    if (!vm->slots) {
        say("vm %s: no capability slots left", vm->config->name);
        return false;
    }
    return bh_cnode_type(BH_SLOT_CNODE, vm->slots + VS_FAULT).value != 0 ||
           !failed(vm, "fault notification",
                   bh_cnode_mint(BH_SLOT_CNODE, vm->slots + VS_FAULT, ntfn, BH_RIGHTS_ALL,
                                 (uint64_t)1 << vm->number)
                       .err);
}

bool vm_start(struct vm *vm, unsigned number, const struct manifest_vm *config, uint64_t ntfn)
{
    vm->number = number;
    vm->config = config;
    vm->status = 0;
    if (!startable(vm) || !make_slots(vm, ntfn) || !build(vm, ntfn)) {
        if (vm->kuntyped_bytes) take_back(vm);
        vm->state = VM_ENDED;
        vm->status = STATUS_IMAGE;
        (void)fmt_buf(vm->reason, sizeof(vm->reason), "vm %s could not be made", config->name);
        return false;
    }
    vm->state = VM_RUNNING;
    audit_begin("vm-started");
    audit_text("vm", config->name);
    audit_number("memory_mib", config->memory_mib);
    audit_number("kernel_bytes",
                 vm->kuntyped_bytes - bh_untyped_left(vm->slots + VS_KUNTYPED).value);
    audit_number("monitor_bytes", (program_pages() + SHARED_PAGES) * PAGE);
    audit_number("host_tables_left", bh_hostspace_tables_left(vm->slots + VS_HOSTSPACE).value);
    audit_number("guest_tables_left", bh_guestspace_tables_left(vm->slots + VS_GUESTSPACE).value);
    audit_end();
    return true;
}

static const char *const end_names[BH_END_COUNT] = {
    [BH_END_NONE] = "none",
    [BH_END_POWEROFF] = "power-off",
    [BH_END_RESET] = "reset",
    [BH_END_TRIPLE_FAULT] = "triple-fault",
    [BH_END_DEBUG_EXIT] = "debug-exit",
    [BH_END_STOPPED] = "stopped",
    [BH_END_IMAGE] = "image",
};

static void audit_report(const struct vm *vm, const struct bh_monitor_report *r)
{
    char bytes[2u * sizeof(r->insn) + 1u];
    uint32_t n = r->insn_len < sizeof(r->insn) ? r->insn_len : sizeof(r->insn);

    audit_begin("vm-ended");
    audit_text("vm", vm->config->name);
    audit_text("kind", end_names[r->kind]);
    audit_number("vcpu", r->vcpu);
    if (r->kind == BH_END_DEBUG_EXIT) audit_number("status", r->status);
    if (r->kind == BH_END_STOPPED || r->kind == BH_END_TRIPLE_FAULT) {
        audit_number("exit_reason", r->exit_reason);
        audit_hex("qualification", r->qual);
        audit_hex("info", r->info);
        audit_hex("rip", r->rip);
        bytes[0] = '\0';
        for (uint32_t i = 0; i < n; i++) (void)fmt_buf(bytes + 2u * i, 3, "%02x", r->insn[i]);
        audit_text("bytes", bytes);
    }
    audit_number("exits", r->exits);
    audit_numbers("exits_by_reason", r->exits_by_reason, BH_NEXITS);
    audit_number("holes", r->holes);
    if (r->text[0]) audit_text("text", r->text);
    audit_end();
}

/* The status the system would end with, as a process's: 0..255. */
static void end_from_report(struct vm *vm, const struct bh_monitor_report *r)
{
    const char *name = vm->config->name;

    switch (r->kind) {
    case BH_END_POWEROFF:
    case BH_END_RESET:
        vm->status = 0;
        (void)fmt_buf(vm->reason, sizeof(vm->reason), "vm %s: %s", name, end_names[r->kind]);
        break;
    case BH_END_DEBUG_EXIT:
        vm->status = (int)((r->status << 1 | 1u) & 0xffu);
        (void)fmt_buf(vm->reason, sizeof(vm->reason), "vm %s: debug exit", name);
        break;
    case BH_END_IMAGE:
        vm->status = STATUS_IMAGE;
        (void)fmt_buf(vm->reason, sizeof(vm->reason), "vm %s stopped by its monitor: bad image",
                      name);
        break;
    default:
        vm->status = STATUS_STOPPED;
        (void)fmt_buf(vm->reason, sizeof(vm->reason), "vm %s stopped by its monitor: %s", name,
                      end_names[r->kind]);
        break;
    }
}

/* A monitor that died of a fault of its own: its VM ends, and nothing else. */
static void end_from_fault(struct vm *vm, uint64_t status)
{
    uint64_t thread = vm->slots + VS_THREAD;

    audit_begin("monitor-fault");
    audit_text("vm", vm->config->name);
    audit_number("vector", status >> 8 & 0xffu);
    audit_hex("error_code", status >> 16);
    audit_hex("rip", bh_thread_fault_rip(thread).value);
    audit_hex("address", bh_thread_fault_addr(thread).value);
    audit_end();
    vm->status = STATUS_STOPPED;
    (void)fmt_buf(vm->reason, sizeof(vm->reason), "vm %s stopped by a fault of its monitor",
                  vm->config->name);
}

void vm_check(struct vm *vm)
{
    struct bh_monitor_report report;
    uint64_t status;

    if (vm->state != VM_RUNNING) return;
    /* The monitor may write while this reads: take one copy, believe only that. */
    memcpy(&report, (const void *)vm->report, sizeof(report));
    __asm__ volatile("" ::: "memory");
    status = bh_thread_status(vm->slots + VS_THREAD).value;
    if (report.kind != BH_END_NONE && report.kind < BH_END_COUNT) {
        report.text[sizeof(report.text) - 1u] = '\0';
        audit_report(vm, &report);
        end_from_report(vm, &report);
    } else if ((status & 0xffu) == BH_THREAD_FAULTED) {
        end_from_fault(vm, status);
    } else {
        return;
    }
    console_vm_ends(vm);
    vm->state = VM_ENDED;
    take_back(vm);
}

void vm_signal_console(const struct vm *vm)
{
    if (vm->state == VM_RUNNING) (void)bh_signal(vm->slots + VS_SIGNAL);
}
