/*
 * A VM's console for bhctl: each request types something and takes what has been said meanwhile.
 * May call: console.h.
 */
#include "console.h"
#include "control.h"
#include "string.h"

int control_console(struct control_call *c)
{
    struct bh_wire_said *said = (struct bh_wire_said *)c->out;
    struct bh_wire_console asked;

    if (c->vm->config->console == MANIFEST_CONSOLE_NONE) return BH_WIRE_NO_DEVICE;
    if (c->step++ != 0) return BH_WIRE_OK;
    if (c->in_bytes < sizeof(asked)) return BH_WIRE_BAD_REQUEST;
    memcpy(&asked, c->in, sizeof(asked));
    said->taken = console_type(c->vm, c->in + sizeof(asked), c->in_bytes - (uint32_t)sizeof(asked));
    said->next = asked.from;
    c->out_bytes =
        (uint32_t)sizeof(*said) + console_read(c->vm, &said->next, (uint8_t *)(said + 1),
                                               BH_WIRE_PAYLOAD_BYTES - (uint32_t)sizeof(*said));
    return CONTROL_GO_ON;
}
