// sources: policy/manifest/manifest.c policy/manifest/may.c policy/manifest/may_words.c
// sources: policy/manifest/digests.c policy/manifest/order.c
// sources: policy/manifest/report.c policy/manifest/rules.c policy/manifest/wires.c
// flags: -lfdt
/*
 * Unit test of the manifest parser: defaults, placement, limits, texts, and blobs that are damaged
 * at every byte. The examples per rule are in tests/system/manifest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <libfdt.h>

#include "manifest.h"

struct seen {
    unsigned count;
    char rule[64];
    char line[1024];
};

static void remember(void *ctx, const char *rule, const char *line)
{
    struct seen *s = ctx;
    s->count++;
    if (s->count == 1) {
        assert_true(strlen(rule) < sizeof(s->rule));
        assert_true(strlen(line) < sizeof(s->line));
        strcpy(s->rule, rule);
        strcpy(s->line, line);
    }
}

static uint64_t blob_words[64 * 1024];
#define BLOB ((void *)blob_words)

static void blob_begin(void)
{
    assert_int_equal(fdt_create(BLOB, sizeof(blob_words)), 0);
    assert_int_equal(fdt_finish_reservemap(BLOB), 0);
    assert_int_equal(fdt_begin_node(BLOB, ""), 0);
    assert_int_equal(fdt_property_string(BLOB, "compatible", MANIFEST_COMPATIBLE), 0);
    assert_int_equal(fdt_begin_node(BLOB, "vms"), 0);
}

static void vm_begin(const char *name, uint32_t memory_mib)
{
    assert_int_equal(fdt_begin_node(BLOB, name), 0);
    assert_int_equal(fdt_property_u32(BLOB, "memory-mib", memory_mib), 0);
    assert_int_equal(fdt_property_string(BLOB, "kernel", "vmlinuz"), 0);
}

static void vm_end(void) { assert_int_equal(fdt_end_node(BLOB), 0); }

static size_t blob_end(void)
{
    assert_int_equal(fdt_end_node(BLOB), 0);
    assert_int_equal(fdt_end_node(BLOB), 0);
    assert_int_equal(fdt_finish(BLOB), 0);
    return fdt_totalsize(BLOB);
}

static struct manifest m;
static struct seen seen;

static unsigned load(size_t size, uint32_t cpus)
{
    memset(&seen, 0, sizeof(seen));
    const struct manifest_env env = {
        .file = "x.dts", .host_cpus = cpus, .report = remember, .ctx = &seen};
    const unsigned errors = manifest_load(BLOB, size, &env, &m);
    assert_int_equal(errors, seen.count);
    return errors;
}

static void defaults_are_filled_in(void **state)
{
    (void)state;
    blob_begin();
    vm_begin("desktop", 256);
    vm_end();
    assert_int_equal(load(blob_end(), 0), 0);
    assert_int_equal(m.vm_count, 1);
    assert_int_equal(m.log, MANIFEST_LOG_COM1);
    assert_int_equal(m.end_when_idle, 0);
    const struct manifest_vm *vm = &m.vms[0];
    assert_string_equal(vm->name, "desktop");
    assert_string_equal(vm->label, "desktop");
    assert_string_equal(vm->kernel, "vmlinuz");
    assert_null(vm->initrd);
    assert_string_equal(vm->append, "");
    assert_int_equal(vm->memory_mib, 256);
    assert_int_equal(vm->cpus, 1);
    assert_int_equal(vm->cpu, MANIFEST_CPU_ANY);
    assert_int_equal(vm->vcpu_cpu[0], MANIFEST_CPU_ANY);
    assert_int_equal(vm->protocol, MANIFEST_PROTOCOL_DETECT);
    assert_int_equal(vm->floor_percent, 0);
    assert_int_equal(vm->ceiling_percent, 100);
    assert_int_equal(vm->weight, 100);
    assert_int_equal(vm->on_stop, MANIFEST_ON_STOP_NONE);
    assert_int_equal(vm->debug_exit, 0);
}

/* A VM that asks for a CPU gets it; the others go where the floors are lowest, the vCPUs of a VM on
 * as many CPUs as there are. */
