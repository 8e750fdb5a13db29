/*
 * The guest's page tables as the processor would walk them (Intel SDM vol. 3A, chapter 4), to fetch
 * instructions and string operands. Reads what the guest can read itself; accessed and dirty bits
 * are set for operands (walk_allowed()). May call: memory_seen().
 */
#include "monitor.h"
#include "string.h"

#define PTE_PRESENT  1u
#define PTE_WRITE    2u
#define PTE_USER     4u
#define PTE_ACCESSED 0x20u
#define PTE_DIRTY    0x40u
#define PTE_LARGE    0x80u
#define ADDR_MASK    0x000ffffffffff000ull

#define LEVELS     4u
#define MARK_TRIES 16u

/* The entries that have led to a page, as they were. */
struct way {
    uint64_t gpa[LEVELS], value[LEVELS];
    unsigned count, size; /* of each, in bytes */
};

/* @param way NULL: nobody wants to know */
static bool entry_at(uint64_t gpa, unsigned size, uint64_t *entry, struct way *way)
{
    const void *p = memory_seen(gpa, size, false);

    *entry = 0;
    if (p) memcpy(entry, p, size);
    if (way) {
        way->gpa[way->count] = gpa;
        way->value[way->count++] = *entry;
        way->size = size;
    }
    return *entry & PTE_PRESENT;
}

/* Two levels of 32-bit entries. */
static bool walk_32(uint32_t linear, uint64_t cr3, bool pse, uint64_t *gpa, uint64_t *rights,
                    struct way *way)
{
    uint64_t e;

    if (!entry_at((cr3 & 0xfffff000u) + (linear >> 22) * 4u, 4, &e, way)) return false;
    *rights &= e;
    if (pse && (e & PTE_LARGE)) {
        *gpa = (e & 0xffc00000u) | (e & 0x1fe000u) << 19 | (linear & 0x3fffffu);
        return true;
    }
    if (!entry_at((e & 0xfffff000u) + (linear >> 12 & 0x3ffu) * 4u, 4, &e, way)) return false;
    *rights &= e;
    *gpa = (e & 0xfffff000u) | (linear & 0xfffu);
    return true;
}

/* @rights: PTE_WRITE and PTE_USER as far as every level grants them. */
static bool walk_rights(uint64_t linear, uint64_t *gpa, uint64_t *rights, struct way *way)
{
    const struct bh_vcpu_state *s = &page()->state;
    uint64_t table = s->cr3 & ADDR_MASK, e;
    unsigned shift = 39;

    *rights = PTE_WRITE | PTE_USER;
    if (!(s->cr0 & CR0_PG)) {
        *gpa = linear & 0xffffffffu;
        return true;
    }
    if (!(s->cr4 & CR4_PAE))
        return walk_32((uint32_t)linear, s->cr3, (s->cr4 & CR4_PSE) != 0, gpa, rights, way);
    if (!(s->efer & EFER_LMA)) {
        linear &= 0xffffffffu;
        if (!entry_at((s->cr3 & 0xffffffe0u) + (linear >> 30) * 8u, 8, &e, NULL)) return false;
        table = e & ADDR_MASK;
        shift = 21;
    }
    for (;; shift -= 9u) {
        uint64_t below = ((uint64_t)1 << shift) - 1u;

        if (!entry_at(table + (linear >> shift & 0x1ffu) * 8u, 8, &e, way)) return false;
        *rights &= e;
        if (shift == 39u && (e & PTE_LARGE)) return false; /* reserved in a PML4 entry */
        if (shift == 12u || (e & PTE_LARGE)) {
            *gpa = (e & ADDR_MASK & ~below) | (linear & below);
            return true;
        }
        table = e & ADDR_MASK;
    }
}

bool walk(uint64_t linear, uint64_t *gpa)
{
    uint64_t rights;

    return walk_rights(linear, gpa, &rights, NULL);
}

