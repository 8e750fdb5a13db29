/* The consoles on one serial port; see console.h. */
#include "console.h"
#include <stdarg.h>
#include "fmt.h"
#include "log.h"
#include "patience.h"
#include "syscall.h"
#include "caps.h"
#include "terminal.h"

#define KEPT_ALL   0x80000u /* of all VMs; a power of two */
#define KEPT_MOST  0x10000u /* of one, likewise */
#define KEY_SWITCH 0x1du    /* Ctrl-] */
#define GREET_MAX  16u      /* VMs */
#define NOTE_BYTES 8192u    /* a greeting of so many with long labels */
#define NOTE_MOST  640u     /* of one: the end of a VM, or a line of the greeting with four wires */
/* Per call: the port is shared with the log, and the loop has other work. */
#define SEND_MAX 256u
/* How long the port is waited for: when it takes nothing (16 bytes are 1.4 ms at 115200 baud), when
 * a VM ends, and when all does. */
#define STUCK_MS  250u
#define VM_END_MS 500u
#define END_MS    10000u

/* Everything a VM has said; the last kept_bytes of it. Counters run freely. */
struct kept {
    uint32_t put, sent;
};

static uint8_t kept_memory[KEPT_ALL]; /* each has kept_bytes of it, a power of two */
static uint32_t kept_bytes;
static struct kept kept[VMS_MAX];
static struct vm *vms;
static unsigned nvms, consoles, shown; /* consoles: VMs that the manifest gives one */
static const char *mark;
static char note[NOTE_BYTES]; /* root's own words, between the VMs' */
static unsigned note_len, note_sent;
static bool note_left_out;

/* What the VM shown has said, as far as it passes: never half a sequence between root's words. */
static struct terminal terminal;
static uint8_t ready[TERMINAL_HELD_BYTES];
static unsigned ready_len, ready_sent;

static uint8_t *kept_byte(unsigned number, uint32_t at)
{
    return &kept_memory[number * kept_bytes + at % kept_bytes];
}

static bool several(void) { return consoles > 1u; }

/* Of others nothing is shown, and what is typed reaches none. */
static bool has_console(const struct vm *vm)
{
    return vm->config->console == MANIFEST_CONSOLE_SERIAL;
}

