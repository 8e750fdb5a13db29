/* Making, watching and taking back a VM; see vm.h. */
#include "vm.h"
#include "clock.h"
#include "console.h"
#include "caps.h"
#include "fmt.h"
#include "images.h"
#include "layout.h"
#include "log.h"
#include "program.h"
#include "service.h"
#include "string.h"
#include "bulkhead/vcpu.h"

#define MIB         0x100000ull
#define GIB         0x40000000ull
#define LARGE_PAGES (LARGE_BYTES / PAGE)
#define PERIOD_US   10000u
/* Guest page tables for device memory: below 4 GiB, above RAM, and what ends within 2 MiB. */
#define DEVICE_TABLES 8u

/* Exit status of the system when a VM did not end by itself; documented in README. */
enum { STATUS_STOPPED = 123, STATUS_IMAGE = 122 };

/* Page offsets in the frame shared with the monitor. */
enum {
    SHARED_START = 0,
    SHARED_REPORT = 1,
    SHARED_CONSOLE = 2,
    SHARED_CONTROL = SHARED_CONSOLE + BH_CONSOLE_PAGES,
    SHARED_PAGES = SHARED_CONTROL + BH_CONTROL_PAGES
};

_Static_assert(SHARED_PAGES *PAGE <= ROOT_SHARED_BYTES, "window of one VM");

static uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1u) / to * to; }

static unsigned log2_up(uint64_t n)
{
    unsigned bits = 0;

    while (((uint64_t)1 << bits) < n) bits++;
    return bits;
}

/* What a disk needs; 0: it is only read. */
static uint64_t disk_memory_bytes(const struct manifest_disk *d)
{
    return d->overlay_bytes ? bh_disk_memory_bytes(d->bytes, d->overlay_bytes) : 0;
}

/* What the VM's devices need beside RAM; see bh_monitor_start. */
static uint64_t device_ram_bytes(const struct manifest_vm *config)
{
    uint64_t bytes = images_firmware_bytes(config);

    if (config->display == MANIFEST_DISPLAY_VGA) bytes += BH_MONITOR_VGA_BYTES;
    for (unsigned i = 0; i < config->disk_count; i++) bytes += disk_memory_bytes(&config->disks[i]);
    return round_up(bytes, LARGE_BYTES);
}

/* The Frame of guest RAM and device memory, each from a 2 MiB boundary on. */
static uint64_t ram_frame_bytes(const struct manifest_vm *config)
{
    uint64_t ram = config->memory_mib * MIB, devices = device_ram_bytes(config);

    return devices ? round_up(ram, LARGE_BYTES) + devices : ram;
}

/* Pages of the VM's own untyped. */
static uint64_t own_pages(const struct manifest_vm *config)
{
    return ram_frame_bytes(config) / PAGE + program_pages() + SHARED_PAGES;
}

/* Where the VM may be saved to: a Frame apart, which outlives it. */
static uint64_t store_bytes(const struct manifest_vm *config)
{
    return round_up(config->save_mib * MIB, LARGE_BYTES);
}

uint64_t vm_memory_bytes(const struct manifest_vm *config)
{
    uint64_t store = store_bytes(config);

    return own_pages(config) * PAGE + LARGE_BYTES + (store ? store + LARGE_BYTES : 0);
}

static struct images find_images(const struct manifest_vm *c)
{
    struct images m;

    /* A large page between RAM and images that nothing reaches. */
    images_place(&m, c, BH_MONITOR_RAM + ram_frame_bytes(c) + LARGE_BYTES);
    return m;
}

static uint64_t gibs(uint64_t bytes) { return round_up(bytes, GIB) / GIB; }

/* Behind the images, with a large page between. */
static uint64_t store_va(const struct images *m)
{
    return round_up(m->end_va, LARGE_BYTES) + LARGE_BYTES;
}

