/* The control channel; see control.h. */
#include "control.h"
#include <stddef.h>
#include "ask.h"
#include "caps.h"
#include "fmt.h"
#include "line.h"
#include "log.h"
#include "patience.h"
#include "string.h"
#include "wire.h"

/* Per call: the loop has other work. */
#define TAKE_MAX       4096u
#define TAKE_MAX_GUEST 256u
#define SEND_MAX       4096u
/* In the middle of a frame from COM3 the next byte is waited for so long, all in all so long. */
#define GAP_US  100u
#define TAKE_US 2000u
/* A frame whose bytes stop coming is no frame; so long the line is looked at often. */
#define LISTEN_MS 1000u
/* What is to be said at the end of the system has so long. */
#define END_MS           300u
#define GUEST_REQUEST_MS 50u
/* Of a guest's requests those that leave a record: so many at once, then one in so long. Otherwise
 * it could push those of others out of the ring. */
#define GUEST_RECORDS   16u
#define GUEST_RECORD_MS 5000u
/* A guest that takes nothing for so long has gone: its request is dropped. */
#define STUCK_MS 5000u
/* One for the host, and one for each guest that may ask. */
#define CHANNELS_MAX (1u + MANIFEST_MAX_CHANNELS)
/* So long a request waits for a VM's monitor that is at work for another. */
#define BUSY_MS 3000u

/* One for the host's line, and one for each VM's guest that may ask for anything. */
static struct channel {
    struct line line;
    struct subject who;
    struct wire_frame request, in, out;
    uint32_t out_bytes, out_sent;
    const struct control_verb *verb; /* being carried out; NULL: none */
    struct control_call call;
    uint64_t last_byte_tsc, sent_tsc, next_tsc;
    uint64_t records_tsc; /* the records so far take until then, at the rate that is allowed */
    uint64_t left_out;    /* requests that found no record left */
    uint32_t starts;      /* of the VM: another one's guest knows nothing of what was here before */
} channels[CHANNELS_MAX];
static unsigned count;

static uint64_t ms(uint64_t n) { return (uint64_t)info()->tsc_khz * n; }

static void add(const struct control_system *system, struct vm *vm, struct subject who)
{
    struct channel *ch = &channels[count++];

    ch->line.vm = vm;
    ch->who = who;
    ch->call.system = system;
    ch->call.who = &ch->who;
}

void control_init(const struct control_system *system)
{
    const struct line host = {NULL, false};

    if (line_present(&host)) {
        serial_init(COM3);
        add(system, NULL, rights_host(system->host_may));
    }
    for (unsigned i = 0; i < system->vm_count; i++)
        if (system->vms[i].config->may_texts.text && count < CHANNELS_MAX)
            add(system, &system->vms[i], rights_guest(system->vms[i].config));
}

/* What was on its way is not any more. */
static void drop(struct channel *ch)
{
    if (ch->call.vm) ask_forget(ch->call.vm, &ch->call);
    ch->verb = NULL;
    ch->out_bytes = ch->out_sent = 0;
}

static void answer(struct channel *ch, enum bh_wire_kind kind, uint32_t status, uint32_t bytes)
{
    ch->out.header = (struct bh_wire_header){.verb = ch->request.header.verb,
                                             .sequence = ch->request.header.sequence,
                                             .bytes = bytes,
                                             .status = status};
    ch->out_bytes = wire_seal(&ch->out, kind);
    ch->out_sent = 0;
    ch->sent_tsc = patient_tsc();
}

/* The VM whose name the payload begins with. */
static struct vm *find_vm(struct channel *ch)
{
    const struct control_system *system = ch->call.system;
    const char *name = (const char *)wire_payload(&ch->request);

    if (ch->request.header.bytes < BH_WIRE_NAME_BYTES || name[BH_WIRE_NAME_BYTES - 1u] != '\0')
        return NULL;
    for (unsigned i = 0; i < system->vm_count; i++)
        if (strcmp(system->vms[i].config->name, name) == 0) return &system->vms[i];
    return NULL;
}

/* Where what a verb answers goes. */
static void clear_part(struct channel *ch)
{
    ch->call.out = wire_payload(&ch->out);
    ch->call.out_bytes = 0;
}

/* Is there a record left for this channel? */
static bool record_left(struct channel *ch)
{
    uint64_t now = rt_tsc(), all = ms(GUEST_RECORDS * (uint64_t)GUEST_RECORD_MS);

    if (!ch->line.vm) return true;
    if (ch->records_tsc < now) ch->records_tsc = now;
    if (ch->records_tsc - now > all - ms(GUEST_RECORD_MS)) {
        ch->left_out++;
        return false;
    }
    ch->records_tsc += ms(GUEST_RECORD_MS);
    return true;
}

