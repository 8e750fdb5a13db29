/*
 * bhmanifest: the manifest checker as a program on the build machine; same rules and words as root.
 * May call: the C library. Never part of anything that boots.
 */
#include "manifest.h"
#include "source.h"
#include "views.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_IMAGES 256

static const char usage[] =
    "usage: bhmanifest check FILE.dtb [--name SHOWN] [--cpus N] [--memory-mib N]\n"
    "                                 [--image-dir DIR] [--images NAME=BYTES...]\n"
    "                                 [--source FILE.dts: errors have its name and lines]\n"
    "       bhmanifest show FILE.dtb      what the manifest says, defaults filled in\n"
    "       bhmanifest explain FILE.dtb [--vm NAME]    what that means, in sentences\n"
    "       bhmanifest graph FILE.dtb [--dot]          who reaches whom through what\n"
    "       bhmanifest images FILE.dtb    the image files it needs, one per line\n"
    "       bhmanifest rules              the rules, one per line\n"
    "       bhmanifest rule NAME          what one demands\n"
    "Exit status: 0 the manifest is right, 1 it is not, 2 the command line or a file is not.\n";

/* What the callbacks know. */
struct archive {
    const char *dir;
    const char *source; /* NULL: no lines */
    size_t source_bytes;
    struct {
        const char *name;
        size_t name_length;
        uint64_t size_bytes;
    } images[MAX_IMAGES];
    unsigned count;
};

static bool archive_image_size(void *ctx, const char *name, uint64_t *size_bytes)
{
    const struct archive *a = ctx;
    for (unsigned i = 0; i < a->count; i++) {
        if (strlen(name) == a->images[i].name_length &&
            memcmp(name, a->images[i].name, a->images[i].name_length) == 0) {
            *size_bytes = a->images[i].size_bytes;
            return true;
        }
    }
    if (a->dir != NULL) {
        char path[4096];
        struct stat st;
        const int n = snprintf(path, sizeof(path), "%s/%s", a->dir, name);
        if (n > 0 && (size_t)n < sizeof(path) && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            *size_bytes = (uint64_t)st.st_size;
            return true;
        }
    }
    return false;
}

static unsigned line_of(void *ctx, const char *parent, const char *node, const char *property)
{
    const struct archive *a = ctx;
    char path[256];
    const int n = snprintf(path, sizeof(path), "%s%s", parent != NULL ? parent : "",
                           node != NULL ? node : "");
    if (n <= 0 || (size_t)n >= sizeof(path)) {
        return 0;
    }
    if (n > 1 && path[n - 1] == '/') { /* of all its nodes */
        path[n - 1] = '\0';
    }
    return source_line(a->source, a->source_bytes, path, property);
}

static void print_error(void *ctx, const char *rule, const char *line)
{
    (void)ctx;
    (void)rule;
    fprintf(stderr, "%s\n", line);
}

/* malloc aligns to 16 bytes, which is what the checker needs. */
static void *read_file(const char *path, size_t *size_bytes)
{
    FILE *f = fopen(path, "rb");
    const size_t room = MANIFEST_MAX_BLOB_BYTES + 1u;
    char *data = malloc(room);
    if (f == NULL || data == NULL) {
        fprintf(stderr, "bhmanifest: %s: cannot be opened; check the path\n", path);
        exit(2);
    }
    *size_bytes = fread(data, 1, room, f);
    if (ferror(f)) {
        fprintf(stderr, "bhmanifest: %s: cannot be read\n", path);
        exit(2);
    }
    fclose(f);
    return data;
}

static uint64_t number(const char *text)
{
    char *end = NULL;
    const unsigned long long value = strtoull(text != NULL ? text : "", &end, 0);
    if (text == NULL || end == text || *end != '\0') {
        fprintf(stderr, "bhmanifest: %s: not a number\n", text != NULL ? text : "(nothing)");
        exit(2);
    }
    return value;
}

static void add_image(struct archive *a, const char *arg)
{
    const char *equals = strchr(arg, '=');
    if (equals == NULL || a->count == MAX_IMAGES) {
        fprintf(stderr, "bhmanifest: %s: give images as NAME=BYTES, 256 at most\n", arg);
        exit(2);
    }
    a->images[a->count].name = arg;
    a->images[a->count].name_length = (size_t)(equals - arg);
    a->images[a->count].size_bytes = number(equals + 1);
    a->count++;
}

