"""A kernel panic says all that it should: what broke, the registers, and the way there by name."""
import re
import subprocess

from case import broken_kernel, case, check, run_guest

PANICKED = 70
REGISTERS = ("rip cs rflags rsp ss cr3 rax rbx rcx rdx rsi rdi rbp r8 r9 r10 r11 r12 r13 r14 r15").split()
STEP = re.compile(r"^  ([0-9a-f]{16}) (\S+)\+0x([0-9a-f]+)$", re.M)


def functions(kernel):
    """[(address, name)] by address."""
    out = subprocess.run(["nm", "-n", kernel], check=True, capture_output=True, text=True).stdout
    return [(int(address, 16), name) for address, kind, name in (line.split() for line in out.splitlines())
            if kind in "tT"]


def before(kernel, address):
    """The instruction that ends at an address, as text."""
    out = subprocess.run(["objdump", "-d", "--no-show-raw-insn", f"--start-address={address - 5:#x}",
                          f"--stop-address={address:#x}", kernel], check=True, capture_output=True, text=True).stdout
    return out.strip().splitlines()[-1]


def panics(t, switch):
    """Run a broken kernel until it panics: (its file, the log, [(address, name)] of the backtrace)."""
    kernel = broken_kernel(t, switch)
    result = run_guest(t, "build/tests/guests/hello.elf", mem=64, timeout=90, kernel=kernel)
    log = result.log.replace("\r", "")
    print(log[-4000:])
    check(result.status == PANICKED, f"status {PANICKED}", result)
    check(log.count("PANIC on CPU") == 1 and "kernel panic" in result.reason, "one panic, and the reason of the end")
    for register in REGISTERS:
        check(re.search(rf"\b{register} +[0-9a-f]+\b", log.split("PANIC", 1)[1]), f"register {register} is there")
    check("PANIC on CPU" in result.console, "COM1 has it as well")
    table = functions(kernel)
    steps = [(int(address, 16), name, int(offset, 16)) for address, name, offset in STEP.findall(log)]
    check(len(steps) >= 2, "a backtrace")
    for n, (address, name, offset) in enumerate(steps):
        at = address if n == 0 else address - 1
        start = max(start for start, _ in table if start <= at)
        check((start, name) in table and address == start + offset, f"{address:#x} is in {name}")
        check(at == address or re.search(r"\bcall\b|int3", before(kernel, address)), f"{address:#x} is behind a call")
    rip = int(re.search(r"^rip ([0-9a-f]{16})", log, re.M)[1], 16)
    check(rip == steps[0][0], "it begins at RIP")
    return kernel, log, steps


@case(("qemu", "bochs"), cost=15, limit=200)
def invariant(t):
    """A broken invariant that the code itself finds: a context queued twice."""
    kernel, log, steps = panics(t, "BREAK_QUEUED_TWICE")
    check(re.search(r"PANIC on CPU \d+: broken invariant:\na heap handle is queued once \(error \d+\)", log) or
          "a heap handle is queued once" in log, "the invariant is named")
    check(steps[0][1] == "panic" and re.search(r"call.*<panic>", before(kernel, steps[1][0])),
          "the first step is panic(), the second calls it")
    names = [name.partition(".")[0] for _, name, _ in steps[1:]]
    check(set(names) & {"ready_put", "sc_enqueue", "sched_wake", "schedule", "sched_expire"},
          f"the scheduler is on the way: {names}")


@case(("qemu", "bochs"), cost=15, limit=200)
def fault(t):
    """An exception in the kernel: a write through a stray pointer in sys_yield()."""
    _, log, steps = panics(t, "BREAK_STRAY_WRITE")
    check(re.search(r"broken invariant: no #PF in the kernel \(error 2, cr2 7ffffffff000\)", log),
          "what, and where to")
    check([name for _, name, _ in steps[:2]] == ["sys_yield", "do_yield"], "who wrote, and who called it")
