# SPDX-License-Identifier: BSD-3-Clause
"""The machine: commands, network namespaces, huge pages, and what a lab needs to exist at all."""
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
HUGE_PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB"
HUGE_PAGES_LOCK = "/run/pns-lab-huge-pages.lock"
LIBC = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something in the lab did not do what it must."""


class Missing(Exception):
    """A precondition of the lab is not there; tests skip, and say which."""


def wait_until(condition, timeout, what):
    """Asks `condition` until it gives something true, and returns that. LabError after `timeout`."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise LabError(f"not within {timeout} s: {what}")
        time.sleep(0.02)


def _die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run(command, check=True, timeout=30):
    """Runs a command to its end; stdout and stderr come back as one text in `.stdout`."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=timeout, stdin=subprocess.DEVNULL,
                          check=False)
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(command)}: exit status {done.returncode}: {done.stdout.strip()}")
    return done


def start(command, **options):
    """Starts a command that dies with this process. It has a process group of its own, so that a
    Ctrl-C in the terminal is ours to handle."""
    return subprocess.Popen(command, preexec_fn=_die_with_parent, start_new_session=True, **options)


def end(process, timeout=5):
    """SIGKILL, and wait: for what has no polite end."""
    if process.poll() is None:
        process.kill()
    process.wait(timeout)


class Namespace:
    """A network namespace. IPv6 is off in it, so that nothing speaks of its own accord."""

    def __init__(self, name):
        self.name = name
        run(["ip", "netns", "add", name])
        self.ip("link", "set", "lo", "up")
        for which in ("all", "default"):
            self.sysctl(f"net/ipv6/conf/{which}/disable_ipv6", "1")

    def command(self, *words):
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, *words, check=True, timeout=30):
        return run(self.command(*words), check=check, timeout=timeout)

    def start(self, *words, **options):
        return start(self.command(*words), **options)

    def ip(self, *words):
        return run(["ip", "-n", self.name, *words]).stdout

    def sysctl(self, key, value):
        script = 'if [ -e "$1" ]; then echo "$2" >"$1"; fi'
        self.run("sh", "-c", script, "sh", f"/proc/sys/{key}", value)

    def offloads_off(self, interface):
        """So that a user-space program beyond a veth sees finished checksums and whole segments."""
        self.run("ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off", "gro", "off")

    def delete(self):
        run(["ip", "netns", "delete", self.name])


class Load:
    """How busy the machine was since this was made: tells a slow machine from a slow server."""

    def __init__(self):
        self.before = self._read()

    @staticmethod
    def _read():
        with open("/proc/stat", encoding="ascii") as file:
            return [int(word) for word in file.readline().split()[1:9]]

    def since(self):
        user, nice, system, idle, waiting, _, _, stolen = (
            now - then for now, then in zip(self._read(), self.before))
        total = max(1, user + nice + system + idle + waiting + stolen)
        with open("/proc/loadavg", encoding="ascii") as file:
            average = file.read().split()[0]
        return (f"load average {average}, {100 * idle // total} % idle, "
                f"{100 * waiting // total} % waiting for disks, {100 * stolen // total} % stolen")


def _cpuinfo():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        known = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, value in known.items()}


def cpu_flags():
    """What the processor can do, in the kernel's words."""
    return set(_cpuinfo().get("flags", "").split())


def cpu():
    """The processor's name, family and model, for figures."""
    known = _cpuinfo()
    return (f"{known.get('model name')} (family {known.get('cpu family')}, model "
            f"{known.get('model')})")


def require():
    """Raises Missing with what a lab cannot do without."""
    if os.geteuid() != 0:
        raise Missing("not root")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise Missing("no /dev/net/tun")
    tools = {"ip": "iproute2", "linux.uml": "user-mode-linux", "pppd": "ppp", "pptp": "pptp-linux",
             "busybox": "busybox-static", "ping": "iputils-ping", "unshare": "util-linux",
             "ethtool": "ethtool", "iperf3": "iperf3", "nft": "nftables"}
    for tool, package in tools.items():
        if shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            raise Missing(f"no {tool} (Debian package {package})")
    probe = run(["unshare", "--net", "true"], check=False)
    if probe.returncode != 0:
        raise Missing(f"no network namespaces: {probe.stdout.strip()}")


def _read_number(path):
    with open(path, encoding="ascii") as file:
        return int(file.read())


def free_huge_pages():
    try:
        return _read_number(f"{HUGE_PAGES}/free_hugepages")
    except OSError:
        return 0


def huge_pages():
    """How many are reserved, free or not."""
    try:
        return _read_number(f"{HUGE_PAGES}/nr_hugepages")
    except OSError:
        return 0


def change_huge_pages(difference):
    """Reserves more pages of 2 MiB, or gives some back. Returns by how many the number changed."""
    path = f"{HUGE_PAGES}/nr_hugepages"
    try:
        with open(HUGE_PAGES_LOCK, "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # labs may begin and end at the same time
            before = _read_number(path)
            with open(path, "w", encoding="ascii") as file:
                file.write(str(max(0, before + difference)))
            return _read_number(path) - before
    except OSError:
        return 0


def start_time(pid):
    """When a process started, in the kernel's ticks: tells a pid from its later namesake."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None
