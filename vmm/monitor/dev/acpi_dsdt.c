/*
 * Writes the DSDT's AML. It states what the device models in this directory are: the LPC bridge's
 * routing (ich9.h), the power management block (acpi_pm.h), the host bridge's windows (mch.h).
 * Pure: writes the buffer it is given.
 */
#include "acpi_dsdt.h"
#include "acpi_pm.h"
#include "aml.h"
#include "ich9.h"
#include "mch.h"

#define VGA_FIRST  0xa0000u
#define VGA_LAST   0xbffffu
#define LINK_LINES (1u << 5 | 1u << 10 | 1u << 11) /* without a device of their own */
#define SLOTS      32u
#define PINS       4u

/* One ISA device: Device(seg) { _HID, _CRS }. */
struct isa_device {
    const char *seg, *hid;
    struct {
        uint16_t base;
        uint8_t count;
    } io[4];
    int irq; /* -1 none */
};

static const struct isa_device isa_devices[] = {
    {"PIC_", "PNP0000", {{0x20, 2}, {0xa0, 2}, {0x4d0, 2}}, 2},
    {"TIMR", "PNP0100", {{0x40, 4}}, 0},
    {"RTC_", "PNP0B00", {{0x70, 2}}, 8},
    {"COM1", "PNP0501", {{0x3f8, 8}}, 4},
    {"SYSR", "PNP0C02", {{0x61, 1}, {ACPI_SMI_PORT, 2}, {ACPI_PM_BASE, ACPI_PM_PORTS}}, -1},
};

/* Come with the screen; the mouse is behind the keyboard's ports. */
static const struct isa_device input_devices[] = {
    {"KBD_", "PNP0303", {{0x60, 1}, {0x64, 1}}, 1},
    {"MOU_", "PNP0F13", {{0, 0}}, 12},
};

/* What the chipset takes of memory: configuration space, its own registers. */
static const struct {
    uint32_t base, bytes;
} chipset_memory[] = {
    {(uint32_t)GUEST_ECAM_BASE, (uint32_t)GUEST_ECAM_BYTES},
    {ICH9_RCBA_BASE, ICH9_RCBA_BYTES},
};

static const char *const links[ICH9_PIRQS] = {"LNKA", "LNKB", "LNKC", "LNKD",
                                              "LNKE", "LNKF", "LNKG", "LNKH"};
static const char *const routs[ICH9_PIRQS] = {"PRQA", "PRQB", "PRQC", "PRQD",
                                              "PRQE", "PRQF", "PRQG", "PRQH"};

static void hid_emit(struct aml *a, const char *hid, unsigned uid)
{
    aml_name(a, "_HID");
    aml_eisa_id(a, hid);
    aml_name(a, "_UID");
    aml_int(a, uid);
}

static void isa_device_emit(struct aml *a, const struct isa_device *d)
{
    size_t device = aml_device(a, d->seg);
    size_t crs;

    hid_emit(a, d->hid, 0);
    crs = aml_crs(a);
    for (unsigned i = 0; i < sizeof(d->io) / sizeof(d->io[0]); i++) {
        if (d->io[i].count != 0) aml_io(a, d->io[i].base, d->io[i].count);
    }
    if (d->irq >= 0) aml_irq(a, (unsigned)d->irq);
    aml_crs_close(a, crs);
    aml_close(a, device);
}

static void chipset_emit(struct aml *a)
{
    size_t device = aml_device(a, "SYSM");
    size_t crs;

    hid_emit(a, "PNP0C02", 1);
    crs = aml_crs(a);
    for (unsigned i = 0; i < sizeof(chipset_memory) / sizeof(chipset_memory[0]); i++)
        aml_memory(a, chipset_memory[i].base, chipset_memory[i].bytes);
    aml_crs_close(a, crs);
    aml_close(a, device);
}

static void cpu_emit(struct aml *a, unsigned n)
{
    const char *hex = "0123456789ABCDEF";
    char seg[4] = {'C', 'P', hex[n >> 4 & 15u], hex[n & 15u]};
    size_t device = aml_device(a, seg);

    aml_name(a, "_HID");
    aml_string(a, "ACPI0007");
    aml_name(a, "_UID");
    aml_int(a, n);
    aml_close(a, device);
}

/* PCI interrupts ------------------------------------------------------------------------------ */

