/*
 * The machine below the kernel sources of the fuzz target `invoke`: two CPUs of which one runs at a
 * time, a clock that the target moves, pool memory mapped where the kernel thinks it is mapped
 * (save areas and vCPU pages only under their own tables), interrupts as flags, a vCPU backend that
 * takes its exits from the input. May call: mmap and the like. Never calls the kernel but for the
 * trap that an interrupt in a window is.
 */
#define _GNU_SOURCE
#define TESTS_FUZZ_KERNEL_HOST_C
#include <sys/mman.h>
#include <unistd.h>
#include "kernel_host.h"
#include "machine.h"
#include "requires.h"
#include "requires_flush.h"
#include "arch/x86/apic.h"
#include "arch/x86/klog.h"
#include "arch/x86/trap.h"
#include "core/epoch.h"
#include "object/entry.h"
#include "object/space.h"
#include "object/vcpu.h"

bool cpu_has_1g = true, apic_x2 = true;
uint32_t cpu_prot_on, cpu_prot_off, tsc_khz = 1000;
uint64_t host_xcr0 = 7;
uint64_t pool_pfn = HOST_POOL_PFN, pte_nx = 1ull << 63, kernel_pdpt_entry = 0x1003;
uint64_t kernel_cr3 = 0x1000;
uint32_t pool_pages = HOST_POOL_PAGES, pool_boot_pages, panic_stops;
struct percpu percpus[BH_MAX_CPUS], *host_percpu = &percpus[0];

jmp_buf host_leave;
struct host host;
struct input *host_input;

static int pool_fd = -1;
static uint8_t *pool_alias;          /* all of the pool, whatever the kernel has hidden */
static bool hidden[HOST_POOL_PAGES]; /* from the kernel's map */
static uint32_t private_map[HOST_PRIVATE_PAGES]; /* pool page + 1 that is mapped there now */
static uint64_t epoch_kicked;
uint64_t cpus_spared;

uint8_t *host_pool(void) { return pool_alias; }

/* ---- Memory ---- */

void host_init(void)
{
    uint64_t bytes = HOST_POOL_PAGES * 4096ul;

    pool_fd = memfd_create("pool", 0);
    CHECK(pool_fd >= 0 && ftruncate(pool_fd, (off_t)bytes) == 0);
    pool_alias = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, pool_fd, 0);
    CHECK(pool_alias != MAP_FAILED);
    CHECK(mmap((void *)HOST_POOL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE,
               pool_fd, 0) == (void *)HOST_POOL);
    CHECK(mmap((void *)HOST_PRIVATE_SLOT, HOST_PRIVATE_PAGES * 4096ul, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
               0) == (void *)HOST_PRIVATE_SLOT);
}

static void set_hidden(uint32_t page, bool hide)
{
    CHECK(page < HOST_POOL_PAGES);
    if (hidden[page] == hide) return;
    hidden[page] = hide;
    CHECK(mprotect(page_ptr(page), 4096, hide ? PROT_NONE : PROT_READ | PROT_WRITE) == 0);
}

void pool_hide(uint32_t page) { set_hidden(page, true); }

void pool_show(uint32_t page) { set_hidden(page, false); }

void *window_map(uint64_t pfn)
{
    static uint8_t page[4096] __attribute__((aligned(4096)));

    CHECK(kernel_lock.next != kernel_lock.serving); /* held */
    host.window = true;
    return page;
}

void window_unmap(void) { host.window = false; }

uint32_t mem_strays(void) { return host.window ? 1 : 0; }

/* The private slot shows what the tables in force say. */
static void private_load(uint64_t cr3)
{
    uint64_t root = cr3 / 4096u - pool_pfn;
    const uint64_t *table = NULL;

    if (cr3 != kernel_cr3) {
        CHECK(root > HOST_ROOT && root < HOST_POOL_PAGES); /* a HostSpace's root table */
        table = (const uint64_t *)(pool_alias + (root - HOST_ROOT + HOST_PRIVATE) * 4096u);
    }
    for (uint32_t i = 0; i < HOST_PRIVATE_PAGES; i++) {
        uint64_t e = table != NULL ? table[i] : 0;
        uint32_t page = e == 0 ? 0 : (uint32_t)(e / 4096u % PFN_MAX - pool_pfn) + 1u;
        char *at = (char *)HOST_PRIVATE_SLOT + i * 4096ul;

        if (page == private_map[i]) continue;
        CHECK(page <= HOST_POOL_PAGES);
        private_map[i] = page;
        if (page == 0)
            CHECK(mmap(at, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
                       -1, 0) == at);
        else
            CHECK(mmap(at, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, pool_fd,
                       (off_t)(page - 1u) * 4096) == at);
    }
}

