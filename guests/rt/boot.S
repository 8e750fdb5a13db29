/*
 * Micro guest entry: multiboot 1 header and PVH note, or multiboot 2 header alone, 32-bit start, long mode, interrupt stubs, and
 * the assembly halves of expect_fault() and user_fault().
 * Calls guest_start() and trap_dispatch() in C. Must never enable interrupts by itself.
 */
#include "layout.h"

/* Multiboot 0.6.96, 3.1. The address fields let loaders take the ELF64 file as a flat image. */
#define MB_MAGIC 0x1badb002
#define MB_FLAGS 0x00010003

/* Multiboot2 2.0, 3.1. No address tag: an ELF64 file, and not its own entry point. */
#define MB2_MAGIC 0xe85250d6

#if defined(GUEST_MULTIBOOT2)
    .section .multiboot, "a"
    .balign 8
multiboot2_header:
    .long MB2_MAGIC, 0, multiboot2_end - multiboot2_header, -(MB2_MAGIC + multiboot2_end - multiboot2_header)
    .word 1, 0 /* information: command line, modules, memory and its map, RSDP */
    .long 8 + 6 * 4, 1, 3, 4, 6, 14, 15
    .word 3, 0 /* entry address */
    .long 12, multiboot2_entry, 0
    .word 6, 0 /* modules at pages */
    .long 8
    .word 7, 1 /* EFI boot services would do as well */
    .long 8
    .word 0, 0
    .long 8
multiboot2_end:
#elif !defined(GUEST_NO_MULTIBOOT)
    .section .multiboot, "a"
    .balign 4
multiboot_header:
    .long MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)
    .long multiboot_header, image_start, image_data_end, image_end, multiboot_entry
#endif

#ifndef GUEST_MULTIBOOT2
/* Xen, include/public/elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY (18). */
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad pvh_entry
#endif

    .text
    .code32
    .globl pvh_entry
multiboot_entry:
    movl $BOOT_MULTIBOOT, %edi
    jmp 1f
multiboot2_entry:
    movl %eax, %edi
    jmp 1f
pvh_entry:
    movl $BOOT_PVH, %edi
1:  cli
    cld
    movl $boot_stack_top, %esp
    movl %ebx, %esi
    movl %cr0, %eax
    movl %eax, boot_cr0
    movl %cr4, %eax
    movl %eax, boot_cr4

    /* The first 4 GiB one to one in 2 MiB pages, open to ring 3 as well (user_fault()). */
    movl $boot_pdpt + 7, boot_pml4
    xorl %ecx, %ecx
2:  movl %ecx, %eax
    shll $12, %eax
    addl $boot_pd + 7, %eax
    movl %eax, boot_pdpt(, %ecx, 8)
    incl %ecx
    cmpl $4, %ecx
    jb 2b
    xorl %ecx, %ecx
3:  movl %ecx, %eax
    shll $21, %eax
    orl $0x87, %eax
    movl %eax, boot_pd(, %ecx, 8)
    incl %ecx
    cmpl $2048, %ecx
    jb 3b

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
    lgdt gdt_desc
    ljmp $SEL_CODE, $start64

    .code64
start64:
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movq $boot_stack_top, %rsp
    movl %edi, %edi
    movl %esi, %esi
    call guest_start
4:  hlt
    jmp 4b

/* One stub per vector, STUB_BYTES apart; the C side computes their addresses. */
    .balign STUB_BYTES
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .balign STUB_BYTES
    /* Vectors with an error code: Intel SDM vol. 3A, table 6-1; 29 and 30 are AMD's. */
    .if (vector != 8) && ((vector < 10) || (vector > 14)) && (vector != 17) && (vector != 21) && (vector != 29) && (vector != 30)
    pushq $0
    .endif
    pushq $vector
    jmp trap_common
    .set vector, vector + 1
    .endr

trap_common:
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    call trap_dispatch
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp
    iretq

    .macro save_frame
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushfq
    movq %rsp, fault_frame(%rip)
    .endm

/* unsigned expect_fault(void (*fn)(void)) */
    .globl expect_fault
expect_fault:
    save_frame
    call *%rdi
    movl $-1, %eax
    .globl fault_resume
fault_resume:
    movq $0, fault_frame(%rip)
    popfq
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

/* unsigned user_fault(void (*fn)(void)): the same with fn at CPL 3. */
    .globl user_fault
user_fault:
    save_frame
    movq $user_stack_top, %rax
    movq $user_done, -8(%rax)
    subq $8, %rax
    pushq $SEL_USER_DATA
    pushq %rax
    pushq $2
    pushq $SEL_USER_CODE
    pushq %rdi
    iretq
user_done:
    int $VECTOR_USER_DONE

    .data
    .balign 16
    .globl gdt
gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* SEL_CODE: 64-bit code */
    .quad 0x00cf93000000ffff /* SEL_DATA */
    .quad 0x00cf9b000000ffff /* SEL_CODE32 */
    .quad 0x00009b000000ffff /* SEL_CODE16, base 0 */
    .quad 0x000093000000ffff /* SEL_DATA16 */
    .quad 0x00cff3000000ffff /* SEL_USER_DATA */
    .quad 0x00affb000000ffff /* SEL_USER_CODE */
    .quad 0, 0               /* SEL_TSS, filled by C */
    .quad 0x00cf13000000ffff /* SEL_ABSENT: data, not present */
gdt_end:
    .globl gdt_desc
gdt_desc:
    .word gdt_end - gdt - 1
    .quad gdt

    .bss
    .balign 4096
    .globl boot_pml4, boot_pdpt, boot_pd
boot_pml4:
    .skip 4096
boot_pdpt:
    .skip 4096
boot_pd:
    .skip 4 * 4096
    .skip 16384
boot_stack_top:
    .skip 8192
    .globl ring0_stack_top, ist_stack_top, user_stack_top
ring0_stack_top:
    .skip 8192
user_stack_top:
    .skip 3 * IST_BYTES
ist_stack_top:
    .globl boot_cr0, boot_cr4, fault_frame
boot_cr0:
    .skip 4
boot_cr4:
    .skip 4
fault_frame:
    .skip 8
    .section .note.GNU-stack, "", @progbits
