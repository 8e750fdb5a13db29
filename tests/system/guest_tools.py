"""What a guest's own tools say of the virtual PC: pciutils' lspci and cpuid, as Debian has them."""
import os
import re
import subprocess

import virtio
from case import case, check, start_vms, to_the_end

INITRD = "build/guests/linux/initrd-virtio.cpio"
TOOLS = ("/usr/bin/lspci", "/usr/bin/cpuid")
PCI_IDS = "/usr/share/misc/pci.ids"


def initrd(t):
    """Our initrd with the tools and their libraries; its path."""
    files = {PCI_IDS: PCI_IDS}
    for tool in TOOLS:
        files["bin/" + os.path.basename(tool)] = tool
        for library in re.findall(r"(/\S+) \(0x", t.command("ldd", tool)):
            files[library[1:]] = os.path.realpath(library)
    folders = set()
    for path in files:
        parts = path.strip("/").split("/")[:-1]
        folders.update("/".join(parts[:n + 1]) for n in range(len(parts)))
    directory = t.new_dir()
    listed, out = directory + "/list", directory + "/initrd-tools.cpio"
    with open(listed, "w", encoding="ascii") as f:
        f.writelines(f"dir {folder} 755\n" for folder in sorted(folders))
        f.writelines(f"file {path.strip('/')} {source} 755\n" for path, source in files.items())
    t.command("guests/linux/newc.py", listed, out + ".tools")
    with open(out, "wb") as f:
        subprocess.run(["cat", INITRD, out + ".tools"], stdout=f, check=True)
    return out


def said_by_tools(t, cpus, **settings):
    """{command: what it said} in a VM with every device."""
    path, _ = virtio.disk(t)
    vm = {"memory-mib": 160, "cpus": cpus, "kernel": "vmlinuz-cloud", "initrd": "tools.cpio", "display": "vga",
          "network": "loopback", "balloon-mib": 4, "append": "console=ttyS0 quiet bh.test=tools",
          "disks": {"disk": {"image": "disk.img"}, "sata": {"image": "disk.img", "bus": "ahci"}}}
    images = {"disk.img": path, "tools.cpio": initrd(t)}
    with start_vms(t, {"work": vm}, images=images, host_cpus=min(cpus, 2), **settings) as system:
        result = to_the_end(system)
    check(result.status == 0 and "BH-DONE tools pass" in result.console, "the tools have run", result)
    return dict(re.findall(r"^BH-SAID (.*?)\n(.*?)^BH-END$", result.console.replace("\r", ""), re.M | re.S))


# lspci 3.9 has no name for virtio's window to a BAR (cfg_type 5), whoever makes the device; and it looks for
# the names of modules, of which the initrd keeps no list.
KNOWN = ("Vendor Specific Information: VirtIO: <unknown>\n", "lspci: Unable to load libkmod resources: error -2\n")
LSPCI_COMPLAINS = r"!!!|<[a-z -]+>|lspci:|pcilib:|[Ii]nvalid|Unknown|MAbort\+|TAbort\+|PERR\+|SERR\+"


def pci_right(said):
    for words in KNOWN:
        said = said.replace(words, "\n")
    for words in ("Host bridge: Intel", "VGA compatible controller", "Virtio 1.0 block device",
                  "Virtio 1.0 network device", "Virtio 1.0 console", "Virtio 1.0 RNG", "Virtio 1.0 memory balloon",
                  "ISA bridge: Intel", "SATA controller: Intel"):
        check(words in said, f"lspci finds a {words}: {said}")
    wrong = [line for line in said.splitlines() if re.search(LSPCI_COMPLAINS, line)]
    check(not wrong, f"lspci is content: {wrong}")


def cpuid_right(said, cpus):
    """Each CPU is one core of one package, told by its APIC ID alone; all else is the same."""
    all_cpus = re.split(r"^CPU \d+:\n", said, flags=re.M)[1:]
    check(len(all_cpus) == cpus, f"{len(all_cpus)} CPUs")
    own = r"^ +(process local APIC physical ID|extended APIC ID|\(APIC synth\): ).*\n"
    check(len({re.sub(own, "", one, flags=re.M) for one in all_cpus}) == 1, "all CPUs are alike")
    for n, one in enumerate(all_cpus):
        for words in (f"process local APIC physical ID = {n:#x} ({n})\n", f"extended APIC ID                      = {n}\n",
                      f"(APIC synth): PKG_ID=0 CORE_ID={n} SMT_ID=0\n", f"(multi-processing synth) = multi-core (c={cpus})\n",
                      'hypervisor_id (0x40000000) = "KVMKVMKVM'):
            check(words in one, f"CPU {n}: {words.strip()}: {one}")
    wrong = re.findall(r".*(?:rror:|arning|\?\?\?|nrecogni|nconsisten|orrupt).*", said)
    check(not wrong, f"cpuid is content: {wrong}")


@case(("qemu",), cost=20, limit=300)
def pci_and_cpuid(t):
    """lspci -vv and cpuid have nothing to say against a VM with every device and four vCPUs."""
    said = said_by_tools(t, 4, timeout=280)
    cpuid_right(said["cpuid -i"], 4)
    pci_right(said["lspci -vv"])
