/*
 * What is protected and what is not, and what the system is. May call: link.c.
 */
#include <stdio.h>
#include <string.h>
#include "bhctl.h"
#include "manifest.h"

static bool system_part(void *ctx, const uint8_t *payload, uint32_t bytes)
{
    if (bytes != sizeof(struct bh_wire_system)) return false;
    memcpy(ctx, payload, bytes);
    return true;
}

/* Groups of verbs where all of a group are there. */
static void print_may(uint32_t may)
{
    const char *between = "";

    for (const struct manifest_may_word *w = manifest_may_words; w->word != NULL; w++)
        if ((may & w->bits) == w->bits) {
            printf("%s\"%s\"", between, w->word);
            between = ", ";
            may &= ~w->bits;
        }
}

static void print_system(const struct options *o)
{
    static const char *const backends[] = {"none", "VMX with EPT", "SVM with NPT"};
    struct bh_wire_system s = {.abi_version = 0};
    const char *backend;

    link_ask(BH_WIRE_SYSTEM, NULL, NULL, 0, system_part, &s);
    backend = s.backend < 3u ? backends[s.backend] : "unknown";
    if (o->json) {
        printf("{\"wire\": %u, \"abi\": %u, \"backend\": \"%s\", \"cpus\": %u, \"tsc_khz\": %u, "
               "\"memory_bytes\": %llu, \"pool_bytes\": %llu, \"now_ns\": %llu, "
               "\"root_cpu_ns\": %llu, \"may\": [",
               BH_WIRE_VERSION, s.abi_version, backend, s.cpus, s.tsc_khz,
               (unsigned long long)s.memory_bytes, (unsigned long long)s.pool_bytes,
               (unsigned long long)s.now_ns, (unsigned long long)s.root_cpu_ns);
        print_may(s.may);
        printf("]}");
        return;
    }
    printf("Bulkhead: ABI %u, control channel %u, %s, %u CPU%s, up %llu s\n"
           "memory for VMs %llu MiB, kernel pool %llu KiB; root has used %llu ms of CPU 0\n"
           "bhctl may: ",
           s.abi_version, BH_WIRE_VERSION, backend, s.cpus, s.cpus == 1u ? "" : "s",
           (unsigned long long)(s.now_ns / 1000000000u), (unsigned long long)(s.memory_bytes >> 20),
           (unsigned long long)(s.pool_bytes >> 10),
           (unsigned long long)(s.root_cpu_ns / 1000000u));
    print_may(s.may);
    printf("\n");
}

void verb_version(const struct options *o, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    link_open(o);
    print_system(o);
}

struct listing {
    bool json;
    unsigned count;
};

static bool protection_part(void *ctx, const uint8_t *payload, uint32_t bytes)
{
    struct listing *l = ctx;
    struct bh_wire_protection p;

    if (bytes != sizeof(p)) return false;
    memcpy(&p, payload, sizeof(p));
    if (!text_ends(p.words, sizeof(p.words))) return false;
    if (l->json) {
        printf("%s\n  {\"on\": %s, \"words\": ", l->count++ ? "," : "", p.on ? "true" : "false");
        json_string(p.words);
        printf("}");
    } else {
        printf("protection %s %s\n", p.on ? "on: " : "OFF:", p.words);
    }
    return true;
}

void verb_status(const struct options *o, int argc, char **argv)
{
    struct listing l = {o->json, 0};

    (void)argc;
    (void)argv;
    link_open(o);
    if (o->json) printf("{\"protections\": [");
    link_ask(BH_WIRE_PROTECTIONS, NULL, NULL, 0, protection_part, &l);
    printf(o->json ? "\n], \"system\": " : "\n");
    print_system(o);
    printf(o->json ? ", \"vms\": " : "\n");
    list_vms(o);
    if (o->json) printf("}");
}
