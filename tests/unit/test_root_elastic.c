// sources: vmm/root/idle.c
/* Elastic VMs whose monitors say what they like: what is asked of them is bounded, and so is what
 * of it is on record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* Time is what the test says: one tick a microsecond. */
static uint64_t now_us = 1000000;
#define rt_tsc real_rt_tsc
#include "syscall.h"
#undef rt_tsc
#define rt_tsc() now_us

#include "vmm/root/elastic.c"

#include "root_fixture.h"

uint64_t patient_tsc(void) { return now_us; }

enum { VMS = 2, MIB = 200, LEAST_MIB = 20 };

static struct manifest_vm configs[VMS];
static struct bh_pieces shared_pages[VMS];
static struct vm all[VMS];
static unsigned records;

void pieces_init(struct vm *of, unsigned count) {}
uint64_t pieces_free(void) /* there is enough for one of them */
{
    return MIB / 2u - (all[0].pieces_have + 1u) - (all[1].pieces_have + 1u);
}
void pieces_reserve(uint64_t count) {}
uint64_t pieces_moved_tsc(void) { return 0; }
bool pieces_poll(void) { return false; }
uint64_t admit_lacks_pieces(const struct vm *vm) { return 0; }
uint64_t vm_pieces(const struct manifest_vm *c) { return c->memory_mib / 2u - 1u; }
void vm_signal_pieces(const struct vm *vm) {}
void say(const char *format, ...) {}
void audit_begin(const char *event) { records++; }
void audit_text(const char *key, const char *value) {}
void audit_number(const char *key, uint64_t value) {}
void audit_end(void) {}

/* What it says of itself, and gives what it was asked for. */
static void says(unsigned n, bool in_need)
{
    struct bh_pieces *p = &shared_pages[n];

    p->told += FRESH;
    p->given_pages = p->target_pages;
    p->asked_pages = p->target_pages;
    p->available_bytes = in_need ? 0 : (uint64_t)MIB << 20;
    all[n].pieces_have = (MIB / 2u - 1u) - p->target_pages / BH_PIECE_PAGES;
}

/* Two that take turns in being in need: an hour of it leaves others' records in the ring. */
static void turns(void **state)
{
    const uint64_t begin = now_us;
    unsigned asked = 0;

    (void)state;
    for (unsigned n = 0; n < VMS; n++) {
        configs[n] = (struct manifest_vm){
            .name = n ? "b" : "a", .memory_mib = MIB, .balloon_min_mib = LEAST_MIB};
        all[n] = (struct vm){.number = n,
                             .state = VM_RUNNING,
                             .config = &configs[n],
                             .pieces = &shared_pages[n],
                             .pieces_have = MIB / 4u - 1u};
        shared_pages[n].target_pages = MIB / 4u * BH_PIECE_PAGES;
    }
    elastic_init(all, VMS);
    for (unsigned n = 0; n < VMS; n++) elastic_started(&all[n]);
    for (unsigned turn = 0; turn < 7200u; turn++) {
        uint32_t before = shared_pages[0].target_number + shared_pages[1].target_number;

        says(turn % 2u, true);
        says(1u - turn % 2u, false);
        for (unsigned i = 0; i < 10u; i++) {
            now_us += 50000u;
            (void)elastic_poll();
        }
        asked += shared_pages[0].target_number + shared_pages[1].target_number != before;
        for (unsigned n = 0; n < VMS; n++)
            assert_in_range(shared_pages[n].target_pages, 0,
                            (MIB - LEAST_MIB) / 2u * BH_PIECE_PAGES);
    }
    assert_true(asked > 1000u);
    assert_in_range(records, 2, VMS * ((now_us - begin) / (RECORD_MS * 1000u) + RECORDS));
}

/* Asked for 80 pieces, @begin ago in balloon pages: does it count as one that does not give, when it has given so
 * many pages in each of ten seconds? */
static bool stuck(const uint32_t pages[10], bool restored)
{
    struct bh_pieces *p = &shared_pages[0];
    struct idle_vm v;
    bool ever = false;

    elastic_started(&all[0]);
    *p = (struct bh_pieces){.told = restored ? 0 : 1, .available_bytes = (uint64_t)MIB << 20};
    if (restored) p->asked_pages = ~0u;
    v = describe(&all[0]);
    v.target = MIB / 2u - 80u;
    if (!restored) ask_to_keep(&all[0], &v);
    p->told += FRESH;
    for (unsigned s = 0; s < 10u; s++) {
        p->given_pages = pages[s];
        now_us += 1000000u;
        ever = describe(&all[0]).stuck || ever;
    }
    return ever;
}

static void to_and_fro(void **state)
{
    static const uint32_t gives[10] = {5120,  10240, 10240, 20480, 20480,
                                       25600, 25600, 30720, 40960, 40960},
                          nothing[10], toggles[10] = {1, 0, 1, 0, 1, 0, 1, 0, 1, 0},
                          pieces[10] = {512, 512, 1024, 1024, 1536, 1536, 2048, 2048, 2560, 2560};

    (void)state;
    assert_false(stuck(gives, false));
    assert_true(stuck(nothing, false));
    assert_true(stuck(toggles, false));
    assert_true(stuck(toggles, true)); /* and says that it was asked before */
    assert_true(stuck(pieces, false)); /* twenty times too slowly */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(turns), cmocka_unit_test(to_and_fro)};

    return cmocka_run_group_tests(tests, map_info, NULL);
}
