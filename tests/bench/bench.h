/*
 * Numbers that root_bench and its assembler part share: capability slots of a worker, addresses,
 * and the windows by which tests/bench/trace.c finds an operation. Read by C and by the assembler.
 */
#ifndef BENCH_H
#define BENCH_H

/* Slots of every worker's CNode. */
#define BENCH_EP     1
#define BENCH_NTFN_A 2
#define BENCH_NTFN_B 3
#define BENCH_DONE   4
#define BENCH_VCPU   5
#define BENCH_NEVER  6 /* a notification that nobody signals: to stop there */
#define BENCH_SLOTS  32

/* Addresses in a worker's HostSpace. */
#define BENCH_VCPU_PAGE  0x220000
#define BENCH_BOARD      0x2000000 /* shared by root and all workers */
#define BENCH_GUEST_RAM  0x2400000 /* root's view of the guest's memory */
#define BENCH_SECOND_RAM 0x2600000 /* and of the second VM's */

/* Guest-physical. */
#define BENCH_GUEST_CODE    0x1000
#define BENCH_GUEST_SAMPLES 0x2000

/* Windows. 1..19: guest_exit.c. */
#define BENCH_ID_EMPTY         20
#define BENCH_ID_NULL          21
#define BENCH_ID_CALL          22
#define BENCH_ID_SIGNAL        23
#define BENCH_ID_SIGNAL_WAIT   24
#define BENCH_ID_RAW_EMPTY     25
#define BENCH_ID_RAW_CPUID     26
#define BENCH_ID_RAW_IN        27
#define BENCH_ID_RAW_HYPERCALL 28
#define BENCH_ID_DOORBELL      29
#define BENCH_ID_DOORBELL_SET  30
#define BENCH_ID_DOORBELL_AFAR 31
#define BENCH_ID_DOORBELL_HERE 32
#define BENCH_ID_UNMAP         33
#define BENCH_ID_HOST_IRQ      34

#endif
