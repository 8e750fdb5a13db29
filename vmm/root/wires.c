/* Wires between VMs; see wires.h. */
#include "wires.h"
#include <stddef.h>
#include "bulkhead/wire_ring.h"
#include "caps.h"
#include "layout.h"
#include "log.h"
#include "string.h"
#include "vm_parts.h"

#define BOX_BYTES  BH_RING_BOX_BYTES(1u)
#define BOX_PAGES  (BOX_BYTES / PAGE)
#define CARD_BYTES (2u * BOX_BYTES) /* its own box, then the peer's */

_Static_assert(MANIFEST_WIRE_BYTES == CARD_BYTES, "rule memory-fits-host");
_Static_assert(BOX_BYTES <= ROOT_LOAD_BYTES, "the window takes all of it");
_Static_assert(MANIFEST_MAX_VM_WIRES == BH_MONITOR_WIRES, "rule wire-count");

static const struct manifest *manifest;
static struct vm *vms;
static uint64_t boxes;  /* slots: Frame of end e of wire n at + 2n + e */
static uint64_t window; /* slot: root's own sight of a box that is wiped */

uint64_t wires_memory_bytes(const struct manifest *m)
{
    return (uint64_t)m->wire_count * 2u * BOX_BYTES;
}

uint64_t wires_window_bytes(const struct manifest_vm *config)
{
    return (uint64_t)config->wire_count * CARD_BYTES;
}

bool wires_make(const struct manifest *m, struct vm *of)
{
    manifest = m;
    vms = of;
    if (m->wire_count == 0) return true;
    boxes = slots_take(2u * m->wire_count);
    window = slots_take(1);
    for (unsigned n = 0; boxes && n < 2u * m->wire_count; n++) {
        uint64_t err = BH_ERR_MEMORY;

        for (unsigned i = 0; i < info()->funtyped_count && err; i++)
            err = retype(BH_SLOT_FUNTYPED + i, BH_CAP_FRAME, 0, 0, BOX_PAGES, boxes + n);
        if (err) {
            say("wire %s: %s", m->wires[n / 2u].name, error_name(err));
            return false;
        }
    }
    return boxes != 0 && window != 0;
}

/* Card @n of a VM: which wire, which end of it. */
struct end {
    unsigned wire, end;
    struct vm *peer;
    unsigned peer_card;
};

static struct end end_of(const struct vm *vm, unsigned n)
{
    unsigned wire = vm->config->wires[n];
    const struct manifest_wire *w = &manifest->wires[wire];
    unsigned end = w->vm[0] == vm->number ? 0 : 1u;

    return (struct end){wire, end, &vms[w->vm[1u - end]], w->card[1u - end]};
}

const char *wires_name(const struct vm *vm, unsigned n)
{
    return manifest->wires[vm->config->wires[n]].name;
}

const struct vm *wires_peer(const struct vm *vm, unsigned n) { return end_of(vm, n).peer; }

static uint64_t map_box(struct vm *vm, unsigned box, uint64_t slot, uint64_t va, bool own)
{
    uint64_t rights = own ? BH_RIGHT_READ | BH_RIGHT_WRITE : BH_RIGHT_READ;
    uint64_t flags = own ? BH_MAP_READ | BH_MAP_WRITE : BH_MAP_READ;
    uint64_t err = attach(boxes + box, vm->slots + VS_HOSTSPACE, rights, slot);

    return err ? err : map(slot, va, 0, BOX_PAGES, flags);
}

bool wires_map(struct vm *vm, uint64_t va)
{
    for (unsigned n = 0; n < vm->config->wire_count; n++, va += CARD_BYTES) {
        const struct end e = end_of(vm, n);
        uint64_t slot = vm->slots + VS_WIRES + 2u * n;

        if (vm_failed(vm, "wire", map_box(vm, 2u * e.wire + e.end, slot, va, true)) ||
            vm_failed(vm, "wire",
                      map_box(vm, 2u * e.wire + 1u - e.end, slot + 1u, va + BOX_BYTES, false)))
            return false;
    }
    return true;
}

/* Nothing of what the VM has sent outlives it. What was sent to it is in its peer's box, where the
 * peer's monitor wipes it. The session goes first: who is copying a frame sees that it was wiped.
 */
static uint64_t wipe(unsigned box)
{
    struct bh_ring_header *h = (struct bh_ring_header *)ROOT_LOAD;
    uint64_t err = attach(boxes + box, BH_SLOT_HOSTSPACE, BH_RIGHT_READ | BH_RIGHT_WRITE, window);

    if (!err) err = map(window, ROOT_LOAD, 0, BOX_PAGES, BH_MAP_READ | BH_MAP_WRITE);
    if (!err) {
        __atomic_store_n(&h->session, 0, __ATOMIC_SEQ_CST);
        memset(h, 0, BOX_BYTES);
    }
    return err ? err : slot_delete(window);
}

uint64_t wires_unmap(struct vm *vm)
{
    uint64_t err = BH_OK;

    for (unsigned n = 0; n < 2u * vm->config->wire_count; n++) {
        uint64_t e = slot_delete(vm->slots + VS_WIRES + n);

        err = err ? err : e;
    }
    for (unsigned n = 0; n < vm->config->wire_count && !err; n++) {
        const struct end e = end_of(vm, n);

        err = wipe(2u * e.wire + e.end);
    }
    return err;
}

static uint32_t number_of(const struct vm *vm) { return vm_lives(vm) ? vm->starts : 0; }

void wires_fill_start(struct vm *vm, uint64_t va)
{
    vm->start->nwires = vm->config->wire_count;
    for (unsigned n = 0; n < vm->config->wire_count; n++, va += CARD_BYTES)
        vm->start->wires[n] = (struct bh_monitor_wire){
            .own_va = va,
            .peer_va = va + BOX_BYTES,
            .self = vm->starts,
            .peer = number_of(end_of(vm, n).peer),
            /* Locally administered (IEEE 802, 8.2.2), "bh", number of the VM, of its wire. */
            .mac = {0x02, 'b', 'h', (uint8_t)(vm->number >> 8), (uint8_t)vm->number,
                    (uint8_t)(MANIFEST_WIRE_MAC + n)},
        };
}

/* @vm can signal the peer at its card @n. */
static void give_signal(struct vm *vm, unsigned n, struct vm *peer, unsigned peer_card)
{
    (void)vm_failed(vm, "wire's signal",
                    bh_cnode_mint(vm->slots + VS_CNODE, BH_MONITOR_SLOT_WIRE + n,
                                  vcpu_slot(peer, 0, VC_NTFN), BH_RIGHT_WRITE,
                                  BH_MONITOR_SIGNAL_WIRE(peer_card))
                        .err);
}

static void tell(struct vm *peer, unsigned card, uint32_t number)
{
    __atomic_store_n(&peer->start->wires[card].peer, number, __ATOMIC_RELEASE);
    vm_signal_link(peer);
}

void wires_up(struct vm *vm)
{
    for (unsigned n = 0; n < vm->config->wire_count; n++) {
        const struct end e = end_of(vm, n);

        if (!vm_lives(e.peer)) continue;
        /* Both can signal before either believes that the other is there. */
        give_signal(vm, n, e.peer, e.peer_card);
        give_signal(e.peer, e.peer_card, vm, n);
        tell(e.peer, e.peer_card, vm->starts);
    }
}

void wires_down(struct vm *vm)
{
    for (unsigned n = 0; n < vm->config->wire_count; n++) {
        const struct end e = end_of(vm, n);

        if (vm_lives(e.peer)) tell(e.peer, e.peer_card, 0);
    }
}
