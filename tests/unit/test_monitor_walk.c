// sources: vmm/monitor/walk.c vmm/monitor/insn.c vmm/monitor/io.c vmm/monitor/dev/guest_mem.c
/*
 * The guest's page tables in all paging modes, skipping of instructions with and without prefixes
 * and across pages, and port string instructions, against a page of vCPU state made by hand.
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

#define RAM_BYTES 0x800000u

_Thread_local uint32_t vcpu_self;
struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];
struct guest_mem guest_mem;
static uint8_t ram[RAM_BYTES];
static int injected;
static uint64_t ports[16];
static unsigned nports;

struct bh_result bh_invoke(uint64_t cap, uint64_t method, uint64_t a0, uint64_t a1, uint64_t a2,
                           uint64_t a3)
{
    assert_int_equal(method, BH_M_vcpu_want);
    return (struct bh_result){0, 0};
}

void read_state(uint64_t groups) {}

void inject_exception(unsigned vector, int64_t code) { injected = (int)vector; }

void vm_stop(const char *text)
{
    mock_assert(0, text, __FILE__, __LINE__);
    __builtin_unreachable();
}

uint64_t pio_read(unsigned port, unsigned size_bytes) { return 0x11223344u + nports++; }

/* What each write to a port takes. */
static uint64_t port_tsc;

void pio_write(unsigned port, unsigned size_bytes, uint64_t value)
{
    for (uint64_t begun = rt_tsc(); rt_tsc() - begun < port_tsc;) continue;
    assert_true(nports < 16u);
    ports[nports++] = value;
}

void *memory_seen(uint64_t gpa, uint64_t bytes, bool write)
{
    return guest_mem_ptr(&guest_mem, gpa, bytes);
}

/* Operands that are not memory. */
static uint64_t device_at, device_value;

bool string_access(uint64_t linear, unsigned size, bool write, uint64_t *value)
{
    device_at = linear;
    if (write)
        device_value = *value;
    else
        *value = device_value;
    return true;
}

static void entry(uint64_t gpa, uint64_t value, unsigned size) { memcpy(ram + gpa, &value, size); }

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
    nports = 0;
    p->state.cr0 = CR0_PE | CR0_PG;
    p->state.cr4 = CR4_PAE;
    p->state.efer = EFER_LME | EFER_LMA;
    p->state.cr3 = 0x1000;
    p->state.seg[BH_CS].attr = CS_LONG;
    /* 4 levels: page 0x400000 -> 0x5000, next page -> 0x7000; 2 MiB page at 0x600000 -> 0x200000.
     */
    entry(0x1000, 0x2003, 8);
    entry(0x2000, 0x3003, 8);
    entry(0x3000 + 2 * 8, 0x4003, 8);
    entry(0x3000 + 3 * 8, 0x200083, 8);
    entry(0x4000, 0x5003, 8);
    entry(0x4008, 0x7003, 8);
    return 0;
}

static void levels(void **state)
{
    uint64_t gpa;

    assert_true(walk(0x400123, &gpa));
    assert_int_equal(gpa, 0x5123);
    assert_true(walk(0x7abcde, &gpa));
    assert_int_equal(gpa, 0x3abcde);
    assert_false(walk(0x402000, &gpa));
    assert_false(walk(0x8000000000, &gpa));
    /* A table beyond RAM is no table. */
    entry(0x2000, 0x40000003, 8);
    assert_false(walk(0x400123, &gpa));
    /* No bit outside the address field may take part. */
    entry(0x2000, 0x8000000000003fffull & ~0x80ull, 8);
    assert_true(walk(0x400123, &gpa));
    assert_int_equal(gpa, 0x5123);
    /* There is no large page of 512 GiB. */
    entry(0x1000, 0x2083, 8);
    assert_false(walk(0x400123, &gpa));
}

static void allowed(uint64_t linear, bool write, bool expected, unsigned error)
{
    uint64_t gpa;
    unsigned code;

    assert_int_equal(walk_allowed(linear, write, &gpa, &code), expected);
    if (!expected) assert_int_equal(code, error);
}

