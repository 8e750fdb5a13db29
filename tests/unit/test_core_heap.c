// sources: kernel/core/heap.c
// The heap: every order of few keys, then long random runs against a plain array.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/heap.h"

static struct heap h;
static uint64_t key_of[HEAP_MAX];

static void check(void)
{
    uint32_t present = 0;
    uint64_t least = ~(uint64_t)0;

    for (uint32_t i = 0; i < h.count; i++) {
        assert_int_equal(h.pos[h.item[i].id], i + 1);
        assert_int_equal(h.item[i].key, key_of[h.item[i].id]);
        if (i > 0) assert_true(h.item[(i - 1) / 2].key <= h.item[i].key);
    }
    for (uint32_t id = 0; id < HEAP_MAX; id++)
        if (heap_has(&h, id)) {
            present++;
            if (key_of[id] < least) least = key_of[id];
        }
    assert_int_equal(present, h.count);
    assert_int_equal(heap_top_key(&h), least);
    if (h.count == 0)
        assert_int_equal(heap_top(&h), HEAP_NONE);
    else
        assert_int_equal(key_of[heap_top(&h)], least);
}

/* All 7^7 sequences of keys 0..6, each element removed first in turn. */
static void small_exhaustive(void **state)
{
    for (uint32_t seq = 0; seq < 823543; seq++) {
        uint32_t s = seq, out = seq % 7;

        memset(&h, 0, sizeof(h.count) + sizeof(h.pad) + sizeof(h.pos));
        for (uint32_t id = 0; id < 7; id++, s /= 7) {
            key_of[id] = s % 7;
            assert_int_equal(heap_insert(&h, id, key_of[id]), BH_OK);
        }
        heap_remove(&h, out);
        for (uint32_t i = 0; i < 6; i++) {
            assert_int_equal(h.pos[h.item[i].id], i + 1);
            assert_true(h.item[(i - (i > 0)) / 2].key <= h.item[i].key);
            assert_int_equal(heap_has(&h, h.item[i].id), 1);
        }
        assert_int_equal(h.count, 6);
        assert_int_equal(heap_has(&h, out), 0);
    }
    (void)state;
}

static void random_walk(void **state)
{
    memset(&h, 0, sizeof(h));
    srand(3);
    for (int step = 0; step < 60000; step++) {
        uint32_t id = (uint32_t)rand() % HEAP_MAX;
        int fill = step / 10000 % 2 == 0 ? 5 : 1;

        if (rand() % 6 < fill) {
            uint64_t key = (uint64_t)rand() % 50;
            uint32_t had = heap_has(&h, id);

            assert_int_equal(heap_insert(&h, id, key), had ? BH_ERR_STATE : BH_OK);
            if (!had) key_of[id] = key;
        } else {
            heap_remove(&h, rand() % 2 && h.count > 0 ? heap_top(&h) : id);
        }
        if (step % 8 == 0) check();
    }
    while (h.count > 0) {
        uint64_t key = heap_top_key(&h);

        heap_remove(&h, heap_top(&h));
        assert_true(h.count == 0 || heap_top_key(&h) >= key);
    }
    assert_int_equal(heap_insert(&h, HEAP_MAX, 0), BH_ERR_RANGE);
    heap_remove(&h, HEAP_MAX);
    for (uint32_t id = 0; id < HEAP_MAX; id++)
        assert_int_equal(heap_insert(&h, id, HEAP_MAX - id), BH_OK);
    assert_int_equal(heap_top(&h), HEAP_MAX - 1);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(small_exhaustive),
                                       cmocka_unit_test(random_walk)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
