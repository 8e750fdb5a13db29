/*
 * Fact: code that rewrites itself runs as written, also across a page boundary.
 */
#include "guest.h"

static uint8_t code[8192] __attribute__((aligned(4096)));

/* MOV EAX, imm32; RET at some place. */
static unsigned wrong_at(unsigned at)
{
    unsigned wrong = 0;

    code[at] = 0xb8;
    code[at + 5] = 0xc3;
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t want = (uint32_t)mix64(i);
        uint32_t got;

        memcpy(code + at + 1, &want, 4);
        __asm__ volatile("call *%1" : "=a"(got) : "r"(code + at) : "memory");
        wrong += got != want;
    }
    return wrong;
}

void guest_main(void)
{
    fact("within-page", wrong_at(64) == 0, "1000 times");
    fact("across-pages", wrong_at(4093) == 0, "1000 times");
    fact("own-line", wrong_at(128) == 0 && wrong_at(129) == 0, "1000 times");
}
