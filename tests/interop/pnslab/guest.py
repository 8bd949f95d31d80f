# SPDX-License-Identifier: BSD-3-Clause
"""A guest: a Linux kernel as a process (user-mode-linux) with pppd and pptp. See guest/init."""
import datetime
import itertools
import os
import pathlib
import shlex
import subprocess
import threading

from . import host

INIT = pathlib.Path(__file__).resolve().parent.parent / "guest" / "init"
BOOT_SECONDS = 30
CONNECT_SECONDS = 30

# pppd options of every session.
PPPD_OPTIONS = """noauth nodetach debug
    novj nobsdcomp nodeflate noipdefault lcp-restart 1 ipcp-restart 1 maxfail 1""".split()
# Those of a session that does not bring its own: MS-CHAPv2 and MPPE-128 stateless, nothing else.
SECURITY_OPTIONS = """refuse-pap refuse-chap refuse-mschap refuse-eap
    require-mppe-128 nomppe-stateful""".split()


class Job:
    """A script that runs in a guest."""

    def __init__(self, guest, name):
        self.guest = guest
        self.name = name

    def done(self):
        """Its exit status; None while it runs."""
        with self.guest.changed:
            return self.guest.finished.get(self.name)

    def wait(self, timeout=60):
        """Exit status, and output as one text."""
        status = self.guest.wait_for(self.done_unlocked, timeout, f"script {self.name}")
        return status, self.output()

    def done_unlocked(self):
        return self.guest.finished.get(self.name)

    def output(self):
        path = self.guest.directory / f"{self.name}.out"
        return path.read_text(errors="replace") if path.exists() else ""


class Session:
    """One pppd in a guest."""

    def __init__(self, guest, number, job):
        self.guest = guest
        self.number = number
        self.job = job
        self.dialled = datetime.datetime.utcnow()
        self.interface = None
        self.address = None  # ours, inside the tunnel
        self.gateway = None

    def wait_up(self, timeout=CONNECT_SECONDS):
        """Until pppd has run ip-up. LabError with pppd's own log when it ends before that."""
        def up_or_ended():
            if self.number in self.guest.up:
                return "up"
            return "ended" if self.job.done_unlocked() is not None else None
        try:
            state = self.guest.wait_for(up_or_ended, timeout, f"session {self.number} up")
        except host.LabError as error:
            raise host.LabError(f"{error}\n{self.log()}") from None
        if state == "ended":
            raise host.LabError(f"pppd ended with {self.job.done()}: {self.job.output()}\n{self.log()}")
        self.interface, self.address, self.gateway = self.guest.up[self.number]
        return self

    def wait_end(self, timeout=CONNECT_SECONDS):
        """pppd's exit status (19: we failed to authenticate ourselves, 5: told to end)."""
        status, _ = self.job.wait(timeout)
        return status

    def __str__(self):
        up = f"up as {self.address}" if self.address else "not up"
        return f"session {self.number} dialled {self.dialled:%H:%M:%S.%f} {up}"

    def hang_up(self):
        self.guest.run(f"kill -TERM $(cat /tmp/pppd.{self.number}.pid)")
        return self.wait_end()

    def log(self):
        """pppd's debug log."""
        self.guest.run(f"sync /run/lab/pppd.{self.number}.log 2>/dev/null; true")
        path = self.guest.directory / f"pppd.{self.number}.log"
        return path.read_text(errors="replace") if path.exists() else "(no pppd log)"


