/* The file of a saved VM; see save_file.h. */
#include "save_file.h"
#include "crc32c.h"
#include "fmt.h"
#include "string.h"

#define PAGE_BYTES  4096u
#define PIECE_BYTES 0x200000u

/* ---- common ---- */

/* A table is told by the names and sizes of its members: where they lie in memory is no matter. */
static uint32_t layout_of(const struct dev_state *s)
{
    uint32_t crc = 0;

    for (uint32_t i = 0; i < s->count; i++) {
        crc = crc32c(crc, s->members[i].name, strlen(s->members[i].name) + 1u);
        crc = crc32c(crc, &s->members[i].bytes, sizeof(s->members[i].bytes));
    }
    return crc;
}

static uint64_t bytes_of(const struct dev_state *s)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < s->count; i++) bytes += s->members[i].bytes;
    return (bytes + 7u) & ~(uint64_t)7u;
}

static void name_put(char to[SAVE_NAME_CHARS], const char *name)
{
    memset(to, 0, SAVE_NAME_CHARS);
    memcpy(to, name, strnlen(name, SAVE_NAME_CHARS));
}

/* ---- writing ---- */

/* @return where the next @bytes go; NULL: the file is full. */
static uint8_t *put(struct save_file *f, uint64_t bytes)
{
    uint8_t *p = f->bytes + f->at;

    if (f->full || bytes > f->size_bytes - f->at) {
        f->full = true;
        return NULL;
    }
    f->at += bytes;
    return p;
}

void save_begin(struct save_file *f, uint8_t *bytes, uint64_t room_bytes)
{
    *f = (struct save_file){.bytes = bytes, .size_bytes = room_bytes};
    (void)put(f, sizeof(struct save_header));
}

static void section_begin(struct save_file *f)
{
    f->section = f->at;
    (void)put(f, sizeof(struct save_section));
}

static void section_end(struct save_file *f, const char *name, uint32_t instance, uint32_t version,
                        uint32_t layout, bool with_crc)
{
    struct save_section s = {.instance = instance, .version = version, .layout = layout};
    const uint8_t *data = f->bytes + f->section + sizeof(s);

    if (f->full) return;
    name_put(s.name, name);
    s.bytes = f->at - f->section - sizeof(s);
    if (with_crc) s.data_crc = crc32c(0, data, s.bytes);
    s.crc = crc32c(0, &s, offsetof(struct save_section, crc));
    memcpy(f->bytes + f->section, &s, sizeof(s));
}

void save_state(struct save_file *f, const struct dev_state *state, const void *dev,
                uint32_t instance)
{
    uint8_t *p;

    section_begin(f);
    p = put(f, bytes_of(state));
    if (!p) return;
    for (uint32_t i = 0; i < state->count; i++) {
        memcpy(p, (const uint8_t *)dev + state->members[i].offset, state->members[i].bytes);
        p += state->members[i].bytes;
    }
    memset(p, 0, (size_t)(f->bytes + f->at - p));
    section_end(f, state->name, instance, state->version, layout_of(state), true);
}

static bool page_is_zero(const uint8_t *page)
{
    const uint64_t *w = (const uint64_t *)(const void *)page;
    uint64_t any = 0;

    for (unsigned i = 0; i < PAGE_BYTES / 8u; i += 8u) {
        any = w[i] | w[i + 1u] | w[i + 2u] | w[i + 3u] | w[i + 4u] | w[i + 5u] | w[i + 6u] |
              w[i + 7u];
        if (any) return false;
    }
    return true;
}

static bool page_holds(const uint8_t *memory, uint64_t at, const uint64_t *absent)
{
    uint64_t piece = at / PIECE_BYTES;

    return !(absent && (absent[piece / 64u] >> piece % 64u & 1u)) && !page_is_zero(memory + at);
}

void save_memory(struct save_file *f, const char *name, const uint8_t *memory, uint64_t bytes,
                 const uint64_t *absent)
{
    uint64_t at = 0;

    section_begin(f);
    while (at < bytes && !f->full) {
        struct save_run run = {.offset = at};
        uint8_t *p;

        while (run.pages < SAVE_RUN_PAGES && at < bytes && page_holds(memory, at, absent)) {
            run.pages++;
            at += PAGE_BYTES;
        }
        if (run.pages == 0) {
            at += PAGE_BYTES;
            continue;
        }
        p = put(f, sizeof(run) + (uint64_t)run.pages * PAGE_BYTES);
        if (!p) break;
        memcpy(p + sizeof(run), memory + run.offset, (uint64_t)run.pages * PAGE_BYTES);
        run.crc = crc32c(0, p + sizeof(run), (uint64_t)run.pages * PAGE_BYTES);
        memcpy(p, &run, sizeof(run));
    }
    section_end(f, name, 0, 1, 0, false);
}

