/*
 * What can be at a guest's control channel (COM2; bulkhead/wire.h says how root is talked to):
 * mode=1 random bytes without end, mode=2 beginnings of requests, mode=3 requests whose answers it
 * does not take, mode=4 an orderly client: asks for the list again and again, and for what it may
 * not have. Ends by its power button only, that is: killed. Without a channel it fails.
 */
#include "guest.h"

#include "bulkhead/wire.h"

enum { COM2 = 0x2f8, LSR = COM2 + 5, READY = 1, EMPTY = 0x20 };
enum { HEADER = sizeof(struct bh_wire_header), NAME = BH_WIRE_NAME_BYTES };

static uint64_t seed = 1;

static uint8_t random_byte(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint8_t)(seed >> 56);
}

static void put(uint8_t byte)
{
    while (!(inb(LSR) & EMPTY)) pause();
    outb(COM2, byte);
}

static uint8_t get(void)
{
    while (!(inb(LSR) & READY)) pause();
    return inb(COM2);
}

/* CRC32C (iSCSI, RFC 3720 12.1), bit by bit. */
static uint32_t crc(const uint8_t *bytes, unsigned n)
{
    uint32_t c = ~0u;

    for (unsigned i = 0; i < n; i++) {
        c ^= bytes[i];
        for (unsigned k = 0; k < 8; k++) c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0);
    }
    return ~c;
}

static uint8_t frame[HEADER + 2048 + 4];

static void request(unsigned verb, unsigned sequence, const char *vm, unsigned bytes)
{
    uint32_t sum;

    for (unsigned i = 0; i < HEADER + NAME; i++) frame[i] = 0;
    frame[0] = 0x42;
    frame[1] = 0x68;
    frame[2] = BH_WIRE_VERSION;
    frame[3] = BH_WIRE_REQUEST;
    frame[4] = (uint8_t)verb;
    frame[6] = (uint8_t)sequence;
    frame[8] = (uint8_t)bytes;
    for (unsigned i = 0; vm && vm[i]; i++) frame[HEADER + i] = (uint8_t)vm[i];
    sum = crc(frame, HEADER + bytes);
    for (unsigned i = 0; i < HEADER + bytes; i++) put(frame[i]);
    for (unsigned i = 0; i < 4; i++) put((uint8_t)(sum >> 8 * i));
}

/* One frame of the answer. @return its kind; *status: of an end. 0: it makes no sense */
static unsigned answer(unsigned sequence, unsigned *status)
{
    unsigned bytes;
    uint32_t sum = 0;

    for (unsigned i = 0; i < HEADER; i++) frame[i] = get();
    bytes = frame[8] | (unsigned)frame[9] << 8;
    if (frame[0] != 0x42 || frame[1] != 0x68 || frame[6] != (uint8_t)sequence || bytes > 2048)
        return 0;
    for (unsigned i = 0; i < bytes; i++) frame[HEADER + i] = get();
    for (unsigned i = 0; i < 4; i++) sum |= (uint32_t)get() << 8 * i;
    *status = frame[12];
    return sum == crc(frame, HEADER + bytes) ? frame[3] : 0;
}

/* @return the status it ended with; parts: how many there were. 256: nonsense */
static unsigned ask(unsigned verb, const char *vm, unsigned bytes, unsigned *parts)
{
    static unsigned sequence;
    unsigned kind, status = 0;

    *parts = 0;
    put(BH_WIRE_ENQUIRY);
    if (get() != BH_WIRE_READY) return 256;
    request(verb, ++sequence, vm, bytes);
    while ((kind = answer(sequence, &status)) == BH_WIRE_PART) ++*parts;
    return kind == BH_WIRE_END ? status : 256;
}

static void orderly(void)
{
    unsigned parts, wrong = 0;

    for (unsigned i = 1;; i++) {
        wrong += ask(BH_WIRE_LIST, NULL, 0, &parts) != 0 || parts != 1;
        wrong += ask(BH_WIRE_KILL, "other", NAME, &parts) != BH_WIRE_FORBIDDEN || parts != 0;
        wrong += ask(BH_WIRE_KILL, "nobody", NAME, &parts) != BH_WIRE_FORBIDDEN || parts != 0;
        wrong += ask(BH_WIRE_AUDIT, NULL, 8, &parts) != BH_WIRE_FORBIDDEN || parts != 0;
        if (i % 5 == 0) print("asked %u times, %u wrong\n", i * 4, wrong);
    }
}

void guest_main(void)
{
    uint64_t mode = arg_u64("mode", 4);

    outb(COM2 + 3, 0x5a); /* line control, as a register that is there */
    fact("there", inb(COM2 + 3) == 0x5a, "COM2");
    outb(COM2 + 3, 3);
    outb(COM2 + 2, 7);
    if (inb(COM2 + 3) != 3) return;
    print("alive\n");
    for (unsigned n = 0;; n++) {
        if (mode == 1)
            put(random_byte());
        else if (mode == 2)
            put(n % 16 == 0 ? 0x42 : n % 16 == 1 ? 0x68 : n % 16 == 3 ? BH_WIRE_REQUEST : 2);
        else if (mode == 3)
            request(n & 1 ? BH_WIRE_MANIFEST : BH_WIRE_LIST, n, NULL, 0);
        else
            orderly();
    }
}
