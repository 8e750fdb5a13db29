/* bhctl: the command line; see bhctl.h. Finds the verb, says how it is used. */
#include "bhctl.h"
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELAY_MS 20u

void die(int status, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fputs("bhctl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(status);
}

void json_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20 || c > 0x7e)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void usage(void)
{
    puts("usage: bhctl [--socket=PATH] [--json] VERB [ARGUMENT...]\n"
         "Asks a running Bulkhead system. Verbs:");
    for (const struct verb *v = verbs; v->name != NULL; v++)
        printf("  %s%s%s\n      %s\n", v->name, v->arguments[0] ? " " : "", v->arguments, v->help);
    puts("Options:\n"
         "  --socket=PATH  control.sock of the run's directory; default: $BHCTL_SOCKET, else the\n"
         "                 latest of build/run/*/ that is alive\n"
         "  --json         answers as JSON, errors as text on stderr\n"
         "  --delay=MS     type: pause after each key, default 20\n"
         "Exit status: 0 done; 1 refused (the reason is on stderr); 2 wrong usage;\n"
         "             3 no system to talk to; 4 no answer, or nonsense");
    puts("Text of `type` is typed as on a US keyboard; between < and > stand, joined by '-',");
    keys_help();
}

static const struct verb *find_verb(const char *name)
{
    for (const struct verb *v = verbs; v->name != NULL; v++)
        if (strcmp(v->name, name) == 0) return v;
    die(EXIT_USAGE, "%s: no such verb; see bhctl --help", name);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"socket", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"delay", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {getenv("BHCTL_SOCKET"), false, DELAY_MS};
    const struct verb *v;
    int option;

    while ((option = getopt_long(argc, argv, "+h", long_options, NULL)) != -1) {
        switch (option) {
        case 's': o.socket = optarg; break;
        case 'j': o.json = true; break;
        case 'd': {
            char *end;
            unsigned long ms = strtoul(optarg, &end, 10);

            if (*end != '\0' || end == optarg || ms > 60000u)
                die(EXIT_USAGE, "--delay=%s: want milliseconds, at most 60000", optarg);
            o.delay_ms = (unsigned)ms;
            break;
        }
        case 'h': usage(); return EXIT_DONE;
        default: return EXIT_USAGE; /* getopt has said why */
        }
    }
    argc -= optind;
    argv += optind;
    if (argc == 0) die(EXIT_USAGE, "which verb? see bhctl --help");
    v = find_verb(argv[0]);
    if (argc - 1 < v->min_args || argc - 1 > v->max_args)
        die(EXIT_USAGE, "usage: bhctl %s %s", v->name, v->arguments);
    v->run(&o, argc - 1, argv + 1);
    if (fflush(stdout) != 0 || ferror(stdout)) die(EXIT_REFUSED, "standard output: cannot write");
    return EXIT_DONE;
}
