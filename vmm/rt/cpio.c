/* cpio newc members; see cpio.h. */
#include "cpio.h"

/* Fields are 8 hexadecimal digits each, after 6 bytes of magic. */
enum { FIELD_FILESIZE = 6, FIELD_NAMESIZE = 11 };

static bool field(const uint8_t *head, unsigned n, uint64_t *out)
{
    const uint8_t *p = head + 6u + n * 8u;
    uint64_t v = 0;

    for (unsigned i = 0; i < 8u; i++) {
        uint8_t c = p[i];
        unsigned digit;

        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (c >= 'A' && c <= 'F')
            digit = c - 'A' + 10u;
        else if (c >= 'a' && c <= 'f')
            digit = c - 'a' + 10u;
        else
            return false;
        v = v << 4 | digit;
    }
    *out = v;
    return true;
}

static uint64_t align4(uint64_t v) { return (v + 3u) & ~(uint64_t)3u; }

enum cpio_result cpio_decode(const uint8_t *head, size_t avail, uint64_t offset,
                             uint64_t archive_bytes, struct cpio_member *m)
{
    static const char magic[] = "070701", trailer[] = "TRAILER!!!";
    uint64_t size, name_size, data;
    unsigned n = 0;
    bool is_trailer = true;

    if (offset > archive_bytes || archive_bytes - offset < CPIO_HEADER_BYTES ||
        avail < CPIO_HEADER_BYTES)
        return CPIO_END;
    for (unsigned i = 0; i < 6u; i++)
        if (head[i] != (uint8_t)magic[i]) return CPIO_BAD;
    if (!field(head, FIELD_FILESIZE, &size) || !field(head, FIELD_NAMESIZE, &name_size))
        return CPIO_BAD;
    /* All terms are below 2^32 but for the archive's own length: no sum can wrap. */
    data = align4(offset + CPIO_HEADER_BYTES + name_size);
    if (name_size == 0 || data > archive_bytes || size > archive_bytes - data) return CPIO_BAD;
    /* The name may be followed by padding that brings the contents to a page boundary. */
    while (n <= CPIO_NAME_MAX && n < name_size && CPIO_HEADER_BYTES + n < avail &&
           head[CPIO_HEADER_BYTES + n])
        n++;
    if (n > CPIO_NAME_MAX || n == name_size || CPIO_HEADER_BYTES + n >= avail) return CPIO_BAD;
    for (unsigned i = 0; i < sizeof(trailer) && is_trailer; i++)
        is_trailer = head[CPIO_HEADER_BYTES + i] == (uint8_t)trailer[i];
    if (is_trailer) return CPIO_END;
    for (unsigned i = 0; i <= n; i++) m->name[i] = (char)head[CPIO_HEADER_BYTES + i];
    m->data = data;
    m->size = size;
    m->next = align4(data + size);
    return CPIO_MEMBER;
}
