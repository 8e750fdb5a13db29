/* The C functions that entry.S and boot.S call, and nobody else. */
#ifndef OBJECT_ENTRY_H
#define OBJECT_ENTRY_H

#include "object/lookup.h"
#include "arch/x86/trap.h"

struct sysret sys_invoke(uint64_t cap, uint64_t method, uint64_t a0, uint64_t a1, uint64_t a2,
                         uint64_t a3);
struct sysret sys_send(uint64_t cap, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
                       uint64_t deadline);
struct sysret sys_receive(uint64_t cap, uint64_t deadline);
struct sysret sys_signal(uint64_t cap);
struct sysret sys_wait(uint64_t cap, uint64_t deadline);
struct sysret sys_poll(uint64_t cap);
struct sysret sys_yield(void);
struct sysret sys_vcpu_run(uint64_t deadline, uint64_t flags);

/** err 0: switched to the partner, value = badge; else: take the slow path. */
struct sysret ipc_call_fast(uint64_t cap, uint64_t deadline);
struct sysret ipc_reply_wait_fast(uint64_t cap, uint64_t deadline);
struct sysret ipc_call_slow(uint64_t cap, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
                            uint64_t deadline);
__attribute__((noreturn)) void ipc_reply_wait_slow(uint64_t cap, uint64_t w0, uint64_t w1,
                                                   uint64_t w2, uint64_t w3, uint64_t deadline);
__attribute__((noreturn)) void ipc_hazard_words(uint64_t badge, uint64_t w0, uint64_t w1,
                                                uint64_t w2, uint64_t w3);
/** What resume_current() goes on with, on an empty stack. */
__attribute__((noreturn)) void resume(void);
__attribute__((noreturn)) void syscall_hazard(uint64_t result, uint64_t value);

__attribute__((noreturn)) void trap_user(struct frame *f);
__attribute__((noreturn)) void trap_kernel(struct frame *f);
/** Handle an interrupt, from user mode or in a window. */
void interrupt(uint32_t vector);
void trap_ist(struct frame *f);
__attribute__((noreturn)) void ap_main(void);
__attribute__((noreturn)) void boot_main(uint32_t magic, uint64_t phys);

#endif
