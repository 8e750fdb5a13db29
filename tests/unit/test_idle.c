// sources: vmm/root/idle.c
/*
 * Who is asked for memory and who gets it: each rule of idle.h, with VMs that do as they are asked,
 * that do not, and that say anything at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/root/idle.h"

enum { VMS = 4, MAX = 100, MIN = 40 };

static struct idle_vm vms[VMS];

/* As it started: all its memory, of which so much is available. */
static void vm(unsigned n, uint32_t available)
{
    vms[n] = (struct idle_vm){.takes_part = true,
                              .min = MIN,
                              .max = MAX,
                              .has = MAX,
                              .keeps = MAX,
                              .available = available,
                              .target = MAX};
}

static void smaller(unsigned n, uint32_t keeps, uint32_t available)
{
    vm(n, available);
    vms[n].has = vms[n].keeps = vms[n].target = keeps;
}

static int begin(void **state)
{
    memset(vms, 0, sizeof(vms)); /* takes no part */
    return 0;
}

/* A guest that does at once what it is asked. @return pieces that came, above 0, or went */
static int obey(unsigned n)
{
    int moved = (int)vms[n].has - (int)vms[n].target;

    vms[n].available -= (uint32_t)moved;
    vms[n].has = vms[n].keeps = vms[n].target;
    return moved;
}

static void nobody_in_need(void **state)
{
    vm(0, 90);
    vm(1, 13);
    smaller(2, 50, 50);
    idle_policy(vms, VMS, 500, 0);
    assert_int_equal(vms[0].target, MAX);
    assert_int_equal(vms[1].target, MAX);
    assert_int_equal(vms[2].target, 50);
}

static void a_start_is_served_by_the_idlest(void **state)
{
    vm(0, 60);
    vm(1, 80);
    vm(2, 100);
    vms[2].takes_part = false;
    idle_policy(vms, VMS, 10, 10);
    assert_int_equal(vms[1].target, MAX); /* there is enough */
    idle_policy(vms, VMS, 10, 40);
    assert_int_equal(vms[1].target, MAX - 30);
    assert_int_equal(vms[0].target, MAX);
    idle_policy(vms, VMS, 10, 40); /* it is coming */
    assert_int_equal(vms[1].target, MAX - 30);
    idle_policy(vms, VMS, 10, 100); /* now the other can do without more */
    assert_int_equal(vms[0].target, MAX - (60 - MAX / 8));
    assert_int_equal(vms[1].target, MAX - 30 - 12);
    assert_int_equal(vms[2].target, MAX);
    idle_policy(vms, VMS, 10, 1000); /* never more than is idle, nor below the minimum */
    assert_int_equal(vms[1].target, MIN);
    assert_int_equal(vms[0].target, MAX - (60 - 12));
}

/* What the balloon has got in parts does not come: so much more is asked for. */
static void parts_of_pieces_are_no_pieces(void **state)
{
    vm(0, 80);
    idle_policy(vms, 1, 0, 20);
    assert_int_equal(vms[0].target, 80);
    vms[0].keeps = 80;
    vms[0].has = 83;
    vms[0].available = 60;
    idle_policy(vms, 1, 17, 20);
    assert_int_equal(vms[0].target, 77);
}

static void who_does_nothing_is_not_waited_for(void **state)
{
    vm(0, 90);
    vm(1, 60);
    idle_policy(vms, 2, 0, 20);
    assert_int_equal(vms[0].target, 80);
    vms[0].stuck = true;
    idle_policy(vms, 2, 0, 20);
    assert_int_equal(vms[0].target, 80);
    assert_int_equal(vms[1].target, 80);
}

static void need_is_served_by_steps(void **state)
{
    smaller(0, 60, 7);
    idle_policy(vms, 1, 500, 0); /* 7 is not below an eighth of 60, which is 7 */
    assert_int_equal(vms[0].target, 60);
    vms[0].available = 6;
    idle_policy(vms, 1, 500, 0);
    assert_int_equal(vms[0].target, 60 + MAX / 8 + 1);
    idle_policy(vms, 1, 500, 0); /* under way */
    assert_int_equal(vms[0].target, 60 + MAX / 8 + 1);
    for (unsigned i = 0; i < 10; i++) {
        (void)obey(0);
        vms[0].available = 0;
        idle_policy(vms, 1, 500, 0);
    }
    assert_int_equal(vms[0].target, MAX);
}

