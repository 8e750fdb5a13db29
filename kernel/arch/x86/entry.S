/*
 * Every way into and out of ring 0: system calls, interrupts, exceptions, and the returns.
 * General registers of an interrupted user go straight into the thread's save area (TSS.RSP0 points at its
 * top); a system call stores RIP and RSP there and nothing else (the ABI lets it clobber the rest).
 * There is one kernel stack per CPU and it is empty whenever a user or guest runs.
 */
#include "layout.h"

/* Numbers of bulkhead/call.h, checked there against drift by trap.c. */
#define SYS_invoke 1
#define SYS_call 2
#define SYS_reply_wait 3
#define SYS_send 4
#define SYS_receive 5
#define SYS_signal 6
#define SYS_wait 7
#define SYS_poll 8
#define SYS_yield 9
#define SYS_vcpu_run 10

/* Order of struct frame (trap.h). */
.macro PUSH_REGS
    .irp r, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    push %\r
    .endr
.endm
.macro POP_REGS
    .irp r, r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax
    pop %\r
    .endr
.endm
.macro ZERO regs:vararg
    .irp r, \regs
    xor %\r, %\r
    .endr
.endm
/* Back to user mode from a system call; RSP and RIP are in the save area. */
.macro SYSRET zero:vararg
    mov %gs:PC_SAVE, %r11
    mov SAVE_RIP(%r11), %rcx
    mov SAVE_RSP(%r11), %rsp
    ZERO \zero
    mov $0x202, %r11d
    swapgs
    sysretq
.endm

/* A message call's arguments to registers that C preserves, and to those of C's arguments. */
.macro KEEP_WORDS
    mov %rsi, %rbx
    mov %rdx, %r12
    mov %r10, %r13
    mov %r8, %r14
    mov %rdi, %r15
    mov %r9, %rsi
    mov %r9, %rbp
.endm
.macro GIVE_WORDS
    mov %r15, %rdi
    mov %rbx, %rsi
    mov %r12, %rdx
    mov %r13, %rcx
    mov %r14, %r8
    mov %rbp, %r9
.endm

    .section .text.hot, "ax"
    .balign 64
    .globl syscall_entry
syscall_entry:
    swapgs
    mov %gs:PC_SAVE, %r11
    mov %rsp, SAVE_RSP(%r11)
    mov %rcx, SAVE_RIP(%r11)
    mov %gs:PC_KSTACK, %rsp
    cmp $SYS_vcpu_run, %eax
    je do_vcpu_run
    cmp $SYS_call, %eax
    je do_call
    cmp $SYS_reply_wait, %eax
    je do_reply_wait
    cmp $SYS_signal, %eax
    je do_signal
    cmp $SYS_wait, %eax
    je do_wait
    test %eax, %eax
    je do_version
    cmp $SYS_invoke, %eax
    je do_invoke
    cmp $SYS_poll, %eax
    je do_poll
    cmp $SYS_yield, %eax
    je do_yield
    cmp $SYS_send, %eax
    je do_send
    cmp $SYS_receive, %eax
    je do_receive
    mov $3, %eax                /* BH_ERR_METHOD */
    xor %edx, %edx
    jmp exit_syscall

do_vcpu_run:
    call sys_vcpu_run
    /* Out: rax = result, rdx = value. */
exit_syscall:
    cmpl $0, %gs:PC_HAZARD
    jne exit_hazard
exit_clean:                     /* nothing of the kernel's leaves in a register */
    SYSRET edi, esi, r8d, r9d, r10d
exit_hazard:
    mov %rax, %rdi
    mov %rdx, %rsi
    call syscall_hazard         /* does not return */

do_version:
    mov $0, %eax
    mov $1, %edx                /* BH_ABI_VERSION */
    jmp exit_syscall
do_invoke:
    mov %r10, %rcx
    call sys_invoke
    jmp exit_syscall
do_signal:
    call sys_signal
    jmp exit_syscall
do_wait:
    call sys_wait
    jmp exit_syscall
do_poll:
    call sys_poll
    jmp exit_syscall
do_yield:
    call sys_yield
    jmp exit_syscall
do_send:
    mov %r10, %rcx
    call sys_send
    jmp exit_syscall
do_receive:
    call sys_receive
    jmp exit_syscall

/*
 * call, reply_wait: the four words wait in rbx, r12-r14, which C preserves, while the C part decides. Fast: it has
 * switched to the partner and returns its badge. Slow (rax != 0): it is told the words and does not come back.
 */
    .balign 16
do_call:
    KEEP_WORDS
    call ipc_call_fast          /* (ep, deadline) -> rax: 0 fast; rdx: badge */
    test %eax, %eax
    jne call_slow
