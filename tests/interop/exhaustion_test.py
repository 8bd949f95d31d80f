#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What is finite runs out: addresses, sessions, connections, descriptors, the store's disk, memory,
rings. Each time the client gets a clear answer, a metric and the log say why, calls that are up go
on with their traffic, and when the cause has gone a new call comes up."""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time

import crowd
import peer
import pnslab
import theme
from crowd import ECHO, PROBE, SERVER, SOURCES
from theme import HOST

WITNESSES = 20
REFUSED = "Outgoing-Call-Reply result 2 error 4"  # general error: no resource (RFC 2637 §2.8)
LIMITED = 20  # lines a second, of refused calls


class Exhaustion(crowd.Crowd):
    """`WITNESSES` calls are up with traffic before a case, and all the time until its end."""

    accept_loss = "0.1%"

    def setUp(self):
        self.witnesses = self.start("--sources", 4, "--sessions", WITNESSES, "--profile", "all", "--ping",
                                    HOST, "--traffic", "udp", "--target", ECHO, "--rate", 5,
                                    "--duration", 600, "--accept-loss", self.accept_loss)
        self.wait_up(WITNESSES)
        self.known = self.ids()
        self.starts = self.plane_starts()
        self.counters = peer.Counters(self.server)
        self.log_begins = self.server.log_file.stat().st_size
        self.began = time.monotonic()

    def ids(self):
        return {s["id"]: s["our_call_id"] for s in self.server.sessions()}

    def plane_starts(self):
        stats = self.server.show("stats")
        return stats["control_starts"], stats["dataplane_starts"]

    def witnesses_live(self):
        """Each of them, and nobody else is left; what they have lost is bounded."""
        self.server.wait_sessions(WITNESSES, 30)
        self.assertEqual(self.ids(), self.known)
        self.assertEqual(self.plane_starts(), self.starts)
        self.audit()
        self.assertIsNone(self.witnesses.poll())
        self.witnesses.terminate()
        _, result = self.finish(self.witnesses)
        self.assertEqual((result["lost_calls"], result["failures"]), (0, 0))
        # A packet of each may be on its way when it ends.
        self.assertLessEqual(result["traffic"]["lost"],
                             WITNESSES + result["traffic"]["sent"] * float(self.accept_loss[:-1]) / 100)
        self.assertEqual(result["traffic"]["sessions_unanswered"], 0)
        self.server.wait_sessions(0, 20)

    def tearDown(self):
        pnslab.end(self.witnesses)
        super().tearDown()
        self.server.wait_sessions(0, 20)

    def dial(self, *words, user="alice", sessions=1, timeout=120):
        """(exit status, the JSON document) of clients that come, and leave again."""
        process = self.start("--sources", 4, "--sessions", sessions, "--concurrent", 200, "--ping", HOST,
                             *words, user=user, source=SOURCES[4])
        return self.finish(process, timeout)

    def comes_up(self, **options):
        status, result = self.dial(**options)
        self.assertEqual((status, result["up"]), (0, 1), result)

    def calls_ended(self, reason):
        return self.counters.grown("pns_call_ends_total", reason=reason)

    def connections_ended(self, reason):
        return self.counters.grown("pns_connection_ends_total", reason=reason)

    def lines(self, *parts):
        """Of the log since the case began, those that hold all of these."""
        with open(self.server.log_file, encoding="utf-8", errors="replace") as log:
            log.seek(self.log_begins)
            return [line for line in log if all(part in line for part in parts)]

    def all_told(self, *parts):
        """A line says how many before it were held back."""
        return any("suppressed=0" not in line for line in self.lines(*parts))

    def is_told(self, *parts, refused, per_second):
        """The log says it, not once for each, and how often it did not. `refused`: how many were."""
        pnslab.wait_until(lambda: self.all_told(*parts), 5, f"the log tells {parts}")
        lines, refused = self.lines(*parts), refused()
        self.assertLessEqual(len(lines), per_second * (time.monotonic() - self.began + 1))
        self.assertLess(len(lines), refused)
        held_back = sum(int(re.search(r"suppressed=(\d+)", line)[1]) for line in lines)
        self.assertLessEqual(len(lines) + held_back, refused)
        print(f"{parts}: {refused:.0f} refused, {len(lines)} lines, {held_back} held back", flush=True)


class Limits(Exhaustion):
    """Those of the configuration, and of descriptors."""

    users = {"alice": "wonderland", "bob": "{password: wonderland, pool: small}"}
    changes = {
        **crowd.Crowd.changes,
        "dataplane": "dataplane: {max_sessions: 100}\n",
        "pptp": f"pptp: {{max_connections: 200, {crowd.UNLIMITED}}}\n",
        "pools": """pools:
  default: {ranges: [10.64.0.2-10.64.63.254], gateway: 10.64.0.1}
  small: {ranges: [10.64.64.1-10.64.64.50], gateway: 10.64.0.1}
