/*
 * Writes the MP table; see mptable.h. Section numbers are those of the specification. Says the same
 * as the ACPI tables: ISA line 0 is on input 2, the SCI is level triggered, PCI pins are on inputs
 * 16 and above.
 */
#include "mptable.h"
#include "acpi_pm.h"
#include "ich9.h"
#include "ioapic.h"
#include "lapic.h"

#include <string.h>

#define POINTER_BYTES  16u
#define HEADER_BYTES   44u
#define SPEC_1_4       4u
#define CPUS_MAX       16u
#define PCI_BUS        0u /* numbers of the buses: PCI's are its own */
#define ISA_BUS        1u
#define LAPIC_VERSION  0x14u
#define IOAPIC_VERSION 0x11u

enum { ENTRY_CPU, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_IO_INTERRUPT, ENTRY_LOCAL_INTERRUPT };
enum { INTERRUPT_VECTORED, INTERRUPT_NMI, INTERRUPT_SMI, INTERRUPT_EXTINT };

#define CPU_ENABLED 1u
#define CPU_BOOT    2u
#define FLAGS_BUS   0u   /* polarity and trigger mode are the bus's (table 4-10) */
#define FLAGS_LEVEL 0xdu /* active high, level */

struct out {
    uint8_t *table, *at;
    unsigned entries;
};

static void set_le(uint8_t *p, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) p[i] = (uint8_t)(value >> i * 8u);
}

static uint8_t checksum(const uint8_t *p, size_t bytes)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < bytes; i++) sum = (uint8_t)(sum + p[i]);
    return (uint8_t)(0u - sum);
}

static uint8_t *entry(struct out *o, unsigned type, unsigned bytes)
{
    uint8_t *e = o->at;

    memset(e, 0, bytes);
    e[0] = (uint8_t)type;
    o->at += bytes;
    o->entries++;
    return e;
}

/* 4.3.1 */
static void cpu(struct out *o, unsigned n, uint32_t signature, uint32_t features)
{
    uint8_t *e = entry(o, ENTRY_CPU, 20);

    e[1] = (uint8_t)n;
    e[2] = LAPIC_VERSION;
    e[3] = CPU_ENABLED | (n == 0 ? CPU_BOOT : 0);
    set_le(e + 4, signature & 0xfffu, 4);
    set_le(e + 8, features, 4);
}

/* 4.3.2 */
static void bus(struct out *o, unsigned id, const char *name)
{
    uint8_t *e = entry(o, ENTRY_BUS, 8);

    e[1] = (uint8_t)id;
    memcpy(e + 2, name, 6);
}

/* 4.3.4, 4.3.5 */
static void interrupt(struct out *o, unsigned entry_type, unsigned type, unsigned flags,
                      unsigned from_bus, unsigned line, unsigned to, unsigned pin)
{
    uint8_t *e = entry(o, entry_type, 8);

    e[1] = (uint8_t)type;
    set_le(e + 2, flags, 2);
    e[4] = (uint8_t)from_bus;
    e[5] = (uint8_t)line;
    e[6] = (uint8_t)to;
    e[7] = (uint8_t)pin;
}

static void interrupts(struct out *o)
{
    for (unsigned line = 0; line < 16u; line++)
        if (line != 2u) /* the cascade */
            interrupt(o, ENTRY_IO_INTERRUPT, INTERRUPT_VECTORED,
                      line == ACPI_SCI_LINE ? FLAGS_LEVEL : FLAGS_BUS, ISA_BUS, line, 0,
                      line == 0 ? 2u : line);
    for (unsigned device = 0; device < 32u; device++)
        for (unsigned pin = 0; pin < 4u; pin++)
            interrupt(o, ENTRY_IO_INTERRUPT, INTERRUPT_VECTORED, FLAGS_BUS, PCI_BUS,
                      device << 2 | pin, 0, ICH9_PIRQ_GSI + ich9_pirq_default(device, pin));
    interrupt(o, ENTRY_LOCAL_INTERRUPT, INTERRUPT_EXTINT, FLAGS_BUS, ISA_BUS, 0, 0, 0);
    interrupt(o, ENTRY_LOCAL_INTERRUPT, INTERRUPT_NMI, FLAGS_BUS, ISA_BUS, 0, 0xff, 1);
}

/* 4.2 */
static void header(struct out *o)
{
    uint8_t *t = o->table;
    size_t bytes = (size_t)(o->at - t);

    memset(t, 0, HEADER_BYTES);
    memcpy(t, "PCMP", 4);
    set_le(t + 4, bytes, 2);
    t[6] = SPEC_1_4;
    memcpy(t + 8, "BULKHEADVIRTUAL PC  ", 20);
    set_le(t + 34, o->entries, 2);
    set_le(t + 36, LAPIC_DEFAULT_BASE, 4);
    t[7] = checksum(t, bytes);
}

size_t mptable_build(uint8_t buf[MPTABLE_MAX_BYTES], uint32_t gpa, unsigned ncpus,
                     uint32_t cpu_signature, uint32_t cpu_features)
{
    struct out o = {buf + POINTER_BYTES, buf + POINTER_BYTES + HEADER_BYTES, 0};
    uint8_t *e;

    if (ncpus - 1u >= CPUS_MAX) return 0;
    for (unsigned n = 0; n < ncpus; n++) cpu(&o, n, cpu_signature, cpu_features);
    bus(&o, PCI_BUS, "PCI   ");
    bus(&o, ISA_BUS, "ISA   ");
    e = entry(&o, ENTRY_IOAPIC, 8);
    e[2] = IOAPIC_VERSION;
    e[3] = 1; /* usable */
    set_le(e + 4, IOAPIC_BASE, 4);
    interrupts(&o);
    header(&o);
    memset(buf, 0, POINTER_BYTES); /* 4.1; after reset there is virtual wire mode, not PIC mode */
    memcpy(buf, "_MP_", 4);
    set_le(buf + 4, gpa + POINTER_BYTES, 4);
    buf[8] = 1; /* length in 16 bytes */
    buf[9] = SPEC_1_4;
    buf[10] = checksum(buf, POINTER_BYTES);
    return (size_t)(o.at - buf);
}
