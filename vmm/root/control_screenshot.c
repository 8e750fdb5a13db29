/*
 * A VM's screen for bhctl: the monitor describes it, then its memory comes in pieces, which go on
 * as they are. Counts what the monitor says, draws nothing. May call: ask.h.
 */
#include "ask.h"
#include "bulkhead/screen.h"
#include "control.h"

enum { SHOT_ASK, SHOT_SCREEN, SHOT_READ, SHOT_PIXELS };

/* The description, then each piece from its beginning to its end. at: piece, and offset in it in
 * the lower half. */
int control_screenshot(struct control_call *c)
{
    struct bh_wire_pixels *pixels = (struct bh_wire_pixels *)c->out;
    const uint32_t room = BH_WIRE_PAYLOAD_BYTES - sizeof(*pixels);
    uint32_t piece = (uint32_t)(c->at >> 32), offset = (uint32_t)c->at;
    struct ask_answer answer;

    switch (c->step) {
    case SHOT_ASK:
        if (!ask_free(c->vm)) return ask_wait(c);
        ask(c->vm, c, BH_CONTROL_SCREEN, NULL, NULL, 0);
        c->step = SHOT_SCREEN;
        return CONTROL_GO_ON;
    case SHOT_SCREEN: {
        struct bh_screen *s = (struct bh_screen *)c->out;

        if (!ask_answered(c->vm, c, &answer, s, sizeof(*s))) return CONTROL_GO_ON;
        if (answer.status != BH_WIRE_OK) return (int)answer.status;
        if (answer.out_bytes != sizeof(*s) || s->pieces > BH_SCREEN_PIECES)
            return BH_WIRE_NO_ANSWER;
        for (uint32_t i = 0; i < s->pieces; i++) c->words[i] = s->piece[i].bytes;
        c->words[BH_SCREEN_PIECES] = s->pieces;
        c->words[BH_SCREEN_PIECES + 1u] = answer.values[0];
        c->out_bytes = sizeof(*s);
        c->step = SHOT_READ;
        return CONTROL_GO_ON;
    }
    case SHOT_READ: {
        const uint64_t args[BH_CONTROL_ARGS] = {piece, offset, room,
                                                c->words[BH_SCREEN_PIECES + 1u]};

        if (piece >= c->words[BH_SCREEN_PIECES]) return BH_WIRE_OK;
        if (!ask_free(c->vm)) return ask_wait(c);
        ask(c->vm, c, BH_CONTROL_SCREEN_READ, args, NULL, 0);
        c->step = SHOT_PIXELS;
        return CONTROL_GO_ON;
    }
    default:
        if (!ask_answered(c->vm, c, &answer, pixels + 1, room)) return CONTROL_GO_ON;
        if (answer.status != BH_WIRE_OK) return (int)answer.status;
        if (answer.out_bytes == 0 || answer.values[0] <= offset ||
            answer.values[0] > c->words[piece])
            return BH_WIRE_NO_ANSWER;
        *pixels = (struct bh_wire_pixels){piece, offset};
        c->out_bytes = (uint32_t)sizeof(*pixels) + answer.out_bytes;
        c->at = answer.values[0] == c->words[piece] ? (uint64_t)(piece + 1u) << 32
                                                    : (uint64_t)piece << 32 | answer.values[0];
        c->step = SHOT_READ;
        return CONTROL_GO_ON;
    }
}
