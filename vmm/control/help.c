/*
 * How bhctl is used, from its table of verbs: on the terminal, as a man page, for bash's
 * completion. May call: nothing.
 */
#include <stdio.h>
#include <string.h>
#include "bhctl.h"

static const struct {
    const char *option, *help;
} options[] = {
    {"--socket=PATH",
     "control.sock of the run's directory; default: $BHCTL_SOCKET, else the latest "
     "of build/run/*/ that is alive"},
    {"--json", "one JSON object on stdout: verb, and result or error (status, text, rule)"},
    {"--help", "this; after a verb: about the verb"},
};

static const struct {
    int status;
    const char *help;
} statuses[] = {
    {EXIT_DONE, "done"},
    {EXIT_REFUSED, "refused, or failed: the reason is on stderr"},
    {EXIT_USAGE, "wrong usage"},
    {EXIT_NO_LINK, "no system to talk to"},
    {EXIT_BAD_LINK, "no answer, or nonsense"},
    {EXIT_FORBIDDEN, "forbidden by the manifest, by the rule that is named"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

void help_all(void)
{
    puts("usage: bhctl [OPTION...] VERB [ARGUMENT...]\n"
         "Asks and steers a running Bulkhead system. Verbs:");
    for (const struct verb *v = verbs; v->name != NULL; v++)
        printf("  %-10s %-11s %s\n", v->name, v->arguments, v->help);
    puts("Options:");
    for (size_t i = 0; i < COUNT(options); i++)
        printf("  %-14s %s\n", options[i].option, options[i].help);
    puts("Exit status:");
    for (size_t i = 0; i < COUNT(statuses); i++)
        printf("  %d  %s\n", statuses[i].status, statuses[i].help);
    puts("'bhctl VERB --help' says more about a verb, with examples.");
}

void help_verb(const struct verb *v)
{
    printf("usage: bhctl %s%s%s%s%s%s\n%s\n%s", v->options[0] ? "[" : "", v->options,
           v->options[0] ? "] " : "", v->name, v->arguments[0] ? " " : "", v->arguments, v->help,
           v->details);
    if (strcmp(v->name, "type") == 0) keys_help();
    printf("With --json, \"result\" is: %s\nExamples:\n%s", v->result, v->examples);
}

/* In troff a backslash, and a dot or quote at the beginning of a line, are commands. */
static void man_text(const char *text)
{
    for (bool first = true; *text != '\0'; text++) {
        if (first && (*text == '.' || *text == '\'')) fputs("\\&", stdout);
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else
            putchar(*text);
        first = *text == '\n';
    }
}

void help_man(void)
{
    puts(".TH BHCTL 1 \"\" Bulkhead \"User Commands\"\n.SH NAME\nbhctl \\- ask and steer a running "
         "Bulkhead system\n.SH SYNOPSIS\n.B bhctl\n[\\fIOPTION\\fR...] \\fIVERB\\fR "
         "[\\fIARGUMENT\\fR...]\n.SH VERBS");
    for (const struct verb *v = verbs; v->name != NULL; v++) {
        printf(".TP\n");
        if (v->options[0] != '\0') {
            printf("[");
            man_text(v->options);
            printf("] ");
        }
        printf("\\fB%s\\fR ", v->name);
        man_text(v->arguments);
        printf("\n");
        man_text(v->help);
        printf(".\n");
        man_text(v->details);
        if (strcmp(v->name, "type") == 0) printf("Keys: bhctl type \\-\\-help.\n");
        printf("JSON result: ");
        man_text(v->result);
        printf(".\n.nf\n");
        man_text(v->examples);
        printf(".fi\n");
    }
    puts(".SH OPTIONS");
    for (size_t i = 0; i < COUNT(options); i++) {
        printf(".TP\n");
        man_text(options[i].option);
        printf("\n");
        man_text(options[i].help);
        printf("\n");
    }
    puts(".SH EXIT STATUS");
    for (size_t i = 0; i < COUNT(statuses); i++) {
        printf(".TP\n%d\n", statuses[i].status);
        man_text(statuses[i].help);
        printf("\n");
    }
}

void help_completion(void)
{
    puts("# bash completion of bhctl: . <(bhctl --completion)\n"
         "_bhctl() {\n"
         "    local word=${COMP_WORDS[COMP_CWORD]} verb= i\n"
         "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "        [[ ${COMP_WORDS[i]} == -* ]] || { verb=${COMP_WORDS[i]}; break; }\n"
         "    done\n"
         "    case $verb in");
    printf("    '') COMPREPLY=($(compgen -W '--socket= --json --help");
    for (const struct verb *v = verbs; v->name != NULL; v++) printf(" %s", v->name);
    puts("' -- \"$word\")) ;;");
    for (const struct verb *v = verbs; v->name != NULL; v++) {
        if (strncmp(v->arguments, "VM", 2) != 0) continue;
        printf("    %s) COMPREPLY=($(compgen -W \"--help %s $(\"${COMP_WORDS[0]}\" list "
               "2>/dev/null |\n"
               "        tail -n +2 | cut -d' ' -f1)\" -- \"$word\")) ;;\n",
               v->name, v->options);
    }
    puts("    esac\n"
         "}\n"
         "complete -o default -F _bhctl bhctl");
}
