// sources: vmm/monitor/dev/*.c vmm/rt/rle.c vmm/display/*.c vmm/rt/wire_ring.c
// flags: -I. -Ivmm/monitor/dev -iquote vmm/rt
/*
 * A screen and a guest that sets it up in any way: registers by port and by BAR, the window through
 * the graphics controller and as memory, what is shown taken away and saved states changed. What
 * must hold: the guest is shown each page once, inside the adapter's memory; what the window reads
 * as memory and through the monitor is the same; every screen can be fetched, packed, unpacked and
 * drawn within its bounds.
 */
#include "input.h"
#include "vmm/display/render.h"
#include "vmm/monitor/dev/dev_util.h"
#include "vmm/monitor/dev/vga.h"
#include "vmm/rt/rle.h"

#define FRAME      0x20000u
#define PIXELS_MAX 60000u /* drawn at most: the rest says nothing new */
#define DRAWS_MAX  1u     /* per input */

static uint8_t memory_bytes[VGA_MEMORY_BYTES(FRAME)];
static struct dev_ram memory = {memory_bytes, sizeof(memory_bytes)};
static struct bus bus;
static struct pci pci;
static struct vga vga;
static uint64_t now;
static bool map_fails;
static unsigned draws;

static struct {
    const uint8_t *bytes;
    uint64_t size, gpa;
} shown[2]; /* the window, BAR0 */

static void wire_irq(void *ctx, unsigned n, bool level) { CHECK(false); }

static uint64_t wire_now(void *ctx) { return now; }

static void wire_reset(void *ctx) {}

static bool wire_map(void *ctx, const struct dev_ram *ram, uint64_t offset, uint64_t bytes,
                     uint64_t gpa, unsigned access)
{
    unsigned n = ram == &vga.frame && bytes == FRAME ? 1u : 0;

    CHECK(((offset | bytes | gpa) & 4095u) == 0 && bytes != 0);
    CHECK(offset <= ram->size_bytes && bytes <= ram->size_bytes - offset);
    CHECK(n == 1u || (gpa >= VGA_WINDOW_BASE && gpa + bytes <= VGA_WINDOW_BASE + VGA_WINDOW_BYTES));
    if (access == 0) {
        CHECK(shown[n].gpa == gpa && shown[n].size == bytes);
        shown[n].size = 0;
        return true;
    }
    CHECK(shown[n].size == 0);
    if (map_fails) return false;
    shown[n].bytes = ram->bytes + offset;
    shown[n].size = bytes;
    shown[n].gpa = gpa;
    return true;
}

static const struct dev_host host = {.irq = wire_irq, .now_ns = wire_now, .map = wire_map};

static void config_write(unsigned offset, uint32_t value)
{
    bus_write(&bus, BUS_PIO, 0xcf8, 4, 0x80000800u | (offset & 0xfcu));
    bus_write(&bus, BUS_PIO, 0xcfc, 4, value);
}

static void reset(void)
{
    memset(&bus, 0, sizeof(bus));
    memset(memory_bytes, 0, sizeof(memory_bytes));
    memset(shown, 0, sizeof(shown));
    now = 0;
    map_fails = false;
    draws = 0;
    CHECK(pci_init(&pci, &bus, &host, NULL, wire_reset, NULL));
    CHECK(vga_init(&vga, &bus, &host, &pci, PCI_DEVFN(1, 0), &memory));
    config_write(0x10, 0xe0000000u);
    config_write(0x18, 0xe1000000u);
    config_write(4, 3);
}

