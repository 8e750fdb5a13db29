/*
 * A boot sector that looks at the screen's frame buffer (BAR 0 of 00:01.0) where the firmware has
 * put it, then where it puts it itself: Y for memory, N for none, on the serial port. Ends by a
 * reset.
 */
#define BAR0    0x80000810
#define WORD    0x1234abcd
#define LAST_MB 0x00f00000
#define COM1    0x3f8
#define RESET   0xcf9

#include "sector.inc"

    sector_start
    sector_flat gdtr
    movw $0xcf8, %dx
    movl $BAR0, %eax
    outl %eax, %dx
    movw $0xcfc, %dx
    inl %dx, %eax
    movl $places, %esi
look:
    andl $~15, %eax
    call memory_at
    addl $LAST_MB, %eax
    call memory_at
    movl (%esi), %eax
    addl $4, %esi
    testl %eax, %eax
    jz end
    movw $0xcfc, %dx
    outl %eax, %dx
    jmp look
end:
    movb $'\n', %al
    movw $COM1, %dx
    outb %al, %dx
    movw $RESET, %dx
    movb $6, %al
    outb %al, %dx
    hlt

/* At EAX; preserves it. */
memory_at:
    movb $'N', %bl
    movl $WORD, (%eax)
    cmpl $WORD, (%eax)
    jne 1f
    movb $'Y', %bl
1:  xchgl %eax, %ebx
    movw $COM1, %dx
    outb %al, %dx
    xchgl %eax, %ebx
    ret

.balign 4
places:
    .long 0xc0000000, 0xc7000000, 0xe0000000, 0xf8000000, 0
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:
    .word 23
    .long gdt
.org 510
    .word 0xaa55
