/*
 * Audit records: what has happened to VMs, who has asked for it, what was refused. Each is a JSON
 * object on one line, on the log and in a ring of the last AUDIT_RECORDS, for bhctl. May call: the
 * log. Never grows, and never ends a string or a line because of what a monitor says.
 */
#ifndef VMM_ROOT_AUDIT_H
#define VMM_ROOT_AUDIT_H

#include <stddef.h>
#include <stdint.h>

#define AUDIT_RECORDS    128u
#define AUDIT_LINE_BYTES 1024u /* a field that does not fit any more is left out */

/** Begin a record, close it with audit_end(): number and time since root's start are added. */
void audit_begin(const char *event);
void audit_number(const char *key, uint64_t value);
void audit_numbers(const char *key, const uint64_t *values, size_t count);
void audit_text(const char *key, const char *value);
void audit_hex(const char *key, uint64_t value);
void audit_end(void);

/** Records so far: the next one's number. */
uint64_t audit_count(void);
/** @return record @number as text without a newline; NULL: it is not kept any more, or not there yet */
const char *audit_record(uint64_t number);

#endif
