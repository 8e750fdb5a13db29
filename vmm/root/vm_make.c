/* Making a VM from its untypeds, and taking it back; see vm_parts.h. */
#include "bulkhead/vcpu.h"
#include "admit.h"
#include "caps.h"
#include "log.h"
#include "pieces.h"
#include "program.h"
#include "service.h"
#include "vm_parts.h"
#include "vm_store.h"
#include "wires.h"

#define LARGE_PAGES (LARGE_BYTES / PAGE)
#define PERIOD_US   10000u

/* Slot @what of vCPU @n. */
uint64_t vcpu_slot(const struct vm *vm, unsigned n, enum vcpu_slot what)
{
    return vm->slots + VS_VCPUS + n * VC_COUNT + what;
}

/* Where thread and vCPU @n live: the manifest's rules have placed each on one of the CPUs that they
 * were told of. */
unsigned vcpu_cpu(const struct vm *vm, unsigned n)
{
    uint32_t cpu = vm->config->vcpu_cpu[n];

    return cpu == MANIFEST_CPU_ANY ? 0 : cpu;
}

bool vm_failed(const struct vm *vm, const char *what, uint64_t err)
{
    if (err) say("vm %s: %s: %s", vm->config->name, what, error_name(err));
    return err != BH_OK;
}

/* The sub-untypeds: all that this VM will ever be made of, so that taking it back is two revokes.
 */
static bool make_untypeds(struct vm *vm)
{
    uint64_t fpages = vm_own_pages(vm->config), err = BH_ERR_MEMORY;

    if (!vm->kuntyped_bytes) {
        if (vm_failed(vm, "kernel memory",
                      retype(BH_SLOT_KUNTYPED, BH_CAP_KUNTYPED, 0, 0, vm_kernel_pages(vm->config),
                             vm->slots + VS_KUNTYPED)))
            return false;
        vm->kuntyped_bytes = bh_untyped_left(vm->slots + VS_KUNTYPED).value;
    }
    if (vm->funtyped_bytes) return true;
    for (unsigned i = 0; i < info()->funtyped_count && err; i++)
        err = retype(BH_SLOT_FUNTYPED + i, BH_CAP_FUNTYPED, log2_up(LARGE_PAGES), 0, fpages,
                     vm->slots + VS_FUNTYPED);
    if (err && admit_inherit(vm)) return true;
    if (vm_failed(vm, "guest memory", err)) return false;
    vm->funtyped_bytes = bh_untyped_left(vm->slots + VS_FUNTYPED).value;
    return true;
}

/* What root signals to the thread of vCPU 0. */
static const struct {
    const char *what;
    unsigned slot;
    uint64_t badge;
} signals[] = {
    {"console signal", VS_SIGNAL, BH_MONITOR_SIGNAL_CONSOLE},
    {"control signal", VS_SIGNAL_CONTROL, BH_MONITOR_SIGNAL_CONTROL},
    {"link signal", VS_SIGNAL_LINK, BH_MONITOR_SIGNAL_LINK},
    {"power button", VS_SIGNAL_STOP, BH_MONITOR_SIGNAL_STOP},
    {"pieces' signal", VS_SIGNAL_PIECES, BH_MONITOR_SIGNAL_PIECES},
};

