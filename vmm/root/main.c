/*
 * The root task: takes all capabilities, reads the manifest, makes the VMs, supervises them, ends
 * the system. On CPU 0, with one notification for all VMs. May call: everything in root.
 */
#include <stdbool.h>
#include <stddef.h>
#include "admit.h"
#include "archive.h"
#include "caps.h"
#include "console.h"
#include "control.h"
#include "devices.h"
#include "elastic.h"
#include "kernel_audit.h"
#include "layout.h"
#include "life.h"
#include "log.h"
#include "manifest.h"
#include "pieces.h"
#include "program.h"
#include "seeds.h"
#include "service.h"
#include "status.h"
#include "string.h"
#include "vm.h"
#include "wires.h"

void root_main(void);

/* How often the serial port is looked at: idle, and while something waits to be sent. */
#define POLL_IDLE_US 10000u
#define POLL_BUSY_US 300u

enum { STATUS_BROKEN = 121 }; /* root cannot start: bad module or manifest */

static struct manifest manifest;
static struct vm vms[VMS_MAX];
static struct control_system control;
static char mark[SEED_WORD_CHARS + 1u]; /* of what root says on COM1 */

static bool image_size(void *ctx, const char *name, uint64_t *size_bytes)
{
    const struct archive_file *f = archive_find(name);

    if (f) *size_bytes = f->bytes;
    return f != NULL;
}

static bool image_digest(void *ctx, const char *name, uint8_t digest[MANIFEST_DIGEST_BYTES])
{
    const struct archive_file *f = archive_find(name);

    return f && archive_digest(f, digest);
}

static void manifest_error(void *ctx, const char *rule, const char *line)
{
    say("%s", line);
    audit_begin("manifest-refused");
    audit_text("rule", rule);
    audit_text("text", line);
    audit_end();
}

static void read_manifest(void)
{
    const struct archive_file *f = archive_find("manifest.dtb");
    const struct manifest_env env = {
        .file = "manifest.dtb",
        .host_cpus = service_cpus(),
        .host_memory_mib = info()->funtyped_bytes >> 20,
        .image_size = image_size,
        .image_digest = image_digest,
        .report = manifest_error,
    };
    const void *blob = NULL; /* what is empty or too large is refused unread */

    if (!f) system_end(STATUS_BROKEN, "no manifest.dtb in the boot archive");
    if (f->bytes && f->bytes <= MANIFEST_MAX_BLOB_BYTES) {
        blob = archive_map(f, ROOT_MANIFEST);
        if (!blob) system_end(STATUS_BROKEN, "manifest.dtb cannot be mapped");
    }
    if (manifest_load(blob, f->bytes, &env, &manifest) != 0)
        system_end(STATUS_BROKEN, "the manifest is refused");
    control.blob = blob;
    control.blob_bytes = f->bytes;
}

/* Memory that was used before the system started is cleaned before it is given out: as much of each
 * region as the VMs that will be made from it take. The first region with room is a VM's. */
static void clean_memory(void)
{
    bool placed[VMS_MAX] = {false};
    uint64_t wires = wires_memory_bytes(&manifest), need = wires, pieces = 0;

    for (unsigned i = 0; i < manifest.vm_count; i++) {
        need += vm_memory_bytes(&manifest.vms[i]);
        pieces += vm_pieces(&manifest.vms[i]) * LARGE_BYTES;
    }
    need += pieces;
    for (unsigned r = 0; r < info()->funtyped_count && need; r++) {
        uint64_t left, here;

        (void)scrub(BH_SLOT_FUNTYPED + r, need + (pieces ? LARGE_BYTES : 0));
        left = bh_untyped_left(BH_SLOT_FUNTYPED + r).value;
        if (wires && wires <= left) {
            left -= wires;
            need -= wires;
            wires = 0;
        }
        for (unsigned i = 0; i < manifest.vm_count; i++) {
            uint64_t bytes = vm_memory_bytes(&manifest.vms[i]);

            if (placed[i] || bytes > left) continue;
            placed[i] = true;
            left -= bytes;
            need -= bytes;
        }
        here = pieces_in(left) * LARGE_BYTES;
        if (pieces < here) here = pieces;
        pieces -= here;
        need -= here;
    }
    if (need) say("memory: %lu MiB less than all VMs together take", need >> 20);
}

