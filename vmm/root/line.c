/* Where requests come from; see line.h. */
#include "line.h"
#include "log.h"

bool line_present(const struct line *l)
{
    return l->vm ? vm_lives(l->vm) && l->vm->channel : serial_present(COM3);
}

int line_get(struct line *l)
{
    struct bh_console *c;
    uint32_t get, put;
    uint8_t byte;

    if (!l->vm) return serial_get(COM3);
    c = l->vm->channel;
    get = c->out_get;
    put = __atomic_load_n(&c->out_put, __ATOMIC_ACQUIRE);
    if (put == get) return -1;
    if (put - get > BH_CONSOLE_OUT_BYTES) { /* a broken peer: drop it all */
        c->out_get = put;
        return -1;
    }
    byte = c->out[get % BH_CONSOLE_OUT_BYTES];
    __atomic_store_n(&c->out_get, get + 1u, __ATOMIC_RELEASE);
    /* A monitor whose ring was full waits for room. */
    if (put - get >= BH_CONSOLE_OUT_BYTES / 2u) l->news = true;
    return byte;
}

unsigned line_room(const struct line *l)
{
    const struct bh_console *c;
    uint32_t used;

    if (!l->vm) return serial_room(COM3);
    c = l->vm->channel;
    used = c->in_put - __atomic_load_n(&c->in_get, __ATOMIC_ACQUIRE);
    return used < BH_CONSOLE_IN_BYTES ? BH_CONSOLE_IN_BYTES - used : 0;
}

void line_put(struct line *l, uint8_t byte)
{
    struct bh_console *c;
    uint32_t put;

    if (!l->vm) {
        serial_put(COM3, byte);
        return;
    }
    c = l->vm->channel;
    put = c->in_put;
    c->in[put % BH_CONSOLE_IN_BYTES] = byte;
    __atomic_store_n(&c->in_put, put + 1u, __ATOMIC_RELEASE);
    l->news = true;
}

void line_flush(struct line *l)
{
    if (l->vm && l->news) vm_signal_console(l->vm);
    l->news = false;
}
