/*
 * From a device tree blob to the frozen struct: well-formedness, then each node and each property
 * against a schema table; what no table names is an error.
 * May call: libfdt (reading only), the report and rule files beside it, memset. Never allocates,
 * never writes to the blob, never follows a phandle.
 */
#include "manifest.h"
#include "report.h"
#include "rules.h"

#include <libfdt.h>
#include <string.h>

enum prop_type {
    PROP_FLAG,   /* empty; output 1 */
    PROP_CELL,   /* one 32-bit cell within min..max */
    PROP_CPUS,   /* numbers of CPUs, each once; output a uint64_t with a bit for each */
    PROP_CHOICE, /* a word of choices[]; output its index */
    PROP_TEXT,   /* printable ASCII, min..max characters */
    PROP_NAMES,  /* texts, one behind the other; output a struct manifest_list */
    PROP_WORDS,  /* words of manifest_may_words[]; output their bits */
    PROP_IMAGE,  /* PROP_TEXT that is also a plain file name */
    PROP_FORMAT, /* the compatible string; no output */
};

struct prop {
    const char *name;
    enum prop_type type;
    bool required;
    enum manifest_rule_id rule; /* named when the value is out of range */
    uint32_t min;
    uint32_t max;
    uint32_t fallback; /* output when absent; texts: NULL */
    size_t offset;     /* of the uint32_t, const char * or other output in the output struct */
    const char *unit;
    const char *const *choices; /* ends with NULL */
};

static const char *const cpu_model_words[] = {"host", "x86-64-v2", "x86-64-v3", NULL};
static const char *const colour_words[] = {"none",    "red",  "green", "yellow", "blue",
                                           "magenta", "cyan", "white", NULL};
static const char *const protocol_words[] = {"detect",    "linux",      "pvh",
                                             "multiboot", "multiboot2", NULL};
static const char *const on_stop_words[] = {"none", "end-system", NULL};
static const char *const console_words[] = {"serial", "none", NULL};
static const char *const network_words[] = {"none", "loopback", NULL};
static const char *const display_words[] = {"none", "vga", NULL};
static const char *const log_words[] = {"com1", "com2", NULL};
static const char *const firmware_words[] = {"none", "seabios", "ovmf", NULL};
static const char *const bus_words[] = {"virtio", "ahci", NULL};

static const char *const start_words[] = {"boot", "manual", NULL};
static const char *const restart_words[] = {"never", "always", "limited", NULL};

#define NOT_GIVEN UINT32_MAX /* order.c fills it in */

#define VM(member)   offsetof(struct manifest_vm, member)
#define DISK(member) offsetof(struct manifest_disk, member)
#define WIRE(member) offsetof(struct manifest_wire, member)
#define SYS(member)  offsetof(struct manifest, member)

static const struct prop root_props[] = {
    {"compatible", PROP_FORMAT, true, RULE_FORMAT_VERSION, 0, 0, 0, 0, "", NULL},
};

static const struct prop system_props[] = {
    {"log", PROP_CHOICE, false, RULE_PROPERTY_CHOICE, 0, 0, MANIFEST_LOG_COM1, SYS(log), "",
     log_words},
    {"host-may", PROP_WORDS, false, RULE_PROPERTY_CHOICE, 0, 0, MANIFEST_MAY_ALL, SYS(host_may), "",
     NULL},
    {"end-when-idle", PROP_FLAG, false, RULE_PROPERTY_TYPE, 0, 0, 0, SYS(end_when_idle), "", NULL},
    {"policy-vm", PROP_TEXT, false, RULE_POLICY_VM_KNOWN, 1, MANIFEST_MAX_NAME, 0, SYS(policy_name),
     "", NULL},
};

