/*
 * The words for what somebody may ask root for: in the manifest, in refusals, in what bhctl prints.
 * Same source in root, the host tool and bhctl. Calls nothing.
 */
#include "manifest.h"

const struct manifest_may_word manifest_may_words[] = {
    {"watch", MANIFEST_MAY_WATCH},       {"screen", MANIFEST_MAY_SCREENSHOT},
    {"input", MANIFEST_MAY_TYPE},        {"life", MANIFEST_MAY_LIFE},
    {"store", MANIFEST_MAY_STORE},       {"list", MANIFEST_MAY_LIST},
    {"status", MANIFEST_MAY_STATUS},     {"audit", MANIFEST_MAY_AUDIT},
    {"manifest", MANIFEST_MAY_MANIFEST}, {"screenshot", MANIFEST_MAY_SCREENSHOT},
    {"type", MANIFEST_MAY_TYPE},         {"start", MANIFEST_MAY_START},
    {"stop", MANIFEST_MAY_STOP},         {"kill", MANIFEST_MAY_KILL},
    {"restart", MANIFEST_MAY_RESTART},   {"pause", MANIFEST_MAY_PAUSE},
    {"resume", MANIFEST_MAY_RESUME},     {"shutdown", MANIFEST_MAY_SHUTDOWN},
    {"save", MANIFEST_MAY_SAVE},         {"restore", MANIFEST_MAY_RESTORE},
    {"console", MANIFEST_MAY_CONSOLE},   {NULL, 0},
};
