#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a host does to a server: its clock steps, its link goes, its addresses and routes move, a worker
does not get its core, memory runs out, SYNs flood in. A real client has a call all the while."""
import contextlib
import ctypes
import datetime
import os
import pathlib
import re
import struct
import subprocess
import sys
import time
import unittest

import peer
import pnslab
import theme
from theme import HOST, SERVER

HOUR = 3600
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000  # waitpid: threads too
FLOOD_SECONDS = 8
FLOOD_RATE = 10_000  # SYNs a second: less than the bridge loses, so that only the server is judged
FLOOD = pathlib.Path(__file__).with_name("flood.py")
CALLERS = [f"198.51.100.{last}" for last in range(100, 120)]
PATIENT = ("lcp-max-configure", "30")  # pppd asks for so many seconds


class Case(theme.Theme):
    def answered(self, within=20):
        """Until a ping through the tunnel is answered."""
        pnslab.wait_until(lambda: self.ping(self.guest, HOST, "-W 1", count=1)[1] == 1, within,
                          "the call carries data")

    def is_the_same_call(self, session, before):
        shown = self.find(session)
        self.assertIsNotNone(shown)
        for key in ("id", "our_call_id", "connection"):
            self.assertEqual(shown[key], before[key])
        return shown

    def another_dials(self, session, user="alice"):
        """Another call comes up and ends. The way to the intranet is this session's again."""
        other = self.connect(user)
        other.hang_up()
        self.take_the_route(session)

    def take_the_route(self, session):
        self.guest.run(f"ip route replace 10.0.0.0/24 dev {session.interface}")

    def log_times(self):
        """The time of each line of the server's log so far, in seconds since 1970."""
        stamps = re.findall(r"^(\S+)Z level=", self.server.log_file.read_text(errors="replace"), re.M)
        return [datetime.datetime.fromisoformat(s).replace(tzinfo=datetime.timezone.utc).timestamp()
                for s in stamps]


class Clock(Case):
    """The wall clock steps; step_clock.c is in the server's processes. Echoes are frequent, so that a
    timer on the wrong clock would fire."""
    changes = {"pptp": "pptp: {echo_interval: 2s}\n",
               "ppp": "ppp: {lcp_echo: {interval: 1s, failures: 8}}\n"}

    @classmethod
    def setUpClass(cls):
        if theme.OPTIONS.binaries:
            library = pathlib.Path(theme.OPTIONS.binaries).resolve().parent / "tests" / "step_clock.so"
        else:
            library = pnslab.SOURCE / "build" / "tests" / "step_clock.so"
        cls.clock = pathlib.Path(f"/run/pns-clock-{os.getpid()}")
        cls.step(0)
        cls.clock.chmod(0o644)
        os.environ.update(LD_PRELOAD=str(library), PNS_TEST_CLOCK=str(cls.clock))
        try:
            super().setUpClass()
        finally:
            del os.environ["LD_PRELOAD"]

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.clock.unlink()

    @classmethod
    def step(cls, seconds):
        """From now on the server's wall clock is ahead by this."""
        mode = "r+b" if cls.clock.exists() else "wb"
        with open(cls.clock, mode) as file:
            file.write(struct.pack("=q", seconds))

    def test_70_the_clock_steps_by_an_hour_and_back_by_two(self):
        session = self.connect()
        before = self.find(session)
        for seconds in (HOUR, -HOUR, 0):
            self.step(seconds)
            # As long as it takes to give up a peer: the call hears LCP, its connection PPTP.
            sent, received = self.ping(self.guest, HOST, "-i 1", count=9)
            self.assertEqual((sent, received), (9, 9))
            self.another_dials(session)
            # The log is on the stepped clock, so the step has reached the server.
            self.assertAlmostEqual(self.log_times()[-1], time.time() + seconds, delta=30)
            shown = self.is_the_same_call(session, before)
            self.assertGreaterEqual(shown["uptime_s"], 0)
            self.assertLess(shown["uptime_s"], 300)
        # A successor of each plane reads what its predecessor stored at another time of day.
        self.step(HOUR)
        self.server.restart("control")
        self.server.restart("dataplane")
        self.answered()
        shown = self.ask(lambda: self.is_the_same_call(session, before))
        self.assertLess(shown["uptime_s"], 300)
        self.step(0)
        self.another_dials(session)
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)


