/*
 * Firmware: where it lies, and the processor's state after a reset. May call: loader_mem.h. Does
 * not look at what the firmware is.
 */
#include "loader_mem.h"

#include <string.h>

#define PAGE_BYTES   4096u
#define CODE_LEAST   0x10000u   /* the reset vector's segment */
#define BYTES_MOST   0x1000000u /* below that are the APICs */
#define FOUR_GIB     0x100000000ull
#define RESET_RIP    0xfff0u
#define RESET_CS     0xf000u
#define RESET_CS_GPA 0xffff0000u
#define CR0_RESET    0x60000010u /* CD, NW, ET */
#define REAL_LIMIT   0xffffu

/* Access rights as in Intel SDM vol. 3C, 25.4.1. */
#define ATTR_CODE 0x9bu
#define ATTR_DATA 0x93u
#define ATTR_TSS  0x8bu
#define ATTR_LDT  0x82u

static const char where[] = "firmware";

static bool whole_pages(uint64_t bytes) { return bytes % PAGE_BYTES == 0; }

bool loader_firmware(const struct boot_firmware *fw, struct boot_firmware_place *place,
                     struct boot_state *state, struct boot_error *error)
{
    const struct boot_segment data = {0, REAL_LIMIT, 0, ATTR_DATA};

    if (!whole_pages(fw->code_bytes) || fw->code_bytes < CODE_LEAST ||
        fw->code_bytes > BYTES_MOST) {
        return boot_fail(error, where, "is not 64 KiB to 16 MiB in whole pages; bytes",
                         "give the file as its package has it", fw->code_bytes);
    }
    if (!whole_pages(fw->variables_bytes) || fw->variables_bytes > BYTES_MOST - fw->code_bytes) {
        return boot_fail(error, where, "its variables do not fit below its code; bytes",
                         "give the file as its package has it", fw->variables_bytes);
    }
    place->code_gpa = FOUR_GIB - fw->code_bytes;
    place->variables_gpa = place->code_gpa - fw->variables_bytes;
    memset(state, 0, sizeof(*state));
    state->rip = RESET_RIP;
    state->rdx = fw->cpu_signature;
    state->cr0 = CR0_RESET;
    state->gdt_limit = state->idt_limit = REAL_LIMIT;
    state->cs = (struct boot_segment){RESET_CS_GPA, REAL_LIMIT, RESET_CS, ATTR_CODE};
    state->data = data;
    state->tr = (struct boot_segment){0, REAL_LIMIT, 0, ATTR_TSS};
    state->ldtr = (struct boot_segment){0, REAL_LIMIT, 0, ATTR_LDT};
    return true;
}
