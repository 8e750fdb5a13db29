/*
 * Forced in front of every kernel source that the fuzz target `invoke` is built from: privileged
 * instructions become calls into kernel_host.c, the pool and the private slot move to addresses
 * that a process can have. Everything else is the kernel's own code, unchanged.
 */
#ifndef TESTS_FUZZ_KERNEL_HOST_H
#define TESTS_FUZZ_KERNEL_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_POOL         0x20000000ul /* as fuzz_invoke.c has it linked */
#define HOST_POOL_PAGES   192u
#define HOST_PRIVATE_SLOT 0x10000000ul

/* Instead of asm.h. */
#define ARCH_X86_ASM_H
uint64_t rdtsc(void);
void write_cr3(uint64_t cr3);
static inline uint64_t read_cr0(void) { return 0; }
static inline void write_cr0(uint64_t v) {}
static inline void fpu_enable(void) {}
static inline void fpu_disable(void) {}
static inline uint64_t read_cr2(void) { return 0x12345000; }
static inline uint64_t xgetbv0(void) { return 7; }
static inline void xsetbv0(uint64_t v) {}
static inline uint8_t inb(uint16_t port) { return (uint8_t)port; }
static inline uint16_t inw(uint16_t port) { return port; }
static inline uint32_t inl(uint16_t port) { return port; }
static inline void outb(uint16_t port, uint8_t v) {}
static inline void outw(uint16_t port, uint16_t v) {}
static inline void outl(uint16_t port, uint32_t v) {}

/* mem.h with the pool elsewhere. */
#define page_ptr kernel_page_ptr
#include "arch/x86/mem.h"
#undef page_ptr
static inline void *page_ptr(uint32_t page) { return (char *)HOST_POOL + (uint64_t)page * 4096u; }

/* Same offsets within the private slot, which the kernel computes page-table slots from. */
#include "arch/x86/layout.h"
#undef PRIV_SAVE
#define PRIV_SAVE (HOST_PRIVATE_SLOT + 0x1000)
#undef PRIV_VCPU
#define PRIV_VCPU (HOST_PRIVATE_SLOT + 0x10000)

#include "arch/x86/cpu.h"
#include "arch/x86/lock.h"
#include "arch/x86/percpu.h"
extern struct percpu *host_percpu;
#define percpu() host_percpu

/* What is left of assembly in C sources: FPU instructions and the idle loop's HLT. */
void host_asm(const char *text);
#ifndef TESTS_FUZZ_KERNEL_HOST_C
#define __asm__
#define volatile(...) host_asm(#__VA_ARGS__)
#endif

#endif
