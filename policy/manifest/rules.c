/*
 * The rules a manifest obeys: the table of names, and the checks that look at more than one
 * property. Those on a single property are made by the parser (manifest.c) from its schema tables.
 * May call: report.h, memcmp-class functions. Never reads the blob itself.
 */
#include "rules.h"

#include <string.h>

const struct manifest_rule manifest_rules[RULE_COUNT] = {
    [RULE_BLOB_WELL_FORMED] = {"blob-well-formed", "the file is a device tree blob made by dtc"},
    [RULE_FORMAT_VERSION] = {"format-version", "/ says compatible = \"" MANIFEST_COMPATIBLE "\""},
    [RULE_NODE_KNOWN] = {"node-known", "every node is one this version knows"},
    [RULE_NODE_ONCE] = {"node-once",
                        "vms, wires, images, system and a VM's disks are there once at most"},
    [RULE_PROPERTY_KNOWN] = {"property-known", "every property is one its node knows"},
    [RULE_PROPERTY_ONCE] = {"property-once", "a node gives a property once"},
    [RULE_PROPERTY_TYPE] = {"property-type", "a property has the type and size it should"},
    [RULE_PROPERTY_REQUIRED] = {"property-required", "properties without a default are given"},
    [RULE_PROPERTY_CHOICE] = {"property-choice", "a word is one of those the property knows"},
    [RULE_VM_COUNT] = {"vm-count", "there are 1 to 512 VMs"},
    [RULE_VM_NAME] = {"vm-name", "a VM's name is a-z, then a-z, 0-9, '-', 31 characters at most"},
    [RULE_VM_NAME_UNIQUE] = {"vm-name-unique", "no two VMs have the same name"},
    [RULE_LABEL_TEXT] = {"label-text", "a label has 1 to 63 printable ASCII characters"},
    [RULE_LABEL_UNIQUE] = {"label-unique", "no two VMs show the same label"},
    [RULE_MEMORY_RANGE] = {"memory-range", "a VM has 1 MiB to 1 TiB of memory"},
    [RULE_MEMORY_FITS_HOST] = {"memory-fits-host",
                               "the VMs that start at boot, with the overlays of their disks and "
                               "the wires, fit the host's memory"},
    [RULE_CPUS_RANGE] = {"cpus-range", "a VM has 1 to 8 vCPUs"},
    [RULE_CPU_EXISTS] = {"cpu-exists", "a vCPU is placed on a CPU the host has"},
    [RULE_CPU_SET_ONCE] = {"cpu-set-once", "a set of CPUs names each once"},
    [RULE_CPU_OR_SET] = {"cpu-or-set", "a VM has cpu or cpu-set, not both"},
    [RULE_SHARE_RANGE] = {"share-range", "floor 0-100 %, ceiling 1-100 %, weight 1-1000"},
    [RULE_FLOOR_BELOW_CEILING] = {"floor-below-ceiling", "a floor is not above its ceiling"},
    [RULE_FLOOR_SUM] =
        {"floor-sum",
         "the floors on one CPU of VMs that start at boot sum to 95 % at most: the rest is root's"},
    [RULE_IMAGE_NAME] = {"image-name", "an image is a plain file name of 1 to 63 characters"},
    [RULE_IMAGE_PRESENT] = {"image-present", "every image is in the boot archive"},
    [RULE_IMAGES_FIT_MEMORY] = {"images-fit-memory", "a VM's images fit its memory"},
    [RULE_IMAGE_DIGEST] = {"image-digest", "an image has the SHA-256 that /images gives it"},
    [RULE_DIGEST_TEXT] = {"digest-text", "a digest is 64 hexadecimal digits"},
    [RULE_DIGEST_USED] = {"digest-used", "/images has 64 digests at most, each of a VM's image"},
    [RULE_APPEND_TEXT] = {"append-text", "a command line has up to 2047 printable characters"},
    [RULE_START_IMAGE] = {"start-image", "a VM has a kernel, or firmware"},
    [RULE_FIRMWARE_ALONE] =
        {"firmware-alone",
         "a VM with SeaBIOS has no kernel, one without a kernel no initrd or append, one "
         "with firmware no protocol"},
    [RULE_FIRMWARE_MEMORY] = {"firmware-memory",
                              "a VM with SeaBIOS has 16 MiB at least, one with OVMF 128 MiB"},
    [RULE_BALLOON_BELOW_MEMORY] = {"balloon-below-memory",
                                   "a guest is not asked to give back all its memory"},
    [RULE_BALLOON_MIN] = {"balloon-min",
                          "a VM that others may have memory of keeps 2 MiB at least, gives pieces "
                          "of 2 MiB and has 8 GiB at most; all of them have 32 GiB at most"},
    [RULE_DISK_COUNT] = {"disk-count", "a VM has at most 4 disks"},
    [RULE_DISK_NAME] = {"disk-name",
                        "a disk's name is a-z, then a-z, 0-9, '-', 20 characters at most"},
    [RULE_DISK_NAME_UNIQUE] = {"disk-name-unique", "no two disks of a VM have the same name"},
    [RULE_DISK_RANGE] = {"disk-range", "a disk and its overlay have 1 to 65536 MiB"},
    [RULE_DISK_SIZE] = {"disk-size", "a disk has an image or a size, and holds its image"},
    [RULE_DISK_OVERLAY] = {"disk-overlay",
                           "an overlay is of a disk that is written, and no larger than it"},
    [RULE_DISK_CDROM] = {"disk-cdrom", "a CD is on the AHCI bus and has an image"},
    [RULE_SAVE_RANGE] = {"save-range", "a store for saving a VM has 1 MiB to 1 TiB"},
    [RULE_WIRE_COUNT] = {"wire-count", "there are at most 128 wires, of which 4 end at one VM"},
    [RULE_WIRE_NAME] = {"wire-name",
                        "a wire's name is a-z, then a-z, 0-9, '-', 31 characters at most"},
    [RULE_WIRE_NAME_UNIQUE] = {"wire-name-unique", "no two wires have the same name"},
    [RULE_WIRE_TWO_ENDS] = {"wire-two-ends", "a wire has two ends"},
    [RULE_WIRE_END_KNOWN] = {"wire-end-known", "each end of a wire is a VM of the manifest"},
    [RULE_WIRE_ENDS_DIFFER] = {"wire-ends-differ", "a wire joins two different VMs"},
    [RULE_POLICY_VM_KNOWN] = {"policy-vm-known", "the policy VM is a VM of the manifest"},
    [RULE_WIRE_THROUGH_POLICY] = {"wire-through-policy",
                                  "where there is a policy VM, each wire ends at it, or says that "
                                  "it goes around it"},
    [RULE_AROUND_POLICY_USED] = {"around-policy-used",
                                 "only a wire that does not end at the policy VM goes around it"},
    [RULE_RESTART_RANGE] = {"restart-range",
                            "a VM is restarted 1 to 100 times in a row, after 0 to 600000 ms"},
    [RULE_RESTART_USED] = {"restart-used", "how a VM is restarted is said only where it is"},
    [RULE_STOP_RANGE] = {"stop-range", "a guest has 1 to 3600 s to stop"},
    [RULE_MAY_WORDS] = {"may-words", "what a guest may is said in words of bhctl's verbs"},
    [RULE_MAY_TARGET] = {"may-target", "a guest may do something about VMs that there are, each "
                                       "named once"},
    [RULE_MAY_COUNT] = {"may-count", "at most 32 guests have a control channel"},
    [RULE_AFTER_KNOWN] = {"after-known", "a VM is started after others that there are, once each"},
    [RULE_AFTER_BOOT] = {"after-boot", "what starts at boot is after nothing that does not"},
    [RULE_AFTER_CYCLE] = {"after-cycle", "no VM waits for itself"},
};

