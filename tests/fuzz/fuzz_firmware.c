// sources: vmm/monitor/dev/*.c vmm/rt/wire_ring.c
// flags: -I. -Ivmm/monitor/dev -iquote vmm/rt
/*
 * Firmware's devices under a guest that means harm: fw_cfg with requests anywhere in and beyond
 * memory, flash in every state, saved states that somebody has changed. What must hold: guest
 * memory changes only where a request says, the flash's neighbours and the ROM never change,
 * nothing is mapped over anything else, and what is mapped is what a read gives.
 */
#include "input.h"
#include "vmm/monitor/dev/bios_rom.h"
#include "vmm/monitor/dev/debug_con.h"
#include "vmm/monitor/dev/dev_util.h"
#include "vmm/monitor/dev/fw_cfg.h"
#include "vmm/monitor/dev/pflash.h"

#define RAM      0x21000u
#define FLASH    0x4000u
#define ROM      0x10000u
#define GUARD    0x1000u
#define FOUR_GIB 0x100000000ull
#define PAGES    ((FLASH + ROM) / 4096u)

static uint8_t *ram, memory_bytes[FLASH + ROM + GUARD];
static struct dev_ram memory = {memory_bytes, sizeof(memory_bytes)};
static struct guest_mem mem;
static struct bus bus;
static struct fw_cfg config;
static struct dev_ram rom;
static struct pflash flash;
static struct debug_con log_port;
static const uint8_t *high[PAGES];
static uint8_t file[3000];
static bool refuse;

static void wire_irq(void *ctx, unsigned n, bool level) { CHECK(false); }

static uint64_t wire_now(void *ctx) { return 0; }

static const uint8_t **place(uint64_t gpa)
{
    CHECK(gpa >= FOUR_GIB - FLASH - ROM && gpa < FOUR_GIB);
    return &high[(gpa - (FOUR_GIB - FLASH - ROM)) / 4096u];
}

static bool wire_map(void *ctx, const struct dev_ram *r, uint64_t offset, uint64_t bytes,
                     uint64_t gpa, unsigned access)
{
    CHECK((offset | bytes | gpa) % 4096u == 0 && bytes && offset + bytes <= r->size_bytes);
    if (refuse && access) return false; /* taking away never fails */
    for (uint64_t at = 0; at < bytes; at += 4096u) {
        CHECK(!access || !*place(gpa + at));
        *place(gpa + at) = access ? r->bytes + offset + at : NULL;
    }
    return true;
}

static bool wire_out(void *ctx, uint8_t byte) { return true; }

static const struct dev_host host = {
    .irq = wire_irq, .now_ns = wire_now, .mem = &mem, .map = wire_map};

static void reset(void)
{
    if (ram == NULL) ram = malloc(RAM);
    mem = (struct guest_mem){ram, RAM, NULL};
    memset(&bus, 0, sizeof(bus));
    memset(high, 0, sizeof(high));
    memset(ram, 0x11, RAM);
    memset(memory_bytes, 0x77, sizeof(memory_bytes));
    memset(file, 0x55, sizeof(file));
    refuse = false;
    rom = (struct dev_ram){memory_bytes + FLASH, ROM};
    CHECK(bios_rom_init(&bus, &host, &rom));
    CHECK(pflash_init(&flash, &bus, &host, &memory, 0, FOUR_GIB - ROM - FLASH, FLASH));
    CHECK(fw_cfg_init(&config, &bus, &host));
    CHECK(fw_cfg_add_file(&config, "file", file, sizeof(file)));
    CHECK(fw_cfg_add_value(&config, FW_CFG_CPUS, file, 2));
    CHECK(debug_con_init(&log_port, &bus, wire_out, NULL));
}

static uint64_t address(struct input *in)
{
    uint8_t how = (uint8_t)take(in, 1);

    if (how & 3u) return FOUR_GIB - ROM - FLASH + take(in, 2) % FLASH;
    return FOUR_GIB - take(in, 2) % (ROM + FLASH) - 1u;
}