/* 4.8: accessed in each entry, dirty in the last one. @return false: one has changed since */
static bool mark(const struct way *way, bool write)
{
    for (unsigned i = 0; i < way->count; i++) {
        uint64_t old = way->value[i];
        uint64_t marked = old | PTE_ACCESSED | (write && i + 1u == way->count ? PTE_DIRTY : 0);
        uint32_t old_32 = (uint32_t)old;
        void *p = marked == old ? NULL : memory_seen(way->gpa[i], way->size, true);

        if (!p) continue; /* is so, or lies in ROM */
        if (!(way->size == 8u
                  ? __atomic_compare_exchange_n((uint64_t *)p, &old, marked, false,
                                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
                  : __atomic_compare_exchange_n((uint32_t *)p, &old_32, (uint32_t)marked, false,
                                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)))
            return false;
    }
    return true;
}

static bool allows(uint64_t rights, bool user, bool write)
{
    const struct bh_vcpu_state *s = &page()->state;

    if (!(s->cr0 & CR0_PG)) return true;
    if (user) return (rights & PTE_USER) && (!write || (rights & PTE_WRITE));
    return (!write || (rights & PTE_WRITE) || !(s->cr0 & CR0_WP)) &&
           (!(rights & PTE_USER) || !(s->cr4 & CR4_SMAP) || (page()->rflags & RFLAGS_AC));
}

bool walk_allowed(uint64_t linear, bool write, uint64_t *gpa, unsigned *code)
{
    bool user = (page()->state.seg[BH_SS].attr >> 5 & 3u) == 3u;

    *code = (user ? PF_USER : 0) | (write ? PF_WRITE : 0);
    /* A guest that never stops changing an entry has it as it likes. */
    for (unsigned i = 0; i < MARK_TRIES; i++) {
        struct way way = {.count = 0};
        uint64_t rights;

        if (!walk_rights(linear, gpa, &rights, &way)) return false;
        if (!allows(rights, user, write)) {
            *code |= PF_PRESENT;
            return false;
        }
        if (mark(&way, write)) break;
    }
    return true;
}

/* ---- the page that code was last fetched from ---- */

void code_page_remember(uint64_t linear)
{
    struct code_page *c = &self()->code_page;
    uint64_t table = page()->state.cr3 & ADDR_MASK, gpa;
    unsigned shift = 39;

    c->bytes = NULL;
    if (!mode_64() || !walk(linear, &gpa)) return;
    for (unsigned i = 0; i < LEVELS; i++, shift -= 9u) {
        const uint64_t *e = memory_seen(table + (linear >> shift & 0x1ffu) * 8u, sizeof(*e), false);

        if (!e) return;
        c->entry[i] = e;
        c->value[i] = *e;
        if (shift < 39u && shift > 12u &&
            (*e & PTE_LARGE)) { /* a leaf above the last level: repeat it */
            for (; i < LEVELS; i++) {
                c->entry[i] = e;
                c->value[i] = *e;
            }
            break;
        }
        table = *e & ADDR_MASK;
    }
    /* The guest's other CPUs may change tables at any time: what counts is the walk made after the
     * entries were noted. */
    if (!walk(linear, &gpa)) return;
    c->cr3 = page()->state.cr3;
    c->page = linear >> 12;
    c->bytes = memory_seen(gpa & ~(uint64_t)4095u, 4096, false);
}

/* Bytes from @linear to the end of its page, or @n. */
static size_t in_page(uint64_t linear, size_t n)
{
    size_t room = 4096u - (linear & 4095u);

    return n < room ? n : room;
}

static void *linear_ptr(uint64_t linear, size_t n, bool write)
{
    uint64_t gpa;

    return walk(linear, &gpa) ? memory_seen(gpa, n, write) : NULL;
}

size_t linear_read(uint64_t linear, void *buf, size_t n)
{
    size_t done = 0;

    while (done < n) {
        size_t part = in_page(linear + done, n - done);
        const void *p = linear_ptr(linear + done, part, false);

        if (!p) break;
        memcpy((uint8_t *)buf + done, p, part);
        done += part;
    }
    return done;
}

size_t linear_write(uint64_t linear, const void *buf, size_t n)
{
    size_t done = 0;

    while (done < n) {
        size_t part = in_page(linear + done, n - done);
        void *p = linear_ptr(linear + done, part, true);

        if (!p) break;
        memcpy(p, (const uint8_t *)buf + done, part);
        done += part;
    }
    return done;
}
