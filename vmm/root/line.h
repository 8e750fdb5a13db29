/*
 * Where requests come from, byte by byte: the host's serial port COM3, or the rings that a guest's
 * control channel has with root. May call: serial port, vm_signal_console(). Never waits; a ring
 * whose indexes make no sense counts as empty, and as full.
 */
#ifndef VMM_ROOT_LINE_H
#define VMM_ROOT_LINE_H

#include "vm.h"

struct line {
    struct vm *vm; /* whose guest's channel; NULL: COM3 */
    bool news;     /* the guest's monitor is to be told of bytes or room */
};

/** Is somebody there? */
bool line_present(const struct line *l);
/** The next byte, or -1. */
int line_get(struct line *l);
/** How many bytes it takes now. */
unsigned line_room(const struct line *l);
void line_put(struct line *l, uint8_t byte);
/** What was put and taken is to be looked at. */
void line_flush(struct line *l);

#endif
