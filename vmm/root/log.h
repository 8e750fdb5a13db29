/*
 * Root's log (COM2, and COM1 when the manifest says so) and the raw serial ports under it.
 * May call: the IoPorts capability. Never waits longer than a bounded number of polls.
 */
#ifndef VMM_ROOT_LOG_H
#define VMM_ROOT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "audit.h"

#define COM1 0x3f8u
#define COM2 0x2f8u
#define COM3 0x3e8u

/** Is there a port? Not every machine has COM3. */
bool serial_present(unsigned port);
/** Program a port: 115200 8N1, FIFOs on, no interrupts. */
void serial_init(unsigned port);
/** Bytes the transmitter takes now without loss: 16 or 0. */
unsigned serial_room(unsigned port);
void serial_put(unsigned port, uint8_t byte);
/** @return the byte received, or -1. */
int serial_get(unsigned port);

uint8_t port_in8(unsigned port);
void port_out8(unsigned port, uint8_t value);
void port_out16(unsigned port, uint16_t value);
uint32_t port_in32(unsigned port);
void port_out32(unsigned port, uint32_t value);

/** One line on the log; the newline is added. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** The same as it is. */
void log_line(const char *prefix, const char *text);

/** The line that tells the launcher how the system ended. */
void log_end(int status, const char *reason);

/** Show the log on COM1, between the consoles, from now on: each line behind a mark that no VM
 * knows.
 *  @param begin called before each, since VMs write there too */
void log_to_com1_too(const char *mark, void (*begin)(void));

#endif