static void record(struct channel *ch, const struct control_verb *v, const char *rule)
{
    audit_begin(rule ? "refused" : "asked");
    audit_text("verb", v->name);
    if (ch->call.vm) audit_text("vm", ch->call.vm->config->name);
    audit_text("by", ch->who.name);
    if (ch->line.vm) audit_text("from", "guest");
    if (rule) audit_text("rule", rule);
    if (ch->left_out) audit_number("left_out", ch->left_out);
    ch->left_out = 0;
    audit_end();
}

/* Two texts: the rule, and where it stands and what it lacks. A guest is told the same of VMs that
 * there are and of others. */
static void put_refusal(struct channel *ch, const struct control_verb *v, const char *rule)
{
    char *text = (char *)ch->call.out;
    uint32_t n = (uint32_t)fmt_buf(text, 64, "%s", rule) + 1u;

    n +=
        (uint32_t)fmt_buf(text + n, 128, "%s%s: %s lacks \"%s\"", ch->line.vm ? "/vms/" : "/system",
                          ch->line.vm ? ch->who.name : "", rule, rights_word(v->right)) +
        1u;
    ch->call.out_bytes = n;
}

static bool of_vm(const struct control_verb *v)
{
    return v->whose == OF_VM || v->whose == OF_LIVING_VM || v->whose == OF_FILE;
}

/* Does the manifest allow it? What changes something leaves a record, or is not done; what is
 * refused leaves one too, or is counted in the next. Of a VM that there is not, nothing is allowed.
 */
static uint32_t allowed(struct channel *ch, const struct control_verb *v)
{
    const char *rule = v->whose == OF_SEVERAL     ? rights_refuse_all(&ch->who, v->right)
                       : of_vm(v) && !ch->call.vm ? ch->who.rule
                                                  : rights_refuse(&ch->who, v->right, ch->call.vm);

    if (rule || (v->whose != OF_FILE && (v->right & (MANIFEST_MAY_LIFE | MANIFEST_MAY_STORE)))) {
        if (record_left(ch))
            record(ch, v, rule);
        else if (!rule)
            return BH_WIRE_BUSY;
    }
    if (rule) put_refusal(ch, v, rule);
    return rule ? BH_WIRE_FORBIDDEN : BH_WIRE_OK;
}

/* @return BH_WIRE_OK and the verb is to be run, or why not. */
static uint32_t accept(struct channel *ch)
{
    struct control_call *call = &ch->call;
    const struct control_verb *v = control_verbs;
    uint32_t skip = 0, status;

    while (v->number != 0 && v->number != ch->request.header.verb) v++;
    if (v->number == 0 || (v->whose == OF_FILE && ch->line.vm)) return BH_WIRE_NO_VERB;
    call->vm = NULL;
    if (of_vm(v)) {
        if (ch->request.header.bytes < BH_WIRE_NAME_BYTES) return BH_WIRE_BAD_REQUEST;
        call->vm = find_vm(ch);
        if (!call->vm && !ch->line.vm) return BH_WIRE_NO_VM;
        skip = BH_WIRE_NAME_BYTES;
    }
    status = allowed(ch, v);
    if (status != BH_WIRE_OK) return status;
    if (v->whose == OF_LIVING_VM && !vm_lives(call->vm)) return BH_WIRE_NOT_RUNNING;
    call->in = wire_payload(&ch->request) + skip;
    call->in_bytes = ch->request.header.bytes - skip;
    call->step = 0;
    call->at = call->deadline_tsc = call->pause_tsc = call->wait_tsc = 0;
    ch->verb = v;
    return BH_WIRE_OK;
}

static void begin(struct channel *ch)
{
    uint32_t status = BH_WIRE_BAD_VERSION;

    drop(ch);
    ch->request = ch->in;
    ch->next_tsc = ch->line.vm ? rt_tsc() + ms(GUEST_REQUEST_MS) : 0;
    clear_part(ch);
    if (ch->request.header.version == BH_WIRE_VERSION) status = accept(ch);
    if (status != BH_WIRE_OK) answer(ch, BH_WIRE_END, status, ch->call.out_bytes);
}

/* Between frames bhctl asks whether somebody listens. */
static bool enquiry(struct channel *ch, uint8_t byte)
{
    if (byte != BH_WIRE_ENQUIRY || (ch->in.used != 0 && !ch->in.whole)) return false;
    if (line_room(&ch->line) != 0) line_put(&ch->line, BH_WIRE_READY);
    return true;
}

static void frame(struct channel *ch, enum wire_event event)
{
    if (event == WIRE_MORE || ch->in.header.kind != BH_WIRE_REQUEST) return;
    if (event == WIRE_FRAME) {
        begin(ch);
        return;
    }
    drop(ch);
    ch->request.header = ch->in.header;
    answer(ch, BH_WIRE_END, BH_WIRE_DAMAGED, 0);
}

