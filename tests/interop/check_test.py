#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Configurations that cannot start, while emulated subscribers (pns-loadgen) send data: `pns restart` refuses
them, or the configuration before serves again. No call ends, and a new call comes up each time."""
import contextlib
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

import crowd
import peer
import pnslab
import theme
from crowd import ECHO, SOURCES

CALLS = 5
NOBODY = 65534  # control's user where there is no user pns
TAKEN = 9701
TIMEOUT = 20
# A listener of control's user: the check takes it for the control process that is to end.
LISTENER = f"""
import os, socket, sys, time
os.setgid({NOBODY}); os.setuid({NOBODY})
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", {TAKEN})); s.listen(1)
print("ready", flush=True); time.sleep(600)
"""


# A dataplane that passes each check, and does not start with this configuration.
BROKEN = "dataplane: {max_sessions: 4096, idle: {wait: 11ms}}"
WRAPPER = """#!/bin/sh
case "$*" in
  *--check*|*--contract*) ;;
  *) grep -q 'wait: 11ms' /proc/self/fd/$PNS_CONFIG_FD && exit 3 ;;
esac
exec REAL "$@"
"""


class Check(crowd.Crowd):
    users = {"alice": "wonderland", "zoe": "tschüß"}

    @classmethod
    def setUpClass(cls):
        given = pathlib.Path(theme.OPTIONS.binaries or pnslab.SOURCE / "build" / "bin").resolve()
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="pns-check-"))
        cls.addClassCleanup(shutil.rmtree, scratch)
        cls.addClassCleanup(setattr, theme.OPTIONS, "binaries", theme.OPTIONS.binaries)
        for path in given.glob("pns*"):
            shutil.copy2(path, scratch)
        (scratch / "pns-dataplane").write_text(WRAPPER.replace("REAL", str(given / "pns-dataplane")))
        theme.OPTIONS.binaries = str(scratch)
        super().setUpClass()
        cls.users_file = cls.server.config_file.parent / "users.yaml"
        cls.good_users = cls.users_file.read_bytes()
        cls.good_config = cls.server.config_file.read_text()

    def setUp(self):
        self.first = self.dial(CALLS, SOURCES[0])
        self.known = self.calls()

    def tearDown(self):
        self.users_file.write_bytes(self.good_users)
        self.server.config_file.write_text(self.good_config)
        super().tearDown()

    def dial(self, calls, source):
        process = self.start("--sources", 1, "--sessions", calls, "--concurrent", 5, "--traffic", "udp",
                             "--target", ECHO, "--rate", 10, "--duration", 600, "--time-limit", 600,
                             source=source)
        self.wait_up(calls + len(getattr(self, "known", ())))
        return process

    def calls(self):
        return {(s["id"], s["our_call_id"], s["address"]): s for s in self.ask(self.server.sessions)}

    def check_service(self):
        """Each call is the one that it was, its data flows both ways, and a new call comes up."""
        before = self.calls()
        self.assertEqual(before.keys(), self.known.keys())

        def flow():
            now = self.ask(self.calls)
            return all(now[call][count] > before[call][count] for call in before
                       for count in ("rx_packets", "tx_packets"))
        pnslab.wait_until(flow, 10, "data of every call flows")
        new = self.dial(1, SOURCES[1])
        new.terminate()
        _, result = self.finish(new)
        self.assertEqual((result["up"], result["failures"]), (1, 0))
        self.server.wait_sessions(CALLS)

    def end(self):
        self.first.terminate()
        _, result = self.finish(self.first)
        self.assertEqual((result["up"], result["failures"], result["failed"]), (CALLS, 0, {}))
        self.server.wait_sessions(0)

    def pns(self, *words):
        return subprocess.run([self.server.pns, *words, "--run-dir", str(self.server.run_dir)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=TIMEOUT + 10, check=False)

    def restart(self, what):
        """`pns restart`, which must fail: why, within its time-out."""
        begun = time.monotonic()
        done = self.pns("restart", what, "--timeout", str(TIMEOUT))
        took = time.monotonic() - begun
        print(f"{what}: {took * 1000:.0f} ms: {done.stderr.strip()}", flush=True)
        self.assertLess(took, TIMEOUT)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        return done.stderr

    def write_latin1(self):
        self.users_file.write_bytes(self.good_users.decode().encode("latin-1"))

    def change(self, pattern, text):
        changed, count = re.subn(pattern, text, self.good_config, flags=re.MULTILINE)
        self.assertEqual(count, 1, self.good_config)
        self.server.config_file.write_text(changed)

    def serving(self, what):
        def ready():
            stats = self.server.show("stats")
            return stats if stats[f"{what}_ready"] and stats["dataplane_attached"] else None
        return pnslab.wait_until(lambda: self.ask(ready), 20, f"{what} serves")

    # --- cases ---

    def test_1_a_users_file_in_latin_1_is_refused_and_the_old_control_serves(self):
        pid = self.server.pid_of("control")
        self.write_latin1()
        why = self.restart("control")
        self.assertRegex(why, r"^pns: control is not restarted: /\S+/users\.yaml:2: zoe\.password: is not UTF-8")
        checked = self.pns("check", "--config", str(self.server.config_file))
        self.assertEqual(checked.returncode, 1)
        self.assertIn("users.yaml:2: zoe.password: is not UTF-8", checked.stdout)
        self.assertEqual(self.server.pid_of("control"), pid)
        self.check_service()
        self.end()

    def test_2_a_control_process_that_dies_meanwhile_comes_back(self):
        self.write_latin1()
        starts = self.server.show("stats")["control_starts"]
        self.server.kill("control")
        pnslab.wait_until(lambda: self.ask(lambda: self.server.show("stats"))["control_starts"] > starts, 10,
                          "control is started again")
        self.assertEqual(self.serving("control")["control_starts"], starts + 1)
        self.check_service()
        self.end()

    def test_3_a_control_process_that_fails_after_its_check_is_the_one_before_again(self):
        before = self.serving("control")
        with contextlib.ExitStack() as stack:
            other = self.lab.start_in(self.lab.pns, "python3", "-c", LISTENER, stdout=subprocess.PIPE)
            stack.callback(pnslab.end, other)
            self.assertEqual(other.stdout.readline(), b"ready\n")
            self.server.config_file.write_text(self.good_config + f"metrics: {{listen: 127.0.0.1:{TAKEN}}}\n")
            why = self.restart("control")
        self.assertIn("control did not start with the new configuration: metrics.listen: cannot listen on "
                      f"127.0.0.1:{TAKEN}: bind: Address already in use", why)
        self.assertIn("; the previous one serves again", why)
        after = self.serving("control")
        self.assertEqual((after["control_starts"], after["start_failures"]),
                         (before["control_starts"] + 2, before["start_failures"] + 1))
        self.assertIn("pns_plane_starts_total", self.server.metrics())  # where they were
        self.assertIn('event="previous configuration restored" plane=control', self.server.log_tail(200))
        self.check_service()
        self.end()

    def test_4_a_dataplane_that_fails_after_its_check_is_the_one_before_again(self):
        before = self.serving("dataplane")
        self.change(r"^dataplane: .*$", BROKEN)
        self.assertEqual(self.restart("dataplane"), "pns: dataplane did not start with the new configuration: exit "
                                                    "status 3; the previous one serves again\n")
        after = self.serving("dataplane")
        self.assertEqual((after["dataplane_starts"], after["control_starts"]),
                         (before["dataplane_starts"] + 2, before["control_starts"]))
        self.check_service()
        self.end()

    def test_5_what_this_host_does_not_have_is_refused(self):
        pids = [self.server.pid_of(plane) for plane in ("control", "dataplane")]
        for block, what, why in (
                ("dataplane: {max_sessions: 4096, cores: {main: 0, workers: [127]}}", "dataplane",
                 "this host: dataplane.cores: core 127 is not online"),
                ("dataplane: {max_sessions: 4096}\naaa: {local: {users_file: none.yaml}}", "control",
                 "none.yaml: cannot open: No such file or directory")):
            text = re.sub(r"^aaa:\n(?:[ \t].*\n)*", "", self.good_config, flags=re.MULTILINE) \
                if "aaa:" in block else self.good_config
            changed, count = re.subn(r"^dataplane: .*$", block, text, flags=re.MULTILINE)
            self.assertEqual(count, 1)
            self.server.config_file.write_text(changed)
            self.assertIn(why, self.restart(what))
        with peer.inside(self.lab.pns):
            taken = socket.socket()
        with taken:
            taken.bind(("127.0.0.1", TAKEN))
            taken.listen(1)
            self.server.config_file.write_text(self.good_config + f"metrics: {{listen: 127.0.0.1:{TAKEN}}}\n")
            self.assertIn("this host: metrics.listen: cannot listen on 127.0.0.1", self.restart("control"))
        self.assertEqual([self.server.pid_of(plane) for plane in ("control", "dataplane")], pids)
        # The files alone are right.
        checked = self.pns("check", "--no-host", "--config", str(self.server.config_file))
        self.assertEqual((checked.returncode, checked.stdout), (0, f"{self.server.config_file}: ok\n"))
        self.check_service()
        self.end()


if __name__ == "__main__":
    theme.main(Check)
