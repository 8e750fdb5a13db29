/* Promise 9 in words, and the end of the system; see status.h. */
#include "status.h"
#include <stddef.h>
#include "caps.h"
#include "console.h"
#include "fmt.h"
#include "log.h"

struct protection {
    uint32_t bit;
    const char *on, *off;
};

/* The words are the same on the log and in bhctl status: they come from here. */
static const struct protection protections[] = {
    {BH_PROT_NESTED_PAGING, "each VM has an address space of its own (nested paging)",
     "no nested paging: VMs cannot run"},
    {BH_PROT_SMEP, "the kernel cannot execute user memory (SMEP)", "no SMEP"},
    {BH_PROT_SMAP, "the kernel cannot access user memory (SMAP)", "no SMAP"},
    {BH_PROT_UMIP, "user programs cannot read descriptor tables (UMIP)", "no UMIP"},
    {BH_PROT_NX, "data cannot be executed (NX)", "no NX: data can be executed"},
    {BH_PROT_IBPB, "branch predictors are flushed between domains (IBPB)",
     "no IBPB: branch predictors are shared between domains"},
    {BH_PROT_VERW, "CPU buffers are cleared between domains (VERW)",
     "no MD_CLEAR: CPU buffers are not cleared between domains"},
    {BH_PROT_L1D_FLUSH, "the L1 data cache is flushed before VM entry", "no L1D flush command"},
    {BH_PROT_IOMMU, "devices reach only memory given to them (IOMMU)",
     "no IOMMU in use: passthrough is refused"},
    {BH_PROT_INTREMAP, "device interrupts are remapped", "no interrupt remapping"},
    {BH_PROT_TPM, "what booted is measured into the TPM", "no TPM: nothing is measured"},
    {BH_PROT_SMT_PARKED, "hyperthread siblings are parked", "hyperthread siblings run"},
    {BH_PROT_EXEC_4K, "guests execute from 4 KiB pages only (page-size-change machine check)", ""},
    {BH_PROT_RDSEED, "random numbers from RDSEED", "no RDSEED: entropy is estimated from jitter"},
};

static const struct manifest *manifest; /* NULL: not read yet */

bool status_protection(unsigned n, bool *on, const char **words)
{
    for (size_t i = 0; i < sizeof(protections) / sizeof(protections[0]); i++) {
        const struct protection *p = &protections[i];

        *on = (info()->prot_on & p->bit) != 0;
        /* neither: does not apply to this machine */
        if (!*on && !(info()->prot_off & p->bit)) continue;
        *words = *on ? p->on : p->off;
        if (n-- == 0) return true;
    }
    *words = manifest ? manifest_path_words(manifest, on) : NULL;
    return *words && n == 0;
}

static void log_protection(bool on, const char *words)
{
    say(on ? "protection on:  %s" : "protection OFF: %s", words);
    if (on) return;
    audit_begin("protection-off");
    audit_text("text", words);
    audit_end();
}

void status_log_protections(void)
{
    const char *words;
    bool on;

    for (unsigned n = 0; status_protection(n, &on, &words); n++) log_protection(on, words);
}

void status_manifest(const struct manifest *m)
{
    bool on;
    const char *words = manifest_path_words(m, &on);

    manifest = m;
    if (words) log_protection(on, words);
    for (uint32_t i = 0; i < m->wire_count; i++) {
        if (!manifest_wire_around(m, &m->wires[i])) continue;
        audit_begin("override");
        audit_text("rule", "around-policy");
        audit_text("wire", m->wires[i].name);
        audit_end();
    }
}

/*
 * Power-off without ACPI: QEMU's isa-debug-exit, QEMU's q35 and i440FX PM control ports, and
 * Bochs's port 0x8900. None of them exists on a real PC, where the machine stays halted.
 */
static void power_off(void)
{
    for (const char *c = "Shutdown"; *c; c++) port_out8(0x8900, (uint8_t)*c);
    port_out8(0xf4, 0);
    port_out16(0x604, 0x2000);
    port_out16(0xb004, 0x2000);
}

void system_end(int status, const char *reason)
{
    console_end();
    log_end(status, reason);
    power_off();
    for (;;) (void)bh_wait(0, BH_FOREVER);
}
