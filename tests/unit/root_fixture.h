/* The page of facts that the kernel gives root (BH_ROOT_INFO), for tests of root's files: include
 * it behind the file under test. */
#ifndef TESTS_UNIT_ROOT_FIXTURE_H
#define TESTS_UNIT_ROOT_FIXTURE_H

#include <sys/mman.h>

/** A group's setup: the page is there, and a tick of the TSC is 1 us. @return 0, or -1 */
static int map_info(void **state)
{
    struct bh_info *i = mmap((void *)BH_ROOT_INFO, 4096, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    (void)state;
    if (i != (void *)BH_ROOT_INFO) return -1;
    i->tsc_khz = 1000;
    return 0;
}

#endif
