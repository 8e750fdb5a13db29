/*
 * What bhctl asks about saved VMs: saving to the store, restoring from it, and moving what is in it
 * to and from a file of bhctl's. Whether that is a VM, and this one, the VM's monitor says; root
 * never looks. May call: ask.h, life.h, vm_store.h.
 */
#include "ask.h"
#include "caps.h"
#include "control.h"
#include "elastic.h"
#include "life.h"
#include "log.h"
#include "patience.h"
#include "string.h"
#include "vm_store.h"

#define PROGRESS_US 1000000u

static uint64_t after_us(uint64_t us)
{
    return patient_tsc() + (uint64_t)info()->tsc_khz * us / 1000u;
}

/* The longest file of a saved VM. */
static uint64_t most_bytes(const struct vm *vm) { return (uint64_t)vm->config->save_mib << 20; }

/* The monitor goes through all that the guest uses: it has a minute for each GiB, and one more. */
static void ask_patiently(struct control_call *c, enum bh_control_verb what,
                          const uint64_t args[BH_CONTROL_ARGS])
{
    ask(c->vm, c, what, args, NULL, 0);
    c->vm->ask_deadline_tsc = after_us((c->vm->config->memory_mib / 1024u + 2u) * 60000000ull);
}

/* Each second a part of so many zeros says that it goes on. */
static int go_on(struct control_call *c, uint32_t zeros)
{
    if (patient_tsc() >= c->pause_tsc) {
        c->pause_tsc = after_us(PROGRESS_US);
        memset(c->out, 0, zeros);
        c->out_bytes = zeros;
    }
    return CONTROL_GO_ON;
}

int control_save(struct control_call *c)
{
    struct ask_answer answer;

    switch (c->step) {
    case 0:
        if (c->vm->config->save_mib == 0) return BH_WIRE_NO_STORE;
        if (!ask_free(c->vm)) return ask_wait(c);
        if (!vm_store_show(c->vm, true)) return BH_WIRE_NO_STORE;
        ask_patiently(c, BH_CONTROL_SAVE, NULL);
        /* What was there is being overwritten, and what was on its way there does not go on. */
        c->vm->saved_bytes = c->vm->store_taken = 0;
        c->step = 1;
        return CONTROL_GO_ON;
    case 1:
        if (!ask_answered(c->vm, c, &answer, NULL, 0)) return go_on(c, sizeof(uint64_t));
        if (answer.status != BH_WIRE_NO_ANSWER) (void)vm_store_show(c->vm, false);
        if (answer.status != BH_WIRE_OK) return (int)answer.status;
        if (answer.values[0] > most_bytes(c->vm)) return BH_WIRE_NO_ANSWER;
        c->vm->saved_bytes = answer.values[0];
        memcpy(c->out, &answer.values[0], sizeof(answer.values[0]));
        c->out_bytes = sizeof(answer.values[0]);
        c->step = 2;
        return CONTROL_GO_ON;
    default: return BH_WIRE_OK;
    }
}

enum { RESTORE_LOOK, RESTORE_LOOKED, RESTORE_MAKE, RESTORE_MADE, RESTORE_REFUSED };

/* Why not, in words of a monitor's, for people's terminals; then the end. */
static int refused(struct control_call *c, const char *text, uint32_t bytes)
{
    if (bytes >= BH_WIRE_PAYLOAD_BYTES) bytes = BH_WIRE_PAYLOAD_BYTES - 1u;
    for (uint32_t i = 0; i < bytes; i++)
        c->out[i] = text[i] == '\0' || (text[i] >= ' ' && text[i] <= '~') ? (uint8_t)text[i] : '?';
    c->out[bytes] = '\0';
    c->out_bytes = bytes + 1u;
    c->step = RESTORE_REFUSED;
    return CONTROL_GO_ON;
}