static const char vms_path[] = "/vms/";

static void check_names(struct report *r, struct manifest *m)
{
    for (uint32_t i = 0; i < m->vm_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(m->vms[i].name, m->vms[j].name) == 0) {
                report_begin(r, vms_path, m->vms[i].name, NULL);
                report_text(r, "the name is given to two VMs; rename one of them");
                report_end(r, RULE_VM_NAME_UNIQUE);
                break;
            }
        }
    }
}

static void check_labels(struct report *r, struct manifest *m)
{
    for (uint32_t i = 0; i < m->vm_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(m->vms[i].label, m->vms[j].label) == 0) {
                report_begin(r, vms_path, m->vms[i].name, "label");
                report_text(r, "\"");
                report_text(r, m->vms[i].label);
                report_text(r, "\" is also what /vms/");
                report_text(r, m->vms[j].name);
                report_text(r, " shows; people could not tell them apart: change one label");
                report_end(r, RULE_LABEL_UNIQUE);
                break;
            }
        }
    }
}

/* Memory of the VM's guest, of its disks and of its store. */
static uint64_t vm_mib(const struct manifest_vm *vm)
{
    uint64_t mib = (uint64_t)vm->memory_mib + vm->save_mib;
    for (uint32_t i = 0; i < vm->disk_count; i++) {
        mib += (vm->disks[i].overlay_bytes + 0xfffffu) >> 20;
    }
    return mib;
}

