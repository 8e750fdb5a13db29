/*
 * Root's random numbers: what the kernel has found at boot, through a generator whose key is
 * replaced with each use. What one VM is given tells nothing of what others are given, before or
 * after. May call: the info page.
 */
#ifndef VMM_ROOT_SEEDS_H
#define VMM_ROOT_SEEDS_H

#include <stdint.h>

/** A seed for a VM: unrelated to every other's, restarts included. */
void seed_vm(uint64_t seed[4]);

#define SEED_WORD_CHARS 4u

/** A word that nobody can guess: letters and digits, and a NUL. */
void seed_word(char word[SEED_WORD_CHARS + 1u]);

#endif