static void show_disk(const struct manifest_disk *d)
{
    printf("  disk %s: image %s, %s", d->name, d->image != NULL ? d->image : "-",
           d->cdrom != 0 ? "cdrom on " : "");
    printf("%s", d->bus == MANIFEST_BUS_AHCI ? "ahci" : "virtio");
    if (d->bytes != 0) {
        printf(", %llu KiB", (unsigned long long)(d->bytes + 1023) / 1024);
    }
    if (d->cdrom != 0 || d->read_only != 0) {
        printf(", read-only\n");
    } else {
        printf(", overlay %llu KiB\n", (unsigned long long)d->overlay_bytes / 1024);
    }
}

static void show(const struct manifest *m)
{
    static const char *const protocols[] = {"detect", "linux", "pvh", "multiboot", "multiboot2"};
    printf("log %s, %s, policy VM %s\n", m->log == MANIFEST_LOG_COM2 ? "com2" : "com1",
           m->end_when_idle != 0 ? "ends when idle" : "stays when idle",
           m->policy_name != NULL ? m->policy_name : "-");
    for (uint32_t i = 0; i < m->vm_count; i++) {
        const struct manifest_vm *vm = &m->vms[i];
        printf("%s \"%s\": %u MiB, %u vCPU(s) on", vm->name, vm->label, vm->memory_mib, vm->cpus);
        for (uint32_t k = 0; k < vm->cpus; k++) {
            if (vm->vcpu_cpu[k] == MANIFEST_CPU_ANY) {
                printf(" any");
            } else {
                printf(" %u", vm->vcpu_cpu[k]);
            }
        }
        if (vm->cpu_set != 0) {
            printf(" of");
            for (uint32_t cpu = 0; cpu < MANIFEST_MAX_CPUS; cpu++) {
                if ((vm->cpu_set >> cpu & 1u) != 0) {
                    printf(" %u", cpu);
                }
            }
        }
        printf(", floor %u %%, ceiling %u %%, weight %u\n", vm->floor_percent, vm->ceiling_percent,
               vm->weight);
        if (vm->firmware != MANIFEST_FIRMWARE_NONE) {
            printf("  firmware %s%s\n", manifest_firmware_files(vm).code,
                   vm->firmware_log != 0 ? ", its log on the console" : "");
        }
        if (vm->kernel != NULL) {
            printf("  protocol %s, kernel %s, initrd %s, append \"%s\"\n", protocols[vm->protocol],
                   vm->kernel, vm->initrd != NULL ? vm->initrd : "-", vm->append);
        }
        printf("  console %s, display %s, debug exit %s, on stop %s\n",
               vm->console == MANIFEST_CONSOLE_SERIAL ? "serial" : "none",
               vm->display == MANIFEST_DISPLAY_VGA ? "vga" : "none",
               vm->debug_exit != 0 ? "on" : "off",
               vm->on_stop == MANIFEST_ON_STOP_END_SYSTEM ? "end-system" : "none");
        printf("  network %s, balloon %u MiB",
               vm->network == MANIFEST_NETWORK_LOOPBACK ? "loopback" : "none", vm->balloon_mib);
        if (vm->balloon_min_mib != 0) {
            printf(", keeps %u MiB at least", vm->balloon_min_mib);
        }
        printf("\n");
        for (uint32_t k = 0; k < vm->disk_count; k++) {
            show_disk(&vm->disks[k]);
        }
        for (uint32_t k = 0; k < vm->wire_count; k++) {
            const struct manifest_wire *w = &m->wires[vm->wires[k]];
            printf("  wire %s: card 02:62:68:%02x:%02x:%02x%s\n", w->name, i >> 8, i & 0xffu,
                   MANIFEST_WIRE_MAC + k, w->around_policy != 0 ? ", around policy" : "");
        }
    }
}

