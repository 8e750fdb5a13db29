/* Who may ask for what; see rights.h. */
#include "rights.h"

const char *rights_refuse(const struct subject *s, uint32_t right, const struct vm *vm)
{
    return s->may & right ? NULL : s->rule;
}

const char *rights_word(uint32_t right)
{
    switch (right) {
    case MANIFEST_MAY_WATCH: return "watch";
    case MANIFEST_MAY_SCREEN: return "screen";
    case MANIFEST_MAY_INPUT: return "input";
    case MANIFEST_MAY_LIFE: return "life";
    case MANIFEST_MAY_STORE: return "store";
    default: return "nothing";
    }
}