uint64_t save_end(struct save_file *f, const struct save_header *header)
{
    struct save_header h = *header;

    if (f->full) return 0;
    h.magic = SAVE_MAGIC;
    h.version = SAVE_VERSION;
    h.total_bytes = f->at;
    h.reserved = 0;
    h.crc = crc32c(0, &h, offsetof(struct save_header, crc));
    memcpy(f->bytes, &h, sizeof(h));
    return f->at;
}

/* ---- reading ---- */

static bool wrong(struct save_file *f, const char *error)
{
    if (!f->error) f->error = error;
    return false;
}

/* The file may say anything. */
static void model_put(char to[32], const char from[32])
{
    for (unsigned i = 0; i < 32u; i++)
        to[i] = (from[i] >= ' ' && from[i] <= '~') || from[i] == '\0' ? from[i] : '?';
    to[31] = '\0';
}

static bool wrong_model(struct save_file *f, const char saved[32], const char mine[32])
{
    char from[32], here[32];

    model_put(from, saved);
    model_put(here, mine);
    (void)fmt_buf(f->text, sizeof(f->text), "saved on CPU model '%s', this VM has '%s'", from,
                  here);
    return wrong(f, f->text);
}

/* What a VM goes on from is its own, or another one's made in the same way. */
static bool is_expected(struct save_file *f, const struct save_header *h,
                        const struct save_header *expected)
{
    if (memcmp(h->cpu_model, expected->cpu_model, sizeof(h->cpu_model)) != 0)
        return wrong_model(f, h->cpu_model, expected->cpu_model);
    if (h->nvcpus != expected->nvcpus) return wrong(f, "the VM had another number of vCPUs");
    if (h->ram_bytes != expected->ram_bytes) return wrong(f, "the VM had another size of memory");
    if (h->device_ram_bytes != expected->device_ram_bytes || h->config != expected->config)
        return wrong(f, "the VM had other devices, or other images on its disks");
    /* The guest has been told a frequency and keeps its time by it: 1 in 1,000. */
    if (h->tsc_khz > expected->tsc_khz + expected->tsc_khz / 1000u ||
        h->tsc_khz < expected->tsc_khz - expected->tsc_khz / 1000u)
        return wrong(f, "the VM was saved on a CPU whose TSC has another frequency");
    return true;
}

bool save_open(struct save_file *f, uint8_t *bytes, uint64_t length_bytes,
               const struct save_header *expected, struct save_header *out)
{
    struct save_header h;

    *f = (struct save_file){.bytes = bytes, .size_bytes = length_bytes};
    memcpy(f->where, "header", sizeof("header"));
    if (length_bytes < sizeof(h)) return wrong(f, "the file is shorter than its header");
    memcpy(&h, bytes, sizeof(h));
    if (h.magic != SAVE_MAGIC) return wrong(f, "this is not a saved VM");
    if (h.version != SAVE_VERSION) return wrong(f, "the file is of another version");
    if (h.crc != crc32c(0, &h, offsetof(struct save_header, crc)))
        return wrong(f, "the header is damaged");
    if (h.total_bytes > length_bytes) return wrong(f, "the file is cut off");
    if (h.total_bytes < sizeof(h)) return wrong(f, "the header makes no sense");
    f->size_bytes = h.total_bytes;
    f->at = sizeof(h);
    *out = h;
    return !expected || is_expected(f, &h, expected);
}

static void where_put(struct save_file *f, const char name[SAVE_NAME_CHARS])
{
    /* It may come from the file. */
    for (unsigned i = 0; i < SAVE_NAME_CHARS; i++)
        f->where[i] = (name[i] >= ' ' && name[i] <= '~') || name[i] == '\0' ? name[i] : '?';
    f->where[SAVE_NAME_CHARS] = '\0';
}

/* The header of what follows, whatever it is. */
static bool section_any(struct save_file *f, struct save_section *s)
{
    if (sizeof(*s) > f->size_bytes - f->at) return wrong(f, "the section is missing");
    memcpy(s, f->bytes + f->at, sizeof(*s));
    if (s->crc != crc32c(0, s, offsetof(struct save_section, crc)))
        return wrong(f, "the section's header is damaged");
    if (s->bytes > f->size_bytes - f->at - sizeof(*s)) return wrong(f, "the section is cut off");
    f->at += sizeof(*s);
    return true;
}