static void placement_balances_floors(void **state)
{
    (void)state;
    blob_begin();
    vm_begin("a", 1);
    assert_int_equal(fdt_property_u32(BLOB, "floor-percent", 30), 0);
    vm_end();
    vm_begin("b", 1);
    assert_int_equal(fdt_property_u32(BLOB, "floor-percent", 60), 0);
    assert_int_equal(fdt_property_u32(BLOB, "cpu", 0), 0);
    vm_end();
    vm_begin("c", 1);
    assert_int_equal(fdt_property_u32(BLOB, "cpus", 2), 0);
    vm_end();
    const size_t size = blob_end();
    assert_int_equal(load(size, 2), 0);
    assert_int_equal(m.vms[0].vcpu_cpu[0], 1);
    assert_int_equal(m.vms[1].vcpu_cpu[0], 0);
    assert_int_equal(m.vms[2].vcpu_cpu[0], 1);
    assert_int_equal(m.vms[2].vcpu_cpu[1], 0);
    assert_int_equal(load(size, 1), 0);
    assert_int_equal(m.vms[2].vcpu_cpu[0], 0);
    assert_int_equal(m.vms[2].vcpu_cpu[1], 0);
}

/* A VM of these vCPUs and this floor on a set of CPUs. */
static void vm_on(const char *name, uint32_t cpus, uint32_t floor, const uint32_t *set, size_t n)
{
    uint32_t cells[MANIFEST_MAX_CPUS + 1u];

    for (size_t i = 0; i < n; i++) {
        cells[i] = cpu_to_fdt32(set[i]);
    }
    vm_begin(name, 1);
    assert_int_equal(fdt_property_u32(BLOB, "cpus", cpus), 0);
    assert_int_equal(fdt_property_u32(BLOB, "floor-percent", floor), 0);
    assert_int_equal(fdt_property(BLOB, "cpu-set", cells, (int)(n * 4u)), 0);
    vm_end();
}

/* Within its set a VM is placed by load, before those that may be anywhere; more vCPUs than CPUs
 * share them. The host's other CPUs stay as they are, whether it is known which there are or not.
 */
static void placement_keeps_to_sets(void **state)
{
    (void)state;
    blob_begin();
    vm_begin("free", 1);
    assert_int_equal(fdt_property_u32(BLOB, "floor-percent", 10), 0);
    vm_end();
    vm_on("pair", 5, 10, (const uint32_t[]){3, 1}, 2);
    vm_begin("one", 1);
    assert_int_equal(fdt_property_u32(BLOB, "cpu", 1), 0);
    assert_int_equal(fdt_property_u32(BLOB, "floor-percent", 5), 0);
    vm_end();
    vm_on("rest", 1, 10, (const uint32_t[]){0, 1, 2, 3}, 4);
    const size_t size = blob_end();
    for (uint32_t host = 0; host <= 4; host += 4) {
        static const uint32_t pair[] = {3, 1, 3, 1, 3};
        assert_int_equal(load(size, host), 0);
        assert_int_equal(m.vms[1].cpu_set, 1u << 3 | 1u << 1);
        assert_memory_equal(m.vms[1].vcpu_cpu, pair, sizeof(pair));
        assert_int_equal(m.vms[1].vcpu_cpu[5], MANIFEST_CPU_ANY);
        assert_int_equal(m.vms[3].vcpu_cpu[0], 2);
        assert_int_equal(m.vms[0].vcpu_cpu[0], host == 0 ? MANIFEST_CPU_ANY : 0);
    }
    assert_int_equal(load(size, 3), 2);
    assert_string_equal(seen.line,
                        "x.dts: /vms/pair: cpu-set: CPU 3 does not exist; the CPUs are 0 "
                        "to 2: leave it out of the set [cpu-exists]");
}

