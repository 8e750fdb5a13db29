/*
 * What Linux and KVM do for the rows of `make bench` that are not a guest's alone: system calls,
 * signals and messages between processes, and the smallest user-level monitor on KVM's interface.
 * Runs as a program of the peer's host (peers_init); prints "BENCH name mean max n" in TSC ticks,
 * the empty pair taken off, as root_bench.c does. The guest programs are those of ops.S. May call:
 * libc, Linux' system calls. Nothing of it is part of the system.
 *
 * usage: peers_ops threads|vm COUNT
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

enum { SAMPLES = 10000, WARM_UP = 16, GUEST_BYTES = 0x10000, WORDS = 4 };
enum { PORT_BELL = 0x90, PORT_READY = 0x91, GAPS = 30 };

static uint32_t samples[SAMPLES + WARM_UP];
static uint64_t count, overhead;

static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}

/* A system call without libc around it. */
static inline long sys(long number, long a, long b, long c)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

static long futex(volatile uint32_t *word, int op, uint32_t value)
{
    register long none __asm__("r10") = 0;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_futex), "D"(word), "S"(op), "d"(value), "r"(none)
                     : "rcx", "r11", "memory");
    return result;
}

static void must(bool good, const char *what)
{
    if (!good) err(1, "%s", what);
}

static void pin(unsigned cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    must(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
}

static void report(const char *name, const uint32_t *from, uint64_t n, uint64_t off)
{
    uint64_t total = 0, max = 0;

    for (uint64_t i = 0; i < n; i++) {
        uint64_t t = from[i] > off ? from[i] - off : 0;

        total += t;
        if (t > max) max = t;
    }
    total = total * 100 / n;
    printf("BENCH %s %lu.%02lu %lu %lu\n", name, total / 100, total % 100, max, n);
}

static uint64_t least(const uint32_t *from, uint64_t n)
{
    uint64_t l = ~0ull;

    for (uint64_t i = 0; i < n; i++) l = from[i] < l ? from[i] : l;
    return l;
}

/* ---- Threads and processes
 * -----------------------------------------------------------------------*/
#define MEASURE(name, operation, after)                                                            \
    do {                                                                                           \
        for (uint64_t i_ = 0; i_ < count + WARM_UP; i_++) {                                        \
            uint64_t t_ = rdtsc();                                                                 \
            operation;                                                                             \
            samples[i_] = (uint32_t)(rdtsc() - t_);                                                \
            after;                                                                                 \
        }                                                                                          \
        report(name, samples + WARM_UP, count, overhead);                                          \
    } while (0)

/* Shared by the measuring process and its partner. */
struct shared {
    volatile uint32_t there, back;
    uint64_t words[WORDS], answer[WORDS];
};

/* Wait until *word is no more @seen: what a futex is for. */
static void futex_await(volatile uint32_t *word, uint32_t seen)
{
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == seen) (void)futex(word, FUTEX_WAIT, seen);
}

static void futex_post(volatile uint32_t *word)
{
    __atomic_store_n(word, *word + 1, __ATOMIC_RELEASE);
    (void)futex(word, FUTEX_WAKE, 1);
}

/* A child that runs fn(data) for ever and dies with its parent. */
static pid_t partner(void (*fn)(void *), void *data)
{
    pid_t child;

    (void)fflush(stdout);
    child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        fn(data);
        _exit(1);
    }
    return child;
}

static void partner_end(pid_t child)
{
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
}

static void futex_pong(void *data)
{
    struct shared *s = data;

    for (uint32_t seen = 0;; seen++) {
        futex_await(&s->there, seen);
        memcpy(s->answer, s->words, sizeof(s->answer));
        futex_post(&s->back);
    }
}

/* fds: a pair that goes there, a pair that comes back; an eventfd stands in both places of its
 * pair. */
struct pairs {
    int there[2], back[2];
    uint32_t bytes;
};

static void file_pong(void *data)
{
    const struct pairs *p = data;
    uint64_t words[WORDS];

    for (;;) {
        if (sys(SYS_read, p->there[0], (long)words, p->bytes) != p->bytes) return;
        if (sys(SYS_write, p->back[1], (long)words, p->bytes) != p->bytes) return;
    }
}

