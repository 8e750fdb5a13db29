/*
 * Test helper inside the Linux guest: clocks, memory patterns, a deterministic byte stream.
 * A static program without libc, so that it runs on an initrd with nothing else in it.
 * May call: Linux system calls. Must never depend on files other than /proc/meminfo.
 *
 * usage: bhtest stream BYTES | sleep SECS | tsc DMESG_KHZ | pattern SECS SEED | rtc SECS |
 *        outb PORT VALUE (decimal) | ioctl FILE REQUEST (decimal) | reflect INTERFACE COUNT |
 *        echo ADDRESS COUNT | sink PORT KIB ROUNDS | pour ADDRESS PORT KIB ROUNDS
 * Each but `stream` prints one line of detail; status 0 = the fact holds.
 */
#include <stddef.h>
#include <stdint.h>

enum {
    SYS_READ = 0,
    SYS_WRITE = 1,
    SYS_OPEN = 2,
    SYS_POLL = 7,
    SYS_MMAP = 9,
    SYS_IOCTL = 16,
    SYS_PREAD64 = 17,
    SYS_NANOSLEEP = 35,
    SYS_SOCKET = 41,
    SYS_CONNECT = 42,
    SYS_ACCEPT = 43,
    SYS_BIND = 49,
    SYS_LISTEN = 50,
    SYS_SETSOCKOPT = 54,
    SYS_IOPERM = 173,
    SYS_EXIT_GROUP = 231,
    SYS_CLOCK_GETTIME = 228,
};
enum { CLOCK_RAW = 4, CLOCK_BOOT = 7 };
enum { PROT_RW = 3, MAP_PRIVATE_ANON = 0x22 };
enum { O_NONBLOCK = 04000 };
#define NS_PER_S   1000000000ULL
#define PAGE_WORDS 512U

struct timespec {
    int64_t s;
    int64_t ns;
};

