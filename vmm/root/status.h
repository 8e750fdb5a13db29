/* What root says about the machine, and how the system ends. May call: log, ports. */
#ifndef VMM_ROOT_STATUS_H
#define VMM_ROOT_STATUS_H

/** What is protected on this machine and what is not, in words, on the log (promise 9). */
void status_log_protections(void);

/** The last log line, then power off. Does not return. @param status 0..255 */
__attribute__((noreturn)) void system_end(int status, const char *reason);

#endif