static void log_machine(void)
{
    static const char *const backends[] = {"none", "VMX with EPT", "SVM with NPT"};
    const struct bh_info *i = info();

    say("Bulkhead: %u CPU%s, TSC %u kHz, virtualisation: %s", i->ncpus, i->ncpus == 1u ? "" : "s",
        i->tsc_khz, backends[i->backend <= BH_BACKEND_SVM ? i->backend : 0]);
    say("memory: kernel pool %lu KiB, for VMs %lu MiB", i->kuntyped_bytes >> 10,
        i->funtyped_bytes >> 20);
    status_log_protections();
}

/* The rules of the manifest for ending the system; does not return when one applies. */
static void end_if_due(void)
{
    int status = 0;
    bool all = true, one = false;

    if (life_is_down()) {
        control_end();
        system_end(0, "shut down");
    }
    for (unsigned i = 0; i < manifest.vm_count; i++) {
        if (vm_lives(&vms[i]) || vms[i].state == VM_STARTING) {
            all = false;
            continue;
        }
        if (vms[i].state == VM_CREATED) continue;
        one = true;
        if (vms[i].status > status) status = vms[i].status;
        if (manifest.vms[i].on_stop == MANIFEST_ON_STOP_END_SYSTEM) {
            control_end();
            system_end(vms[i].status, vms[i].reason);
        }
    }
    if (!all || !one || !manifest.end_when_idle) return;
    control_end();
    system_end(status, manifest.vm_count == 1u ? vms[0].reason : "all VMs have ended");
}

static __attribute__((noreturn)) void supervise(uint64_t ntfn)
{
    uint64_t khz = info()->tsc_khz;
    bool busy = true;

    for (;;) {
        uint64_t now = rt_tsc(), least = khz * POLL_BUSY_US / 1000u;
        uint64_t us = busy ? POLL_BUSY_US : POLL_IDLE_US;
        struct bh_result r = bh_wait(ntfn, now + khz * us / 1000u);

        /* A monitor that signals all the time must not keep this CPU busy at root's expense. */
        service_pause(now + least);
        kernel_audit_poll(vms, manifest.vm_count);
        if (r.err == BH_OK)
            for (unsigned i = 0; i < manifest.vm_count; i++) {
                uint64_t signals = vm_signals(i, r.value);

                if (signals) vm_check(&vms[i], (signals & ~vm_signal_badge(i)) != 0);
            }
        busy = console_poll();
        busy = control_poll() || busy;
        busy = elastic_poll() || busy;
        life_poll();
        end_if_due();
    }
}

void root_main(void)
{
    uint64_t ntfn;

    service_init();
    serial_init(COM1);
    serial_init(COM2);
    if (info()->magic != BH_INFO_MAGIC || info()->abi_version != BH_ABI_VERSION)
        system_end(STATUS_BROKEN, "kernel and root speak different versions of the ABI");
    log_machine();
    if (info()->backend == BH_BACKEND_NONE)
        system_end(STATUS_BROKEN, "this machine cannot run VMs: no VMX with EPT, no SVM with NPT");
    if (!archive_open()) system_end(STATUS_BROKEN, "the boot module cannot be read");
    if (!program_open()) system_end(STATUS_BROKEN, "the monitor cannot be loaded");
    read_manifest();
    status_manifest(&manifest);
    seed_word(mark);
    if (manifest.log == MANIFEST_LOG_COM1) log_to_com1_too(mark, console_interrupted);
    say("consoles: where VMs write as well, what root says begins with [%s]", mark);
    say("devices: %u may not reach memory by themselves any more", devices_quiet());
    clean_memory();
    ntfn = slots_take(1);
    if (!ntfn || retype(BH_SLOT_KUNTYPED, BH_CAP_NTFN, 0, 0, 1, ntfn))
        system_end(STATUS_BROKEN, "no memory for root's notification");
    for (unsigned i = 0; i < manifest.vm_count; i++) {
        vms[i].number = i;
        vms[i].config = &manifest.vms[i];
        vms[i].ntfn = ntfn;
    }
    if (!wires_make(&manifest, vms)) system_end(STATUS_BROKEN, "no memory for the wires");
    admit_init(vms, manifest.vm_count);
    elastic_init(vms, manifest.vm_count);
    console_init(&manifest, vms, mark);
    control.vms = vms;
    control.vm_count = manifest.vm_count;
    control.host_may = manifest.host_may;
    control_init(&control);
    life_init(vms, manifest.vm_count, ntfn);
    supervise(ntfn);
}
