/*
 * Root on the other CPUs: threads, scheduling contexts and vCPUs obey their own CPU only, so root
 * has a thread on each, which does what CPU 0's thread asks it to. CPU 0 waits meanwhile: never do
 * two of root's threads work at once, and nothing in root needs a lock.
 * May call: capabilities, log.
 */
#ifndef VMM_ROOT_SERVICE_H
#define VMM_ROOT_SERVICE_H

#include <stdint.h>

/** CPUs that root has threads on: as many as a space has save areas. */
#define ROOT_CPUS_MAX 16u

/** What is done on a CPU. @return what on_cpu() gives back, e.g. an enum bh_err */
typedef uint64_t cpu_work(void *arg);

/** Once, first of all: the other CPUs' threads spin until then. */
void service_init(void);

/** CPUs that on_cpu() reaches: 0 to this - 1. */
unsigned service_cpus(void);

/** Do nothing until @tsc, whoever signals. Only for the thread on CPU 0, not within on_cpu(). */
void service_pause(uint64_t tsc);

/** Run work(arg) on @cpu and wait for its end. Only for the thread on CPU 0. @return its result;
 *  BH_ERR_CPU when root is not on that CPU */
uint64_t on_cpu(unsigned cpu, cpu_work *work, void *arg);

#endif
