/*
 * A boot sector that switches tasks as the 386 does, by a far jump to a task state segment
 * (SDM vol. 3, 8.3), which no monitor carries out. On the serial port: T before it, and O in the
 * other task.
 */
#define COM1  0x3f8
#define STACK 0x7000
#define TSS   0x6000 /* of the new task; the old one is saved 0x100 further on */

#include "sector.inc"

    sector_start
    movw $TSS, %di
    movw $0x200 / 4, %cx
    xorl %eax, %eax
    rep stosl
    movl $other, TSS + 0x20 /* EIP */
    movl $2, TSS + 0x24     /* EFLAGS */
    movl $STACK, TSS + 0x38 /* ESP */
    movl $16, TSS + 0x48    /* ES */
    movl $8, TSS + 0x4c     /* CS */
    movl $16, TSS + 0x50    /* SS */
    movl $16, TSS + 0x54    /* DS */
    sector_flat gdtr
    movw $24, %ax
    ltr %ax
    movw $COM1, %dx
    movb $'T', %al
    outb %al, %dx
    ljmpl $32, $0
    hlt

other:
    movw $COM1, %dx
    movb $'O', %al
    outb %al, %dx
    hlt

.balign 8
gdt: /* none, flat code, flat data, the TSS of the old task and of the new one */
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
    .quad 0x0000890061000067, 0x0000890060000067
gdtr:
    .word gdtr - gdt - 1
    .long gdt

.org 510
    .word 0xaa55