static void list_images(const struct manifest *m)
{
    for (uint32_t i = 0; i < m->vm_count; i++) {
        const struct manifest_firmware_files firmware = manifest_firmware_files(&m->vms[i]);
        const char *const names[] = {m->vms[i].kernel, m->vms[i].initrd, firmware.code,
                                     firmware.variables, firmware.screen};
        for (size_t k = 0; k < 5; k++) {
            if (names[k] != NULL) {
                printf("%s\n", names[k]);
            }
        }
        for (uint32_t k = 0; k < m->vms[i].disk_count; k++) {
            if (m->vms[i].disks[k].image != NULL) {
                printf("%s\n", m->vms[i].disks[k].image);
            }
        }
    }
}

static int print_rule(const char *name)
{
    for (unsigned i = 0; i < RULE_COUNT; i++) {
        if (strcmp(name, manifest_rules[i].name) == 0) {
            printf("%s: %s\n", name, manifest_rules[i].demands);
            printf("tests/system/manifest/%s.fail.* breaks it, %s.pass.* keeps it\n", name, name);
            return 0;
        }
    }
    fprintf(stderr, "bhmanifest: %s: no such rule; 'bhmanifest rules' lists them\n", name);
    return 2;
}

static bool is_verb(const char *verb)
{
    static const char *const verbs[] = {"check", "show", "images", "explain", "graph"};
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verb, verbs[i]) == 0) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    static struct manifest m;
    static struct archive archive;
    struct manifest_env env = {.report = print_error, .ctx = &archive};
    const char *verb = argc > 1 ? argv[1] : "";
    const char *vm = NULL;
    bool dot = false;
    size_t size_bytes = 0;

    if (strcmp(verb, "rules") == 0) {
        for (unsigned i = 0; i < RULE_COUNT; i++) {
            printf("%-20s %s\n", manifest_rules[i].name, manifest_rules[i].demands);
        }
        return 0;
    }
    if (argc == 3 && strcmp(verb, "rule") == 0) {
        return print_rule(argv[2]);
    }
    if (argc < 3 || !is_verb(verb)) {
        fputs(usage, stderr);
        return 2;
    }
    env.file = argv[2];
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--name") == 0 && i + 1 < argc) {
            env.file = argv[++i];
        } else if (strcmp(argv[i], "--source") == 0 && i + 1 < argc) {
            env.file = argv[++i];
            archive.source = read_file(argv[i], &archive.source_bytes);
            env.line_of = line_of;
        } else if (strcmp(argv[i], "--vm") == 0 && i + 1 < argc) {
            vm = argv[++i];
        } else if (strcmp(argv[i], "--dot") == 0) {
            dot = true;
        } else if (strcmp(argv[i], "--cpus") == 0) {
            const uint64_t cpus = number(argv[++i]);
            env.host_cpus = cpus < MANIFEST_MAX_CPUS ? (uint32_t)cpus : MANIFEST_MAX_CPUS;
        } else if (strcmp(argv[i], "--memory-mib") == 0) {
            env.host_memory_mib = number(argv[++i]);
        } else if (strcmp(argv[i], "--image-dir") == 0 && i + 1 < argc) {
            archive.dir = argv[++i];
            env.image_size = archive_image_size;
        } else if (strcmp(argv[i], "--images") == 0) {
            env.image_size = archive_image_size;
            while (i + 1 < argc && argv[i + 1][0] != '-') {
                add_image(&archive, argv[++i]);
            }
        } else {
            fprintf(stderr, "bhmanifest: %s: not known here\n%s", argv[i], usage);
            return 2;
        }
    }
    const void *blob = read_file(argv[2], &size_bytes);
    const unsigned errors = manifest_load(blob, size_bytes, &env, &m);
    if (errors != 0) {
        fprintf(stderr, "%s: %u error(s)\n", env.file, errors);
        return 1;
    }
    if (strcmp(verb, "show") == 0) {
        show(&m);
    } else if (strcmp(verb, "images") == 0) {
        list_images(&m);
    } else if (strcmp(verb, "graph") == 0) {
        graph(&m, dot);
    } else if (strcmp(verb, "explain") == 0 && !explain(&m, vm)) {
        fprintf(stderr, "bhmanifest: %s: no such VM\n", vm);
        return 1;
    }
    return 0;
}
