/* Local APIC of this CPU, xAPIC or x2APIC: EOI, IPIs, timer; and the IOAPIC's lines. */
#ifndef ARCH_X86_APIC_H
#define ARCH_X86_APIC_H

#include <stdbool.h>
#include <stdint.h>

extern bool apic_x2;
extern uint32_t tsc_khz;

void apic_init_boot(void); /* BSP, before anything else here */
void apic_init_cpu(void);
bool apic_calibrate(void); /* BSP: TSC and timer; false: nothing tells how fast they are */
uint32_t apic_id(void);
void apic_eoi(void);
void apic_kick(uint32_t apic_id); /* VEC_KICK to another CPU, after all stores before it */
void apic_start_cpu(uint32_t apic_id, uint8_t page); /* INIT, SIPI, SIPI */
#define TO_OTHERS_NMI  0x400u
#define TO_OTHERS_INIT 0x500u
void apic_to_others(uint32_t what); /* stop them in a panic; or: let them wait for start-up */
/** Interrupt this CPU at the absolute TSC @when (sooner if far away); keeps percpu.armed. */
void timer_arm(uint64_t when);

void ioapic_init(uint64_t phys);
uint32_t ioapic_lines(void);
/** Route line to a vector on a CPU, masked. @low_level: active-low level triggered. */
void ioapic_route(uint32_t line, uint8_t vector, uint32_t apic, bool low_level);
void ioapic_mask(uint32_t line, bool masked);

#endif
