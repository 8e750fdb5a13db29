/*
 * A ghost of the TLBs and guest TLBs: an extent is noted when entries that led to it are cleared,
 * and struck out for a CPU when that really flushes: write_cr3 for HostSpaces, the backend's
 * flush_all for GuestSpaces. Any CPU may have had the translation, as for the kernel's epochs.
 * Epochs are read to find a CPU that acknowledges what it has not flushed, debts never. May call:
 * nothing but the functions it stands before.
 */
#include "requires_flush.h"
#include "object/objects.h"
#include "object/space.h"
#include "core/epoch.h"

#define STALES   256u /* what is more is not looked at */
#define ALL_CPUS ((1u << epoch_cpus) - 1u)

static struct stale {
    uint64_t pfn, pages;
    uint64_t epoch; /* first that can have been charged since */
    uint32_t space, kind;
    uint32_t cpus; /* that have not flushed since */
    bool detaching;
} stales[STALES];
static uint32_t count;

static bool overlap(const struct stale *s, uint64_t pfn, uint64_t pages)
{
    return s->pfn < pfn + pages && pfn < s->pfn + s->pages;
}

void stale_cleared(uint32_t space, uint64_t pfn, uint64_t pages, bool detaching)
{
    struct stale now = {pfn, pages, epoch_now + 1u, space, spaces[space].kind, ALL_CPUS, detaching};

    for (struct stale *s = stales; s < stales + count; s++) {
        if (s->space != space || s->detaching != detaching) continue;
        if (s->pfn == pfn && s->pages == pages) {
            *s = now;
            return;
        }
        if (s->pfn + s->pages == pfn && s->epoch == now.epoch && s->cpus == ALL_CPUS) {
            s->pages += pages;
            return;
        }
    }
    if (count < STALES) stales[count++] = now;
}

void stale_detached(uint32_t space, uint64_t pfn, uint64_t pages)
{
    for (struct stale *s = stales; s < stales + count; s++)
        if (s->space == space && overlap(s, pfn, pages)) s->detaching = false;
}

void stale_flushed(uint32_t kind)
{
    for (uint32_t i = count; i-- > 0;) {
        if (stales[i].kind == kind) stales[i].cpus &= ~(1u << percpu()->cpu);
        if (stales[i].cpus == 0) stales[i] = stales[--count];
    }
}

void stale_none(const char *what, uint64_t pfn, uint64_t pages, bool shared)
{
    for (const struct stale *s = stales; s < stales + count; s++)
        if (overlap(s, pfn, pages) && !(shared && s->detaching))
            stale_found(s->pfn > pfn ? s->pfn : pfn, s->kind == SPACE_HOST ? "host" : "guest",
                        s->space, (uint32_t)__builtin_ctz(s->cpus), what);
}

void stale_acknowledged(void)
{
    for (const struct stale *s = stales; s < stales + count; s++)
        for (uint32_t i = 0; i < epoch_cpus; i++)
            if ((s->cpus >> i & 1u) != 0 && epoch_cpu[i] >= s->epoch)
                stale_found(s->pfn, s->kind == SPACE_HOST ? "host" : "guest", s->space, i,
                            "it acknowledges that");
}

/* The private slot's entries, which the glue writes itself. */
REAL(space_private);
void __wrap_space_private(uint32_t space, uint64_t va, uint32_t page)
{
    uint64_t old = tables[space + HOST_PRIVATE][va / 4096u % 512u];

    if (old != 0) stale_cleared(space, ptab_entry_pfn(old), 1, false);
    if (page != 0) stale_none("it is a vCPU's again", pool_pfn + page, 1, false);
    __real_space_private(space, va, page);
}
