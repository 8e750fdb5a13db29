#!/usr/bin/python3
"""One run of the system in an emulator.

COM1 is the VMs' console: stdout, and the keyboard when interactive (Ctrl-A X ends the run).
COM2 is the system log: log.txt in the run's directory build/run/N. The system's last log line,

    bulkhead: end status=N reason=<words>

COM3 is the control channel, on which root answers bhctl: the socket control.sock of the directory.
The log line gives the exit status; the log's `audit:` lines are repeated on stderr when N says that a VM did not
end by itself (122, 123). Exit status otherwise: 124 after the timeout, 125 when the system ended without that
line, 130 after Ctrl-A X. Nothing outlives the run: both emulators die with this process, and their
console is a pseudo-terminal or a pair of pipes, so no port is opened. When a check of the emulator's own
ended it, the reason (status 125) begins with DIED.

As a module: Emulator(Settings(...)).run(), or start / send / expect / finish for scripted sessions.
"""
import argparse
import ctypes
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import tty

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT, NO_END, QUIT = 124, 125, 130
DIED = "the emulator itself has died"
LATE = "not said within"
# Given by the system itself: a VM's images are unusable, a VM was stopped, the kernel panicked, root cannot start.
IMAGE, STOPPED, PANIC, BROKEN = 122, 123, 70, 121
END = re.compile(r"^bulkhead: end status=(\d+) reason=(.*?)\r?(\n|\Z)", re.M)
# How long an emulator may take to exit by itself after the end line.
GRACE_S = 2.0
# Bochs loses what does not fit its UART's 16 bytes: it gets half of them at a time, the next once it has run for so
# long (not: once so much time has passed, of which it may have got none), or slept so often: idle, it does for a
# millisecond at a time.
FIFO_HALF, FIFO_DRAINS_S, FIFO_SLEEPS, FIFO_GIVE_UP_S = 8, 0.1, 80, 5
# UEFI firmware as flash: its code, and the variables of a machine that has booted nothing yet.
OVMF_CODE, OVMF_VARS = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"
PR_SET_PDEATHSIG = 1

BOCHSRC = """\
config_interface: textconfig
display_library: term
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=0, serial=1
sound: driver=dummy
memory: guest={mem}, host={host_mem}
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
pci: enabled=1, chipset=i440fx
boot: cdrom
ata0: enabled=0
ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
ata1-master: type=cdrom, path={iso}, status=inserted
cpu: model={cpu}, count={cpus}, ips=90000000, quantum=16, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync={sync}, time0={time0}, rtc_sync=0
com1: enabled=1, mode=term, dev={com1}
com2: enabled=1, mode=file, dev={com2}
com3: enabled=1, mode=term, dev={com3}
port_e9_hack: enabled=0
panic: action=fatal
error: action=report
info: action=ignore
log: {dir}/bochs.log
magic_break: enabled=0
{more}
"""


class Settings:
    """What to run. kernel and boot are files; iso replaces both (Bochs, or QEMU's CD).

    uefi: QEMU starts the iso by UEFI; the firmware talks on COM1, too. stick: the iso is a USB stick.
    bochs_trace: linear addresses, each executed after the one before; from the last one on Bochs
    writes every instruction to the file "trace" of the directory. icount_shift: an instruction takes
    2^shift ns. icount_waits: counted time of idle CPUs passes as the clock on the wall does, for systems with
    somebody at the keyboard; otherwise it jumps to the next timer.
    """

    def __init__(self, kernel=None, boot=None, iso=None, emu="auto", cpus=1, mem=1024, cpu=None,
                 icount=False, timeout=None, cmdline="", interactive=False, directory=None,
                 gdb=False, qemu_args=(), log_to_stderr=False, uefi=False,
                 stick=False, bochs_trace=None, icount_shift=0, icount_waits=False):
        self.kernel, self.boot, self.iso = kernel, boot, iso
        self.emu = "qemu" if emu == "auto" else emu
        self.accelerate = emu == "auto" and not icount and not cpu and nested_vmx()
        self.cpus, self.mem, self.cpu = cpus, mem, cpu
        self.icount, self.timeout, self.cmdline = icount, timeout, cmdline
        self.interactive, self.gdb = interactive, gdb
        self.qemu_args = list(qemu_args)
        self.log_to_stderr = log_to_stderr
        self.uefi, self.stick = uefi, stick
        self.bochs_trace = bochs_trace
        self.icount_shift, self.icount_waits = icount_shift, icount_waits
        self.directory = directory or new_run_directory()
        os.makedirs(self.directory, exist_ok=True)


