/*
 * Writer for the little ACPI machine language the DSDT needs (ACPI 6.3, chapter 20 and 6.4): names,
 * constants, packages, scopes, devices and resource descriptors. Pure; never writes past its
 * buffer.
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

/** Open a block; its contents follow. @return the mark aml_close() needs. */
size_t aml_scope(struct aml *a, const char *path); /* one segment, optionally after '\\' */
size_t aml_device(struct aml *a, const char *seg);
size_t aml_package(struct aml *a, uint8_t elements);
void aml_close(struct aml *a, size_t mark);

/** Open Name(_CRS, ResourceTemplate); end it with aml_crs_close(). */
size_t aml_crs(struct aml *a);
void aml_crs_close(struct aml *a, size_t mark);

/** Fixed I/O ports, 16-bit decode; an edge-triggered, active-high ISA interrupt 0..15. */
void aml_io(struct aml *a, uint16_t base, uint8_t count);
void aml_irq(struct aml *a, unsigned line);

/** What a PCI root bridge passes on: bus numbers, I/O ports. */
void aml_word_bus(struct aml *a, uint16_t first, uint16_t last);
void aml_word_io(struct aml *a, uint16_t first, uint16_t last);

#endif