/* All CPUs there can be are a set; floors within one that are too much for it are found. */
static void sets_have_limits(void **state)
{
    uint32_t all[MANIFEST_MAX_CPUS + 1u];

    (void)state;
    for (uint32_t i = 0; i <= MANIFEST_MAX_CPUS; i++) {
        all[i] = MANIFEST_MAX_CPUS - 1u - i;
    }
    blob_begin();
    vm_on("all", 8, 0, all, MANIFEST_MAX_CPUS);
    assert_int_equal(load(blob_end(), MANIFEST_MAX_CPUS), 0);
    assert_int_equal(m.vms[0].cpu_set, UINT64_MAX);
    assert_int_equal(m.vms[0].vcpu_cpu[7], MANIFEST_MAX_CPUS - 8);

    blob_begin();
    vm_on("all", 8, 0, all, MANIFEST_MAX_CPUS + 1u);
    assert_int_equal(load(blob_end(), 0), 1);
    assert_string_equal(seen.rule, "cpu-exists");

    blob_begin();
    vm_on("none", 1, 0, all, 0);
    assert_int_equal(load(blob_end(), 0), 1);
    assert_string_equal(seen.rule, "property-type");

    blob_begin();
    vm_on("two", 2, 48, (const uint32_t[]){2}, 1);
    assert_int_equal(load(blob_end(), 4), 1);
    assert_string_equal(seen.rule, "floor-sum");
    assert_non_null(strstr(seen.line, "CPU 2 sum to 96 %"));
}

static void error_names_node_property_reason_remedy(void **state)
{
    (void)state;
    blob_begin();
    vm_begin("desktop", 0);
    vm_end();
    assert_int_equal(load(blob_end(), 0), 1);
    assert_string_equal(seen.line, "x.dts: /vms/desktop: memory-mib: 0 MiB is out of range; give 1 "
                                   "to 1048576 MiB [memory-range]");
}

static void one_vm_too_many(void **state)
{
    (void)state;
    char name[] = "vm000";
    blob_begin();
    for (unsigned i = 0; i < MANIFEST_MAX_VMS + 1; i++) {
        name[2] = (char)('0' + i / 100);
        name[3] = (char)('0' + i / 10 % 10);
        name[4] = (char)('0' + i % 10);
        vm_begin(name, 1);
        vm_end();
    }
    assert_int_equal(load(blob_end(), 0), 1);
    assert_string_equal(seen.rule, "vm-count");
}

/* A name from the blob reaches a terminal only as printable text, and the rule's name is never cut.
 */
static void hostile_names_are_tamed(void **state)
{
    (void)state;
    char name[700];
    memset(name, '\x1b', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    blob_begin();
    vm_begin("desktop", 1);
    assert_int_equal(fdt_property_u32(BLOB, name, 0), 0);
    vm_end();
    assert_int_equal(load(blob_end(), 0), 1);
    for (const char *c = seen.line; *c != '\0'; c++) {
        assert_true(*c >= 0x20 && *c < 0x7f);
    }
    assert_non_null(strstr(seen.line, " [property-known]"));
}

static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static bool abc_digest(void *ctx, const char *name, uint8_t digest[MANIFEST_DIGEST_BYTES])
{
    (void)ctx;
    for (unsigned i = 0; i < MANIFEST_DIGEST_BYTES; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(abc + 2 * i, "%2x", &byte), 1);
        digest[i] = (uint8_t)byte;
    }
    return strcmp(name, "vmlinuz") == 0; /* others cannot be read */
}

static bool known_size(void *ctx, const char *name, uint64_t *size_bytes)
{
    (void)ctx;
    *size_bytes = 3;
    return strcmp(name, "missing") != 0;
}

static void text_property(const char *name, const char *text)
{
    assert_int_equal(fdt_property(BLOB, name, text, (int)strlen(text) + 1), 0);
}

