/* The memory that VMs are saved to; see vm_store.h. */
#include "vm_store.h"
#include "string.h"
#include "vm_parts.h"

bool vm_store_make(struct vm *vm)
{
    uint64_t slot = vm->slots + VS_STORE, pages = vm_store_bytes(vm->config) / PAGE;
    uint64_t err = BH_ERR_MEMORY;

    if (bh_cnode_type(BH_SLOT_CNODE, slot).value) return true;
    for (unsigned i = 0; i < info()->funtyped_count && err; i++)
        err =
            retype(BH_SLOT_FUNTYPED + i, BH_CAP_FRAME, log2_up(LARGE_BYTES / PAGE), 0, pages, slot);
    return !vm_failed(vm, "store", err);
}

bool vm_store_show(struct vm *vm, bool writable)
{
    uint64_t slot = vm->slots + VS_STORE_MONITOR, err = slot_delete(slot);
    uint64_t rights = BH_RIGHT_READ | (writable ? BH_RIGHT_WRITE : 0);
    uint64_t flags = BH_MAP_READ | (writable ? BH_MAP_WRITE : 0);

    if (!err) err = attach(vm->slots + VS_STORE, vm->slots + VS_HOSTSPACE, rights, slot);
    if (!err) err = map(slot, vm->store_va, 0, vm_store_bytes(vm->config) / PAGE, flags);
    return !vm_failed(vm, "store", err);
}

/* Nothing of it stays mapped. */
static bool copy(struct vm *vm, uint64_t offset, uint32_t bytes, void *to, const void *from)
{
    uint64_t window = vm->slots + VS_STORE_ROOT, first = offset / PAGE;
    uint64_t pages = round_up(offset % PAGE + bytes, PAGE) / PAGE, err;
    uint8_t *at = (uint8_t *)(ROOT_STORE + offset % PAGE);
    bool ok;

    if (bytes > VM_STORE_COPY_BYTES || offset > vm_store_bytes(vm->config) ||
        bytes > vm_store_bytes(vm->config) - offset)
        return false;
    err = attach(vm->slots + VS_STORE, BH_SLOT_HOSTSPACE, BH_RIGHT_READ | BH_RIGHT_WRITE, window);
    if (!err) err = map(window, ROOT_STORE, first, pages, BH_MAP_READ | BH_MAP_WRITE);
    ok = !vm_failed(vm, "store", err);
    if (ok && to) memcpy(to, at, bytes);
    if (ok && from) memcpy(at, from, bytes);
    return !vm_failed(vm, "store", slot_delete(window)) && ok;
}

bool vm_store_read(struct vm *vm, uint64_t offset, void *to, uint32_t bytes)
{
    return copy(vm, offset, bytes, to, NULL);
}

bool vm_store_write(struct vm *vm, uint64_t offset, const void *from, uint32_t bytes)
{
    return vm_make_slots(vm) && vm_store_make(vm) && copy(vm, offset, bytes, NULL, from);
}
