// sources: vmm/rt/fmt.c
// flags: -D_GNU_SOURCE -iquote vmm/rt -iquote vmm/monitor -iquote vmm/monitor/dev -lpthread
/*
 * The end of a VM when several vCPUs end it at once: one reports, whatever the others wait for, and
 * the report is of one end.
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define bh_signal syscall_bh_signal
#define bh_wait   syscall_bh_wait
#include "vmm/rt/syscall.h"
#undef bh_signal
#undef bh_wait
uint64_t bh_signal(uint64_t ntfn);
struct bh_result bh_wait(uint64_t ntfn, uint64_t deadline);

#include "bulkhead/monitor.h"
static struct bh_monitor_start start = {.nvcpus = 2};
static struct bh_monitor_report report;
#undef BH_MONITOR_START
#undef BH_MONITOR_REPORT
#define BH_MONITOR_START  ((uint64_t)&start)
#define BH_MONITOR_REPORT ((uint64_t)&report)
#include "vmm/monitor/end.c"

_Thread_local uint32_t vcpu_self;
struct vcpu vcpus[BH_MONITOR_MAX_VCPUS];
static struct bh_vcpu_page pages[2];
static pthread_mutex_t devices = PTHREAD_MUTEX_INITIALIZER;
static sem_t in_device, go_on, told;
static unsigned reports;

uint64_t bh_signal(uint64_t ntfn)
{
    reports += ntfn == BH_MONITOR_SLOT_ROOT;
    (void)sem_post(&told);
    return BH_OK;
}

/* Nobody comes back from the end. */
struct bh_result bh_wait(uint64_t ntfn, uint64_t deadline) { pthread_exit(NULL); }

void post(struct vcpu *to, uint32_t bits) {}

void read_state(uint64_t groups) {}

uint64_t platform_holes(void) { return 0; }

/* Code that lies where a device has to be asked for it. */
size_t insn_fetch(uint8_t bytes[16])
{
    (void)sem_post(&go_on);
    (void)pthread_mutex_lock(&devices);
    memset(bytes, 0xcc, 16);
    (void)pthread_mutex_unlock(&devices);
    return 15;
}

/* A port or register that ends the VM: the lock is held, and stays so. */
static void *ends_in_device(void *arg)
{
    vcpu_self = 1;
    (void)pthread_mutex_lock(&devices);
    (void)sem_post(&in_device);
    (void)sem_wait(&go_on);
    vm_end(BH_END_RESET, 0, "");
    return NULL;
}

static void *stops(void *arg)
{
    vcpu_self = 0;
    vm_stop("what is not carried out");
    return NULL;
}

static void one_of_two_reports(void **state)
{
    struct timespec until;
    pthread_t a, b;

    for (unsigned i = 0; i < 2u; i++) {
        vcpus[i].number = i;
        vcpus[i].page = &pages[i];
    }
    assert_int_equal(sem_init(&in_device, 0, 0) | sem_init(&go_on, 0, 0) | sem_init(&told, 0, 0),
                     0);
    assert_int_equal(pthread_create(&a, NULL, ends_in_device, NULL), 0);
    assert_int_equal(sem_wait(&in_device), 0);
    assert_int_equal(pthread_create(&b, NULL, stops, NULL), 0);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    assert_int_equal(sem_timedwait(&told, &until), 0);
    assert_int_equal(report.kind, BH_END_RESET);
    assert_int_equal(report.vcpu, 1);
    assert_int_equal(report.insn_len, 0);
    assert_string_equal(report.text, "");
    (void)pthread_join(a, NULL);
    (void)pthread_mutex_unlock(&devices);
    (void)pthread_join(b, NULL);
    assert_int_equal(reports, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_two_reports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