static void measure_files(const char *name, const struct pairs *p)
{
    pid_t child = partner(file_pong, (void *)p);
    uint64_t words[WORDS] = {1, 22, 33, 44};
    long bad = 0;

    MEASURE(name,
            (bad |= sys(SYS_write, p->there[1], (long)words, p->bytes) - p->bytes,
             bad |= sys(SYS_read, p->back[0], (long)words, p->bytes) - p->bytes),
            (void)0);
    must(bad == 0, name);
    partner_end(child);
}

static void threads(void)
{
    struct shared *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct pairs pipes = {.bytes = WORDS * 8}, events = {.bytes = 8};
    uint64_t one = 1, drained;
    volatile uint32_t nobody = 0;
    uint32_t seen = 0;
    pid_t child;
    int fd;

    must(s != MAP_FAILED, "mmap");
    MEASURE("empty", (void)0, (void)0);
    overhead = least(samples + WARM_UP, count);
    MEASURE("null", (void)sys(SYS_getppid, 0, 0, 0), (void)0);
    fd = eventfd(0, 0);
    must(fd >= 0, "eventfd");
    MEASURE("signal_eventfd", (void)sys(SYS_write, fd, (long)&one, 8),
            (void)sys(SYS_read, fd, (long)&drained, 8));
    MEASURE("signal_futex", (void)futex(&nobody, FUTEX_WAKE, 1), (void)0);

    child = partner(futex_pong, s);
    MEASURE("signal_wait_futex", (futex_post(&s->there), futex_await(&s->back, seen)), seen++);
    MEASURE("call_futex",
            (s->words[0] = 11, s->words[1] = 22, s->words[2] = 33, s->words[3] = 44,
             futex_post(&s->there), futex_await(&s->back, seen)),
            seen++);
    must(s->answer[3] == 44, "the answer");
    partner_end(child);

    events.there[0] = events.there[1] = eventfd(0, 0);
    events.back[0] = events.back[1] = eventfd(0, 0);
    measure_files("signal_wait_eventfd", &events);
    must(pipe(pipes.there) == 0 && pipe(pipes.back) == 0, "pipe");
    measure_files("call_pipe", &pipes);
}

/* ---- The smallest monitor
 * ------------------------------------------------------------------------*/
#define GUEST_PROGRAM(name) extern const uint8_t guest_##name[], guest_##name##_end[]
GUEST_PROGRAM(empty);
GUEST_PROGRAM(in);
GUEST_PROGRAM(ring_again);
GUEST_PROGRAM(gaps);
GUEST_PROGRAM(ring_ready);
#define CODE(name) guest_##name, guest_##name##_end

/* As ring_afar of ops.S, but it is an IN that tells the monitor to make ready for the next ring:
 * KVM shows CPUID to nobody. */
__asm__(".section .rodata\n"
        ".code16\n"
        "guest_ring_ready:\n"
        "1: rdtsc\n"
        "   movl %eax, %esi\n"
        "   outb %al, $0x90\n"
        "   rdtsc\n"
        "   subl %esi, %eax\n"
        "   movl %eax, (%di)\n"
        "   addw $4, %di\n"
        "   inb $0x91, %al\n"
        "   decl %ecx\n"
        "   jnz 1b\n"
        "   hlt\n"
        "guest_ring_ready_end:\n"
        ".code64\n"
        ".previous\n");

struct vm {
    int vm, vcpu;
    uint8_t *ram;
    struct kvm_run *run;
};

static struct vm vm_make(void)
{
    struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[128];
    } cpuid = {.head.nent = 128};
    struct kvm_userspace_memory_region ram = {.memory_size = GUEST_BYTES};
    int kvm = open("/dev/kvm", O_RDWR);
    struct vm v;
    int size;

    must(kvm >= 0, "/dev/kvm");
    v.vm = ioctl(kvm, KVM_CREATE_VM, 0);
    v.ram = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(v.vm >= 0 && v.ram != MAP_FAILED, "a VM");
    memset(v.ram, 0, GUEST_BYTES);
    ram.userspace_addr = (uintptr_t)v.ram;
    must(ioctl(v.vm, KVM_SET_USER_MEMORY_REGION, &ram) == 0, "KVM_SET_USER_MEMORY_REGION");
    v.vcpu = ioctl(v.vm, KVM_CREATE_VCPU, 0);
    size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    must(v.vcpu >= 0 && size > 0, "a vCPU");
    v.run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, v.vcpu, 0);
    must(v.run != MAP_FAILED, "mmap of the vCPU");
    must(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) == 0 &&
             ioctl(v.vcpu, KVM_SET_CPUID2, &cpuid) == 0,
         "CPUID");
    (void)close(kvm);
    return v;
}

