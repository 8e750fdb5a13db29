// sources: vmm/rt/fmt.c
/* How a VM has ended, by the word of a monitor that says what it likes: its words go to terminals,
 * lists and logs, and are told from root's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/root/vm_end.c"

#include "root_fixture.h"

static struct bh_monitor_report report;
static struct manifest_vm config = {.name = "a123456789b123456789c123456789d", .cpus = 1};
static struct vm vm = {.config = &config, .report = &report};

void audit_begin(const char *event) {}
void audit_text(const char *key, const char *value) {}
void audit_number(const char *key, uint64_t value) {}
void audit_numbers(const char *key, const uint64_t *values, size_t n) {}
void audit_hex(const char *key, uint64_t value) {}
void audit_end(void) {}
uint64_t vm_cpu_ticks(const struct vm *v) { return 0; }
uint64_t vcpu_slot(const struct vm *v, unsigned n, enum vcpu_slot what) { return 0; }
unsigned vcpu_cpu(const struct vm *v, unsigned n) { return 0; }
uint64_t on_cpu(unsigned cpu, cpu_work *work, void *arg) { return BH_ERR_CPU; }
struct bh_result bh_invoke(uint64_t cap, uint64_t method, uint64_t a0, uint64_t a1, uint64_t a2,
                           uint64_t a3)
{
    return (struct bh_result){BH_ERR_CAP, 0};
}

static const char *ended(uint32_t kind, const char *text)
{
    memset(&report, 0x9b, sizeof(report));
    report.kind = kind;
    report.insn_len = UINT32_MAX;
    if (text) strcpy(report.text, text);
    memset(vm.reason, 'x', sizeof(vm.reason));
    assert_true(vm_has_ended(&vm, false));
    assert_in_range(vm.status, 0, 255);
    for (unsigned i = 0; i < strnlen(vm.reason, sizeof(vm.reason)); i++)
        assert_in_range((uint8_t)vm.reason[i], ' ', '~');
    assert_non_null(memchr(vm.reason, '\0', sizeof(vm.reason)));
    assert_memory_equal(vm.reason, "vm ", 3);
    return vm.reason + 3 + strlen(config.name);
}

static void words(void **state)
{
    (void)state;
    assert_string_equal(ended(BH_END_STOPPED, "a\033[6n\r\n--- [x] \xc2\x9b\""),
                        " stopped by its monitor: a?[6n?"
                        "?--- [x] ?"
                        "?\"");
    assert_string_equal(ended(BH_END_IMAGE, "no kernel"),
                        " stopped by its monitor: bad image: no kernel");
    assert_true(vm.crashed);
    assert_string_equal(ended(BH_END_TRIPLE_FAULT, ""), " stopped by its monitor: triple-fault");
    assert_string_equal(ended(BH_END_POWEROFF, ""), ": power-off");
    assert_false(vm.crashed);
    /* Root's words for what it has done itself. */
    assert_string_equal(ended(BH_END_POWEROFF, "killed"), ": power-off");
    assert_string_equal(ended(BH_END_RESET, "killed: it has not stopped in time"), ": reset");
    for (uint32_t kind = 1; kind < BH_END_COUNT; kind++) (void)ended(kind, NULL);
    report.kind = BH_END_COUNT;
    assert_false(vm_has_ended(&vm, false));
    report.kind = UINT32_MAX;
    assert_false(vm_has_ended(&vm, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words)};

    return cmocka_run_group_tests(tests, map_info, NULL);
}