static void note_add(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note_add(const char *format, ...)
{
    va_list args;

    if (note_left_out) return;
    if (terminal.styled)
        note_len +=
            (unsigned)fmt_buf(note + note_len, sizeof(note) - note_len, "%s", terminal_reset);
    terminal.styled = false;
    va_start(args, format);
    note_len += (unsigned)fmt_vbuf(note + note_len, sizeof(note) - note_len, format, args);
    va_end(args);
}

/* A note that could be cut is left out: what a VM says would come behind half a sequence, or behind
 * the mark. */
static void note_open(void)
{
    if (note_sent == note_len) note_sent = note_len = 0;
    note_left_out = sizeof(note) - note_len < NOTE_MOST;
}

static const char *label(const struct vm *vm)
{
    return vm->config->label ? vm->config->label : vm->config->name;
}

/* In bold and in the colour that the manifest gives it. */
static void note_label(const struct vm *vm)
{
    if (vm->config->colour == MANIFEST_COLOUR_NONE)
        note_add("%s", label(vm));
    else
        note_add("\033[0;1;%um%s\033[0m", 30u + vm->config->colour, label(vm));
}

static void note_begin(void)
{
    note_open();
    note_add("\r\n--- [%s] ", mark);
}

/* Which of the consoles is this VM's? */
static unsigned place_of(unsigned number)
{
    unsigned place = 0;

    for (unsigned i = 0; i <= number; i++) place += has_console(&vms[i]);
    return place;
}

static void announce(void)
{
    note_begin();
    note_label(&vms[shown]);
    note_add(" (%u of %u)%s; Ctrl-] switches to the next console ---\r\n", place_of(shown),
             consoles,
             vms[shown].state == VM_STOPPED || vms[shown].state == VM_CRASHED ? ", ended" : "");
}

/* Who is there, and who reaches whom. */
static void greet(const struct manifest *m)
{
    note_begin();
    note_add("Bulkhead: %u VMs on this terminal ---\r\n", consoles);
    for (unsigned i = 0; i < nvms && place_of(i) <= GREET_MAX; i++) {
        const struct manifest_vm *vm = vms[i].config;

        if (!has_console(&vms[i])) continue;
        note_open();
        note_add("--- [%s] %u ", mark, place_of(i));
        note_label(&vms[i]);
        note_add(", %u MiB, %s", vm->memory_mib, vm->wire_count ? "wired to " : "no wire");
        for (unsigned k = 0; k < vm->wire_count; k++) {
            const struct manifest_wire *w = &m->wires[vm->wires[k]];

            note_add("%s", k ? ", " : "");
            note_label(&vms[w->vm[0] == i ? w->vm[1] : w->vm[0]]);
        }
        note_add(" ---\r\n");
    }
}

void console_init(const struct manifest *m, struct vm *all, const char *word)
{
    mark = word;
    vms = all;
    nvms = m->vm_count;
    consoles = nvms ? place_of(nvms - 1u) : 0;
    for (shown = 0; consoles && !has_console(&vms[shown]); shown++)
        ;
    kept_bytes = KEPT_MOST;
    while (kept_bytes * nvms > KEPT_ALL) kept_bytes /= 2u;
    if (!several()) return;
    greet(m);
    announce();
}

/* Ring of a running VM into what is kept. @return bytes taken. */
static unsigned take_output(struct vm *vm)
{
    struct bh_console *c = vm->console;
    struct kept *k = &kept[vm->number];
    uint32_t get = c->out_get;
    uint32_t put = __atomic_load_n(&c->out_put, __ATOMIC_ACQUIRE);
    uint32_t used = put - get, n = 0;

    if (used > BH_CONSOLE_OUT_BYTES || !has_console(vm)) { /* a broken peer, or for nobody */
        get = put;
        n = used;
    } else
        for (; n < used; n++) {
            /* The VM shown must not lose a byte: what is not sent yet stays in the ring. */
            if (k->put - k->sent == kept_bytes) {
                if (vm->number == shown) break;
                k->sent++;
            }
            *kept_byte(vm->number, k->put++) = c->out[get++ % BH_CONSOLE_OUT_BYTES];
        }
    __atomic_store_n(&c->out_get, get, __ATOMIC_RELEASE);
    /* A monitor whose ring was nearly full is waiting for room. */
    if (n && used > BH_CONSOLE_OUT_BYTES / 2u) vm_signal_console(vm);
    return n;
}

static int next_byte(void)
{
    struct kept *k = &kept[shown];

    if (ready_sent < ready_len) return ready[ready_sent++];
    if (note_sent < note_len) return (uint8_t)note[note_sent++];
    while (k->sent != k->put) {
        ready_len = terminal_put(&terminal, *kept_byte(shown, k->sent++), ready);
        ready_sent = 0;
        if (ready_len) return ready[ready_sent++];
    }
    return -1;
}

static bool pending(void)
{
    return ready_sent < ready_len || note_sent < note_len || kept[shown].sent != kept[shown].put;
}

/* Another VM's words follow: half a sequence of this one's is forgotten. */
static void show(unsigned number)
{
    shown = number;
    terminal = (struct terminal){.styled = terminal.styled};
}

/* @return bytes that the port has taken */
static unsigned send_some(unsigned max)
{
    unsigned sent = 0;

    while (pending() && sent < max) {
        unsigned room = serial_room(COM1);

        if (!room) break;
        for (; room && sent < max; room--, sent++) {
            int byte = next_byte();

            if (byte < 0) break;
            serial_put(COM1, (uint8_t)byte);
        }
    }
    return sent;
}

static uint64_t ms_since(uint64_t tsc) { return (patient_tsc() - tsc) / info()->tsc_khz; }

static bool put_key(struct vm *vm, uint8_t byte)
{
    struct bh_console *c = vm->console;

    if (c->in_put - __atomic_load_n(&c->in_get, __ATOMIC_ACQUIRE) >= BH_CONSOLE_IN_BYTES)
        return false;
    c->in[c->in_put % BH_CONSOLE_IN_BYTES] = byte;
    __atomic_store_n(&c->in_put, c->in_put + 1u, __ATOMIC_RELEASE);
    return true;
}

static void key(uint8_t byte, bool *signal)
{
    if (consoles == 0) return;
    if (several() && byte == KEY_SWITCH) {
        unsigned next = (shown + 1u) % nvms;

        while (!has_console(&vms[next])) next = (next + 1u) % nvms;
        show(next);
        announce();
        /* From the start of what is kept, so that the screen makes sense. */
        kept[shown].sent = kept[shown].put > kept_bytes ? kept[shown].put - kept_bytes : 0;
        return;
    }
    /* Without room a byte is lost: like a line without flow control. */
    if (vm_lives(&vms[shown]) && put_key(&vms[shown], byte)) *signal = true;
}

uint32_t console_type(struct vm *vm, const uint8_t *bytes, uint32_t count)
{
    uint32_t done = 0;

    if (!vm_lives(vm)) return count; /* nobody hears it */
    while (done < count && put_key(vm, bytes[done])) done++;
    if (done) vm_signal_console(vm);
    return done;
}

uint32_t console_read(const struct vm *vm, uint32_t *from, uint8_t *out, uint32_t room)
{
    const struct kept *k = &kept[vm->number];
    uint32_t most = k->put < kept_bytes ? k->put : kept_bytes, n = 0;

    if (k->put - *from > most) *from = k->put - most;
    while (n < room && *from != k->put) out[n++] = *kept_byte(vm->number, (*from)++);
    return n;
}

bool console_poll(void)
{
    bool signal = false;
    int byte;

    if (nvms == 0) return false;
    for (unsigned i = 0; i < nvms; i++)
        if (vm_lives(&vms[i])) (void)take_output(&vms[i]);
    for (unsigned i = 0; i < 64u && (byte = serial_get(COM1)) >= 0; i++)
        key((uint8_t)byte, &signal);
    if (signal) vm_signal_console(&vms[shown]);
    (void)send_some(SEND_MAX);
    return pending();
}

/* @return false: the port is stuck, or has not taken all of it @most_ms after @begun */
static bool flush_shown(uint64_t begun, unsigned most_ms)
{
    uint64_t last = patient_tsc();

    while (pending() && ms_since(last) < STUCK_MS && ms_since(begun) < most_ms)
        if (send_some(SEND_MAX)) last = patient_tsc();
    return !pending();
}

void console_vm_ends(struct vm *vm)
{
    if (vm->console) (void)take_output(vm);
    if (vm->number == shown) {
        (void)flush_shown(patient_tsc(), VM_END_MS);
        if (vm->console) (void)take_output(vm); /* what there was no room for */
    }
    if (!several()) return;
    note_begin();
    note_label(vm);
    note_add(" has ended: %s ---\r\n", vm->reason);
}

void console_interrupted(void)
{
    const char *c = terminal.styled ? terminal_reset : "";
    uint64_t last = patient_tsc();

    /* Notes have colours: nor is one of them cut in a sequence. */
    while ((ready_sent < ready_len || note_sent < note_len || *c) && ms_since(last) < STUCK_MS) {
        if (!serial_room(COM1)) continue;
        serial_put(COM1, ready_sent < ready_len ? ready[ready_sent++]
                         : note_sent < note_len ? (uint8_t)note[note_sent++]
                                                : (uint8_t)*c++);
        last = patient_tsc();
    }
    terminal.styled = false;
}

void console_end(void)
{
    uint64_t begun = patient_tsc();
    unsigned first = shown;

    for (unsigned i = 0; i < nvms; i++) {
        struct vm *vm = &vms[(first + i) % nvms];

        if (i) show(vm->number);
        if (i == 0) (void)flush_shown(begun, END_MS); /* makes room for what is in the ring */
        if (vm_lives(vm)) (void)take_output(vm);      /* once: it may go on talking */
        if (i && pending()) {
            note_begin();
            note_label(vm);
            note_add(", not shown until now ---\r\n");
        }
        if (flush_shown(begun, END_MS)) continue;
        say("console: the serial port takes no more: the last words of %s and of VMs after it are "
            "not shown",
            vm->config->name);
        return;
    }
}