""",
    }

    def test_1_an_empty_pool_ends_the_login(self):
        status, result = self.dial("--retry", 3, "--retry-wait", 0.5, "--hold", 1, user="bob", sessions=80)
        self.assertEqual((status, result["up"], result["failures"]), (1, 50, 30))
        # PPP says so, before the login would have succeeded.
        self.assertEqual(result["failed"], {"auth": {"the server terminated LCP": 30}})
        self.assertEqual(self.calls_ended("no_address"), 30 * 4)
        self.is_told('event="login not served"', "pool=small",
                     refused=lambda: self.calls_ended("no_address"), per_second=LIMITED)
        self.server.wait_sessions(WITNESSES, 20)
        self.comes_up(user="bob")
        self.witnesses_live()

    def test_2_more_calls_than_sessions(self):
        status, result = self.dial("--retry", 6, "--retry-wait", 0.5, "--hold", 1, sessions=160)
        self.assertEqual((status, result["up"], result["failures"]), (1, 80, 80))
        self.assertEqual(result["failed"], {"call": {REFUSED: 80}})
        self.assertEqual(self.calls_ended("no_session_slot"), 80 * 7)
        self.is_told('event="call refused"', "reason=no_session_slot",
                     refused=lambda: self.calls_ended("no_session_slot"), per_second=LIMITED)
        self.server.wait_sessions(WITNESSES, 20)
        self.comes_up()
        self.witnesses_live()

    @contextlib.contextmanager
    def idle_connections(self, count):
        process = self.start("--sources", 4, "--sessions", count, "--concurrent", count,
                             "--idle-connections", "--time-limit", 60, source=SOURCES[4])
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=20)

    def connections(self):
        return self.server.show("stats")["connections"]

    def test_3_more_connections_than_there_may_be(self):
        with self.idle_connections(500):
            pnslab.wait_until(lambda: self.connections_ended("connection_limit") >= 320, 15,
                              "320 are refused")
            self.assertEqual(self.connections(), 200)

            def a_late_caller_is_closed():
                with peer.Peer(self.lab.inet, PROBE, SERVER) as late:
                    with contextlib.suppress(OSError):
                        late.send(peer.start_request())
                    return late.closed_within(2)
            line = 'event="connection refused"', "reason=connection_limit"
            pnslab.wait_until(lambda: a_late_caller_is_closed() and self.all_told(*line), 5,
                              "late callers are closed and told of")
            self.is_told(*line, refused=lambda: self.connections_ended("connection_limit"),
                         per_second=LIMITED)
        pnslab.wait_until(lambda: self.connections() == WITNESSES, 10, "they are gone")
        self.comes_up()
        self.witnesses_live()

    @staticmethod
    def descriptor_limit(pid, soft=None):
        """Of a process, set when `soft` is given. A process of another user may be limited by that user, and
        otherwise with CAP_SYS_RESOURCE only."""
        def ids_of(line):
            text = pathlib.Path(f"/proc/{pid}/status").read_text()
            return int(re.search(rf"^{line}:\s+(\d+)", text, re.M)[1])
        limit = [] if soft is None else [f"--nofile={soft}:"]
        out = subprocess.run(["prlimit", "--pid", str(pid), *(limit or
                              ["--nofile", "--noheadings", "--raw", "--output", "SOFT"])],
                             user=ids_of("Uid"), group=ids_of("Gid"), extra_groups=[],
                             stdout=subprocess.PIPE, text=True, check=True).stdout
        return soft if limit else int(out)

    @contextlib.contextmanager
    def few_descriptors(self, pid, more):
        """The process may open no more than so many, beyond what it has open."""
        before = self.descriptor_limit(pid)
        highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
        self.descriptor_limit(pid, highest + 1 + more)
        try:
            yield
        finally:
            self.descriptor_limit(pid, before)

    def without_descriptors(self, plane, *line):
        with self.few_descriptors(self.server.pid_of(plane), 10):
            status, result = self.dial("--retry", 8, "--retry-wait", 0.5, "--hold", 2, sessions=70)
            self.assertEqual(status, 1)
            self.assertGreaterEqual(result["failures"], 30)
            self.assertGreater(result["up"], 0)
            # The supervisor's answer may come after the call is up.
            if plane == "control":
                self.assertEqual(result["lost_calls"], 0)
            self.assertGreater(self.connections_ended("descriptor_limit"), 200)
            self.is_told(*line, refused=lambda: self.connections_ended("descriptor_limit"), per_second=1)
        self.comes_up()
        return result

    def test_4_control_without_descriptors(self):
        result = self.without_descriptors("control", 'event="descriptors exhausted"')
        self.assertEqual(list(result["failed"]), ["start"])  # TCP is closed, nothing else is said
        self.witnesses_live()

    def test_5_the_supervisor_without_descriptors(self):
        self.without_descriptors("supervisor", 'event="connection refused: no descriptor came with it"')
        # Those that are up would outlive their control process.
        self.starts = self.starts[0] + 1, self.starts[1]
        self.kill("control")
        self.wait_new_client()
        self.wait_up(WITNESSES)
        self.witnesses_live()


class Store(Exhaustion):
    """The run directory lies on a disk of its own, a small one."""

    @classmethod
    def before_start(cls):
        cls.disk = cls.lab.directory / "server" / "run"
        cls.disk.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "pns-lab", cls.disk], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        subprocess.run(["umount", cls.disk], check=True)
        super().tearDownClass()

    @property
    def filler(self):
        return pathlib.Path(self.disk, "filler")

    def fill(self):
        """To the last octet."""
        with open(self.filler, "ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def failing(self):
        return self.counters.read()["pns_store_failing", frozenset()]

    def test_a_full_disk_takes_no_new_calls(self):
        self.fill()
        self.addCleanup(self.filler.unlink, missing_ok=True)
        process = self.start("--sources", 4, "--sessions", 300, "--concurrent", 300, "--ping", HOST,
                             "--retry", 5, "--retry-wait", 0.5, "--hold", 600, source=SOURCES[4])
        pnslab.wait_until(lambda: self.calls_ended("store_failed") >= 300, 30, "300 calls are refused")
        self.assertEqual(self.failing(), 1)
        with peer.Peer(self.lab.inet, PROBE, SERVER) as client:
            client.establish()
            kind, reply = client.send(peer.call_request(1)).receive(5)
            self.assertEqual((kind, reply[16], reply[17]), (8, 2, 4))
        self.is_told('event="call refused"', "reason=store_failed",
                     refused=lambda: self.calls_ended("store_failed"), per_second=LIMITED)
        self.assertLessEqual(len(self.lines('event="store failed"')), 4)
        self.assertGreater(self.counters.grown("pns_store_failures_total"), 0)
        self.assertLessEqual(set(self.known.items()), set(self.ids().items()))

        self.filler.unlink()
        pnslab.wait_until(lambda: self.failing() == 0, 5, "calls can be stored again")
        self.assertEqual(len(self.lines('event="store recovered"')), 1)
        self.audit()
        self.comes_up()
        # The changes of that time have been stored since: a successor finds every call.
        pnslab.wait_until(lambda: self.audit()["in_motion"] == 0, 10, "calls settle")
        open_now = {s["id"]: s["our_call_id"] for s in self.server.sessions() if s["state"] == "open"}
        self.starts = self.starts[0] + 1, self.starts[1]
        self.kill("control")
        self.wait_new_client()
        self.wait_up(len(open_now))
        self.assertLessEqual(set(open_now.items()), set(self.ids().items()))
        process.terminate()
        _, result = self.finish(process)
        self.assertEqual(result["lost_calls"], 0)
        self.witnesses_live()


class Memory(Exhaustion):
    changes = {**crowd.Crowd.changes, "control": "control: {memory: {megabytes: 0}}\n"}

    def megabytes(self):
        return self.counters.read()["pns_control_memory_bytes", frozenset()] / (1 << 20)

    def test_memory_at_its_limit_takes_no_new_calls(self):
        idle = self.megabytes()
        limit = int(idle) + 4
        file = self.server.config_file
        file.write_text(file.read_text().replace("megabytes: 0", f"megabytes: {limit}"))
        subprocess.run([self.server.pns, "restart", "control", "--run-dir", str(self.server.run_dir)],
                       check=True, stdout=subprocess.DEVNULL, timeout=30)
        self.starts = self.starts[0] + 1, self.starts[1]
        self.wait_up(WITNESSES)
        self.counters = peer.Counters(self.server)
        process = self.start("--sources", 4, "--sessions", 2000, "--concurrent", 200, "--ramp", 6,
                             "--retry", 2, "--retry-wait", 0.5, "--ping", HOST, "--hold", 1,
                             source=SOURCES[4])
        _, result = self.finish(process)
        highest = self.megabytes()
        print(f"idle {idle:.1f} MB, limit {limit} MB, {result['up']} calls up, then {highest:.1f} MB",
              flush=True)
        def refused():
            return self.calls_ended("memory_limit") + self.connections_ended("memory_limit")
        self.assertGreater(refused(), 200)
        self.assertGreater(result["up"], 100)
        self.assertEqual(result["lost_calls"], 0)  # those that had come up
        self.assertLessEqual(set(result["failed"]), {"start", "call", "connect"})
        self.assertEqual(len(self.lines('event="memory limit reached"')), 1)
        self.is_told("refused", "reason=memory_limit", refused=refused, per_second=LIMITED)
        self.server.wait_sessions(WITNESSES, 20)
        pnslab.wait_until(lambda: self.lines('event="memory limit left"'), 15,
                          "memory is there again")
        self.assertLess(self.megabytes(), limit * 0.95)
        self.comes_up()
        self.witnesses_live()


class Rings(Exhaustion):
    """A plane that stands still for two seconds."""

    accept_loss = "40%"  # while the dataplane stands still

    @contextlib.contextmanager
    def stopped(self, plane):
        pid = self.server.pid_of(plane)
        os.kill(pid, signal.SIGSTOP)
        until = time.monotonic() + 2
        try:
            yield
            time.sleep(max(0, until - time.monotonic()))  # it is to stand still so long
        finally:
            os.kill(pid, signal.SIGCONT)

    def test_1_control_stands_still_and_its_ring_is_full(self):
        self.accept_loss = "0.1%"  # data does not need it
        calls = range(1, 41)
        with peer.Peer(self.lab.inet, PROBE, SERVER) as client:
            client.establish()
            ours = [client.call(number).server_call for number in calls]
            with self.stopped("control"):
                # An Identification (RFC 1570 §2.2) is control's to read; a hundred are let through.
                for sequence in range(90):
                    for call_id in ours:
                        frame = peer.ppp(peer.LCP, 12, sequence, bytes(1200))
                        client.send_gre(peer.gre(call_id, frame, sequence))
            dropped = self.counters.grown("pns_channel_dropped_total", kind="event_ring_full")
            print(f"{dropped:.0f} of {90 * len(ours)} frames found the ring full", flush=True)
            self.assertGreater(dropped, 100)
            pnslab.wait_until(lambda: self.lines('event="control frames lost'), 5, "the log says so")
            self.assertLessEqual(len(self.lines('event="control frames lost')), 4)
            self.assertTrue(client.alive())
            self.comes_up()
        self.witnesses_live()

    def test_2_the_dataplane_stands_still_while_200_dial(self):
        process = self.start("--sources", 4, "--sessions", 200, "--concurrent", 200, "--ramp", 2, "--ping",
                             HOST, "--retry", 5, "--retry-wait", 0.5, "--hold", 2, source=SOURCES[4])
        self.wait_up(WITNESSES + 20)
        with self.stopped("dataplane"):
            pass
        status, result = self.finish(process)
        self.assertEqual((status, result["up"], result["failures"]), (0, 200, 0))
        self.assertGreater(result["until_up_ms"]["max"], 1000)  # some had to wait
        self.comes_up()
        self.witnesses_live()


if __name__ == "__main__":
    theme.main(Limits, Store, Memory, Rings)
