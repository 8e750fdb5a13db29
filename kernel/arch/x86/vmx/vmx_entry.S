/*
 * Into the guest and out again. Calls nothing; touches the register array it is given and the
 * kernel stack, and runs with interrupts off.
 */
#include "vmcs.h"

    /* x86 numbers of the registers that are moved one by one; rsp lies in the VMCS, rdi is the array */
    .macro each_register move
    \move rax, 0
    \move rcx, 1
    \move rdx, 2
    \move rbx, 3
    \move rbp, 5
    \move rsi, 6
    .irp n, 8, 9, 10, 11, 12, 13, 14, 15
    \move r\n, \n
    .endr
    .endm
    .macro load_register reg, n
    mov 8*\n(%rdi), %\reg
    .endm
    .macro store_register reg, n
    mov %\reg, 8*\n(%rdi)
    .endm

    .text
    /* unsigned vmx_enter(uint64_t *gpr, uint64_t launched, uint64_t *rsp) */
    .globl vmx_enter
    .balign 16
vmx_enter:
    .irp reg, rbp, rbx, r12, r13, r14, r15, rdi
    push %\reg
    .endr
    cmp %rsp, (%rdx)
    je 1f
    mov %rsp, (%rdx)
    mov $HOST_RSP, %eax
    vmwrite %rsp, %rax
    jbe failed
1:  test %esi, %esi             /* MOV leaves the flags alone */
    each_register load_register
    mov 8*7(%rdi), %rdi
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
    each_register store_register
    pop 8*7(%rdi)
    /* No guest value stays in a register that C code could use speculatively. */
    .irp reg, eax, ecx, edx, esi, r8d, r9d, r10d, r11d
    xor %\reg, %\reg
    .endr
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
    lfence                      /* the branch around the calls may be the guest's prediction */
    add $8, %rsp
    .irp reg, r15, r14, r13, r12, rbx, rbp
    pop %\reg
    .endr
    ret

    .section .note.GNU-stack, "", @progbits