/* Run the guest to its HLT; every IN of PORT_READY calls @ready. */
static uint32_t *vm_run(const struct vm *v, const uint8_t *code, const uint8_t *code_end,
                        uint64_t operations, void (*ready)(void))
{
    struct kvm_regs regs = {.rip = BENCH_GUEST_CODE,
                            .rcx = operations + WARM_UP,
                            .rdi = BENCH_GUEST_SAMPLES,
                            .rflags = 2};
    struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
    struct kvm_sregs sregs;

    must(ioctl(v->vcpu, KVM_GET_SREGS, &sregs) == 0, "KVM_GET_SREGS");
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    must(ioctl(v->vcpu, KVM_SET_SREGS, &sregs) == 0 && ioctl(v->vcpu, KVM_SET_REGS, &regs) == 0 &&
             ioctl(v->vcpu, KVM_SET_MP_STATE, &runnable) == 0,
         "registers");
    memcpy(v->ram + BENCH_GUEST_CODE, code, (size_t)(code_end - code));
    for (;;) {
        while (sys(SYS_ioctl, v->vcpu, KVM_RUN, 0) == 0 && v->run->exit_reason == KVM_EXIT_IO)
            if (ready && v->run->io.port == PORT_READY) ready();
        if (v->run->exit_reason == KVM_EXIT_HLT) break;
        errx(1, "the guest ended with KVM's exit reason %u", v->run->exit_reason);
    }
    return (uint32_t *)(void *)(v->ram + BENCH_GUEST_SAMPLES) + WARM_UP;
}

static int bell = -1;
static volatile uint64_t rings, woken;

static void bell_bind(const struct vm *v)
{
    struct kvm_ioeventfd io = {.addr = PORT_BELL, .len = 1, .flags = KVM_IOEVENTFD_FLAG_PIO};

    bell = eventfd(0, 0);
    io.fd = bell;
    must(bell >= 0 && ioctl(v->vm, KVM_IOEVENTFD, &io) == 0, "KVM_IOEVENTFD");
}

static void bell_drain(void)
{
    uint64_t value;

    (void)sys(SYS_read, bell, (long)&value, 8);
}

/* The thread that the bell wakes: on the vCPU's CPU, with a higher priority. */
static void *waiter(void *unused)
{
    struct sched_param first = {.sched_priority = 1};
    uint64_t value;

    (void)unused;
    must(sched_setscheduler(0, SCHED_FIFO, &first) == 0, "SCHED_FIFO");
    for (;;) {
        long got = sys(SYS_read, bell, (long)&value, 8);

        must(got == 8, "read of the bell");
        woken++;
    }
    return NULL;
}

/* Ready for the next ring: the waiter has run, and waits again. */
static void await_waiter(void)
{
    rings++;
    do (void)usleep(1);
    while (woken < rings);
}

static void waiter_start(void)
{
    pthread_t thread;

    must(pthread_create(&thread, NULL, waiter, NULL) == 0, "pthread_create");
    (void)usleep(10000);
}

static void vm(void)
{
    struct vm v = vm_make();
    uint32_t *got;

    got = vm_run(&v, CODE(empty), count, NULL);
    overhead = least(got, count);
    report("raw_in", vm_run(&v, CODE(in), count, NULL), count, overhead);
    report("host_irq", vm_run(&v, CODE(gaps), GAPS, NULL), GAPS, overhead);
    bell_bind(&v);
    report("doorbell", vm_run(&v, CODE(ring_ready), count, bell_drain), count, overhead);
    report("doorbell_set", vm_run(&v, CODE(ring_again), count, NULL), count, overhead);
    bell_drain();
    waiter_start();
    report("doorbell_here", vm_run(&v, CODE(ring_ready), count, await_waiter), count, overhead);
    must(woken == count + WARM_UP, "every ring woke the waiter once");
}

int main(int argc, char **argv)
{
    const struct {
        const char *name;
        void (*run)(void);
    } verbs[] = {{"threads", threads}, {"vm", vm}};

    count = argc > 2 ? strtoull(argv[2], NULL, 0) : SAMPLES;
    if (count == 0 || count > SAMPLES) count = SAMPLES;
    pin(0);
    for (unsigned i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(argv[1], verbs[i].name) != 0) continue;
        verbs[i].run();
        return 0;
    }
    errx(2, "usage: peers_ops threads|vm COUNT");
}