static uint64_t hostspace_pages(const struct images *m, const struct manifest_vm *c)
{
    uint64_t end_va = c->save_mib ? store_va(m) + store_bytes(c) : m->end_va;

    /* Program and shared pages have one table; RAM takes large entries; all lies one behind the
     * other from the first GiB on, whose table is among the kernel's own. */
    return BH_HOSTSPACE_MIN_PAGES + 1u + gibs(end_va) - 1u + m->tables;
}

static uint64_t guestspace_pages(const struct manifest_vm *c)
{
    /* Third level, and second level for each GiB: the hole below 4 GiB begins on one. Small entries
     * around the hole below 1 MiB, or everywhere. */
    uint64_t small = (info()->prot_on & BH_PROT_EXEC_4K) != 0 ? (c->memory_mib + 1u) / 2u : 1u;

    uint64_t devices = device_ram_bytes(c) ? DEVICE_TABLES : 0;

    if ((info()->prot_on & BH_PROT_EXEC_4K) != 0) devices += device_ram_bytes(c) / LARGE_BYTES;

    return BH_GUESTSPACE_MIN_PAGES + 1u + gibs(c->memory_mib * MIB) + small + devices;
}

/* Page tables among the pages of both spaces: all but two headers and the save areas. */
static uint64_t table_pages(uint64_t host_pages, uint64_t guest_pages)
{
    return host_pages - 2u + guest_pages - 1u;
}

/* Slot @what of vCPU @n. */
static uint64_t vcpu_slot(const struct vm *vm, unsigned n, enum vcpu_slot what)
{
    return vm->slots + VS_VCPUS + n * VC_COUNT + what;
}

/* Where thread and vCPU @n live: the manifest's rules have placed each on one of the CPUs that they
 * were told of. */