/* A VM with an initrd, and digests of its images. @return errors */
static unsigned load_digests(const char *initrd, const char *const (*digests)[2], unsigned count)
{
    const struct manifest_env env = {.file = "x.dts",
                                     .image_size = known_size,
                                     .image_digest = abc_digest,
                                     .report = remember,
                                     .ctx = &seen};
    memset(&seen, 0, sizeof(seen));
    blob_begin();
    vm_begin("desktop", 256);
    text_property("initrd", initrd);
    vm_end();
    assert_int_equal(fdt_end_node(BLOB), 0);
    assert_int_equal(fdt_begin_node(BLOB, "images"), 0);
    for (unsigned i = 0; i < count; i++) {
        text_property(digests[i][0], digests[i][1]);
    }
    return manifest_load(BLOB, blob_end(), &env, &m);
}

static void digests_are_compared(void **state)
{
    (void)state;
    char other[sizeof(abc)];
    memcpy(other, abc, sizeof(abc));
    other[63] = 'e';
    const char *const good[][2] = {{"vmlinuz", abc}};
    const char *const wrong[][2] = {{"vmlinuz", other}};
    const char *const unreadable[][2] = {{"initrd", abc}};
    const char *const missing[][2] = {{"missing", abc}};
    const char *const unused[][2] = {{"vmlinux", abc}};
    const char *const twice[][2] = {{"vmlinuz", abc}, {"vmlinuz", abc}};

    assert_int_equal(load_digests("initrd", good, 1), 0);
    assert_string_equal(manifest_digest(&m, "vmlinuz"), abc);
    assert_null(manifest_digest(&m, "initrd"));
    assert_int_equal(load_digests("initrd", wrong, 1), 1);
    assert_string_equal(seen.rule, "image-digest");
    assert_non_null(strstr(seen.line, "x.dts: /images: vmlinuz: the file has the SHA-256 ba7816"));
    assert_non_null(strstr(seen.line, other));
    assert_non_null(strstr(seen.line, "/vms/desktop "));
    assert_int_equal(load_digests("initrd", unreadable, 1), 1);
    assert_string_equal(seen.rule, "image-digest");
    assert_int_equal(load_digests("missing", missing, 1), 1);
    assert_string_equal(seen.rule, "image-present");
    assert_int_equal(load_digests("initrd", unused, 1), 1);
    assert_string_equal(seen.rule, "digest-used");
    assert_int_equal(load_digests("initrd", twice, 2), 1);
    assert_string_equal(seen.rule, "property-once");
}

/* Neither other characters nor another length; nothing is read beyond the value. */
static void digest_text_is_checked(void **state)
{
    (void)state;
    char text[80];
    for (unsigned length = 0; length < 70; length++) {
        const char *const digests[][2] = {{"vmlinuz", text}};
        memset(text, '0', sizeof(text));
        text[length] = '\0';
        assert_int_equal(load_digests("initrd", digests, 1), 1);
        assert_string_equal(seen.rule, length == 64 ? "image-digest" : "digest-text");
    }
    for (const char *c = "gGA/:`@ "; *c != '\0'; c++) {
        const char *const digests[][2] = {{"vmlinuz", text}};
        memcpy(text, abc, sizeof(abc));
        text[*c % 64] = *c;
        assert_int_equal(load_digests("initrd", digests, 1), 1);
        assert_string_equal(seen.rule, "digest-text");
    }
}

static void one_digest_too_many(void **state)
{
    (void)state;
    static char names[MANIFEST_MAX_DIGESTS + 1][8];
    const char *digests[MANIFEST_MAX_DIGESTS + 1][2];
    for (unsigned i = 0; i <= MANIFEST_MAX_DIGESTS; i++) {
        snprintf(names[i], sizeof(names[i]), "f%u", i);
        digests[i][0] = names[i];
        digests[i][1] = abc;
    }
    assert_int_equal(load_digests("initrd", (const char *const(*)[2])digests, 65), 1);
    assert_string_equal(seen.rule, "digest-used");
    assert_non_null(strstr(seen.line, "f64: is one digest too many"));
}