void write_cr3(uint64_t cr3)
{
    private_load(cr3);
    if (!left_out("write_cr3")) stale_flushed(SPACE_HOST);
}

static uint8_t saved_pool[HOST_POOL_PAGES * 4096ul];
static bool saved_hidden[HOST_POOL_PAGES];
static struct percpu saved_percpus[HOST_CPUS];
static struct runq saved_runqs[HOST_CPUS];
static struct host saved_host;
static uint64_t saved_kicked;
struct runq host_runqs[HOST_CPUS];

void host_save(void)
{
    memcpy(saved_pool, pool_alias, sizeof(saved_pool));
    memcpy(saved_hidden, hidden, sizeof(hidden));
    memcpy(saved_percpus, percpus, sizeof(saved_percpus));
    memcpy(saved_runqs, host_runqs, sizeof(saved_runqs));
    saved_host = host;
    saved_kicked = epoch_kicked;
}

void host_restore(void)
{
    memcpy(pool_alias, saved_pool, sizeof(saved_pool));
    for (uint32_t i = 0; i < HOST_POOL_PAGES; i++) set_hidden(i, saved_hidden[i]);
    memcpy(percpus, saved_percpus, sizeof(saved_percpus));
    memcpy(host_runqs, saved_runqs, sizeof(saved_runqs));
    host = saved_host;
    epoch_kicked = saved_kicked;
    host_cpu(0);
}

/* ---- CPUs, time, interrupts ---- */

void host_cpu(uint32_t cpu)
{
    host_percpu = &percpus[cpu];
    host.cpu = cpu;
    private_load(percpus[cpu].cr3);
}

uint64_t rdtsc(void) { return host.tsc += 50; }

void timer_arm(uint64_t when) { percpu()->armed = when; }

void apic_kick(uint32_t id)
{
    CHECK(id < HOST_CPUS);
    host.kicked |= 1u << id;
}

void apic_eoi(void) {}

uint32_t ioapic_lines(void) { return 24; }

void ioapic_route(uint32_t line, uint8_t vector, uint32_t apic, bool low_level)
{
    CHECK(line < 24u && vector == VEC_IRQ_BASE + line && apic < HOST_CPUS);
}

void ioapic_mask(uint32_t line, bool masked) { CHECK(line < 24u); }

void cpu_domain_flush(void) {}

void cpus_flush_if_owed(bool waited)
{
    uint64_t spared = waited ? 0 : cpus_spared & ~(1ull << percpu()->cpu);

    cpus_spared = 0;
    if (epoch_now == epoch_kicked && !waited) return;
    epoch_kicked = epoch_now;
    for (uint32_t i = 0; i < epoch_cpus; i++) {
        if (i == percpu()->cpu) {
            if (epoch_cpu[i] != epoch_now) percpu()->hazard |= HAZARD_FLUSH;
        } else if (percpus[i].kicked != epoch_now && (spared >> i & 1u) == 0) {
            percpus[i].kicked = epoch_now;
            apic_kick(percpus[i].apic_id);
        }
    }
}

uint64_t host_pending(void)
{
    if (host.kicked >> host.cpu & 1u) {
        host.kicked &= ~(1u << host.cpu);
        return VEC_KICK;
    }
    return host.tsc >= percpu()->armed ? VEC_TIMER : 0;
}

/* Interrupts are on for a moment: take what is pending. */
void exit_irq_window(void)
{
    uint64_t vector = host_pending();

    if (vector != 0) interrupt((uint32_t)vector);
}

void idle_irq_window(void) { longjmp(host_leave, HOST_IDLE); }

void host_asm(const char *text)
{
    if (strstr(text, "hlt") != NULL) longjmp(host_leave, HOST_IDLE);
}

/* ---- Ways out of the kernel ---- */

