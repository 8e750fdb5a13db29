/* Who may ask for what; see rights.h. */
#include "rights.h"

struct subject rights_host(uint32_t host_may)
{
    struct subject s = {.name = "host", .rule = "host-may", .system = host_may};

    for (unsigned i = 0; i < VMS_MAX; i++) s.of[i] = host_may;
    return s;
}

struct subject rights_guest(const struct manifest_vm *config)
{
    struct subject s = {.name = config->name, .rule = "may", .system = config->may_system};

    for (unsigned i = 0; i < VMS_MAX; i++) s.of[i] = config->may[i];
    return s;
}

const char *rights_refuse(const struct subject *s, uint32_t right, const struct vm *vm)
{
    return (vm ? s->of[vm->number] : s->system) & right ? NULL : s->rule;
}

const char *rights_refuse_all(const struct subject *s, uint32_t right)
{
    for (unsigned i = 0; i < VMS_MAX; i++)
        if (s->of[i] & right) return NULL;
    return s->rule;
}

/* The last one: those for single verbs are behind those for groups. */
const char *rights_word(uint32_t right)
{
    const char *word = "nothing";

    for (const struct manifest_may_word *w = manifest_may_words; w->word; w++)
        if (w->bits == right) word = w->word;
    return word;
}
