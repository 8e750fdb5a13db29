/*
 * The line to root, with frames on it: a Unix socket, or a serial port (in a guest its control
 * channel); see bhctl.h.
 */
#include "bhctl.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>
#include "wire.h"

#define RUNS "build/run"
/* Root answers or says that the monitor does not; emulators are slow. */
#define SILENCE_MS  30000
#define READY_MS    1000
#define READY_TRIES 30

static int fd = -1;

static const char *const status_words[BH_WIRE_STATUSES] = {
    [BH_WIRE_OK] = "done",
    [BH_WIRE_BAD_VERSION] = "this bhctl and the running system speak different versions; use the "
                            "bhctl of the same build",
    [BH_WIRE_DAMAGED] = "the request was damaged on its way; try again",
    [BH_WIRE_NO_VERB] = "the running system does not know this verb",
    [BH_WIRE_BAD_REQUEST] = "the running system does not understand the request",
    [BH_WIRE_NO_VM] = "no such VM; 'bhctl list' names them",
    [BH_WIRE_NOT_RUNNING] = "the VM does not run",
    [BH_WIRE_NO_DEVICE] =
        "the VM has no such device; the manifest gives it one: display = \"vga\" a "
        "screen and a keyboard, console = \"serial\" a console",
    [BH_WIRE_NO_ANSWER] = "the VM's monitor does not answer",
    [BH_WIRE_NO_STORE] = "the VM cannot be saved; give it save-mib in the manifest",
    [BH_WIRE_STORE_FULL] = "the VM does not fit its store; give it more save-mib in the manifest",
    [BH_WIRE_NOT_SAVED] = "the VM has not been saved; use bhctl save first",
    [BH_WIRE_NOT_MADE] = "the VM could not be made anew; the log says why",
    [BH_WIRE_CHANGED] = "the guest keeps changing the screen's mode",
    [BH_WIRE_PAUSED] = "the VM stands still; 'bhctl resume' lets it go on",
    [BH_WIRE_RUNS] = "the VM runs already",
    [BH_WIRE_FORBIDDEN] = "the manifest forbids this",
    [BH_WIRE_BAD_FILE] = "what was saved is damaged, or of another VM",
    [BH_WIRE_NOT_STARTED] = "the VM was not started; 'bhctl list' and 'bhctl audit' say why",
    [BH_WIRE_SHUTTING_DOWN] = "the system is being shut down",
    [BH_WIRE_BUSY] = "the VM's monitor is at work for another bhctl, or this one asks "
                     "too often; try again",
    [BH_WIRE_NOT_TAKEN] = "the guest does not read its keyboard; the rest was not typed",
};

/* The same for programs; stable. */
static const char *const status_names[BH_WIRE_STATUSES] = {
    [BH_WIRE_OK] = "done",
    [BH_WIRE_BAD_VERSION] = "bad-version",
    [BH_WIRE_DAMAGED] = "damaged",
    [BH_WIRE_NO_VERB] = "no-verb",
    [BH_WIRE_BAD_REQUEST] = "bad-request",
    [BH_WIRE_NO_VM] = "no-vm",
    [BH_WIRE_NOT_RUNNING] = "not-running",
    [BH_WIRE_NO_DEVICE] = "no-device",
    [BH_WIRE_NO_ANSWER] = "no-answer",
    [BH_WIRE_NOT_TAKEN] = "not-taken",
    [BH_WIRE_NO_STORE] = "no-store",
    [BH_WIRE_STORE_FULL] = "store-full",
    [BH_WIRE_NOT_SAVED] = "not-saved",
    [BH_WIRE_NOT_MADE] = "not-made",
    [BH_WIRE_CHANGED] = "changed",
    [BH_WIRE_PAUSED] = "paused",
    [BH_WIRE_RUNS] = "runs",
    [BH_WIRE_FORBIDDEN] = "forbidden",
    [BH_WIRE_BAD_FILE] = "bad-file",
    [BH_WIRE_NOT_STARTED] = "not-started",
    [BH_WIRE_SHUTTING_DOWN] = "shutting-down",
    [BH_WIRE_BUSY] = "busy",
};

