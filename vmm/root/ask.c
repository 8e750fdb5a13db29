/* Questions to a monitor; see ask.h. */
#include "ask.h"
#include "caps.h"
#include "patience.h"
#include "string.h"

#define ANSWER_MS 1000u

/* What a monitor may say; all else is root's to say. */
#define BIT(status) (1u << BH_WIRE_##status)
#define STATUSES                                                                                   \
    (BIT(OK) | BIT(NO_VERB) | BIT(BAD_REQUEST) | BIT(NO_DEVICE) | BIT(NO_STORE) |                  \
     BIT(STORE_FULL) | BIT(CHANGED) | BIT(PAUSED) | BIT(BAD_FILE))

_Static_assert(BH_WIRE_STATUSES <= 32, "a bit each");

bool ask_free(const struct vm *vm)
{
    if (patient_tsc() > vm->ask_deadline_tsc) return true;
    return !vm->asker && __atomic_load_n(&vm->control->reply, __ATOMIC_RELAXED) == vm->asked;
}

void ask(struct vm *vm, const void *asker, enum bh_control_verb verb,
         const uint64_t args[BH_CONTROL_ARGS], const void *in, uint32_t in_bytes)
{
    struct bh_control *c = vm->control;

    if (in_bytes > BH_CONTROL_IN_BYTES) in_bytes = BH_CONTROL_IN_BYTES;
    c->verb = verb;
    for (unsigned i = 0; i < BH_CONTROL_ARGS; i++) c->args[i] = args ? args[i] : 0;
    c->in_bytes = in_bytes;
    if (in_bytes) memcpy(c->in, in, in_bytes);
    vm->asker = asker;
    vm->asked++;
    vm->ask_deadline_tsc = patient_tsc() + (uint64_t)info()->tsc_khz * ANSWER_MS;
    __atomic_store_n(&c->request, vm->asked, __ATOMIC_RELEASE);
    vm_signal_control(vm);
}

void ask_forget(struct vm *vm, const void *asker)
{
    if (vm->asker == asker) vm->asker = NULL;
}

bool ask_answered(struct vm *vm, const void *asker, struct ask_answer *answer, void *out,
                  uint32_t out_room)
{
    const volatile struct bh_control *c = vm->control;
    uint32_t bytes;

    *answer = (struct ask_answer){.status = BH_WIRE_NO_ANSWER};
    if (vm->asker != asker) return true; /* another question has taken its place */
    if (__atomic_load_n(&c->reply, __ATOMIC_ACQUIRE) != vm->asked)
        return patient_tsc() > vm->ask_deadline_tsc;
    vm->asker = NULL;
    answer->status = c->status;
    if (answer->status >= BH_WIRE_STATUSES || !(STATUSES >> answer->status & 1u))
        answer->status = BH_WIRE_NO_ANSWER;
    for (unsigned i = 0; i < BH_CONTROL_ARGS; i++) answer->values[i] = c->values[i];
    bytes = c->out_bytes;
    answer->out_bytes = bytes < out_room ? bytes : out_room;
    if (answer->out_bytes > BH_CONTROL_OUT_BYTES) answer->out_bytes = BH_CONTROL_OUT_BYTES;
    if (answer->out_bytes) memcpy(out, (const void *)vm->control->out, answer->out_bytes);
    return true;
}