/* The largest first: each is aligned to its size. */
static bool make_objects(struct vm *vm, uint64_t host_pages, uint64_t guest_pages)
{
    uint64_t s = vm->slots, k = vm->slots + VS_KUNTYPED;
    unsigned cpu = vcpu_cpu(vm, 0);

    for (unsigned n = 0; n < vm->config->cpus; n++)
        if (vm_failed(vm, "vCPU",
                      retype(k, BH_CAP_VCPU, 0, vcpu_cpu(vm, n), 1, vcpu_slot(vm, n, VC_VCPU))))
            return false;
    if (vm_failed(vm, "monitor's address space",
                  retype(k, BH_CAP_HOSTSPACE, 0, cpu, host_pages, s + VS_HOSTSPACE)) ||
        vm_failed(vm, "guest's address space",
                  retype(k, BH_CAP_GUESTSPACE, 0, cpu, guest_pages, s + VS_GUESTSPACE)) ||
        vm_failed(vm, "CNode",
                  retype(k, BH_CAP_CNODE, log2_up(BH_MONITOR_SLOTS), cpu, 1, s + VS_CNODE)))
        return false;
    for (unsigned n = 0; n < vm->config->cpus; n++)
        if (vm_failed(vm, "thread",
                      retype(k, BH_CAP_THREAD, 0, vcpu_cpu(vm, n), 1, vcpu_slot(vm, n, VC_THREAD))))
            return false;
    for (unsigned n = 0; n < vm->config->cpus; n++)
        if (vm_failed(vm, "scheduling context",
                      retype(k, BH_CAP_SC, 0, vcpu_cpu(vm, n), 1, vcpu_slot(vm, n, VC_SC))))
            return false;
    for (unsigned n = 0; n < vm->config->cpus; n++)
        if (vm_failed(vm, "notification",
                      retype(k, BH_CAP_NTFN, 0, vcpu_cpu(vm, n), 1, vcpu_slot(vm, n, VC_NTFN))))
            return false;
    if (vm_failed(vm, "root's notification",
                  bh_cnode_mint(s + VS_CNODE, BH_MONITOR_SLOT_ROOT, vm->ntfn, BH_RIGHT_WRITE,
                                vm_signal_badge(vm->number))
                      .err))
        return false;
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (vm_failed(vm, signals[i].what,
                      bh_cnode_mint(BH_SLOT_CNODE, s + signals[i].slot, vcpu_slot(vm, 0, VC_NTFN),
                                    BH_RIGHT_WRITE, signals[i].badge)
                          .err))
            return false;
    return true;
}

/* Guest RAM is the monitor's at BH_MONITOR_RAM, the devices' memory behind all of it. */
static uint64_t map_ram(struct vm *vm)
{
    uint64_t m = vm->slots + VS_RAM_MONITOR, pages = vm_ram_frame_bytes(vm->config) / PAGE;
    uint64_t own = vm_elastic(vm->config) ? vm_own_ram_bytes(vm->config) / PAGE : pages, err;

    err = map(m, BH_MONITOR_RAM, 0, own, BH_MAP_READ | BH_MAP_WRITE);
    if (err || own == pages) return err;
    return map(m, BH_MONITOR_RAM + vm_ram_window_bytes(vm->config) - vm_device_bytes(vm->config),
               own, pages - own, BH_MAP_READ | BH_MAP_WRITE);
}

/* The store needs its memory in one piece: it comes first. */
static bool make_pieces(struct vm *vm)
{
    return !vm_elastic(vm->config) ||
           ((vm_store_bytes(vm->config) == 0 || vm_store_make(vm)) && pieces_give_all(vm));
}

/* The attachment to the guest's space is given away: where RAM lies in the guest's physical space
 * is the monitor's business. */
static bool make_memory(struct vm *vm)
{
    uint64_t s = vm->slots, f = vm->slots + VS_FUNTYPED;
    uint64_t ram_pages = vm_ram_frame_bytes(vm->config) / PAGE;
    uint64_t rw = BH_RIGHT_READ | BH_RIGHT_WRITE;

    return !vm_failed(vm, "guest RAM",
                      retype(f, BH_CAP_FRAME, log2_up(LARGE_PAGES), 0, ram_pages, s + VS_RAM)) &&
           !vm_failed(vm, "monitor's memory",
                      retype(f, BH_CAP_FRAME, 0, 0, program_pages(), s + VS_CODE)) &&
           !vm_failed(vm, "shared pages",
                      retype(f, BH_CAP_FRAME, 0, 0, vm_shared_pages(vm->config), s + VS_SHARED)) &&
           !vm_failed(vm, "guest RAM: monitor",
                      attach(s + VS_RAM, s + VS_HOSTSPACE, rw, s + VS_RAM_MONITOR)) &&
           !vm_failed(vm, "guest RAM: monitor", map_ram(vm)) && make_pieces(vm) &&
           !vm_failed(
               vm, "guest RAM: guest",
               attach(s + VS_RAM, s + VS_GUESTSPACE, rw | BH_RIGHT_EXEC, s + VS_RAM_GUEST)) &&
           !vm_failed(vm, "guest RAM: guest",
                      bh_cnode_move(s + VS_CNODE, BH_MONITOR_SLOT_RAM, s + VS_RAM_GUEST).err);
}

