/* What root says about the machine, and how the system ends. May call: log, ports. */
#ifndef VMM_ROOT_STATUS_H
#define VMM_ROOT_STATUS_H

#include <stdbool.h>
#include "manifest.h"

/** The manifest is accepted: what it says about the network path is a row from now on, and is
 *  logged. It lives on. */
void status_manifest(const struct manifest *m);

/** Row @n of what is protected on this machine and what is not (promise 9): the words that the log
 *  and bhctl have in common. @return false: there is no such row */
bool status_protection(unsigned n, bool *on, const char **words);

/** What is protected on this machine and what is not, in words, on the log (promise 9). */
void status_log_protections(void);

/** The last log line, then power off. Does not return. @param status 0..255 */
__attribute__((noreturn)) void system_end(int status, const char *reason);

#endif