static size_t full_blob(void)
{
    blob_begin();
    vm_begin("desktop", 256);
    assert_int_equal(fdt_property_string(BLOB, "append", "console=ttyS0"), 0);
    assert_int_equal(fdt_property_string(BLOB, "protocol", "linux"), 0);
    assert_int_equal(fdt_property(BLOB, "debug-exit", NULL, 0), 0);
    vm_end();
    return blob_end();
}

/* Cut at every length: always refused. The copy has no byte to spare, so ASan sees any overrun. */
static void truncated_blobs_are_refused(void **state)
{
    (void)state;
    const size_t size = full_blob();
    const struct manifest_env env = {.report = remember, .ctx = &seen};
    for (size_t cut = 0; cut < size; cut++) {
        void *copy = malloc(cut);
        assert_true(cut == 0 || copy != NULL);
        if (cut > 0) {
            memcpy(copy, BLOB, cut);
        }
        memset(&seen, 0, sizeof(seen));
        assert_int_equal(manifest_load(copy, cut, &env, &m), 1);
        assert_string_equal(seen.rule, "blob-well-formed");
        free(copy);
    }
}

/* Every bit of the blob flipped, and random bytes: an answer each time, never an overrun. */
static void damaged_blobs_do_no_harm(void **state)
{
    (void)state;
    const size_t size = full_blob();
    const struct manifest_env env = {.host_cpus = 2, .report = remember, .ctx = &seen};
    uint8_t *copy = malloc(size);
    uint32_t random = 1;
    assert_non_null(copy);
    for (size_t bit = 0; bit < size * 8; bit++) {
        memcpy(copy, BLOB, size);
        copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        memset(&seen, 0, sizeof(seen));
        (void)manifest_load(copy, size, &env, &m);
    }
    for (unsigned round = 0; round < 20000; round++) {
        memcpy(copy, BLOB, size);
        for (unsigned k = 0; k < 4; k++) {
            random = random * 1664525u + 1013904223u;
            copy[(random >> 8) % size] = (uint8_t)(random >> 24);
        }
        memset(&seen, 0, sizeof(seen));
        (void)manifest_load(copy, size, &env, &m);
    }
    free(copy);
}

static void misaligned_blob_is_refused(void **state)
{
    (void)state;
    const size_t size = full_blob();
    memmove((char *)BLOB + 4, BLOB, size);
    const struct manifest_env env = {.report = remember, .ctx = &seen};
    memset(&seen, 0, sizeof(seen));
    assert_int_equal(manifest_load((char *)BLOB + 4, size, &env, &m), 1);
    assert_string_equal(seen.rule, "blob-well-formed");
}

static bool image_of_3_kib(void *ctx, const char *name, uint64_t *size_bytes)
{
    (void)ctx;
    *size_bytes = strcmp(name, "big.img") == 0 ? 100ull << 20 : 3000;
    return strcmp(name, "none.img") != 0;
}

static void disk(const char *name, const char *image, uint32_t size_mib, uint32_t overlay_mib)
{
    assert_int_equal(fdt_begin_node(BLOB, name), 0);
    if (image != NULL) assert_true(fdt_property(BLOB, "image", image, (int)strlen(image) + 1) == 0);
    if (size_mib != 0) assert_true(fdt_property_u32(BLOB, "size-mib", size_mib) == 0);
    if (overlay_mib != 0) assert_true(fdt_property_u32(BLOB, "overlay-mib", overlay_mib) == 0);
    assert_int_equal(fdt_end_node(BLOB), 0);
}

