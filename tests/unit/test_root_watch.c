// sources: vmm/root/rights.c vmm/rt/fmt.c policy/manifest/may_words.c
/* What a guest is told of VMs: of those that it may ask about, and of no others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "vmm/root/control_watch.c"

static struct manifest_vm configs[3] = {
    {.name = "browser", .label = "browser", .cpus = 1, .wire_count = 2},
    {.name = "policy", .label = "policy", .cpus = 1, .wire_count = 1},
    {.name = "secret", .label = "secret", .cpus = 1, .wire_count = 1},
};
static struct bh_monitor_report report;
static struct vm all[3];

const char *wires_name(const struct vm *vm, unsigned n) { return n ? "w1" : "w0"; }
const struct vm *wires_peer(const struct vm *vm, unsigned n)
{
    return vm->number == 0 ? &all[n + 1u] : &all[0];
}
bool life_stopping(const struct vm *vm, uint64_t *left_ms)
{
    *left_ms = 0;
    return false;
}
uint32_t life_restarts(const struct vm *vm) { return 0; }
struct bh_result bh_invoke(uint64_t cap, uint64_t method, uint64_t a0, uint64_t a1, uint64_t a2,
                           uint64_t a3)
{
    return (struct bh_result){BH_OK, 0};
}
uint64_t vm_cpu_ticks(const struct vm *vm) { return 0; }
uint64_t vm_pieces(const struct manifest_vm *config) { return 0; }
void vm_count_exits(const struct vm *vm, uint64_t exits[BH_MONITOR_EXITS]) {}
bool status_protection(unsigned n, bool *on, const char **words) { return false; }
uint64_t audit_count(void) { return 0; }
const char *audit_record(uint64_t number) { return NULL; }

static _Alignas(8) uint8_t parts[8][BH_WIRE_PAYLOAD_BYTES];

/* @return parts of the answer */
static unsigned ask_all(int (*verb)(struct control_call *), const struct subject *who)
{
    static const struct control_system system = {.vms = all, .vm_count = 3};
    struct control_call c = {.system = &system, .who = who};
    unsigned n = 0;

    for (c.out = parts[0]; verb(&c) == CONTROL_GO_ON; c.out = parts[++n]) assert_true(n < 7u);
    return n;
}

static void others_are_not_named(void **state)
{
    const struct manifest_vm guest = {
        .name = "policy", .may[0] = MANIFEST_MAY_LIST, .may[1] = MANIFEST_MAY_LIST};
    const struct subject g = rights_guest(&guest), h = rights_host(MANIFEST_MAY_ALL);
    const struct bh_wire_stats *w = (const struct bh_wire_stats *)(const void *)parts[0];

    (void)state;
    for (unsigned i = 0; i < 3u; i++)
        all[i] =
            (struct vm){.number = i, .state = VM_RUNNING, .config = &configs[i], .report = &report};
    assert_int_equal(ask_all(control_list, &g), 2);
    assert_int_equal(ask_all(control_stats, &g), 2);
    assert_string_equal(w->name, "browser");
    assert_string_equal(w->link[0].peer, "policy");
    assert_string_equal(w->link[1].peer, "?");
    assert_int_equal(ask_all(control_stats, &h), 3);
    assert_string_equal(w->link[1].peer, "secret");
}

/* Of a VM that one may only end one learns what becomes of it, and not the name of another that is
 * still there. */
static void no_more_than_what_becomes_of_it(void **state)
{
    const struct manifest_vm guest = {.name = "policy", .may[2] = MANIFEST_MAY_KILL};
    const struct subject g = rights_guest(&guest), h = rights_host(MANIFEST_MAY_ALL);
    const struct bh_wire_vm *w = (const struct bh_wire_vm *)(const void *)parts[0];
    struct control_call c = {.who = &g, .vm = &all[2], .out = parts[0]};

    (void)state;
    configs[2].memory_mib = 64;
    all[2] = (struct vm){.number = 2, .state = VM_CRASHED, .config = &configs[2], .status = 123};
    strcpy(all[2].reason, "vm secret stopped by its monitor: words");
    control_put_vm(&c, &all[2]);
    assert_int_equal(c.out_bytes, sizeof(*w));
    assert_string_equal(w->name, "secret");
    assert_int_equal(w->state, BH_WIRE_VM_CRASHED);
    assert_int_equal(w->memory_mib | w->status, 0);
    assert_string_equal(w->reason, "");
    assert_string_equal(w->label, "");
    control_put_vm(&c, &all[0]);
    assert_string_equal(w->name, "?");
    c.who = &h;
    control_put_vm(&c, &all[2]);
    assert_string_equal(w->reason, all[2].reason);
}

static int map_info(void **state)
{
    struct bh_info *i = mmap((void *)BH_ROOT_INFO, 4096, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    (void)state;
    if (i != (void *)BH_ROOT_INFO) return -1;
    i->tsc_khz = 1000000;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(others_are_not_named),
                                       cmocka_unit_test(no_more_than_what_becomes_of_it)};

    return cmocka_run_group_tests(tests, map_info, NULL);
}
