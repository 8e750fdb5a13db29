/* The parts of an ELF64 file that loading a static program takes (System V ABI, chapters 4, 5). */
#ifndef VMM_ROOT_ELF_H
#define VMM_ROOT_ELF_H

#include <stdint.h>

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_segment {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

#define ELF_LOAD   1u
#define ELF_EXEC   1u /* segment flags */
#define ELF_WRITE  2u
#define ELF_READ   4u
#define ELF_X86_64 62u
#define ELF_PH_MAX 8u

_Static_assert(sizeof(struct elf_header) == 64, "ELF64");
_Static_assert(sizeof(struct elf_segment) == 56, "ELF64");

#endif
