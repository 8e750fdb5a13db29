/*
 * What root asks about this VM (bulkhead/control.h): one function per question. Root's words are
 * read once, and bounded although root is trusted. On vCPU 0's thread. May call: platform.c,
 * save.c, screen.c.
 */
#include "bulkhead/control.h"
#include "bulkhead/screen.h"
#include "bulkhead/wire.h"
#include "crc32c.h"
#include "monitor.h"
#include "string.h"

struct question {
    uint64_t args[BH_CONTROL_ARGS];
    uint32_t in_bytes;
    const uint8_t *in; /* root waits and does not change it */
    /* The answer: */
    uint64_t values[BH_CONTROL_ARGS];
    uint32_t out_bytes;
    uint8_t *out; /* room for BH_CONTROL_OUT_BYTES */
};

/* Events until one that its device has no room for. */
static uint32_t input(struct question *q)
{
    struct bh_input event;

    if (!(start_block()->flags & BH_MONITOR_FLAG_VGA)) return BH_WIRE_NO_DEVICE;
    if (paused()) return BH_WIRE_PAUSED;
    for (uint32_t at = 0; at + sizeof(event) <= q->in_bytes; at += (uint32_t)sizeof(event)) {
        memcpy(&event, q->in + at, sizeof(event));
        if (!platform_input(&event)) break;
        q->values[0]++;
    }
    return BH_WIRE_OK;
}

/* What is asked meanwhile is answered while it stands: save.c. */
static uint32_t pause_vm(struct question *q)
{
    pause_begin();
    return BH_WIRE_OK;
}

static uint32_t resume_vm(struct question *q)
{
    pause_end();
    return BH_WIRE_OK;
}

static uint32_t save(struct question *q)
{
    if (start_block()->store_bytes == 0) return BH_WIRE_NO_STORE;
    q->values[0] = save_vm();
    return q->values[0] ? BH_WIRE_OK : BH_WIRE_STORE_FULL;
}

static uint32_t check(struct question *q)
{
    const struct bh_monitor_start *st = start_block();

    if (st->store_bytes == 0) return BH_WIRE_NO_STORE;
    if (q->args[0] > st->store_bytes) return BH_WIRE_BAD_REQUEST;
    q->out_bytes = save_refuses(q->args[0], (char *)q->out);
    return q->out_bytes ? BH_WIRE_BAD_FILE : BH_WIRE_OK;
}

static uint32_t here(struct question *q) { return BH_WIRE_OK; }

static uint32_t arrangement(const struct bh_screen *s)
{
    return crc32c(0, s->piece, sizeof(s->piece));
}

static uint32_t screen(struct question *q)
{
    struct bh_screen s;

    if (!screen_describe(&s)) return BH_WIRE_NO_DEVICE;
    memcpy(q->out, &s, sizeof(s));
    q->out_bytes = sizeof(s);
    q->values[0] = arrangement(&s);
    return BH_WIRE_OK;
}

/* The guest goes on: the pieces are looked up anew each time. */
static uint32_t screen_read(struct question *q)
{
    const struct bh_screen_piece *p;
    uint64_t room = q->args[2] < BH_CONTROL_OUT_BYTES ? q->args[2] : BH_CONTROL_OUT_BYTES;
    struct bh_screen s;
    size_t taken = 0;

    if (!screen_describe(&s)) return BH_WIRE_NO_DEVICE;
    if (q->args[3] != arrangement(&s)) return BH_WIRE_CHANGED;
    if (q->args[0] >= s.pieces) return BH_WIRE_BAD_REQUEST;
    p = &s.piece[q->args[0]];
    if (q->args[1] >= p->bytes || room < 64u) return BH_WIRE_BAD_REQUEST;
    q->out_bytes =
        (uint32_t)screen_pack(p->address + (uint32_t)q->args[1], p->bytes - (uint32_t)q->args[1],
                              p->unit, q->out, room, &taken);
    if (q->out_bytes == 0) return BH_WIRE_BAD_REQUEST;
    q->values[0] = q->args[1] + taken;
    return BH_WIRE_OK;
}

static uint32_t (*const answers[BH_CONTROL_VERBS])(struct question *q) = {
    [BH_CONTROL_INPUT] = input,    [BH_CONTROL_SAVE] = save,
    [BH_CONTROL_SCREEN] = screen,  [BH_CONTROL_SCREEN_READ] = screen_read,
    [BH_CONTROL_PAUSE] = pause_vm, [BH_CONTROL_RESUME] = resume_vm,
    [BH_CONTROL_CHECK] = check,    [BH_CONTROL_HERE] = here,
};

void control_asked(void)
{
    struct bh_control *c = (struct bh_control *)BH_MONITOR_CONTROL;
    uint32_t request = __atomic_load_n(&c->request, __ATOMIC_ACQUIRE);
    uint32_t verb = __atomic_load_n(&c->verb, __ATOMIC_RELAXED);
    struct question q = {.in_bytes = c->in_bytes, .in = c->in, .out = c->out};

    if (request == c->reply) return;
    if (q.in_bytes > BH_CONTROL_IN_BYTES) q.in_bytes = BH_CONTROL_IN_BYTES;
    memcpy(q.args, c->args, sizeof(q.args));
    c->status = verb < BH_CONTROL_VERBS && answers[verb] ? answers[verb](&q) : BH_WIRE_NO_VERB;
    memcpy(c->values, q.values, sizeof(q.values));
    c->out_bytes = q.out_bytes;
    c->stands = paused();
    __atomic_store_n(&c->reply, request, __ATOMIC_RELEASE);
    (void)bh_signal(BH_MONITOR_SLOT_ROOT);
    pause_stand();
}
