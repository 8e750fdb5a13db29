/* Root's threads on the other CPUs; see service.h. */
#include "service.h"
#include <stdbool.h>
#include <stddef.h>
#include "caps.h"
#include "log.h"

/* How long the other CPUs wait for service_init(), and CPU 0 for an answer until it says so. */
#define START_MS  30000u
#define ANSWER_MS 10000u

void root_service(unsigned cpu);

/* The one piece of work there is. CPU 0 writes it, then `cpu`; the other writes the result, then
 * `done`. */
static struct {
    cpu_work *work;
    void *arg;
    uint64_t result;
    unsigned cpu; /* whose it is; 0: nobody's */
    bool done;
} job;

/* Notification of CPU n's thread at + 2n, and at + 2n + 1 the capability that signals it; written
 * once before `published`. */
static uint64_t ntfns;
static unsigned published; /* CPUs served; 0: not yet known */

static uint64_t wait_slot(unsigned cpu) { return ntfns + 2u * cpu; }
static uint64_t signal_slot(unsigned cpu) { return ntfns + 2u * cpu + 1u; }

void service_init(void)
{
    unsigned wanted = info()->ncpus < ROOT_CPUS_MAX ? info()->ncpus : ROOT_CPUS_MAX;
    unsigned cpu = 0;

    ntfns = slots_take(2u * wanted);
    while (ntfns && cpu < wanted &&
           retype(BH_SLOT_KUNTYPED, BH_CAP_NTFN, 0, cpu, 1, wait_slot(cpu)) == BH_OK &&
           bh_cnode_mint(BH_SLOT_CNODE, signal_slot(cpu), wait_slot(cpu), BH_RIGHT_WRITE, 1).err ==
               BH_OK)
        cpu++;
    __atomic_store_n(&published, cpu ? cpu : 1u, __ATOMIC_RELEASE);
}

unsigned service_cpus(void) { return published; }

static uint64_t after_ms(unsigned ms) { return rt_tsc() + (uint64_t)info()->tsc_khz * ms; }

uint64_t on_cpu(unsigned cpu, cpu_work *work, void *arg)
{
    if (cpu == 0) return work(arg);
    if (cpu >= published) return BH_ERR_CPU;
    job.work = work;
    job.arg = arg;
    job.done = false;
    __atomic_store_n(&job.cpu, cpu, __ATOMIC_RELEASE);
    (void)bh_signal(signal_slot(cpu));
    while (!__atomic_load_n(&job.done, __ATOMIC_ACQUIRE))
        if (bh_wait(wait_slot(0), after_ms(ANSWER_MS)).err == BH_ERR_TIMEOUT)
            say("CPU %u: root's thread has not answered for %u s", cpu, ANSWER_MS / 1000u);
    return job.result;
}

void service_pause(uint64_t tsc)
{
    /* Only root's own threads signal this one; what is left of an answer ends the first wait. */
    while (bh_wait(wait_slot(0), tsc).err == BH_OK)
        ;
}

static bool wait_for_init(unsigned cpu)
{
    uint64_t give_up = after_ms(START_MS);
    unsigned served;

    while ((served = __atomic_load_n(&published, __ATOMIC_ACQUIRE)) == 0 && rt_tsc() < give_up)
        bh_yield();
    return cpu < served;
}

/* Entry of the threads on CPUs other than 0 (vmm/rt/root_start.S). */
void root_service(unsigned cpu)
{
    while (!wait_for_init(cpu)) (void)bh_thread_stop(BH_SLOT_CPU_THREADS + cpu);
    for (;;) {
        (void)bh_wait(wait_slot(cpu), BH_FOREVER);
        if (__atomic_load_n(&job.cpu, __ATOMIC_ACQUIRE) != cpu) continue;
        job.cpu = 0;
        job.result = job.work(job.arg);
        __atomic_store_n(&job.done, true, __ATOMIC_RELEASE);
        (void)bh_signal(signal_slot(0));
    }
}
