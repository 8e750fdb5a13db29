// sources: vmm/rt/wire_ring.c
// flags: -lpthread
/*
 * A wire's ring: what is put is taken, in order and unchanged, whatever the sizes and wherever the
 * positions wrap; who is to be told, and that nobody waits for ever; sessions; a peer that writes
 * anything into its box, at rest and all the time from a second thread. WIRE_RECORDS in the
 * environment: how many records the two threads pass on, and how many are taken from a hostile
 * peer.
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/rt/wire_ring.h"

#define BOX BH_RING_BOX_BYTES(1u)
#define MAX BH_RING_FRAME_BYTES

static uint8_t *box[2]; /* from malloc: sanitizers see what lies beside them */
static struct wire_ring a, b;

static const struct bh_ring_record plain;

static int setup(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        free(box[i]);
        box[i] = aligned_alloc(4096, BOX);
        memset(box[i], 0, BOX);
    }
    wire_ring_init(&a, box[0], box[1], 1, 0, 11);
    wire_ring_init(&b, box[1], box[0], 1, 0, 22);
    wire_ring_begin(&a, 22);
    wire_ring_begin(&b, 11);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(box[0]);
    free(box[1]);
    box[0] = box[1] = NULL;
    return 0;
}

static unsigned records(unsigned otherwise)
{
    const char *text = getenv("WIRE_RECORDS");

    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static struct bh_ring_header *header(unsigned i) { return (struct bh_ring_header *)box[i]; }

static bool put(struct wire_ring *r, const struct bh_ring_record *o, uint32_t bytes, uint8_t seed,
                bool *told)
{
    uint8_t *at = wire_ring_place(r, bytes);

    if (!at) return false;
    for (uint32_t i = 0; i < bytes; i++) at[i] = (uint8_t)(seed + i * 7u);
    *told = wire_ring_put(r, o, bytes);
    return true;
}

/* What is next is this frame. */
static bool take(struct wire_ring *r, uint32_t bytes, uint8_t seed)
{
    struct bh_ring_record got;
    const uint8_t *at = wire_ring_look(r, &got);

    assert_non_null(at);
    assert_int_equal(got.bytes, bytes);
    for (uint32_t i = 0; i < bytes; i++) assert_int_equal(at[i], (uint8_t)(seed + i * 7u));
    return wire_ring_take(r);
}

static void test_frame(void **state)
{
    const struct bh_ring_record o = {0, 1, 4, 54, 1448, 34, 16, 0xffff};
    struct bh_ring_record got;
    bool told;

    (void)state;
    assert_null(wire_ring_look(&b, &got));
    assert_true(put(&a, &o, 100, 3, &told));
    assert_true(told); /* nobody has asked yet: the first one tells */
    assert_non_null(wire_ring_look(&b, &got));
    assert_non_null(wire_ring_look(&b, &got)); /* looking takes nothing */
    assert_int_equal(got.bytes, 100);
    assert_int_equal(got.flags, 1);
    assert_int_equal(got.gso_type, 4);
    assert_int_equal(got.header_bytes, 54);
    assert_int_equal(got.gso_bytes, 1448);
    assert_int_equal(got.csum_start, 34);
    assert_int_equal(got.csum_offset, 16);
    assert_int_equal(got.reserved, 0);
    assert_false(take(&b, 100, 3));
    assert_null(wire_ring_look(&b, &got));
    /* both directions are apart */
    assert_null(wire_ring_look(&a, &got));
    assert_true(put(&b, &o, 14, 9, &told));
    assert_true(put(&a, &o, 15, 8, &told));
    (void)take(&a, 14, 9);
    (void)take(&b, 15, 8);
}

static void test_told(void **state)
{
    bool told;

    (void)state;
    assert_true(wire_ring_await(&b));
    assert_true(put(&a, &plain, 60, 1, &told));
    assert_true(told);
    for (unsigned i = 0; i < 10; i++) { /* once is enough */
        assert_true(put(&a, &plain, 60, 1, &told));
        assert_false(told);
    }
    assert_false(wire_ring_await(&b)); /* there is one: it goes on itself */
    for (unsigned i = 0; i < 11; i++) (void)take(&b, 60, 1);
    assert_true(put(&a, &plain, 60, 1, &told));
    assert_false(told); /* asked for something that was there */
    (void)take(&b, 60, 1);
    assert_true(wire_ring_await(&b));
    assert_true(put(&a, &plain, 60, 1, &told));
    assert_true(told);
}

/* A full ring: the sender waits, and is told once, when there is enough room for any frame. */
static void test_full(void **state)
{
    static const uint32_t sizes[] = {14, 1514, 4096, 20000, MAX};

    for (unsigned n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
        uint32_t bytes = sizes[n], count = 0, tells = 0;
        bool told;

        (void)setup(state);
        while (put(&a, &plain, bytes, 5, &told)) count++;
        assert_true(wire_ring_up(&a));
        assert_true(count >= 3);
        assert_in_range(count * (bytes + 16u), BH_RING_DATA_BYTES - 2u * MAX, BH_RING_DATA_BYTES);
        for (uint32_t i = 0; i < count; i++) {
            bool tell = take(&b, bytes, 5);

            tells += tell;
            if (tell) assert_true(put(&a, &plain, bytes, 5, &told));
        }
        assert_int_equal(tells, 1);
        (void)take(&b, bytes, 5);
    }
    (void)setup(state);
}

/* Positions from anywhere, also where 32 bits end. */
static void from(uint32_t position)
{
    a.put = b.get = position;
    header(0)->queue[0].put = header(1)->queue[0].get = position;
    header(1)->queue[0].data_event = position;
    header(0)->queue[0].room_event = position - 1u;
}

static void test_any_size(void **state)
{
    uint32_t queue[40000], first = 0, last = 0;
    bool told;

    (void)state;
    srand(1);
    for (unsigned round = 0; round < 64; round++) {
        from(round % 4u ? (uint32_t)rand() * 16u : 0u - 16u * (uint32_t)(rand() % 20000));
        first = last = 0;
        for (unsigned i = 0; i < 400; i++) {
            uint32_t bytes = 14u + (uint32_t)rand() % (rand() % 3 ? 2000u : MAX - 13u);

            if (rand() % 2 && put(&a, &plain, bytes, (uint8_t)last, &told)) {
                queue[last++] = bytes;
            } else if (first < last) {
                (void)take(&b, queue[first], (uint8_t)first);
                first++;
            }
        }
        for (; first < last; first++) (void)take(&b, queue[first], (uint8_t)first);
        assert_true(wire_ring_up(&a) && wire_ring_up(&b));
    }
}

static void test_session(void **state)
{
    struct bh_ring_record got;
    bool told;

    (void)state;
    assert_true(wire_ring_up(&a) && wire_ring_up(&b));
    assert_true(put(&a, &plain, 60, 1, &told));
    /* b's VM is started anew: a is not up with it before it has begun as well */
    wire_ring_init(&b, box[1], box[0], 1, 0, 23);
    assert_false(wire_ring_up(&a) || wire_ring_up(&b));
    wire_ring_begin(&b, 11);
    assert_false(wire_ring_up(&a) || wire_ring_up(&b));
    wire_ring_begin(&a, 23);
    assert_true(wire_ring_up(&a) && wire_ring_up(&b));
    assert_null(wire_ring_look(&b, &got)); /* what was on its way is lost */
    assert_true(put(&a, &plain, 60, 2, &told));
    assert_true(told);
    (void)take(&b, 60, 2);
    /* gone */
    wire_ring_begin(&a, 0);
    assert_false(wire_ring_up(&a) || wire_ring_up(&b));
    /* another version, another shape */
    wire_ring_begin(&a, 23);
    header(0)->version++;
    assert_false(wire_ring_up(&b));
    header(0)->version--;
    header(0)->queues = 2;
    assert_false(wire_ring_up(&b));
    header(0)->queues = 1;
    header(0)->magic = 0;
    assert_false(wire_ring_up(&b));
    header(0)->magic = BH_RING_MAGIC;
    assert_true(wire_ring_up(&b));
}

static bool clean(unsigned i)
{
    for (uint32_t at = BH_RING_HEADER_BYTES; at < BOX; at++)
        if (box[i][at]) return false;
    return true;
}

/* What was sent to a peer is not there any more for the next one. */
static void test_wiped(void **state)
{
    bool told;

    (void)state;
    assert_true(put(&a, &plain, MAX, 1, &told) && put(&a, &plain, 60, 2, &told));
    assert_false(clean(0));
    wire_ring_begin(&a, 0);
    assert_true(clean(0));
}

/* Queues of one wire do not touch each other. */
static void test_queues(void **state)
{
    uint8_t *two[2] = {aligned_alloc(4096, BH_RING_BOX_BYTES(2u)),
                       aligned_alloc(4096, BH_RING_BOX_BYTES(2u))};
    struct wire_ring q[2][2];
    bool told;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        memset(two[i], 0, BH_RING_BOX_BYTES(2u));
        for (unsigned n = 2; n-- > 0;) wire_ring_init(&q[i][n], two[i], two[1u - i], 2, n, 1 + i);
        for (unsigned n = 2; n-- > 0;) wire_ring_begin(&q[i][n], 2 - i);
    }
    for (unsigned n = 0; n < 2; n++) {
        assert_true(wire_ring_up(&q[0][n]) && wire_ring_up(&q[1][n]));
        for (unsigned i = 0; i < 3; i++)
            assert_true(put(&q[0][n], &plain, MAX, (uint8_t)(n * 50u + i), &told));
    }
    for (unsigned n = 0; n < 2; n++)
        for (unsigned i = 0; i < 3; i++) (void)take(&q[1][n], MAX, (uint8_t)(n * 50u + i));
    free(two[0]);
    free(two[1]);
}