static void disks_have_sizes(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        const struct manifest_env env = {.file = "x.dts",
                                         .host_memory_mib = 256u + 1u + 7u + 8u + 100u - round % 2u,
                                         .image_size = round == 2 ? NULL : image_of_3_kib,
                                         .report = remember,
                                         .ctx = &seen};
        blob_begin();
        vm_begin("a", 256);
        assert_int_equal(fdt_begin_node(BLOB, "disks"), 0);
        disk("small", "small.img", 0, 0);
        disk("more", "small.img", 9, 7);
        disk("empty", NULL, 8, 0);
        disk("big", "big.img", 0, 0);
        assert_int_equal(fdt_end_node(BLOB), 0);
        vm_end();
        memset(&seen, 0, sizeof(seen));
        assert_int_equal(manifest_load(BLOB, blob_end(), &env, &m), round % 2u);
        if (round == 1) { /* what is written takes memory of the host */
            assert_string_equal(seen.rule, "memory-fits-host");
            continue;
        }
        const struct manifest_disk *d = m.vms[0].disks;
        assert_int_equal(m.vms[0].disk_count, 4);
        assert_string_equal(d[0].name, "small");
        assert_int_equal(d[0].bytes, round == 2 ? 0 : 3072);
        assert_int_equal(d[0].overlay_bytes, round == 2 ? 0 : 4096);
        assert_int_equal(d[1].bytes, 9 << 20);
        assert_int_equal(d[1].overlay_bytes, 7 << 20);
        assert_int_equal(d[2].overlay_bytes, 8 << 20);
        assert_null(d[2].image);
        assert_int_equal(d[3].bytes, round == 2 ? 0 : 100 << 20);
    }
}

/* Names become bits; what is not said about restarts is filled in; words of a list become bits. */
static void life_is_read(void **state)
{
    static const char after[] = "server\0b";
    static const char may[] = "watch\0life";

    (void)state;
    blob_begin();
    vm_begin("desktop", 1);
    assert_int_equal(fdt_property(BLOB, "after", after, sizeof(after)), 0);
    assert_int_equal(fdt_property_string(BLOB, "restart", "limited"), 0);
    vm_end();
    vm_begin("b", 1);
    assert_int_equal(fdt_property_string(BLOB, "restart", "always"), 0);
    assert_int_equal(fdt_property_u32(BLOB, "restart-wait-ms", 0), 0);
    vm_end();
    vm_begin("server", 1);
    vm_end();
    assert_int_equal(fdt_end_node(BLOB), 0);
    assert_int_equal(fdt_begin_node(BLOB, "system"), 0);
    assert_int_equal(fdt_property(BLOB, "host-may", may, sizeof(may)), 0);
    assert_int_equal(load(blob_end(), 0), 0);
    assert_int_equal(m.vms[0].after[0], 6);
    assert_int_equal(m.vms[0].restart_count, 5);
    assert_int_equal(m.vms[0].restart_wait_ms, 1000);
    assert_int_equal(m.vms[0].stop_wait_s, 30);
    assert_int_equal(m.vms[0].start, MANIFEST_START_BOOT);
    assert_int_equal(m.vms[1].restart_wait_ms, 0);
    assert_int_equal(m.vms[2].after[0], 0);
    assert_int_equal(m.vms[2].restart, MANIFEST_RESTART_NEVER);
    assert_int_equal(m.host_may, MANIFEST_MAY_WATCH | MANIFEST_MAY_LIFE);
}

/* A list whose last text does not end is none. */
static void open_lists_are_refused(void **state)
{
    (void)state;
    blob_begin();
    vm_begin("desktop", 1);
    assert_int_equal(fdt_property(BLOB, "after", "b\0desktop", 8), 0);
    vm_end();
    assert_int_equal(load(blob_end(), 0), 1);
    assert_string_equal(seen.rule, "property-type");
}

/* Two wires end at the policy VM, a third one goes from a to b: @policy, NULL: none; @around: it says
 * so. @return errors */
static unsigned load_path(const char *policy, bool third, bool around)
{
    static const char *const wires[] = {"up", "down", "past"};
    static const char ends[][9] = {"a\0policy", "policy\0b", "a\0b"};
    static const int bytes[] = {9, 9, 4};

    blob_begin();
    for (unsigned i = 0; i < 3; i++) {
        static const char *const vms[] = {"a", "policy", "b"};
        vm_begin(vms[i], 1);
        vm_end();
    }
    assert_int_equal(fdt_end_node(BLOB), 0);
    assert_int_equal(fdt_begin_node(BLOB, "wires"), 0);
    for (unsigned i = 0; i < (third ? 3u : 2u); i++) {
        assert_int_equal(fdt_begin_node(BLOB, wires[i]), 0);
        assert_int_equal(fdt_property(BLOB, "ends", ends[i], bytes[i]), 0);
        assert_true(i != 2 || !around || fdt_property(BLOB, "around-policy", NULL, 0) == 0);
        assert_int_equal(fdt_end_node(BLOB), 0);
    }
    assert_int_equal(fdt_end_node(BLOB), 0);
    assert_int_equal(fdt_begin_node(BLOB, "system"), 0);
    if (policy != NULL) {
        assert_int_equal(fdt_property(BLOB, "policy-vm", policy, (int)strlen(policy) + 1), 0);
    }
    return load(blob_end(), 0);
}