static long sys(long n, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long ret;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

/* The compiler may call this for its own fills. */
void *memset(void *p, int c, size_t n);
__attribute__((noreturn, used)) void bhtest_start(long *stack);

void *memset(void *p, int c, size_t n)
{
    void *d = p;

    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return p;
}

static void put(const char *s)
{
    size_t n = 0;

    while (s[n]) n++;
    (void)sys(SYS_WRITE, 1, (long)s, (long)n, 0, 0, 0);
}

static void put_u64(uint64_t v)
{
    char buf[24];
    size_t i = sizeof(buf) - 1;

    buf[i] = 0;
    do buf[--i] = (char)('0' + v % 10);
    while (v /= 10);
    put(buf + i);
}

static uint64_t parse_u64(const char *s)
{
    uint64_t v = 0;

    while (s && *s >= '0' && *s <= '9') v = v * 10 + (uint64_t)(*s++ - '0');
    return v;
}

static int same(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static uint64_t now_ns(int clock)
{
    struct timespec t = {0, 0};

    (void)sys(SYS_CLOCK_GETTIME, clock, (long)&t, 0, 0, 0, 0);
    return (uint64_t)t.s * NS_PER_S + (uint64_t)t.ns;
}

static void sleep_ns(uint64_t ns)
{
    struct timespec t = {(int64_t)(ns / NS_PER_S), (int64_t)(ns % NS_PER_S)};

    (void)sys(SYS_NANOSLEEP, (long)&t, 0, 0, 0, 0, 0);
}

static uint64_t rdtsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}

/* SplitMix64: every input has its own output, so no two words of a pattern are alike. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

static int within_percent(uint64_t got, uint64_t want)
{
    return got * 100 >= want * 99 && got * 100 <= want * 101;
}

static int do_stream(uint64_t bytes)
{
    static uint64_t buf[PAGE_WORDS];
    uint64_t word = 0;

    while (bytes) {
        uint64_t n = bytes < sizeof(buf) ? bytes : sizeof(buf);
        uint64_t done = 0;

        for (unsigned i = 0; i < PAGE_WORDS; i++) buf[i] = mix(word++);
        while (done < n) {
            long r = sys(SYS_WRITE, 1, (long)buf + (long)done, (long)(n - done), 0, 0, 0);

            if (r <= 0) return 1;
            done += (uint64_t)r;
        }
        bytes -= n;
    }
    return 0;
}

/* A busy host makes a sleep late now and then, a wrong clock always: best of five. */
static int do_sleep(uint64_t secs)
{
    uint64_t raw = 0;
    uint64_t boot = 0;
    unsigned tries = 0;
    int bad = 1;

    while (bad && tries++ < 5) {
        raw = now_ns(CLOCK_RAW);
        boot = now_ns(CLOCK_BOOT);
        sleep_ns(secs * NS_PER_S);
        raw = now_ns(CLOCK_RAW) - raw;
        boot = now_ns(CLOCK_BOOT) - boot;
        bad = !(within_percent(raw, secs * NS_PER_S) && within_percent(boot, secs * NS_PER_S));
    }
    put("asked for ");
    put_u64(secs * 1000000);
    put(" us, MONOTONIC_RAW ");
    put_u64(raw / 1000);
    put(" us, BOOTTIME ");
    put_u64(boot / 1000);
    put(" us, try ");
    put_u64(bad ? 5 : tries);
    return bad;
}

/* The rate over four quarters of a second, and the rate the kernel found, must all agree. */
static int do_tsc(uint64_t dmesg_khz)
{
    int bad = 0;
    uint64_t t_all = rdtsc();
    uint64_t n_all = now_ns(CLOCK_RAW);

    if (dmesg_khz == 0) {
        put("the kernel did not report a TSC rate");
        return 1;
    }
    for (int i = 0; i < 4; i++) {
        uint64_t t = rdtsc();
        uint64_t n = now_ns(CLOCK_RAW);

        sleep_ns(NS_PER_S / 4);
        t = rdtsc() - t;
        n = now_ns(CLOCK_RAW) - n;
        bad |= !within_percent(t * 1000 / (n / 1000), dmesg_khz);
    }
    t_all = rdtsc() - t_all;
    n_all = now_ns(CLOCK_RAW) - n_all;
    put_u64(t_all * 1000 / (n_all / 1000));
    put(" kHz by rdtsc over MONOTONIC_RAW, ");
    put_u64(dmesg_khz);
    put(" kHz by the kernel");
    return bad;
}

/* A value of /proc/meminfo in KiB; 0 when absent. */
static uint64_t meminfo_kib(const char *key)
{
    static char buf[4096];
    long fd = sys(SYS_OPEN, (long)"/proc/meminfo", 0, 0, 0, 0, 0);
    long n = sys(SYS_PREAD64, fd, (long)buf, sizeof(buf) - 1, 0, 0, 0);

    for (long i = 0; i < n; i++) {
        long k = 0;

        while (key[k] && i + k < n && buf[i + k] == key[k]) k++;
        if (key[k]) continue;
        while (i + k < n && buf[i + k] == ' ') k++;
        return parse_u64(buf + i + k);
    }
    return 0;
}

/*
 * Fill what the kernel has left (a few MiB stay, so that nothing is killed for lack of memory)
 * and verify again and again; each round turns the pattern of every page into its successor.
 */
static int do_pattern(uint64_t secs, uint64_t seed)
{
    uint64_t avail = meminfo_kib("MemAvailable:");
    uint64_t reserve = avail / 32 + 4096;
    uint64_t pages = avail > reserve ? (avail - reserve) / 4 : 0;
    uint64_t end = now_ns(CLOCK_RAW) + secs * NS_PER_S;
    uint64_t rounds = 0;
    long at = sys(SYS_MMAP, 0, (long)(pages * 4096), PROT_RW, MAP_PRIVATE_ANON, -1, 0);
    uint64_t *mem = (uint64_t *)at;

    if (pages == 0 || (at < 0 && at > -4096)) {
        put("no memory for the pattern");
        return 1;
    }
    for (uint64_t p = 0; p < pages; p++) {
        uint64_t base = mix(seed ^ p << 20);

        for (unsigned i = 0; i < PAGE_WORDS; i++)
            mem[p * PAGE_WORDS + i] = base + i * 0x9e3779b97f4a7c15ULL;
    }
    do {
        for (uint64_t p = 0; p < pages; p++) {
            uint64_t base = mix(seed ^ (p << 20 | (rounds & 0xfffff)));
            uint64_t next = mix(seed ^ (p << 20 | ((rounds + 1) & 0xfffff)));

            for (unsigned i = 0; i < PAGE_WORDS; i++) {
                uint64_t want = base + i * 0x9e3779b97f4a7c15ULL;
                uint64_t *w = &mem[p * PAGE_WORDS + i];

                if (*(volatile uint64_t *)w != want) {
                    put("page ");
                    put_u64(p);
                    put(" word ");
                    put_u64(i);
                    put(" round ");
                    put_u64(rounds);
                    put(" holds ");
                    put_u64(*w);
                    put(" not ");
                    put_u64(want);
                    return 1;
                }
                *w = next + i * 0x9e3779b97f4a7c15ULL;
            }
        }
        rounds++;
    } while (now_ns(CLOCK_RAW) < end);
    put_u64(pages * 4 / 1024);
    put(" MiB of ");
    put_u64(meminfo_kib("MemTotal:") / 1024);
    put(" MiB held through ");
    put_u64(rounds);
    put(" rounds");
    return 0;
}

/* I/O port access for this process (the cloud kernel has no /dev/port); 0 on success. */
static long port_allow(unsigned port, unsigned count)
{
    return sys(SYS_IOPERM, (long)port, (long)count, 1, 0, 0, 0);
}

static void outb(uint16_t port, uint8_t val)
{
    __asm__ volatile("outb %0, %1" ::"a"(val), "Nd"(port));
}

static uint8_t inb(uint16_t port)
{
    uint8_t val;

    __asm__ volatile("inb %1, %0" : "=a"(val) : "Nd"(port));
    return val;
}

static int do_outb(uint64_t port, uint64_t val)
{
    if (port > 0xffff || val > 0xff || port_allow((unsigned)port, 1) != 0) {
        put("no access to the port");
        return 1;
    }
    outb((uint16_t)port, (uint8_t)val);
    put("written");
    return 0;
}

/* Works on a drive without a medium, too. */
static int do_ioctl(const char *file, uint64_t request)
{
    long fd = sys(SYS_OPEN, (long)file, O_NONBLOCK, 0, 0, 0, 0);
    long r = fd < 0 ? fd : sys(SYS_IOCTL, fd, (long)request, 0, 0, 0, 0);

    put(r < 0 ? "refused, error " : "done ");
    put_u64((uint64_t)(r < 0 ? -r : r));
    return r < 0;
}

/* CMOS register 0: the second, in BCD or binary (only its changes matter here). */
static unsigned rtc_second(void)
{
    outb(0x70, 0);
    return inb(0x71);
}

/* Nanoseconds (MONOTONIC_RAW) at the next change of the CMOS second; 0 after three seconds. */
static uint64_t rtc_edge(void)
{
    unsigned from = rtc_second();
    uint64_t start = now_ns(CLOCK_RAW);

    while (rtc_second() == from) {
        if (now_ns(CLOCK_RAW) - start > 3 * NS_PER_S) return 0;
        sleep_ns(1000000);
    }
    return now_ns(CLOCK_RAW);
}

static int do_rtc(uint64_t secs)
{
    uint64_t start, took;

    if (port_allow(0x70, 2) != 0) {
        put("no access to ports 0x70 and 0x71");
        return 1;
    }
    start = rtc_edge();
    if (start == 0) {
        put("the CMOS clock stands still");
        return 1;
    }
    took = start;
    for (uint64_t i = 0; i < secs; i++) took = rtc_edge();
    took -= start;
    put_u64(secs);
    put(" CMOS seconds took ");
    put_u64(took / 1000);
    put(" us");
    return !within_percent(took, secs * NS_PER_S);
}

/* A raw socket, bound to an interface and a type of frame that nobody else uses. */
enum {
    AF_PACKET = 17,
    SOCK_RAW = 3,
    ETH_P_TEST = 0x88b5,
    SIOCGIFINDEX = 0x8933,
    SIOCGIFHWADDR = 0x8927
};
#define FRAME_MAX 1514U

struct sockaddr_ll {
    uint16_t family, protocol;
    int32_t index;
    uint16_t type;
    uint8_t kind, address_bytes, address[8];
};

struct ifreq {
    char name[16];
    union {
        int32_t index;
        uint8_t address[24]; /* family, then the address */
    } u;
};

static long packet_socket(const char *name, uint8_t mac[6])
{
    struct ifreq r = {0};
    struct sockaddr_ll a = {AF_PACKET, ETH_P_TEST >> 8 | (ETH_P_TEST & 0xff) << 8, 0, 0, 0, 6, {0}};
    long fd = sys(SYS_SOCKET, AF_PACKET, SOCK_RAW, a.protocol, 0, 0, 0);

    for (unsigned i = 0; i < sizeof(r.name) - 1 && name[i]; i++) r.name[i] = name[i];
    if (sys(SYS_IOCTL, fd, SIOCGIFHWADDR, (long)&r, 0, 0, 0) != 0) return -1;
    for (unsigned i = 0; i < 6; i++) mac[i] = r.u.address[2 + i];
    if (sys(SYS_IOCTL, fd, SIOCGIFINDEX, (long)&r, 0, 0, 0) != 0) return -1;
    a.index = r.u.index;
    return sys(SYS_BIND, fd, (long)&a, sizeof(a), 0, 0, 0) == 0 ? fd : -1;
}

/* Frames of all lengths to the reflector, each awaited; it has the card's address with the last bit
 * inverted. */
static int do_reflect(const char *name, uint64_t count)
{
    static uint8_t out[FRAME_MAX], in[FRAME_MAX + 100];
    uint8_t mac[6];
    long fd = packet_socket(name, mac);
    uint64_t bytes = 0, ns = now_ns(CLOCK_RAW);

    if (fd < 0) {
        put("no such interface");
        return 1;
    }
    for (uint64_t n = 0; n < count; n++) {
        struct pollfd {
            int32_t fd;
            int16_t events, revents;
        } p = {(int32_t)fd, 1, 0};
        long length = (long)(60 + n * 97 % (FRAME_MAX - 59)), got;

        for (unsigned i = 0; i < 6; i++) out[i] = out[6 + i] = mac[i];
        out[5] ^= 1;
        out[12] = ETH_P_TEST >> 8;
        out[13] = ETH_P_TEST & 0xff;
        for (long i = 14; i < length; i++) out[i] = (uint8_t)mix(n << 16 | (uint64_t)i);
        if (sys(SYS_WRITE, fd, (long)out, length, 0, 0, 0) != length) {
            put("cannot send");
            return 1;
        }
        if (sys(SYS_POLL, (long)&p, 1, 2000, 0, 0, 0) != 1) {
            put("lost: frame ");
            put_u64(n);
            return 1;
        }
        got = sys(SYS_READ, fd, (long)in, sizeof(in), 0, 0, 0);
        for (unsigned i = 0; i < 6; i++) out[i] = mac[i];
        for (unsigned i = 0; i < 6; i++) out[6 + i] = mac[i];
        out[11] ^= 1;
        for (long i = 0; i < length; i++)
            if (got != length || in[i] != out[i]) {
                put("not what was sent: frame ");
                put_u64(n);
                return 1;
            }
        bytes += (uint64_t)length;
    }
    put_u64(count);
    put(" frames, ");
    put_u64(bytes);
    put(" bytes there and back, ");
    put_u64((now_ns(CLOCK_RAW) - ns) / count / 1000);
    put(" us each");
    return 0;
}

/* ---- What tests/bench/wire_flow.py measures ---- */

/* Windows of tests/bench/trace.c: instructions that nobody but the emulator's plugin looks at. */
#define WINDOW(id)  __asm__ volatile("nopl %c0(%%rax)" ::"i"(0x42480000 + (id)) : "memory")
#define WINDOW_END  0xffff
#define WINDOW_TCP  50
#define WINDOW_PING 51

enum { AF_INET = 2, SOCK_STREAM = 1, IPPROTO_ICMP = 1, SOL_SOCKET = 1, SO_REUSEADDR = 2 };
enum { ECHO_REPLY = 0, ECHO_REQUEST = 8 };

struct sockaddr_in {
    uint16_t family, port_be;
    uint8_t address[4], zero[8];
};

/* a.b.c.d */
static struct sockaddr_in address_of(const char *text, uint64_t port)
{
    struct sockaddr_in a = {AF_INET, (uint16_t)(port >> 8 | (port & 0xff) << 8), {0}, {0}};

    for (unsigned i = 0; i < 4 && text; i++) {
        a.address[i] = (uint8_t)parse_u64(text);
        while (*text >= '0' && *text <= '9') text++;
        text = *text == '.' ? text + 1 : NULL;
    }
    return a;
}

static long transfer(long call, long fd, uint8_t *buf, uint64_t bytes, uint64_t total)
{
    for (uint64_t done = 0; done < total;) {
        uint64_t left = total - done;
        long n = sys(call, fd, (long)buf, (long)(left < bytes ? left : bytes), 0, 0, 0);

        if (n <= 0) return -1;
        done += (uint64_t)n;
    }
    return 0;
}

static uint8_t chunk[65536];

/* Takes so much a round, and says after each with one byte that it has it. */
static int do_sink(uint64_t port, uint64_t kib, uint64_t rounds)
{
    struct sockaddr_in any = address_of(NULL, port);
    long one = 1, fd = sys(SYS_SOCKET, AF_INET, SOCK_STREAM, 0, 0, 0, 0), peer;

    (void)sys(SYS_SETSOCKOPT, fd, SOL_SOCKET, SO_REUSEADDR, (long)&one, 4, 0);
    if (sys(SYS_BIND, fd, (long)&any, sizeof(any), 0, 0, 0) != 0 ||
        sys(SYS_LISTEN, fd, 1, 0, 0, 0, 0) != 0 ||
        (peer = sys(SYS_ACCEPT, fd, 0, 0, 0, 0, 0)) < 0) {
        put("cannot listen");
        return 1;
    }
    for (uint64_t n = 0; n < rounds; n++)
        if (transfer(SYS_READ, peer, chunk, sizeof(chunk), kib * 1024) != 0 ||
            sys(SYS_WRITE, peer, (long)"+", 1, 0, 0, 0) != 1) {
            put("the connection has ended");
            return 1;
        }
    put("all has come");
    return 0;
}

static uint64_t number_in(const char *file)
{
    char text[32] = {0};
    long fd = sys(SYS_OPEN, (long)file, 0, 0, 0, 0, 0);

    (void)sys(SYS_READ, fd, (long)text, sizeof(text) - 1, 0, 0, 0);
    return parse_u64(text);
}

/* Of all frames, both ways. */
static uint64_t card_bytes(void)
{
    return number_in("/sys/class/net/eth0/statistics/tx_bytes") +
           number_in("/sys/class/net/eth0/statistics/rx_bytes");
}

/* The first round is a warm-up; the others are one window. */
static int do_pour(const char *address, uint64_t port, uint64_t kib, uint64_t rounds)
{
    struct sockaddr_in a = address_of(address, port);
    uint64_t before = 0;
    uint8_t yes;
    long fd = -1;

    for (unsigned i = 0; i < sizeof(chunk); i++) chunk[i] = (uint8_t)mix(i);
    for (unsigned tried = 0; tried < 100; tried++) {
        fd = sys(SYS_SOCKET, AF_INET, SOCK_STREAM, 0, 0, 0, 0);
        if (sys(SYS_CONNECT, fd, (long)&a, sizeof(a), 0, 0, 0) == 0) break;
        sleep_ns(NS_PER_S / 10);
    }
    for (uint64_t n = 0; n < rounds; n++) {
        if (n == 1) {
            before = card_bytes();
            WINDOW(WINDOW_TCP);
        }
        if (transfer(SYS_WRITE, fd, chunk, sizeof(chunk), kib * 1024) != 0 ||
            sys(SYS_READ, fd, (long)&yes, 1, 0, 0, 0) != 1) {
            put("the connection has ended");
            return 1;
        }
    }
    WINDOW(WINDOW_END);
    put("sent ");
    put_u64(kib * (rounds - 1));
    put(" KiB in frames of ");
    put_u64(card_bytes() - before);
    put(" bytes");
    return 0;
}

/* 56 bytes behind the header, as ping has it; RFC 792. @return whether its answer has come */
static int echo_once(long fd, uint16_t number)
{
    uint8_t packet[64] = {ECHO_REQUEST, 0, 0, 0, 'b', 'h', (uint8_t)(number >> 8), (uint8_t)number};
    uint8_t in[256];
    uint32_t sum = 0;

    for (unsigned i = 0; i < sizeof(packet); i += 2)
        sum += (uint32_t)packet[i] << 8 | packet[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    packet[2] = (uint8_t)(sum >> 8);
    packet[3] = (uint8_t)sum;
    if (sys(SYS_WRITE, fd, (long)packet, sizeof(packet), 0, 0, 0) != sizeof(packet)) return 0;
    for (;;) { /* in: 20 bytes of IP header */
        struct pollfd {
            int32_t fd;
            int16_t events, revents;
        } p = {(int32_t)fd, 1, 0};

        if (sys(SYS_POLL, (long)&p, 1, 2000, 0, 0, 0) != 1) return 0;
        if (sys(SYS_READ, fd, (long)in, sizeof(in), 0, 0, 0) == 20 + sizeof(packet) &&
            in[20] == ECHO_REPLY && in[26] == packet[6] && in[27] == packet[7])
            return 1;
    }
}

/* The first 16 are a warm-up. */
static int do_echo(const char *address, uint64_t count)
{
    struct sockaddr_in a = address_of(address, 0);
    long fd = sys(SYS_SOCKET, AF_INET, SOCK_RAW, IPPROTO_ICMP, 0, 0, 0);

    if (sys(SYS_CONNECT, fd, (long)&a, sizeof(a), 0, 0, 0) != 0) {
        put("no such address");
        return 1;
    }
    for (uint64_t n = 0; n < count + 16; n++) {
        if (n == 16) WINDOW(WINDOW_PING);
        if (!echo_once(fd, (uint16_t)n)) {
            put("lost: ");
            put_u64(n);
            return 1;
        }
    }
    WINDOW(WINDOW_END);
    put_u64(count);
    put(" answers");
    return 0;
}

static int run(long argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    uint64_t a = argc > 2 ? parse_u64(argv[2]) : 0;
    uint64_t b = argc > 3 ? parse_u64(argv[3]) : 0;
    uint64_t c = argc > 4 ? parse_u64(argv[4]) : 0;

    if (same(verb, "stream")) return do_stream(a);
    if (same(verb, "sleep")) return do_sleep(a);
    if (same(verb, "tsc")) return do_tsc(a);
    if (same(verb, "pattern")) return do_pattern(a, b);
    if (same(verb, "rtc")) return do_rtc(a);
    if (same(verb, "outb")) return do_outb(a, b);
    if (same(verb, "ioctl") && argc > 3) return do_ioctl(argv[2], b);
    if (same(verb, "reflect")) return do_reflect(argc > 2 ? argv[2] : "", b);
    if (same(verb, "echo") && argc > 3) return do_echo(argv[2], b);
    if (same(verb, "sink")) return do_sink(a, b, c);
    if (same(verb, "pour") && argc > 5) return do_pour(argv[2], b, c, parse_u64(argv[5]));
    put("usage: bhtest stream BYTES | sleep SECS | tsc KHZ | pattern SECS SEED | rtc SECS |\n"
        "       outb PORT VALUE (decimal) | ioctl FILE REQUEST (decimal) | reflect INTERFACE "
        "COUNT |\n       echo ADDRESS COUNT | sink PORT KIB ROUNDS | pour ADDRESS PORT KIB "
        "ROUNDS\n");
    return 2;
}

/* Entered from _start with the initial stack: argc, argv[0], ... */
void bhtest_start(long *stack)
{
    (void)sys(SYS_EXIT_GROUP, run(stack[0], (char **)(stack + 1)), 0, 0, 0, 0, 0);
    for (;;)
        ;
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call bhtest_start\n");
