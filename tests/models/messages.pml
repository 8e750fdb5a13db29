/*
 * Messages between CPUs for changes of Threads and SchedContexts: only their own CPU changes them, so
 * root has a thread on each CPU that does it when asked. After vmm/root/service.c (on_cpu,
 * root_service), kernel/object/invoke.c (invoke: BH_ERR_CPU), thread.c (thread_halt,
 * inv_thread_start) and sched.c (schedule, sc_enqueue, sc_dequeue), which take no lock for a CPU's own
 * queue.
 *
 * Root's thread on CPU 0 lets CPU 1 stop a thread, start it and stop it again, by one job record and
 * one notification each way (notification.pml shows those to lose nothing; here they are one step).
 * CPU 1 runs its service thread and the scheduler, whose accesses to the queue are separate steps. A
 * capability to the service's notification may also be signalled by somebody else.
 *
 * Holds: each job is done once, by CPU 1, with its own argument; its result is the one that on_cpu()
 * returns; the queue is never seen or changed in the middle of a change by another CPU; CPU 0 gets
 * every answer.
 *
 * KNOCK CPU      invoke() carries methods out on objects of other CPUs
 * KNOCK PUBLISH  on_cpu() writes job.cpu before the argument
 * KNOCK RESET    on_cpu() does not reset job.done
 * KNOCK WHILE    on_cpu() waits once and does not look at job.done again
 * KNOCK MINE     root_service() does not look whether the job is for it
 * KNOCK TAKEN    root_service() does not take the job off the record
 * KNOCK RESULT   root_service() writes the result after job.done
 * KNOCK ANSWER   root_service() does not signal
 */
#define STOP 1
#define START 2
#define JOBS 3

/* The job record; CPU 1's queue. */
byte job_cpu, job_arg, job_result;
bool job_done;
bool bell[2];           /* bits of the notification of CPU n's thread */
bool ready = true;      /* the thread's state */
bool queued = true;     /* ... and its place in the ready queue */
bool changing;          /* ghost: a change of queue and state is half way */
byte carried_out;       /* ghost: jobs that were done */
byte strangers = 1;
bool over;

/* thread_halt() or inv_thread_start() on CPU 1's thread: state and queue, by CPU @me */
inline carry_out(me, what)
{
    assert(!changing);
    changing = true;
    if
    :: what == STOP -> queued = false; ready = false
    :: what == START -> ready = true; queued = true
    :: else -> assert(false) /* an argument that nobody sent */
    fi;
    assert(changing);
    changing = false;
    carried_out++
}

/* on_cpu(1, work, arg) */
inline on_cpu(arg)
{
#ifdef KNOCK_PUBLISH
    job_cpu = 1;
    job_arg = arg;
#endif
#ifndef KNOCK_PUBLISH
    job_arg = arg;
#endif
#ifndef KNOCK_RESET
    job_done = false;
#endif
#ifndef KNOCK_PUBLISH
    job_cpu = 1;
#endif
    bell[1] = true;
#ifndef KNOCK_WHILE
    do
    :: job_done -> break
    :: else ->
        if
        :: atomic { bell[0] -> bell[0] = false }
        :: sleeps > 0 -> sleeps-- /* the wait has a deadline */
        fi
    od;
#else
    atomic { bell[0] -> bell[0] = false };
#endif
    result = job_result;
    assert(result == arg);
    result = 0
}

active proctype cpu0()
{
    byte result, sleeps = 1, jobs;

#ifdef KNOCK_CPU
    carry_out(0, STOP);
    carry_out(0, START);
    carried_out = 0;
#endif
    do
    :: jobs < JOBS && jobs % 2 == 0 -> on_cpu(STOP); jobs++; assert(carried_out == jobs)
    :: jobs < JOBS && jobs % 2 == 1 -> on_cpu(START); jobs++; assert(carried_out == jobs)
    :: jobs == JOBS -> break
    od;
    over = true
}

/* Somebody else rings the service's bell, or CPU 0's. */
active proctype stranger()
{
    if
    :: bell[1] = true
    :: bell[0] = true
    fi;
    strangers = 0
}

/* CPU 1: its kernel is one at a time, whoever runs there. */
active proctype cpu1()
{
    byte arg;

end:
    do
    /* schedule(): takes the thread from the queue and puts it back at the end of its slice */
    :: queued ->
        assert(!changing);
        changing = true;
        queued = false;
        assert(ready); /* nobody took it away meanwhile */
        queued = true;
        assert(changing);
        changing = false
    /* root_service() */
    :: atomic { bell[1] -> bell[1] = false };
        if
#ifndef KNOCK_MINE
        :: job_cpu == 1 ->
#else
        :: true ->
#endif
#ifndef KNOCK_TAKEN
            job_cpu = 0;
#endif
            arg = job_arg;
            carry_out(1, arg);
#ifdef KNOCK_RESULT
            job_done = true;
            job_result = arg;
#else
            job_result = arg;
            job_done = true;
#endif
            arg = 0;
#ifndef KNOCK_ANSWER
            bell[0] = true
#endif
#ifndef KNOCK_MINE
        :: else -> skip
#endif
        fi
    od
}
