/* What the fuzz target `invoke` uses of the machine that kernel_host.c makes. */
#ifndef TESTS_FUZZ_MACHINE_H
#define TESTS_FUZZ_MACHINE_H

#include <setjmp.h>
#include "input.h"
#include "kernel_host.h"
#include "object/lookup.h"
#include "object/sched.h"

#define HOST_CPUS          2u
#define HOST_POOL_PFN      0x4000u
#define HOST_PRIVATE_PAGES 80u /* save areas and 16 vCPUs */

/** Why the kernel was left (setjmp of host_leave). */
enum { HOST_USER = 1, HOST_RESUME, HOST_IDLE };
extern jmp_buf host_leave;

extern struct host {
    uint32_t cpu;
    uint64_t tsc;
    uint32_t kicked;      /* CPUs with a pending kick, one bit each */
    bool window;          /* a page of a Frame is mapped in the kernel */
    struct sysret result; /* of the last system call that returned */
} host;

extern struct input *host_input; /* where the backend takes a guest's exits from */
extern struct runq host_runqs[HOST_CPUS];

void host_init(void);
/** Remember all of the machine and the pool; put it back. The kernel's variables: restore.h. */
void host_save(void);
void host_restore(void);
/** Go on on this CPU. */
void host_cpu(uint32_t cpu);
/** Vector of an interrupt that is pending on this CPU, taken; 0: none. */
uint64_t host_pending(void);
void host_backend(void);
/** The pool, readable whatever the kernel's own map hides. */
uint8_t *host_pool(void);

#endif
