// sources: vmm/monitor/dev/virtqueue.c vmm/monitor/dev/guest_mem.c
/* Split virtqueues from virtio 1.2, 2.7: chains of every shape the standard allows, and of those it
 * does not; wishes for notifications on both sides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/monitor/dev/virtqueue.h"

#define RAM_BYTES 0x100000u
#define DESC      0x1000u
#define AVAIL     0x3000u
#define USED      0x4000u
#define TABLE     0x6000u /* of indirect descriptors */
#define DATA      0x80000u

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

static uint8_t ram[RAM_BYTES] __attribute__((aligned(16)));
static const struct guest_mem mem = {ram, RAM_BYTES, NULL};
static struct virtq q;
static struct virtq_chain c;

static void setup(unsigned size)
{
    memset(ram, 0, sizeof(ram));
    q = (struct virtq){.desc = DESC,
                       .avail = AVAIL,
                       .used = USED,
                       .size = (uint16_t)size,
                       .enabled = 1,
                       .indirect = 1};
    assert_true(virtq_placed(&q, &mem));
}

static void put16(uint64_t gpa, unsigned v)
{
    uint16_t x = (uint16_t)v;

    memcpy(ram + gpa, &x, 2);
}

static unsigned get16(uint64_t gpa)
{
    uint16_t x;

    memcpy(&x, ram + gpa, 2);
    return x;
}

static void desc(uint64_t table, unsigned i, uint64_t addr, uint32_t len, unsigned flags,
                 unsigned next)
{
    memcpy(ram + table + 16u * i, &addr, 8);
    memcpy(ram + table + 16u * i + 8u, &len, 4);
    put16(table + 16u * i + 12u, flags);
    put16(table + 16u * i + 14u, next);
}

static void offer(unsigned head)
{
    unsigned idx = get16(AVAIL + 2u);

    put16(AVAIL + 4u + 2u * (idx % q.size), head);
    put16(AVAIL + 2u, idx + 1u);
}

static enum virtq_result take(unsigned head)
{
    offer(head);
    return virtq_take(&q, &mem, &c);
}

static void test_placed(void **state)
{
    struct {
        uint64_t desc, avail, used;
        unsigned size;
        bool ok;
    } rows[] = {
        {DESC, AVAIL, USED, 256, true},
        {DESC, AVAIL, USED, 1, true},
        {DESC, AVAIL, USED, 0, false},
        {DESC, AVAIL, USED, 3, false},
        {DESC, AVAIL, USED, 512, false},
        {DESC + 8, AVAIL, USED, 8, false}, /* 2.7: alignments 16, 2, 4 */
        {DESC, AVAIL + 1, USED, 8, false},
        {DESC, AVAIL + 2, USED, 8, true},
        {DESC, AVAIL, USED + 2, 8, false},
        {DESC, AVAIL, USED + 4, 8, true},
        {RAM_BYTES - 128, AVAIL, USED, 8, true},
        {RAM_BYTES - 112, AVAIL, USED, 8, false},
        {DESC, RAM_BYTES - 22, USED, 8, true}, /* with used_event */
        {DESC, RAM_BYTES - 20, USED, 8, false},
        {DESC, AVAIL, RAM_BYTES - 72, 8, true}, /* with avail_event */
        {DESC, AVAIL, RAM_BYTES - 68, 8, false},
        {UINT64_MAX - 15, AVAIL, USED, 8, false},
        {DESC, UINT64_MAX - 1, USED, 8, false},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        q = (struct virtq){.desc = rows[i].desc,
                           .avail = rows[i].avail,
                           .used = rows[i].used,
                           .size = (uint16_t)rows[i].size};
        if (virtq_placed(&q, &mem) != rows[i].ok) fail_msg("row %u", i);
    }
}

static void test_chain(void **state)
{
    char text[64] = "";
    uint64_t n;

    (void)state;
    setup(8);
    assert_false(virtq_waiting(&q, &mem));
    assert_int_equal(virtq_take(&q, &mem, &c), VIRTQ_NONE);
    memcpy(ram + DATA, "hello ", 6);
    memcpy(ram + DATA + 100, "world", 5);
    desc(DESC, 5, DATA, 6, NEXT, 2);
    desc(DESC, 2, DATA + 50, 0, NEXT, 7); /* an empty buffer */
    desc(DESC, 7, DATA + 100, 5, NEXT, 0);
    desc(DESC, 0, DATA + 200, 3, NEXT | WRITE, 1);
    desc(DESC, 1, DATA + 300, 10, WRITE, 99); /* next counts only with NEXT */
    assert_int_equal(take(5), VIRTQ_CHAIN);
    assert_int_equal(c.head, 5);
    assert_int_equal(c.out.left, 11);
    assert_int_equal(c.in.left, 13);
    assert_int_equal(virtq_copy_out(&c.out, text, sizeof(text)), 11);
    assert_string_equal(text, "hello world");
    assert_int_equal(virtq_copy_out(&c.out, text, 1), 0);
    assert_ptr_equal(virtq_piece_next(&c.in, 2, &n), ram + DATA + 200);
    assert_int_equal(n, 2);
    assert_int_equal(virtq_copy_in(&c.in, "abcdefghijkl", 12), 11);
    assert_memory_equal(ram + DATA + 202, "a", 2);
    assert_memory_equal(ram + DATA + 300, "bcdefghijk", 11);
    assert_null(virtq_piece_next(&c.in, 1, &n));
    virtq_put(&q, &mem, c.head, 13);
    assert_int_equal(get16(USED + 2), 0); /* not shown yet */
    assert_true(virtq_show(&q, &mem));
    assert_int_equal(get16(USED + 2), 1);
    assert_int_equal(get16(USED + 4), 5);
    assert_int_equal(get16(USED + 8), 13);
    assert_false(virtq_show(&q, &mem)); /* nothing new */
    assert_int_equal(virtq_take(&q, &mem, &c), VIRTQ_NONE);
}