/* Routing of every pin (ACPI 6.2.13): to an I/O APIC input, or to a link device. */
static void routes_emit(struct aml *a, const char *name, bool apic)
{
    size_t table, entry;

    aml_name(a, name);
    table = aml_package(a, (SLOTS - 1u) * PINS);
    for (unsigned slot = 1; slot < SLOTS; slot++)
        for (unsigned pin = 0; pin < PINS; pin++) {
            unsigned pirq = ich9_pirq_default(slot, pin);

            entry = aml_package(a, 4);
            aml_int(a, slot << 16 | 0xffffu);
            aml_int(a, pin);
            if (apic)
                aml_int(a, 0);
            else
                aml_path(a, links[pirq]);
            aml_int(a, apic ? ICH9_PIRQ_GSI + pirq : 0);
            aml_close(a, entry);
        }
    aml_close(a, table);
}

/* If (mode) Return (first); Return (second) */
static void choice_emit(struct aml *a, const char *mode, const char *first, const char *second)
{
    size_t block = aml_if(a);

    aml_path(a, mode);
    aml_op(a, AML_RETURN);
    aml_path(a, first);
    aml_close(a, block);
    aml_op(a, AML_RETURN);
    aml_path(a, second);
}

static void status_emit(struct aml *a, const char *rout)
{
    size_t method = aml_method(a, "_STA", 0), block = aml_if(a);

    aml_op(a, AML_AND);
    aml_path(a, rout);
    aml_int(a, 0x80);
    aml_op(a, AML_NONE);
    aml_op(a, AML_RETURN);
    aml_int(a, 0x09); /* present, works, not in use */
    aml_close(a, block);
    aml_op(a, AML_RETURN);
    aml_int(a, 0x0b);
    aml_close(a, method);
}

static void disable_emit(struct aml *a, const char *rout)
{
    size_t method = aml_method(a, "_DIS", 0);

    aml_op(a, AML_OR);
    aml_path(a, rout);
    aml_int(a, 0x80);
    aml_path(a, rout);
    aml_close(a, method);
}

/* The line, as a bit in the second byte of an interrupt descriptor. */
static void current_emit(struct aml *a, const char *rout)
{
    size_t method = aml_method(a, "_CRS", 0), template = aml_resources(a, "RES0");

    aml_pci_irq(a, 0);
    aml_crs_close(a, template);
    aml_op(a, AML_WORD_FIELD);
    aml_path(a, "RES0");
    aml_int(a, 1);
    aml_path(a, "IRQ0");
    template = aml_if(a);
    aml_op(a, AML_NOT);
    aml_op(a, AML_AND);
    aml_path(a, rout);
    aml_int(a, 0x80);
    aml_op(a, AML_NONE);
    aml_op(a, AML_SHIFT_LEFT);
    aml_int(a, 1);
    aml_path(a, rout);
    aml_path(a, "IRQ0");
    aml_close(a, template);
    aml_op(a, AML_RETURN);
    aml_path(a, "RES0");
    aml_close(a, method);
}

static void set_emit(struct aml *a, const char *rout)
{
    size_t method = aml_method(a, "_SRS", 1), block;

    aml_op(a, AML_WORD_FIELD);
    aml_op(a, AML_ARG0);
    aml_int(a, 1);
    aml_path(a, "IRQ0");
    aml_op(a, AML_FIND_RIGHT);
    aml_path(a, "IRQ0");
    aml_op(a, AML_LOCAL0);
    block = aml_if(a); /* bits count from 1 */
    aml_op(a, AML_LOCAL0);
    aml_op(a, AML_DECREMENT);
    aml_op(a, AML_LOCAL0);
    aml_op(a, AML_STORE);
    aml_op(a, AML_LOCAL0);
    aml_path(a, rout);
    aml_close(a, block);
    aml_close(a, method);
}

/* Link devices (ACPI 6.2.13.1) drive the LPC bridge's PIRQ registers. */
static void links_emit(struct aml *a)
{
    size_t block = aml_fields(a, "PCI0.LPC_.PIRQ");

    for (unsigned i = 0; i < ICH9_PIRQS; i++) {
        unsigned gap = i ? ICH9_PIRQ_ROUT(i) - ICH9_PIRQ_ROUT(i - 1u) - 1u : 0;

        while (gap--) aml_byte_field(a, NULL);
        aml_byte_field(a, routs[i]);
    }
    aml_close(a, block);
    for (unsigned i = 0; i < ICH9_PIRQS; i++) {
        size_t device = aml_device(a, links[i]);

        hid_emit(a, "PNP0C0F", i + 1u);
        block = aml_resources(a, "_PRS");
        aml_pci_irq(a, LINK_LINES);
        aml_crs_close(a, block);
        status_emit(a, routs[i]);
        disable_emit(a, routs[i]);
        current_emit(a, routs[i]);
        set_emit(a, routs[i]);
        aml_close(a, device);
    }
}

/* PCI root bridge ----------------------------------------------------------------------------- */