static const struct prop vm_props[] = {
    {"label", PROP_TEXT, false, RULE_LABEL_TEXT, 1, MANIFEST_MAX_LABEL, 0, VM(label), "", NULL},
    {"colour", PROP_CHOICE, false, RULE_PROPERTY_CHOICE, 0, 0, MANIFEST_COLOUR_NONE, VM(colour), "",
     colour_words},
    {"memory-mib", PROP_CELL, true, RULE_MEMORY_RANGE, 1, 1u << 20, 0, VM(memory_mib), " MiB",
     NULL},
    {"cpus", PROP_CELL, false, RULE_CPUS_RANGE, 1, MANIFEST_MAX_VCPUS, 1, VM(cpus), " vCPUs", NULL},
    {"cpu", PROP_CELL, false, RULE_CPU_EXISTS, 0, MANIFEST_MAX_CPUS - 1u, MANIFEST_CPU_ANY, VM(cpu),
     "", NULL},
    {"cpu-set", PROP_CPUS, false, RULE_CPU_EXISTS, 0, MANIFEST_MAX_CPUS - 1u, 0, VM(cpu_set), "",
     NULL},
    {"cpu-model", PROP_CHOICE, false, RULE_PROPERTY_CHOICE, 0, 0, MANIFEST_CPU_HOST, VM(cpu_model),
     "", cpu_model_words},
    {"kernel", PROP_IMAGE, false, RULE_IMAGE_NAME, 1, MANIFEST_MAX_IMAGE_NAME, 0, VM(kernel), "",
     NULL},
    {"initrd", PROP_IMAGE, false, RULE_IMAGE_NAME, 1, MANIFEST_MAX_IMAGE_NAME, 0, VM(initrd), "",
     NULL},
    {"append", PROP_TEXT, false, RULE_APPEND_TEXT, 0, MANIFEST_MAX_APPEND, 0, VM(append), "", NULL},
    {"protocol", PROP_CHOICE, false, RULE_PROPERTY_CHOICE, 0, 0, MANIFEST_PROTOCOL_DETECT,
     VM(protocol), "", protocol_words},
    {"console", PROP_CHOICE, false, RULE_PROPERTY_CHOICE, 0, 0, MANIFEST_CONSOLE_SERIAL,
     VM(console), "", console_words},
    {"network", PROP_CHOICE, false, RULE_PROPERTY_CHOICE, 0, 0, MANIFEST_NETWORK_NONE, VM(network),
     "", network_words},
    {"balloon-mib", PROP_CELL, false, RULE_BALLOON_BELOW_MEMORY, 0, 1u << 20, 0, VM(balloon_mib),
     " MiB", NULL},
    {"balloon-min-mib", PROP_CELL, false, RULE_BALLOON_MIN, 2, 1u << 20, 0, VM(balloon_min_mib),
     " MiB", NULL},
    {"display", PROP_CHOICE, false, RULE_PROPERTY_CHOICE, 0, 0, MANIFEST_DISPLAY_DEFAULT,
     VM(display), "", display_words},
    {"firmware", PROP_CHOICE, false, RULE_PROPERTY_CHOICE, 0, 0, MANIFEST_FIRMWARE_NONE,
     VM(firmware), "", firmware_words},
    {"firmware-log", PROP_FLAG, false, RULE_PROPERTY_TYPE, 0, 0, 0, VM(firmware_log), "", NULL},
    {"debug-exit", PROP_FLAG, false, RULE_PROPERTY_TYPE, 0, 0, 0, VM(debug_exit), "", NULL},
    {"floor-percent", PROP_CELL, false, RULE_SHARE_RANGE, 0, 100, 0, VM(floor_percent), " %", NULL},
    {"ceiling-percent", PROP_CELL, false, RULE_SHARE_RANGE, 1, 100, 100, VM(ceiling_percent), " %",
     NULL},
    {"weight", PROP_CELL, false, RULE_SHARE_RANGE, 1, 1000, 100, VM(weight), "", NULL},
    {"save-mib", PROP_CELL, false, RULE_SAVE_RANGE, 1, 1u << 20, 0, VM(save_mib), " MiB", NULL},
    {"on-stop", PROP_CHOICE, false, RULE_PROPERTY_CHOICE, 0, 0, MANIFEST_ON_STOP_NONE, VM(on_stop),
     "", on_stop_words},
    {"watchdog", PROP_FLAG, false, RULE_PROPERTY_TYPE, 0, 0, 0, VM(watchdog), "", NULL},
    {"start", PROP_CHOICE, false, RULE_PROPERTY_CHOICE, 0, 0, MANIFEST_START_BOOT, VM(start), "",
     start_words},
    {"after", PROP_NAMES, false, RULE_AFTER_KNOWN, 0, 0, 0, VM(after_names), "", NULL},
    {"may", PROP_NAMES, false, RULE_MAY_WORDS, 0, 0, 0, VM(may_texts), "", NULL},
    {"restart", PROP_CHOICE, false, RULE_PROPERTY_CHOICE, 0, 0, MANIFEST_RESTART_NEVER, VM(restart),
     "", restart_words},
    {"restart-count", PROP_CELL, false, RULE_RESTART_RANGE, 1, MANIFEST_MAX_RESTARTS, NOT_GIVEN,
     VM(restart_count), "", NULL},
    {"restart-wait-ms", PROP_CELL, false, RULE_RESTART_RANGE, 0, MANIFEST_MAX_WAIT_MS, NOT_GIVEN,
     VM(restart_wait_ms), " ms", NULL},
    {"stop-wait-s", PROP_CELL, false, RULE_STOP_RANGE, 1, MANIFEST_MAX_STOP_S, 30, VM(stop_wait_s),
     " s", NULL},
};