/* ---- a peer that breaks the rules ---- */

static void test_broken(void **state)
{
    struct bh_ring_record got, *record;
    bool told;

    /* more than there is room for; not at a record's place */
    static const uint32_t puts[] = {BH_RING_DATA_BYTES + 16u, 0x80000000u, 0u - 16u, 8, 15};
    for (unsigned i = 0; i < sizeof(puts) / sizeof(puts[0]); i++) {
        (void)setup(state);
        header(0)->queue[0].put = puts[i];
        assert_null(wire_ring_look(&b, &got));
        assert_true(b.broken);
        assert_false(wire_ring_up(&b));
    }
    static const uint32_t gets[] = {16, 0x80000000u, 0u - BH_RING_DATA_BYTES - 16u, 0u - 8u};
    for (unsigned i = 0; i < sizeof(gets) / sizeof(gets[0]); i++) {
        (void)setup(state);
        header(1)->queue[0].get = gets[i];
        assert_null(wire_ring_place(&a, 60));
        assert_true(a.broken);
        assert_null(wire_ring_place(&a, 60)); /* and it stays so */
        wire_ring_begin(&a, 22);
        assert_true(wire_ring_up(&a));
    }
    /* lengths: none, too much, more than was put, a skip to nowhere */
    static const uint32_t lengths[] = {0, 13, MAX + 1u, 0x7fffffffu, 0xfffffff0u, 65, BH_RING_SKIP};
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        (void)setup(state);
        assert_true(put(&a, &plain, 60, 1, &told));
        record = (struct bh_ring_record *)(box[0] + BH_RING_HEADER_BYTES);
        record->bytes = lengths[i];
        assert_null(wire_ring_look(&b, &got));
        assert_true(b.broken);
    }
    /* a record that goes beyond the data's end; two skips */
    for (unsigned i = 0; i < 2; i++) {
        (void)setup(state);
        from(BH_RING_DATA_BYTES - 32u);
        header(0)->queue[0].put = BH_RING_DATA_BYTES + 64u;
        record = (struct bh_ring_record *)(box[0] + BOX - 32u);
        record->bytes = i ? BH_RING_SKIP : 60;
        record = (struct bh_ring_record *)(box[0] + BH_RING_HEADER_BYTES);
        record->bytes = BH_RING_SKIP;
        assert_null(wire_ring_look(&b, &got));
        assert_true(b.broken);
    }
    (void)setup(state);
}