static unsigned vcpu_cpu(const struct vm *vm, unsigned n)
{
    uint32_t cpu = vm->config->vcpu_cpu[n];

    return cpu == MANIFEST_CPU_ANY ? 0 : cpu;
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
    uint64_t vcpu_pages = BH_VCPU_BYTES / PAGE, vcpus = vm->config->cpus;
    /* A vCPU is aligned to its size in the pool, which ends on a 2 MiB boundary: so much is lost
     * before it. Small objects share pages. */
    uint64_t skipped = bh_untyped_left(BH_SLOT_KUNTYPED).value / PAGE % vcpu_pages;
    uint64_t small = BH_MONITOR_SLOTS * BH_CNODE_SLOT_BYTES +
                     vcpus * (BH_THREAD_BYTES + BH_SC_BYTES + BH_NTFN_BYTES);
    uint64_t kpages =
        skipped + vcpus * vcpu_pages + host_pages + guest_pages + round_up(small, PAGE) / PAGE;
    uint64_t fpages = own_pages(vm->config);
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

/* The largest first: each is aligned to its size. */
static bool make_objects(struct vm *vm, uint64_t host_pages, uint64_t guest_pages, uint64_t ntfn)
{
    uint64_t s = vm->slots, k = vm->slots + VS_KUNTYPED;
    unsigned cpu = vcpu_cpu(vm, 0);

    for (unsigned n = 0; n < vm->config->cpus; n++)
        if (failed(vm, "vCPU",
                   retype(k, BH_CAP_VCPU, 0, vcpu_cpu(vm, n), 1, vcpu_slot(vm, n, VC_VCPU))))
            return false;
    if (failed(vm, "monitor's address space",
               retype(k, BH_CAP_HOSTSPACE, 0, cpu, host_pages, s + VS_HOSTSPACE)) ||
        failed(vm, "guest's address space",
               retype(k, BH_CAP_GUESTSPACE, 0, cpu, guest_pages, s + VS_GUESTSPACE)) ||
        failed(vm, "CNode",
               retype(k, BH_CAP_CNODE, log2_up(BH_MONITOR_SLOTS), cpu, 1, s + VS_CNODE)))
        return false;
    for (unsigned n = 0; n < vm->config->cpus; n++)
        if (failed(vm, "thread",
                   retype(k, BH_CAP_THREAD, 0, vcpu_cpu(vm, n), 1, vcpu_slot(vm, n, VC_THREAD))))
            return false;
    for (unsigned n = 0; n < vm->config->cpus; n++)
        if (failed(vm, "scheduling context",
                   retype(k, BH_CAP_SC, 0, vcpu_cpu(vm, n), 1, vcpu_slot(vm, n, VC_SC))))
            return false;
    for (unsigned n = 0; n < vm->config->cpus; n++)
        if (failed(vm, "notification",
                   retype(k, BH_CAP_NTFN, 0, vcpu_cpu(vm, n), 1, vcpu_slot(vm, n, VC_NTFN))))
            return false;
    return !failed(vm, "root's notification",
                   bh_cnode_mint(s + VS_CNODE, BH_MONITOR_SLOT_ROOT, ntfn, BH_RIGHT_WRITE,
                                 vm_signal_bit(vm->number))
                       .err) &&
           !failed(vm, "console signal",
                   bh_cnode_mint(BH_SLOT_CNODE, s + VS_SIGNAL, vcpu_slot(vm, 0, VC_NTFN),
                                 BH_RIGHT_WRITE, BH_MONITOR_SIGNAL_CONSOLE)
                       .err) &&
           !failed(vm, "control signal",
                   bh_cnode_mint(BH_SLOT_CNODE, s + VS_SIGNAL_CONTROL, vcpu_slot(vm, 0, VC_NTFN),
                                 BH_RIGHT_WRITE, BH_MONITOR_SIGNAL_CONTROL)
                       .err);
}

/* Guest RAM is the monitor's at BH_MONITOR_RAM; the attachment to the guest's space is given away:
 * where RAM lies in the guest's physical space is the monitor's business. */
static bool make_memory(struct vm *vm)
{
    uint64_t s = vm->slots, f = vm->slots + VS_FUNTYPED;
    uint64_t ram_pages = ram_frame_bytes(vm->config) / PAGE;
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
                   BH_MAP_READ | BH_MAP_WRITE)) ||
        failed(vm, "control pages",
               map(m, BH_MONITOR_CONTROL, SHARED_CONTROL, BH_CONTROL_PAGES,
                   BH_MAP_READ | BH_MAP_WRITE)))
        return false;
    vm->start = (struct bh_monitor_start *)(va + SHARED_START * PAGE);
    vm->report = (struct bh_monitor_report *)(va + SHARED_REPORT * PAGE);
    vm->console = (struct bh_console *)(va + SHARED_CONSOLE * PAGE);
    vm->console->magic = BH_CONSOLE_MAGIC;
    vm->control = (struct bh_control *)(va + SHARED_CONTROL * PAGE);
    vm->asked = 0;
    return true;
}

static bool load_monitor(struct vm *vm)
{
    uint64_t s = vm->slots;

    return !failed(vm, "monitor's memory",
                   attach(s + VS_CODE, s + VS_HOSTSPACE, BH_RIGHTS_ALL, s + VS_CODE_MONITOR)) &&
           !failed(vm, "monitor's program",
                   program_load(s + VS_CODE, s + VS_CODE_MONITOR, s + VS_WINDOW));
}

/* The store, made once: what is in it is there when the VM is made again. */
static bool map_store(struct vm *vm, const struct images *m)
{
    uint64_t s = vm->slots, pages = store_bytes(vm->config) / PAGE, err = BH_OK;

    if (pages == 0) return true;
    if (!bh_cnode_type(BH_SLOT_CNODE, s + VS_STORE).value) {
        err = BH_ERR_MEMORY;
        for (unsigned i = 0; i < info()->funtyped_count && err; i++)
            err = retype(BH_SLOT_FUNTYPED + i, BH_CAP_FRAME, log2_up(LARGE_PAGES), 0, pages,
                         s + VS_STORE);
    }
    if (!err)
        err = attach(s + VS_STORE, s + VS_HOSTSPACE, BH_RIGHT_READ | BH_RIGHT_WRITE,
                     s + VS_STORE_MONITOR);
    if (!err) err = map(s + VS_STORE_MONITOR, store_va(m), 0, pages, BH_MAP_READ | BH_MAP_WRITE);
    return !failed(vm, "store", err);
}

