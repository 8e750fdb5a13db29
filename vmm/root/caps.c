/* Root's capabilities; see caps.h. */
#include "caps.h"
#include <stddef.h>
#include "log.h"
#include "patience.h"
#include "service.h"

static uint64_t next_slot;

uint64_t slots_left(void)
{
    if (next_slot == 0) next_slot = info()->free_slot;
    return next_slot < info()->cnode_slots ? info()->cnode_slots - next_slot : 0;
}

uint64_t slots_take(uint64_t count)
{
    uint64_t first;

    if (count > slots_left()) return 0;
    first = next_slot;
    next_slot += count;
    return first;
}

const char *error_name(uint64_t err)
{
    static const char *const names[] = {
        [BH_OK] = "no error",
        [BH_ERR_CAP] = "no such capability",
        [BH_ERR_RIGHTS] = "right missing",
        [BH_ERR_METHOD] = "no such method",
        [BH_ERR_RANGE] = "argument out of range",
        [BH_ERR_SLOT] = "slot not free",
        [BH_ERR_MEMORY] = "not enough memory",
        [BH_ERR_TABLES] = "not enough page tables",
        [BH_ERR_BUSY] = "still in use",
        [BH_ERR_STATE] = "not in a state that allows it",
        [BH_ERR_CPU] = "lives on another CPU",
        [BH_ERR_PREEMPTED] = "preempted",
        [BH_ERR_TIMEOUT] = "timeout",
        [BH_ERR_MAPPED] = "something is mapped there",
        [BH_ERR_ABORTED] = "aborted",
        [BH_ERR_UNSUPPORTED] = "not supported by this machine",
        [BH_ERR_LIMIT] = "limit reached",
    };

    return err < sizeof(names) / sizeof(names[0]) ? names[err] : "unknown error";
}

uint64_t retype(uint64_t untyped, unsigned type, unsigned size_bits, unsigned cpu, uint64_t count,
                uint64_t slot)
{
    uint64_t err;

    do
        err = bh_untyped_retype(untyped, BH_DESC(type, size_bits, cpu), count, BH_SLOT_CNODE, slot)
                  .err;
    while (err == BH_ERR_PREEMPTED);
    return err;
}

/* A flush that is owed is done by the other CPUs within microseconds, unless a machine below us
 * holds them up; more than ten seconds mean that BUSY has another reason. */
static bool busy_retry(uint64_t *give_up)
{
    uint64_t now = rt_tsc();

    if (*give_up == 0) *give_up = now + (uint64_t)info()->tsc_khz * 10000u;
    bh_yield();
    return now < *give_up;
}

uint64_t scrub(uint64_t untyped, uint64_t enough_bytes)
{
    uint64_t err, give_up = 0;

    for (;;) {
        if (bh_untyped_left(untyped).value >= enough_bytes) return BH_OK;
        (void)patient_tsc(); /* this is root's own time, and counts for others' deadlines */
        err = bh_untyped_scrub(untyped).err;
        if (err == BH_ERR_PREEMPTED || (err == BH_ERR_BUSY && busy_retry(&give_up))) continue;
        return err;
    }
}

uint64_t carve(uint64_t frame, uint64_t offset_pages, uint64_t pages, uint64_t slot)
{
    uint64_t err, give_up = 0;

    do err = bh_frame_carve(frame, offset_pages, pages, BH_SLOT_CNODE, slot).err;
    while (err == BH_ERR_BUSY && busy_retry(&give_up));
    return err;
}

uint64_t slot_delete(uint64_t slot)
{
    uint64_t err, give_up = 0;

    if (bh_cnode_type(BH_SLOT_CNODE, slot).value == 0) return BH_OK;
    do err = bh_cnode_delete(BH_SLOT_CNODE, slot).err;
    while (err == BH_ERR_PREEMPTED || (err == BH_ERR_BUSY && busy_retry(&give_up)));
    return err;
}

struct revoking {
    uint64_t slot;
    unsigned cpu; /* where the object lives that the revoke has come to */
};

/* As far as this CPU gets. */
static uint64_t revoke_here(void *arg)
{
    struct revoking *r = arg;
    struct bh_result result;
    uint64_t give_up = 0;

    do {
        result = bh_cnode_revoke(BH_SLOT_CNODE, r->slot);
        if (result.err == BH_ERR_PREEMPTED) give_up = 0; /* it has got further */
    } while (result.err == BH_ERR_PREEMPTED || (result.err == BH_ERR_BUSY && busy_retry(&give_up)));
    if (result.err == BH_ERR_CPU) r->cpu = (unsigned)result.value;
    return result.err;
}

uint64_t slot_revoke(uint64_t slot, unsigned cpu)
{
    struct revoking r = {slot, cpu};
    uint64_t err = BH_ERR_CPU;

    /* Each turn takes an object at least, since none waits for one on another CPU (vm.c). */
    for (unsigned i = 0; i < info()->cnode_slots && err == BH_ERR_CPU; i++)
        err = on_cpu(r.cpu, revoke_here, &r);
    if (err) say("revoke of slot %lu on CPU %u: %s", slot, r.cpu, error_name(err));
    return err;
}

uint64_t attach(uint64_t frame, uint64_t space, uint64_t rights, uint64_t slot)
{
    uint64_t err, give_up = 0;

    do err = bh_frame_attach(frame, space, rights, BH_SLOT_CNODE, slot).err;
    while (err == BH_ERR_BUSY && busy_retry(&give_up));
    return err;
}

uint64_t map(uint64_t attachment, uint64_t va, uint64_t offset_pages, uint64_t pages,
             uint64_t flags)
{
    while (pages) {
        uint64_t n = rt_map_pages(va, pages);
        struct bh_result r = bh_attach_map(attachment, va, offset_pages << 12 | flags, n);

        if (r.err == BH_ERR_PREEMPTED)
            n = r.value;
        else if (r.err != BH_OK)
            return r.err;
        va += n * PAGE;
        offset_pages += n;
        pages -= n;
    }
    return BH_OK;
}
