/*
 * Root's first bytes: struct bh_root_header (bulkhead/info.h), then the entry. The kernel sets rsp
 * from the header, rdi to BH_ROOT_INFO, rsi to the CPU.
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
    .quad 16384                 /* each CPU's stack */

    .globl root_entry
root_entry:
    xor %ebp, %ebp
    test %esi, %esi
    jnz 2f
    call root_main
    jmp 1f
2:  mov %esi, %edi
    call root_service           /* (cpu); weak: programs without one park the CPU */
1:  ud2
    jmp 1b

    /* Default service of the other CPUs: stop this thread (its own capability: BH_SLOT_CPU_THREADS + cpu). */
    .weak root_service
root_service:
    add $32, %edi
    mov $4, %esi                /* thread_stop */
    mov $1, %eax                /* invoke */
    syscall
    jmp root_service

    .section .bss.stack, "aw", @nobits
    .balign 4096
    .skip 16 * 16384            /* 16 CPUs: as many as a space has save areas */
root_stack_top:
    .globl root_stack_top
    .section .note.GNU-stack, "", @progbits