/* 2.7.5.3: some descriptors, then one table. */
static void test_indirect(void **state)
{
    (void)state;
    for (unsigned skew = 0; skew < 2; skew++) {
        uint64_t table = TABLE + skew; /* its alignment is nowhere demanded */

        setup(8);
        desc(DESC, 3, DATA, 4, NEXT, 4);
        desc(DESC, 4, table, 3 * 16, INDIRECT | WRITE, 0); /* WRITE is to be ignored */
        desc(table, 0, DATA + 4, 4, NEXT, 2);
        desc(table, 2, DATA + 100, 40, NEXT | WRITE, 1);
        desc(table, 1, DATA + 200, 2, WRITE, 0);
        assert_int_equal(take(3), VIRTQ_CHAIN);
        assert_int_equal(c.head, 3);
        assert_int_equal(c.out.left, 8);
        assert_int_equal(c.in.left, 42);
    }
    /* A table may be longer than the queue; a chain may not (2.7.5.3.1). */
    setup(8);
    desc(DESC, 0, TABLE, 100 * 16, INDIRECT, 0);
    for (unsigned i = 0; i < 8; i++) desc(TABLE, i * 10u, DATA, 1, i < 7 ? NEXT : 0, i * 10u + 10u);
    assert_int_equal(take(0), VIRTQ_CHAIN);
    assert_int_equal(c.out.left, 8);
    desc(TABLE, 70, DATA, 1, NEXT, 80);
    desc(TABLE, 80, DATA, 1, 0, 0);
    assert_int_equal(take(0), VIRTQ_BROKEN);
}

static void loop_of_two(void)
{
    desc(DESC, 0, DATA, 1, NEXT, 1);
    desc(DESC, 1, DATA, 1, NEXT, 0);
}
static void loop_on_itself(void) { desc(DESC, 0, DATA, 1, NEXT, 0); }
static void next_outside(void) { desc(DESC, 0, DATA, 1, NEXT, 8); }
static void past_memory(void) { desc(DESC, 0, RAM_BYTES - 8, 9, 0, 0); }
static void outside_memory(void) { desc(DESC, 0, RAM_BYTES + 1, 1, 0, 0); }
static void wraps(void) { desc(DESC, 0, UINT64_MAX - 3, 8, WRITE, 0); }
static void longest(void) { desc(DESC, 0, 0, UINT32_MAX, 0, 0); }
static void in_before_out(void)
{
    desc(DESC, 0, DATA, 1, WRITE | NEXT, 1);
    desc(DESC, 1, DATA, 1, 0, 0);
}
static void table_not_negotiated(void)
{
    q.indirect = 0;
    desc(DESC, 0, TABLE, 16, INDIRECT, 0);
    desc(TABLE, 0, DATA, 1, 0, 0);
}
static void table_with_next(void)
{
    desc(DESC, 0, TABLE, 16, INDIRECT | NEXT, 1);
    desc(TABLE, 0, DATA, 1, 0, 0);
}
static void table_empty(void) { desc(DESC, 0, TABLE, 0, INDIRECT, 0); }
static void table_of_odd_size(void) { desc(DESC, 0, TABLE, 24, INDIRECT, 0); }
static void table_past_memory(void) { desc(DESC, 0, RAM_BYTES - 16, 32, INDIRECT, 0); }
static void table_in_table(void)
{
    desc(DESC, 0, TABLE, 32, INDIRECT, 0);
    desc(TABLE, 0, TABLE + 16, 16, INDIRECT, 0);
    desc(TABLE, 1, DATA, 1, 0, 0);
}
static void table_of_itself(void) { desc(DESC, 0, DESC, 16, INDIRECT, 0); }
static void table_loop(void)
{
    desc(DESC, 0, TABLE, 32, INDIRECT, 0);
    desc(TABLE, 0, DATA, 1, NEXT, 1);
    desc(TABLE, 1, DATA, 1, NEXT, 0);
}
static void table_next_outside(void)
{
    desc(DESC, 0, TABLE, 32, INDIRECT, 0);
    desc(TABLE, 0, DATA, 1, NEXT, 2);
}