static void access(struct input *in, bool write)
{
    uint64_t gpa = address(in);
    unsigned size = 1u << (take(in, 1) & 3u);
    uint64_t value;

    if (write) {
        bus_write(&bus, BUS_MMIO, gpa, size, take_value(in));
        return;
    }
    value = bus_read(&bus, BUS_MMIO, gpa, size);
    CHECK((value & ~dev_ones(size)) == 0);
    if (gpa + size <= FOUR_GIB && *place(gpa) && gpa % 4096u + size <= 4096u)
        CHECK(memcmp(&value, *place(gpa) + gpa % 4096u, size) == 0);
}

static void port(struct input *in, bool write)
{
    static const uint16_t ports[] = {0x510, 0x511, 0x514, 0x518, 0x512, 0x51b, 0x402, 0x516};
    uint8_t how = (uint8_t)take(in, 1);
    unsigned size = 1u << (how >> 3 & 3u);

    if (write)
        bus_write(&bus, BUS_PIO, ports[how & 7u], size, take_value(in));
    else
        CHECK((bus_read(&bus, BUS_PIO, ports[how & 7u], size) & ~dev_ones(size)) == 0);
}

static void be_put(uint8_t *p, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) p[i] = (uint8_t)(value >> (bytes - 1u - i) * 8u);
}

/* A request whose form is right: memory changes where it says, and in its first word. */
static void request(struct input *in)
{
    static uint8_t before[RAM];
    uint64_t to = take_value(in), at = 0x1000u + take(in, 2);
    uint32_t control = (uint32_t)take(in, 1) | (uint32_t)take(in, 1) << 16;
    uint64_t length = take(in, 1) & 1u ? take_value(in) & UINT32_MAX : take(in, 2);

    if (at > RAM - 16u) return;
    be_put(ram + at, control, 4);
    be_put(ram + at + 4u, length, 4);
    be_put(ram + at + 8u, to, 8);
    memcpy(before, ram, RAM);
    bus_write(&bus, BUS_PIO, 0x514, 4, 0);
    bus_write(&bus, BUS_PIO, 0x518, 4, __builtin_bswap32((uint32_t)at));
    memcpy(before + at, ram + at, 4);
    if (to < RAM) memcpy(before + to, ram + to, length < RAM - to ? length : RAM - to);
    CHECK(memcmp(before, ram, RAM) == 0);
}

static void restore(struct input *in)
{
    const struct dev_state *states[] = {&fw_cfg_state, &pflash_state};
    void *const devices[] = {&config, &flash};
    unsigned n = (unsigned)take(in, 1) & 1u;

    if (refuse) return;
    for (unsigned i = 0; i < states[n]->count; i++) {
        const struct state_member *m = &states[n]->members[i];

        for (unsigned k = 0; k < m->bytes; k++)
            ((uint8_t *)devices[n] + m->offset)[k] = (uint8_t)take(in, 1);
    }
    /* A VM whose state is refused does not run. */
    if (!states[n]->loaded(devices[n])) reset();
}

static void check(void)
{
    static uint8_t rom_bytes[ROM + GUARD], file_bytes[sizeof(file)];

    memset(rom_bytes, 0x77, sizeof(rom_bytes));
    memset(file_bytes, 0x55, sizeof(file_bytes));
    CHECK(memcmp(memory_bytes + FLASH, rom_bytes, sizeof(rom_bytes)) == 0);
    CHECK(memcmp(file, file_bytes, sizeof(file)) == 0);
    CHECK(flash.buffer_done <= flash.buffer_count && flash.buffer_count <= PFLASH_BUFFER_BYTES);
    CHECK(flash.mapped == (high[0] != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    reset();
    for (unsigned steps = 0; more(&in) && steps < 500u; steps++) {
        switch (take(&in, 1) & 15u) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4: access(&in, true); break;
        case 5:
        case 6: access(&in, false); break;
        case 7:
        case 8: port(&in, true); break;
        case 9: port(&in, false); break;
        case 10:
        case 11:
        case 12:
        case 13: request(&in); break;
        case 14: refuse = !refuse; break;
        default: restore(&in); break;
        }
    }
    check();
    return 0;
}
