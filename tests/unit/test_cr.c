// sources: vmm/monitor/dev/lapic.c vmm/monitor/dev/bus.c
/*
 * MOV to and from the control registers that the monitor sees to, with any register for the other
 * operand: rSP is in the page only when it has been asked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/monitor/cr.c"

_Thread_local uint32_t vcpu_self;
struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];

static struct bh_vcpu_page registers;
static struct bh_vcpu_state real; /* what the vCPU has */
static uint64_t real_rsp;
static unsigned faults;

void read_state(uint64_t groups)
{
    groups &= ~vcpus[0].flags;
    if (groups & BH_STATE_CR) {
        registers.state.cr0 = real.cr0;
        registers.state.cr4 = real.cr4;
        registers.state.efer = real.efer;
    }
    if (groups & BH_STATE_RSP) registers.gpr[RSP] = real_rsp;
}

void inject_exception(unsigned vector, int64_t code) { faults++; }
void insn_stepped(void) {}
void insn_skip_slow(uint32_t opcode, unsigned length) {}
size_t insn_fetch(uint8_t bytes[16]) { return 0; }
uint64_t cpuid_xcr0_mask(void) { return 7; }

void vm_stop(const char *text)
{
    mock_assert(0, text, __FILE__, __LINE__);
    __builtin_unreachable();
}

static int setup(void **state)
{
    memset(&registers, 0xcc, sizeof(registers)); /* of some earlier exit */
    memset(vcpus, 0, sizeof(vcpus));
    vcpus[0].page = &registers;
    registers.rflags = 2;
    registers.next_rip = 0x1003;
    real = (struct bh_vcpu_state){.cr0 = 0x11, .cr4 = 0x20};
    faults = 0;
    return 0;
}

static void access(unsigned cr, unsigned gpr, bool read)
{
    registers.qual = cr | gpr << 8 | BH_CR_DECODED | (read ? BH_CR_READ : 0);
    exit_cr();
}

static void from_any_register(void **state)
{
    for (unsigned gpr = 0; gpr < 16u; gpr++) {
        (void)setup(NULL);
        registers.gpr[gpr] = gpr == RSP ? 0xcccc : 9;
        real_rsp = 9;
        access(8, gpr, false);
        assert_int_equal(lapic_cr8_read(&vcpus[0].lapic), 9);
        vcpus[0].flags = 0;
        registers.gpr[gpr] = gpr == RSP ? 0xcccc : 0x630;
        real_rsp = 0x630;
        access(4, gpr, false);
        assert_int_equal(registers.state.cr4, 0x630);
        assert_true(vcpus[0].flags & BH_STATE_CR);
        assert_false(vcpus[0].flags & BH_STATE_RSP);
        assert_int_equal(faults, 0);
    }
}

static void to_any_register(void **state)
{
    for (unsigned gpr = 0; gpr < 16u; gpr++) {
        (void)setup(NULL);
        lapic_cr8_write(&vcpus[0].lapic, 7);
        access(8, gpr, true);
        assert_int_equal(registers.gpr[gpr], 7);
        assert_int_equal(!!(vcpus[0].flags & BH_STATE_RSP), gpr == RSP);
        vcpus[0].flags = 0;
        access(4, gpr, true);
        assert_int_equal(registers.gpr[gpr], 0x20);
        assert_int_equal(!!(vcpus[0].flags & BH_STATE_RSP), gpr == RSP);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(from_any_register, setup),
        cmocka_unit_test_setup(to_any_register, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
