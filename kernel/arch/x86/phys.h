/* Physical memory below 4 GiB as boot code sees it: the identity map. Tests on the host put theirs
 * elsewhere. */
#ifndef ARCH_X86_PHYS_H
#define ARCH_X86_PHYS_H
#include <stdint.h>
#ifndef PHYS_BASE
#define PHYS_BASE 0ul
#endif
static inline const uint8_t *phys_ptr(uint64_t phys) { return (const uint8_t *)(PHYS_BASE + phys); }
static inline uint64_t phys_of(const uint8_t *p) { return (uint64_t)p - PHYS_BASE; }
#endif