/* Promise 7's rule: no wire bypasses the policy VM unless the manifest draws it; and promise 9's
 * words for each case. */
static void no_wire_bypasses_the_policy_vm(void **state)
{
    bool on = true;

    (void)state;
    assert_int_equal(load_path(NULL, true, false), 0);
    assert_non_null(strstr(manifest_path_words(&m, &on), "no policy VM"));
    assert_true(!on && !manifest_wire_around(&m, &m.wires[2]));
    assert_int_equal(load_path("policy", false, false), 0);
    assert_int_equal(m.policy_vm, 1);
    assert_non_null(strstr(manifest_path_words(&m, &on), "every wire ends at"));
    assert_true(on);
    assert_int_equal(load_path("policy", true, true), 0);
    assert_non_null(strstr(manifest_path_words(&m, &on), "wires go around"));
    assert_true(!on && manifest_wire_around(&m, &m.wires[2]));
    assert_false(manifest_wire_around(&m, &m.wires[0]) || manifest_wire_around(&m, &m.wires[1]));
    assert_int_equal(load_path("policy", true, false), 1);
    assert_string_equal(seen.rule, "wire-through-policy");
    assert_int_equal(load_path("b", true, true), 2); /* "up", not said; "past" ends there */
    assert_string_equal(seen.rule, "wire-through-policy");
    assert_int_equal(load_path("nobody", true, true), 1);
    assert_string_equal(seen.line,
                        "x.dts: /system: policy-vm: \"nobody\" is no VM of this manifest; "
                        "correct the name or describe the VM [policy-vm-known]");
    assert_int_equal(load_path("", true, true), 1);
    assert_string_equal(seen.rule, "policy-vm-known");
}

/* A ring of all VMs that there can be is found and named in bounded time and length. */
static void long_cycles_are_found(void **state)
{
    char name[8], next[8];

    (void)state;
    blob_begin();
    for (unsigned i = 0; i < MANIFEST_MAX_VMS; i++) {
        snprintf(name, sizeof(name), "v%u", i);
        snprintf(next, sizeof(next), "v%u", (i + 1) % MANIFEST_MAX_VMS);
        vm_begin(name, 1);
        assert_int_equal(fdt_property(BLOB, "after", next, (int)strlen(next) + 1), 0);
        vm_end();
    }
    assert_int_equal(load(blob_end(), 0), 1);
    assert_string_equal(seen.rule, "after-cycle");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disks_have_sizes),
        cmocka_unit_test(life_is_read),
        cmocka_unit_test(open_lists_are_refused),
        cmocka_unit_test(long_cycles_are_found),
        cmocka_unit_test(no_wire_bypasses_the_policy_vm),
        cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(placement_balances_floors),
        cmocka_unit_test(placement_keeps_to_sets),
        cmocka_unit_test(sets_have_limits),
        cmocka_unit_test(error_names_node_property_reason_remedy),
        cmocka_unit_test(one_vm_too_many),
        cmocka_unit_test(digests_are_compared),
        cmocka_unit_test(digest_text_is_checked),
        cmocka_unit_test(one_digest_too_many),
        cmocka_unit_test(hostile_names_are_tamed),
        cmocka_unit_test(truncated_blobs_are_refused),
        cmocka_unit_test(damaged_blobs_do_no_harm),
        cmocka_unit_test(misaligned_blob_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