def nested_vmx():
    """Whether this machine can run a hypervisor inside KVM. Any other KVM is never used."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            flags = next((line for line in f if line.startswith("flags")), "").split()
        with open("/sys/module/kvm_intel/parameters/nested", encoding="ascii") as f:
            nested = f.read().strip()
    except OSError:
        return False
    return "vmx" in flags and nested in ("Y", "1") and os.access("/dev/kvm", os.R_OK | os.W_OK)


def new_run_directory(base="build/run", keep=30):
    """A fresh build/run/N; the oldest ones beyond `keep` that are over an hour old go."""
    os.makedirs(base, exist_ok=True)
    numbers = sorted(int(name) for name in os.listdir(base) if name.isdigit())
    for number in numbers[:-keep]:
        old = os.path.join(base, str(number))
        try:
            if time.time() - os.stat(old).st_mtime > 3600:
                shutil.rmtree(old, ignore_errors=True)
        except FileNotFoundError:
            pass  # another run was faster
    number = numbers[-1] + 1 if numbers else 1
    while True:
        path = os.path.join(base, str(number))
        try:
            os.mkdir(path)
            return path
        except FileExistsError:
            number += 1


def die_with_parent():
    """In the child: be killed when this process ends, however it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def work_done(pid):
    """CPU seconds that a process has used, and how often it has gone to sleep (proc(5)); infinity when it is no more."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            words = f.read().rpartition(")")[2].split()
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
            sleeps = int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", f.read(), re.M)[1])
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK"), sleeps
    except OSError:
        return float("inf"), float("inf")


def draining(pid):
    """What Bochs is given now it takes until it has run for a while: a function that says whether it has."""
    (cpu, sleeps), least = work_done(pid), time.monotonic() + FIFO_DRAINS_S

    def drained():
        now_cpu, now_sleeps = work_done(pid)
        return time.monotonic() >= least and (now_cpu >= cpu + FIFO_DRAINS_S or now_sleeps >= sleeps + FIFO_SLEEPS or
                                              time.monotonic() >= least + FIFO_GIVE_UP_S)
    return drained


class Relay(threading.Thread):
    """Bochs' COM3 as a socket like QEMU's: one client at a time, what nobody wants to hear is
    dropped."""

    def __init__(self, path, fd):
        super().__init__(daemon=True)
        self.fd, self.client, self.ended, self.pid = fd, None, False, None
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(1)
        os.set_blocking(fd, False)

    def run(self):
        while not self.ended:
            wanted = [self.fd, self.client or self.server]
            ready, _, _ = select.select(wanted, [], [], 0.1)
            if self.server in ready:
                self.client, _ = self.server.accept()
                self.client.settimeout(1)
            try:
                if self.client in ready:
                    data = self.client.recv(FIFO_HALF)
                    if data:
                        os.write(self.fd, data)
                        drained = draining(self.pid)
                        while not drained():
                            time.sleep(0.02)
                    else:
                        self._hang_up()
                if self.fd in ready:
                    data = os.read(self.fd, 4096)
                    if self.client:
                        self.client.sendall(data)
            except OSError:
                self._hang_up()

    def _hang_up(self):
        if self.client:
            self.client.close()
        self.client = None

    def close(self):
        self.ended = True
        self.join()
        self._hang_up()
        self.server.close()


class Emulator:
    """A running emulator with its console (COM1) and log (COM2)."""

    def __init__(self, settings):
        self.settings = settings
        self.directory = settings.directory
        self.log_path = os.path.join(self.directory, "log.txt")
        self.control_path = os.path.join(self.directory, "control.sock")
        self.console_path = os.path.join(self.directory, "console")  # two pipes
        self.relay = None  # to Bochs' COM3
        self.console = bytearray()  # everything COM1 has said
        self.process = None
        self.fd = self.keys = -1  # our ends of COM1: what it says, what it is told
        self.screen = -1  # our end of Bochs' text display
        self.drained = lambda: True  # whether COM1 takes more
        self.spare_fds = []
        self.outcome = None  # exit status once known
        self.reason = ""
        self.end_seen_at = None
        self.log_shown = 0
        self.log_size = 0  # when it was last searched

    # -- starting ----------------------------------------------------------------------------------

    def start(self):
        """Start the emulator; the caller must reach finish()."""
        open(self.log_path, "wb").close()
        if os.path.exists(self.control_path):
            os.unlink(self.control_path)
        self.started_at = time.monotonic()
        if self.settings.emu == "qemu":
            self._start_qemu()
        elif self.settings.emu == "bochs":
            self._start_bochs()
        else:
            sys.exit(f"emu: unknown emulator '{self.settings.emu}': want auto, qemu or bochs")
        os.set_blocking(self.fd, False)
        return self

    def _spawn(self, command, stdin, stdout, **more):
        with open(os.path.join(self.directory, "command"), "w", encoding="utf-8") as f:
            f.write(" ".join(command) + "\n")
        try:
            self.process = subprocess.Popen(command, stdin=stdin, stdout=stdout,
                                            stderr=subprocess.STDOUT,
                                            preexec_fn=die_with_parent, **more)
        except FileNotFoundError:
            sys.exit(f"emu: {command[0]} is not installed; tests/lib/install.sh installs it")

    def _pipe(self, end, mode):
        path = self.console_path + end
        if os.path.exists(path):
            os.unlink(path)
        os.mkfifo(path)
        return os.open(path, mode | os.O_NONBLOCK)

    def _start_qemu(self):
        s = self.settings
        # A pipe holds 64 KiB of a console that this process is late to read; a socket would hold fewer than 300 bytes
        # that come one by one, and the UART stands meanwhile.
        self.fd, self.keys = self._pipe(".out", os.O_RDONLY), self._pipe(".in", os.O_RDWR)
        machine, cpu = "q35", s.cpu or "EPYC"
        command = ["qemu-system-x86_64"]
        if s.accelerate:
            machine, cpu = "q35,kernel-irqchip=split", "host"
            command += ["-accel", "kvm"]
        else:
            command += ["-accel", "tcg,thread=single" if s.icount else "tcg"]
        if s.icount:
            command += ["-icount", f"shift={s.icount_shift},sleep={'on' if s.icount_waits else 'off'}"]
        command += ["-machine", machine, "-cpu", cpu, "-m", str(s.mem), "-smp", str(s.cpus),
                    "-nodefaults", "-display", "none", "-monitor", "none", "-no-reboot",
                    "-nic", "none",
                    "-chardev", f"pipe,id=com1,path={self.console_path}", "-serial", "chardev:com1",
                    "-serial", f"file:{self.log_path}",
                    "-chardev", f"socket,id=com3,path={self.control_path},server=on,wait=off",
                    "-serial", "chardev:com3",
                    "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        if s.uefi:
            variables = os.path.join(self.directory, "efivars.fd")
            shutil.copyfile(OVMF_VARS, variables)
            flash = "if=pflash,format=raw"
            command += ["-drive", f"{flash},unit=0,readonly=on,file={OVMF_CODE}",
                        "-drive", f"{flash},unit=1,file={variables}"]
        if s.stick:
            command += ["-drive", f"if=none,id=stick,format=raw,readonly=on,file={s.iso}",
                        "-device", "qemu-xhci", "-device", "usb-storage,drive=stick"]
        elif s.iso:
            command += ["-cdrom", s.iso]
        else:
            command += ["-kernel", s.kernel]
            if s.boot:
                command += ["-initrd", s.boot]
            if s.cmdline:
                command += ["-append", s.cmdline]
        if s.gdb:
            gdb = os.path.join(self.directory, "gdb.sock")
            command += ["-S", "-gdb", f"unix:path={gdb},server=on,wait=off"]
        command += s.qemu_args
        with open(os.path.join(self.directory, "emulator.txt"), "wb") as out:
            self._spawn(command, subprocess.DEVNULL, out)

    def _start_bochs(self):
        s = self.settings
        iso = s.iso
        if not iso:
            iso = os.path.join(self.directory, "boot.iso")
            subprocess.run([os.path.join(HERE, "mkiso.sh"), iso, s.kernel, s.boot] +
                           ([s.cmdline] if s.cmdline else []), check=True)
        self.fd, com1 = pty.openpty()
        self.keys = os.dup(self.fd)
        tty.setraw(com1)
        name = os.ttyname(com1)
        control, com3 = pty.openpty()
        tty.setraw(com3)
        # An open slave keeps the master from reading EIO before Bochs opens it.
        self.spare_fds = [com1, com3, control]
        self.relay = Relay(self.control_path, control)
        self.relay.start()
        config = os.path.join(self.directory, "bochsrc")
        with open(config, "w", encoding="ascii") as f:
            f.write(BOCHSRC.format(
                mem=s.mem, host_mem=min(s.mem, 2048), iso=iso,
                cpu=s.cpu or "corei7_skylake_x", cpus=s.cpus, com1=name, com2=self.log_path, com3=os.ttyname(com3),
                dir=self.directory, sync="none", time0=1700000000 if s.icount else "utc",
                more=f"debugger_log: {self.directory}/trace" if s.bochs_trace else ""))
        go = os.path.join(self.directory, "debugger")
        with open(go, "w", encoding="ascii") as f:
            if s.bochs_trace:
                for number, address in enumerate(s.bochs_trace, 1):
                    f.write(f"lb 0x{address:x}\nc\ndel {number}\n")
                f.write("trace on\n")
            f.write("c\n")
        # Bochs insists on a screen. Its VNC display listens on every network interface, so it gets
        # a text display on a pseudo-terminal that nobody looks at (but _look() drains).
        self.screen, screen = pty.openpty()
        # While a CPU is halted, that display waits up to a millisecond for a key, with several CPUs after every few
        # instructions of the others: from a file it does not wait.
        keys = screen if s.cpus == 1 else subprocess.DEVNULL
        self._spawn(["bochs", "-q", "-f", config, "-rc", go], keys, screen,
                    start_new_session=True, env=dict(os.environ, TERM="vt100"))
        self.relay.pid = self.process.pid
        os.close(screen)
        os.set_blocking(self.screen, False)

    # -- talking -----------------------------------------------------------------------------------

    def send(self, data):
        """Type bytes on COM1; waits while the emulator does not take them."""
        while data and self.outcome is None:
            while not self.drained():
                self.step(0.02)
            try:
                data = data[os.write(self.keys, data[:FIFO_HALF] if self.screen >= 0 else data):]
                if self.screen >= 0:
                    self.drained = draining(self.process.pid)
            except BlockingIOError:
                self.step(0.05)
            except OSError:
                return  # the emulator is gone; step() reports it

    def step(self, seconds):
        """Wait up to that long for something to happen. Returns new console bytes (maybe none)."""
        had, data = len(self.console), b""
        readable, _, _ = select.select([self.fd], [], [], seconds)
        if readable:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                pass
            except OSError:
                data = b""  # hung up
            if not data:
                time.sleep(0.02)
        self.console += data
        self._look()
        return bytes(self.console[had:])

    def log(self):
        """The system log so far, as text."""
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def words(self):
        """What the emulator itself said."""
        try:
            with open(os.path.join(self.directory, "emulator.txt"), encoding="utf-8",
                      errors="replace") as f:
                return f.read().strip()
        except OSError:
            return ""

    def _look(self):
        """Find out whether the run is over."""
        if self.outcome is not None:
            return
        now = time.monotonic()
        if self.screen >= 0:
            self._drain_screen()
        over = self.process.poll() is not None
        if over:
            self._read_rest()
        if self.settings.log_to_stderr:
            text = self.log()
            sys.stderr.write(text[self.log_shown:])
            self.log_shown = len(text)
        size = os.path.getsize(self.log_path)
        if self.end_seen_at is None and (over or size != self.log_size):
            self.log_size = size
            match = END.search(self.log())
            if match and (over or match[3]):  # the whole line
                self.end_seen_at = now
                self.status, self.reason = int(match[1]), match[2]
        if self.end_seen_at is not None and (over or now - self.end_seen_at > GRACE_S):
            self.outcome = min(self.status, 255)
        elif over:
            self.outcome, self.reason = NO_END, self._died() or "the system ended without a word"
        elif self.settings.timeout and now - self.started_at > self.settings.timeout:
            self.outcome, self.reason = TIMEOUT, f"timeout after {self.settings.timeout} s"

    def _read_rest(self):
        """What the emulator said last."""
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return
            if not data:
                return
            self.console += data

    def _died(self):
        """When a signal has ended the emulator, which no guest can send, or QEMU has ended before the system said a
        word: that and its last words."""
        code = self.process.returncode
        signalled = code in (-signal.SIGABRT, -signal.SIGSEGV)
        if not signalled and (code <= 0 or self.log_size or self.settings.emu != "qemu"):
            return ""
        with open(os.path.join(self.directory, "emulator.txt"), encoding="utf-8", errors="replace") as f:
            words = f.read().strip().rpartition("\n")[2]
        return f"{DIED} (signal {-code}): {words}" if signalled else f"the emulator has not started (status {code}): {words}"

    def _drain_screen(self):
        """Keep Bochs' display from blocking; what it says goes to emulator.txt."""
        try:
            data = os.read(self.screen, 65536)
        except OSError:
            return  # nothing there, or closed
        with open(os.path.join(self.directory, "emulator.txt"), "ab") as f:
            f.write(data)

    def said(self):
        return self.console.decode("utf-8", "replace")

    def expect(self, pattern, seconds, log=False, since=0):
        """Wait until the console (or the log), behind its first since characters, matches a regular expression; the
        match, or None."""
        deadline = time.monotonic() + seconds
        while True:
            text = self.log() if log else self.said()
            match = re.search(pattern, text[since:], re.M)
            if match:
                return match
            if self.outcome in (None, TIMEOUT) and (self.outcome or time.monotonic() > deadline):
                print(f"--- {LATE} {seconds} s: {pattern}", flush=True)
                return None
            if self.outcome is not None:
                print(f"--- status {self.outcome}: {self.reason}", flush=True)
                return None
            self.step(0.1)

    def wait(self):
        """Wait for the end; the exit status."""
        while self.outcome is None:
            self.step(0.2)
        return self.finish()

    def finish(self):
        """Kill what is left; the exit status. May be called more than once."""
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
        if self.fd >= 0:
            self._read_rest()
            os.close(self.fd)
            os.close(self.keys)
            self.fd = self.keys = -1
        if self.screen >= 0:
            self._drain_screen()
            self.spare_fds.append(self.screen)
            self.screen = -1
        if self.relay:
            self.relay.close()
            self.relay = None
        for fd in self.spare_fds:
            os.close(fd)
        self.spare_fds = []
        with open(os.path.join(self.directory, "console.txt"), "wb") as f:
            f.write(self.console)
        for name in ("boot.iso", "efivars.fd", "control.sock", "console.in", "console.out"):
            if os.path.exists(os.path.join(self.directory, name)):
                os.unlink(os.path.join(self.directory, name))
        return self.outcome if self.outcome is not None else QUIT

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, *_):
        self.finish()