static void check_host_memory(struct report *r, struct manifest *m)
{
    uint64_t sum_mib = ((uint64_t)m->wire_count * MANIFEST_WIRE_BYTES + 0xfffffu) >> 20;
    if (r->env->host_memory_mib == 0) {
        return;
    }
    const uint64_t wires_mib = sum_mib;
    for (uint32_t i = 0; i < m->vm_count; i++) {
        const bool boots = m->vms[i].start == MANIFEST_START_BOOT;
        const uint64_t mib = (boots ? sum_mib : wires_mib) + vm_mib(&m->vms[i]);
        sum_mib = boots ? mib : sum_mib;
        if (mib > r->env->host_memory_mib) {
            report_begin(r, vms_path, m->vms[i].name, "memory-mib");
            report_text(r, boots ? "with this VM those that start at boot need "
                                 : "alone this VM needs, with the wires, ");
            report_number(r, mib);
            report_text(r, " MiB, the host has ");
            report_number(r, r->env->host_memory_mib);
            report_text(r, " MiB for VMs: ");
            report_number(r, mib - r->env->host_memory_mib);
            report_text(r, " MiB too many; make VMs smaller, leave one out or start one by hand");
            report_end(r, RULE_MEMORY_FITS_HOST);
            return;
        }
    }
}

/* What the CPUs carry while vCPUs are being placed. */
struct cpu_load {
    uint32_t floor_percent[MANIFEST_MAX_CPUS];  /* of those that start at boot */
    uint32_t manual_percent[MANIFEST_MAX_CPUS]; /* most of one that is started by hand */
    uint32_t vcpus[MANIFEST_MAX_CPUS];
};

/* How many of this VM's vCPUs are on a CPU already? */
static uint32_t load_own(const struct manifest_vm *vm, uint32_t placed, uint32_t cpu)
{
    uint32_t own = 0;
    for (uint32_t k = 0; k < placed; k++) {
        own += vm->vcpu_cpu[k] == cpu ? 1u : 0u;
    }
    return own;
}

static void load_add(struct cpu_load *load, struct manifest_vm *vm, uint32_t vcpu, uint32_t cpu)
{
    const uint32_t floors = (load_own(vm, vcpu, cpu) + 1u) * vm->floor_percent;

    vm->vcpu_cpu[vcpu] = cpu;
    if (vm->start == MANIFEST_START_BOOT) {
        load->floor_percent[cpu] += vm->floor_percent;
    } else if (floors > load->manual_percent[cpu]) {
        load->manual_percent[cpu] = floors;
    }
    load->vcpus[cpu]++;
}

/* Of the CPUs @allowed, at least one, that with the fewest vCPUs of this VM, then with the smallest
 * sum of floors, then with the fewest vCPUs, then the last: CPU 0 has root's own work. */
