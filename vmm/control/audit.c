/*
 * Audit records of root, one JSON object a line. May call: link.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bhctl.h"

#define FOLLOW_MS 500u

struct reading {
    bool json;
    unsigned count;
    uint64_t next;
};

/* A record holds no quotes or brackets but its own, and ends with its number and its time. */
static bool record_part(void *ctx, const uint8_t *payload, uint32_t bytes)
{
    struct reading *r = ctx;
    char text[BH_WIRE_PAYLOAD_BYTES + 1u];
    const char *number;

    memcpy(text, payload, bytes);
    text[bytes] = '\0';
    for (uint32_t i = 0; i < bytes; i++)
        if (text[i] < ' ' || text[i] > '~') return false;
    number = strstr(text, "\"seq\": ");
    if (text[0] != '{' || number == NULL) return false;
    r->next = strtoull(number + strlen("\"seq\": "), NULL, 10) + 1u;
    if (r->json) printf("%s\n  ", r->count++ ? "," : "");
    printf(r->json ? "%s" : "%s\n", text);
    return true;
}

void verb_audit(const struct options *o, int argc, char **argv)
{
    struct reading r = {o->json, 0, o->from};

    (void)argc;
    (void)argv;
    if (o->json && o->follow)
        die(EXIT_USAGE, "--json and --follow do not go together; records "
                        "are JSON in any case, one a line");
    link_open(o);
    if (o->json) printf("[");
    do {
        uint64_t from = r.next;

        link_ask(BH_WIRE_AUDIT, NULL, &from, sizeof(from), record_part, &r);
        if (o->follow) (void)usleep(FOLLOW_MS * 1000u);
    } while (o->follow && fflush(stdout) == 0);
    if (o->json) printf("\n]");
}