/* Through packed pieces, as root fetches them, and drawn. */
static void draw(void)
{
    static uint8_t copy[BH_SCREEN_FRAME + FRAME], packed[2048], rgb[PIXELS_MAX * 3u];
    const struct render_memory m = {copy, copy + BH_SCREEN_FRAME, FRAME};
    struct render_mode mode;
    struct bh_screen s;

    if (draws++ == DRAWS_MAX) return;
    vga_screen(&vga, &s);
    CHECK(s.pieces <= BH_SCREEN_PIECES);
    for (uint32_t i = 0; i < s.pieces; i++) {
        const struct bh_screen_piece *p = &s.piece[i];
        const uint8_t *from = vga_screen_memory(&vga, p->address, p->bytes);

        CHECK(from != NULL && p->bytes != 0 && p->unit - 1u < 4u);
        for (size_t at = 0; at < p->bytes;) {
            size_t taken = 0, n;

            n = rle_pack(packed, sizeof(packed), from + at, p->bytes - at, p->unit, &taken);
            CHECK(taken != 0 && taken <= p->bytes - at);
            CHECK(rle_unpack(copy + p->address + at, p->bytes - at, packed, n, p->unit) >= taken);
            at += taken;
        }
        CHECK(memcmp(copy + p->address, from, p->bytes) == 0);
    }
    mode = render_mode(&s);
    CHECK(mode.width <= RENDER_WIDTH_MAX && mode.height <= RENDER_HEIGHT_MAX);
    if (mode.kind != RENDER_NOTHING && mode.width * mode.height <= PIXELS_MAX) render(&s, &m, rgb);
}

static void window(struct input *in, uint8_t op)
{
    unsigned size = 1u << (op >> 3 & 3u);
    uint64_t at = VGA_WINDOW_BASE + (op & 0x20u ? 0x18000u : 0) + take(in, 2);

    if (op & 0x40u) {
        bus_write(&bus, BUS_MMIO, at, size, take_value(in));
    } else {
        uint64_t value = bus_read(&bus, BUS_MMIO, at, size), mapped = 0;

        CHECK((value & ~dev_ones(size)) == 0);
        if (shown[0].size && at >= shown[0].gpa && at + size <= shown[0].gpa + shown[0].size) {
            memcpy(&mapped, shown[0].bytes + (at - shown[0].gpa), size);
            CHECK(mapped == value);
        }
    }
}

/* Index and data, as drivers do it. */
static void indexed(struct input *in, uint8_t op)
{
    static const uint16_t ports[4] = {0x3c4, 0x3ce, 0x3d4, 0x1ce};
    uint16_t port = ports[op >> 3 & 3u];
    uint64_t index = take(in, 1), value = take_value(in);

    if (port == 0x1ce) {
        bus_write(&bus, BUS_PIO, port, 2, index % 12u);
        bus_write(&bus, BUS_PIO, port + 1u, 2, value);
    } else {
        bus_write(&bus, BUS_PIO, port, 2, index % 26u | (value & 0xffu) << 8);
    }
}

static void any_register(struct input *in, uint8_t op)
{
    unsigned size = 1u << (op >> 3 & 1u);
    uint64_t at = op & 0x10u ? 0x3b0u + take(in, 1) % 48u : 0xe1000000u + take(in, 2) % 0x1000u;
    enum bus_kind kind = op & 0x10u ? BUS_PIO : BUS_MMIO;

    if (op & 0x40u)
        bus_write(&bus, kind, at, size, take_value(in));
    else
        CHECK((bus_read(&bus, kind, at, size) & ~dev_ones(size)) == 0);
}

/* A saved state that somebody has changed. */
static void restore(struct input *in)
{
    const struct state_member *m = &vga_state.members[take(in, 1) % vga_state.count];
    uint8_t *at = (uint8_t *)&vga + m->offset + take(in, 2) % m->bytes;

    *at = (uint8_t)take(in, 1);
    (void)vga_state.loaded(&vga);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    reset();
    for (unsigned steps = 0; more(&in) && steps < 500u; steps++) {
        uint8_t op = (uint8_t)take(&in, 1);

        switch (op & 7u) {
        case 0:
        case 1: indexed(&in, op); break;
        case 2:
        case 3: window(&in, op); break;
        case 4: any_register(&in, op); break;
        case 5:
            now += take(&in, 4);
            map_fails = (op & 0x80u) != 0;
            break;
        case 6:
            if (op & 8u)
                config_write(0x10u + (op >> 4 & 1u) * 8u, (uint32_t)take(&in, 4));
            else if (op & 16u)
                config_write(4, (uint32_t)take(&in, 1));
            else
                restore(&in);
            break;
        default: draw(); break;
        }
        CHECK(vga.view.bytes <= VGA_WINDOW_BYTES);
        CHECK(vga.mapped == (shown[0].size != 0));
    }
    draw();
    return 0;
}