static uint32_t load_pick(const struct cpu_load *load, const struct manifest_vm *vm,
                          uint32_t placed, uint64_t allowed)
{
    uint32_t best = (uint32_t)__builtin_ctzll(allowed);
    for (uint32_t cpu = best + 1u; cpu < MANIFEST_MAX_CPUS; cpu++) {
        if ((allowed >> cpu & 1u) == 0) {
            continue;
        }
        const uint32_t own = load_own(vm, placed, cpu);
        const uint32_t best_own = load_own(vm, placed, best);
        if (own != best_own) {
            best = own < best_own ? cpu : best;
        } else if (load->floor_percent[cpu] != load->floor_percent[best]) {
            best = load->floor_percent[cpu] < load->floor_percent[best] ? cpu : best;
        } else if (load->vcpus[cpu] <= load->vcpus[best]) {
            best = cpu;
        }
    }
    return best;
}

/* Returns false after reporting a VM that cannot be placed. */
static bool place(struct report *r, struct manifest_vm *vm, struct cpu_load *load)
{
    const uint32_t host = r->env->host_cpus;
    const uint32_t cpus = (host != 0 && host < MANIFEST_MAX_CPUS) ? host : MANIFEST_MAX_CPUS;
    const uint64_t all = UINT64_MAX >> (MANIFEST_MAX_CPUS - cpus);
    const uint64_t missing = vm->cpu_set & ~all;

    if (vm->cpu_set != 0 && vm->cpu != MANIFEST_CPU_ANY) {
        report_begin(r, vms_path, vm->name, "cpu-set");
        report_text(r, "cpu says already which CPUs it has; leave out one of the two");
        report_end(r, RULE_CPU_OR_SET);
        return false;
    }
    if (missing != 0) {
        report_begin(r, vms_path, vm->name, "cpu-set");
        report_text(r, "CPU ");
        report_number(r, (uint32_t)__builtin_ctzll(missing));
        report_text(r, " does not exist; the CPUs are 0 to ");
        report_number(r, (uint64_t)cpus - 1u);
        report_text(r, ": leave it out of the set");
        report_end(r, RULE_CPU_EXISTS);
        return false;
    }
    if (vm->cpu != MANIFEST_CPU_ANY) {
        if (vm->cpu >= cpus || vm->cpus > cpus - vm->cpu) {
            report_begin(r, vms_path, vm->name, "cpu");
            report_number(r, vm->cpus);
            report_text(r, " vCPU(s) from CPU ");
            report_number(r, vm->cpu);
            report_text(r, " on do not exist; the CPUs are 0 to ");
            report_number(r, (uint64_t)cpus - 1u);
            report_text(r, ": choose a lower cpu or leave it out");
            report_end(r, RULE_CPU_EXISTS);
            return false;
        }
        for (uint32_t k = 0; k < vm->cpus; k++) {
            load_add(load, vm, k, vm->cpu + k);
        }
        return true;
    }
    if (host == 0 && vm->cpu_set == 0) {
        return true; /* vcpu_cpu stays "any": placement needs the number of CPUs */
    }
    for (uint32_t k = 0; k < vm->cpus; k++) {
        load_add(load, vm, k, load_pick(load, vm, k, vm->cpu_set != 0 ? vm->cpu_set : all));
    }
    return true;
}

/* Who asks for a CPU comes first, then who asks for some: what is left open then fills the gaps. */
static unsigned place_turn(const struct manifest_vm *vm)
{
    return vm->cpu != MANIFEST_CPU_ANY ? 0 : vm->cpu_set != 0 ? 1 : 2;
}

static void check_cpus(struct report *r, struct manifest *m)
{
    struct cpu_load load;
    bool placed = true;
    memset(&load, 0, sizeof(load));

    for (unsigned turn = 0; turn < 3; turn++) {
        for (uint32_t i = 0; i < m->vm_count; i++) {
            if (place_turn(&m->vms[i]) == turn) {
                placed = place(r, &m->vms[i], &load) && placed;
            }
        }
    }
    for (uint32_t cpu = 0; placed && cpu < MANIFEST_MAX_CPUS; cpu++) {
        const uint32_t floors = load.floor_percent[cpu] > load.manual_percent[cpu]
                                    ? load.floor_percent[cpu]
                                    : load.manual_percent[cpu];
        if (floors > MANIFEST_MAX_FLOORS) {
            report_begin(r, "/vms", NULL, NULL);
            report_text(r, "the floors on CPU ");
            report_number(r, cpu);
            report_text(r, " sum to ");
            report_number(r, floors);
            report_text(r, " %, 5 % are root's: ");
            report_number(r, floors - MANIFEST_MAX_FLOORS);
            report_text(r, " % too many; lower floor-percent or move a VM by cpu or cpu-set");
            report_end(r, RULE_FLOOR_SUM);
        }
    }
}