static void fill_disks(struct bh_monitor_start *st, const struct manifest_vm *c,
                       const struct images *m)
{
    st->ndisks = c->disk_count;
    for (unsigned i = 0; i < c->disk_count; i++) {
        const struct manifest_disk *d = &c->disks[i];
        const struct image *image = &m->image[IMAGE_DISK + i];

        st->disks[i] = (struct bh_monitor_disk){
            .bytes = d->bytes,
            .image_va = image->va,
            .image_bytes = image_bytes(image),
            .memory_bytes = disk_memory_bytes(d),
            .flags = (d->read_only ? BH_DISK_READ_ONLY : 0) | (d->cdrom ? BH_DISK_CDROM : 0) |
                     (d->bus == MANIFEST_BUS_AHCI ? BH_DISK_AHCI : 0),
        };
        (void)fmt_buf(st->disks[i].name, sizeof(st->disks[i].name), "%s", d->name);
    }
}

static void fill_start(struct vm *vm, const struct images *m)
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
    st->flags = (c->debug_exit ? BH_MONITOR_FLAG_DEBUG_EXIT : 0) |
                (c->display == MANIFEST_DISPLAY_VGA ? BH_MONITOR_FLAG_VGA : 0) |
                (c->firmware_log ? BH_MONITOR_FLAG_FIRMWARE_LOG : 0) |
                (c->network == MANIFEST_NETWORK_LOOPBACK ? BH_MONITOR_FLAG_LOOPBACK : 0);
    st->balloon_pages = c->balloon_mib * (uint32_t)(MIB / PAGE);
    st->protocol = c->protocol;
    st->ram_bytes = c->memory_mib * MIB;
    st->device_ram_bytes = device_ram_bytes(c);
    st->kernel_va = m->image[IMAGE_KERNEL].va;
    st->kernel_bytes = image_bytes(&m->image[IMAGE_KERNEL]);
    st->initrd_va = m->image[IMAGE_INITRD].va;
    st->initrd_bytes = image_bytes(&m->image[IMAGE_INITRD]);
    st->screen_rom_va = m->image[IMAGE_SCREEN_ROM].va;
    st->screen_rom_bytes = image_bytes(&m->image[IMAGE_SCREEN_ROM]);
    st->firmware_va = m->image[IMAGE_FIRMWARE].va;
    st->firmware_bytes = image_bytes(&m->image[IMAGE_FIRMWARE]);
    st->variables_va = m->image[IMAGE_VARIABLES].va;
    st->variables_bytes = image_bytes(&m->image[IMAGE_VARIABLES]);
    fill_disks(st, c, m);
    if (c->save_mib) {
        st->store_va = store_va(m);
        st->store_bytes = store_bytes(c);
    }
    if (vm->restore) {
        st->restore_va = st->store_va;
        st->restore_bytes = vm->saved_bytes;
    }
    st->wall_clock_s = wall_clock_s(&st->wall_clock_tsc);
    /* Each VM gets a seed that tells nothing of another's: the kernel's seed through a mixer with
     * the VM's number and the time. */
    seed_vm(vm->number, st->seed);
    (void)fmt_buf(st->cmdline, sizeof(st->cmdline), "%s", c->append ? c->append : "");
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

    if (failed(vm, "scheduling context",
               bh_sc_configure(sc, period * c->floor_percent / 100u,
                               period * c->ceiling_percent / 100u, period, c->weight)
                   .err) ||
        failed(vm, "thread: bind", bh_thread_bind(thread, s + VS_CNODE, s + VS_HOSTSPACE).err) ||
        failed(vm, "thread: scheduling context", bh_thread_set_sc(thread, sc).err) ||
        failed(vm, "fault notification", bh_thread_set_fault_ntfn(thread, s + VS_FAULT).err) ||
        failed(
            vm, "vCPU: bind",
            bh_vcpu_bind(vcpu, thread, s + VS_GUESTSPACE, ntfn, BH_MONITOR_VCPU + n * PAGE).err) ||
        failed(vm, "vCPU",
               bh_cnode_copy(s + VS_CNODE, BH_MONITOR_SLOT_VCPU + n, vcpu, BH_RIGHTS_ALL).err) ||
        failed(vm, "notification",
               bh_cnode_copy(s + VS_CNODE, BH_MONITOR_SLOT_NTFN + n, ntfn, BH_RIGHT_READ).err) ||
        failed(vm, "notification",
               bh_cnode_mint(s + VS_CNODE, BH_MONITOR_SLOT_KICK + n, ntfn, BH_RIGHT_WRITE,
                             BH_MONITOR_SIGNAL_KICK)
                   .err))
        return BH_ERR_STATE;
    return BH_OK;
}

