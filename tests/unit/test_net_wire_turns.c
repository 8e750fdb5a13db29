/*
 * A peer that takes turns with saying that there is a frame and that there is none: the thread that
 * looks comes back, and looks again later.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/monitor/dev/net_wire.c"

static unsigned looks, asked;

void wire_ring_init(struct wire_ring *r, uint8_t *own, const uint8_t *peer, uint32_t queues,
                    uint32_t queue, uint32_t self)
{
}
void wire_ring_begin(struct wire_ring *r, uint32_t other) {}
bool wire_ring_up(const struct wire_ring *r) { return true; }
uint8_t *wire_ring_place(struct wire_ring *r, uint32_t bytes) { return NULL; }
bool wire_ring_put(struct wire_ring *r, const struct bh_ring_record *offload, uint32_t bytes)
{
    return false;
}
bool wire_ring_take(struct wire_ring *r) { return false; }
uint64_t virtq_copy_out(struct virtq_side *s, void *buf, uint64_t bytes) { return 0; }

const uint8_t *wire_ring_look(struct wire_ring *r, struct bh_ring_record *record)
{
    if (++looks > 1000000u) fail(); /* it never comes back */
    return NULL;
}

bool wire_ring_await(struct wire_ring *r)
{
    asked++;
    return false; /* something has come */
}

static uint64_t now_ns(void *ctx) { return 5; }
static void nothing(void *dev) {}

static void test_turns(void **state)
{
    static const struct dev_host host = {.now_ns = now_ns};
    struct net_wire w = {.host = &host, .deadline_ns = NO_DEADLINE_NS};
    struct bh_net_count count = {0};

    (void)state;
    w.port.count = &count;
    w.port.room = w.port.changed = nothing;
    net_wire_signalled(&w);
    assert_in_range(looks, 1, BH_RING_DATA_BYTES / BH_RING_ALIGN);
    assert_int_not_equal(w.deadline_ns, NO_DEADLINE_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_turns)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