static const struct prop disk_props[] = {
    {"image", PROP_IMAGE, false, RULE_IMAGE_NAME, 1, MANIFEST_MAX_IMAGE_NAME, 0, DISK(image), "",
     NULL},
    {"size-mib", PROP_CELL, false, RULE_DISK_RANGE, 1, MANIFEST_MAX_DISK_MIB, 0, DISK(size_mib),
     " MiB", NULL},
    {"overlay-mib", PROP_CELL, false, RULE_DISK_RANGE, 1, MANIFEST_MAX_DISK_MIB, 0,
     DISK(overlay_mib), " MiB", NULL},
    {"bus", PROP_CHOICE, false, RULE_PROPERTY_CHOICE, 0, 0, MANIFEST_BUS_VIRTIO, DISK(bus), "",
     bus_words},
    {"cdrom", PROP_FLAG, false, RULE_PROPERTY_TYPE, 0, 0, 0, DISK(cdrom), "", NULL},
    {"read-only", PROP_FLAG, false, RULE_PROPERTY_TYPE, 0, 0, 0, DISK(read_only), "", NULL},
};

static const struct prop wire_props[] = {
    {"ends", PROP_NAMES, true, RULE_WIRE_TWO_ENDS, 0, 0, 0, WIRE(ends), "", NULL},
    {"around-policy", PROP_FLAG, false, RULE_PROPERTY_TYPE, 0, 0, 0, WIRE(around_policy), "", NULL},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
_Static_assert(COUNT(vm_props) <= 64, "one bit of a mask per property");

/* The node being parsed: where it is for errors, and which of its properties were seen. */
struct node {
    const void *blob;
    int offset;
    const char *parent;
    const char *name;
    const struct prop *props;
    size_t prop_count;
    void *out;
    uint64_t seen;
};

static void begin(struct report *r, const struct node *n, const char *property)
{
    report_begin(r, n->parent, n->name, property);
}

static void set_cell(const struct node *n, const struct prop *p, uint32_t value)
{
    memcpy((char *)n->out + p->offset, &value, sizeof(value));
}

static void set_text(const struct node *n, const struct prop *p, const char *value)
{
    memcpy((char *)n->out + p->offset, &value, sizeof(value));
}

/* A property that is one NUL-terminated string and nothing behind it. */
static bool is_string(const char *value, int length)
{
    return length > 0 && memchr(value, '\0', (size_t)length) == value + length - 1;
}

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text > 0x7e) {
            return false;
        }
    }
    return true;
}