/* What the rule that forbids it is called, and why, from the end of the last answer. */
static char refusal_rule[64], refusal_text[BH_WIRE_REASON_BYTES];

static bool try_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) return true;
    close(fd);
    fd = -1;
    return false;
}

/* A serial port carries bytes as they are, of one bhctl at a time; what an earlier one has left
 * there is nobody's. */
static bool try_port(const char *path)
{
    struct termios t;

    fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX) == 0 && tcgetattr(fd, &t) == 0) {
        cfmakeraw(&t);
        t.c_cflag |= CLOCAL;
        if (cfsetspeed(&t, B115200) == 0 && tcsetattr(fd, TCSANOW, &t) == 0 &&
            tcflush(fd, TCIOFLUSH) == 0)
            return true;
    }
    if (fd >= 0) close(fd);
    fd = -1;
    return false;
}

/* The run with the highest number below @below. 0: none */
static unsigned long run_below(unsigned long below)
{
    DIR *runs = opendir(RUNS);
    unsigned long best = 0;

    if (!runs) return 0;
    for (const struct dirent *e; (e = readdir(runs)) != NULL;) {
        char *end;
        unsigned long n = strtoul(e->d_name, &end, 10);

        if (*end == '\0' && n > best && n < below) best = n;
    }
    closedir(runs);
    return best;
}

/* The run with the highest number whose emulator listens. */
static bool connect_latest(void)
{
    char path[64];

    for (unsigned long n = run_below((unsigned long)-1); n != 0; n = run_below(n)) {
        (void)snprintf(path, sizeof(path), RUNS "/%lu/control.sock", n);
        if (try_connect(path)) return true;
    }
    return false;
}

void link_open(const struct options *o)
{
    struct stat st;

    (void)signal(SIGPIPE, SIG_IGN);
    if (o->socket && stat(o->socket, &st) == 0 && S_ISCHR(st.st_mode)) {
        if (!try_port(o->socket))
            die(EXIT_NO_LINK, "%s: %s; does the manifest give this VM a property may?", o->socket,
                strerror(errno));
    } else if (o->socket) {
        if (!try_connect(o->socket))
            die(EXIT_NO_LINK, "%s: %s; is the system running?", o->socket, strerror(errno));
    } else if (!connect_latest()) {
        die(EXIT_NO_LINK, "no running system found in build/run; start one with 'make run', or "
                          "name its control.sock with --socket");
    }
}

static uint8_t buffer[65536];
static size_t buffer_used, buffer_at;

void link_close(void)
{
    close(fd);
    fd = -1;
    buffer_used = buffer_at = 0;
}

static void send_all(const uint8_t *bytes, size_t n)
{
    while (n != 0) {
        ssize_t sent = write(fd, bytes, n);

        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) die(EXIT_BAD_LINK, "the system has ended");
        bytes += sent;
        n -= (size_t)sent;
    }
}

/* @return -1: nothing has come for so long. */
static int next_byte(int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (buffer_at == buffer_used) {
        ssize_t n;
        int ready = poll(&p, 1, timeout_ms);

        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0) return -1;
        n = read(fd, buffer, sizeof(buffer));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) die(EXIT_BAD_LINK, "the system has ended");
        buffer_used = (size_t)n;
        buffer_at = 0;
    }
    return buffer[buffer_at++];
}

/* Root has to be told to listen before more than a few bytes are sent to it. */
static void enquire(void)
{
    const uint8_t enquiry = BH_WIRE_ENQUIRY;
    int byte = -1;

    for (unsigned i = 0; i < READY_TRIES; i++) {
        send_all(&enquiry, 1);
        do byte = next_byte(READY_MS);
        while (byte >= 0 && byte != BH_WIRE_READY);
        if (byte == BH_WIRE_READY) return;
    }
    die(EXIT_BAD_LINK, "no answer within %d s; does another bhctl talk to the system?",
        READY_TRIES * READY_MS / 1000);
}

const char *link_status_name(uint32_t status)
{
    return status < BH_WIRE_STATUSES ? status_names[status] : "unknown";
}