static bool share_pages(struct vm *vm)
{
    uint64_t s = vm->slots, rw = BH_RIGHT_READ | BH_RIGHT_WRITE;
    uint64_t m = s + VS_SHARED_MONITOR;
    uint64_t va = ROOT_SHARED + vm->number * ROOT_SHARED_BYTES;

    if (vm_failed(vm, "shared pages: root",
                  attach(s + VS_SHARED, BH_SLOT_HOSTSPACE, rw, s + VS_SHARED_ROOT)) ||
        vm_failed(vm, "shared pages: root",
                  map(s + VS_SHARED_ROOT, va, 0, vm_shared_pages(vm->config),
                      BH_MAP_READ | BH_MAP_WRITE)) ||
        vm_failed(vm, "shared pages: monitor", attach(s + VS_SHARED, s + VS_HOSTSPACE, rw, m)) ||
        vm_failed(vm, "start block", map(m, BH_MONITOR_START, SHARED_START, 1, BH_MAP_READ)) ||
        vm_failed(vm, "report page",
                  map(m, BH_MONITOR_REPORT, SHARED_REPORT, 1, BH_MAP_READ | BH_MAP_WRITE)) ||
        vm_failed(vm, "console ring",
                  map(m, BH_MONITOR_CONSOLE, SHARED_CONSOLE, BH_CONSOLE_PAGES,
                      BH_MAP_READ | BH_MAP_WRITE)) ||
        vm_failed(vm, "control pages",
                  map(m, BH_MONITOR_CONTROL, SHARED_CONTROL, BH_CONTROL_PAGES,
                      BH_MAP_READ | BH_MAP_WRITE)))
        return false;
    vm->start = (struct bh_monitor_start *)(va + SHARED_START * PAGE);
    vm->report = (struct bh_monitor_report *)(va + SHARED_REPORT * PAGE);
    vm->console = (struct bh_console *)(va + SHARED_CONSOLE * PAGE);
    vm->console->magic = BH_CONSOLE_MAGIC;
    vm->control = (struct bh_control *)(va + SHARED_CONTROL * PAGE);
    vm->asked = 0;
    vm->asker = NULL;
    if (vm_elastic(vm->config)) {
        if (vm_failed(vm, "pieces",
                      map(m, BH_MONITOR_PIECES, SHARED_PIECES, BH_PIECES_PAGES,
                          BH_MAP_READ | BH_MAP_WRITE)))
            return false;
        vm->pieces = (struct bh_pieces *)(va + SHARED_PIECES * PAGE);
    }
    if (!vm_has_channel(vm->config)) return true;
    if (vm_failed(vm, "control channel",
                  map(m, BH_MONITOR_CHANNEL, SHARED_CHANNEL, BH_CONSOLE_PAGES,
                      BH_MAP_READ | BH_MAP_WRITE)))
        return false;
    vm->channel = (struct bh_console *)(va + SHARED_CHANNEL * PAGE);
    vm->channel->magic = BH_CONSOLE_MAGIC;
    return true;
}

static bool load_monitor(struct vm *vm)
{
    uint64_t s = vm->slots;

    return !vm_failed(vm, "monitor's memory",
                      attach(s + VS_CODE, s + VS_HOSTSPACE, BH_RIGHTS_ALL, s + VS_CODE_MONITOR)) &&
           !vm_failed(vm, "monitor's program",
                      program_load(s + VS_CODE, s + VS_CODE_MONITOR, s + VS_WINDOW));
}

