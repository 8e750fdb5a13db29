/*
 * The consoles of the VMs on one serial port. One VM: what it says and nothing else. Several: one
 * is shown, Ctrl-] switches to the next; what the others say is kept and shown when their turn
 * comes. What VMs say passes terminal.h. Root's own words say first who is there and who reaches
 * whom, labels in their colours; they carry a mark that no VM knows. May call: the log's serial
 * port, vm_signal_console().
 */
#ifndef VMM_ROOT_CONSOLE_H
#define VMM_ROOT_CONSOLE_H

#include <stdbool.h>
#include "vm.h"

/** @param vms the manifest's, in its order; both live on @param mark a word, lives on */
void console_init(const struct manifest *m, struct vm *vms, const char *mark);

/** Somebody else is about to write a line to the port: what is half sent is sent to its end, and
 *  the terminal is put right. */
void console_interrupted(void);

/** Move bytes both ways. @return true while something is left to be sent that the port does not
 *  take yet: call again soon. */
bool console_poll(void);

/**
 * What a VM has said, for somebody else than COM1.
 * @param from position of the first byte, modulo 2^32; what is not kept any more is left out
 * @return bytes put into @out, at most @room; *from is behind them
 */
uint32_t console_read(const struct vm *vm, uint32_t *from, uint8_t *out, uint32_t room);
/** Type on a VM's console. @return bytes that there was room for */
uint32_t console_type(struct vm *vm, const uint8_t *bytes, uint32_t count);

/** Take what the VM said last, before its pages go; when it is shown, its words are sent first, in
 * half a second at most. */
void console_vm_ends(struct vm *vm);

/** The system ends: send what has not been shown, of every VM under its label, in ten seconds at
 *  most; what is left then is told in the log. */
void console_end(void);

#endif