void link_refused(uint32_t status, const char *vm)
{
    if (status >= BH_WIRE_STATUSES)
        die(EXIT_BAD_LINK,
            "the running system answers with status %u; use the bhctl of the same build", status);
    if (status == BH_WIRE_FORBIDDEN)
        die_of(EXIT_FORBIDDEN, status_names[status], refusal_rule,
               "%s%srefused by the manifest's rule %s: %s", vm ? vm : "", vm ? ": " : "",
               refusal_rule, refusal_text);
    if (status == BH_WIRE_NOT_STARTED && refusal_text[0] != '\0')
        die_of(EXIT_REFUSED, status_names[status], NULL, "not started: %s", refusal_text);
    die_of(
        status == BH_WIRE_DAMAGED || status == BH_WIRE_BAD_VERSION ? EXIT_BAD_LINK : EXIT_REFUSED,
        status_names[status], NULL, "%s%s%s", vm ? vm : "", vm ? ": " : "", status_words[status]);
}

/* For people's terminals. */
static void take_text(char *to, size_t room, const uint8_t *from, size_t bytes)
{
    (void)snprintf(to, room, "%.*s", (int)bytes, (const char *)from);
    for (; *to != '\0'; to++)
        if (*to < ' ' || *to > '~') *to = '?';
}

/* Two texts, each with its NUL. */
static void take_refusal(const uint8_t *payload, uint32_t bytes)
{
    const uint8_t *nul = memchr(payload, '\0', bytes);
    size_t first = nul ? (size_t)(nul - payload) + 1u : bytes;

    take_text(refusal_rule, sizeof(refusal_rule), payload, first);
    take_text(refusal_text, sizeof(refusal_text), payload + first, bytes - first);
}

uint32_t link_try(enum bh_wire_verb verb, const char *vm, const void *payload, uint32_t bytes,
                  link_part *part, void *ctx)
{
    static struct wire_frame out, in;
    static uint16_t sequence;
    uint32_t skip = vm ? BH_WIRE_NAME_BYTES : 0;

    if (sequence == 0) sequence = (uint16_t)getpid();
    if (vm && strlen(vm) >= BH_WIRE_NAME_BYTES) die(EXIT_REFUSED, "%s: no such VM", vm);
    if (bytes > BH_WIRE_PAYLOAD_BYTES - skip) die(EXIT_USAGE, "the request is too long");
    out.header = (struct bh_wire_header){
        .verb = (uint16_t)verb, .sequence = ++sequence, .bytes = skip + bytes};
    memset(wire_payload(&out), 0, skip);
    if (vm) memcpy(wire_payload(&out), vm, strlen(vm));
    if (bytes) memcpy(wire_payload(&out) + skip, payload, bytes);
    enquire();
    send_all(out.bytes, wire_seal(&out, BH_WIRE_REQUEST));
    for (;;) {
        int byte = next_byte(SILENCE_MS);
        enum wire_event event;

        if (byte < 0) die(EXIT_BAD_LINK, "no answer within %d s", SILENCE_MS / 1000);
        event = wire_take(&in, (uint8_t)byte);
        /* An answer to an earlier request may still be on its way. */
        if (event == WIRE_MORE || in.header.sequence != sequence) continue;
        if (event == WIRE_DAMAGED) die(EXIT_BAD_LINK, "the answer was damaged on its way");
        if (in.header.kind == BH_WIRE_END) {
            take_refusal(wire_payload(&in), in.header.bytes);
            return in.header.status;
        }
        if (in.header.kind != BH_WIRE_PART) continue;
        if (!part || !part(ctx, wire_payload(&in), in.header.bytes))
            die(EXIT_BAD_LINK, "the running system's answer makes no sense; use the bhctl of the "
                               "same build");
    }
}

void link_ask(enum bh_wire_verb verb, const char *vm, const void *payload, uint32_t bytes,
              link_part *part, void *ctx)
{
    uint32_t status = link_try(verb, vm, payload, bytes, part, ctx);

    if (status != BH_WIRE_OK) link_refused(status, vm);
}
