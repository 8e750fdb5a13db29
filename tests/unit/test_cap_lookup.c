// sources: kernel/core/cnode.c kernel/core/cdt.c kernel/core/cap.c
// A capability looked up without the lock while another CPU deletes, refills and moves its cell:
// object and badge belong together (tests/models/lookup.pml has all interleavings).
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "arch/x86/percpu.h"
#include "core/cnode.h"

static struct percpu this_cpu;
#define percpu() (&this_cpu)
#include "object/lookup.h"

struct cell cells[32] __attribute__((aligned(64)));
static struct thread reader;
static int stop;

static uint64_t badge_of(uint32_t obj) { return obj * 0x1111ull; }

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The other CPU, with the lock: slot 5 holds object 1, nothing, object 2, object 3 by a move, ...
 */
static void *holder(void *arg)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        for (uint32_t obj = 1; obj <= 3; obj++) {
            uint32_t to = obj == 3 ? 6 : 5;

            cnode_commit_new(1, to, cap_pack(BH_CAP_NTFN, BH_RIGHTS_ALL, obj), badge_of(obj), 0, 0);
            if (to == 6) cnode_commit_move(6, 5);
            if (obj == 2)
                cnode_commit_move(5, 6);
            else
                cnode_commit_delete(5);
            if (obj == 2) cnode_commit_delete(6);
        }
    }
    return arg;
}

static void badge_belongs_to_object(void **state)
{
    pthread_t other;
    uint64_t found = 0, end;
    struct cap c;

    cdt_init();
    cnode_init(1, 16);
    cnode_commit_new(0, 1, cap_pack(BH_CAP_KUNTYPED, BH_RIGHTS_ALL, 0), 0, 0, 0);
    reader.cnode_first = 0;
    reader.cnode_count = 16;
    this_cpu.current = &reader;
    assert_int_equal(pthread_create(&other, NULL, holder, NULL), 0);
    end = now_ms() + 1000;
    while (found <= 1000 || now_ms() < end) {
        for (unsigned i = 0; i < 10000; i++) {
            if (cap_lookup(5, BH_CAP_NTFN, BH_RIGHT_WRITE, &c) != BH_OK) continue;
            found++;
            if (c.badge != badge_of(c.obj))
                fail_msg("object %u with badge %lx after %lu", c.obj, c.badge, found);
        }
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(other, NULL);
    assert_int_equal(cap_lookup(16, BH_CAP_NTFN, 0, &c), BH_ERR_CAP);
    cnode_commit_new(1, 5, cap_pack(BH_CAP_NTFN, BH_RIGHT_READ, 7), 9, 0, 0);
    assert_int_equal(cap_lookup(5, BH_CAP_ENDPOINT, BH_RIGHT_READ, &c), BH_ERR_CAP);
    assert_int_equal(cap_lookup(5, BH_CAP_NTFN, BH_RIGHT_WRITE, &c), BH_ERR_RIGHTS);
    assert_int_equal(cap_lookup(5, BH_CAP_NTFN, BH_RIGHT_READ, &c), BH_OK);
    assert_true(c.obj == 7 && c.badge == 9);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(badge_belongs_to_object)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
