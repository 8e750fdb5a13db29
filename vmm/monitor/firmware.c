/*
 * A VM that starts from firmware: where the firmware lies, the flash with its variables, and what
 * it is told of the machine through fw_cfg. Set up once; the devices then live by themselves. May
 * call: device models, memory.c, the firmware loader.
 */
#include "acpi_loader.h"
#include "acpi_tables.h"
#include "bios_rom.h"
#include "debug_con.h"
#include "fmt.h"
#include "fw_cfg.h"
#include "monitor.h"
#include "pflash.h"
#include "rtc.h"
#include "smbios.h"
#include "string.h"
#include "tables.h"

#define E820_ENTRY_BYTES 20u
#define E820_RAM         1u
#define SERIAL_PORT      0x3f8u

/* CMOS bytes that PC firmware for virtual machines looks at (SeaBIOS src/hw/rtc.h, src/boot.c). */
#define CMOS_BOOT_FLAG_1 0x38u /* upper half: third boot device */
#define CMOS_BOOT_FLAG_2 0x3du /* first device in the lower half, then the second */
#define CMOS_CPUS        0x5fu /* less one */
#define BOOT_DISK        2u
#define BOOT_CD          3u
#define BOOT_NETWORK     4u

static struct dev_ram memory, rom;
static struct boot_firmware_place place;
static struct boot_state reset_state;
static struct pflash flash;
static struct fw_cfg config;
static struct debug_con debug_con;

/* Items of fw_cfg. */
static uint8_t e820[2u * E820_ENTRY_BYTES];
static uint8_t acpi_tables[ACPI_TABLES_MAX_BYTES], smbios_tables[SMBIOS_MAX_BYTES];
static uint8_t smbios_anchor[SMBIOS_ENTRY_BYTES];
static struct acpi_loader acpi;

static bool present(void) { return start_block()->firmware_bytes != 0; }

/* Code and variables, whole pages each, in a row that ends at 4 GiB. */
static bool memory_init_rom(void)
{
    const struct bh_monitor_start *st = start_block();
    const struct boot_firmware fw = {
        .code = (const uint8_t *)st->firmware_va,
        .code_bytes = st->firmware_bytes,
        .variables = (const uint8_t *)st->variables_va,
        .variables_bytes = st->variables_bytes,
        .cpu_signature = cpuid_signature(),
    };
    struct boot_error error;

    if (!loader_firmware(&fw, &place, &reset_state, &error)) {
        char text[160];

        (void)fmt_buf(text, sizeof(text), "%s: %s (%lu); %s", error.where, error.what, error.value,
                      error.remedy);
        vm_end(BH_END_IMAGE, 0, text);
    }
    if (!memory_take(&memory, fw.variables_bytes + fw.code_bytes)) return false;
    memcpy(memory.bytes, fw.variables, fw.variables_bytes);
    memcpy(memory.bytes + fw.variables_bytes, fw.code, fw.code_bytes);
    return true;
}

static bool rom_init(struct bus *bus, const struct dev_host *host)
{
    const struct bh_monitor_start *st = start_block();

    if (!memory_init_rom()) return false;
    rom = (struct dev_ram){memory.bytes + st->variables_bytes, st->firmware_bytes};
    return bios_rom_init(bus, host, &rom) &&
           (st->variables_bytes == 0 ||
            pflash_init(&flash, bus, host, &memory, 0, place.variables_gpa, st->variables_bytes));
}

/* ---- what fw_cfg says ---- */

static void e820_add(unsigned *entries, uint64_t base, uint64_t bytes)
{
    uint8_t *e = e820 + *entries * E820_ENTRY_BYTES;
    const uint32_t type = E820_RAM;

    if (bytes == 0) return;
    memcpy(e, &base, 8);
    memcpy(e + 8, &bytes, 8);
    memcpy(e + 16, &type, 4);
    (*entries)++;
}

static bool memory_items(void)
{
    unsigned entries = 0;

    e820_add(&entries, 0, guest_mem_low_end(&guest_mem));
    e820_add(&entries, GUEST_HIGH_RAM_BASE, guest_mem_high_bytes(&guest_mem));
    return fw_cfg_add_value(&config, FW_CFG_RAM_BYTES, &guest_mem.size_bytes, 8) &&
           fw_cfg_add_file(&config, "etc/e820", e820, entries * E820_ENTRY_BYTES);
}

static bool acpi_items(void)
{
    size_t bytes = tables_acpi(acpi_tables, sizeof(acpi_tables), 0);

    return bytes && acpi_loader_build(&acpi, acpi_tables, bytes) &&
           fw_cfg_add_file(&config, ACPI_LOADER_RSDP_FILE, acpi.rsdp, sizeof(acpi.rsdp)) &&
           fw_cfg_add_file(&config, ACPI_LOADER_TABLES_FILE, acpi_tables, (uint32_t)bytes) &&
           fw_cfg_add_file(&config, ACPI_LOADER_SCRIPT_FILE, acpi.script,
                           (uint32_t)acpi.script_bytes);
}