class Host(Case):
    users = {"alice": "wonderland", "bob": "builder"}

    def access(self):
        """The interface with the server's outer address."""
        return "access0" if self.lab.ports == "xdp" else "pns-access"

    def core(self):
        return "core0" if self.lab.ports == "xdp" else "pns-core"

    def watch(self, session, disturb, mend, seconds):
        """Disturbs the host for so long: pings stop, and the call goes on afterwards. Returns what the
        server shows of the call."""
        before = self.find(session)
        disturb()
        try:
            pnslab.wait_until(lambda: self.ping(self.guest, HOST, "-W 1", count=1)[1] == 0, 10,
                              "nothing passes")
            time_is_up = time.monotonic() + seconds
            pnslab.wait_until(lambda: time.monotonic() > time_is_up, seconds + 1, "time passes")
        finally:
            mend()
        self.answered()
        shown = self.is_the_same_call(session, before)
        self.assertEqual(self.ping(self.guest, HOST, count=5), (5, 5))
        return shown

    def test_73_links_addresses_and_routes_go_and_come_back(self):
        session = self.connect()
        far = {"tap": ("wire0", "wire1"), "xdp": ("access1", "core1")}[self.lab.ports]
        places = {"access": (self.lab.inet, far[0]), "core": (self.lab.intranet, far[1])}
        for name, (namespace, wire) in places.items():
            with self.subTest(f"the link of port {name} is down for 2 s"):
                routes = namespace.ip("route", "show", "dev", wire).splitlines()

                def mend():
                    namespace.ip("link", "set", wire, "up")
                    for route in routes:  # of the far end, which the kernel has forgotten
                        namespace.ip("route", "replace", *route.split(), "dev", wire)
                self.watch(session, lambda: namespace.ip("link", "set", wire, "down"), mend, 2)
        with self.subTest("the server's outer address goes to no one, and comes back"):
            where = (f"{SERVER}/24", "dev", self.access())
            self.watch(session, lambda: self.lab.pns.ip("address", "del", *where),
                       lambda: self.lab.pns.ip("address", "add", *where), 2)
        with self.subTest("the route to the intranet is lost, and comes back"):
            where = ("10.0.0.0/24", "dev", self.core(), "proto", "kernel", "scope", "link", "src",
                     "10.0.0.1")
            routes = [where]
            if self.lab.ports == "tap":  # the twin's own table has it too
                routes.append(("10.0.0.0/24", "dev", self.core(), "proto", "static", "scope",
                               "link", "table", "1724"))

            def change(verb):
                for route in routes:
                    self.lab.pns.ip("route", verb, *route)
            self.watch(session, lambda: change("del"), lambda: change("add"), 2)
        self.another_dials(session, "bob")
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)

    @contextlib.contextmanager
    def stalled_worker(self):
        """One worker thread of the dataplane stands still; the other threads go on."""
        pid = self.server.pid_of("dataplane")
        names = {int(tid): pathlib.Path(f"/proc/{pid}/task/{tid}/comm").read_text().strip()
                 for tid in os.listdir(f"/proc/{pid}/task")}
        tid = next(tid for tid, name in names.items() if name == "rte-worker-1")
        libc = ctypes.CDLL(None, use_errno=True)

        def ptrace(request):
            if libc.ptrace(request, tid, None, None) != 0:
                raise OSError(ctypes.get_errno(), f"ptrace {request} of {tid}: {names}")
        ptrace(PTRACE_SEIZE)
        try:
            ptrace(PTRACE_INTERRUPT)
            os.waitpid(tid, WALL)
            yield
        finally:
            ptrace(PTRACE_DETACH)

    def test_72_a_worker_that_stands_still_for_1_s_and_10_s_ends_no_call(self):
        session = self.connect()
        pids = {plane: self.server.pid_of(plane) for plane in ("control", "dataplane")}
        for seconds in (1, 10):
            with self.subTest(f"{seconds} s"):
                with contextlib.ExitStack() as stall:
                    dialled = []

                    def disturb():
                        stall.enter_context(self.stalled_worker())
                        dialled.append(self.guest.dial("bob", self.users["bob"], PATIENT))
                    self.watch(session, disturb, stall.close, seconds)
                # A call that was dialled meanwhile waited, and is up.
                other = dialled[0].wait_up()
                other.hang_up()
                self.server.wait_sessions(1)
                self.take_the_route(session)
        self.assertEqual({plane: self.server.pid_of(plane) for plane in pids}, pids)
        session.hang_up()
        self.server.wait_sessions(0)

    def cookies(self):
        text = self.lab.pns.run("cat", "/proc/net/netstat").stdout.splitlines()
        keys, values = (line.split() for line in text[:2])
        return int(values[keys.index("SyncookiesSent")])

    def test_67_a_client_dials_while_syns_flood_in(self):
        session = self.connect()
        mac = self.lab.pns.run("cat", f"/sys/class/net/{self.access()}/address").stdout.strip()
        before = self.cookies()
        until = time.monotonic() + FLOOD_SECONDS
        flood = self.lab.start_in(self.lab.inet, sys.executable, "-B", str(FLOOD), "br0", mac, "syn",
                                  str(FLOOD_SECONDS), str(FLOOD_RATE), "67", stdout=subprocess.PIPE, text=True)
        pnslab.wait_until(lambda: self.cookies() > before, 5, "the kernel answers with cookies")
        other = self.guest.dial("bob", self.users["bob"]).wait_up()
        self.assertLess(time.monotonic(), until, "the call came up after the flood only")
        self.assertEqual(self.ping(self.guest, HOST, "-i 0.2", count=5)[1], 5)
        sent = int(flood.communicate(timeout=FLOOD_SECONDS + 30)[0])
        print(f"SYN flood: {sent / FLOOD_SECONDS:.0f} a second, {self.cookies() - before} cookies",
              file=sys.stderr)
        self.assertLess(len(self.server.show("connections")), 5)
        other.hang_up()
        session.hang_up()
        self.server.wait_sessions(0)


