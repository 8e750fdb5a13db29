// sources: vmm/root/line.c vmm/root/rights.c vmm/rt/wire.c vmm/rt/crc32c.c
// sources: vmm/rt/fmt.c policy/manifest/may_words.c
// flags: -iquote vmm/rt -iquote policy/manifest -iquote vmm/root
/*
 * Root's control channels: bytes of the host's line and of two guests' rings, requests that are
 * sealed as they should be and others, clients that take nothing, VMs that start anew, time. What
 * must hold: a verb runs only for whom the manifest names, about a VM that lives if it needs one,
 * and within the request it came in; answers are whole frames with the request's number; what a
 * guest does to the rings' indexes stays in its rings; the host is served whatever guests do.
 */
#include "input.h"
#include <sys/mman.h>

static uint64_t clock_now;
#define rt_tsc real_rt_tsc
#include "syscall.h"
#undef rt_tsc
#define rt_tsc() (++clock_now) /* it does not stand still */

#define take take_channel /* input.h has a take() */
#include "vmm/root/ask.c"
#include "vmm/root/control.c"

uint64_t patient_tsc(void) { return rt_tsc(); }
#undef take

#define KHZ 1000u /* a tick is a microsecond */

static struct vm vms[3];
static struct manifest_vm configs[3];
static struct bh_console rings[2];
static struct bh_control pages[3];
static struct control_system control_sys = {
    .vms = vms, .vm_count = 3, .host_may = MANIFEST_MAY_ALL};
static struct input *input;
static uint8_t host_in[4096];
static uint32_t host_put, host_get;
static struct wire_frame host_frame;
static unsigned host_ends, records;

bool serial_present(unsigned port) { return true; }
void serial_init(unsigned port) {}
unsigned serial_room(unsigned port) { return 16; }
int serial_get(unsigned port)
{
    return host_get == host_put ? -1 : host_in[host_get++ % sizeof(host_in)];
}

/* What root says to the host, whole and checked. */
void serial_put(unsigned port, uint8_t byte)
{
    if (host_frame.used == 0 && byte == BH_WIRE_READY) return;
    if (host_frame.whole && byte == BH_WIRE_READY) return;
    switch (wire_take(&host_frame, byte)) {
    case WIRE_DAMAGED: CHECK(!"a damaged answer"); break;
    case WIRE_FRAME: host_ends += host_frame.header.kind == BH_WIRE_END; break;
    default: break;
    }
}

void vm_signal_console(const struct vm *vm) { CHECK(vm_lives(vm)); }
void vm_signal_control(const struct vm *vm) {}
void audit_begin(const char *event) { records++; }
void audit_number(const char *key, uint64_t value) {}
void audit_text(const char *key, const char *value) { CHECK(value != NULL); }
void audit_end(void) {}

/* ---- verbs: each touches all that it was given ---- */

static int touch(struct control_call *c)
{
    uint32_t sum = 0;
    uint64_t how = take(input, 1);

    CHECK(c->in_bytes <= BH_WIRE_PAYLOAD_BYTES && c->out_bytes == 0);
    for (uint32_t i = 0; i < c->in_bytes; i++) sum += c->in[i];
    c->out_bytes = how & 1u ? (uint32_t)(take(input, 2) % (BH_WIRE_PAYLOAD_BYTES + 1u)) : 0;
    memset(c->out, (int)sum, c->out_bytes);
    return how & 6u ? CONTROL_GO_ON : BH_WIRE_OK;
}

static int system_verb(struct control_call *c)
{
    CHECK(c->vm == NULL && (c->who->system & MANIFEST_MAY_STATUS));
    return touch(c);
}

static int vm_verb(struct control_call *c)
{
    CHECK(c->vm >= vms && c->vm < vms + 3 && (c->who->of[c->vm->number] & MANIFEST_MAY_START));
    return touch(c);
}

static int asking_verb(struct control_call *c)
{
    struct ask_answer answer;

    CHECK(vm_lives(c->vm) && (c->who->of[c->vm->number] & MANIFEST_MAY_SAVE));
    if (c->step == 0) {
        if (!ask_free(c->vm)) return ask_wait(c);
        ask(c->vm, c, BH_CONTROL_SAVE, NULL, c->in, c->in_bytes);
        c->step = 1;
    }
    if (!ask_answered(c->vm, c, &answer, c->out, BH_WIRE_PAYLOAD_BYTES)) return CONTROL_GO_ON;
    CHECK(answer.status < BH_WIRE_STATUSES && answer.out_bytes <= BH_WIRE_PAYLOAD_BYTES);
    return (int)answer.status;
}

const struct control_verb control_verbs[] = {
    {BH_WIRE_SYSTEM, "version", MANIFEST_MAY_STATUS, OF_SYSTEM, system_verb},
    {BH_WIRE_START, "start", MANIFEST_MAY_START, OF_VM, vm_verb},
    {BH_WIRE_SAVE, "save", MANIFEST_MAY_SAVE, OF_LIVING_VM, asking_verb},
    {BH_WIRE_LIST, "list", MANIFEST_MAY_LIST, OF_SEVERAL, touch},
    {0, NULL, 0, OF_SYSTEM, NULL},
};

