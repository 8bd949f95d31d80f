# SPDX-License-Identifier: BSD-3-Clause
"""One virtual machine: QEMU as a process, the agent in it (inside/agent), and QEMU's own control socket."""
import itertools
import json
import re
import shlex
import socket
import subprocess

from pnslab import host

BOOT_SECONDS = 900
COMMAND_SECONDS = 300
MEGABYTES = 1536
ACCESS_PCI, CORE_PCI = "0000:00:04.0", "0000:00:05.0"
ACCESS_MAC, CORE_MAC = "52:54:00:77:00:01", "52:54:00:77:00:02"
# no_timer_check: a host that is busy makes the emulated timer late.
# no_timer_check: a busy host makes the emulated timer late.
KERNEL = ("console=ttyS0 quiet loglevel=4 hugepages=64 mitigations=off random.trust_cpu=on tsc=reliable "
          "no_timer_check panic=-1 systemd.show_status=0")
IOMMU = "intel_iommu=on iommu=pt"


class Lines:
    """A stream socket of QEMU, line by line."""

    def __init__(self, path, process):
        self.socket = socket.socket(socket.AF_UNIX)
        self.pending = b""

        def connected():
            if process.poll() is not None:
                raise host.LabError(f"qemu ended with {process.returncode}")
            try:
                self.socket.connect(str(path))
            except OSError:
                return False
            return True
        host.wait_until(connected, 30, f"qemu listens on {path}")

    def write(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def read(self, timeout):
        self.socket.settimeout(timeout)
        while b"\n" not in self.pending:
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                raise host.LabError(f"no line from the machine within {timeout} s") from None
            if not more:
                raise host.LabError("the machine is over")
            self.pending += more
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode(errors="replace").strip()

    def close(self):
        self.socket.close()


class Machine:
    """`model`: QEMU's name of the two NICs. `share`: a directory of the host that is /share in the machine.
    `taps`: names of the two TAPs in the namespace. `iommu`: an emulated one, with interrupt remapping."""

    def __init__(self, namespace, image, share, directory, model, taps, iommu=True, niceness=19):
        self.share = share
        self.directory = directory
        self.names = itertools.count(1)
        command_socket, control_socket = directory / "agent.sock", directory / "qmp.sock"
        devices = []
        for number, (name, tap, mac) in enumerate(zip(("access", "core"), taps, (ACCESS_MAC, CORE_MAC)), 4):
            # No vnet header: frames leave the host's kernel with finished checksums.
            devices += ["-netdev", f"tap,id={name},ifname={tap},script=no,downscript=no,vnet_hdr=off",
                        "-device", f"{model},netdev={name},id=nic-{name},mac={mac},addr={number}"]
        self.process = namespace.start(
            "nice", "-n", str(niceness), "qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi,tb-size=512",
            "-cpu", "max", "-smp", "2", "-m", str(MEGABYTES), "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-kernel", str(image / "vmlinuz"), "-initrd",
            str(image / "initrd"), "-append", f"{KERNEL} {IOMMU}" if iommu else KERNEL,
            *(("-device", "intel-iommu,intremap=on") if iommu else ()),
            "-drive", f"file={image / 'root.img'},format=raw,if=none,id=root,snapshot=on",
            "-device", "virtio-blk-pci,drive=root", "-serial", f"file:{directory / 'console.log'}",
            "-serial", f"unix:{command_socket},server=on,wait=off",
            "-qmp", f"unix:{control_socket},server=on,wait=off",
            "-virtfs", f"local,path={share},mount_tag=share,security_model=none,multidevs=remap",
            *devices, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(directory / "qemu.log", "wb"))
        self.agent = self.control = None
        try:
            self.agent = Lines(command_socket, self.process)
            self.control = Lines(control_socket, self.process)
            self.control.read(30)  # the greeting
            self.qmp("qmp_capabilities")
        except BaseException:
            self.end()
            raise

    def wait_boot(self):
        while self.agent.read(BOOT_SECONDS) != "ready":
            pass
        return self

    def run(self, script, check=True, timeout=COMMAND_SECONDS):
        """Runs a shell script in the machine. Returns its output (stdout and stderr)."""
        status, output = self.try_run(script, timeout)
        if check and status != 0:
            raise host.LabError(f"machine: {script!r}: exit status {status}: {output.strip()}")
        return output

    def try_run(self, script, timeout=COMMAND_SECONDS):
        """(exit status, output)"""
        name = f"command{next(self.names)}"
        (self.share / f"{name}.sh").write_text(script + "\n")
        self.agent.write(name)
        answer = self.agent.read(timeout)
        match = re.fullmatch(r"rc (\d+)", answer)
        if match is None:
            raise host.LabError(f"machine: {script!r}: the agent answers {answer!r}")
        return int(match[1]), (self.share / f"{name}.out").read_text(errors="replace")

    def succeeds(self, script):
        return self.try_run(script)[0] == 0

    def words(self, *words):
        return self.run(shlex.join(words))

    def qmp(self, command, **arguments):
        """A command of QEMU; its return value."""
        self.control.write(json.dumps({"execute": command, "arguments": arguments}))
        while True:
            answer = json.loads(self.control.read(30))
            if "error" in answer:
                raise host.LabError(f"qemu: {command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def set_link(self, port, is_up):
        self.qmp("set_link", name=f"nic-{port}", up=is_up)

    def end(self):
        host.end(self.process)
        for lines in (self.agent, self.control):
            if lines is not None:
                lines.close()
