/*
 * The out-of-line system call stubs. May call: nothing.
 */
#include "syscall.h"

struct bh_result bh_invoke(uint64_t cap, uint64_t method, uint64_t a0, uint64_t a1, uint64_t a2,
                           uint64_t a3)
{
    return bh_syscall(BH_SYS_invoke, cap, method, a0, a1, a2, a3);
}

uint64_t bh_ipc(enum bh_call call, uint64_t ep, struct bh_message *m, uint64_t deadline)
{
    uint64_t rax = call, w0, w1;
    register uint64_t r10 __asm__("r10");
    register uint64_t r8 __asm__("r8");
    register uint64_t r9 __asm__("r9");

    if (call == BH_SYS_receive) {
        w0 = deadline;
        w1 = 0;
        r10 = 0;
        r8 = 0;
        r9 = 0;
    } else {
        w0 = m->word[0];
        w1 = m->word[1];
        r10 = m->word[2];
        r8 = m->word[3];
        r9 = deadline;
    }
    __asm__ volatile("syscall"
                     : "+a"(rax), "+D"(ep), "+S"(w0), "+d"(w1), "+r"(r10), "+r"(r8), "+r"(r9)
                     :
                     : BH_CLOBBERS);
    m->badge = ep;
    m->word[0] = w0;
    m->word[1] = w1;
    m->word[2] = r10;
    m->word[3] = r8;
    return rax;
}