/* Intel SDM vol. 3A, 4.6.1. */
static void rights(void **state)
{
    struct bh_vcpu_page *p = page();

    allowed(0x400123, true, true, 0);
    allowed(0x402000, true, false, PF_WRITE);
    p->state.seg[BH_SS].attr = 0x60; /* CPL 3 */
    allowed(0x402000, false, false, PF_USER);
    allowed(0x400123, false, false, PF_USER | PF_PRESENT);
    entry(0x4000, 0x5007, 8); /* every level has to grant it */
    allowed(0x400123, false, false, PF_USER | PF_PRESENT);
    entry(0x1000, 0x2007, 8);
    entry(0x2000, 0x3007, 8);
    entry(0x3000 + 2 * 8, 0x4005, 8);
    allowed(0x400123, false, true, 0);
    allowed(0x400123, true, false, PF_USER | PF_WRITE | PF_PRESENT);
    p->state.seg[BH_SS].attr = 0;
    allowed(0x400123, true, true, 0);
    p->state.cr0 |= CR0_WP;
    allowed(0x400123, true, false, PF_WRITE | PF_PRESENT);
    p->state.cr4 |= CR4_SMAP;
    allowed(0x400123, false, false, PF_PRESENT);
    p->rflags = RFLAGS_AC;
    allowed(0x400123, false, true, 0);
    p->state.cr0 = CR0_PE; /* no paging, no rights */
    allowed(0x1234, true, true, 0);
}

static uint64_t entry_of(uint64_t gpa, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, ram + gpa, size);
    return value;
}

/* Intel SDM vol. 3A, 4.8: whoever evicts pages goes by these bits. */
static void accessed_and_dirty(void **state)
{
    struct bh_vcpu_page *p = page();
    uint64_t gpa;

    assert_true(walk(0x400000, &gpa)); /* to look is no access */
    assert_int_equal(entry_of(0x1000, 8), 0x2003);
    allowed(0x400000, false, true, 0);
    assert_int_equal(entry_of(0x1000, 8), 0x2023);
    assert_int_equal(entry_of(0x2000, 8), 0x3023);
    assert_int_equal(entry_of(0x3000 + 2 * 8, 8), 0x4023);
    assert_int_equal(entry_of(0x4000, 8), 0x5023);
    assert_int_equal(entry_of(0x4008, 8), 0x7003);
    allowed(0x401fff, true, true, 0);
    assert_int_equal(entry_of(0x4008, 8), 0x7063);
    assert_int_equal(entry_of(0x3000 + 2 * 8, 8), 0x4023); /* dirty is the page alone */
    allowed(0x612345, true, true, 0);
    assert_int_equal(entry_of(0x3000 + 3 * 8, 8), 0x2000e3);
    allowed(0x402000, true, false, PF_WRITE); /* not present: nothing is marked in it */
    assert_int_equal(entry_of(0x4010, 8), 0);
    p->state.cr0 |= CR0_WP;
    entry(0x4008, 0x7001, 8);
    allowed(0x401000, true, false, PF_PRESENT | PF_WRITE);
    assert_int_equal(entry_of(0x4008, 8), 0x7001);
    /* Two levels of 4 bytes. */
    p->state.cr4 = 0;
    p->state.efer = 0;
    p->state.cr3 = 0x8000;
    entry(0x8000 + 4, 0x9003, 4);
    entry(0x8008, 0xdeadbeee, 4);
    entry(0x9000, 0x5003, 4);
    allowed(0x400000, true, true, 0);
    assert_int_equal(entry_of(0x8004, 4), 0x9023);
    assert_int_equal(entry_of(0x9000, 4), 0x5063);
    assert_int_equal(entry_of(0x8008, 4), 0xdeadbeee);
    /* PAE without long mode: the four pointers have no such bit. */
    p->state.cr4 = CR4_PAE;
    p->state.cr3 = 0xa000;
    entry(0xa000, 0xb001, 8);
    entry(0xb000 + 2 * 8, 0xc003, 8);
    entry(0xc000, 0x5003, 8);
    allowed(0x400000, true, true, 0);
    assert_int_equal(entry_of(0xa000, 8), 0xb001);
    assert_int_equal(entry_of(0xb010, 8), 0xc023);
    assert_int_equal(entry_of(0xc000, 8), 0x5063);
}

