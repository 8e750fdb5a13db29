// sources: vmm/monitor/mmio.c vmm/monitor/mmio_rare.c vmm/monitor/walk.c vmm/monitor/insn.c
// sources: vmm/monitor/io.c vmm/monitor/dev/guest_mem.c vmm/monitor/decode.c
// sources: vmm/monitor/decode_apply.c build/vmm/libzydis.a
// flags: -D_GNU_SOURCE -iquote vmm/rt -iquote vmm/monitor -iquote vmm/monitor/dev
// flags: -isystem build/third-party/zydis/include -no-pie -Lbuild/vmm -l:libzydis.a
/*
 * Accesses to memory that is not RAM, from the exit to what is read, written and left in the
 * registers, on a vCPU whose state is made by hand: 32-bit code without paging.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "mmio.h"
#include "monitor.h"

#define RAM_BYTES 0x100000u
#define DEVICE    0xfeb00000u
#define CODE      0x1000u
#define BYTES     64u

_Thread_local uint32_t vcpu_self;
struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];
struct guest_mem guest_mem;
static uint8_t ram[RAM_BYTES];
static uint8_t device[BYTES];
static unsigned reads, writes;
static int injected;

struct bh_result bh_invoke(uint64_t cap, uint64_t method, uint64_t a0, uint64_t a1, uint64_t a2,
                           uint64_t a3)
{
    return (struct bh_result){0, 0};
}

void read_state(uint64_t groups) {}

void inject_exception(unsigned vector, int64_t code) { injected = (int)vector; }

void vm_stop(const char *text)
{
    mock_assert(0, text, __FILE__, __LINE__);
    __builtin_unreachable();
}

uint64_t pio_read(unsigned port, unsigned size_bytes) { return 0; }

void pio_write(unsigned port, unsigned size_bytes, uint64_t value) {}

void *memory_seen(uint64_t gpa, uint64_t bytes, bool write)
{
    return guest_mem_ptr(&guest_mem, gpa, bytes);
}

static unsigned lent;

bool memory_lend(uint64_t gpa)
{
    lent++;
    return gpa == DEVICE + BYTES - 1u; /* a ROM's last byte */
}

uint64_t mmio_read(uint64_t gpa, unsigned size_bytes)
{
    uint64_t value = 0;

    assert_in_range(gpa, DEVICE, DEVICE + BYTES - size_bytes);
    reads++;
    memcpy(&value, device + (gpa - DEVICE), size_bytes);
    return value;
}

void mmio_write(uint64_t gpa, unsigned size_bytes, uint64_t value)
{
    assert_in_range(gpa, DEVICE, DEVICE + BYTES - size_bytes);
    writes++;
    memcpy(device + (gpa - DEVICE), &value, size_bytes);
}

static int setup(void **state)
{
    struct bh_vcpu_page *p;

    memset(vcpus, 0, sizeof(vcpus));
    vcpus[0].page = (struct bh_vcpu_page *)BH_MONITOR_VCPU;
    p = page();
    memset(ram, 0, sizeof(ram));
    memset(p, 0, sizeof(*p));
    guest_mem = (struct guest_mem){ram, RAM_BYTES, NULL};
    injected = -1;
    reads = writes = lent = 0;
    for (unsigned i = 0; i < BYTES; i++) device[i] = (uint8_t)(0x80u + i);
    p->state.cr0 = CR0_PE;
    p->state.seg[BH_CS].attr = CS_32;
    p->rflags = 2;
    return 0;
}

/* An exit of the instruction of @n bytes, which accesses the device at @at. */
static void access_by(const char *code, unsigned n, unsigned at)
{
    struct bh_vcpu_page *p = page();

    memcpy(ram + CODE, code, n);
    p->rip = CODE;
    p->qual = DEVICE + at;
    vcpus[0].exits[BH_EXIT_MEMORY]++;
    exit_memory();
}

static void loads_and_stores(void **state)
{
    struct bh_vcpu_page *p = page();

    access_by("\x8b\x03", 2, 4); /* mov eax, [ebx] */
    assert_int_equal(p->gpr[RAX], 0x87868584);
    assert_int_equal(p->rip, CODE + 2);
    p->info = BH_MEM_WRITE;
    access_by("\x66\x89\x03", 3, 8); /* mov [ebx], ax */
    assert_int_equal(device[8] | device[9] << 8 | device[10] << 16, 0x8a8584);
    assert_int_equal(reads, 1);
    assert_int_equal(writes, 1);
}

/* What the processor has let through was a load. */
static void a_store_in_the_place_of_a_load(void **state)
{
    struct bh_monitor_start *start = (struct bh_monitor_start *)BH_MONITOR_START;
    struct bh_vcpu_page *p = page();

    p->info = BH_MEM_READ;
    access_by("\x66\x89\x03", 3, 8); /* mov [ebx], ax */
    assert_int_equal(writes, 0);
    assert_int_equal(p->rip, CODE); /* executed again */
    start->backend = BH_BACKEND_VMX;
    access_by("\x09\x03", 2, 8); /* or [ebx], eax */
    assert_int_equal(reads + writes, 0);
    p->info = BH_MEM_READ | BH_MEM_WRITE;
    access_by("\x09\x03", 2, 8);
    assert_int_equal(writes, 1);
    start->backend = BH_BACKEND_SVM; /* may find the load at fault first */
    p->info = BH_MEM_READ;
    access_by("\x09\x03", 2, 8);
    assert_int_equal(writes, 2);
    assert_int_equal(p->rip, CODE + 2);
}

