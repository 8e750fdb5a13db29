/*
 * Runs a fuzz target over files without libFuzzer: for coverage builds and debuggers. Each input
 * runs in a process of its own, so that variables need not be put back. usage: replay FILE...
 */
#include <sys/wait.h>
#include <unistd.h>
#include "input.h"

static int run_one(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data;
    long size;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0) {
        perror(path);
        return 2;
    }
    rewind(f);
    data = malloc((size_t)size + (size == 0 ? 1u : 0u));
    if (data == NULL || fread(data, 1, (size_t)size, f) != (size_t)size) {
        perror(path);
        return 2;
    }
    fclose(f);
    (void)LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        pid_t child = fork();
        int status;

        if (child == 0) exit(run_one(argv[i]));
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            fprintf(stderr, "%s: did not end well\n", argv[i]);
            return 1;
        }
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