static void legacy_modes(void **state)
{
    struct bh_vcpu_page *p = page();
    uint64_t gpa;

    p->state.efer = 0;
    p->state.cr3 = 0x6020; /* PAE: 32-byte aligned */
    entry(0x6020, 0x3001, 8);
    assert_true(walk(0x400123, &gpa));
    assert_int_equal(gpa, 0x5123);
    assert_false(walk(0x40400123, &gpa));
    p->state.cr4 = CR4_PSE;
    p->state.cr3 = 0x8000;
    entry(0x8000 + 4, 0x9001, 4);
    entry(0x9000 + 4, 0xa001, 4);
    entry(0x8000 + 8, 0x00400081, 4);
    assert_true(walk(0x401abc, &gpa));
    assert_int_equal(gpa, 0xaabc);
    assert_true(walk(0x8abcde, &gpa));
    assert_int_equal(gpa, 0x4abcde);
    p->state.cr0 = CR0_PE;
    assert_true(walk(0x1234, &gpa));
    assert_int_equal(gpa, 0x1234);
}

static void check_skip(uint64_t rip, const void *code, size_t n, uint64_t next)
{
    assert_int_equal(linear_write(rip, code, n), n);
    page()->rip = rip;
    vcpus[0].flags = 0;
    insn_skip(0xa20f, 2);
    assert_int_equal(page()->rip, next);
    assert_true(vcpus[0].flags & BH_RUN_RIP);
}

static void skipping(void **state)
{
    check_skip(0x400100, "\x0f\xa2", 2, 0x400102);
    assert_non_null(code_page_cached(0x400000));
    check_skip(0x400200, "\x0f\xa2", 2, 0x400202); /* the short way */
    check_skip(0x400300, "\x66\x48\x0f\xa2", 4, 0x400304);
    check_skip(0x400fff, "\x0f\xa2", 2, 0x401001); /* across pages that do not follow each other */
    /* Another page at the same address: the old one is not looked at. */
    check_skip(0x400400, "\x0f\xa2", 2, 0x400402);
    entry(0x4000, 0xb003, 8);
    check_skip(0x400400, "\xf2\x0f\xa2", 3, 0x400403);
    page()->next_rip = 0x1234;
    insn_skip(0xa20f, 2);
    assert_int_equal(page()->rip, 0x1234);
}

static void skipping_16_bit(void **state)
{
    struct bh_vcpu_page *p = page();

    p->state.cr0 = 0;
    p->state.efer = 0;
    p->state.seg[BH_CS] = (struct bh_segment){0x1000, 0x9b, 0xffff, 0x10000};
    ram[0x1fffe] = 0x0f;
    ram[0x1ffff] = 0xa2;
    p->rip = 0xfffe;
    insn_skip(0xa20f, 2);
    assert_int_equal(p->rip, 0); /* wraps at 64 KiB */
    assert_null(code_page_cached(0xfffe));
}

/* An exit whose instruction is no longer there, so many times; or is in between. */
static void retry(unsigned times, bool in_a_row)
{
    for (unsigned i = 0; i < times; i++) {
        vcpus[0].exits[BH_EXIT_MEMORY] += in_a_row ? 1u : 2u;
        insn_retry("not there");
    }
}

/* What another vCPU changes now and then does not add up. */
static void retries_in_a_row(void **state)
{
    vcpus[0].exit_reason = BH_EXIT_MEMORY;
    page()->rip = 0x1234;
    retry(1000, true);
    vcpus[0].exits[BH_EXIT_TIMEOUT]++; /* is no progress */
    expect_assert_failure(retry(1, true));
    vcpus[0].retries = 0;
    retry(999, true);
    page()->rip = 0x4321;
    retry(1000, true);
    vcpus[0].exits[BH_EXIT_MEMORY]++; /* the same instruction, carried out */
    retry(1000, true);
    retry(5000, false);
}

