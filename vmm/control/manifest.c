/*
 * The running system's manifest: from the blob back to its source, or to JSON. The blob is checked
 * by libfdt before it is looked at. May call: link.c, libfdt.
 */
#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include "bhctl.h"

#define BLOB_MAX  0x100000u
#define DEPTH_MAX 8 /* deeper than any manifest that root takes */

struct blob {
    uint8_t *bytes;
    size_t used;
};

static bool blob_part(void *ctx, const uint8_t *payload, uint32_t bytes)
{
    struct blob *b = ctx;

    if (bytes > BLOB_MAX - b->used) return false;
    memcpy(b->bytes + b->used, payload, bytes);
    b->used += bytes;
    return true;
}

/* Texts: printable, each with its NUL, none empty but the only one. */
static bool is_texts(const char *value, int length)
{
    if (length < 1 || value[length - 1] != '\0') return false;
    for (int i = 0; i < length; i++)
        if (value[i] == '\0' ? i == 0 && length > 1 : value[i] < ' ' || value[i] > '~')
            return false;
    return true;
}

static void print_texts(bool json, const char *value, int length)
{
    bool several = value + strlen(value) + 1 < value + length;

    if (json && several) printf("[");
    for (const char *text = value; text < value + length; text += strlen(text) + 1) {
        if (text != value) printf(", ");
        json_string(text); /* dtc reads the same escapes of what is printable */
    }
    if (json && several) printf("]");
}

static void print_numbers(bool json, const uint8_t *value, int length)
{
    bool several = length > 4;

    printf("%s", json ? several ? "[" : "" : "<");
    for (int i = 0; i + 4 <= length; i += 4)
        printf("%s%u", i ? json ? ", " : " " : "",
               (uint32_t)value[i] << 24 | (uint32_t)value[i + 1] << 16 |
                   (uint32_t)value[i + 2] << 8 | value[i + 3]);
    printf("%s", json ? several ? "]" : "" : ">");
}

static void indent(unsigned depth)
{
    for (unsigned i = 0; i < depth; i++) printf("    ");
}

static void print_property(bool json, const char *name, const void *value, int length)
{
    if (json) {
        json_string(name);
        printf(": ");
    } else {
        printf(length ? "%s = " : "%s", name);
    }
    if (length == 0)
        printf(json ? "true" : "");
    else if (is_texts(value, length))
        print_texts(json, value, length);
    else
        print_numbers(json, value, length);
}

static void print_node(bool json, const void *blob, int node, unsigned depth)
{
    int property, child;
    const char *between = "";

    printf("{\n");
    fdt_for_each_property_offset(property, blob, node)
    {
        const char *name;
        int length;
        const void *value = fdt_getprop_by_offset(blob, property, &name, &length);

        if (value == NULL) continue;
        printf("%s", json ? between : "");
        indent(depth + 1u);
        print_property(json, name, value, length);
        printf(json ? "" : ";\n");
        between = ",\n";
    }
    fdt_for_each_subnode(child, blob, node)
    {
        const char *name = fdt_get_name(blob, child, NULL);

        printf("%s", json ? between : "");
        indent(depth + 1u);
        if (json) {
            json_string(name ? name : "");
            printf(": ");
        } else {
            printf("%s ", name ? name : "");
        }
        print_node(json, blob, child, depth + 1u);
        printf(json ? "" : ";\n");
        between = ",\n";
    }
    if (json) printf("\n");
    indent(depth);
    printf("}");
}

static bool name_fits(const char *name) { return name && text_ends(name, strlen(name) + 1u); }

/* Names are printed as they are, and nodes in nodes. */
static bool blob_fits(const void *blob)
{
    int depth = 0, property;

    for (int node = 0; node >= 0 && depth >= 0; node = fdt_next_node(blob, node, &depth)) {
        if (depth > DEPTH_MAX || !name_fits(fdt_get_name(blob, node, NULL))) return false;
        fdt_for_each_property_offset(property, blob, node)
        {
            const char *name;

            if (fdt_getprop_by_offset(blob, property, &name, NULL) && !name_fits(name))
                return false;
        }
    }
    return true;
}

void verb_manifest(const struct options *o, int argc, char **argv)
{
    static _Alignas(8) uint8_t bytes[BLOB_MAX];
    struct blob b = {bytes, 0};

    (void)argc;
    (void)argv;
    link_open(o);
    link_ask(BH_WIRE_MANIFEST, NULL, NULL, 0, blob_part, &b);
    if (fdt_check_full(b.bytes, b.used) != 0 || !blob_fits(b.bytes))
        die(EXIT_BAD_LINK, "the running system's manifest makes no sense");
    if (!o->json) printf("/dts-v1/;\n\n/ ");
    print_node(o->json, b.bytes, 0, 0);
    printf(o->json ? "" : ";\n");
}
