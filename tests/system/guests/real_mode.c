/*
 * Fact: a guest can leave long mode for real mode and come back: software and hardware interrupts
 * through the vector table at 0, exceptions, segment arithmetic with A20 open, ports (by strings,
 * of which only half of the registers counts), and CPUID.
 */
#include "guest.h"

enum { REAL_CODE = 0x8000, REAL_RESULT = 0x7000, IRQ0_VECTOR = 0x20 };

/* What the 16-bit code leaves at REAL_RESULT. */
struct result {
    uint16_t software, divide, timer, wrapped, port, segment;
    uint32_t vendor;
    uint16_t string, left;
    uint16_t absent_msr;
};

void real_run(void);
extern char real_start[], real_end[], real_int[], real_divide[], real_gp[], real_irq[];

__asm__(".text\n.globl real_run\nreal_run:\n"
        "pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "movq %rsp, real_rsp(%rip)\n"
        "sidt real_idt(%rip)\n"
        "pushq $0x18; pushq $1f; lretq\n"
        ".code32\n"
        "1: movl %cr0, %eax; andl $0x7fffffff, %eax; movl %eax, %cr0\n"
        "movl $0xc0000080, %ecx; rdmsr; andl $~0x100, %eax; wrmsr\n"
        "lidt real_ivt\n"
        "ljmp $0x20, $0x8000\n"
        /* Back from real mode, in 32-bit protected mode with flat segments still to be loaded. */
        ".globl real_back\nreal_back:\n"
        "movl $0x10, %eax; movl %eax, %ds; movl %eax, %es; movl %eax, %ss\n"
        "xorl %eax, %eax; movl %eax, %fs; movl %eax, %gs\n"
        "movl $0xc0000080, %ecx; rdmsr; orl $0x100, %eax; wrmsr\n"
        "movl %cr0, %eax; orl $0x80000000, %eax; movl %eax, %cr0\n"
        "ljmp $0x08, $2f\n"
        ".code64\n"
        "2: movq real_rsp(%rip), %rsp\n"
        "lidt real_idt(%rip)\n"
        "popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
        "ret\n"
        ".data\n"
        "real_rsp: .quad 0\nreal_idt: .fill 10, 1, 0\nreal_ivt: .word 0x3ff; .long 0\n"
        /* This part runs from a copy at REAL_CODE; far targets are computed for that place. */
        ".balign 16\nreal_start:\n.code16\n"
        "movw $0x28, %ax; movw %ax, %ds; movw %ax, %es; movw %ax, %ss\n"
        "movw %ax, %fs; movw %ax, %gs\n"
        "movl %cr0, %eax; andb $0xfe, %al; movl %eax, %cr0\n"
        ".byte 0xea; .word 0x8000 + (1f - real_start); .word 0\n"
        "1: xorw %ax, %ax; movw %ax, %ds; movw %ax, %es; movw %ax, %ss; movw $0x6ff0, %sp\n"
        "int $0x60; int $0x60; int $0x60\n"
        "xorw %cx, %cx; movw $1, %ax; divb %cl\n"
        "movl $0x3fff0000, %ecx; rdmsr\n"
        /* 0xffff:0x0510 is 0x100500 with A20 open; without, it would be 0x500. */
        "movw $0xffff, %ax; movw %ax, %es; movw $0x1234, 0x500\n"
        "movw %es:0x510, %bx; notw %bx; movw %bx, %es:0x510\n"
        "movw 0x500, %ax; movw %ax, 0x7006; notw %bx; movw %bx, %es:0x510\n"
        "inb $0x61, %al; inb $0xe0, %al; movb $0, %ah; movw %ax, 0x7008\n"
        "movw $0x700, %ax; movw %ax, %es; movw $0x4321, %es:0x0a\n"
        "xorl %eax, %eax; cpuid; movl %ebx, 0x700c\n"
        /* COM1's scratch register keeps what DS:SI points to, not ES:SI; CX is 1. */
        "movb $0x5a, 0x7020; movb $0xa5, %es:0x7020\n"
        "movl $0xbeef7020, %esi; movl $0xabcd0001, %ecx; movw $0x3ff, %dx; rep outsb\n"
        "inb %dx, %al; movb $0, %ah; movw %ax, 0x7010; movw %cx, 0x7012\n"
        /* PIT channel 0, mode 0, about 2 ms; the PIC's line 0 alone. */
        "movb $0xfe, %al; outb %al, $0x21\n"
        "movb $0x30, %al; outb %al, $0x43; movb $0, %al; outb %al, $0x40; movb $8, %al; outb %al, "
        "$0x40\n"
        "sti; hlt; cli\n"
        "lgdtl 0x7e00\n"
        "movl %cr0, %eax; orb $1, %al; movl %eax, %cr0\n"
        ".byte 0x66, 0xea; .long real_back; .word 0x18\n"
        "real_int: incw 0x7000; iret\n"
        /* #DE points at the DIV, which is two bytes long. */
        "real_divide: incw 0x7002; pushw %bp; movw %sp, %bp; addw $2, 2(%bp); popw %bp; iret\n"
        /* #GP at RDMSR, two bytes as well, and no error code on the stack of real mode. */
        "real_gp: incw 0x7014; pushw %bp; movw %sp, %bp; addw $2, 2(%bp); popw %bp; iret\n"
        "real_irq: incw 0x7004; pushw %ax; movb $0x20, %al; outb %al, $0x20; popw %ax; iret\n"
        "real_end:\n.code64\n.text\n");

/* In assembly, because C takes the vector table's address for a null pointer. */
static void vector_set(uint64_t vector, const char *handler)
{
    uint32_t to = REAL_CODE + (uint32_t)(handler - real_start);

    __asm__ volatile("movl %0, (%1)" ::"r"(to), "r"(4 * vector) : "memory");
}

void guest_main(void)
{
    volatile struct result *r = (void *)(uint64_t)REAL_RESULT;
    uint64_t gdtr[2] = {0, 0};

    pic_init();
    memset((void *)(uint64_t)REAL_RESULT, 0, sizeof(*r));
    memcpy((void *)(uint64_t)REAL_CODE, real_start, (size_t)(real_end - real_start));
    vector_set(0x60, real_int);
    vector_set(0, real_divide);
    vector_set(13, real_gp);
    vector_set(IRQ0_VECTOR, real_irq);
    __asm__ volatile("sgdt %0" : "=m"(gdtr));
    memcpy((void *)0x7e00ULL, gdtr, 10);
    lapic_init(false);
    lapic_write(LAPIC_LVT_LINT0, 0x700);
    print("TRY real mode\n");
    real_run();
    fact("back", true, "in long mode");
    fact("int", r->software == 3, "%u", r->software);
    fact("divide", r->divide == 1, "%u", r->divide);
    fact("absent-msr", r->absent_msr == 1, "%u", r->absent_msr);
    fact("timer", r->timer == 1, "%u", r->timer);
    fact("a20", r->wrapped == 0x1234, "%x", r->wrapped);
    fact("port", r->port == 0xff, "%x", r->port);
    fact("segment", r->segment == 0x4321, "%x", r->segment);
    fact("string", r->string == 0x5a && r->left == 0, "%x, %u", r->string, r->left);
    fact("cpuid", r->vendor == cpuid(0, 0).b, "%x", r->vendor);
}