static uint64_t io(unsigned flags, unsigned size)
{
    return flags | size << 4 | 3u << 10 | 0x80u << 16;
}

static void port_registers(void **state)
{
    struct bh_vcpu_page *p = page();

    p->next_rip = 0x77;
    p->gpr[RAX] = 0xaaaaaaaabbbbbbbbull;
    p->qual = io(BH_IO_IN, 1);
    exit_io();
    assert_int_equal(p->gpr[RAX], 0xaaaaaaaabbbbbb44ull);
    p->qual = io(BH_IO_IN, 2);
    exit_io();
    assert_int_equal(p->gpr[RAX], 0xaaaaaaaabbbb3345ull);
    p->qual = io(BH_IO_IN, 4);
    exit_io();
    assert_int_equal(p->gpr[RAX], 0x11223346);
    assert_int_equal(p->rip, 0x77);
}

static void port_strings(void **state)
{
    struct bh_vcpu_page *p = page();

    p->rip = 0x50;
    p->next_rip = 0x77;
    p->gpr[RSI] = 0x400ffe;
    p->gpr[RCX] = 3;
    linear_write(0x400ffe, "\1\2\3\4\5\6", 6);
    p->qual = io(BH_IO_STRING | BH_IO_REP | BH_IO_A64, 2);
    exit_io();
    assert_int_equal(nports, 3);
    assert_int_equal(ports[0], 0x201);
    assert_int_equal(ports[2], 0x605);
    assert_int_equal(p->gpr[RSI], 0x401004);
    assert_int_equal(p->gpr[RCX], 0);
    assert_int_equal(p->rip, 0x77);
    /* Backwards into a page that is not there: two elements, then #PF with RIP unmoved. */
    p->rip = 0x50;
    nports = 0;
    p->rflags = RFLAGS_DF;
    p->gpr[RDI] = 0x400004;
    p->gpr[RCX] = 5;
    p->qual = io(BH_IO_STRING | BH_IO_REP | BH_IO_A64 | BH_IO_IN, 4);
    exit_io();
    assert_int_equal(nports, 2);
    assert_int_equal(p->gpr[RCX], 3);
    assert_int_equal(injected, VEC_PF);
    assert_int_equal(p->state.cr2, 0x3ffffc);
    assert_int_equal(p->rip, 0x50);
    /* REP with nothing to do. */
    p->gpr[RCX] = 0;
    exit_io();
    assert_int_equal(p->rip, 0x77);
    /* An operand that is a device's. */
    entry(0x4010, 0xfeb00003, 8);
    p->rflags = 0;
    p->gpr[RDI] = 0x402010;
    p->gpr[RCX] = 1;
    nports = 0;
    exit_io();
    assert_int_equal(device_at, 0x402010);
    assert_int_equal(device_value, 0x11223344);
    p->gpr[RSI] = 0x402020;
    p->qual = io(BH_IO_STRING | BH_IO_A64, 4);
    exit_io();
    assert_int_equal(device_at, 0x402020);
    assert_int_equal(ports[1], 0x11223344);
}

/* A port that takes its time: the vCPU is back before all elements are done, and goes on. */
static void port_strings_are_interrupted(void **state)
{
    struct bh_vcpu_page *p = page();

    p->rip = 0x50;
    p->next_rip = 0x77;
    p->gpr[RSI] = 0x400000;
    p->gpr[RCX] = 12;
    p->qual = io(BH_IO_STRING | BH_IO_REP | BH_IO_A64, 1);
    port_tsc = STRING_TSC / 4u;
    exit_io();
    assert_in_range(nports, 1, 8);
    assert_int_equal(p->gpr[RCX] + nports, 12);
    assert_int_equal(p->gpr[RSI], 0x400000 + nports);
    assert_int_equal(p->rip, 0x50);
    for (unsigned i = 0; i < 12u && p->rip == 0x50; i++) exit_io();
    port_tsc = 0;
    assert_int_equal(nports, 12);
    assert_int_equal(p->gpr[RCX], 0);
    assert_int_equal(p->rip, 0x77);
    /* The last element is the last: RIP moves. */
    p->rip = 0x50;
    p->gpr[RCX] = 1;
    port_tsc = STRING_TSC * 2u;
    exit_io();
    port_tsc = 0;
    assert_int_equal(p->rip, 0x77);
}