class Guest:
    def __init__(self, lab, name, namespace, tap, addresses, server):
        self.lab = lab
        self.name = name
        self.tap = tap
        self.addresses = addresses
        self.server = server
        self.directory = lab.directory / name
        self.directory.mkdir()
        self.changed = threading.Condition()
        self.finished = {}  # script → exit status
        self.up = {}        # session → interface, local, remote
        self.messages = []  # console lines that are no markers
        self.has_booted = False
        self.is_over = False
        self.sessions = []  # all that were ever dialled
        self.names = itertools.count(1)
        self.numbers = itertools.count(1)
        # Kept out of the lab's directory: a socket's path must be short.
        self.uml_directory = f"/run/pns-lab-uml-{lab.id}"
        os.makedirs(self.uml_directory, mode=0o700, exist_ok=True)
        self.process = namespace.start(
            "unshare", "--pid", "--fork", "--kill-child=KILL", "--",
            *lab.tracer("linux.uml"), "mem=192M", "rootfstype=hostfs", "rootflags=/", "root=/dev/root", "ro",
            f"init={INIT}", "quiet", "loglevel=3", "con=null", "con0=fd:0,fd:1", "ssl=null",
            f"vec0:transport=tap,ifname={tap},depth=128,gro=0", f"umid={name}",
            f"uml_dir={self.uml_directory}", f"PNS_LAB={self.directory}",
            "PNS_ADDRESSES=" + ",".join(f"{a}/24" for a in addresses),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self._read_console, daemon=True)
        self.reader.start()

    def _read_console(self):
        with open(self.directory / "console.log", "w", encoding="utf-8") as log:
            for raw in self.process.stdout:
                line = raw.decode(errors="replace").strip()
                log.write(line + "\n")
                log.flush()
                with self.changed:
                    words = line.split()
                    if line == "@boot":
                        self.has_booted = True
                    elif words[:1] == ["@done"] and len(words) == 3:
                        self.finished[words[1]] = int(words[2])
                    elif words[:1] == ["@up"] and len(words) == 5:
                        self.up[int(words[1])] = tuple(words[2:])
                    else:
                        self.messages.append(line)
                    self.changed.notify_all()
        with self.changed:
            self.is_over = True
            self.changed.notify_all()

    def wait_for(self, condition, timeout, what):
        """Until `condition` (called with the lock held) gives something other than None or False."""
        def known():
            result = condition()
            return self.is_over or (result is not None and result is not False)
        with self.changed:
            self.changed.wait_for(known, timeout)
            result = condition()
            if result is None or result is False:
                why = "the guest is over" if self.is_over else f"not within {timeout} s"
                raise host.LabError(f"{self.name}: {why}: {what}; console: {self.messages[-5:]}")
            return result

    def wait_boot(self):
        self.wait_for(lambda: self.has_booted, BOOT_SECONDS, "boot")
        return self

    def start(self, script, limit=120):
        """Starts a shell script; `limit` seconds later the guest ends it."""
        name = f"job{next(self.names)}"
        (self.directory / f"{name}.sh").write_text(script + "\n")
        self.process.stdin.write(f"run {name} {limit}\n".encode())
        self.process.stdin.flush()
        return Job(self, name)

    def run(self, script, timeout=60, check=True):
        """Runs a shell script to its end; returns its output."""
        status, output = self.start(script, timeout).wait(timeout + 5)
        if check and status != 0:
            raise host.LabError(f"{self.name}: {script!r}: exit status {status}: {output}")
        return output

    def load_ipv6(self):
        self.run("busybox insmod /usr/lib/uml/modules/$(uname -r)/kernel/net/ipv6/ipv6.ko")

    def dial(self, user, password, options=(), bind=None, limit=600, security=None,
             kernel_mode=False):
        """Starts pppd for one session. `bind`: which of our addresses it calls from. `security`:
        options instead of SECURITY_OPTIONS; `options` come on top of either. `kernel_mode`: the
        guest's kernel carries GRE (kernel_pptp.c), and not pptp-linux over a pty, which is slow."""
        number = next(self.numbers)
        if kernel_mode:
            channel = ["plugin", str(self.lab.kernel_plugin()), "pptp_server", self.server]
            channel += ["pptp_from", bind] if bind else []
        else:
            pptp = f"pptp {self.server} --nolaunchpppd --loglevel 2"
            pptp += f" --localbind {bind}" if bind else ""
            channel = ["lock", "pty", pptp]
        words = ["pppd", *channel, "user", user, "password", password,
                 "logfile", f"/run/lab/pppd.{number}.log", "ipparam", str(number), *PPPD_OPTIONS,
                 *(SECURITY_OPTIONS if security is None else security), *options]
        job = self.start(f"echo $$ >/tmp/pppd.{number}.pid\nexec {shlex.join(words)}", limit)
        session = Session(self, number, job)
        self.sessions.append(session)
        return session

    def power_off(self):
        """Politely, then not."""
        try:
            self.process.stdin.write(b"off\n")
            self.process.stdin.flush()
            self.process.wait(3)
        except (OSError, subprocess.TimeoutExpired):
            pass
        host.end(self.process)
        self.reader.join(2)