static void check_shares(struct report *r, struct manifest *m)
{
    for (uint32_t i = 0; i < m->vm_count; i++) {
        const struct manifest_vm *vm = &m->vms[i];
        if (vm->floor_percent > vm->ceiling_percent) {
            report_begin(r, vms_path, vm->name, "floor-percent");
            report_number(r, vm->floor_percent);
            report_text(r, " is above ceiling-percent, ");
            report_number(r, vm->ceiling_percent);
            report_text(r, "; lower the floor or raise the ceiling");
            report_end(r, RULE_FLOOR_BELOW_CEILING);
        }
    }
}

static void check_balloons(struct report *r, struct manifest *m)
{
    for (uint32_t i = 0; i < m->vm_count; i++) {
        const struct manifest_vm *vm = &m->vms[i];
        if (vm->balloon_mib >= vm->memory_mib) {
            report_begin(r, vms_path, vm->name, "balloon-mib");
            report_number(r, vm->balloon_mib);
            report_text(r, " MiB are all that the VM has, or more; give less");
            report_end(r, RULE_BALLOON_BELOW_MEMORY);
        }
    }
}

static void balloon_min_error(struct report *r, const struct manifest_vm *vm, const char *property,
                              uint64_t mib, const char *text)
{
    report_begin(r, vms_path, vm->name, property);
    report_number(r, mib);
    report_text(r, text);
    report_end(r, RULE_BALLOON_MIN);
}

/* VMs whose memory is made of pieces that come and go. */
static void check_balloon_mins(struct report *r, struct manifest *m)
{
    uint64_t sum_mib = 0;
    for (uint32_t i = 0; i < m->vm_count; i++) {
        const struct manifest_vm *vm = &m->vms[i];
        if (vm->balloon_min_mib == 0) {
            continue;
        }
        const uint64_t before_mib = sum_mib;
        sum_mib += vm->memory_mib;
        if (vm->memory_mib % 2 != 0 || vm->memory_mib > MANIFEST_MAX_ELASTIC_MIB) {
            balloon_min_error(r, vm, "memory-mib", vm->memory_mib,
                              " MiB cannot be had in pieces of 2 MiB, or are more than 8192; "
                              "change it, or leave out balloon-min-mib");
        } else if (vm->balloon_min_mib % 2 != 0 || vm->balloon_min_mib >= vm->memory_mib) {
            balloon_min_error(r, vm, "balloon-min-mib", vm->balloon_min_mib,
                              " MiB are no whole pieces of 2 MiB, or not below memory-mib; give "
                              "less, and an even number");
        } else if (sum_mib > MANIFEST_MAX_ALL_ELASTIC_MIB &&
                   before_mib <= MANIFEST_MAX_ALL_ELASTIC_MIB) {
            balloon_min_error(r, vm, "balloon-min-mib", sum_mib,
                              " MiB are what the VMs with balloon-min-mib have so far, and 32768 "
                              "are the most; leave it out for some");
        }
    }
}

static bool image_known(struct report *r, const char *parent, const char *node,
                        const char *property, const char *image, uint64_t *size_bytes)
{
    if (r->env->image_size(r->env->ctx, image, size_bytes)) {
        return true;
    }
    report_begin(r, parent, node, property);
    report_text(r, "\"");
    report_text(r, image);
    report_text(r, "\" is not in the boot archive; add the file or correct the name");
    report_end(r, RULE_IMAGE_PRESENT);
    return false;
}

static void vm_error(struct report *r, const struct manifest_vm *vm, const char *property,
                     const char *text, enum manifest_rule_id rule)
{
    report_begin(r, vms_path, vm->name, property);
    report_text(r, text);
    report_end(r, rule);
}

