/* Register frames and what entry.S and the C side of traps, system calls and switches share. */
#ifndef ARCH_X86_TRAP_H
#define ARCH_X86_TRAP_H

#include <stdint.h>

/** What an interrupt or exception leaves at the top of the thread's save area (or on a kernel
 * stack). */
struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct frame) == 176, "entry.S");

struct thread;
static inline struct frame *save_frame(uint64_t save)
{
    return (struct frame *)(save - sizeof(struct frame));
}

/** Leave the kernel by the current thread's continuation. */
__attribute__((noreturn)) void resume_current(void);
/* entry.S */
__attribute__((noreturn)) void return_frame(void);
__attribute__((noreturn)) void return_syscall(uint64_t result, uint64_t value);
__attribute__((noreturn)) void return_ipc(uint64_t result, uint64_t badge, const uint64_t *words);
void syscall_entry(void);
extern char vectors_start[];
void exit_irq_window(void); /* interrupts that are pending */
void idle_irq_window(void); /* halt until one comes */

#endif
