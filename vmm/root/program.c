/* The monitor's program; see program.h. */
#include "program.h"
#include "archive.h"
#include "caps.h"
#include "elf.h"
#include "layout.h"
#include "log.h"
#include "string.h"
#include "bulkhead/monitor.h"

_Static_assert(BH_MONITOR_PROGRAM_BYTES <= ROOT_LOAD_BYTES, "the window takes all of it");

static const uint8_t *elf;
static uint64_t elf_bytes, pages;
static struct elf_header header;

static struct elf_segment segment(unsigned i)
{
    struct elf_segment p;

    memcpy(&p, elf + header.phoff + i * sizeof(p), sizeof(p));
    return p;
}

static bool segment_valid(const struct elf_segment *p)
{
    uint64_t at = p->vaddr - BH_MONITOR_BASE;

    return p->vaddr >= BH_MONITOR_BASE && p->vaddr % PAGE == 0 &&
           p->memsz <= BH_MONITOR_PROGRAM_BYTES && at <= BH_MONITOR_PROGRAM_BYTES - p->memsz &&
           p->filesz <= p->memsz && p->offset <= elf_bytes && p->filesz <= elf_bytes - p->offset &&
           (p->flags & (ELF_WRITE | ELF_EXEC)) != (ELF_WRITE | ELF_EXEC);
}

bool program_open(void)
{
    const struct archive_file *f = archive_find("monitor");

    if (!f || f->bytes > ROOT_MONITOR_BYTES || f->bytes < sizeof(header)) {
        say("boot archive: no file \"monitor\", or not of a size that can be");
        return false;
    }
    elf = archive_map(f, ROOT_MONITOR);
    elf_bytes = f->bytes;
    if (!elf) return false;
    memcpy(&header, elf, sizeof(header));
    if (memcmp(header.ident, "\177ELF\2\1\1", 7) || header.machine != ELF_X86_64 ||
        header.phentsize != sizeof(struct elf_segment) || header.phnum > ELF_PH_MAX ||
        header.phoff > elf_bytes ||
        header.phnum * sizeof(struct elf_segment) > elf_bytes - header.phoff) {
        say("monitor: not an ELF64 program for x86-64");
        return false;
    }
    for (unsigned i = 0; i < header.phnum; i++) {
        struct elf_segment p = segment(i);
        uint64_t end = p.vaddr + p.memsz - BH_MONITOR_BASE;

        if (p.type != ELF_LOAD || p.memsz == 0) continue;
        if (!segment_valid(&p)) {
            say("monitor: bad segment at 0x%lx", p.vaddr);
            return false;
        }
        if (pages < (end + PAGE - 1u) / PAGE) pages = (end + PAGE - 1u) / PAGE;
    }
    return pages != 0;
}

uint64_t program_pages(void) { return pages; }

uint64_t program_entry(void) { return header.entry; }

static uint64_t load_segment(const struct elf_segment *p, uint64_t attachment)
{
    uint64_t flags = (p->flags & ELF_READ ? BH_MAP_READ : 0) |
                     (p->flags & ELF_WRITE ? BH_MAP_WRITE : 0) |
                     (p->flags & ELF_EXEC ? BH_MAP_EXEC : 0);
    uint64_t at = p->vaddr - BH_MONITOR_BASE;

    memcpy((void *)(ROOT_LOAD + at), elf + p->offset, p->filesz);
    return map(attachment, p->vaddr, at / PAGE, (p->memsz + PAGE - 1u) / PAGE, flags);
}

uint64_t program_load(uint64_t frame, uint64_t attachment, uint64_t window)
{
    uint64_t err = attach(frame, BH_SLOT_HOSTSPACE, BH_RIGHT_READ | BH_RIGHT_WRITE, window);

    if (!err) err = map(window, ROOT_LOAD, 0, pages, BH_MAP_READ | BH_MAP_WRITE);
    for (unsigned i = 0; i < header.phnum && !err; i++) {
        struct elf_segment p = segment(i);

        if (p.type == ELF_LOAD && p.memsz) err = load_segment(&p, attachment);
    }
    /* Nobody writes to the monitor's text from now on. */
    return err ? err : slot_delete(window);
}