class Memory(Case):
    """The server runs in a memory cgroup (version 1), whose limit is set to what it uses."""
    groups = pathlib.Path("/sys/fs/cgroup/memory")

    @classmethod
    def setUpClass(cls):
        if not (cls.groups / "memory.limit_in_bytes").exists():
            raise unittest.SkipTest(f"no {cls.groups}/memory.limit_in_bytes")
        own = re.search(r"^\d+:memory:/(.*)$", pathlib.Path("/proc/self/cgroup").read_text(), re.M)
        cls.home = cls.groups / own[1]
        cls.group = cls.groups / f"pns-lab-{os.getpid()}"
        cls.group.mkdir()
        super().setUpClass()

    @classmethod
    def before_start(cls):
        # This process is in the group while it starts the server, and leaves it again.
        cls.enter(cls.group)
        cls.addClassCleanup(cls.enter, cls.home)

    @classmethod
    def enter(cls, group):
        (group / "cgroup.procs").write_text(str(os.getpid()))

    @classmethod
    def tearDownClass(cls):
        cls.enter(cls.home)
        super().tearDownClass()
        pnslab.wait_until(lambda: not (cls.group / "cgroup.procs").read_text(), 5, "an empty cgroup")
        cls.group.rmdir()

    def octets(self, name):
        return int((self.group / f"memory.{name}").read_text())

    def killed(self):
        words = (self.group / "memory.oom_control").read_text().split()
        return int(words[words.index("oom_kill") + 1])

    def test_68_a_host_that_runs_out_of_memory_loses_no_call(self):
        self.enter(self.home)
        for caller in CALLERS:
            self.lab.inet.ip("address", "add", f"{caller}/24", "dev", "br0")
        session = self.connect()
        before = self.find(session)
        limit = self.group / "memory.limit_in_bytes"
        with contextlib.ExitStack() as peers:
            limit.write_text(str(self.octets("usage_in_bytes") + (256 << 10)))
            for number in range(1000):  # connections take what is left
                if self.killed():
                    break
                with contextlib.suppress(OSError):
                    caller = peer.Peer(self.lab.inet, CALLERS[number % len(CALLERS)], SERVER)
                    peers.enter_context(caller).send(peer.start_request())
            pnslab.wait_until(lambda: self.killed() > 0, 10, "the kernel has killed a process of ours")
            limit.write_text("-1")
        self.answered(30)
        self.ask(lambda: self.is_the_same_call(session, before))
        self.another_dials(session)
        print(f"killed for want of memory: {self.killed()}", file=sys.stderr)
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)


if __name__ == "__main__":
    theme.main(Clock, Host, Memory)