static bool is_name_char(char c, const char *others)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr(others, c) != NULL;
}

static bool is_file_name(const char *text)
{
    if (text[0] == '.' || text[0] == '-') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (!is_name_char(*text, "._+-") && !(*text >= 'A' && *text <= 'Z')) {
            return false;
        }
    }
    return true;
}

static bool is_node_name(const char *text, size_t max)
{
    if (text[0] < 'a' || text[0] > 'z' || strlen(text) > max) {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (!is_name_char(*text, "-")) {
            return false;
        }
    }
    return true;
}

static void type_error(struct report *r, const struct node *n, const struct prop *p,
                       const char *wanted)
{
    begin(r, n, p->name);
    report_text(r, "has the wrong type or size; write ");
    report_text(r, wanted);
    report_end(r, RULE_PROPERTY_TYPE);
}

static void parse_flag(struct report *r, const struct node *n, const struct prop *p, int length)
{
    if (length != 0) {
        type_error(r, n, p, "the name alone, without a value");
        return;
    }
    set_cell(n, p, 1);
}

/* @return false: reported */
static bool read_cell(struct report *r, const struct node *n, const struct prop *p,
                      const uint8_t *value, uint32_t *out)
{
    const uint32_t cell = (uint32_t)value[0] << 24 | (uint32_t)value[1] << 16 |
                          (uint32_t)value[2] << 8 | (uint32_t)value[3];
    *out = cell;
    if (cell < p->min || cell > p->max) {
        begin(r, n, p->name);
        report_number(r, cell);
        report_text(r, p->unit);
        report_text(r, " is out of range; give ");
        report_number(r, p->min);
        report_text(r, " to ");
        report_number(r, p->max);
        report_text(r, p->unit);
        report_end(r, p->rule);
        return false;
    }
    return true;
}

static void parse_cell(struct report *r, const struct node *n, const struct prop *p,
                       const uint8_t *value, int length)
{
    uint32_t cell;
    if (length != 4) {
        type_error(r, n, p, "one number in angle brackets, as in <1>");
    } else if (read_cell(r, n, p, value, &cell)) {
        set_cell(n, p, cell);
    }
}

static void set_cpus(const struct node *n, const struct prop *p, uint64_t cpus)
{
    memcpy((char *)n->out + p->offset, &cpus, sizeof(cpus));
}

static void parse_cpus(struct report *r, const struct node *n, const struct prop *p,
                       const uint8_t *value, int length)
{
    uint64_t cpus = 0;
    uint32_t cpu;
    if (length <= 0 || length % 4 != 0) {
        type_error(r, n, p, "numbers in angle brackets, as in <0 1>");
        return;
    }
    for (int at = 0; at < length; at += 4) {
        if (!read_cell(r, n, p, value + at, &cpu)) {
            return;
        }
        if ((cpus >> cpu & 1u) != 0) {
            begin(r, n, p->name);
            report_text(r, "CPU ");
            report_number(r, cpu);
            report_text(r, " is there twice; remove one");
            report_end(r, RULE_CPU_SET_ONCE);
            return;
        }
        cpus |= 1ull << cpu;
    }
    set_cpus(n, p, cpus);
}

/* Texts without anything between them. */
static bool is_strings(const char *value, int length)
{
    return length > 0 && value[length - 1] == '\0';
}

static void set_list(const struct node *n, const struct prop *p, const char *value, int length)
{
    const struct manifest_list list = {value, (size_t)length};

    memcpy((char *)n->out + p->offset, &list, sizeof(list));
}

