/*
 * bhmanifest: the manifest checker as a program on the build machine; same rules and words as root.
 * May call: the C library, SHA-256 of Mbed TLS. Never part of anything that boots.
 */
#include "manifest.h"
#include "source.h"
#include "views.h"

#include <mbedtls/sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_IMAGES 256
#define PATH_BYTES 4096

static const char usage[] =
    "usage: bhmanifest check FILE.dtb [--name SHOWN] [--cpus N] [--memory-mib N]\n"
    "                                 [--image-dir DIR] [--images NAME=BYTES...]\n"
    "                                 [--image-files NAME=PATH...]\n"
    "                                 [--source FILE.dts: errors have its name and lines]\n"
    "       bhmanifest show FILE.dtb      its VMs' memory, images, devices; wires\n"
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
        const char *path; /* NULL: only its size is known */
    } images[MAX_IMAGES];
    unsigned count;
};

/* Among those of the command line; MAX_IMAGES: not there. */
static unsigned archive_find(const struct archive *a, const char *name)
{
    for (unsigned i = 0; i < a->count; i++) {
        if (strlen(name) == a->images[i].name_length &&
            memcmp(name, a->images[i].name, a->images[i].name_length) == 0) {
            return i;
        }
    }
    return MAX_IMAGES;
}

static bool file_size(const char *path, uint64_t *size_bytes)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return false;
    }
    *size_bytes = (uint64_t)st.st_size;
    return true;
}

/* The file behind a name; "": there is none. */
static void path_in_dir(const struct archive *a, const char *name, char path[PATH_BYTES])
{
    const int n = a->dir != NULL ? snprintf(path, PATH_BYTES, "%s/%s", a->dir, name) : 0;
    if (n <= 0 || n >= PATH_BYTES) {
        path[0] = '\0';
    }
}

static bool archive_image_size(void *ctx, const char *name, uint64_t *size_bytes)
{
    const struct archive *a = ctx;
    const unsigned i = archive_find(a, name);
    char path[PATH_BYTES];

    if (i < MAX_IMAGES) {
        *size_bytes = a->images[i].size_bytes;
        return true;
    }
    path_in_dir(a, name, path);
    return file_size(path, size_bytes);
}

static bool file_digest(const char *path, uint8_t digest[MANIFEST_DIGEST_BYTES])
{
    static uint8_t piece[1 << 16];
    mbedtls_sha256_context sha;
    FILE *f = fopen(path, "rb");
    bool good = f != NULL;

    mbedtls_sha256_init(&sha);
    good = good && mbedtls_sha256_starts_ret(&sha, 0) == 0;
    while (good) {
        const size_t n = fread(piece, 1, sizeof(piece), f);
        if (n == 0) {
            break;
        }
        good = mbedtls_sha256_update_ret(&sha, piece, n) == 0;
    }
    good = good && ferror(f) == 0 && mbedtls_sha256_finish_ret(&sha, digest) == 0;
    if (f != NULL) {
        fclose(f);
    }
    return good;
}

static bool archive_image_digest(void *ctx, const char *name, uint8_t digest[MANIFEST_DIGEST_BYTES])
{
    const struct archive *a = ctx;
    const unsigned i = archive_find(a, name);
    char path[PATH_BYTES];

    if (i < MAX_IMAGES) {
        return a->images[i].path != NULL && file_digest(a->images[i].path, digest);
    }
    path_in_dir(a, name, path);
    return file_digest(path, digest);
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

static void add_image(struct archive *a, const char *arg, bool file)
{
    const char *equals = strchr(arg, '=');
    if (equals == NULL || a->count == MAX_IMAGES) {
        fprintf(stderr, "bhmanifest: %s: give images as NAME=%s, 256 at most\n", arg,
                file ? "PATH" : "BYTES");
        exit(2);
    }
    a->images[a->count].name = arg;
    a->images[a->count].name_length = (size_t)(equals - arg);
    a->images[a->count].path = file ? equals + 1 : NULL;
    if (!file) {
        a->images[a->count].size_bytes = number(equals + 1);
    } else if (!file_size(equals + 1, &a->images[a->count].size_bytes)) {
        fprintf(stderr, "bhmanifest: %s: is no file; check the path\n", equals + 1);
        exit(2);
    }
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

    if (strcmp(verb, "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
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
            env.image_digest = archive_image_digest;
        } else if (strcmp(argv[i], "--images") == 0 || strcmp(argv[i], "--image-files") == 0) {
            const bool files = strcmp(argv[i], "--image-files") == 0;
            env.image_size = archive_image_size;
            env.image_digest = files ? archive_image_digest : env.image_digest;
            while (i + 1 < argc && argv[i + 1][0] != '-') {
                add_image(&archive, argv[++i], files);
            }
        } else {
            fprintf(stderr, "bhmanifest: %s: not known here\n%s", argv[i], usage);
            return 2;
        }
    }
    void *blob = read_file(argv[2], &size_bytes);
    const unsigned errors = manifest_load(blob, size_bytes, &env, &m);
    if (errors != 0) {
        fprintf(stderr, "%s: %u error(s)\n", env.file, errors);
        free(blob);
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
