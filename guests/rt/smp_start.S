/*
 * Where another CPU begins: copied to SMP_START_GPA, from real mode to the guest's long mode. What
 * it needs of memory it reads at its linked address. Calls ap_main() on the stack of ap_stack_top.
 */
#include "layout.h"

    .text
    .code16
    .globl ap_begin, ap_end
ap_begin:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    lgdtl ap_gdt - ap_begin
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl $CR0_BOOT, %eax
    movl %eax, %cr0
    ljmpl $SEL_CODE, $ap_start64
    .balign 4
ap_gdt:
    .word 0x7f
    .long gdt
ap_end:

    .code64
ap_start64:
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movq ap_stack_top(%rip), %rsp
    call ap_main
1:  cli
    hlt
    jmp 1b

    .bss
    .balign 8
    .globl ap_stack_top
ap_stack_top:
    .skip 8
    .section .note.GNU-stack, "", @progbits
