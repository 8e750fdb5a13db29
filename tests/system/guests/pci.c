/*
 * Fact: PCI configuration space is the same through ports and through memory (PCI 3.0, 3.2.2.3.2;
 * PCIe 3.0, 7.2.2), to the byte; absent functions read all ones; base address registers show their
 * size and keep what is written. Host bridge and LPC bridge are those of a q35.
 */
#include "guest.h"

enum { FUNCTIONS = 256, PCIEXBAR = 0x60, PIRQA_ROUT = 0x60, LPC = 0x1f << 3 };

static uint64_t ecam;

static uint32_t by_port(unsigned bdf, unsigned reg)
{
    outl(0xcf8, 0x80000000u | bdf << 8 | (reg & 0xfcu));
    return inl(0xcfc);
}

static void to_port(unsigned bdf, unsigned reg, uint32_t value)
{
    outl(0xcf8, 0x80000000u | bdf << 8 | (reg & 0xfcu));
    outl(0xcfc, value);
}

static volatile void *address(unsigned bdf, unsigned reg)
{
    return (volatile void *)(ecam + ((uint64_t)bdf << 12) + reg);
}

static uint32_t by_memory(unsigned bdf, unsigned reg)
{
    return *(volatile uint32_t *)address(bdf, reg);
}

static bool present(unsigned bdf) { return by_port(bdf, 0) != 0xffffffff; }

static void functions(void)
{
    unsigned found = 0, absent = 0, wrong = 0, different = 0;

    for (unsigned f = 0; f < FUNCTIONS; f++) {
        if (!present(f)) {
            absent++;
            for (unsigned reg = 0; reg < 0x100; reg += 0x3c)
                wrong += by_port(f, reg) != 0xffffffff || by_memory(f, reg) != 0xffffffff;
            continue;
        }
        found++;
        for (unsigned reg = 0; reg < 0x100; reg += 4)
            different += by_port(f, reg) != by_memory(f, reg);
    }
    fact("absent", absent != 0 && wrong == 0, "%u functions, %u registers are not all ones", absent,
         wrong);
    fact("agree", found >= 2 && different == 0, "%u functions, %u registers differ", found,
         different);
    wrong = 0;
    for (unsigned bus = 1; bus < 256; bus++)
        wrong += by_port(bus << 8, 0) != 0xffffffff || by_memory(bus << 8, 0) != 0xffffffff;
    fact("buses", wrong == 0, "%u other buses answer", wrong);
    wrong = present(0) ? 0 : 1;
    outl(0xcf8, 0);
    fact("enable", wrong == 0 && inl(0xcfc) == 0xffffffff, "%x without the enable bit", inl(0xcfc));
}

static void bridges(void)
{
    fact("host-bridge", by_port(0, 0) == 0x29c08086 && by_port(0, 8) >> 16 == 0x0600, "%x %x",
         by_port(0, 0), by_port(0, 8));
    fact("lpc-bridge", by_port(LPC, 0) == 0x29188086 && by_port(LPC, 8) >> 16 == 0x0601, "%x %x",
         by_port(LPC, 0), by_port(LPC, 8));
    fact("multifunction",
         (by_port(LPC, 0xc) >> 16 & 0x80) == (present(LPC + 2) || present(LPC + 3) ? 0x80u : 0u),
         "header type %x", by_port(LPC, 0xc) >> 16);
}

/* Four registers of a byte each, in one dword. */
static void byte_enables(void)
{
    uint32_t before = by_port(LPC, PIRQA_ROUT);

    to_port(LPC, PIRQA_ROUT, 0x83828180);
    outb(0xcfd, 0x8a);
    fact("byte-port", by_port(LPC, PIRQA_ROUT) == 0x83828a80, "%x", by_port(LPC, PIRQA_ROUT));
    outw(0xcfe, 0x8c8b);
    fact("word-port", by_port(LPC, PIRQA_ROUT) == 0x8c8b8a80, "%x", by_port(LPC, PIRQA_ROUT));
    fact("reads-port", inb(0xcff) == 0x8c && inw(0xcfe) == 0x8c8b && inb(0xcfc) == 0x80, "%x %x",
         inb(0xcff), inw(0xcfe));
    *(volatile uint8_t *)address(LPC, PIRQA_ROUT + 2) = 0x85;
    fact("byte-memory", by_port(LPC, PIRQA_ROUT) == 0x8c858a80, "%x", by_port(LPC, PIRQA_ROUT));
    *(volatile uint16_t *)address(LPC, PIRQA_ROUT) = 0x8786;
    fact("word-memory", by_port(LPC, PIRQA_ROUT) == 0x8c858786, "%x", by_port(LPC, PIRQA_ROUT));
    fact("reads-memory",
         *(volatile uint8_t *)address(LPC, PIRQA_ROUT + 3) == 0x8c &&
             *(volatile uint16_t *)address(LPC, PIRQA_ROUT + 2) == 0x8c85,
         "%x", by_memory(LPC, PIRQA_ROUT));
    to_port(LPC, PIRQA_ROUT, before);
}

