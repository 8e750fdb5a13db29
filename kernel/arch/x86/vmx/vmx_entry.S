/*
 * Into the guest and out again. Calls nothing; touches the register array it is given and the
 * kernel stack, and runs with interrupts off.
 */
#include "vmcs.h"

    .text
    /* unsigned vmx_enter(uint64_t *gpr, uint64_t launched, uint64_t *rsp) */
    .globl vmx_enter
    .balign 16
vmx_enter:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdi
    cmp %rsp, (%rdx)
    je 1f
    mov %rsp, (%rdx)
    mov $HOST_RSP, %eax
    vmwrite %rsp, %rax
    jbe failed
1:  test %esi, %esi             /* MOV leaves the flags alone */
    mov 0(%rdi), %rax
    mov 8(%rdi), %rcx
    mov 16(%rdi), %rdx
    mov 24(%rdi), %rbx
    mov 40(%rdi), %rbp
    mov 48(%rdi), %rsi
    mov 64(%rdi), %r8
    mov 72(%rdi), %r9
    mov 80(%rdi), %r10
    mov 88(%rdi), %r11
    mov 96(%rdi), %r12
    mov 104(%rdi), %r13
    mov 112(%rdi), %r14
    mov 120(%rdi), %r15
    mov 56(%rdi), %rdi
    jz 2f
    vmresume
    jmp failed
2:  vmlaunch
failed:
    mov $1, %eax
    jmp leave

    .globl vmx_exit_point
    .balign 16
vmx_exit_point:
    push %rdi
    mov 8(%rsp), %rdi
    mov %rax, 0(%rdi)
    mov %rcx, 8(%rdi)
    mov %rdx, 16(%rdi)
    mov %rbx, 24(%rdi)
    mov %rbp, 40(%rdi)
    mov %rsi, 48(%rdi)
    mov %r8, 64(%rdi)
    mov %r9, 72(%rdi)
    mov %r10, 80(%rdi)
    mov %r11, 88(%rdi)
    mov %r12, 96(%rdi)
    mov %r13, 104(%rdi)
    mov %r14, 112(%rdi)
    mov %r15, 120(%rdi)
    pop 56(%rdi)
    /* No guest value stays in a register that C code could use speculatively. */
    xor %eax, %eax
    xor %ecx, %ecx
    xor %edx, %edx
    xor %esi, %esi
    xor %r8d, %r8d
    xor %r9d, %r9d
    xor %r10d, %r10d
    xor %r11d, %r11d
    /* The guest has trained the return predictor: overwrite its 32 entries before the first RET. */
    testb $1, vmx_rsb_fill(%rip)
    jz leave
    .rept 32
    call 3f
    int3
3:
    .endr
    add $32 * 8, %rsp
leave:
    add $8, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret

    .section .note.GNU-stack, "", @progbits