static uint64_t start_thread(void *arg)
{
    const struct vcpu_job *job = arg;

    return failed(job->vm, "thread: start",
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

static void take_back(struct vm *vm)
{
    uint64_t s = vm->slots, err = BH_OK;

    for (unsigned n = 0; n < vm->config->cpus; n++) {
        uint64_t e = on_vcpu_cpu(vm, n, end_thread);

        err = err ? err : e;
    }
    vm->start = NULL;
    vm->report = NULL;
    vm->console = NULL;
    vm->control = NULL;
    /* Images belong to the archive: their attachments go one by one. */
    err = err ? err : images_unmap(s + VS_IMAGES_MONITOR);
    err = err ? err : slot_delete(s + VS_STORE_MONITOR);
    err = err ? err : slot_revoke(s + VS_FUNTYPED, vcpu_cpu(vm, 0));
    err = err ? err : slot_revoke(s + VS_KUNTYPED, vcpu_cpu(vm, 0));
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

struct plan {
    struct vm *vm;
    uint64_t ntfn; /* root's */
};

/* On vCPU 0's CPU. @return BH_OK, or any error: said which. */
static uint64_t build(void *arg)
{
    const struct plan *plan = arg;
    struct vm *vm = plan->vm;
    const struct manifest_vm *c = vm->config;
    const struct images m = find_images(c);
    uint64_t host_pages = hostspace_pages(&m, c), guest_pages = guestspace_pages(c);

    if (!make_untypeds(vm, host_pages, guest_pages) ||
        !make_objects(vm, host_pages, guest_pages, plan->ntfn) || !make_memory(vm) ||
        !share_pages(vm) || !load_monitor(vm) ||
        !images_map(&m, c->name, vm->slots + VS_HOSTSPACE, vm->slots + VS_IMAGES_MONITOR) ||
        !map_store(vm, &m))
        return BH_ERR_STATE;
    fill_start(vm, &m);
    vm->table_bytes = table_pages(host_pages, guest_pages) * PAGE;
    return BH_OK;
}

/* All vCPUs are there before the first thread runs, and all other threads wait before vCPU 0's
 * begins. */
static bool build_and_start(struct vm *vm, uint64_t ntfn)
{
    struct plan plan = {vm, ntfn};

    if (on_cpu(vcpu_cpu(vm, 0), build, &plan)) return false;
    for (unsigned n = 0; n < vm->config->cpus; n++)
        if (on_vcpu_cpu(vm, n, build_vcpu)) return false;
    for (unsigned n = vm->config->cpus; n-- > 0;)
        if (on_vcpu_cpu(vm, n, start_thread)) return false;
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
                                 vm_fault_bit(vm->number))
                       .err);
}

bool vm_start(struct vm *vm, unsigned number, const struct manifest_vm *config, uint64_t ntfn)
{
    vm->number = number;
    vm->config = config;
    vm->ntfn = ntfn;
    vm->status = 0;
    if (!make_slots(vm, ntfn) || !build_and_start(vm, ntfn)) {
        if (vm->kuntyped_bytes) take_back(vm);
        vm->state = VM_ENDED;
        vm->status = STATUS_IMAGE;
        (void)fmt_buf(vm->reason, sizeof(vm->reason), "vm %s could not be made", config->name);
        return false;
    }
    vm->state = VM_RUNNING;
    audit_begin("vm-started");
    audit_text("vm", config->name);
    audit_number("cpu", vcpu_cpu(vm, 0));
    audit_number("vcpus", config->cpus);
    audit_number("memory_mib", config->memory_mib);
    audit_number("kernel_bytes",
                 vm->kuntyped_bytes - bh_untyped_left(vm->slots + VS_KUNTYPED).value);
    audit_number("table_bytes", vm->table_bytes);
    audit_number("monitor_bytes", (program_pages() + SHARED_PAGES) * PAGE);
    audit_number("host_tables_left", bh_hostspace_tables_left(vm->slots + VS_HOSTSPACE).value);
    audit_number("guest_tables_left", bh_guestspace_tables_left(vm->slots + VS_GUESTSPACE).value);
    audit_end();
    return true;
}

bool vm_restore(struct vm *vm)
{
    bool ok;

    if (vm->state == VM_RUNNING) take_back(vm);
    vm->restore = true;
    ok = vm_start(vm, vm->number, vm->config, vm->ntfn);
    vm->restore = false;
    return ok;
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

/* What a thread can be asked on its own CPU only. */
struct fault {
    uint64_t thread;
    uint64_t status, rip, address;
};

static uint64_t read_fault(void *arg)
{
    struct fault *f = arg;

    f->status = bh_thread_status(f->thread).value;
    f->rip = bh_thread_fault_rip(f->thread).value;
    f->address = bh_thread_fault_addr(f->thread).value;
    return BH_OK;
}

/* A monitor that died of a fault of its own: its VM ends, and nothing else. */
static void end_from_fault(struct vm *vm, const struct fault *f)
{
    audit_begin("monitor-fault");
    audit_text("vm", vm->config->name);
    audit_number("vector", f->status >> 8 & 0xffu);
    audit_hex("error_code", f->status >> 16);
    audit_hex("rip", f->rip);
    audit_hex("address", f->address);
    audit_end();
    vm->status = STATUS_STOPPED;
    (void)fmt_buf(vm->reason, sizeof(vm->reason), "vm %s stopped by a fault of its monitor",
                  vm->config->name);
}

/* Has one of its threads faulted? */
static bool find_fault(struct vm *vm, struct fault *f)
{
    for (unsigned n = 0; n < vm->config->cpus; n++) {
        f->thread = vcpu_slot(vm, n, VC_THREAD);
        if (on_cpu(vcpu_cpu(vm, n), read_fault, f) == BH_OK &&
            (f->status & 0xffu) == BH_THREAD_FAULTED)
            return true;
    }
    return false;
}

void vm_check(struct vm *vm, bool faulted)
{
    struct bh_monitor_report report;
    struct fault fault;

    if (vm->state != VM_RUNNING) return;
    /* The monitor may write while this reads: take one copy, believe only that. */
    memcpy(&report, (const void *)vm->report, sizeof(report));
    __asm__ volatile("" ::: "memory");
    if (report.kind != BH_END_NONE && report.kind < BH_END_COUNT) {
        report.text[sizeof(report.text) - 1u] = '\0';
        audit_report(vm, &report);
        end_from_report(vm, &report);
    } else if (faulted && find_fault(vm, &fault)) {
        end_from_fault(vm, &fault);
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

void vm_signal_control(const struct vm *vm)
{
    if (vm->state == VM_RUNNING) (void)bh_signal(vm->slots + VS_SIGNAL_CONTROL);
}