/* PCI Firmware 3.0, 4.5.1: the operating system asks for PCI Express features; there are none. */
static void osc_emit(struct aml *a)
{
    static const uint8_t uuid[16] = {0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
                                     0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66};
    size_t method = aml_method(a, "_OSC", 4), block;

    aml_op(a, AML_DWORD_FIELD);
    aml_op(a, AML_ARG3);
    aml_int(a, 0);
    aml_path(a, "CDW1");
    block = aml_if(a);
    aml_op(a, AML_NOT);
    aml_op(a, AML_EQUAL);
    aml_op(a, AML_ARG0);
    aml_buffer(a, uuid, sizeof(uuid));
    aml_op(a, AML_OR);
    aml_path(a, "CDW1");
    aml_int(a, 0x04); /* not for this UUID */
    aml_path(a, "CDW1");
    aml_op(a, AML_RETURN);
    aml_op(a, AML_ARG3);
    aml_close(a, block);
    aml_op(a, AML_DWORD_FIELD);
    aml_op(a, AML_ARG3);
    aml_int(a, 8);
    aml_path(a, "CDW3");
    block = aml_if(a);
    aml_path(a, "CDW3");
    aml_op(a, AML_OR);
    aml_path(a, "CDW1");
    aml_int(a, 0x10); /* granted less than was asked for */
    aml_path(a, "CDW1");
    aml_op(a, AML_STORE);
    aml_int(a, 0);
    aml_path(a, "CDW3");
    aml_close(a, block);
    aml_op(a, AML_RETURN);
    aml_op(a, AML_ARG3);
    aml_close(a, method);
}

static void pci_root_emit(struct aml *a, const struct acpi_config *config)
{
    size_t device = aml_device(a, "PCI0");
    size_t block;

    hid_emit(a, "PNP0A08", 0);
    aml_name(a, "_CID");
    aml_eisa_id(a, "PNP0A03");
    block = aml_crs(a);
    aml_word_bus(a, 0, 255);
    aml_io(a, 0xcf8, 8);
    aml_word_io(a, 0x0000, 0x0cf7);
    aml_word_io(a, 0x0d00, 0xffff);
    aml_dword_memory(a, VGA_FIRST, VGA_LAST);
    aml_dword_memory(a, MCH_WINDOW_BASE, MCH_WINDOW_END - 1u);
    if (config->window_base < config->window_end)
        aml_qword_memory(a, config->window_base, config->window_end - 1u);
    aml_crs_close(a, block);
    osc_emit(a);
    routes_emit(a, "PRTA", true);
    routes_emit(a, "PRTP", false);
    block = aml_method(a, "_PRT", 0);
    choice_emit(a, "PICF", "PRTA", "PRTP");
    aml_close(a, block);
    block = aml_device(a, "LPC_");
    aml_name(a, "_ADR");
    aml_int(a, (ICH9_DEVFN >> 3) << 16 | (ICH9_DEVFN & 7u));
    aml_pci_region(a, "PIRQ", ICH9_PIRQ_ROUT(0), ICH9_PIRQ_ROUT(7) + 1u - ICH9_PIRQ_ROUT(0));
    aml_close(a, block);
    aml_close(a, device);
}

/* The whole ----------------------------------------------------------------------------------- */

size_t acpi_dsdt_emit(uint8_t *buf, size_t size, const struct acpi_config *config)
{
    struct aml a = {.buf = buf, .size = size};
    size_t block;

    aml_name(&a, "_S5_");
    block = aml_package(&a, 4);
    aml_int(&a, ACPI_S5_TYPE);
    aml_int(&a, ACPI_S5_TYPE);
    aml_int(&a, 0);
    aml_int(&a, 0);
    aml_close(&a, block);
    aml_name(&a, "PICF"); /* which interrupt controllers the operating system uses: 0, 8259s */
    aml_int(&a, 0);
    block = aml_method(&a, "_PIC", 1);
    aml_op(&a, AML_STORE);
    aml_op(&a, AML_ARG0);
    aml_path(&a, "PICF");
    aml_close(&a, block);
    block = aml_scope(&a, "\\_SB_");
    for (unsigned n = 0; n < config->ncpus; n++) cpu_emit(&a, n);
    pci_root_emit(&a, config);
    links_emit(&a);
    chipset_emit(&a);
    for (size_t i = 0; i < sizeof(isa_devices) / sizeof(isa_devices[0]); i++)
        isa_device_emit(&a, &isa_devices[i]);
    for (size_t i = 0; config->vga && i < sizeof(input_devices) / sizeof(input_devices[0]); i++)
        isa_device_emit(&a, &input_devices[i]);
    aml_close(&a, block);
    return a.overflow ? 0 : a.len;
}
