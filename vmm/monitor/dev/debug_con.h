/*
 * Debug console port 0x402: where firmware made for virtual machines writes its log. Present only
 * when the manifest asks for it. Calls its callback and nothing else.
 */
#ifndef VMM_MONITOR_DEV_DEBUG_CON_H
#define VMM_MONITOR_DEV_DEBUG_CON_H

#include "bus.h"

#define DEBUG_CON_PORT       0x402u
#define DEBUG_CON_LINE_BYTES 160u

struct debug_con {
    bool (*out)(void *ctx, uint8_t byte);
    void *ctx;
    uint8_t line[DEBUG_CON_LINE_BYTES]; /* not handed on before it is whole, or full */
    unsigned length;
};

/** Register the port. @param out takes a byte, lines at once; what it refuses is lost */
bool debug_con_init(struct debug_con *d, struct bus *bus, bool (*out)(void *ctx, uint8_t byte),
                    void *ctx);

#endif