static void unknown_word(struct report *r, const struct node *n, const struct prop *p,
                         const char *value)
{
    begin(r, n, p->name);
    report_text(r, "\"");
    report_text(r, value);
    report_text(r, "\" is not known; choose");
    for (uint32_t i = 0; p->choices[i] != NULL; i++) {
        report_text(r, i == 0 ? " \"" : " or \"");
        report_text(r, p->choices[i]);
        report_text(r, "\"");
    }
    report_end(r, p->rule);
}

static void parse_words(struct report *r, const struct node *n, const struct prop *p,
                        const char *value, int length)
{
    uint32_t bits = 0;
    for (const char *word = value; word < value + length; word += strlen(word) + 1) {
        const uint32_t more = manifest_may_bits(word, strlen(word));
        if (more == 0) {
            begin(r, n, p->name);
            manifest_may_unknown(r, word, strlen(word), MANIFEST_MAY_ALL);
            report_end(r, p->rule);
            return;
        }
        bits |= more;
    }
    set_cell(n, p, bits);
}

static void parse_choice(struct report *r, const struct node *n, const struct prop *p,
                         const char *value)
{
    for (uint32_t i = 0; p->choices[i] != NULL; i++) {
        if (strcmp(value, p->choices[i]) == 0) {
            set_cell(n, p, i);
            return;
        }
    }
    unknown_word(r, n, p, value);
}

static void parse_text(struct report *r, const struct node *n, const struct prop *p,
                       const char *value)
{
    const size_t length = strlen(value);
    if (length < p->min || length > p->max) {
        begin(r, n, p->name);
        report_text(r, "has ");
        report_number(r, length);
        report_text(r, " characters; give ");
        report_number(r, p->min);
        report_text(r, " to ");
        report_number(r, p->max);
        report_end(r, p->rule);
    } else if (!is_printable(value)) {
        begin(r, n, p->name);
        report_text(r, "holds a character that is not printable ASCII; remove it");
        report_end(r, p->rule);
    } else if (p->type == PROP_IMAGE && !is_file_name(value)) {
        begin(r, n, p->name);
        report_text(r, "\"");
        report_text(r, value);
        report_text(r, "\" is not a plain file name; use letters, digits and . _ + - only, "
                       "and begin with a letter, digit or _");
        report_end(r, p->rule);
    } else {
        set_text(n, p, value);
    }
}

static void parse_value(struct report *r, const struct node *n, const struct prop *p,
                        const void *value, int length)
{
    if (p->type == PROP_FLAG) {
        parse_flag(r, n, p, length);
    } else if (p->type == PROP_CELL) {
        parse_cell(r, n, p, value, length);
    } else if (p->type == PROP_CPUS) {
        parse_cpus(r, n, p, value, length);
    } else if (p->type == PROP_NAMES || p->type == PROP_WORDS) {
        if (!is_strings(value, length)) {
            type_error(r, n, p, "strings in double quotes, with commas between them");
        } else if (p->type == PROP_NAMES) {
            set_list(n, p, value, length);
        } else {
            parse_words(r, n, p, value, length);
        }
    } else if (!is_string(value, length)) {
        type_error(r, n, p, "one string in double quotes");
    } else if (p->type == PROP_CHOICE) {
        parse_choice(r, n, p, value);
    } else if (p->type == PROP_FORMAT) {
        if (strcmp(value, MANIFEST_COMPATIBLE) != 0) {
            begin(r, n, p->name);
            report_text(r, "\"");
            report_text(r, value);
            report_text(r,
                        "\" is not the format of this version; write \"" MANIFEST_COMPATIBLE "\"");
            report_end(r, p->rule);
        }
    } else {
        parse_text(r, n, p, value);
    }
}

static void parse_property(struct report *r, struct node *n, const char *name, const void *value,
                           int length)
{
    for (size_t i = 0; i < n->prop_count; i++) {
        if (strcmp(name, n->props[i].name) != 0) {
            continue;
        }
        if ((n->seen >> i & 1u) != 0) {
            begin(r, n, name);
            report_text(r, "is given twice; remove one");
            report_end(r, RULE_PROPERTY_ONCE);
            return;
        }
        n->seen |= 1ull << i;
        parse_value(r, n, &n->props[i], value, length);
        return;
    }
    begin(r, n, name);
    report_text(r, "is not a property of this node; remove it or correct its name");
    report_end(r, RULE_PROPERTY_KNOWN);
}

