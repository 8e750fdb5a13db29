/*
 * svm_enter(vmcb physical, page, host state physical): guest in, guest out. General registers but rax and rsp live in the
 * page's gpr[]. FS, GS, TR, LDTR and the system-call MSRs are the host's again when it returns; GIF is set, IF clear.
 */
    .section .text.hot, "ax"
    .balign 64
    .globl svm_enter
svm_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    push %rsi
    mov %rdi, %rax
    clgi
    vmload %rax
    mov 8(%rsi), %rcx
    mov 16(%rsi), %rdx
    mov 24(%rsi), %rbx
    mov 40(%rsi), %rbp
    mov 56(%rsi), %rdi
    .irp n, 8, 9, 10, 11, 12, 13, 14, 15
    mov 8 * \n(%rsi), %r\n
    .endr
    mov 48(%rsi), %rsi
    sti                         /* host interrupts end the guest; GIF holds them back until it runs */
    vmrun %rax
    cli
    vmsave %rax
    pop %rax
    mov %rcx, 8(%rax)
    mov %rdx, 16(%rax)
    mov %rbx, 24(%rax)
    mov %rbp, 40(%rax)
    mov %rsi, 48(%rax)
    mov %rdi, 56(%rax)
    .irp n, 8, 9, 10, 11, 12, 13, 14, 15
    mov %r\n, 8 * \n(%rax)
    .endr
    pop %rax
    vmload %rax
    stgi
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .section .note.GNU-stack, "", @progbits
