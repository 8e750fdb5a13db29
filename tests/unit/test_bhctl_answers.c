// sources: vmm/control/vms.c vmm/control/top.c vmm/control/status.c vmm/control/manifest.c
// sources: vmm/rt/wire.c vmm/rt/crc32c.c policy/manifest/may_words.c
// flags: -D_GNU_SOURCE -lfdt
/*
 * bhctl and a system that means harm: what goes to people's terminals is printable, whoever says
 * it, and what nests without end is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <libfdt.h>

#include "vmm/control/bhctl.h"

#define link_open link_open_by_name
#include "vmm/control/link.c"
#undef link_open

void link_open(const struct options *o);

#define ATTACK "\033]52;c;ZXZpbA==\a"

static const struct options options;
static int root = -1; /* the other end */
static uint16_t next_sequence;
static jmp_buf dead;
static int died; /* with this status; -1: it has not */
static char words[1024];

static void die_with(int status, const char *format, va_list args)
{
    died = status;
    (void)vsnprintf(words, sizeof(words), format, args);
    longjmp(dead, 1);
}

void die_of(int status, const char *word, const char *rule, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    die_with(status, format, args);
    __builtin_unreachable();
}

void die(int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    die_with(status, format, args);
    __builtin_unreachable();
}

void json_string(const char *text) { printf("%s", text); }

/* The line is there already, with the answers on it. */
void link_open(const struct options *o) { (void)o; }

static void begin(void)
{
    const uint8_t ready = BH_WIRE_READY;
    int pair[2], room = 4 << 20;

    if (fd >= 0) close(root);
    if (fd >= 0) link_close();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fd = pair[0];
    root = pair[1];
    (void)setsockopt(root, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    assert_int_equal(write(root, &ready, 1), 1);
    if (next_sequence == 0) next_sequence = (uint16_t)getpid();
    next_sequence++;
}

static void say(enum bh_wire_kind kind, uint32_t status, const void *payload, uint32_t bytes)
{
    static struct wire_frame f;
    uint32_t n;

    f.header = (struct bh_wire_header){.sequence = next_sequence, .status = status, .bytes = bytes};
    if (bytes) memcpy(wire_payload(&f), payload, bytes);
    n = wire_seal(&f, kind);
    assert_int_equal(write(root, f.bytes, n), n);
}

/* One part, and the end. @return exit status of the verb */
static int run(verb_run *verb, const void *part, uint32_t bytes)
{
    begin();
    for (uint32_t at = 0; at < bytes; at += BH_WIRE_PAYLOAD_BYTES)
        say(BH_WIRE_PART, 0, (const uint8_t *)part + at,
            bytes - at < BH_WIRE_PAYLOAD_BYTES ? bytes - at : BH_WIRE_PAYLOAD_BYTES);
    say(BH_WIRE_END, BH_WIRE_OK, NULL, 0);
    died = -1;
    if (setjmp(dead) == 0) verb(&options, 0, NULL);
    return died < 0 ? EXIT_DONE : died;
}

static void vms(void **state)
{
    struct bh_wire_vm vm = {.name = "work", .label = "Work", .state = BH_WIRE_VM_CRASHED};

    (void)state;
    strcpy(vm.reason, "vm work stopped by its monitor: \"~");
    assert_int_equal(run(verb_list, &vm, sizeof(vm)), EXIT_DONE);
    strcpy(vm.reason, ATTACK);
    assert_int_equal(run(verb_list, &vm, sizeof(vm)), EXIT_BAD_LINK);
    strcpy(vm.reason, "\xc2\x9b");
    assert_int_equal(run(verb_list, &vm, sizeof(vm)), EXIT_BAD_LINK);
    strcpy(vm.reason, "");
    strcpy(vm.label, ATTACK);
    assert_int_equal(run(verb_list, &vm, sizeof(vm)), EXIT_BAD_LINK);
    strcpy(vm.label, "");
    strcpy(vm.name, ATTACK);
    assert_int_equal(run(verb_list, &vm, sizeof(vm)), EXIT_BAD_LINK);
    memset(vm.name, 'a', sizeof(vm.name));
    assert_int_equal(run(verb_list, &vm, sizeof(vm)), EXIT_BAD_LINK);
}

static void wires(void **state)
{
    struct bh_wire_stats s = {.name = "work", .cpus = 1, .links = 1};

    (void)state;
    strcpy(s.link[0].name, "w");
    strcpy(s.link[0].peer, "?");
    assert_int_equal(run(verb_stats, &s, sizeof(s)), EXIT_DONE);
    strcpy(s.link[0].peer, ATTACK);
    assert_int_equal(run(verb_stats, &s, sizeof(s)), EXIT_BAD_LINK);
    strcpy(s.link[0].peer, "?");
    strcpy(s.link[0].name, ATTACK);
    assert_int_equal(run(verb_stats, &s, sizeof(s)), EXIT_BAD_LINK);
}

static void refusals(void **state)
{
    static const char payload[] = "ma\033y\0not " ATTACK;

    (void)state;
    begin();
    say(BH_WIRE_END, BH_WIRE_FORBIDDEN, payload, sizeof(payload));
    if (setjmp(dead) == 0) link_ask(BH_WIRE_KILL, "work", NULL, 0, NULL, NULL);
    assert_int_equal(died, EXIT_FORBIDDEN);
    assert_string_equal(words, "work: refused by the manifest's rule ma?y: not ?]52;c;ZXZpbA==?");
}

static uint8_t blob[1 << 20];

/* @return its size */
static uint32_t make_blob(const char *node, const char *property, unsigned depth)
{
    assert_int_equal(fdt_create(blob, sizeof(blob)), 0);
    assert_int_equal(fdt_finish_reservemap(blob), 0);
    assert_int_equal(fdt_begin_node(blob, ""), 0);
    for (unsigned i = 0; i < depth; i++) assert_int_equal(fdt_begin_node(blob, node), 0);
    assert_int_equal(fdt_property_string(blob, property, "x"), 0);
    for (unsigned i = 0; i < depth; i++) assert_int_equal(fdt_end_node(blob), 0);
    assert_int_equal(fdt_end_node(blob), 0);
    assert_int_equal(fdt_finish(blob), 0);
    return fdt_totalsize(blob);
}

static void manifests(void **state)
{
    (void)state;
    assert_int_equal(run(verb_manifest, blob, make_blob("vms", "label", 4)), EXIT_DONE);
    assert_int_equal(run(verb_manifest, blob, make_blob("v" ATTACK, "label", 4)), EXIT_BAD_LINK);
    assert_int_equal(run(verb_manifest, blob, make_blob("vms", ATTACK, 4)), EXIT_BAD_LINK);
    assert_int_equal(run(verb_manifest, blob, make_blob("v", "label", 9)), EXIT_BAD_LINK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(vms), cmocka_unit_test(wires),
                                       cmocka_unit_test(refusals), cmocka_unit_test(manifests)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
