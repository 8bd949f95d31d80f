#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What each process of a running server may do, and what it may not, tried from inside: a debugger makes
the planes call what a plane that was taken over would call. Calls survive each attempt."""
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

import pnslab
import theme
from theme import HOST

NOBODY = 65534  # where the users pns and pns-dp do not exist
NET_ADMIN = 1 << 12
LONG, SHORT = "a password that is longer than any string object", "Sh0rt-0815"
EACCES, SIGSYS = 13, 31
# Numbers of x86_64.
CLONE_NEWUSER, AF_INET, AF_PACKET, SOCK_RAW, BPF_PROG_LOAD, PTRACE_ATTACH = 0x10000000, 2, 17, 3, 5, 16
O_RDONLY, O_WRONLY, PROT_RX = 0, 1, 5


def debugger_missing():
    return None if shutil.which("gdb") else "no gdb (Debian package gdb)"


class Privilege(theme.Theme):
    users = {"alice": LONG, "bob": SHORT}
    changes = {"ppp": """ppp:
  auth: [mschapv2]
  mppe: {policy: require, key_bits: [128], mode: any}
"""}

    @classmethod
    def setUpClass(cls):
        # As under deploy/pns.service: root with the limits and the capabilities of the unit, and no others.
        unit = (pnslab.SOURCE / "deploy" / "pns.service").read_text()
        kept = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)[1].lower().split()
        real = pathlib.Path(theme.OPTIONS.binaries or pnslab.SOURCE / "build" / "bin").resolve()
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="pns-privilege-"))
        cls.addClassCleanup(shutil.rmtree, scratch)
        cls.addClassCleanup(setattr, theme.OPTIONS, "binaries", theme.OPTIONS.binaries)
        wrapper = scratch / "pns"
        # LimitMEMLOCK=infinity: a capability stands in for it where this machine does not raise limits.
        unlimited = "prlimit --memlock=unlimited "
        if subprocess.run([*unlimited.split(), "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            unlimited = ""
            kept.append("cap_ipc_lock")
        words = ",".join("+" + name.removeprefix("cap_") for name in kept)
        wrapper.write_text(f'#!/bin/sh\nexec {unlimited}setpriv '
                           f'--bounding-set -all,{words} --inh-caps -all "{real}/pns" "$@"\n')
        wrapper.chmod(0o755)
        theme.OPTIONS.binaries = str(scratch)
        cls.bounding = kept
        super().setUpClass()

    def pid(self, plane):
        return pnslab.wait_until(lambda: self.server.pid_of(plane), 10, f"{plane} runs")

    @staticmethod
    def threads(pid):
        """(name, fields of status) of each thread."""
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            lines = (task / "status").read_text().splitlines()
            yield dict(line.split(":\t", 1) for line in lines if ":\t" in line)

    def lines(self, *parts):
        return [line for line in self.server.log_file.read_text(errors="replace").splitlines()
                if all(part in line for part in parts)]

    # --- cases ---

    def test_1_every_thread_of_each_plane_is_confined(self):
        for plane, least in (("control", 10), ("dataplane", 4)):
            threads = list(self.threads(self.pid(plane)))
            self.assertGreaterEqual(len(threads), least, [t["Name"] for t in threads])
            for thread in threads:
                with self.subTest(plane=plane, thread=thread["Name"]):
                    self.assertEqual(thread["Uid"].split(), [str(NOBODY)] * 4)
                    self.assertEqual(thread["Gid"].split(), [str(NOBODY)] * 4)
                    self.assertEqual(thread["Groups"].split(), [])
                    # Only in a lab of TAPs, and only the main thread: it reads their counters.
                    main = plane == "dataplane" and thread["Pid"] == thread["Tgid"]
                    kept = NET_ADMIN if main and self.lab.ports == "tap" else 0
                    for name in ("CapPrm", "CapEff"):
                        self.assertEqual(int(thread[name], 16), kept, name)
                    for name in ("CapInh", "CapAmb", "CapBnd"):
                        self.assertEqual(int(thread[name], 16), 0, name)
                    self.assertEqual(thread["NoNewPrivs"], "1")
                    self.assertEqual(thread["Seccomp"], "2")
            print(f"{plane}: {len(threads)} threads", flush=True)
        names = "NET_ADMIN" if self.lab.ports == "tap" else "none"
        for plane, user, capabilities in (("control", "pns", "none"), ("dataplane", "pns-dp", names)):
            self.assertTrue(self.lines(f"process={plane}", 'event="user missing"', f"user={user} uid={NOBODY}"))
            self.assertTrue(self.lines(f"process={plane}", 'event="privileges dropped"', f"uid={NOBODY}",
                                       f"capabilities={capabilities}", "filter=kill"))

    def test_2_no_process_leaves_a_core_file_or_can_be_debugged_by_its_user(self):
        for process in ("control", "dataplane", "supervisor"):
            pid = self.pid(process)
            limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
            self.assertRegex(limits, r"Max core file size +0 +0 ")
            # The kernel gives the files of /proc/PID to root when the process is not dumpable.
            self.assertEqual(os.stat(f"/proc/{pid}/mem").st_uid, 0, process)
        supervisor = next(self.threads(self.pid("supervisor")))
        self.assertEqual(supervisor["NoNewPrivs"], "1")
        self.assertEqual(bin(int(supervisor["CapEff"], 16)).count("1"), len(self.bounding))

    def test_3_the_run_directory_is_roots(self):
        run = self.server.run_dir
        for name, mode, owner in ((".", 0o710, 0), ("store", 0o700, NOBODY), ("control.sock", 0o600, 0),
                                  ("dataplane.sock", 0o600, NOBODY), ("lock", 0o600, 0)):
            status = os.stat(run / name)
            self.assertEqual((stat.S_IMODE(status.st_mode), status.st_uid), (mode, owner), name)

    def test_4_no_process_keeps_a_password(self):
        session = self.connect()
        for process in ("control", "dataplane", "supervisor"):
            for user, password in self.users.items():
                self.assertEqual(self.times_in_memory(self.pid(process), password.encode()), 0,
                                 f"the password of {user} is in the memory of {process}")
            # The search finds what is there.
            self.assertGreater(self.times_in_memory(self.pid(process), b"pns"), 0)
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)

    @staticmethod
    def times_in_memory(pid, text):
        found = 0
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                area, rights, *_ = line.split()
                if not rights.startswith("rw") or "[vvar" in line:
                    continue
                first, last = (int(word, 16) for word in area.split("-"))
                for at in range(first, last, 16 << 20):
                    try:
                        memory.seek(at)
                        found += memory.read(min(16 << 20, last - at) + len(text)).count(text)
                    except OSError:  # a page that is nobody's, or a device's
                        continue
        return found

    def call(self, plane, function, *arguments):
        """Lets the plane call a function of its C library. Returns ("errno", number) with 0 for success, or
        ("signal", number) when that ended the plane."""
        pid = self.serving(plane)
        words = ", ".join(f'"{a}"' if isinstance(a, str) else str(a) for a in arguments)
        kinds = ", ".join("const char *" if isinstance(a, str) else "long" for a in arguments)
        script = ["set confirm off", "maint set internal-error quit yes", "maint set internal-error corefile no",
                  "maint set internal-error backtrace off", "set auto-solib-add off", f"attach {pid}",
                  "sharedlibrary libc", f"print ((long (*)({kinds})){function})({words})",
                  "print *((int *(*)(void))__errno_location)()", "detach"]
        done = subprocess.run([*self.lab.tracer("gdb"), "-nx", "-batch", *(w for line in script for w in ("-ex", line))],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
                              cwd=self.lab.directory)
        values = re.findall(r"^\$\d+ = (-?\d+)$", done.stdout, re.MULTILINE)
        if len(values) == 2:
            return "errno", int(values[1]) if int(values[0]) & 0xffffffff == 0xffffffff else 0
        # The debugger does not always say how its process ended. The supervisor does.
        ended = pnslab.wait_until(lambda: self.lines('event="plane ended unexpectedly"', f"pid={pid} "), 10,
                                  f"the supervisor sees the end of {plane}\n{done.stdout}")
        return "signal", int(re.search(r'how="signal (\d+) ', ended[0])[1])

    def serving(self, plane):
        """The pid of a plane that serves."""
        def ready():
            pid = self.server.pid_of(plane)
            return pid if pid and self.lines('event="plane ready"', f"pid={pid} ") else None
        return pnslab.wait_until(ready, 10, f"{plane} serves")

    def attempts(self, plane):
        other = self.pid("supervisor")
        denied, killed = ("errno", EACCES), ("signal", SIGSYS)
        yield "read a file that anybody may read", ("open", "/etc/hostname", O_RDONLY), ("errno", 0)
        yield "read /etc/shadow", ("open", "/etc/shadow", O_RDONLY), denied
        # Control may open files for writing, those of its user. The dataplane may open none.
        yield ("write core_pattern", ("open", "/proc/sys/kernel/core_pattern", O_WRONLY),
               denied if plane == "control" else killed)
        yield "execute a program", ("execv", "/bin/true", 0), killed
        yield "trace the supervisor", ("ptrace", PTRACE_ATTACH, other, 0, 0), killed
        yield "open a raw socket", ("socket", AF_INET, SOCK_RAW, 47), killed
        yield "open a packet socket", ("socket", AF_PACKET, SOCK_RAW, 0), killed
        yield "end the supervisor", ("kill", other, 9), killed
        yield "make a process", ("fork",), killed
        yield "make a user namespace", ("unshare", CLONE_NEWUSER), killed
        yield "map executable memory", ("mmap", 0, 4096, PROT_RX, 0x22, -1, 0), killed
        if plane == "dataplane":
            yield "load a BPF program", ("syscall", 321, BPF_PROG_LOAD, 0, 0), killed

    def tried_from_inside(self, plane):
        missing = debugger_missing()
        if missing:
            self.skipTest(missing)
        session = self.connect()
        supervisor = self.pid("supervisor")
        for what, call, expected in self.attempts(plane):
            with self.subTest(plane=plane, attempt=what):
                self.assertEqual(self.call(plane, *call), expected)
        self.assertEqual(self.pid("supervisor"), supervisor)
        self.serving(plane)
        self.ask(lambda: self.assertTrue(self.find(session)), what="the call is known")
        pnslab.wait_until(lambda: self.ping(self.guest, HOST, count=1) == (1, 1), 20, "the call carries packets")
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)

    def test_5_control_tried_from_inside(self):
        self.tried_from_inside("control")

    def test_6_the_dataplane_tried_from_inside(self):
        self.tried_from_inside("dataplane")

    def test_7_what_the_server_leaves(self):
        status, _ = self.server.stop()
        self.assertEqual(status, 0, self.server.log_tail())
        self.assertEqual(sorted(os.listdir(self.server.run_dir)), ["lock", "store"])
        if self.lab.ports == "xdp":
            self.assertNotIn("prog/xdp", self.lab.pns.ip("link"))


class Users(theme.Theme):
    """The users of deploy/pns.sysusers.conf exist where the server runs: `ip netns exec` puts the files of
    /etc/netns/NAME in the place of those of /etc."""
    uids = {"control": ("pns", 4711), "dataplane": ("pns-dp", 4712)}

    @classmethod
    def before_start(cls):
        folder = pathlib.Path("/etc/netns") / cls.lab.pns.name
        folder.mkdir(parents=True)
        cls.addClassCleanup(shutil.rmtree, folder)
        for file, rest in (("passwd", "{id}::/:/usr/sbin/nologin"), ("group", "")):
            lines = [f"{name}:x:{number}:" + rest.format(id=number) for name, number in cls.uids.values()]
            (folder / file).write_text(pathlib.Path("/etc", file).read_text() + "\n".join(lines) + "\n")

    def each_is_its_user(self):
        """Every thread of each plane. Returns the planes' pids."""
        pids = {}
        for plane, (name, number) in self.uids.items():
            pids[plane] = pnslab.wait_until(lambda p=plane: self.server.pid_of(p), 10, f"{plane} runs")
            for thread in Privilege.threads(pids[plane]):
                with self.subTest(plane=plane, thread=thread["Name"]):
                    for field in ("Uid", "Gid"):
                        self.assertEqual(thread[field].split(), [str(number)] * 4)
                    self.assertEqual(thread["Groups"].split(), [])
            log = self.server.log_file.read_text(errors="replace")
            self.assertRegex(log, rf'process={plane} event="privileges dropped" uid={number} gid={number}')
        self.assertNotIn('event="user missing"', log)
        return pids

    def test_1_each_plane_is_a_user_of_its_own_and_calls_outlive_both(self):
        session = self.connect()
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        before = self.each_is_its_user()
        self.assertEqual(os.stat(self.server.run_dir / "store").st_uid, self.uids["control"][1])
        for plane in self.uids:
            self.server.kill(plane)
            self.ask(lambda: self.assertTrue(self.find(session)), what="the call is known")
            pnslab.wait_until(lambda: self.ping(self.guest, HOST, "-W 1", count=1) == (1, 1), 20,
                              "the call carries packets")
        self.server.restart("control")
        self.server.restart("dataplane")
        pnslab.wait_until(lambda: self.ping(self.guest, HOST, "-W 1", count=1) == (1, 1), 20,
                          "the call carries packets")
        after = self.each_is_its_user()
        self.assertNotIn(True, [after[plane] == before[plane] for plane in self.uids])
        other = self.connect()
        other.hang_up()
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)

    def test_2_it_ends_in_order(self):
        status, _ = self.server.stop()
        self.assertEqual(status, 0, self.server.log_tail())
        self.assertEqual(sorted(os.listdir(self.server.run_dir)), ["lock", "store"])


if __name__ == "__main__":
    theme.main(Privilege, Users)