/* Fill in defaults, then read all properties of a node by its schema. */
static void parse_node(struct report *r, struct node *n)
{
    int offset;
    n->seen = 0;
    for (size_t i = 0; i < n->prop_count; i++) {
        const struct prop *p = &n->props[i];
        if (p->type == PROP_TEXT || p->type == PROP_IMAGE) {
            set_text(n, p, NULL);
        } else if (p->type == PROP_NAMES) {
            set_list(n, p, NULL, 0);
        } else if (p->type == PROP_CPUS) {
            set_cpus(n, p, 0);
        } else if (p->type != PROP_FORMAT) {
            set_cell(n, p, p->fallback);
        }
    }
    fdt_for_each_property_offset(offset, n->blob, n->offset)
    {
        const char *name;
        int length;
        const void *value = fdt_getprop_by_offset(n->blob, offset, &name, &length);
        if (value != NULL) {
            parse_property(r, n, name, value, length);
        }
    }
    for (size_t i = 0; i < n->prop_count; i++) {
        if (n->props[i].required && (n->seen >> i & 1u) == 0) {
            begin(r, n, n->props[i].name);
            report_text(r, "is missing and has no default; add it");
            report_end(r, n->props[i].type == PROP_FORMAT ? RULE_FORMAT_VERSION
                                                          : RULE_PROPERTY_REQUIRED);
        }
    }
}

static void unknown_node(struct report *r, const char *parent, const char *node, const char *child)
{
    report_begin(r, parent, node, NULL);
    report_text(r, "holds the node \"");
    report_text(r, child);
    report_text(r, "\", which this version does not know; remove it or correct its name");
    report_end(r, RULE_NODE_KNOWN);
}

static const char *node_name(const void *blob, int offset)
{
    const char *name = fdt_get_name(blob, offset, NULL);
    return name != NULL ? name : "?";
}

static void node_twice(struct report *r, const char *parent, const char *node)
{
    report_begin(r, parent, node, NULL);
    report_text(r, "is there twice; merge the two nodes");
    report_end(r, RULE_NODE_ONCE);
}

static void parse_disk(struct report *r, const void *blob, int offset, struct manifest_vm *vm)
{
    const char *name = node_name(blob, offset);
    char path[MANIFEST_DISK_PATH_BYTES];
    int child;

    manifest_disk_path(path, vm->name);
    if (vm->disk_count == MANIFEST_MAX_DISKS) {
        report_begin(r, path, name, NULL);
        report_text(r, "is one disk too many; give a VM 4 at most");
        report_end(r, RULE_DISK_COUNT);
        return;
    }
    struct manifest_disk *disk = &vm->disks[vm->disk_count++];
    struct node n = {blob, offset, path, name, disk_props, COUNT(disk_props), disk, 0};
    if (!is_node_name(name, MANIFEST_MAX_DISK_NAME)) {
        begin(r, &n, NULL);
        report_text(r, "the name of a disk is a-z, then a-z, 0-9 or '-', 20 characters at most: "
                       "guests see it as the serial number; rename it");
        report_end(r, RULE_DISK_NAME);
    }
    parse_node(r, &n);
    disk->name = name;
    fdt_for_each_subnode(child, blob, offset)
    {
        unknown_node(r, path, name, node_name(blob, child));
    }
}

static void parse_disks(struct report *r, const void *blob, int offset, struct manifest_vm *vm)
{
    char path[MANIFEST_DISK_PATH_BYTES];
    int child;

    manifest_disk_path(path, vm->name);
    struct node n = {blob, offset, path, NULL, NULL, 0, NULL, 0};
    parse_node(r, &n);
    fdt_for_each_subnode(child, blob, offset) { parse_disk(r, blob, child, vm); }
}

