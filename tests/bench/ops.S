/*
 * The measured operations of root_bench, one function each, and the guest programs of its raw exits.
 * Ring 3 and guest code only. Between the two RDTSC of a pair stands the operation and nothing else;
 * the same pair around nothing is a row of its own and is taken off. Windows for tests/bench/trace.c
 * (long NOPs) stand outside of the pair.
 */
#include "bench.h"

.macro MARK id
    nopl 0x42480000 + \id(%rax)
.endm
.macro MARK_END
    nopl 0x4248ffff(%rax)
.endm

.macro NOTHING
.endm

/* name(uint32_t *samples, uint64_t count): `op` timed, `after` not. Calls clobber all but rsp. */
.macro MEASURE name, id, op, after=NOTHING
    .globl \name
\name:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rsi
    push %rdi
    .balign 16
1:  MARK \id
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    push %rax
    \op
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    pop %rcx
    sub %rcx, %rax
    MARK_END
    mov (%rsp), %rdi
    mov %eax, (%rdi)
    addq $4, (%rsp)
    \after
    decq 8(%rsp)
    jnz 1b
    add $16, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
.endm

.macro SYS_VERSION
    mov $0, %eax
    syscall
.endm
.macro SYS_CALL
    mov $BENCH_EP, %edi
    mov $11, %esi
    mov $22, %edx
    mov $33, %r10d
    mov $44, %r8d
    mov $-1, %r9
    mov $2, %eax
    syscall
.endm
.macro SYS_SIGNAL ntfn
    mov $\ntfn, %edi
    mov $6, %eax
    syscall
.endm
.macro SYS_WAIT ntfn
    mov $\ntfn, %edi
    mov $-1, %rsi
    mov $7, %eax
    syscall
.endm
.macro SIGNAL_A
    SYS_SIGNAL BENCH_NTFN_A
.endm
.macro POLL_A
    mov $BENCH_NTFN_A, %edi
    mov $8, %eax
    syscall
.endm
.macro SIGNAL_A_WAIT_B
    SYS_SIGNAL BENCH_NTFN_A
    SYS_WAIT BENCH_NTFN_B
.endm

    .text
MEASURE op_empty, BENCH_ID_EMPTY, NOTHING
MEASURE op_null, BENCH_ID_NULL, SYS_VERSION
MEASURE op_call, BENCH_ID_CALL, SYS_CALL
MEASURE op_signal, BENCH_ID_SIGNAL, SIGNAL_A, POLL_A
MEASURE op_signal_wait, BENCH_ID_SIGNAL_WAIT, SIGNAL_A_WAIT_B

/* The partner of op_call: sends every message back. Does not return. */
    .globl echo_server
echo_server:
    mov $BENCH_EP, %edi
    mov $-1, %rsi
    mov $5, %eax
    syscall
    .balign 16
1:  test %eax, %eax
    jne 2f
    mov $BENCH_EP, %edi
    mov $-1, %r9
    mov $3, %eax
    syscall
    jmp 1b
2:  ud2

/* The partner of op_signal_wait. Does not return. */
    .globl pong
pong:
    .balign 16
1:  SYS_WAIT BENCH_NTFN_A
    test %eax, %eax
    jne 2f
    SYS_SIGNAL BENCH_NTFN_B
    jmp 1b
2:  ud2

/*
 * raw_monitor_N(): the smallest monitor there is: an exit that is expected advances RIP by the N bytes
 * of the instruction and runs the guest again. Any other exit is returned.
 */
.macro RAW_MONITOR length
    .globl raw_monitor_\length
raw_monitor_\length:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdi                   /* the exit that is expected */
    xor %esi, %esi              /* what there is to load at first is in rip already */
    jmp 2f
    .balign 16
1:  addq $\length, BENCH_VCPU_PAGE + 144
2:  mov $-1, %rdi
    mov $1, %esi                /* BH_RUN_RIP */
    mov $10, %eax
    syscall
    cmp (%rsp), %rax
    je 1b
    add $8, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
.endm
RAW_MONITOR 2
RAW_MONITOR 3

/*
 * Guest programs, real mode, copied to BENCH_GUEST_CODE. In: ecx = count, edi = where the samples go.
 * VMMCALL/VMCALL is patched in for the machine at hand (guest_*_patch); HLT ends the program.
 */
    .section .rodata.guest, "a"
    .code16
.macro GUEST name, id, op, after=NOTHING, close=1
    .globl guest_\name, guest_\name\()_end
guest_\name:
1:  addr32 nopl 0x42480000 + \id(%eax)
    rdtsc
    movl %eax, %esi
    \op
    rdtsc
    subl %esi, %eax
    .if \close
    addr32 nopl 0x4248ffff(%eax)
    .endif
    movl %eax, (%di)
    addw $4, %di
    \after
    decl %ecx
    jnz 1b
    hlt
guest_\name\()_end:
.endm
.macro OP_CPUID
    cpuid
.endm
.macro OP_IN
    inb $0x90, %al
.endm
.macro OP_OUT
    outb %al, $0x90
.endm
.macro OP_VMMCALL
    vmmcall
.endm
.macro OP_VMCALL
    vmcall
.endm
GUEST empty, BENCH_ID_RAW_EMPTY, NOTHING
GUEST cpuid, BENCH_ID_RAW_CPUID, OP_CPUID
GUEST in, BENCH_ID_RAW_IN, OP_IN
GUEST vmmcall, BENCH_ID_RAW_HYPERCALL, OP_VMMCALL
GUEST vmcall, BENCH_ID_RAW_HYPERCALL, OP_VMCALL
/* The write rings; the CPUID behind it tells the monitor to make ready for the next. */
GUEST ring, BENCH_ID_DOORBELL, OP_OUT, OP_CPUID
GUEST ring_again, BENCH_ID_DOORBELL_SET, OP_OUT
/* Closed by the thread that is woken. */
GUEST ring_afar, BENCH_ID_DOORBELL_AFAR, OP_OUT, OP_CPUID, 0
GUEST ring_here, BENCH_ID_DOORBELL_HERE, OP_OUT, OP_CPUID

/* Times at which something else than the guest ran: gaps between one RDTSC and the next. */
    .globl guest_gaps, guest_gaps_end
guest_gaps:
    rdtsc
    movl %eax, %esi
    addr32 nopl 0x42480000 + BENCH_ID_HOST_IRQ(%eax)
1:  rdtsc
    movl %eax, %ebx
    subl %esi, %eax
    movl %ebx, %esi
    cmpl $100, %eax
    jb 1b
    addr32 nopl 0x4248ffff(%eax)
    movl %eax, (%di)
    addw $4, %di
    addr32 nopl 0x42480000 + BENCH_ID_HOST_IRQ(%eax)
    decl %ecx
    jnz 1b
    hlt
guest_gaps_end:

    .globl guest_spin, guest_spin_end
guest_spin:
    jmp guest_spin
guest_spin_end:
    .code64 /* alignment is filled for the mode at the end of the file */
    .section .note.GNU-stack, "", @progbits
