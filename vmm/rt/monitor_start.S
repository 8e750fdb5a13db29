/*
 * A monitor's entry: rdi = number of the vCPU this thread runs (0..7); rsp is not set. Each thread
 * gets its own stack, aligned to its size; its struct vcpu is at the bottom (monitor.h, self()).
 */
    .text
    .globl monitor_entry
monitor_entry:
    xor %ebp, %ebp
    and $7, %edi
    lea 1(%rdi), %rax
    shl $15, %rax
    lea monitor_stacks(%rax), %rsp
    call monitor_main
1:  ud2
    jmp 1b

    .section .bss.stack, "aw", @nobits
    .globl monitor_stacks
    .balign 32768
monitor_stacks:
    .skip 8 * 32768
    .section .note.GNU-stack, "", @progbits