class Terminal:
    """This process's terminal as the console: raw while the run lasts."""

    PREFIX = b"\x01"

    def __init__(self, interactive):
        self.saved = None
        self.pending = False
        self.input = interactive
        if interactive and sys.stdin.isatty():
            self.saved = termios.tcgetattr(0)
            tty.setraw(0)

    def close(self):
        if self.saved:
            termios.tcsetattr(0, termios.TCSADRAIN, self.saved)
            self.saved = None

    def keys(self):
        """Typed bytes to pass on, or None for Ctrl-A X. Ctrl-A with any other key is passed on."""
        if not self.input or not select.select([0], [], [], 0)[0]:
            return b""
        data = os.read(0, 4096)
        if not data:
            self.input = False
        out = b""
        for byte in (bytes([b]) for b in data):
            if self.pending and byte in b"xX":
                return None
            if self.pending:
                out += self.PREFIX
                self.pending = False
                if byte == self.PREFIX:
                    continue
            elif byte == self.PREFIX:
                self.pending = True
                continue
            out += byte
        return out


def report(emulator, status):
    """On stderr: why a run did not end well."""
    log = emulator.log()
    if status in (IMAGE, STOPPED, BROKEN):
        for line in log.splitlines():
            # What root says of a VM, or of all, is the reason why it was never started; what is off is none.
            audit = r'audit: (?!{"event": "protection)'
            found = re.search(audit + (r".*|root: (?!protection).*" if status == BROKEN else r".*|root: vm .*"), line)
            if found:
                print(found[0], file=sys.stderr)
    if status in (TIMEOUT, NO_END, PANIC):
        print(f"emu: {emulator.reason}; end of {emulator.log_path}:", file=sys.stderr)
        for line in log.splitlines()[-25:]:
            print("    " + line, file=sys.stderr)
        said = "\n".join(line for line in emulator.words().splitlines()
                         if "doesn't support requested feature" not in line)
        if said and emulator.settings.emu == "qemu":
            print("emu: the emulator said:", said[-2000:], file=sys.stderr)
    elif status:
        print(f"emu: status {status}: {emulator.reason} (log: {emulator.log_path})", file=sys.stderr)


