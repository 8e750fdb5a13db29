/* bhctl: the command line; see bhctl.h. Finds the verb, says how it is used. */
#include "bhctl.h"
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELAY_MS 20u

/* With --json all that goes to stdout is kept until it is known how it ends. */
static FILE *real_stdout;
static char *kept;
static size_t kept_bytes;
static const char *verb_name = "";

static void keep_output(void)
{
    real_stdout = stdout;
    stdout = open_memstream(&kept, &kept_bytes);
    if (stdout == NULL) abort();
}

static void let_output_go(void)
{
    fclose(stdout);
    stdout = real_stdout;
    real_stdout = NULL;
}

static const char *const exit_words[] = {
    [EXIT_DONE] = "done",         [EXIT_REFUSED] = "refused",     [EXIT_USAGE] = "usage",
    [EXIT_NO_LINK] = "no-system", [EXIT_BAD_LINK] = "bad-answer", [EXIT_FORBIDDEN] = "forbidden",
};

static __attribute__((noreturn, format(printf, 4, 0))) void
end_badly(int status, const char *word, const char *rule, const char *format, va_list args)
{
    char text[1024];

    (void)vsnprintf(text, sizeof(text), format, args);
    if (real_stdout) {
        let_output_go();
        printf("{\"verb\": \"%s\", \"error\": {\"status\": \"%s\", \"text\": ", verb_name, word);
        json_string(text);
        if (rule) {
            printf(", \"rule\": ");
            json_string(rule);
        }
        puts("}}");
    }
    fflush(stdout);
    fprintf(stderr, "bhctl: %s\n", text);
    exit(status);
}

void die_of(int status, const char *word, const char *rule, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    end_badly(status, word, rule, format, args);
}

void die(int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    end_badly(status, exit_words[status], NULL, format, args);
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

static const struct verb *find_verb(const char *name)
{
    for (const struct verb *v = verbs; v->name != NULL; v++)
        if (strcmp(v->name, name) == 0) return v;
    die(EXIT_USAGE, "%s: no such verb; see bhctl --help", name);
}

/* A number of @unit thousandths; what is beyond the most that makes sense is refused. */
static uint64_t thousandths(const char *option, const char *text, double most)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= 0 && value <= most))
        die(EXIT_USAGE, "--%s=%s: want a number from 0 to %.0f", option, text, most);
    return (uint64_t)(value * 1000.0);
}

static uint64_t whole(const char *option, const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (end == text || *end != '\0' || text[0] == '-')
        die(EXIT_USAGE, "--%s=%s: want a whole number", option, text);
    return value;
}

enum { OPT_MAN = 256, OPT_COMPLETION };

/* @return the option that ends bhctl at once, 0: none */
static int take_options(struct options *o, int argc, char **argv, const char *how)
{
    static const struct option long_options[] = {
        {"socket", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"delay", required_argument, NULL, 'd'},
        {"timeout", required_argument, NULL, 't'},
        {"interval", required_argument, NULL, 'i'},
        {"count", required_argument, NULL, 'c'},
        {"from", required_argument, NULL, 'f'},
        {"follow", no_argument, NULL, 'F'},
        {"help", no_argument, NULL, 'h'},
        {"man", no_argument, NULL, OPT_MAN},
        {"completion", no_argument, NULL, OPT_COMPLETION},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, how, long_options, NULL)) != -1) {
        switch (option) {
        case 's': o->socket = optarg; break;
        case 'j': o->json = true; break;
        case 'd': o->delay_ms = (unsigned)(thousandths("delay", optarg, 60000) / 1000u); break;
        case 't':
            o->timeout_ms = thousandths("timeout", optarg, 3600);
            if (o->timeout_ms == 0) o->timeout_ms = 1; /* 0 is the manifest's */
            break;
        case 'i': o->interval_ms = thousandths("interval", optarg, 3600); break;
        case 'c': o->count = whole("count", optarg); break;
        case 'f': o->from = whole("from", optarg); break;
        case 'F': o->follow = true; break;
        case 'h':
        case OPT_MAN:
        case OPT_COMPLETION: return option;
        default: /* getopt has said what is wrong */
            if (o->json && !real_stdout) keep_output();
            die(EXIT_USAGE, "%s: not an option, or not used like this; see bhctl --help",
                argv[optind - 1]);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = {
        .socket = getenv("BHCTL_SOCKET"), .delay_ms = DELAY_MS, .interval_ms = 1000};
    const struct verb *v;
    int asked = take_options(&o, argc, argv, "+h");

    if (asked == OPT_MAN) help_man();
    if (asked == OPT_COMPLETION) help_completion();
    if (asked == 'h') help_all();
    if (asked != 0) return EXIT_DONE;
    argc -= optind;
    argv += optind;
    if (o.json) keep_output();
    if (argc == 0) die(EXIT_USAGE, "which verb? see bhctl --help");
    v = find_verb(argv[0]);
    verb_name = v->name;
    /* Words behind the verb may be options, unless they are to be typed. */
    optind = 0;
    if (take_options(&o, v->max_args > 2 && argc > 2 ? 2 : argc, argv, "h") == 'h') {
        if (real_stdout) let_output_go();
        help_verb(v);
        return EXIT_DONE;
    }
    if (o.json && !real_stdout) keep_output();
    if (v->max_args <= 2) {
        argc -= optind;
        argv += optind;
    } else {
        argc--;
        argv++;
    }
    if (argc < v->min_args || argc > v->max_args)
        die(EXIT_USAGE, "usage: bhctl %s %s", v->name, v->arguments);
    v->run(&o, argc, argv);
    if (o.json) {
        let_output_go();
        printf("{\"verb\": \"%s\", \"result\": %s}\n", v->name, kept_bytes ? kept : "null");
        free(kept);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) die(EXIT_REFUSED, "standard output: cannot write");
    return EXIT_DONE;
}