static bool stop;

static void *scribble(void *box_of_peer)
{
    uint32_t *words = box_of_peer;
    uint64_t r = 88172645463325252u;

    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        uint32_t at, value;

        r ^= r << 13, r ^= r >> 7, r ^= r << 17;
        /* mostly where it matters, and values that may be believed */
        value = (uint32_t)(r >> 40) & 0x3fff0u;
        switch (r & 7u) {
        case 0: at = 32; break;                     /* put */
        case 1: at = 48, value = 0u - value; break; /* get */
        case 2:
            at = 32u + (uint32_t)(r >> 8) % 32u; /* any word of the queue, any value */
            value = (uint32_t)(r >> 33);
            break;
        default:
            at = BH_RING_HEADER_BYTES / 4u + (uint32_t)(r >> 8) % (BH_RING_DATA_BYTES / 4u);
            value &= 0xfffu;
            break;
        }
        __atomic_store_n(&words[at], value, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Whatever the peer's box says meanwhile, this end stays within the boxes and comes back. */
static void test_hostile(void **state)
{
    static uint8_t buffer[MAX];
    struct bh_ring_record got;
    unsigned looked = 0, placed = 0, wanted = records(100);
    pthread_t thread;

    (void)state;
    stop = false;
    assert_int_equal(pthread_create(&thread, NULL, scribble, box[0]), 0);
    srand(2);
    for (unsigned i = 0; i < 200000 || looked < wanted || placed < 100; i++) {
        uint32_t bytes = 14u + (uint32_t)rand() % (rand() % 8 ? 2000u : MAX - 13u);
        const uint8_t *at = wire_ring_look(&b, &got);
        uint8_t *to;

        if (at) {
            assert_in_range(got.bytes, BH_RING_FRAME_MIN, MAX);
            assert_in_range((uintptr_t)at, (uintptr_t)box[0] + BH_RING_HEADER_BYTES + 16u,
                            (uintptr_t)box[0] + BOX - got.bytes);
            memcpy(buffer, at, got.bytes);
            (void)wire_ring_take(&b);
            looked++;
        }
        to = wire_ring_place(&b, bytes);
        if (to) {
            assert_in_range((uintptr_t)to, (uintptr_t)box[1] + BH_RING_HEADER_BYTES + 16u,
                            (uintptr_t)box[1] + BOX - bytes);
            memset(to, 0x5a, bytes);
            (void)wire_ring_put(&b, &plain, bytes);
            placed++;
        }
        if (b.broken) wire_ring_begin(&b, 11);
    }
    stop = true;
    (void)pthread_join(thread, NULL);
}

/* ---- two ends that run at the same time ---- */

static sem_t told_a, told_b;
static unsigned tells_a, tells_b;

static uint32_t size_of(uint32_t n)
{
    uint32_t x = n * 2654435761u;

    return 14u + (x >> 8) % (x % 32u ? 1500u : MAX - 13u);
}

static void *sender(void *arg)
{
    for (uint32_t n = 0; n < *(const unsigned *)arg; n++) {
        uint32_t bytes = size_of(n);
        uint8_t *at;

        while (!(at = wire_ring_place(&a, bytes))) {
            assert_false(a.broken);
            (void)sem_wait(&told_a);
        }
        memcpy(at, &n, 4);
        memcpy(at + bytes - 4, &n, 4);
        if (wire_ring_put(&a, &plain, bytes)) {
            tells_b++;
            (void)sem_post(&told_b);
        }
    }
    return arg;
}

static void test_threads(void **state)
{
    unsigned frames = records(300000);
    struct bh_ring_record got;
    pthread_t thread;

    (void)state;
    (void)sem_init(&told_a, 0, 0);
    (void)sem_init(&told_b, 0, 0);
    tells_a = tells_b = 0;
    assert_int_equal(pthread_create(&thread, NULL, sender, &frames), 0);
    for (uint32_t n = 0; n < frames;) {
        const uint8_t *at = wire_ring_look(&b, &got);

        if (!at) {
            assert_false(b.broken);
            if (wire_ring_await(&b)) (void)sem_wait(&told_b);
            continue;
        }
        assert_int_equal(got.bytes, size_of(n));
        assert_memory_equal(at, &n, 4);
        assert_memory_equal(at + got.bytes - 4, &n, 4);
        if (wire_ring_take(&b)) {
            tells_a++;
            (void)sem_post(&told_a);
        }
        n++;
    }
    (void)pthread_join(thread, NULL);
    assert_true(tells_a < frames / 2 && tells_b < frames);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_frame),   test(test_told),    test(test_full),   test(test_any_size),
        test(test_session), test(test_wiped),   test(test_queues), test(test_broken),
        test(test_hostile), test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
