# SPDX-License-Identifier: BSD-3-Clause
"""The interop lab with a virtual machine in the place of the server's namespace.

    guests ── bridge ── TAP = NIC access │ machine │ NIC core = TAP ── intranet host
    [inet: 198.51.100.0/24]              [QEMU]                        [intranet: 10.0.0.0/24]
"""
import contextlib
import re
import shutil

import pnslab
from pnslab import lab as labs
from pnslab import server as servers

from . import SOURCE
from . import machine as machines

TAPS = ("vm-access", "vm-core")
MEMORY = 384  # MiB of packet buffers in the machine; without an IOMMU they are in pieces
HUGE_PAGES = 560  # MiB: packet buffers, sessions, and room for a second dataplane's sessions
START_SECONDS = 600
# For the limits of the unit: other work of the host slows the emulator down.
PATIENCE = "[Service]\nTimeoutStartSec=600\nTimeoutStopSec=60\n"

CONFIG = {
    "dataplane": f"""dataplane:
  cores: {{main: 0, workers: [1]}}
  memory: {{hugepages: on, megabytes: {MEMORY}}}
  max_sessions: 1024
""",
    "ports": f"""ports:
  access: {{device: "{machines.ACCESS_PCI}", addresses: [{labs.ACCESS}/24]}}
  core: {{device: "{machines.CORE_PCI}", addresses: [{labs.CORE}/24, "{labs.CORE6}/64"]}}
""",
}


def drop_in():
    """The drop-in of docs/real-nics.md, with this machine's NICs, memory and cores."""
    page = (SOURCE / "docs" / "real-nics.md").read_text()
    section = page.partition("## 4. systemd")[2]
    block = re.search(r"(?m)^    \[Unit\]\n(?:(?:    .*)?\n)+", section)[0]
    text = "\n".join(line[4:] for line in block.rstrip().splitlines()) + "\n"
    for pattern, ours in ((r"(?<=bind ).*", f"{machines.ACCESS_PCI} {machines.CORE_PCI}"),
                          (r"(?<=hugepages )\d+", str(HUGE_PAGES)), (r"(?m)(?<=^CPUAffinity=)\d.*", "0")):
        text, count = re.subn(pattern, ours, text)
        if count != 1:
            raise pnslab.LabError(f"docs/real-nics.md: {pattern} is {count} times in its drop-in")
    return text


def uio_drop_in():
    """The same for a machine without an IOMMU, by uio_pci_generic."""
    page = (SOURCE / "docs" / "real-nics.md").read_text()
    section = page.partition("### Without an IOMMU")[2]
    block = re.search(r"(?m)^    \[Service\]\n(?:    .*\n)+", section)[0]
    more = "".join(line[4:] + "\n" for line in block.splitlines())
    return drop_in().replace("vfio_pci", "uio_pci_generic").replace("prepare-nic bind", "prepare-nic bind --uio") + more


class InstalledServer(servers.Server):
    """The product under systemd in the machine: the questions of an operator, asked there."""

    def __init__(self, machine):  # pylint: disable=super-init-not-called
        self.machine = machine
        self.process = machine.process

    def wait_ready(self):
        self.machine.run("systemctl start pns", timeout=START_SECONDS)
        return self

    def journal(self):
        return self.machine.run("journalctl -q -u pns -o cat --no-pager")

    def log_tail(self, lines=40):
        return "\n".join(self.journal().splitlines()[-lines:])

    def property(self, name):
        """Of the unit."""
        return self.machine.run(f"systemctl show -P {name} pns").strip()

    def pid_of(self, plane):
        status, output = self.machine.try_run(f"cat /run/pns/{plane}.pid")
        return int(output) if status == 0 and output.strip().isdigit() else None

    def kill(self, plane, name="KILL"):
        pid = self.pid_of(plane)
        if pid is None:
            raise pnslab.LabError(f"{plane} does not run")
        self.machine.run(f"kill -{name} {pid}")
        return pid

    def ask(self, *words):
        status, output = self.machine.try_run(f"pns {' '.join(words)} --json 2>/dev/null")
        if status > 1 or not output:
            raise pnslab.LabError(f"pns {' '.join(words)}: exit status {status}")
        return servers.json.loads(output)

    def show(self, *words):
        return self.ask("show", *words)

    def metrics(self, address="127.0.0.1:9655"):
        return self.machine.run(f"busybox wget -q -O - http://{address}/metrics")

    def end(self):
        self.machine.end()


class VmLab(pnslab.Lab):
    """`model`: QEMU's name of the NICs. `image`: made by image.get(). `options`: of tests/vm/run."""

    def __init__(self, image, model, options, keep=None, iommu=True):
        self.machine = None
        super().__init__("tap", options.build / "bin", keep, ipv6=True)
        try:
            self.share = self.directory / "share"
            self._copy_product()
            for tap in TAPS:
                self.pns.ip("tuntap", "add", "dev", tap, "mode", "tap")
            self.machine = machines.Machine(self.pns, image, self.share, self.directory, model, TAPS, iommu,
                                            options.nice)
            # QEMU has them open: now they go where their cables lead.
            self.pns.ip("link", "set", TAPS[0], "netns", self.inet.name)
            self.pns.ip("link", "set", TAPS[1], "netns", self.intranet.name)
            self._plug(*TAPS)
            self.inet.ip("link", "set", "br0", "type", "bridge", "mcast_snooping", "0")
        except BaseException:
            self.close()
            raise

    def _copy_product(self):
        binaries = self.share / "bin"
        binaries.mkdir(parents=True)
        for name in ("pns", "pns-control", "pns-dataplane"):
            shutil.copy(self.binaries / name, binaries)
        for program in self.binaries.glob("pns-xdp-*.o"):
            shutil.copy(program, binaries)
        shutil.copytree(SOURCE / "deploy", self.share / "deploy")
        shutil.copy(SOURCE / "tests" / "vm" / "inside" / "install", self.share)

    def install(self, users, changes=None, drop_in_text=None):
        """As an operator does it; returns the server, which is not started yet."""
        conf = self.share / "conf"
        conf.mkdir(exist_ok=True)
        (conf / "users.yaml").write_text("".join(f"{user}: {{password: '{password}'}}\n"
                                                 for user, password in users.items()))
        (conf / "pns.yaml").write_text(self.config({**CONFIG, **(changes or {})}))
        (conf / "drop-in.conf").write_text((drop_in_text or drop_in()) + PATIENCE)
        self.machine.run("/share/install")
        server = InstalledServer(self.machine)
        self.servers.append(server)
        return server

    def close(self):
        if not self.directory.exists():  # closed already
            return
        if self.machine is not None:
            if self.keep and self.machine.process.poll() is None:
                with contextlib.suppress(pnslab.LabError, OSError):
                    (self.directory / "journal.log").write_text(
                        self.machine.run("journalctl -q -b --no-pager; dmesg", timeout=30))
            self.machine.end()
        for copied in ("bin", "deploy"):  # not into the logs
            shutil.rmtree(self.directory / "share" / copied, ignore_errors=True)
        super().close()