/* Identity and class cannot be written. */
static void read_only(void)
{
    unsigned changed = 0;

    for (unsigned f = 0; f < FUNCTIONS; f++) {
        if (!present(f)) continue;
        for (unsigned reg = 0; reg <= 8; reg += 8) {
            uint32_t before = by_port(f, reg);

            to_port(f, reg, ~before);
            changed += by_port(f, reg) != before;
        }
    }
    fact("read-only", changed == 0, "%u registers changed", changed);
}

static bool power_of_two(uint64_t n) { return n != 0 && (n & (n - 1)) == 0; }

/* PCI 3.0, 6.2.5.1, with decoding off. */
static void base_addresses(void)
{
    unsigned bars = 0, bad = 0;

    for (unsigned f = 0; f < FUNCTIONS; f++) {
        uint32_t command = by_port(f, 4) & 0xffff;

        if (!present(f) || (by_port(f, 0xc) >> 16 & 0x7f) != 0) continue;
        to_port(f, 4, command & ~3u);
        for (unsigned reg = 0x10; reg < 0x28; reg += 4) {
            uint32_t before = by_port(f, reg), high_before = 0, flags;
            uint64_t mask;
            bool wide;

            to_port(f, reg, 0xffffffff);
            mask = by_port(f, reg);
            if (mask == 0) continue; /* not there */
            bars++;
            flags = mask & 1 ? 3 : 15;
            wide = !(mask & 1) && (mask & 6) == 4;
            if (wide) {
                high_before = by_port(f, reg + 4);
                to_port(f, reg + 4, 0xffffffff);
                mask |= (uint64_t)by_port(f, reg + 4) << 32;
            } else {
                mask |= mask & 1 ? ~0xffffULL : ~0xffffffffULL;
            }
            bad += !power_of_two(~(mask & ~(uint64_t)flags) + 1);
            bad += (before & flags) != (mask & flags);
            to_port(f, reg, before);
            bad += by_port(f, reg) != before;
            if (wide) {
                to_port(f, reg + 4, high_before);
                bad += by_port(f, reg + 4) != high_before;
                reg += 4;
            }
        }
        to_port(f, 4, command);
    }
    fact("bars", bad == 0, "%u registers, %u things wrong", bars, bad);
}

/* The interrupt line register names the 8259 line that the LPC bridge sends the pin to: devices 25
 * to 31 take PIRQA..D, slots PIRQE..H rotated, and both halves are routed alike. */
static void lines(void)
{
    uint32_t rout = by_port(LPC, PIRQA_ROUT);
    unsigned pins = 0, bad = 0;

    for (unsigned f = 0; f < FUNCTIONS; f++) {
        unsigned pin = by_port(f, 0x3c) >> 8 & 0xff, slot = f >> 3;

        if (!present(f) || pin == 0) continue;
        pins++;
        pin = (slot < 25 ? slot + pin - 1 : pin - 1) & 3;
        bad += (by_port(f, 0x3c) & 0xff) != (rout >> pin * 8 & 0xff);
    }
    fact("routes", rout == by_port(LPC, PIRQA_ROUT + 8) && !(rout & 0x80808080), "%x", rout);
    fact("lines", bad == 0, "%u of %u functions have another line", bad, pins);
}

void guest_main(void)
{
    uint32_t low = by_port(0, PCIEXBAR);

    ecam = ((uint64_t)by_port(0, PCIEXBAR + 4) << 32 | low) & ~0xfffffffULL;
    bridges();
    fact("pciexbar", (low & 7) == 1 && ecam == 0xb0000000, "%x", low);
    if ((low & 7) != 1) return;
    functions();
    lines();
    byte_enables();
    read_only();
    base_addresses();
}