def run(settings):
    """Run to the end with this process's stdin and stdout as the console; the exit status."""
    def stop(number, _frame):
        raise SystemExit(128 + number)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)

    emulator = Emulator(settings)
    terminal = None
    try:
        emulator.start()
        terminal = Terminal(settings.interactive)
        shown = 0
        while emulator.outcome is None:
            emulator.step(0.02 if settings.interactive else 0.1)
            shown += os.write(1, emulator.console[shown:])
            keys = terminal.keys()
            if keys is None:
                emulator.outcome, emulator.reason = QUIT, "ended by Ctrl-A X"
            elif keys:
                emulator.send(keys)
    except KeyboardInterrupt:
        emulator.outcome, emulator.reason = QUIT, "interrupted"
    except BrokenPipeError:
        emulator.outcome, emulator.reason = QUIT, "nobody reads the output"
    finally:
        status = emulator.finish()
        if terminal:
            terminal.close()
    try:
        while shown < len(emulator.console):
            shown += os.write(1, emulator.console[shown:])
        # What follows is on a line of its own, not after a guest's prompt.
        if settings.interactive and emulator.console and emulator.console[-1:] != b"\n":
            print(file=sys.stderr)
    except OSError:
        pass
    report(emulator, status)
    return status


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emu", default="auto", choices=["auto", "qemu", "bochs"])
    parser.add_argument("--kernel", default="build/kernel/bulkhead.elf")
    parser.add_argument("--boot", help="boot module, see mkboot.py")
    parser.add_argument("--iso", help="boot this CD instead")
    parser.add_argument("--uefi", action="store_true", help="boot it by UEFI (QEMU)")
    parser.add_argument("--stick", action="store_true", help="as a USB stick (QEMU)")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--mem", type=int, default=1024, help="MiB")
    parser.add_argument("--cpu", help="the emulator's name of a CPU model")
    parser.add_argument("--icount", action="store_true", help="one ns and TSC tick an instruction")
    parser.add_argument("--timeout", type=float, help="seconds")
    parser.add_argument("--cmdline", default="", help="the kernel's")
    parser.add_argument("--interactive", action="store_true", help="stdin goes to COM1")
    parser.add_argument("--dir", dest="directory", help="default: a new build/run/N")
    parser.add_argument("--gdb", action="store_true", help="wait for gdb (QEMU)")
    parser.add_argument("--log", dest="log_to_stderr", action="store_true", help="show COM2 too")
    parser.add_argument("--qemu-arg", dest="qemu_args", action="append", default=[])
    sys.exit(run(Settings(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