/* The store, made once: what is in it is there when the VM is made again. */
static bool map_store(struct vm *vm, const struct images *m)
{
    if (vm->config->save_mib == 0) return true;
    vm->store_va = vm_store_va(m);
    return vm_store_make(vm) && vm_store_show(vm, false);
}

struct vcpu_job {
    struct vm *vm;
    unsigned n;
};

/* On the vCPU's CPU, the VM's objects being there. @return BH_OK, or any error: said which. */
static uint64_t build_vcpu(void *arg)
{
    const struct vcpu_job *job = arg;
    struct vm *vm = job->vm;
    const struct manifest_vm *c = vm->config;
    unsigned n = job->n;
    uint64_t period = (uint64_t)info()->tsc_khz * PERIOD_US / 1000u;
    uint64_t s = vm->slots, thread = vcpu_slot(vm, n, VC_THREAD), sc = vcpu_slot(vm, n, VC_SC);
    uint64_t vcpu = vcpu_slot(vm, n, VC_VCPU), ntfn = vcpu_slot(vm, n, VC_NTFN);

    if (vm_failed(vm, "scheduling context",
                  bh_sc_configure(sc, period * c->floor_percent / 100u,
                                  period * c->ceiling_percent / 100u, period, c->weight)
                      .err) ||
        vm_failed(vm, "thread: bind", bh_thread_bind(thread, s + VS_CNODE, s + VS_HOSTSPACE).err) ||
        vm_failed(vm, "thread: scheduling context", bh_thread_set_sc(thread, sc).err) ||
        vm_failed(vm, "fault notification", bh_thread_set_fault_ntfn(thread, s + VS_FAULT).err) ||
        vm_failed(
            vm, "vCPU: bind",
            bh_vcpu_bind(vcpu, thread, s + VS_GUESTSPACE, ntfn, BH_MONITOR_VCPU + n * PAGE).err) ||
        vm_failed(vm, "vCPU",
                  bh_cnode_copy(s + VS_CNODE, BH_MONITOR_SLOT_VCPU + n, vcpu, BH_RIGHTS_ALL).err) ||
        vm_failed(vm, "notification",
                  bh_cnode_copy(s + VS_CNODE, BH_MONITOR_SLOT_NTFN + n, ntfn, BH_RIGHT_READ).err) ||
        vm_failed(vm, "notification",
                  bh_cnode_mint(s + VS_CNODE, BH_MONITOR_SLOT_KICK + n, ntfn, BH_RIGHT_WRITE,
                                BH_MONITOR_SIGNAL_KICK)
                      .err))
        return BH_ERR_STATE;
    return BH_OK;
}

static uint64_t start_thread(void *arg)
{
    const struct vcpu_job *job = arg;

    return vm_failed(
               job->vm, "thread: start",
               bh_thread_start(vcpu_slot(job->vm, job->n, VC_THREAD), program_entry(), 0, job->n)
                   .err)
               ? BH_ERR_STATE
               : BH_OK;
}

/* The thread lets go of everything: no object has to wait any more for one on another CPU. */
static uint64_t end_thread(void *arg)
{
    const struct vcpu_job *job = arg;

    return slot_delete(vcpu_slot(job->vm, job->n, VC_THREAD));
}

static uint64_t on_vcpu_cpu(struct vm *vm, unsigned n, cpu_work *work)
{
    struct vcpu_job job = {vm, n};

    return on_cpu(vcpu_cpu(vm, n), work, &job);
}