/* A CPU that tells neither address size nor segment: they are those of the instruction. */
static void port_strings_by_their_prefixes(void **state)
{
    struct bh_vcpu_page *p = page();
    const uint64_t bare = BH_IO_STRING | BH_IO_REP | 1u << 4 | 0x80u << 16;

    p->state.cr0 = CR0_PE;
    p->state.efer = 0;
    p->state.seg[BH_CS] = (struct bh_segment){0x1000, 0x9b, 0xffff, 0x10000};
    p->state.seg[BH_DS].base = 0x20000;
    p->state.seg[BH_ES].base = 0x30000;
    p->state.seg[BH_SS].base = 0x40000;
    memcpy(ram + 0x10050, "\xf3\x6e", 2); /* rep outsb */
    memcpy(ram + 0x20000, "d", 1);
    memcpy(ram + 0x2ffff, "D", 1);
    memcpy(ram + 0x30000, "e", 1);
    memcpy(ram + 0x40000, "s", 1);
    p->rip = 0x50;
    p->next_rip = 0x77;
    p->gpr[RSI] = 0xabcd0000ffffull;
    p->gpr[RCX] = 0x770002;
    p->qual = bare;
    exit_io();
    assert_int_equal(nports, 2);
    assert_int_equal(ports[0], 'D');
    assert_int_equal(ports[1], 'd'); /* offsets go round at 64 KiB */
    assert_int_equal(p->gpr[RSI], 0xabcd00000001ull);
    assert_int_equal(p->gpr[RCX], 0x770000);
    assert_int_equal(p->rip, 0x77);
    /* ss: a32 rep outsb, of a CPU that tells the size but not the segment */
    memcpy(ram + 0x10060, "\xf3\x36\x67\x6e", 4);
    p->rip = 0x60;
    p->gpr[RSI] = 0xff00000000ull;
    p->gpr[RCX] = 1;
    p->qual = bare | BH_IO_A32;
    exit_io();
    assert_int_equal(ports[2], 's');
    assert_int_equal(p->gpr[RSI], 1);
    /* 64-bit mode: only FS and GS count, addresses are of 64 bits. */
    setup(NULL);
    p->state.seg[BH_ES].base = p->state.seg[BH_DS].base = 0x1000;
    linear_write(0x400100, "\x26\xf3\x6e", 3);
    linear_write(0x401000, "6", 1);
    p->rip = 0x400100;
    p->gpr[RSI] = 0x401000;
    p->gpr[RCX] = 1;
    p->qual = bare;
    exit_io();
    assert_int_equal(ports[0], '6');
    assert_int_equal(p->gpr[RSI], 0x401001);
    /* Another vCPU has changed the code: nothing is done, it is looked at anew. */
    linear_write(0x400100, "\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90", 15);
    p->rip = 0x400100;
    p->gpr[RCX] = 1;
    exit_io();
    assert_int_equal(nports, 1);
    assert_int_equal(p->rip, 0x400100);
    assert_int_equal(vcpus[0].retries, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(rights, setup),
        cmocka_unit_test_setup(accessed_and_dirty, setup),
        cmocka_unit_test_setup(levels, setup),
        cmocka_unit_test_setup(legacy_modes, setup),
        cmocka_unit_test_setup(skipping, setup),
        cmocka_unit_test_setup(skipping_16_bit, setup),
        cmocka_unit_test_setup(retries_in_a_row, setup),
        cmocka_unit_test_setup(port_registers, setup),
        cmocka_unit_test_setup(port_strings, setup),
        cmocka_unit_test_setup(port_strings_are_interrupted, setup),
        cmocka_unit_test_setup(port_strings_by_their_prefixes, setup),
    };
    void *at = mmap((void *)BH_MONITOR_VCPU, 4096, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (at != (void *)BH_MONITOR_VCPU) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