static bool section_next(struct save_file *f, const char *name, uint32_t instance, uint32_t version,
                         uint32_t layout, struct save_section *s)
{
    char wanted[SAVE_NAME_CHARS];

    name_put(wanted, name);
    where_put(f, wanted);
    if (!section_any(f, s)) return false;
    if (memcmp(s->name, wanted, sizeof(wanted)) != 0 || s->instance != instance)
        return wrong(f, "another section is in its place");
    if (s->version != version || s->layout != layout)
        return wrong(f, "the section is of another version");
    return true;
}

static bool switches_valid(const struct state_member *m, const uint8_t *p)
{
    for (uint32_t i = 0; m->switches && i < m->bytes; i++)
        if (p[i] > 1u) return false;
    return true;
}

bool save_load_state(struct save_file *f, const struct dev_state *state, void *dev,
                     uint32_t instance)
{
    struct save_section s;
    const uint8_t *p;

    if (!section_next(f, state->name, instance, state->version, layout_of(state), &s)) return false;
    p = f->bytes + f->at;
    if (s.bytes != bytes_of(state)) return wrong(f, "the section has another size");
    if (s.data_crc != crc32c(0, p, s.bytes)) return wrong(f, "the section is damaged");
    for (uint32_t i = 0; i < state->count; i++) {
        if (!switches_valid(&state->members[i], p))
            return wrong(f, "a switch is neither on nor off");
        memcpy((uint8_t *)dev + state->members[i].offset, p, state->members[i].bytes);
        p += state->members[i].bytes;
    }
    f->at += s.bytes;
    if (state->loaded && !state->loaded(dev))
        return wrong(f, "the device cannot be in the state that is in the file");
    return true;
}

/* The next run of a section that ends at @end: in order, and within @bytes of memory. */
static bool run_next(struct save_file *f, uint64_t end, uint64_t *next, uint64_t bytes,
                     struct save_run *run)
{
    uint64_t length;

    if (sizeof(*run) > end - f->at) return wrong(f, "a run of pages is cut off");
    memcpy(run, f->bytes + f->at, sizeof(*run));
    f->at += sizeof(*run);
    if (run->pages == 0 || run->pages > SAVE_RUN_PAGES || run->offset % PAGE_BYTES)
        return wrong(f, "a run of pages makes no sense");
    length = (uint64_t)run->pages * PAGE_BYTES;
    if (length > end - f->at) return wrong(f, "a run of pages is cut off");
    if (run->offset < *next || run->offset > bytes || length > bytes - run->offset)
        return wrong(f, "a run of pages lies outside memory");
    *next = run->offset + length;
    return true;
}

bool save_load_memory(struct save_file *f, const char *name, uint8_t *memory, uint64_t bytes)
{
    struct save_section s;
    uint64_t end, next = 0;

    if (!section_next(f, name, 0, 1, 0, &s)) return false;
    end = f->at + s.bytes;
    while (f->at < end) {
        struct save_run run;
        uint64_t length;

        if (!run_next(f, end, &next, bytes, &run)) return false;
        length = (uint64_t)run.pages * PAGE_BYTES;
        memcpy(memory + run.offset, f->bytes + f->at, length);
        if (run.crc != crc32c(0, memory + run.offset, length))
            return wrong(f, "a run of pages is damaged");
        f->at += length;
    }
    return true;
}

/* Sections of memory have no layout; each of their runs has its own CRC. */
bool save_check(struct save_file *f)
{
    while (f->at < f->size_bytes) {
        struct save_section s;
        struct save_run run;
        uint64_t end, next = 0, length;

        if (!section_any(f, &s)) return false;
        where_put(f, s.name);
        end = f->at + s.bytes;
        if (s.layout != 0 && s.data_crc != crc32c(0, f->bytes + f->at, s.bytes))
            return wrong(f, "the section is damaged");
        while (s.layout == 0 && f->at < end) {
            if (!run_next(f, end, &next, ~(uint64_t)0, &run)) return false;
            length = (uint64_t)run.pages * PAGE_BYTES;
            if (run.crc != crc32c(0, f->bytes + f->at, length))
                return wrong(f, "a run of pages is damaged");
            f->at += length;
        }
        f->at = end;
    }
    return true;
}

bool save_close(struct save_file *f)
{
    memcpy(f->where, "end", sizeof("end"));
    return f->at == f->size_bytes || wrong(f, "the file holds more than this VM has");
}