static void test_broken(void **state)
{
    static void (*const cases[])(void) = {
        loop_of_two,
        loop_on_itself,
        next_outside,
        past_memory,
        outside_memory,
        wraps,
        longest,
        in_before_out,
        table_with_next,
        table_not_negotiated,
        table_empty,
        table_of_odd_size,
        table_in_table,
        table_past_memory,
        table_of_itself,
        table_loop,
        table_next_outside,
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setup(8);
        cases[i]();
        if (take(0) != VIRTQ_BROKEN) fail_msg("case %u is taken", i);
        assert_int_equal(q.avail_next, 0);
    }
    setup(8);
    assert_int_equal(take(8), VIRTQ_BROKEN); /* a head that is no descriptor */
    setup(8);
    put16(AVAIL + 2, 9); /* more available than there are */
    assert_int_equal(virtq_take(&q, &mem, &c), VIRTQ_BROKEN);
    setup(8);
    q.avail_next = 5; /* the index went back */
    put16(AVAIL + 2, 4);
    assert_int_equal(virtq_take(&q, &mem, &c), VIRTQ_BROKEN);
}

/* Indexes run through 65536 with every queue size. */
static void test_wrap(void **state)
{
    (void)state;
    for (unsigned size = 1; size <= 256; size *= 2) {
        setup(size);
        for (unsigned i = 0; i < 70000; i++) {
            unsigned head = i * 7u % size;

            desc(DESC, head, DATA + i % 1000u, 1, 0, 0);
            assert_int_equal(take(head), VIRTQ_CHAIN);
            assert_int_equal(c.head, head);
            assert_ptr_equal(c.out.piece->at, ram + DATA + i % 1000u);
            virtq_put(&q, &mem, c.head, i);
            assert_true(virtq_show(&q, &mem));
            assert_int_equal(get16(USED + 2), (i + 1u) & 0xffffu);
            assert_int_equal(get16(USED + 4u + 8u * (i % size)), head);
        }
    }
}

/* 2.7.7: by flag, or by index when that was negotiated. */
static void test_interrupts(void **state)
{
    (void)state;
    setup(8);
    put16(AVAIL, 1);
    virtq_put(&q, &mem, 0, 0);
    assert_false(virtq_show(&q, &mem));
    put16(AVAIL, 0);
    virtq_put(&q, &mem, 0, 0);
    assert_true(virtq_show(&q, &mem));
    for (unsigned from = 0; from < 0x10000u; from += 77) /* anywhere in the index's round */
        for (unsigned step = 1; step <= 8; step++)
            for (unsigned event = 0; event < 20; event++) {
                setup(8);
                q.event_index = 1;
                q.used_next = q.used_shown = (uint16_t)from;
                put16(AVAIL, 1); /* to be ignored now */
                put16(AVAIL + 4u + 2u * 8u, from - 5u + event);
                for (unsigned i = 0; i < step; i++) virtq_put(&q, &mem, 0, 0);
                /* wanted: when the element with the index `event` has been added */
                assert_int_equal(virtq_show(&q, &mem), event >= 5 && event < 5 + step);
            }
}

static void test_kicks(void **state)
{
    (void)state;
    setup(8);
    virtq_want_kick(&q, &mem, false);
    assert_int_equal(get16(USED), 1);
    virtq_want_kick(&q, &mem, true);
    assert_int_equal(get16(USED), 0);
    q.event_index = 1;
    q.avail_next = 3;
    virtq_want_kick(&q, &mem, true);
    assert_int_equal(get16(USED + 4 + 64), 3);
    virtq_want_kick(&q, &mem, false);
    assert_int_equal(get16(USED + 4 + 64), 2); /* behind: a round away */
    assert_int_equal(get16(USED), 0);
}

/* A driver can give its own rings to the balloon, and that while a chain is at work. What is shown
 * then nobody sees; a saved VM's queue has nothing that is to be shown yet. */
static void test_rings_gone(void **state)
{
    static const uint64_t absent[1] = {1};
    const struct guest_mem away = {ram, RAM_BYTES, absent};

    (void)state;
    setup(8);
    desc(DESC, 0, DATA, 1, 0, 0);
    offer(0);
    assert_int_equal(virtq_take(&q, &mem, &c), VIRTQ_CHAIN);
    virtq_put(&q, &mem, c.head, 0);
    assert_false(virtq_show(&q, &away));
    assert_int_equal(q.used_shown, q.used_next);
    assert_int_equal(virtq_take(&q, &away, &c), VIRTQ_BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_placed),   cmocka_unit_test(test_chain),
        cmocka_unit_test(test_indirect), cmocka_unit_test(test_broken),
        cmocka_unit_test(test_wrap),     cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_kicks),    cmocka_unit_test(test_rings_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