/* Firmware adds the table that describes itself. */
static bool smbios_items(void)
{
    uint8_t uuid[16];
    size_t bytes = tables_smbios(smbios_tables, false, uuid);

    smbios_entry(smbios_tables, bytes, 0, smbios_anchor);
    return bytes && fw_cfg_add_value(&config, FW_CFG_UUID, uuid, sizeof(uuid)) &&
           fw_cfg_add_file(&config, "etc/smbios/smbios-tables", smbios_tables, (uint32_t)bytes) &&
           fw_cfg_add_file(&config, "etc/smbios/smbios-anchor", smbios_anchor,
                           sizeof(smbios_anchor));
}

static bool blob_items(uint16_t bytes_key, uint16_t key, const void *bytes, uint64_t size)
{
    const uint32_t size_32 = (uint32_t)size;

    return size == size_32 && fw_cfg_add_value(&config, bytes_key, &size_32, 4) &&
           fw_cfg_add_item(&config, key, bytes, size_32);
}

/* A kernel that OVMF starts by its EFI entry. What other loaders take apart goes in one piece. */
static bool kernel_items(void)
{
    const struct bh_monitor_start *st = start_block();

    return st->kernel_bytes == 0 || (blob_items(FW_CFG_KERNEL_BYTES, FW_CFG_KERNEL,
                                                (const void *)st->kernel_va, st->kernel_bytes) &&
                                     blob_items(FW_CFG_INITRD_BYTES, FW_CFG_INITRD,
                                                (const void *)st->initrd_va, st->initrd_bytes) &&
                                     blob_items(FW_CFG_CMDLINE_BYTES, FW_CFG_CMDLINE, st->cmdline,
                                                strlen(st->cmdline) + 1u));
}

static bool other_items(void)
{
    static const uint16_t serial = SERIAL_PORT, yes = 1;
    const struct bh_monitor_start *st = start_block();
    const uint16_t cpus = (uint16_t)vcpu_count();
    const uint16_t no_graphics = (st->flags & BH_MONITOR_FLAG_VGA) == 0;

    if (st->screen_rom_bytes &&
        !fw_cfg_add_file(&config, "pci1234,1111.rom", (const void *)st->screen_rom_va,
                         (uint32_t)st->screen_rom_bytes))
        return false;
    return fw_cfg_add_value(&config, FW_CFG_CPUS, &cpus, 2) &&
           fw_cfg_add_value(&config, FW_CFG_CPUS_MAX, &cpus, 2) &&
           fw_cfg_add_value(&config, FW_CFG_NO_GRAPHICS, &no_graphics, 2) &&
           fw_cfg_add_value(&config, FW_CFG_IRQ0_OVERRIDE, &yes, 1) &&
           fw_cfg_add_file(&config, "etc/sercon-port", &serial, sizeof(serial));
}

bool firmware_init(struct bus *bus, const struct dev_host *host,
                   bool (*log)(void *ctx, uint8_t byte))
{
    if (!present()) return true;
    return rom_init(bus, host) && fw_cfg_init(&config, bus, host) && memory_items() &&
           acpi_items() && smbios_items() && kernel_items() && other_items() &&
           (!(start_block()->flags & BH_MONITOR_FLAG_FIRMWARE_LOG) ||
            debug_con_init(&debug_con, bus, log, NULL));
}

void firmware_cmos(struct rtc *rtc)
{
    const struct bh_monitor_start *st = start_block();
    bool cd = st->ndisks && (st->disks[0].flags & BH_DISK_CDROM);

    rtc_cmos_set(rtc, CMOS_CPUS, (uint8_t)(vcpu_count() - 1u));
    rtc_cmos_set(rtc, CMOS_BOOT_FLAG_1, BOOT_NETWORK << 4);
    rtc_cmos_set(rtc, CMOS_BOOT_FLAG_2, cd ? BOOT_DISK << 4 | BOOT_CD : BOOT_CD << 4 | BOOT_DISK);
}

bool firmware_state(struct boot_state *state)
{
    if (present()) *state = reset_state;
    return present();
}

bool firmware_saved(unsigned *n, const struct dev_state **state, void **dev)
{
    static const struct {
        const struct dev_state *state;
        void *dev;
    } devices[] = {{&fw_cfg_state, &config}, {&pflash_state, &flash}};

    unsigned count = !present() ? 0 : start_block()->variables_bytes ? 2u : 1u;

    if (*n >= count) {
        *n -= count;
        return false;
    }
    *state = devices[*n].state;
    *dev = devices[*n].dev;
    return true;
}

const struct dev_ram *firmware_rom(void) { return present() ? &rom : NULL; }
