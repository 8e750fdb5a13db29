/*
 * Root's first bytes: struct bh_root_header (bulkhead/info.h), then the entry. The kernel sets rsp
 * from the header and rdi to BH_ROOT_INFO.
 */
    .section .header, "ax"
    .globl root_header
root_header:
    .quad 0x31544f4f52484221
    .quad root_entry
    .quad root_text_bytes
    .quad root_rodata_bytes
    .quad root_data_bytes
    .quad root_bss_bytes
    .quad root_stack_top
    .quad 0

    .globl root_entry
root_entry:
    xor %ebp, %ebp
    call root_main
1:  ud2
    jmp 1b

    .section .bss.stack, "aw", @nobits
    .balign 4096
    .skip 32768
root_stack_top:
    .globl root_stack_top
    .section .note.GNU-stack, "", @progbits
