/*
 * A boot sector whose GDT lies in memory that is read-only, as firmware's does: the processor sets
 * bits of descriptors there (accessed, busy), and a PC drops what it writes. Then a store that no
 * monitor carries out. On the serial port: Y for each that goes on, and O when the table is what it
 * was. Ends by a reset.
 */
#define PAM3        0x80000090 /* and byte 3 of that: 0xd0000 to 0xd7fff */
#define READ_WRITE  0x33
#define READ_ONLY   0x11
#define TABLE       0xd0000
#define TABLE_WORDS 8
#define COM1        0x3f8
#define RESET       0xcf9

#include "sector.inc"

    sector_start
    movb $READ_WRITE, %bl
    call pam
    movw $TABLE >> 4, %ax
    movw %ax, %es
    movw $gdt, %si
    xorw %di, %di
    movw $TABLE_WORDS, %cx
    rep movsl
    movb $READ_ONLY, %bl
    call pam
    sector_flat gdtr
    call say
    movw $24, %ax
    ltr %ax
    call say
    movl %cr4, %eax
    orl $0x200, %eax
    movl %eax, %cr4
    movups %xmm0, TABLE
    call say
    /* A few ms later nothing of it is there. */
    movl $4000, %ecx
1:  inb $0x80, %al
    loop 1b
    movl $gdt, %esi
    movl $TABLE, %edi
    movl $TABLE_WORDS, %ecx
    repe cmpsl
    jne 2f
    movb $'O', %al
    call say_it
2:  movb $'\n', %al
    call say_it
    movw $RESET, %dx
    movb $6, %al
    outb %al, %dx
    hlt

.code16
pam:
    movw $0xcf8, %dx
    movl $PAM3, %eax
    outl %eax, %dx
    movw $0xcff, %dx
    movb %bl, %al
    outb %al, %dx
    ret

.code32
say:
    movb $'Y', %al
say_it:
    movw $COM1, %dx
    outb %al, %dx
    ret

.balign 8
gdt: /* not accessed; available */
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x0000890060000067
gdtr:
    .word 31
    .long TABLE
.org 510
    .word 0xaa55
