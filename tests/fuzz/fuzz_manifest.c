// sources: policy/manifest/manifest.c policy/manifest/may.c policy/manifest/may_words.c
// sources: policy/manifest/digests.c policy/manifest/order.c
// sources: policy/manifest/report.c policy/manifest/rules.c policy/manifest/wires.c
// flags: -Ipolicy/manifest -lfdt
/*
 * Manifest reader: any bytes as a device tree blob. The first bytes say what the blob is checked
 * against. What must hold: nothing outside the blob is read, the blob does not change, errors are
 * printable lines that name a rule, and what is accepted is within the documented limits.
 */
#include "input.h"
#include "manifest.h"

static unsigned reported;

static bool printable(const char *s)
{
    for (; *s != 0; s++)
        if (*s < 0x20 || *s > 0x7e) return false;
    return true;
}

static void report(void *ctx, const char *rule, const char *text)
{
    bool known = false;

    reported++;
    for (unsigned i = 0; i < RULE_COUNT; i++) known |= strcmp(rule, manifest_rules[i].name) == 0;
    CHECK(known && printable(text) && strlen(text) < 512u);
}

static bool image_size(void *ctx, const char *name, uint64_t *size)
{
    *size = (uint64_t)strlen(name) << 20;
    return name[0] != 'x';
}

static bool image_digest(void *ctx, const char *name, uint8_t digest[MANIFEST_DIGEST_BYTES])
{
    memset(digest, 0xab, MANIFEST_DIGEST_BYTES);
    return name[0] != 'y';
}

static void check_text(const char *s, size_t limit) { CHECK(strlen(s) <= limit && printable(s)); }

static void check_vm(const struct manifest_vm *vm, const struct manifest_env *env)
{
    check_text(vm->name, MANIFEST_MAX_NAME);
    check_text(vm->label, MANIFEST_MAX_LABEL);
    CHECK(vm->kernel != NULL || vm->firmware != MANIFEST_FIRMWARE_NONE);
    if (vm->kernel != NULL) check_text(vm->kernel, MANIFEST_MAX_IMAGE_NAME);
    if (vm->initrd != NULL) check_text(vm->initrd, MANIFEST_MAX_IMAGE_NAME);
    check_text(vm->append, MANIFEST_MAX_APPEND);
    CHECK(vm->cpus >= 1u && vm->cpus <= MANIFEST_MAX_VCPUS && vm->memory_mib >= 1u);
    CHECK(vm->floor_percent <= vm->ceiling_percent && vm->ceiling_percent <= 100u);
    CHECK(vm->weight >= 1u && vm->weight <= 1000u);
    for (unsigned k = 0; k < vm->cpus; k++) {
        uint32_t cpu = vm->vcpu_cpu[k];

        if (cpu == MANIFEST_CPU_ANY) {
            CHECK(env->host_cpus == 0);
            continue;
        }
        CHECK(cpu < (env->host_cpus != 0 ? env->host_cpus : MANIFEST_MAX_CPUS));
        CHECK(vm->cpu_set == 0 || (vm->cpu_set >> cpu & 1u) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct manifest m;
    struct manifest_env env = {.file = "manifest", .report = report};
    uint64_t sum_mib = 0;
    uint8_t *blob, *before;
    unsigned errors;

    if (size < 3u) return 0;
    env.host_cpus = data[0] & 0x3fu;
    env.host_memory_mib = (uint64_t)data[1] << (data[0] >> 6) << 3;
    if (data[2] & 1u) env.image_size = image_size;
    if (data[2] & 2u) env.image_digest = image_digest;
    data += 3;
    size -= 3;
    blob = aligned_alloc(8, size == 0 ? 8u : (size + 7u) & ~(size_t)7u);
    before = malloc(size + 1u);
    CHECK(blob != NULL && before != NULL);
    memcpy(blob, data, size);
    memcpy(before, data, size);
    reported = 0;
    memset(&m, 0xa5, sizeof(m));
    errors = manifest_load(blob, size, &env, &m);
    CHECK(errors == reported && memcmp(blob, before, size) == 0);
    if (errors == 0) {
        CHECK(m.vm_count >= 1u && m.vm_count <= MANIFEST_MAX_VMS);
        for (unsigned i = 0; i < m.vm_count; i++) {
            check_vm(&m.vms[i], &env);
            if (m.vms[i].start == MANIFEST_START_BOOT) sum_mib += m.vms[i].memory_mib;
        }
        CHECK(m.digest_count <= MANIFEST_MAX_DIGESTS);
        for (unsigned i = 0; i < m.digest_count; i++)
            CHECK(strlen(m.digests[i].sha256) == MANIFEST_DIGEST_CHARS &&
                  manifest_digest(&m, m.digests[i].image) == m.digests[i].sha256);
        CHECK(env.host_memory_mib == 0 || sum_mib <= env.host_memory_mib);
        CHECK((m.policy_name == NULL) == (m.policy_vm == MANIFEST_MAX_VMS));
        for (unsigned i = 0; i < m.wire_count; i++)
            CHECK(manifest_wire_around(&m, &m.wires[i]) == (m.wires[i].around_policy != 0));
    }
    free(blob);
    free(before);
    return 0;
}
