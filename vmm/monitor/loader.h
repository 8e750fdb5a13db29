/*
 * Boot protocols: from an image in memory to guest RAM contents and the first vCPU's registers.
 * One file per protocol; loader_mem.c holds what they share. The same source runs on the host in
 * unit tests. May call: memcpy-class functions. Never allocates, never makes a system call, never
 * reads outside the image or writes outside guest RAM, whatever the image says.
 */
#ifndef VMM_MONITOR_LOADER_H
#define VMM_MONITOR_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "dev/guest_mem.h"

/* Same values as the manifest's enum manifest_protocol. */
enum boot_protocol {
    BOOT_PROTOCOL_DETECT = 0,
    BOOT_PROTOCOL_LINUX = 1,
    BOOT_PROTOCOL_PVH = 2,
    BOOT_PROTOCOL_MULTIBOOT = 3,
    BOOT_PROTOCOL_MULTIBOOT2 = 4,
};

/** What is to be started. Images may be at any alignment and must not change during the call. */
struct boot_request {
    struct guest_mem mem;
    const uint8_t *kernel;
    uint64_t kernel_bytes;
    const uint8_t *initrd; /* NULL: none */
    uint64_t initrd_bytes;
    const char *cmdline;    /* NUL-terminated; NULL: empty */
    uint64_t acpi_rsdp_gpa; /* 0: not told to the guest */
    bool screen;            /* a VGA is there, in text mode 3 */
    enum boot_protocol protocol;
};

/** A segment register. attributes as in a VMCS access-rights field (Intel SDM vol. 3C, 25.4.1). */
struct boot_segment {
    uint64_t base;
    uint32_t limit_bytes; /* last byte, granularity already applied */
    uint16_t selector;
    uint16_t attributes;
};

/** The first vCPU's state; registers not named here are zero, RFLAGS is 2. */
struct boot_state {
    uint64_t rip, rsp, rax, rbx, rdx, rsi;
    uint64_t cr0, cr3, cr4, efer;
    uint64_t gdt_base;
    uint16_t gdt_limit, idt_limit; /* the IDT is at 0 */
    bool long_mode;
    struct boot_segment cs;
    struct boot_segment data; /* DS, ES, SS, FS, GS */
    struct boot_segment tr;
    struct boot_segment ldtr;
    enum boot_protocol protocol; /* the one used */
};

/** Why an image cannot be started, to be printed as "where: what (value); remedy". */
struct boot_error {
    const char *where;
    const char *what;
    const char *remedy;
    uint64_t value; /* what was found or is needed; 0: nothing to add */
};

/**
 * Load by the protocol asked for, or the first whose header is there: Linux, PVH, multiboot 2,
 * multiboot 1.
 *
 * @param[out] state written on success only
 * @param[out] error written on failure only; strings are static
 * @return whether the image was loaded. On failure guest RAM may hold parts of it.
 */
bool boot_load(const struct boot_request *req, struct boot_state *state, struct boot_error *error);

/** Linux bzImage, 64-bit entry, else the 32-bit one (Linux Documentation/arch/x86/boot.rst,
 *  protocol 2.12 and later). */
bool loader_linux(const struct boot_request *req, struct boot_state *state,
                  struct boot_error *error);
bool loader_linux_detect(const struct boot_request *req);

/** ELF with a PHYS32_ENTRY note (Xen docs/misc/pvh.pandoc), 32-bit protected mode. */
bool loader_pvh(const struct boot_request *req, struct boot_state *state, struct boot_error *error);
bool loader_pvh_detect(const struct boot_request *req);

/** Multiboot 0.6.96: ELF, or the header's address fields; 32-bit protected mode. */
bool loader_multiboot(const struct boot_request *req, struct boot_state *state,
                      struct boot_error *error);
bool loader_multiboot_detect(const struct boot_request *req);

/** Multiboot2 2.0: ELF, or the header's address tag; 32-bit protected mode. */
bool loader_multiboot2(const struct boot_request *req, struct boot_state *state,
                       struct boot_error *error);
bool loader_multiboot2_detect(const struct boot_request *req);

/** Firmware that is started instead of an image. */
struct boot_firmware {
    const uint8_t *code;
    uint64_t code_bytes;
    const uint8_t *variables; /* NULL: none */
    uint64_t variables_bytes;
    uint32_t cpu_signature; /* CPUID 1: EAX */
};

/** Where the guest sees it: code ends at 4 GiB, the variables end where it begins. */
struct boot_firmware_place {
    uint64_t code_gpa, variables_gpa;
};

/**
 * A processor out of reset (Intel SDM vol. 3A, table 9-1): real mode, 16 bytes below 4 GiB. Copies
 * nothing.
 */
bool loader_firmware(const struct boot_firmware *fw, struct boot_firmware_place *place,
                     struct boot_state *state, struct boot_error *error);

#endif