/* ---- clients ---- */

static void put_byte(unsigned who, uint8_t byte)
{
    struct bh_console *c = who ? &rings[who - 1u] : NULL;

    if (c)
        c->out[c->out_put++ % BH_CONSOLE_OUT_BYTES] = byte;
    else
        host_in[host_put++ % sizeof(host_in)] = byte;
}

static void put_request(unsigned who)
{
    static const uint16_t verbs[] = {BH_WIRE_SYSTEM, BH_WIRE_START, BH_WIRE_SAVE, BH_WIRE_LIST, 77};
    static struct wire_frame f;
    uint8_t how = (uint8_t)take(input, 1);
    uint32_t bytes = how & 0x80u ? (uint32_t)take(input, 1) : BH_WIRE_NAME_BYTES, n;

    memset(&f, 0, sizeof(f));
    f.header.verb = verbs[how % 5u];
    f.header.sequence = (uint16_t)records;
    f.header.bytes = bytes;
    if (bytes) wire_payload(&f)[0] = (uint8_t)('a' + (how >> 3 & 3u));
    n = wire_seal(&f, BH_WIRE_REQUEST);
    if (how & 0x40u) f.bytes[take(input, 1) % n] ^= 1u;
    put_byte(who, BH_WIRE_ENQUIRY);
    for (uint32_t i = 0; i < n; i++) put_byte(who, f.bytes[i]);
}

static void act(uint8_t how)
{
    unsigned who = how >> 4 & 1u ? 1u + (how >> 5 & 1u) : 0;
    struct bh_console *c = who ? &rings[who - 1u] : NULL;
    struct bh_control *p = &pages[how >> 5 & 1u];

    switch (how & 0xfu) {
    case 0: put_byte(who, (uint8_t)take(input, 1)); break;
    case 1:
    case 2:
    case 3: put_request(who); break;
    case 4:
        if (c) c->in_get = c->in_put; /* it takes its answers */
        break;
    case 5:
        if (c) ((uint32_t *)(void *)c)[16u + take(input, 1) % 32u] = (uint32_t)take_value(input);
        break;
    case 6: p->reply = p->request; break;
    case 7: ((uint8_t *)(void *)p)[take(input, 2) % sizeof(*p)] = (uint8_t)take(input, 1); break;
    case 8: vms[how >> 5 & 1u].starts++; break;
    case 9: vms[how >> 5 & 1u].state = take(input, 1) & 1u ? VM_RUNNING : VM_STOPPED; break;
    default: clock_now += 100ull << (how & 0xfu); break;
    }
}

static void set_up(void)
{
    static bool mapped;

    if (!mapped) {
        struct bh_info *i = mmap((void *)BH_ROOT_INFO, 4096, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

        CHECK(i == (void *)BH_ROOT_INFO);
        i->tsc_khz = KHZ;
        mapped = true;
    }
    memset(vms, 0, sizeof(vms));
    memset(configs, 0, sizeof(configs));
    memset(rings, 0, sizeof(rings));
    memset(pages, 0, sizeof(pages));
    memset(channels, 0, sizeof(channels));
    memset(&host_frame, 0, sizeof(host_frame));
    count = 0;
    host_put = host_get = 0;
    clock_now = 1000000;
    for (unsigned i = 0; i < 3; i++) {
        vms[i].number = i;
        vms[i].config = &configs[i];
        vms[i].state = VM_RUNNING;
        vms[i].starts = 1;
        vms[i].control = &pages[i];
        configs[i].name = i == 0 ? "a" : i == 1 ? "b" : "c";
        if (i == 2) continue;
        vms[i].channel = &rings[i];
        configs[i].may_texts = (struct manifest_list){"x", 2};
    }
    configs[0].may_system = MANIFEST_MAY_STATUS;
    configs[0].may[1] = MANIFEST_MAY_START | MANIFEST_MAY_SAVE;
    configs[1].may[0] = MANIFEST_MAY_LIST;
    control_init(&control_sys);
}

/* However it has been treated, the host's next request is answered. */
static void host_is_served(void)
{
    static struct wire_frame f;
    unsigned before;

    host_get = host_put;
    for (unsigned i = 0;
         i < 100000 && (channels[0].verb || channels[0].out_sent < channels[0].out_bytes); i++) {
        clock_now += 1000;
        (void)control_poll();
    }
    clock_now += (LISTEN_MS + 1u) * KHZ; /* half a frame is forgotten */
    (void)control_poll();
    before = host_ends;
    memset(&f, 0, sizeof(f));
    f.header.verb = 77;
    for (uint32_t i = 0, n = wire_seal(&f, BH_WIRE_REQUEST); i < n; i++) put_byte(0, f.bytes[i]);
    for (unsigned i = 0; i < 10; i++) (void)control_poll();
    CHECK(host_ends == before + 1u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    input = &in;
    set_up();
    while (more(&in)) {
        act((uint8_t)take(&in, 1));
        (void)control_poll();
        clock_now += 300;
    }
    host_is_served();
    control_end();
    return 0;
}
