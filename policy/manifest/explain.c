/* A manifest in sentences; see views.h. */
#include <stdio.h>
#include <string.h>
#include "views.h"

static void explain_start(const struct manifest *m, const struct manifest_vm *vm)
{
    const char *between = " after ";

    printf("  It is started %s", vm->start == MANIFEST_START_BOOT ? "at boot" : "by hand only");
    for (uint32_t i = 0; i < m->vm_count; i++) {
        if (manifest_in_set(vm->after, i)) {
            printf("%s%s", between, m->vms[i].name);
            between = ", ";
        }
    }
    if (vm->firmware != MANIFEST_FIRMWARE_NONE) {
        printf(", by the firmware %s", manifest_firmware_files(vm).code);
    }
    if (vm->kernel != NULL) {
        printf(", with the kernel %s", vm->kernel);
    }
    printf(".\n");
}

/* The images whose bytes are known beforehand. */
static void explain_digests(const struct manifest *m)
{
    for (uint32_t i = 0; i < m->digest_count; i++) {
        printf("The image %s is used only if it has the SHA-256 %s.\n", m->digests[i].image,
               m->digests[i].sha256);
    }
}

static void explain_end(const struct manifest_vm *vm)
{
    printf("  Asked to stop, it has %u s; then it is killed.\n", vm->stop_wait_s);
    switch (vm->restart) {
    case MANIFEST_RESTART_ALWAYS:
        printf("  When it ends by itself it is started again, after %u ms at first.\n",
               vm->restart_wait_ms);
        break;
    case MANIFEST_RESTART_LIMITED:
        printf(
            "  When it crashes or resets itself it is started again, %u times in a row, after %u "
            "ms at first.\n",
            vm->restart_count, vm->restart_wait_ms);
        break;
    default: printf("  When it has ended it stays so.\n"); break;
    }
    if (vm->on_stop == MANIFEST_ON_STOP_END_SYSTEM) {
        printf("  The system ends with it.\n");
    }
}

static void explain_cpus(const struct manifest_vm *vm)
{
    printf("  %u vCPU%s", vm->cpus, vm->cpus == 1 ? "" : "s");
    if (vm->vcpu_cpu[0] != MANIFEST_CPU_ANY) {
        printf(" on CPU");
        for (uint32_t k = 0; k < vm->cpus; k++) {
            printf(" %u", vm->vcpu_cpu[k]);
        }
    }
    if (vm->cpu_set != 0) {
        printf(", never on others than");
        for (uint32_t cpu = 0; cpu < MANIFEST_MAX_CPUS; cpu++) {
            if ((vm->cpu_set >> cpu & 1u) != 0) {
                printf(" %u", cpu);
            }
        }
    }
    printf(
        ", each with %u %% of a CPU for sure, %u %% at most, and %u parts of what is left over.\n",
        vm->floor_percent, vm->ceiling_percent, vm->weight);
}

static void explain_devices(const struct manifest *m, const struct manifest_vm *vm)
{
    printf("  Devices: %s%s%s", vm->console == MANIFEST_CONSOLE_SERIAL ? "console, " : "",
           vm->display == MANIFEST_DISPLAY_VGA ? "screen, keyboard and mouse, " : "",
           vm->network == MANIFEST_NETWORK_LOOPBACK ? "a network card on a reflector, " : "");
    for (uint32_t k = 0; k < vm->wire_count; k++) {
        const struct manifest_wire *w = &m->wires[vm->wires[k]];
        const struct manifest_vm *peer =
            &m->vms[w->vm[0]] == vm ? &m->vms[w->vm[1]] : &m->vms[w->vm[0]];
        printf("a network card on the wire %s to %s%s, ", w->name, peer->name,
               manifest_wire_around(m, w) ? " around the policy VM" : "");
    }
    for (uint32_t k = 0; k < vm->disk_count; k++) {
        const struct manifest_disk *d = &vm->disks[k];
        printf("disk %s (%s%s), ", d->name, d->image != NULL ? d->image : "empty",
               d->cdrom != 0 || d->read_only != 0 ? ", only read"
                                                  : ", what is written goes with the VM");
    }
    printf("%srandom numbers, clocks.\n", vm->watchdog != 0 ? "a watchdog, " : "");
    if (vm->save_mib != 0) {
        printf("  It can be saved, to %u MiB of memory.\n", vm->save_mib);
    }
}

/* Whom it reaches over wires that the policy VM does not see. */
static void explain_around(const struct manifest *m, uint32_t number)
{
    const struct vm_set all = reached(m, number, m->policy_vm);
    bool any = false;

    for (uint32_t i = 0; m->policy_vm != MANIFEST_MAX_VMS && i < m->vm_count; i++) {
        if (i != number && manifest_in_set(all.word, i)) {
            printf("%s%s", any ? ", " : "  Around the policy VM it reaches ", m->vms[i].name);
            any = true;
        }
    }
    printf("%s", any ? ".\n" : "");
}

static void explain_path(const struct manifest *m)
{
    bool on;
    const char *words = manifest_path_words(m, &on);

    if (m->policy_vm != MANIFEST_MAX_VMS) {
        printf("The policy VM is %s.\n", m->policy_name);
    }
    if (words != NULL) {
        printf("Protection %s %s.\n", on ? "on:" : "OFF:", words);
    }
}

/* What its guest may ask root for, by words. */
static void explain_may(const struct manifest *m, const struct manifest_vm *vm)
{
    if (vm->may_texts.text == NULL) {
        return;
    }
    printf("  Its guest has a control channel (COM2), and may:");
    for (uint32_t i = 0; i <= m->vm_count; i++) {
        uint32_t may = i < m->vm_count ? vm->may[i] : vm->may_system;
        if (may == 0) {
            continue;
        }
        printf(" %s:", i < m->vm_count ? m->vms[i].name : "the system");
        for (const struct manifest_may_word *w = manifest_may_words; w->word != NULL; w++) {
            if ((w->bits & (w->bits - 1)) == 0 && (may & w->bits) != 0) {
                printf(" %s", w->word);
                may &= ~w->bits;
            }
        }
        printf(";");
    }
    printf(" nothing else.\n");
}

bool explain(const struct manifest *m, const char *only)
{
    bool found = only == NULL, wired = false;

    for (uint32_t i = 0; i < m->vm_count; i++) {
        const struct manifest_vm *vm = &m->vms[i];
        if (only != NULL && strcmp(only, vm->name) != 0) {
            continue;
        }
        found = true;
        wired = wired || vm->wire_count != 0;
        printf("%s, which people see as \"%s\": %u MiB of memory that nobody else reaches.\n",
               vm->name, vm->label, vm->memory_mib);
        if (vm->balloon_min_mib != 0) {
            printf("  %u MiB are its own for sure as long as it runs; what it leaves idle of the "
                   "rest may go to others that need it, clean, and comes back when it is needed "
                   "and free.\n",
                   vm->balloon_min_mib);
        }
        explain_start(m, vm);
        explain_end(vm);
        explain_cpus(vm);
        explain_devices(m, vm);
        explain_around(m, i);
        explain_may(m, vm);
    }
    if (only == NULL || wired) {
        explain_path(m);
    }
    if (only == NULL) {
        explain_digests(m);
        printf("The log is on COM2%s; the system %s.\n",
               m->log == MANIFEST_LOG_COM1 ? " and, between the consoles, on COM1" : "",
               m->end_when_idle != 0 ? "ends when no VM runs any more" : "stays when no VM runs");
    }
    return found;
}