static void parse_vm(struct report *r, const void *blob, int offset, struct manifest *m)
{
    const char *name = node_name(blob, offset);
    int child;

    if (m->vm_count == MANIFEST_MAX_VMS) {
        report_begin(r, "/vms/", name, NULL);
        report_text(r, "is one VM too many; give 512 at most");
        report_end(r, RULE_VM_COUNT);
        return;
    }
    struct manifest_vm *vm = &m->vms[m->vm_count++];
    struct node n = {blob, offset, "/vms/", name, vm_props, COUNT(vm_props), vm, 0};
    if (!is_node_name(name, MANIFEST_MAX_NAME)) {
        begin(r, &n, NULL);
        report_text(r, "the name of a VM is a-z, then a-z, 0-9 or '-', 31 characters at most; "
                       "rename it and use label for what people see");
        report_end(r, RULE_VM_NAME);
    }
    parse_node(r, &n);
    vm->name = name;
    vm->label = vm->label != NULL ? vm->label : name;
    vm->append = vm->append != NULL ? vm->append : "";
    if (vm->display == MANIFEST_DISPLAY_DEFAULT) { /* firmware talks to a screen first of all */
        vm->display =
            vm->firmware != MANIFEST_FIRMWARE_NONE ? MANIFEST_DISPLAY_VGA : MANIFEST_DISPLAY_NONE;
    }
    for (uint32_t i = 0; i < MANIFEST_MAX_VCPUS; i++) {
        vm->vcpu_cpu[i] = MANIFEST_CPU_ANY;
    }
    unsigned disks = 0;
    fdt_for_each_subnode(child, blob, offset)
    {
        if (strcmp(node_name(blob, child), "disks") != 0) {
            unknown_node(r, "/vms/", name, node_name(blob, child));
        } else if (disks++ == 0) {
            parse_disks(r, blob, child, vm);
        } else {
            char path[MANIFEST_DISK_PATH_BYTES];
            manifest_disk_path(path, name);
            node_twice(r, path, NULL);
        }
    }
}

static void parse_vms(struct report *r, const void *blob, int offset, struct manifest *m)
{
    struct node n = {blob, offset, "/vms", NULL, NULL, 0, NULL, 0};
    int child;

    parse_node(r, &n);
    fdt_for_each_subnode(child, blob, offset) { parse_vm(r, blob, child, m); }
}

static void parse_wire(struct report *r, const void *blob, int offset, struct manifest *m)
{
    const char *name = node_name(blob, offset);
    int child;

    if (m->wire_count == MANIFEST_MAX_WIRES) {
        report_begin(r, manifest_wires_path, name, NULL);
        report_text(r, "is one wire too many; give 128 at most");
        report_end(r, RULE_WIRE_COUNT);
        return;
    }
    struct manifest_wire *wire = &m->wires[m->wire_count++];
    struct node n = {blob, offset, manifest_wires_path, name, wire_props, COUNT(wire_props),
                     wire, 0};
    if (!is_node_name(name, MANIFEST_MAX_NAME)) {
        begin(r, &n, NULL);
        report_text(r, "the name of a wire is a-z, then a-z, 0-9 or '-', 31 characters at most; "
                       "rename it");
        report_end(r, RULE_WIRE_NAME);
    }
    parse_node(r, &n);
    wire->name = name;
    fdt_for_each_subnode(child, blob, offset)
    {
        unknown_node(r, manifest_wires_path, name, node_name(blob, child));
    }
}

static void parse_wires(struct report *r, const void *blob, int offset, struct manifest *m)
{
    struct node n = {blob, offset, "/wires", NULL, NULL, 0, NULL, 0};
    int child;

    parse_node(r, &n);
    fdt_for_each_subnode(child, blob, offset) { parse_wire(r, blob, child, m); }
}

