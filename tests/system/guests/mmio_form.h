/*
 * One instruction between a register and device memory, for the guests that try forms of it.
 */
#ifndef MMIO_FORM_H
#define MMIO_FORM_H

/** Run text with RBX = at, RAX = rax, RCX = RDX = 0, which it may change; RAX afterwards. */
#define FORM(at, rax, text)                                                                        \
    ({                                                                                             \
        uint64_t a_ = (rax);                                                                       \
        uint64_t c_ = 0;                                                                           \
        uint64_t d_ = 0;                                                                           \
        __asm__ volatile(text                                                                      \
                         : "+a"(a_), "+c"(c_), "+d"(d_)                                            \
                         : "b"((uint64_t)(at))                                                     \
                         : "memory", "cc");                                                        \
        a_;                                                                                        \
    })

#endif