static void need_takes_from_the_idle(void **state)
{
    smaller(0, 60, 3);
    vm(1, 60);
    vm(2, 90);
    vm(3, 26); /* leaves a quarter idle, and not much more */
    idle_policy(vms, VMS, 4, 0);
    assert_int_equal(vms[0].target, 64);
    assert_int_equal(vms[2].target, MAX - 9);
    assert_int_equal(vms[1].target, MAX);
    assert_int_equal(vms[3].target, MAX);
    /* A VM that is about to start comes first. */
    begin(state);
    smaller(0, 60, 3);
    vm(1, 60);
    idle_policy(vms, VMS, 10, 20);
    assert_int_equal(vms[0].target, 60);
    assert_int_equal(vms[1].target, 90);
}

/* Who gives falls in no need by that, and what is in need stops giving. */
static void nothing_swings(void **state)
{
    uint32_t free = 0;

    smaller(0, 60, 0);
    vm(1, 70);
    for (unsigned i = 0; i < 50; i++) {
        idle_policy(vms, 2, free, 0);
        for (unsigned n = 0; n < 2; n++) free += (uint32_t)obey(n);
        vms[0].available = 0; /* whatever it gets */
        assert_true(vms[1].available >= vms[1].has / 4);
    }
    assert_int_equal(vms[0].target, MAX);
    assert_int_equal(vms[1].target, 60);
    vms[0].available = 99; /* and there it stays when the need is over */
    idle_policy(vms, 2, free, 0);
    assert_int_equal(vms[0].target, MAX);
    assert_int_equal(vms[1].target, 60);
}

static void who_comes_into_need_stops_giving(void **state)
{
    vm(0, 60);
    idle_policy(vms, 1, 0, 30);
    assert_int_equal(vms[0].target, 70);
    vms[0].keeps = 85;
    vms[0].has = 90;
    vms[0].available = 2;
    idle_policy(vms, 1, 10, 30);
    assert_int_equal(vms[0].target, 85);
}

/* Whatever they say. */
static void anything_stays_in_its_limits(void **state)
{
    srand(1);
    for (unsigned round = 0; round < 20000; round++) {
        for (unsigned n = 0; n < VMS; n++) {
            uint32_t max = 1 + (uint32_t)rand() % 4096;
            uint32_t min = 1 + (uint32_t)rand() % max;

            vms[n] = (struct idle_vm){.takes_part = rand() % 4,
                                      .stuck = rand() % 4 == 0,
                                      .min = min,
                                      .max = max,
                                      .has = (uint32_t)rand() % (max + 1),
                                      .keeps = (uint32_t)rand() % (max + 1),
                                      .available = (uint32_t)rand() % (max + 1),
                                      .target = min + (uint32_t)rand() % (max - min + 1)};
        }
        idle_policy(vms, VMS, (uint32_t)rand() % 5000, rand() % 2 ? (uint32_t)rand() % 5000 : 0);
        for (unsigned n = 0; n < VMS; n++)
            assert_true(vms[n].target >= vms[n].min && vms[n].target <= vms[n].max);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nobody_in_need, begin),
        cmocka_unit_test_setup(a_start_is_served_by_the_idlest, begin),
        cmocka_unit_test_setup(parts_of_pieces_are_no_pieces, begin),
        cmocka_unit_test_setup(who_does_nothing_is_not_waited_for, begin),
        cmocka_unit_test_setup(need_is_served_by_steps, begin),
        cmocka_unit_test_setup(need_takes_from_the_idle, begin),
        cmocka_unit_test_setup(nothing_swings, begin),
        cmocka_unit_test_setup(who_comes_into_need_stops_giving, begin),
        cmocka_unit_test_setup(anything_stays_in_its_limits, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
