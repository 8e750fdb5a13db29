/*
 * Writer for the little ACPI machine language the DSDT needs (ACPI 6.3, chapter 20 and 6.4): names,
 * constants, packages, scopes, devices, methods and resource descriptors. Pure; never writes past
 * its buffer.
 */
#ifndef VMM_MONITOR_DEV_AML_H
#define VMM_MONITOR_DEV_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
    uint8_t *buf;
    size_t size;
    size_t len;    /* bytes written; with @overflow, meaningless */
    bool overflow; /* something did not fit: the whole is void */
};

/** Constants: the shortest encoding of an integer, a string, an EISA id such as "PNP0501". */
void aml_int(struct aml *a, uint64_t value);
void aml_string(struct aml *a, const char *s);
void aml_eisa_id(struct aml *a, const char *id);

/** Name(@seg, ...): the object follows. @param seg exactly four characters, such as "_UID" */
void aml_name(struct aml *a, const char *seg);

/** Opcodes of terms, written with aml_op(); operands follow, the target last (20.2.5.3, 20.2.5.4).
 */
enum aml_opcode {
    AML_NONE = 0x00, /* as a target: the result is not stored */
    AML_LOCAL0 = 0x60,
    AML_ARG0 = 0x68,
    AML_ARG3 = 0x6b,
    AML_STORE = 0x70,
    AML_DECREMENT = 0x76,
    AML_SHIFT_LEFT = 0x79,
    AML_AND = 0x7b,
    AML_OR = 0x7d,
    AML_FIND_RIGHT = 0x82,
    AML_DWORD_FIELD = 0x8a, /* buffer, byte index, name */
    AML_WORD_FIELD = 0x8b,
    AML_NOT = 0x92,
    AML_EQUAL = 0x93,
    AML_RETURN = 0xa4,
};

void aml_op(struct aml *a, enum aml_opcode op);
/** A reference to, or the name of, an object: segments of four characters with dots between them,
 *  optionally after a backslash. */
void aml_path(struct aml *a, const char *path);

/** Open a block; its contents follow. @return the mark aml_close() needs. */
size_t aml_scope(struct aml *a, const char *path);
size_t aml_device(struct aml *a, const char *seg);
size_t aml_package(struct aml *a, uint8_t elements);
size_t aml_method(struct aml *a, const char *seg, unsigned arguments);
size_t aml_if(struct aml *a); /* the predicate is the first term */
void aml_close(struct aml *a, size_t mark);

/** OperationRegion(@seg, PCI_Config, @offset, @bytes). */
void aml_pci_region(struct aml *a, const char *seg, uint8_t offset, uint8_t bytes);
/** Open the fields of region @path, accessed bytewise; then bytes in order, with a name or not. */
size_t aml_fields(struct aml *a, const char *path);
void aml_byte_field(struct aml *a, const char *seg); /* NULL: one that has no name */
/** A constant buffer. */
void aml_buffer(struct aml *a, const uint8_t *bytes, uint8_t count);

/** Open Name(_CRS, ResourceTemplate) or Name(@seg, ...); end it with aml_crs_close(). */
size_t aml_crs(struct aml *a);
size_t aml_resources(struct aml *a, const char *seg);
void aml_crs_close(struct aml *a, size_t mark);
/** One of these lines (bits), level triggered, active low, shared: the descriptor's second and
 * third byte are the bits. */
void aml_pci_irq(struct aml *a, uint16_t lines);
/** Fixed memory below 4 GiB. */
void aml_memory(struct aml *a, uint32_t base, uint32_t bytes);

/** Fixed I/O ports, 16-bit decode; an edge-triggered, active-high ISA interrupt 0..15. */
void aml_io(struct aml *a, uint16_t base, uint8_t count);
void aml_irq(struct aml *a, unsigned line);

/** What a PCI root bridge passes on: bus numbers, I/O ports, memory. */
void aml_word_bus(struct aml *a, uint16_t first, uint16_t last);
void aml_word_io(struct aml *a, uint16_t first, uint16_t last);
void aml_dword_memory(struct aml *a, uint32_t first, uint32_t last);
void aml_qword_memory(struct aml *a, uint64_t first, uint64_t last);

#endif
