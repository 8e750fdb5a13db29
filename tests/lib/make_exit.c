/*
 * A loadable object for GNU make that adds one function, $(exit STATUS): end make with that status.
 * `make run` uses it, because make itself reports every failed recipe as 2 and the exit status of a
 * run is the guest's. Host side only. Interface: GNU make manual, 12.2 "Loading Dynamic Objects".
 */
#include <stdio.h>
#include <stdlib.h>

typedef char *(*gmk_func)(const char *name, unsigned argc, char **argv);
void gmk_add_function(const char *name, gmk_func func, unsigned min_args, unsigned max_args,
                      unsigned flags);
int make_exit_gmk_setup(void);

/* make refuses objects that do not declare themselves compatible with its licence; Apache-2.0 is.
 */
int plugin_is_GPL_compatible = 1;

static char *end_make(const char *name, unsigned argc, char **argv)
{
    (void)name;
    (void)argc;
    const int status = atoi(argv[0]);
    if (status != 0) {
        fflush(NULL);
        exit(status);
    }
    return NULL;
}

/** Called by make when it loads the object; 1 is success. */
int make_exit_gmk_setup(void)
{
    gmk_add_function("exit", end_make, 1, 1, 0);
    return 1;
}
