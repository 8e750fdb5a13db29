/*
 * Variables of the sources under test, put back before each input: the build gathers those of
 * `restored` sources in two sections. Where it does not (coverage), there are none and each input
 * runs in a process of its own. Included once per target.
 */
#ifndef TESTS_FUZZ_RESTORE_H
#define TESTS_FUZZ_RESTORE_H

#include "input.h"

extern uint8_t __start_fuzz_data[] __attribute__((weak)), __stop_fuzz_data[] __attribute__((weak));
extern uint8_t __start_fuzz_bss[] __attribute__((weak)), __stop_fuzz_bss[] __attribute__((weak));

/* Not memcpy: between the variables lie AddressSanitizer's red zones. */
static void variables_copy(uint8_t *to, const uint8_t *from, size_t n)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

/** Remember them the first time, put them back every other time. */
static void variables_restore(void)
{
    static uint8_t *saved;
    size_t data = (size_t)(__stop_fuzz_data - __start_fuzz_data);
    size_t bss = (size_t)(__stop_fuzz_bss - __start_fuzz_bss);

    if (saved == NULL) {
        saved = malloc(data + bss + 1u);
        CHECK(saved != NULL);
        variables_copy(saved, __start_fuzz_data, data);
        variables_copy(saved + data, __start_fuzz_bss, bss);
    } else {
        variables_copy(__start_fuzz_data, saved, data);
        variables_copy(__start_fuzz_bss, saved + data, bss);
    }
}

#endif
