#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`pns restart` of each process while a client has a call, and what refuses it."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pnslab
import theme
from theme import HOST

INTERVAL = 0.05
PROCESSES = ("control", "dataplane", "supervisor")


class Upgrade(theme.Theme):
    @classmethod
    def setUpClass(cls):
        # A copy of its own: cases put other executables into it.
        source = pathlib.Path(__file__).resolve().parents[2]
        given = pathlib.Path(theme.OPTIONS.binaries or source / "build" / "bin")
        cls.other_control = given.parent / "tests" / "pns-control-other"
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix="pns-upgrade-"))
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        cls.binaries = cls.scratch / "bin"
        cls.binaries.mkdir()
        for path in given.glob("pns*"):
            shutil.copy2(path, cls.binaries)
        theme.OPTIONS.binaries = str(cls.binaries)
        super().setUpClass()
        cls.server.pns = str(shutil.copy2(given / "pns", cls.scratch / "client"))

    def pns(self, *words):
        return subprocess.run([self.server.pns, *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60, check=False)

    def restart(self, what):
        """`pns restart`, which must do it. Returns the milliseconds that it says."""
        done = self.pns("restart", what, "--run-dir", str(self.server.run_dir))
        self.assertEqual((done.returncode, done.stderr), (0, ""), self.server.log_tail())
        pids = r"pid \d+ as before" if what == "supervisor" else r"pid \d+ → \d+"
        match = re.fullmatch(rf"{what} restarted in (\d+) ms \({pids}\)\n", done.stdout)
        self.assertIsNotNone(match, done.stdout)
        print(done.stdout.strip(), flush=True)
        return int(match[1])

    def refused(self, what):
        """`pns restart`, which must not do it. Returns why."""
        before = self.pids()
        done = self.pns("restart", what, "--run-dir", str(self.server.run_dir))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(self.pids(), before)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn(f"pns: {what} is not restarted: ", done.stderr)
        return done.stderr

    def pids(self):
        return {what: self.server.pid_of(what) for what in PROCESSES}

    def start_pings(self, session, count):
        """(job, where its output goes); some have been answered."""
        marks = f"/run/lab/ping.{session.number}.out"
        before = self.find(session)["rx_packets"]
        job = self.guest.start(f"ping -i {INTERVAL} -c {count} {HOST} >{marks}; cat {marks}")
        pnslab.wait_until(lambda: self.find(session)["rx_packets"] >= before + 20, 10, "pings flow")
        return job

    def received(self, job):
        self.assertIsNone(job.done(), "the pings ended before what they were to see")
        return theme.ping_counts(job.wait(60)[1])

    @contextlib.contextmanager
    def replaced(self, name, source):
        """Another executable in the place of one, as a package would put it there."""
        path, kept = self.binaries / name, self.scratch / name
        shutil.copy2(path, kept)
        new = self.binaries / f".{name}.new"

        def put(what):
            shutil.copy2(what, new)
            os.rename(new, path)
        put(source)
        try:
            yield
        finally:
            put(kept)

    def fake(self, name, **changed):
        """A script that answers --contract as `name` does, with a few items changed."""
        contract = json.loads(self.pns("--contract").stdout) | {"program": name} | changed
        script = self.scratch / f"fake-{name}"
        script.write_text(f"#!/bin/sh\necho '{json.dumps(contract)}'\n")
        script.chmod(0o755)
        return script

    def starts(self, what):
        return self.server.show("stats")[f"{what}_starts"]

    # --- cases ---

    def test_no_ping_is_lost_while_control_is_restarted(self):
        session = self.connect()
        pings = self.start_pings(session, 160)
        before = self.pids()
        for _ in range(3):
            self.restart("control")
            self.assertEqual([s["address"] for s in self.server.sessions()], [session.address])
        self.assertEqual(self.received(pings), (160, 160))
        after = self.pids()
        self.assertNotEqual(after.pop("control"), before.pop("control"))
        self.assertEqual(after, before)
        self.assertNotIn("ended unexpectedly", self.server.log_tail(200))
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)

    def test_no_ping_is_lost_while_the_supervisor_is_restarted(self):
        session = self.connect()
        pings = self.start_pings(session, 200)
        before = self.pids()
        self.restart("supervisor")
        self.assertEqual(self.pids(), before)
        self.assertEqual(self.starts("supervisor"), 2)
        self.assertIn('pns_plane_starts_total{plane="supervisor"} 2', self.server.metrics())

        # The new one has what a control process that is killed needs.
        killed = self.server.kill("control")
        pnslab.wait_until(lambda: self.server.pid_of("control") not in (None, killed), 10,
                          "control is started again")
        shown = pnslab.wait_until(lambda: self.find_after(session), 10, "control answers")
        self.assertEqual(shown["user"], "alice")
        self.assertEqual(self.received(pings), (200, 200))
        self.assertEqual(session.hang_up(), 5)  # by the TCP connection that was kept
        self.server.wait_sessions(0)
        pnslab.wait_until(lambda: not self.server.show("connections"), 5, "no control connection")
        self.assertEqual(self.server.lines, ["ready"])

    def find_after(self, session):
        """find(), while control may not be there."""
        try:
            return self.find(session)
        except pnslab.LabError:
            return None

    def test_the_dataplane_is_restarted_within_a_second(self):
        session = self.connect()
        pings = self.start_pings(session, 160)
        before = self.pids()
        self.restart("dataplane")
        sent, received = self.received(pings)
        print(f"dataplane: {sent - received} of {sent} pings lost", flush=True)
        self.assertLess((sent - received) * INTERVAL, 1.0)
        self.assertNotEqual(self.pids().pop("dataplane"), before.pop("dataplane"))
        self.assertNotIn("ended unexpectedly", self.server.log_tail(20))
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)

    def test_another_contract_is_refused_and_the_call_lives(self):
        session = self.connect()
        for what, name in (("control", "pns-control"), ("dataplane", "pns-dataplane"),
                           ("supervisor", "pns")):
            with self.replaced(name, self.fake(name, session_memory_version=98,
                                               session_memory_min_compatible=98, version="9.9")):
                why = self.refused(what)
                self.assertIn(f'{name} "9.9" does not fit the running server: '
                              "session_memory_version is 98 (compatible from 98) there and", why)
                self.assertIn("see docs/upgrade.md", why)
        with self.replaced("pns-control", self.other_control):
            self.assertIn("session_memory_version is 99 (compatible from 99) there and", self.refused("control"))
        with self.replaced("pns", self.fake("pns", handover_version=98, handover_min_compatible=98)):
            self.assertIn("handover_version is 98 (compatible from 98) there and", self.refused("supervisor"))
        silent = self.scratch / "silent"
        silent.write_text("#!/bin/sh\n")
        silent.chmod(0o755)
        with self.replaced("pns-dataplane", silent):
            self.assertIn("did not say what it was built with", self.refused("dataplane"))
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)

    def test_another_contract_after_a_crash_costs_no_call(self):
        session = self.connect()
        dataplane = self.server.pid_of("dataplane")
        with self.replaced("pns-control", self.other_control):
            self.server.kill("control")
            pnslab.wait_until(
                lambda: self.server.log_file.read_text().count("it cannot take over these calls") >= 2,
                10, "control refuses, twice")
            self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        lines = [line for line in self.server.log_file.read_text().splitlines()
                 if "it cannot take over these calls" in line]
        self.assertRegex(lines[0], r"level=error .*session memory: version is \d+ \(compatible "
                                   r"from \d+\), this program has 99 .*see docs/upgrade.md")
        pnslab.wait_until(lambda: self.find_after(session), 10, "the right control is back")
        self.assertEqual(self.server.pid_of("dataplane"), dataplane)
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)

    def test_a_wrong_configuration_refuses_every_restart(self):
        session = self.connect()
        good = self.server.config_file.read_text()
        try:
            self.server.config_file.write_text(good + "log: {level: loud}\n")
            for what in PROCESSES:
                self.assertRegex(self.refused(what), r"pns\.yaml:\d+: log\.level: 'loud' is not one of")
            # Right, and yet not to be had while calls live.
            core = "tap:wire1" if self.lab.ports == "tap" else "xdp:core0"
            self.server.config_file.write_text(good.replace(core, f"{core}x"))
            self.assertIn(f"ports.core: {core} cannot become {core}x while calls live",
                          self.refused("dataplane"))
        finally:
            self.server.config_file.write_text(good)
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)

    def test_twenty_supervisors_leave_no_descriptor_behind(self):
        session = self.connect()
        descriptors = f"/proc/{self.server.pid_of('supervisor')}/fd"
        starts = self.starts("supervisor")
        before = sorted(os.listdir(descriptors))
        took = [self.restart("supervisor") for _ in range(20)]
        self.assertEqual(len(os.listdir(descriptors)), len(before))
        self.assertEqual(self.starts("supervisor"), starts + 20)
        print(f"supervisor: {len(before)} descriptors, {min(took)} to {max(took)} ms", flush=True)
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))

        # The last case: what was executed anew ends as the first would have.
        status, seconds = self.server.stop()
        self.assertEqual(status, 0, self.server.log_tail())
        self.assertLess(seconds, 6)
        self.assertEqual(session.wait_end(), 16)  # pppd: the peer hung up
        self.assertEqual(self.server.lines, ["ready"])


if __name__ == "__main__":
    theme.main(Upgrade)
