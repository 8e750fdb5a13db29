/*
 * A second thread that changes memory under the hands of what is tested, as another CPU does.
 * Included once by a target, which says what it changes.
 */
#ifndef TESTS_FUZZ_RACE_H
#define TESTS_FUZZ_RACE_H

#include <pthread.h>
#include <sched.h>
#include <time.h>
#include "input.h"

/** By the target: change something that may change at any time. @param r a random number */
static void race_change(uint64_t r);

static bool racing, race_at_work;

static void *race(void *arg)
{
    uint64_t r = 1;

    for (;;) {
        __atomic_store_n(&race_at_work, true, __ATOMIC_SEQ_CST);
        if (!__atomic_load_n(&racing, __ATOMIC_SEQ_CST)) {
            __atomic_store_n(&race_at_work, false, __ATOMIC_SEQ_CST);
            nanosleep(&(struct timespec){0, 100000}, NULL);
            continue;
        }
        r ^= r << 13, r ^= r >> 7, r ^= r << 17;
        race_change(r);
    }
    return arg;
}

/** Does nothing unless now. */
static void race_begin(bool now)
{
    static pthread_t thread;

    if (!thread) CHECK(pthread_create(&thread, NULL, race, NULL) == 0);
    __atomic_store_n(&racing, now, __ATOMIC_SEQ_CST);
}

/** It touches nothing any more, in the next run neither. */
static void race_end(void)
{
    if (!racing) return;
    __atomic_store_n(&racing, false, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&race_at_work, __ATOMIC_SEQ_CST)) sched_yield();
}

#endif
