/* Admission; see admit.h. */
#include "admit.h"
#include <stddef.h>
#include "caps.h"
#include "elastic.h"
#include "fmt.h"
#include "log.h"
#include "pieces.h"
#include "vm_parts.h"

#define PIECE_MIB 2ul

static struct vm *vms;
static unsigned vm_count;

void admit_init(struct vm *all, unsigned count)
{
    vms = all;
    vm_count = count;
}

/* @return whether @needs are there; else says so, @unit each of @what. */
static bool fits(struct vm *vm, uint64_t needs, uint64_t free, const char *unit, const char *what)
{
    if (needs <= free) return true;
    (void)fmt_buf(vm->reason, sizeof(vm->reason),
                  "vm %s: needs %lu%s%s, %lu%s are free: %lu%s too many", vm->config->name, needs,
                  unit, what, free, unit, needs - free, unit);
    say("%s", vm->reason);
    audit_begin("vm-refused");
    audit_text("vm", vm->config->name);
    audit_text("rule", "admission");
    audit_number("needs", needs);
    audit_number("free", free);
    audit_text("text", vm->reason);
    audit_end();
    return false;
}

/* Has it ended, and will not be started again by itself? */
static bool rests(const struct vm *vm)
{
    return !vm_lives(vm) && vm->state != VM_STARTING && !vm->has_ended;
}

/* The VM whose memory another may have. */
static struct vm *giver(uint64_t bytes)
{
    struct vm *best = NULL;

    for (unsigned i = 0; i < vm_count; i++) {
        struct vm *vm = &vms[i];

        if (!rests(vm) || vm->funtyped_bytes < bytes) continue;
        if (!best || vm->funtyped_bytes < best->funtyped_bytes) best = vm;
    }
    return best;
}

bool admit_inherit(struct vm *vm)
{
    struct vm *from = giver(vm_own_pages(vm->config) * PAGE);

    if (!from ||
        bh_cnode_move(BH_SLOT_CNODE, vm->slots + VS_FUNTYPED, from->slots + VS_FUNTYPED).err)
        return false;
    vm->funtyped_bytes = from->funtyped_bytes;
    from->funtyped_bytes = 0;
    return true;
}

/* What of a VM's memory finds no room, and what is left beside it. */
struct room {
    uint64_t own, store; /* bytes that find none */
    uint64_t most;       /* bytes left in one region */
    uint64_t pieces;     /* of 2 MiB, in all of them and in the pool */
};

/* The memory of its own, a store that it does not have yet, and up to 2 MiB each for alignment, in
 * the regions that are free. */
static struct room look_for_room(const struct vm *vm)
{
    uint64_t own = vm_own_pages(vm->config) * PAGE, store = vm_store_bytes(vm->config);
    uint64_t most = 0, pieces = pieces_pooled();
    bool own_placed = vm->funtyped_bytes != 0 || giver(own) != NULL;

    if (vm->slots && bh_cnode_type(BH_SLOT_CNODE, vm->slots + VS_STORE).value) store = 0;
    own = own_placed ? 0 : own + LARGE_BYTES;
    if (store) store += LARGE_BYTES;
    for (unsigned i = 0; i < info()->funtyped_count; i++) {
        uint64_t left = bh_untyped_left(BH_SLOT_FUNTYPED + i).value;

        if (own && own <= left) {
            left -= own;
            own = 0;
        }
        if (store && store <= left) {
            left -= store;
            store = 0;
        }
        if (left > most) most = left;
        pieces += pieces_in(left);
    }
    for (unsigned i = 0; own && i < vm_count; i++)
        if (rests(&vms[i]) && vms[i].funtyped_bytes > most) most = vms[i].funtyped_bytes;
    return (struct room){own, store, most, pieces};
}

static bool memory_fits(struct vm *vm)
{
    struct room r = look_for_room(vm);
    uint64_t needs = r.own + r.store;
    char what[64];

    if (needs && !fits(vm, (needs + MIB - 1u) / MIB, r.most / MIB, " MiB", " of memory"))
        return false;
    (void)fmt_buf(what, sizeof(what), " (others could give %lu)", elastic_spare(vm) * PIECE_MIB);
    return fits(vm, vm_pieces(vm->config) * PIECE_MIB, r.pieces * PIECE_MIB, " MiB", what);
}

uint64_t admit_lacks_pieces(const struct vm *vm)
{
    uint64_t needs = vm_pieces(vm->config), room = look_for_room(vm).pieces;

    return needs > room ? needs - room : 0;
}

/* Of those that run, and of those that are started with the system and are about to run again. */
static uint32_t floors_on(unsigned cpu, const struct vm *but)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < vm_count; i++) {
        const struct vm *vm = &vms[i];

        if (vm == but) continue;
        if (!vm_lives(vm) &&
            !(vm->config->start == MANIFEST_START_BOOT && vm->state == VM_STARTING))
            continue;
        for (unsigned n = 0; n < vm->config->cpus; n++)
            if (vcpu_cpu(vm, n) == cpu) sum += vm->config->floor_percent;
    }
    return sum;
}

static bool floors_fit(struct vm *vm)
{
    char what[32];

    for (unsigned n = 0; vm->config->floor_percent && n < vm->config->cpus; n++) {
        unsigned cpu = vcpu_cpu(vm, n), taken = floors_on(cpu, vm);
        uint32_t needs = 0;

        for (unsigned k = 0; k < vm->config->cpus; k++)
            if (vcpu_cpu(vm, k) == cpu) needs += vm->config->floor_percent;
        (void)fmt_buf(what, sizeof(what), " of CPU %u", cpu);
        if (!fits(vm, needs, taken < MANIFEST_MAX_FLOORS ? MANIFEST_MAX_FLOORS - taken : 0, " %",
                  what))
            return false;
    }
    return true;
}

bool admit(struct vm *vm)
{
    uint64_t kernel = vm->kuntyped_bytes ? 0 : vm_kernel_pages(vm->config) * PAGE;

    return fits(vm, vm->slots ? 0 : vm_slots(vm->config), slots_left(), "", " capability slots") &&
           fits(vm, kernel / 1024u, bh_untyped_left(BH_SLOT_KUNTYPED).value / 1024u, " KiB",
                " of kernel memory") &&
           floors_fit(vm) && memory_fits(vm);
}