void vm_take_back(struct vm *vm)
{
    uint64_t s = vm->slots, err = BH_OK, scrub_tsc, had;

    for (unsigned n = 0; n < vm->config->cpus; n++) {
        uint64_t e = on_vcpu_cpu(vm, n, end_thread);

        err = err ? err : e;
    }
    wires_down(vm);
    vm->start = NULL;
    vm->report = NULL;
    vm->console = NULL;
    vm->channel = NULL;
    vm->control = NULL;
    vm->pieces = NULL;
    /* Images belong to the archive, boxes to the wires: their attachments go one by one. */
    err = err ? err : images_unmap(s + VS_IMAGES_MONITOR);
    err = err ? err : slot_delete(s + VS_STORE_MONITOR);
    err = err ? err : wires_unmap(vm);
    had = vm->pieces_have;
    err = err ? err : pieces_take_all(vm);
    err = err ? err : slot_revoke(s + VS_FUNTYPED, vcpu_cpu(vm, 0));
    err = err ? err : slot_revoke(s + VS_KUNTYPED, vcpu_cpu(vm, 0));
    scrub_tsc = rt_tsc();
    err = err ? err : scrub(s + VS_FUNTYPED, vm->funtyped_bytes);
    scrub_tsc = rt_tsc() - scrub_tsc;
    err = err ? err : scrub(s + VS_KUNTYPED, vm->kuntyped_bytes);
    (void)vm_failed(vm, "taking it back", err);
    audit_begin("vm-freed");
    audit_text("vm", vm->config->name);
    audit_number("kernel_bytes", vm->kuntyped_bytes);
    audit_number("kernel_bytes_free", bh_untyped_left(s + VS_KUNTYPED).value);
    audit_number("frame_bytes", vm->funtyped_bytes);
    audit_number("frame_bytes_free", bh_untyped_left(s + VS_FUNTYPED).value);
    if (vm_elastic(vm->config)) {
        audit_number("pieces", had);
        audit_number("pieces_free", had - vm->pieces_have);
    }
    audit_number("scrub_ns", ticks_to_ns(scrub_tsc));
    audit_end();
}

/* On vCPU 0's CPU. @return BH_OK, or any error: said which. */
static uint64_t build(void *arg)
{
    struct vm *vm = arg;
    const struct manifest_vm *c = vm->config;
    const struct images m = vm_find_images(c);
    uint64_t host_pages = vm_hostspace_pages(&m, c), guest_pages = vm_guestspace_pages(c);

    if (!make_untypeds(vm) || !make_objects(vm, host_pages, guest_pages) || !make_memory(vm) ||
        !share_pages(vm) || !load_monitor(vm) ||
        !images_map(&m, c->name, vm->slots + VS_HOSTSPACE, vm->slots + VS_IMAGES_MONITOR) ||
        !map_store(vm, &m) || !wires_map(vm, vm_wires_va(&m, c)))
        return BH_ERR_STATE;
    vm_fill_start(vm, &m);
    vm->table_bytes = vm_table_pages(host_pages, guest_pages) * PAGE;
    return BH_OK;
}

/* All vCPUs are there before the first thread runs, and all other threads wait before vCPU 0's
 * begins. */
static bool build_and_start(struct vm *vm)
{
    if (on_cpu(vcpu_cpu(vm, 0), build, vm)) return false;
    for (unsigned n = 0; n < vm->config->cpus; n++)
        if (on_vcpu_cpu(vm, n, build_vcpu)) return false;
    for (unsigned n = vm->config->cpus; n-- > 0;)
        if (on_vcpu_cpu(vm, n, start_thread)) return false;
    return true;
}

/* The slots that a VM has for good, and the notification for its faults in one of them. */
bool vm_make_slots(struct vm *vm)
{
    if (!vm->slots) vm->slots = slots_take(vm_slots(vm->config));
    if (!vm->slots) {
        say("vm %s: no capability slots left", vm->config->name);
        return false;
    }
    return bh_cnode_type(BH_SLOT_CNODE, vm->slots + VS_FAULT).value != 0 ||
           !vm_failed(vm, "fault notification",
                      bh_cnode_mint(BH_SLOT_CNODE, vm->slots + VS_FAULT, vm->ntfn, BH_RIGHTS_ALL,
                                    vm_fault_badge(vm->number))
                          .err);
}

bool vm_make(struct vm *vm) { return vm_make_slots(vm) && build_and_start(vm); }
