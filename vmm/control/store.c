/*
 * save and restore: in the machine's memory, or from there to a file and back. A file is looked
 * through before any of it is sent, by the monitor's own reader. May call: link.c, save_file.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bhctl.h"
#include "save_file.h"

#define PIECE_BYTES (BH_WIRE_PAYLOAD_BYTES - BH_WIRE_NAME_BYTES - sizeof(struct bh_wire_piece))
#define SHOW_BYTES  0x40000u

struct saved {
    uint8_t *bytes;
    uint64_t size, at;
};

static void allocate(struct saved *s)
{
    s->bytes = malloc(s->size ? s->size : 1u);
    if (s->bytes == NULL) die(EXIT_REFUSED, "out of memory");
}

static void show(const struct saved *s, const char *did)
{
    if (!isatty(2)) return;
    fprintf(stderr, "\r%s %llu of %llu KiB", did, (unsigned long long)s->at / 1024u,
            (unsigned long long)s->size / 1024u);
    if (s->at == s->size) fputc('\n', stderr);
}

/* Damaged, cut off, or no saved VM at all. */
static const char *wrong_with(const struct saved *s)
{
    static char text[192];
    struct save_header header;
    struct save_file f;

    if (save_open(&f, s->bytes, s->size, NULL, &header) && save_check(&f)) return NULL;
    (void)snprintf(text, sizeof(text), "%s: %s", f.where, f.error);
    return text;
}

/* ---- save ---- */

static bool save_part(void *ctx, const uint8_t *payload, uint32_t bytes)
{
    if (bytes != sizeof(uint64_t)) return false;
    memcpy(ctx, payload, bytes);
    if (*(uint64_t *)ctx == 0 && isatty(2)) fputc('.', stderr); /* it goes on */
    return true;
}

static bool bytes_part(void *ctx, const uint8_t *payload, uint32_t bytes)
{
    struct saved *s = ctx;

    if (bytes > s->size - s->at) return false;
    memcpy(s->bytes + s->at, payload, bytes);
    s->at += bytes;
    if (s->at == s->size || s->at / SHOW_BYTES != (s->at - bytes) / SHOW_BYTES) show(s, "fetched");
    return true;
}

/* What was there is there until the new file is whole. It holds all that the guest knows: for its
 * owner only. */
static void write_file(const char *path, const struct saved *s)
{
    char part[4096];
    FILE *f;
    int fd;
    bool ok;

    if (snprintf(part, sizeof(part), "%s.part", path) >= (int)sizeof(part))
        die(EXIT_REFUSED, "%s: the name is too long", path);
    (void)unlink(part);
    fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (f == NULL) die(EXIT_REFUSED, "%s: %s", part, strerror(errno));
    ok = fwrite(s->bytes, 1, s->size, f) == s->size && fflush(f) == 0 && fsync(fileno(f)) == 0;
    if (fclose(f) != 0) ok = false;
    if (ok && rename(part, path) == 0) return;
    (void)unlink(part);
    die(EXIT_REFUSED, "%s: cannot be written", path);
}

static void fetch_to(const char *vm, const char *path, uint64_t bytes)
{
    struct saved s = {.size = bytes};
    const char *wrong;

    allocate(&s);
    link_ask(BH_WIRE_STORE_READ, vm, NULL, 0, bytes_part, &s);
    if (s.at != s.size) die(EXIT_BAD_LINK, "%s: not all of what was saved has come", vm);
    wrong = wrong_with(&s);
    if (wrong) die(EXIT_BAD_LINK, "%s: what was saved has come damaged: %s", vm, wrong);
    write_file(path, &s);
    free(s.bytes);
}

void verb_save(const struct options *o, int argc, char **argv)
{
    uint64_t bytes = 0;

    link_open(o);
    link_ask(BH_WIRE_SAVE, argv[0], NULL, 0, save_part, &bytes);
    if (argc > 1) fetch_to(argv[0], argv[1], bytes);
    if (o->json)
        printf("{\"bytes\": %llu}", (unsigned long long)bytes);
    else
        printf("%s saved: %llu KiB\n", argv[0], (unsigned long long)bytes / 1024u);
}

/* ---- restore ---- */

static void read_file(const char *path, struct saved *s)
{
    FILE *f = fopen(path, "rb");
    long size = -1;

    if (f == NULL) die(EXIT_REFUSED, "%s: %s", path, strerror(errno));
    if (fseek(f, 0, SEEK_END) == 0) size = ftell(f);
    if (size < 0 || fseek(f, 0, SEEK_SET) != 0) die(EXIT_REFUSED, "%s: not a file", path);
    s->size = (uint64_t)size;
    allocate(s);
    if (fread(s->bytes, 1, s->size, f) != s->size) die(EXIT_REFUSED, "%s: cannot be read", path);
    fclose(f);
}

static void send_from(const char *vm, const char *path)
{
    struct saved s = {0};
    const char *wrong;

    read_file(path, &s);
    wrong = wrong_with(&s);
    if (wrong)
        die_of(EXIT_REFUSED, link_status_name(BH_WIRE_BAD_FILE), NULL, "%s: %s", path, wrong);
    while (s.at < s.size) {
        uint8_t payload[sizeof(struct bh_wire_piece) + PIECE_BYTES];
        const struct bh_wire_piece piece = {.total = s.size, .offset = s.at};
        uint64_t left = s.size - s.at;
        uint32_t bytes = left < PIECE_BYTES ? (uint32_t)left : (uint32_t)PIECE_BYTES;

        memcpy(payload, &piece, sizeof(piece));
        memcpy(payload + sizeof(piece), s.bytes + s.at, bytes);
        link_ask(BH_WIRE_STORE_WRITE, vm, payload, (uint32_t)sizeof(piece) + bytes, NULL, NULL);
        s.at += bytes;
        if (s.at == s.size || s.at / SHOW_BYTES != (s.at - bytes) / SHOW_BYTES) show(&s, "sent");
    }
    free(s.bytes);
}

static bool refusal_part(void *ctx, const uint8_t *payload, uint32_t bytes)
{
    if (bytes == 0 || bytes > BH_WIRE_PAYLOAD_BYTES || payload[bytes - 1u] != '\0') return false;
    for (uint32_t i = 0; i < bytes; i++)
        if (payload[i] != '\0' && (payload[i] < ' ' || payload[i] > '~')) return false;
    memcpy(ctx, payload, bytes);
    if (bytes == 1u && isatty(2)) fputc('.', stderr); /* it goes on */
    return true;
}

void verb_restore(const struct options *o, int argc, char **argv)
{
    char text[BH_WIRE_PAYLOAD_BYTES] = "";
    uint32_t status;

    link_open(o);
    if (argc > 1) send_from(argv[0], argv[1]);
    status = link_try(BH_WIRE_RESTORE, argv[0], NULL, 0, refusal_part, text);
    if (status == BH_WIRE_BAD_FILE)
        die_of(EXIT_REFUSED, link_status_name(status), NULL, "%s: %s", argv[0], text);
    if (status != BH_WIRE_OK) link_refused(status, argv[0]);
    if (!o->json) printf("%s restored: it goes on from where it was saved\n", argv[0]);
}