/* What the processor has fetched ends with the page; the instruction does not. */
static void fetched_bytes_end_early(void **state)
{
    struct bh_vcpu_page *p = page();

    p->insn_bytes_len = 1;
    p->insn_bytes[0] = 0x8b;
    access_by("\x8b\x03", 2, 4);
    assert_int_equal(p->gpr[RAX], 0x87868584);
    assert_int_equal(p->rip, CODE + 2);
    assert_int_equal(vcpus[0].retries, 0);
    /* All of them: memory is not looked at. */
    p->insn_bytes_len = 15;
    memcpy(p->insn_bytes, "\x8a\x03", 2);
    access_by("\x8b\x03", 2, 7);
    assert_int_equal(p->gpr[RAX], 0x87868587);
}

#define ZF 0x40u
#define CF 0x01u

/* Looking for something in what is no memory: where a ROM might be, in a VGA's planes. */
static void strings_compared(void **state)
{
    struct bh_vcpu_page *p = page();

    memcpy(ram + 0x2000, device, 8);
    ram[0x2005] = 0xff;
    p->gpr[RSI] = 0x2000;
    p->gpr[RDI] = DEVICE;
    p->gpr[RCX] = 8;
    access_by("\xf3\xa6", 2, 0); /* repe cmpsb */
    assert_int_equal(p->rip, CODE + 2);
    assert_int_equal(p->gpr[RCX], 2);
    assert_int_equal(p->gpr[RSI], 0x2006);
    assert_int_equal(p->gpr[RDI], DEVICE + 6);
    assert_int_equal(p->rflags & (ZF | CF), 0); /* above */
    assert_true(vcpus[0].flags & BH_STATE_FLAGS);
    assert_int_equal(reads, 6);
    /* The other way round: the source is the device, and the first operand. */
    p->gpr[RSI] = DEVICE + 5;
    p->gpr[RDI] = 0x2005;
    access_by("\xa6", 1, 5);
    assert_int_equal(p->rflags & (ZF | CF), CF);
    assert_int_equal(p->rip, CODE + 1);
    /* repne scasd */
    p->gpr[RAX] = 0x8f8e8d8c;
    p->gpr[RDI] = DEVICE;
    p->gpr[RCX] = 16;
    access_by("\xf2\xaf", 2, 0);
    assert_int_equal(p->gpr[RCX], 12);
    assert_int_equal(p->gpr[RDI], DEVICE + 16);
    assert_int_equal(p->rflags & (ZF | CF), ZF);
    assert_int_equal(vcpus[0].retries, 0);
}

/* The processor takes them for loads (Intel SDM vol. 2A, CLFLUSH): there is nothing to do. */
static void cache_lines_flushed(void **state)
{
    struct bh_vcpu_page *p = page();

    access_by("\x0f\xae\x3b", 3, 0); /* clflush [ebx] */
    assert_int_equal(p->rip, CODE + 3);
    access_by("\x66\x0f\xae\x3b", 4, 0); /* clflushopt [ebx] */
    assert_int_equal(p->rip, CODE + 4);
    access_by("\x66\x0f\xae\x33", 4, 0); /* clwb [ebx] */
    assert_int_equal(p->rip, CODE + 4);
    assert_int_equal(reads + writes, 0);
    assert_int_equal(vcpus[0].retries, 0);
    access_by("\x0f\xae\x03", 3, 0); /* fxsave [ebx] is none */
    assert_int_equal(p->rip, CODE);
    assert_int_equal(vcpus[0].retries, 1);
}

/* Writes to ROM by what is not carried out, the processor's own among them: LTR sets a bit. */
static void read_only_memory_is_lent(void **state)
{
    struct bh_vcpu_page *p = page();

    p->info = BH_MEM_WRITE | BH_MEM_PRESENT;
    access_by("\x0f\x00\xd8", 3, BYTES - 1u); /* ltr ax */
    assert_int_equal(lent, 1);
    assert_int_equal(p->rip, CODE); /* executed again */
    assert_int_equal(vcpus[0].retries, 0);
    access_by("\x0f\x00\xd8", 3, 0); /* a table in a device's registers */
    assert_int_equal(lent, 2);
    assert_int_equal(vcpus[0].retries, 1);
    p->info = BH_MEM_READ;
    access_by("\x0f\x00\xd8", 3, BYTES - 1u);
    assert_int_equal(lent, 2);
    p->info = BH_MEM_WRITE | BH_MEM_WALK; /* an accessed bit of page tables in ROM */
    access_by("\x8b\x03", 2, BYTES - 1u);
    assert_int_equal(lent, 3);
    assert_int_equal(p->rip, CODE);
    expect_assert_failure(access_by("\x8b\x03", 2, 0));
    /* Code that was not there for a moment, and code that is not there. */
    p->info = BH_MEM_FETCH;
    access_by("\x8b\x03", 2, 0);
    assert_int_equal(injected, VEC_UD);
    injected = -1;
    p->qual = 0x2000;
    exit_memory();
    assert_int_equal(injected, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(loads_and_stores, setup),
        cmocka_unit_test_setup(a_store_in_the_place_of_a_load, setup),
        cmocka_unit_test_setup(fetched_bytes_end_early, setup),
        cmocka_unit_test_setup(strings_compared, setup),
        cmocka_unit_test_setup(cache_lines_flushed, setup),
        cmocka_unit_test_setup(read_only_memory_is_lent, setup),
    };
    void *at = mmap((void *)BH_MONITOR_VCPU, 4096, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (at != (void *)BH_MONITOR_VCPU) return 77;
    at = mmap((void *)BH_MONITOR_START, sizeof(struct bh_monitor_start), PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (at != (void *)BH_MONITOR_START) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