/* A UART holds 16 bytes, and root sleeps longer than they take to come. */
static int next_byte(struct channel *ch, uint64_t end_tsc)
{
    uint64_t give_up = rt_tsc() + ms(GAP_US) / 1000u;
    int byte = line_get(&ch->line);

    if (ch->line.vm) return byte;
    if (give_up > end_tsc) give_up = end_tsc;
    while (byte < 0 && ch->in.used != 0 && !ch->in.whole && rt_tsc() < give_up)
        byte = line_get(&ch->line);
    return byte;
}

/* @return true while more may be on its way. */
static bool take(struct channel *ch)
{
    bool listening = ch->last_byte_tsc != 0 && patient_tsc() - ch->last_byte_tsc <= ms(LISTEN_MS);
    uint64_t end_tsc = rt_tsc() + ms(TAKE_US) / 1000u;
    unsigned most = ch->line.vm ? TAKE_MAX_GUEST : TAKE_MAX;

    if (!listening && !ch->in.whole) ch->in.used = 0;
    /* What is being sent is sent to its end: frames are never cut. */
    for (unsigned i = 0; i < most && ch->out_sent == ch->out_bytes; i++) {
        int byte = rt_tsc() < ch->next_tsc ? -1 : next_byte(ch, end_tsc);

        if (byte < 0) break;
        ch->last_byte_tsc = patient_tsc();
        listening = true;
        if (!enquiry(ch, (uint8_t)byte)) frame(ch, wire_take(&ch->in, (uint8_t)byte));
    }
    return listening && !ch->line.vm; /* rings keep what comes until root looks by itself */
}

int ask_wait(struct control_call *c)
{
    if (c->wait_tsc == 0) c->wait_tsc = patient_tsc() + ms(BUSY_MS);
    return patient_tsc() < c->wait_tsc ? CONTROL_GO_ON : BH_WIRE_BUSY;
}

/* @return whether it has got on; else it waits, for an answer that wakes root or for time */
static bool go_on(struct channel *ch)
{
    const uint32_t step = ch->call.step;
    bool moved;
    int status;

    clear_part(ch);
    if (ch->verb->whose == OF_LIVING_VM && !vm_lives(ch->call.vm))
        status = BH_WIRE_NOT_RUNNING;
    else
        status = ch->verb->run(&ch->call);
    moved = ch->call.step != step;
    if (moved) ch->call.wait_tsc = 0;
    if (status != CONTROL_GO_ON) {
        drop(ch);
        answer(ch, BH_WIRE_END, (uint32_t)status, ch->call.out_bytes);
    } else if (ch->call.out_bytes != 0) {
        answer(ch, BH_WIRE_PART, BH_WIRE_OK, ch->call.out_bytes);
    }
    return moved || ch->out_bytes != 0;
}

/* @return false: what is to be sent does not go out now */
static bool send(struct channel *ch)
{
    for (unsigned sent = 0; ch->out_sent < ch->out_bytes && sent < SEND_MAX;) {
        unsigned room = line_room(&ch->line);

        if (room == 0) {
            if (ch->line.vm && patient_tsc() - ch->sent_tsc > ms(STUCK_MS)) drop(ch);
            return false;
        }
        ch->sent_tsc = patient_tsc();
        for (; room != 0 && ch->out_sent < ch->out_bytes; room--, sent++)
            line_put(&ch->line, ch->out.bytes[ch->out_sent++]);
    }
    return true;
}

/* Is somebody at the other end, and the same as before? */
static bool attended(struct channel *ch)
{
    if (!ch->line.vm) return true;
    if (!line_present(&ch->line)) {
        drop(ch);
        return false;
    }
    if (ch->starts == ch->line.vm->starts) return true;
    drop(ch);
    ch->in.used = 0;
    ch->in.whole = false;
    ch->starts = ch->line.vm->starts;
    return true;
}

static bool channel_poll(struct channel *ch)
{
    bool busy, sent, moves = true;

    if (!attended(ch)) return false;
    busy = take(ch);
    if (ch->verb && ch->out_sent == ch->out_bytes) moves = go_on(ch) || !ch->line.vm;
    if (!attended(ch)) return false; /* its own VM was what it asked about */
    sent = send(ch);
    line_flush(&ch->line);
    /* A guest whose verb waits, as long as it likes, is worth no more looks than one without. */
    return busy || (sent && moves && (ch->verb || ch->out_sent < ch->out_bytes)) ||
           (!sent && !ch->line.vm);
}

bool control_poll(void)
{
    bool busy = false;

    for (unsigned i = 0; i < count; i++) busy = channel_poll(&channels[i]) || busy;
    return busy;
}

static bool unsaid(void)
{
    for (unsigned i = 0; i < count; i++)
        if (channels[i].verb || channels[i].out_sent < channels[i].out_bytes) return true;
    return false;
}

void control_end(void)
{
    uint64_t end = patient_tsc() + ms(END_MS);

    while (unsaid() && patient_tsc() < end) (void)control_poll();
}