struct manifest_firmware_files manifest_firmware_files(const struct manifest_vm *vm)
{
    const bool screen = vm->display == MANIFEST_DISPLAY_VGA;
    switch (vm->firmware) {
    case MANIFEST_FIRMWARE_SEABIOS:
        return (struct manifest_firmware_files){"bios-256k.bin", NULL,
                                                screen ? "vgabios-stdvga.bin" : NULL};
    case MANIFEST_FIRMWARE_OVMF: /* has a driver for the screen */
        return (struct manifest_firmware_files){"OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd", NULL};
    default: return (struct manifest_firmware_files){NULL, NULL, NULL};
    }
}

static void check_start(struct report *r, struct manifest *m)
{
    for (uint32_t i = 0; i < m->vm_count; i++) {
        const struct manifest_vm *vm = &m->vms[i];
        const uint32_t least = vm->firmware == MANIFEST_FIRMWARE_OVMF ? 128 : 16;
        if (vm->firmware == MANIFEST_FIRMWARE_NONE) {
            if (vm->kernel == NULL) {
                vm_error(r, vm, NULL, "has nothing to start; give it kernel or firmware",
                         RULE_START_IMAGE);
            }
            continue;
        }
        const bool kernel = vm->kernel != NULL && vm->firmware == MANIFEST_FIRMWARE_OVMF;
        if (vm->protocol != MANIFEST_PROTOCOL_DETECT ||
            (!kernel && (vm->kernel != NULL || vm->initrd != NULL || vm->append[0] != '\0'))) {
            vm_error(r, vm, "firmware",
                     "only OVMF starts a kernel, with initrd and append, and it knows no protocol; "
                     "leave out firmware, or what it does not start",
                     RULE_FIRMWARE_ALONE);
        }
        if (vm->memory_mib < least) {
            report_begin(r, vms_path, vm->name, "memory-mib");
            report_text(r, "this firmware needs more; give ");
            report_number(r, least);
            report_text(r, " MiB or more");
            report_end(r, RULE_FIRMWARE_MEMORY);
        }
    }
}

static void check_images(struct report *r, struct manifest *m)
{
    if (r->env->image_size == NULL) {
        return;
    }
    for (uint32_t i = 0; i < m->vm_count; i++) {
        const struct manifest_vm *vm = &m->vms[i];
        const struct manifest_firmware_files firmware = manifest_firmware_files(vm);
        const char *const names[] = {vm->kernel, vm->initrd, firmware.code, firmware.variables,
                                     firmware.screen};
        const char *const properties[] = {"kernel", "initrd", "firmware", "firmware", "display"};
        const uint64_t memory_bytes = (uint64_t)vm->memory_mib << 20;
        uint64_t bytes[] = {0, 0, 0, 0, 0};
        bool known = true;
        for (size_t k = 0; k < 5; k++) {
            if (names[k] != NULL) {
                known =
                    image_known(r, vms_path, vm->name, properties[k], names[k], &bytes[k]) && known;
            }
        }
        if (known && (bytes[0] > memory_bytes || bytes[1] > memory_bytes - bytes[0])) {
            report_begin(r, vms_path, vm->name, "memory-mib");
            report_text(r, "the images take ");
            report_number(r, (bytes[0] >> 10) + (bytes[1] >> 10) + 2u);
            report_text(r, " KiB, the VM has ");
            report_number(r, memory_bytes >> 10);
            report_text(r, " KiB; raise memory-mib or choose smaller images");
            report_end(r, RULE_IMAGES_FIT_MEMORY);
        }
    }
}

void manifest_disk_path(char path[MANIFEST_DISK_PATH_BYTES], const char *vm)
{
    const char *const parts[] = {vms_path, vm, "/disks/"};
    const size_t limits[] = {sizeof(vms_path), MANIFEST_MAX_NAME, 7};
    size_t at = 0;
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < limits[i] && parts[i][k] != '\0'; k++) {
            path[at++] = parts[i][k];
        }
    }
    path[at] = '\0';
}

/* The disk whose lines are being written. */
struct disk_place {
    struct report *r;
    const char *path;
    const struct manifest_disk *disk;
};

static void disk_error(const struct disk_place *p, const char *property, const char *text,
                       enum manifest_rule_id rule)
{
    report_begin(p->r, p->path, p->disk->name, property);
    report_text(p->r, text);
    report_end(p->r, rule);
}

