/*
 * Numbers shared by the assembly and the C half of the micro guest runtime. Constants only.
 */
#ifndef GUEST_LAYOUT_H
#define GUEST_LAYOUT_H

#define BOOT_MULTIBOOT  1
#define BOOT_PVH        2
#define BOOT_MULTIBOOT2 0x36d76289 /* what its loader leaves in EAX */

#define SEL_CODE      0x08
#define SEL_DATA      0x10
#define SEL_CODE32    0x18
#define SEL_CODE16    0x20
#define SEL_DATA16    0x28
#define SEL_USER_DATA 0x33
#define SEL_USER_CODE 0x3b
#define SEL_TSS       0x40
#define SEL_ABSENT    0x50

/* PG, WP, NE, ET, MP, PE. */
#define CR0_BOOT 0x80010033

#define STUB_BYTES       16
#define IST_BYTES        4096
#define VECTOR_USER_DONE 0x80

#endif