void resume_current(void) { longjmp(host_leave, HOST_RESUME); }

void return_frame(void) { longjmp(host_leave, HOST_USER); }

void return_syscall(uint64_t result, uint64_t value)
{
    host.result = (struct sysret){result, value};
    longjmp(host_leave, HOST_USER);
}

void return_ipc(uint64_t result, uint64_t badge, const uint64_t *words)
{
    host.result = (struct sysret){result, badge};
    longjmp(host_leave, HOST_USER);
}

void klog(const char *fmt, ...) {}

void klog_putc(char ch) {}

void panic(const char *fmt, ...)
{
    fprintf(stderr, "panic: %s\n", fmt);
    abort();
}

void requires_violated(const char *function, const char *clause)
{
    fprintf(stderr, "%s: required of the caller, does not hold: %s\n", function + strlen("__wrap_"),
            clause);
    abort();
}

void stale_found(uint64_t pfn, const char *space_kind, uint32_t space, uint32_t cpu,
                 const char *what)
{
    fprintf(stderr,
            "frame %lx of %s space %u: CPU %u has not flushed since it was unmapped; "
            "does not hold: flushed before %s\n",
            pfn, space_kind, space, cpu, what);
    abort();
}

uint32_t requires_answer(const char *function, uint32_t answer)
{
    static const char *deaf;

    if (answer == BH_OK) return answer;
    if (deaf == NULL) deaf = getenv("FUZZ_DEAF_TO") != NULL ? getenv("FUZZ_DEAF_TO") : "";
    return strcmp(function + strlen("__wrap_"), deaf) == 0 ? BH_OK : answer;
}

bool left_out(const char *function)
{
    static const char *name;

    if (name == NULL) name = getenv("FUZZ_LEAVES_OUT") != NULL ? getenv("FUZZ_LEAVES_OUT") : "";
    return strcmp(function, name) == 0;
}

void panic_frame(const char *what, const struct frame *f) { panic("%s", what); }

/* ---- A vCPU backend ---- */

static void backend_init(struct vcpu *v)
{
    memset(v->hw, 0, 4096);
    memset(v->page, 0, 4096);
}

static void backend_release(struct vcpu *v) { memset(v->hw, 0xff, 64); }

static uint64_t backend_leaf(uint64_t flags, unsigned level)
{
    CHECK(level >= 1u && level <= 3u);
    return (flags & 7u) | 0x30u | (level > 1u ? 0x80u : 0);
}

static uint64_t backend_table(void) { return 7; }

static unsigned backend_run(struct vcpu *v, uint64_t flags)
{
    unsigned reason =
        more(host_input) ? (unsigned)take(host_input, 1) % (BH_NEXITS + 3u) : BH_EXIT_HLT;

    CHECK((flags & ~(uint64_t)(BH_RUN_ALL | RUN_AGAIN)) == 0 &&
          (flags & (BH_STATE_ALL | BH_STATE_FPU)) == 0);
    host.tsc += 1000;
    if (reason == BH_EXIT_SIGNALLED || reason == BH_EXIT_TIMEOUT) reason = EXIT_HOST_IRQ;
    v->qual = take(host_input, 1) << 16 | take(host_input, 1);
    v->page->qual = v->qual;
    v->page->gpr[0] = take(host_input, 1);
    memset(v->hw, (int)reason, 64);
    return reason;
}

static void backend_skip(struct vcpu *v) { v->page->rip++; }

static void backend_read(struct vcpu *v, uint64_t groups) { v->page->state.cr0 = groups; }

static uint32_t backend_write(struct vcpu *v, uint64_t groups)
{
    return v->page->state.cr0 == 0x123 ? BH_ERR_RANGE : BH_OK;
}

static void backend_flush(void)
{
    if (!left_out("flush_all")) stale_flushed(SPACE_GUEST);
}

static const struct vcpu_ops ops = {.name = "host",
                                    .init = backend_init,
                                    .release = backend_release,
                                    .leaf_flags = backend_leaf,
                                    .table_flags = backend_table,
                                    .run = backend_run,
                                    .skip = backend_skip,
                                    .read_state = backend_read,
                                    .write_state = backend_write,
                                    .flush_all = backend_flush};

void host_backend(void) { vcpu_ops = &ops; }