/* A VM that lives and would not go on from what is in the store is left alone. */
int control_restore(struct control_call *c)
{
    const uint64_t args[BH_CONTROL_ARGS] = {c->vm->saved_bytes};
    struct ask_answer answer;
    char text[BH_CONTROL_TEXT_BYTES] = "";
    uint32_t status;

    if (c->vm->config->save_mib == 0) return BH_WIRE_NO_STORE;
    if (c->vm->saved_bytes == 0) return BH_WIRE_NOT_SAVED;
    switch (c->step) {
    case RESTORE_LOOK:
        if (vm_lives(c->vm) && !ask_free(c->vm)) return ask_wait(c);
        if (vm_lives(c->vm)) ask_patiently(c, BH_CONTROL_CHECK, args);
        c->step = vm_lives(c->vm) ? RESTORE_LOOKED : RESTORE_MAKE;
        return CONTROL_GO_ON;
    case RESTORE_LOOKED:
        if (vm_lives(c->vm) && !ask_answered(c->vm, c, &answer, text, sizeof(text)))
            return go_on(c, 1);
        if (vm_lives(c->vm) && answer.status == BH_WIRE_BAD_FILE)
            return refused(c, text, answer.out_bytes);
        c->step = RESTORE_MAKE; /* also when it hangs */
        return CONTROL_GO_ON;
    case RESTORE_MAKE:
        if (!elastic_can_restore(c->vm)) return BH_WIRE_NOT_MADE;
        status = life_restore(c->vm);
        if (status == BH_WIRE_NOT_STARTED) return control_not_started(c);
        if (status != BH_WIRE_OK) return (int)status;
        ask_patiently(c, BH_CONTROL_HERE, NULL);
        c->step = RESTORE_MADE;
        return CONTROL_GO_ON;
    case RESTORE_MADE:
        if (!vm_lives(c->vm)) return refused(c, c->vm->reason, (uint32_t)strlen(c->vm->reason));
        return ask_answered(c->vm, c, &answer, NULL, 0) ? (int)answer.status : go_on(c, 1);
    default: return BH_WIRE_BAD_FILE;
    }
}

/* All of a VM's memory leaves the machine, or comes. */
static void record(const struct vm *vm, const char *event)
{
    audit_begin(event);
    audit_text("vm", vm->config->name);
    audit_number("bytes", vm->saved_bytes);
    audit_end();
}

/* at: bytes sent. */
int control_store_read(struct control_call *c)
{
    uint64_t left = c->vm->saved_bytes - c->at;

    if (c->vm->saved_bytes == 0) return BH_WIRE_NOT_SAVED;
    if (c->at >= c->vm->saved_bytes) return BH_WIRE_OK;
    if (c->at == 0) record(c->vm, "vm-store-read");
    c->out_bytes = left < BH_WIRE_PAYLOAD_BYTES ? (uint32_t)left : BH_WIRE_PAYLOAD_BYTES;
    if (!vm_store_read(c->vm, c->at, c->out, c->out_bytes)) return BH_WIRE_NO_STORE;
    c->at += c->out_bytes;
    return CONTROL_GO_ON;
}

/* A piece each, from the beginning to the end. Until all are there nothing is saved. */
int control_store_write(struct control_call *c)
{
    struct vm *vm = c->vm;
    struct bh_wire_piece piece;
    uint32_t bytes = c->in_bytes - (uint32_t)sizeof(piece);

    if (c->in_bytes <= sizeof(piece)) return BH_WIRE_BAD_REQUEST;
    memcpy(&piece, c->in, sizeof(piece));
    if (vm->config->save_mib == 0) return BH_WIRE_NO_STORE;
    if (piece.total > most_bytes(vm)) return BH_WIRE_STORE_FULL;
    if (piece.offset == 0) {
        /* Its monitor perhaps saves for somebody who has gone away. */
        if (vm_lives(vm) && !ask_free(vm)) return ask_wait(c);
        if (vm_lives(vm) && !vm_store_show(vm, false)) return BH_WIRE_NO_STORE;
        vm->saved_bytes = vm->store_taken = 0;
    }
    if (vm->saved_bytes != 0 || piece.offset != vm->store_taken || piece.offset > piece.total ||
        bytes > piece.total - piece.offset)
        return BH_WIRE_BAD_REQUEST;
    if (!vm_store_write(vm, piece.offset, c->in + sizeof(piece), bytes)) return BH_WIRE_NO_STORE;
    vm->store_taken += bytes;
    if (vm->store_taken == piece.total) {
        vm->saved_bytes = piece.total;
        record(vm, "vm-store-written");
    }
    return BH_WIRE_OK;
}
