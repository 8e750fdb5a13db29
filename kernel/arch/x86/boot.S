/*
 * From the loader to C: the multiboot2 header, the PVH entry note, 32-bit protected mode to long mode,
 * and the trampoline of the other CPUs. Runs at physical addresses; uses the boot page tables only.
 * Multiboot2 spec 2.0, 3.1; Xen PVH boot ABI (docs/misc/pvh); Intel SDM vol. 3A, 10.8.5.
 */
#include "layout.h"

    .section .boot.header, "a"
    .balign 8
mb2_header:
    .long 0xe85250d6, 0, mb2_end - mb2_header, -(0xe85250d6 + (mb2_end - mb2_header))
    .balign 8
    .word 6, 0          /* modules on page boundaries */
    .long 8
    .balign 8
    .word 0, 0
    .long 8
mb2_end:

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18      /* "Xen", XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long boot_entry

    .section .boot.bss, "aw", @nobits
    .balign 4096
    .globl boot_pml4
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pdpt_high: .skip 4096
boot_pd: .skip 4 * 4096
boot_stack: .skip 4096
boot_stack_top:

    .section .boot.text, "ax"
    .code32
    .globl boot_entry
boot_entry:
    cli
    cld
    mov %eax, %ebp              /* multiboot2: 0x36d76289; PVH: anything else */
    mov %ebx, %esi
    mov $boot_stack_top, %esp

    mov $0x80000000, %eax       /* no long mode, no Bulkhead */
    cpuid
    cmp $0x80000001, %eax
    jb no_long_mode
    mov $0x80000001, %eax
    cpuid
    bt $29, %edx
    jnc no_long_mode

    rdtsc
    mov %eax, boot_tsc
    mov %edx, boot_tsc + 4

    movl $boot_pdpt + 3, boot_pml4
    movl $boot_pdpt_high + 3, boot_pml4 + 511 * 8
    movl $boot_pd + 3, boot_pdpt_high + 510 * 8
    mov $boot_pd + 3, %eax
    mov $boot_pdpt, %edi
    mov $4, %ecx
1:  mov %eax, (%edi)
    add $4096, %eax
    add $8, %edi
    loop 1b
    mov $0x83, %eax             /* present, writable, 2 MiB */
    mov $boot_pd, %edi
    mov $2048, %ecx
2:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 2b

    call enter_long_mode
    ljmp $8, $boot64

no_long_mode:
    mov $no_long_text, %esi
3:  lodsb
    test %al, %al
    jz 4f
    mov $0x3f8, %dx
    out %al, %dx
    jmp 3b
4:  hlt
    jmp 4b

enter_long_mode:                /* leaves 32-bit compatibility mode active; clobbers eax, ecx, edx */
    mov $0x20, %eax             /* PAE; and off with what firmware left, as 5-level tables or CET */
    mov %eax, %cr4
    mov $boot_pml4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax             /* LME; NXE follows in C when the CPU has it */
    wrmsr
    mov %cr0, %eax
    and $~0x60000000, %eax      /* caches on */
    or $0x80010021, %eax        /* PG, WP, NE, PE */
    mov %eax, %cr0
    lgdt boot_gdtr
    ret

    .code64
boot64:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $boot_cpu_stack_top, %rsp
    mov %ebp, %edi
    mov %esi, %esi
    xor %ebp, %ebp
    push $0
    mov $boot_main, %rax
    jmp *%rax

    /* The other CPUs start here, copied to a page below 640 KiB; real mode, CS is that page's. */
    .code16
    .globl ap_start, ap_end
    .balign 16
ap_start:
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl ap_gdtr - ap_start
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $0x18, $ap32
    .balign 8
ap_gdtr:
    .word 0x1f
    .long boot_gdt
ap_end:

    .code32
ap32:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $boot_stack_top, %esp   /* one CPU starts at a time */
    call enter_long_mode
    ljmp $8, $ap64
    .code64
ap64:
    mov $ap_stack_top, %rsp     /* not CPU 0's: it is still on its own */
    xor %ebp, %ebp
    push $0
    mov $ap_main, %rax
    jmp *%rax

    .section .boot.data, "aw"
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    /* 0x08 code 64 */
    .quad 0x00cf93000000ffff    /* 0x10 data */
    .quad 0x00cf9b000000ffff    /* 0x18 code 32 */
boot_gdtr:
    .word 0x1f
    .long boot_gdt
    .globl boot_tsc
    .balign 8
boot_tsc: .quad 0
no_long_text: .asciz "bulkhead: this CPU has no 64-bit mode; a 64-bit CPU with VT-x or AMD-V is needed\r\n"

    .section .bss.page, "aw", @nobits
    .balign 4096
    .skip 8192
boot_cpu_stack_top:
    .skip 8192
ap_stack_top:
    .section .note.GNU-stack, "", @progbits
