/*
 * Digests of images: the node /images, whose properties are file names of the boot archive. One
 * place for all images, whoever names them and how: several VMs may share one, and firmware has no
 * property of its own. May call: report.h, memcmp-class functions. Computes no digest itself: its
 * caller does.
 */
#include "rules.h"

#include <string.h>

static const char images_path[] = "/images";

static bool is_digest(const char *text, int length)
{
    if (length != (int)MANIFEST_DIGEST_CHARS + 1 || text[MANIFEST_DIGEST_CHARS] != '\0') {
        return false;
    }
    for (unsigned i = 0; i < MANIFEST_DIGEST_CHARS; i++) {
        if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f')) {
            return false;
        }
    }
    return true;
}

static void digest_error(struct report *r, const char *name, const char *text,
                         enum manifest_rule_id rule)
{
    report_begin(r, images_path, NULL, name);
    report_text(r, text);
    report_end(r, rule);
}

void manifest_parse_digest(struct report *r, struct manifest *m, const char *name,
                           const char *value, int length)
{
    for (uint32_t i = 0; i < m->digest_count; i++) {
        if (strcmp(name, m->digests[i].image) == 0) {
            digest_error(r, name, "is given twice; remove one", RULE_PROPERTY_ONCE);
            return;
        }
    }
    if (m->digest_count == MANIFEST_MAX_DIGESTS) {
        digest_error(r, name, "is one digest too many; give 64 at most", RULE_DIGEST_USED);
    } else if (!is_digest(value, length)) {
        digest_error(r, name,
                     "is no SHA-256; write the 64 digits 0-9, a-f that sha256sum says, in double "
                     "quotes",
                     RULE_DIGEST_TEXT);
    } else {
        m->digests[m->digest_count++] = (struct manifest_digest){name, value};
    }
}

static bool is_name(const char *image, const char *name)
{
    return image != NULL && strcmp(image, name) == 0;
}

static bool uses(const struct manifest_vm *vm, const char *name)
{
    const struct manifest_firmware_files firmware = manifest_firmware_files(vm);
    bool used = is_name(vm->kernel, name) || is_name(vm->initrd, name) ||
                is_name(firmware.code, name) || is_name(firmware.variables, name) ||
                is_name(firmware.screen, name);
    for (uint32_t i = 0; i < vm->disk_count; i++) {
        used = used || is_name(vm->disks[i].image, name);
    }
    return used;
}

static void digest_text(char text[MANIFEST_DIGEST_CHARS + 1],
                        const uint8_t bytes[MANIFEST_DIGEST_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < MANIFEST_DIGEST_BYTES; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 0xfu];
    }
    text[MANIFEST_DIGEST_CHARS] = '\0';
}

/* An image that is not there is an error of another rule. */
static void check_digest(struct report *r, const struct manifest_digest *d, const char *vm)
{
    uint8_t bytes[MANIFEST_DIGEST_BYTES];
    char found[MANIFEST_DIGEST_CHARS + 1];
    uint64_t size_bytes;

    if (r->env->image_size == NULL || r->env->image_digest == NULL ||
        !r->env->image_size(r->env->ctx, d->image, &size_bytes)) {
        return;
    }
    if (!r->env->image_digest(r->env->ctx, d->image, bytes)) {
        digest_error(r, d->image, "the file cannot be read; put it into the boot archive again",
                     RULE_IMAGE_DIGEST);
        return;
    }
    digest_text(found, bytes);
    if (strcmp(found, d->sha256) != 0) {
        report_begin(r, images_path, NULL, d->image);
        report_text(r, "the file has the SHA-256 ");
        report_text(r, found);
        report_text(r, ", wanted is ");
        report_text(r, d->sha256);
        report_text(r, ": it is not what /vms/");
        report_text(r, vm);
        report_text(r, " is to have; give the right file, or correct the digest");
        report_end(r, RULE_IMAGE_DIGEST);
    }
}

void manifest_check_digests(struct report *r, struct manifest *m)
{
    for (uint32_t i = 0; i < m->digest_count; i++) {
        uint32_t vm = 0;
        while (vm < m->vm_count && !uses(&m->vms[vm], m->digests[i].image)) {
            vm++;
        }
        if (vm < m->vm_count) {
            check_digest(r, &m->digests[i], m->vms[vm].name);
        } else {
            digest_error(r, m->digests[i].image,
                         "no VM uses a file of this name; remove the digest or correct the name",
                         RULE_DIGEST_USED);
        }
    }
}

const char *manifest_digest(const struct manifest *m, const char *image)
{
    for (uint32_t i = 0; i < m->digest_count; i++) {
        if (strcmp(m->digests[i].image, image) == 0) {
            return m->digests[i].sha256;
        }
    }
    return NULL;
}