static void parse_images(struct report *r, const void *blob, int offset, struct manifest *m)
{
    int at;

    fdt_for_each_property_offset(at, blob, offset)
    {
        const char *name;
        int length;
        const void *value = fdt_getprop_by_offset(blob, at, &name, &length);
        if (value != NULL) {
            manifest_parse_digest(r, m, name, value, length);
        }
    }
    fdt_for_each_subnode(at, blob, offset)
    {
        unknown_node(r, "/images", NULL, node_name(blob, at));
    }
}

static void parse_system(struct report *r, const void *blob, int offset, struct manifest *m)
{
    struct node n = {blob, offset, "/system", NULL, system_props, COUNT(system_props), m, 0};
    int child;

    parse_node(r, &n);
    fdt_for_each_subnode(child, blob, offset)
    {
        unknown_node(r, "/system", NULL, node_name(blob, child));
    }
}

static void parse_root(struct report *r, const void *blob, struct manifest *m)
{
    struct node n = {blob, 0, "/", NULL, root_props, COUNT(root_props), m, 0};
    static const struct {
        const char *name;
        void (*parse)(struct report *r, const void *blob, int offset, struct manifest *m);
    } nodes[] = {{"vms", parse_vms},
                 {"wires", parse_wires},
                 {"images", parse_images},
                 {"system", parse_system}};
    unsigned seen[COUNT(nodes)] = {0};
    int child;

    parse_node(r, &n);
    m->log = MANIFEST_LOG_COM1;
    m->end_when_idle = 0;
    m->host_may = MANIFEST_MAY_ALL;
    fdt_for_each_subnode(child, blob, 0)
    {
        const char *name = node_name(blob, child);
        size_t i = 0;
        while (i < COUNT(nodes) && strcmp(name, nodes[i].name) != 0) {
            i++;
        }
        if (i == COUNT(nodes)) {
            unknown_node(r, "/", NULL, name);
        } else if (++seen[i] == 1) {
            nodes[i].parse(r, blob, child, m);
        } else if (seen[i] == 2) {
            node_twice(r, "/", name);
        }
    }
    if (m->vm_count == 0) {
        report_begin(r, "/vms", NULL, NULL);
        report_text(r, "there is no VM; describe at least one");
        report_end(r, RULE_VM_COUNT);
    }
}

/* libfdt reads a blob safely once fdt_check_full() has walked it within its real bounds. */
static const char *blob_problem(const void *blob, size_t size_bytes)
{
    if (((uintptr_t)blob & 7u) != 0) {
        return "the blob is not aligned to 8 bytes; load it at an aligned address";
    }
    if (size_bytes > MANIFEST_MAX_BLOB_BYTES) {
        return "the blob is larger than 1 MiB; a manifest is a few KiB: is this the right file?";
    }
    if (size_bytes < sizeof(struct fdt_header) || fdt_magic(blob) != FDT_MAGIC) {
        return "this is not a device tree blob; compile the .dts file with dtc first";
    }
    if (fdt_totalsize(blob) > size_bytes) {
        return "the blob is cut short; copy or compile it again";
    }
    if (fdt_version(blob) < 17) {
        return "the blob's version is older than 17; compile the .dts file with a current dtc";
    }
    if (fdt_check_full(blob, size_bytes) != 0) {
        return "the blob is damaged; compile the .dts file with dtc again";
    }
    return NULL;
}

unsigned manifest_load(const void *blob, size_t size_bytes, const struct manifest_env *env,
                       struct manifest *out)
{
    struct report r;
    memset(out, 0, sizeof(*out));
    r.env = env;
    r.errors = 0;

    const char *problem = blob_problem(blob, size_bytes);
    if (problem != NULL) {
        report_begin(&r, NULL, NULL, NULL);
        report_text(&r, problem);
        report_end(&r, RULE_BLOB_WELL_FORMED);
        return r.errors;
    }
    parse_root(&r, blob, out);
    if (r.errors == 0) {
        manifest_check(&r, out);
    }
    return r.errors;
}
