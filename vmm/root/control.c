/* The control channel; see control.h. */
#include "control.h"
#include <stddef.h>
#include "caps.h"
#include "fmt.h"
#include "log.h"
#include "string.h"
#include "wire.h"

/* Per call: the loop has other work. */
#define TAKE_MAX 1024u
#define SEND_MAX 1024u
/* A frame whose bytes stop coming is no frame; so long the line is looked at often. */
#define LISTEN_MS 1000u
/* What is to be said at the end of the system has so long. */
#define END_MS 300u

static struct wire_frame request, in, out;
static uint32_t out_bytes, out_sent;
static const struct control_verb *verb; /* being carried out; NULL: none */
static struct control_call call;
static uint64_t last_byte_tsc;
static bool present; /* the port exists */

void control_init(const struct control_system *system)
{
    present = serial_present(COM3);
    if (present) serial_init(COM3);
    call.system = system;
}

static void answer(enum bh_wire_kind kind, uint32_t status, uint32_t bytes)
{
    out.header = (struct bh_wire_header){.verb = request.header.verb,
                                         .sequence = request.header.sequence,
                                         .bytes = bytes,
                                         .status = status};
    out_bytes = wire_seal(&out, kind);
    out_sent = 0;
}

/* The VM whose name the payload begins with. */
static struct vm *find_vm(void)
{
    const char *name = (const char *)wire_payload(&request);

    if (request.header.bytes < BH_WIRE_NAME_BYTES || name[BH_WIRE_NAME_BYTES - 1u] != '\0')
        return NULL;
    for (unsigned i = 0; i < call.system->vm_count; i++)
        if (strcmp(call.system->vms[i].config->name, name) == 0) return &call.system->vms[i];
    return NULL;
}

/* Where what a verb answers goes. */
static void clear_part(void)
{
    call.out = wire_payload(&out);
    call.out_bytes = 0;
}

/* Does the manifest allow it? What changes something leaves a record in either case. */
static bool allowed(const struct control_verb *v)
{
    const struct subject *s = &call.system->host;
    const char *rule = rights_refuse(s, v->right, call.vm);
    char *text = (char *)call.out;

    if (rule || v->right == MANIFEST_MAY_LIFE || v->right == MANIFEST_MAY_STORE) {
        audit_begin(rule ? "refused" : "asked");
        audit_text("verb", v->name);
        if (call.vm) audit_text("vm", call.vm->config->name);
        audit_text("by", s->name);
        if (rule) audit_text("rule", rule);
        audit_end();
    }
    if (!rule) return true;
    call.out_bytes = (uint32_t)fmt_buf(text, 64, "%s", rule) + 1u;
    call.out_bytes += (uint32_t)fmt_buf(text + call.out_bytes, 128, "%s lacks \"%s\"", rule,
                                        rights_word(v->right)) +
                      1u;
    return false;
}

/* @return BH_WIRE_OK and the verb is to be run, or why not. */
static uint32_t accept(const struct control_verb *v)
{
    uint32_t skip = 0;

    while (v->number != 0 && v->number != request.header.verb) v++;
    if (v->number == 0) return BH_WIRE_NO_VERB;
    call.vm = NULL;
    if (v->whose != OF_SYSTEM) {
        if (request.header.bytes < BH_WIRE_NAME_BYTES) return BH_WIRE_BAD_REQUEST;
        call.vm = find_vm();
        if (!call.vm) return BH_WIRE_NO_VM;
        skip = BH_WIRE_NAME_BYTES;
    }
    if (!allowed(v)) return BH_WIRE_FORBIDDEN;
    if (v->whose == OF_LIVING_VM && !vm_lives(call.vm)) return BH_WIRE_NOT_RUNNING;
    call.in = wire_payload(&request) + skip;
    call.in_bytes = request.header.bytes - skip;
    call.step = 0;
    call.at = call.deadline_tsc = call.pause_tsc = 0;
    verb = v;
    return BH_WIRE_OK;
}

static void begin(void)
{
    uint32_t status;

    request = in;
    verb = NULL;
    clear_part();
    status =
        request.header.version == BH_WIRE_VERSION ? accept(control_verbs) : BH_WIRE_BAD_VERSION;
    if (status != BH_WIRE_OK) answer(BH_WIRE_END, status, call.out_bytes);
}

/* Between frames bhctl asks whether somebody listens. */
static bool enquiry(uint8_t byte)
{
    if (byte != BH_WIRE_ENQUIRY || (in.used != 0 && !in.whole)) return false;
    if (serial_room(COM3) != 0) serial_put(COM3, BH_WIRE_READY);
    return true;
}

/* @return true while more may be on its way. */
static bool take(void)
{
    bool listening =
        last_byte_tsc != 0 && rt_tsc() - last_byte_tsc <= (uint64_t)info()->tsc_khz * LISTEN_MS;
    int byte;

    if (!listening && !in.whole) in.used = 0;
    /* What is being sent is sent to its end: frames are never cut. */
    for (unsigned i = 0; i < TAKE_MAX && out_sent == out_bytes; i++) {
        byte = serial_get(COM3);
        if (byte < 0) break;
        last_byte_tsc = rt_tsc();
        listening = true;
        if (enquiry((uint8_t)byte)) continue;
        switch (wire_take(&in, (uint8_t)byte)) {
        case WIRE_FRAME:
            if (in.header.kind == BH_WIRE_REQUEST) begin();
            break;
        case WIRE_DAMAGED:
            if (in.header.kind != BH_WIRE_REQUEST) break;
            request.header = in.header;
            verb = NULL;
            answer(BH_WIRE_END, BH_WIRE_DAMAGED, 0);
            break;
        default: break;
        }
    }
    return listening;
}

static void go_on(void)
{
    int status;

    clear_part();
    if (verb->whose == OF_LIVING_VM && !vm_lives(call.vm))
        status = BH_WIRE_NOT_RUNNING;
    else
        status = verb->run(&call);
    if (status != CONTROL_GO_ON) {
        verb = NULL;
        answer(BH_WIRE_END, (uint32_t)status, call.out_bytes);
    } else if (call.out_bytes != 0) {
        answer(BH_WIRE_PART, BH_WIRE_OK, call.out_bytes);
    }
}

static void send(void)
{
    for (unsigned sent = 0; out_sent < out_bytes && sent < SEND_MAX;) {
        unsigned room = serial_room(COM3);

        if (room == 0) return;
        for (; room != 0 && out_sent < out_bytes; room--, sent++)
            serial_put(COM3, out.bytes[out_sent++]);
    }
}

bool control_poll(void)
{
    bool busy;

    if (!present) return false;
    busy = take();
    if (verb && out_sent == out_bytes) go_on();
    send();
    return busy || verb != NULL || out_sent < out_bytes;
}

void control_end(void)
{
    uint64_t end = rt_tsc() + (uint64_t)info()->tsc_khz * END_MS;

    while (present && (verb || out_sent < out_bytes) && rt_tsc() < end) (void)control_poll();
}
