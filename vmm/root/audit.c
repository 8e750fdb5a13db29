/* Audit records; see audit.h. */
#include "audit.h"
#include <stdarg.h>
#include "caps.h"
#include "fmt.h"
#include "log.h"
#include "syscall.h"

#define TAIL_BYTES 64u /* kept free for number, time and the closing bracket */

static char lines[AUDIT_RECORDS][AUDIT_LINE_BYTES];
static uint64_t count;
static size_t length; /* of the record that is being written */
static size_t room;   /* it may grow to this */

static char *line(void) { return lines[count % AUDIT_RECORDS]; }

static void put(void *ctx, char c)
{
    if (length + 1u < room) line()[length] = c;
    length++;
}

static void add(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void add(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_v(put, NULL, format, args);
    va_end(args);
}

/* A field that is longer than what is left goes whole. */
static void field_end(size_t begin)
{
    if (length + 1u >= room) length = begin;
}

void audit_begin(const char *event)
{
    length = 0;
    room = AUDIT_LINE_BYTES - TAIL_BYTES;
    add("{\"event\": \"%s\"", event);
}

void audit_number(const char *key, uint64_t value)
{
    size_t begin = length;

    add(", \"%s\": %lu", key, value);
    field_end(begin);
}

void audit_numbers(const char *key, const uint64_t *values, size_t n)
{
    size_t begin = length;

    add(", \"%s\": [", key);
    for (size_t i = 0; i < n; i++) add(i ? ", %lu" : "%lu", values[i]);
    add("]");
    field_end(begin);
}

void audit_hex(const char *key, uint64_t value)
{
    size_t begin = length;

    add(", \"%s\": \"0x%lx\"", key, value);
    field_end(begin);
}

void audit_text(const char *key, const char *value)
{
    size_t begin = length;

    add(", \"%s\": \"", key);
    for (; *value; value++)
        put(NULL, *value < ' ' || *value > '~' || *value == '"' || *value == '\\' ? '?' : *value);
    put(NULL, '"');
    field_end(begin);
}

void audit_end(void)
{
    uint64_t us = ticks_to_ns(rt_tsc() - info()->root_entry_tsc) / 1000u;

    room = AUDIT_LINE_BYTES;
    add(", \"seq\": %lu, \"us\": %lu}", count, us);
    line()[length] = '\0';
    log_line("audit: ", line());
    count++;
}

uint64_t audit_count(void) { return count; }

const char *audit_record(uint64_t number)
{
    if (number >= count || count - number > AUDIT_RECORDS) return NULL;
    return lines[number % AUDIT_RECORDS];
}