exit_ipc:                       /* rdx = badge, words in rbx, r12-r14 */
    cmpl $0, %gs:PC_HAZARD
    jne ipc_hazard
    mov %rdx, %rdi
    mov %rbx, %rsi
    mov %r12, %rdx
    mov %r13, %r10
    mov %r14, %r8
    xor %eax, %eax
exit_ipc_words:                 /* what else is in registers is the partner's */
    SYSRET r9d, ebx, ebp, r12d, r13d, r14d, r15d
    .balign 16
do_reply_wait:
    KEEP_WORDS
    call ipc_reply_wait_fast
    test %eax, %eax
    je exit_ipc
    GIVE_WORDS
    call ipc_reply_wait_slow
    ud2
call_slow:
    GIVE_WORDS
    call ipc_call_slow
    jmp exit_syscall            /* an error: nothing happened */
ipc_hazard:
    mov %rdx, %rdi
    mov %rbx, %rsi
    mov %r12, %rdx
    mov %r13, %rcx
    mov %r14, %r8
    call ipc_hazard_words       /* keeps them in the thread's save area; does not return */
    ud2

    .globl resume_current
resume_current:                 /* whoever calls this leaves its frames behind: the stack starts anew */
    mov %gs:PC_KSTACK, %rsp
    call resume
    ud2

    .globl return_syscall
return_syscall:                 /* (result, value) */
    mov %rdi, %rax
    mov %rsi, %rdx
    SYSRET ebx, ebp, r12d, r13d, r14d, r15d, edi, esi, r8d, r9d, r10d

    .globl return_ipc
return_ipc:                     /* (result, badge, words[4]) */
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %r11
    mov (%r11), %rsi
    mov 8(%r11), %rdx
    mov 16(%r11), %r10
    mov 24(%r11), %r8
    jmp exit_ipc_words

    .globl return_frame
return_frame:                   /* the whole frame in the save area */
    mov %gs:PC_SAVE, %rsp
    sub $176, %rsp
    POP_REGS
    add $16, %rsp
    swapgs
    iretq

/* Vector stubs: 16 bytes each. */
    .section .text, "ax"
    .balign 4096
    .globl vectors_start
vectors_start:
vec = 0
    .rept 256
    .balign 16
    .if (vec != 8) && (vec != 17) && (vec != 21) && (vec != 29) && (vec != 30) && ((vec < 10) || (vec > 14))
    push $0
    .endif
    push $vec
    .if (vec == 2) || (vec == 8) || (vec == 18)
    jmp ist_common
    .elseif vec >= 32
    jmp irq_common
    .else
    jmp trap_common
    .endif
vec = vec + 1
    .endr

/* The kernel lets interrupts in at its two windows only. There is nothing to go back to in a window: the
   handler returns in its place, to its caller, with interrupts off again. */
irq_common:
    testb $3, 24(%rsp)          /* CS */
    jnz trap_common
    mov (%rsp), %edi            /* vector */
    mov 40(%rsp), %rsp          /* as the window had it: its return address on top */
    jmp interrupt

trap_common:
    PUSH_REGS
    cld
    mov %rsp, %rdi
    testb $3, 144(%rsp)         /* CS */
    jz 1f
    swapgs
    mov %gs:PC_KSTACK, %rsp
    pushq $2                    /* the user's AC would switch SMAP off */
    popfq
    xor %ebp, %ebp
    call trap_user              /* does not return */
    ud2
1:  and $-16, %rsp
    call trap_kernel            /* does not return */
    ud2

/* NMI, double fault, machine check: own stacks, with this CPU's percpu pointer in the word above the frame, since
   GS may hold anything. */
ist_common:
    PUSH_REGS
    cld
    mov $0xc0000101, %ecx       /* GS_BASE */
    rdmsr
    mov %eax, %r12d
    mov %edx, %r13d
    mov 176(%rsp), %rax         /* percpu */
    mov %rax, %rdx
    shr $32, %rdx
    wrmsr
    mov %rsp, %rdi
    mov %rsp, %rbp
    call trap_ist
    mov %rbp, %rsp
    mov $0xc0000101, %ecx
    mov %r12d, %eax
    mov %r13d, %edx
    wrmsr
    POP_REGS
    add $16, %rsp
    iretq

/* The windows: RSP points at the return address throughout (irq_common). Without an interrupt, or after
   an NMI, they end by themselves. */
    .globl exit_irq_window
exit_irq_window:
    sti
    nop
    cli
    ret
    .globl idle_irq_window
idle_irq_window:                /* HLT is in the shadow of STI: no interrupt is lost between them */
    sti
    hlt
    cli
    ret
    .section .note.GNU-stack, "", @progbits