/* Needs the archive where the size is the image's; without it, bytes stays 0. */
static void disk_size(const struct disk_place *p, struct manifest_disk *d)
{
    const uint64_t sector = d->cdrom != 0 ? 2048 : 512;
    uint64_t image_bytes = 0;

    if (d->image == NULL && d->size_mib == 0) {
        disk_error(p, NULL, "has neither an image nor a size; give it image or size-mib",
                   RULE_DISK_SIZE);
    }
    d->bytes = (uint64_t)d->size_mib << 20;
    if (d->image == NULL || p->r->env->image_size == NULL ||
        !image_known(p->r, p->path, d->name, "image", d->image, &image_bytes)) {
        return;
    }
    if (image_bytes > MANIFEST_MAX_DISK_MIB * 0x100000ull) {
        disk_error(p, "image", "is larger than 65536 MiB; choose a smaller one", RULE_DISK_SIZE);
    } else if (image_bytes == 0) {
        disk_error(p, "image", "is empty; leave it out and give size-mib", RULE_DISK_SIZE);
    } else if (d->size_mib == 0) {
        d->bytes = (image_bytes + sector - 1) / sector * sector;
    } else if (image_bytes > d->bytes) {
        report_begin(p->r, p->path, d->name, "size-mib");
        report_text(p->r, "the image has ");
        report_number(p->r, (image_bytes + 0xfffff) >> 20);
        report_text(p->r, " MiB; give at least as much, or leave size-mib out");
        report_end(p->r, RULE_DISK_SIZE);
    }
}

static void disk_overlay(const struct disk_place *p, struct manifest_disk *d)
{
    const bool writable = d->cdrom == 0 && d->read_only == 0;

    d->overlay_bytes = (uint64_t)d->overlay_mib << 20;
    if (!writable && d->overlay_mib != 0) {
        disk_error(p, "overlay-mib", "is of no use to a disk that is only read; leave it out",
                   RULE_DISK_OVERLAY);
    } else if (writable && d->bytes != 0 && d->overlay_bytes >= d->bytes + 0x100000) {
        disk_error(p, "overlay-mib", "is more than the disk's own size; give less, or leave it out",
                   RULE_DISK_OVERLAY);
    } else if (writable && d->overlay_mib == 0) {
        d->overlay_bytes = (d->bytes + 4095) / 4096 * 4096;
    }
}

static void check_vm_disks(struct report *r, struct manifest_vm *vm)
{
    char path[MANIFEST_DISK_PATH_BYTES];

    manifest_disk_path(path, vm->name);
    for (uint32_t i = 0; i < vm->disk_count; i++) {
        struct manifest_disk *d = &vm->disks[i];
        const struct disk_place p = {r, path, d};
        bool twice = false;
        for (uint32_t j = 0; j < i; j++) {
            twice = twice || strcmp(d->name, vm->disks[j].name) == 0;
        }
        if (twice) {
            disk_error(&p, NULL, "the name is given to two disks; rename one of them",
                       RULE_DISK_NAME_UNIQUE);
        }
        if (d->cdrom != 0 && (d->bus != MANIFEST_BUS_AHCI || d->image == NULL)) {
            disk_error(&p, "cdrom", "a CD needs bus = \"ahci\" and an image; add what is missing",
                       RULE_DISK_CDROM);
            continue;
        }
        disk_size(&p, d);
        disk_overlay(&p, d);
    }
}

static void check_disks(struct report *r, struct manifest *m)
{
    for (uint32_t i = 0; i < m->vm_count; i++) {
        check_vm_disks(r, &m->vms[i]);
    }
}

void manifest_check(struct report *r, struct manifest *m)
{
    static void (*const checks[])(struct report *, struct manifest *) = {
        check_names,
        check_labels,
        check_disks,
        check_host_memory,
        check_balloons,
        check_balloon_mins,
        check_shares,
        check_cpus,
        check_start,
        check_images,
        manifest_check_order,
        manifest_check_may,
        manifest_check_restart,
        manifest_check_wires,
        manifest_check_digests,
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        checks[i](r, m);
    }
}
