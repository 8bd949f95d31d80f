#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Thousands of calls and one real client, while planes are killed with SIGKILL: no call is lost.
PNS_KILLS: how many kills at random instants (default 60; kill_series.py takes hundreds); PNS_KILL_SEED repeats a run.
PNS_KILL_BUSY=1: every core has something else to do; PNS_KILL_LOSS=2%: GRE loses that much each way.
What a failed case leaves lies in PNS_TEST_LOGS/kill-SEED (default build/test-logs): the logs of server,
clients and guest, and kills.csv."""
import contextlib
import csv
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import tempfile
import time

import crowd
import peer
import pnslab
import theme
from crowd import ECHO
from theme import HOST

SESSIONS = 2000
KILLS = int(os.environ.get("PNS_KILLS", "60"))
BUSY = os.environ.get("PNS_KILL_BUSY", "0") != "0"
LOSS = os.environ.get("PNS_KILL_LOSS", "")
SEED = int(os.environ.get("PNS_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)


class Kill(crowd.Crowd):
    guests = 1
    changes = {**crowd.Crowd.changes, "ppp": """ppp:
  mtu: 1400
  lcp_echo: {interval: 5s, failures: 4}
  auth: [mschapv2]
  mppe: {policy: require, key_bits: [128], mode: any}
"""}

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.load = None
        self.kills = []  # (monotonic time, planes)

    def file(self, name):
        return pathlib.Path(self.directory.name, name)

    def kill(self, *planes):
        when = super().kill(*planes)
        self.kills.append((when, "+".join(planes)))
        with open(self.lab.directory / "kills.csv", "a", encoding="ascii") as file:
            print(f"{self.id()},{when:.6f},{'+'.join(planes)}", file=file)
        return when

    def start(self, *words, **options):
        self.load = super().start(*words, **options)
        return self.load

    def tearDown(self):
        if self.failed():
            self.tell_what_is_known()
        super().tearDown()

    def tell_what_is_known(self):
        """Of a case that failed: the calls that were lost until then, and where the logs are."""
        if self.load is not None and self.load.poll() is None:
            self.load.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired, AssertionError):
                for lost in self.finish(self.load, 20)[1].get("lost", []):
                    print(f"--- lost: {self.story_of(lost)}", flush=True)
        print(f"--- all logs: {self.keep_logs(f'kill-{SEED}')}", flush=True)
        self.server.wait_sessions(0)
        self.assertEqual(self.audit()["leases"], 0)

    def crowd(self, *words):
        """2,000 sessions that pass traffic, none of which may be lost."""
        process = self.start("--sources", 4, "--sessions", SESSIONS, "--concurrent", 60, "--profile",
                             "all", "--ping", HOST, "--traffic", "udp", "--target", ECHO, "--rate", 1,
                             "--time-limit", 240, *words)
        self.wait_up(SESSIONS)
        return process

    def tcp(self, seconds):
        """The real client's transfer: starts, and a function that waits for it and checks it."""
        session = self.connect(kernel_mode=True)
        # Slow, so that it shares two cores with two thousand others; what is asked of it is to go on.
        job = self.guest.start(f"iperf3 -c {HOST} -t {seconds} -i 1 -b 2M -J", seconds + 60)

        def done():
            status, output = job.wait(seconds + 60)
            report = json.loads(output)
            self.assertEqual(status, 0, report.get("error"))
            rates = [i["sum"]["bytes"] for i in report["intervals"]]
            self.assertGreaterEqual(report["end"]["sum_received"]["bytes"], 0.8 * seconds * 250_000, rates)
            self.assertTrue(all(rates[-3:]), rates)  # it still moves at the end
            self.assertIsNotNone(self.find(session))
            session.hang_up()
            return rates
        return done

    def longest_silence(self, timeline):
        """Seconds in a row in which the crowd got no answer."""
        with open(timeline, newline="", encoding="ascii") as file:
            rows = [(float(r["time_s"]), int(r["traffic_sent"]), int(r["traffic_received"]))
                    for r in csv.DictReader(file)]
        first = next(i for i, row in enumerate(rows) if row[2])
        last = max(i for i, row in enumerate(rows) if row[1])
        longest, since = 0.0, rows[first][0]
        for when, _, received in rows[first:last]:
            if received:
                since = when
            longest = max(longest, when - since)
        return longest

    def test_1_control_is_killed_and_nothing_is_lost(self):
        self.serve_iperf()
        process = self.crowd("--duration", 14)
        transfer = self.tcp(10)
        known = {s["id"]: s["our_call_id"] for s in self.server.sessions()}
        took = []
        for _ in range(3):
            killed = self.kill("control")
            self.wait_new_client()
            self.wait_up(SESSIONS + 1)
            took.append(time.monotonic() - killed)
            self.audit()
        print(f"control: serves again {[f'{t:.3f}' for t in took]} s after SIGKILL, "
              f"{SESSIONS + 1} calls", flush=True)
        self.assertLess(max(took), 2)
        for what in ("supervisor", "control"):
            print(self.server.restart(what), end="", flush=True)
            self.wait_up(SESSIONS + 1)
            self.audit()
        # It knows what it knew, and does what it did.
        shown = self.server.sessions()
        self.assertEqual({s["id"]: s["our_call_id"] for s in shown}, known)
        self.assertEqual({s["user"] for s in shown}, {"alice"})
        transfer()
        status, result = self.finish(process)
        self.assertEqual((status, result["up"], result["lost_calls"]), (0, SESSIONS, 0))
        self.assertEqual(result["traffic"]["lost"], 0)
        self.assertEqual(result["farewells_unanswered"], 0)
        # The facts of a call from before are in the line that its end leaves.
        ends = [line for line in self.server.log_file.read_text(errors="replace").splitlines()
                if 'event="call ended"' in line]
        last = dict(re.findall(r"(\w+)=(\S+)", ends[-1]))
        self.assertGreaterEqual(int(last["duration_s"]), 10)
        self.assertGreater(int(last["rx_bytes"]), 1000)
        self.clear_one()

    def clear_one(self):
        session = self.connect()
        self.server.clear("alice")
        session.wait_end()
        self.server.wait_sessions(0)

    def test_2_the_dataplane_is_killed_and_forwards_again_within_a_second(self):
        self.serve_iperf()
        timeline = self.file("timeline.csv")
        process = self.crowd("--duration", 14, "--timeline", timeline, "--timeline-step", 0.02,
                             "--accept-loss", "30%")
        transfer = self.tcp(10)
        sent_before = {s["id"]: s["tx_packets"] for s in self.server.sessions()}
        before = self.server.pid_of("dataplane")
        self.kill("dataplane")
        pnslab.wait_until(lambda: self.server.pid_of("dataplane") not in (None, before), 10,
                          "the dataplane is started again")
        self.ask(self.attached)
        print(self.server.restart("dataplane"), end="", flush=True)
        transfer()
        status, result = self.finish(process)
        silence = self.longest_silence(timeline)
        print(f"dataplane: {silence:.2f} s without an answer, {result['traffic']['lost']} of "
              f"{result['traffic']['sent']} packets lost; {self.start_line('dataplane')}", flush=True)
        self.assertEqual((status, result["lost_calls"]), (0, 0))
        self.assertEqual(result["traffic"]["sessions_unanswered"], 0)
        self.assertEqual(len(sent_before), SESSIONS + 1)
        self.assertLess(silence, 1.5)
        self.assertEqual(self.server.show("stats")["dataplane_starts"], 3)

    def start_line(self, plane):
        lines = [line for line in self.server.log_file.read_text(errors="replace").splitlines()
                 if f"process={plane}" in line and "_ms=" in line]
        return lines[-1] if lines else ""

    def test_3_stateful_encryption_recovers_by_reset(self):
        process = self.start("--sessions", 50, "--mppe-mode", "stateful", "--profile", "all", "--ping",
                             HOST, "--traffic", "udp", "--target", ECHO, "--rate", 20, "--duration", 8,
                             "--accept-loss", "30%")
        self.wait_up(50)
        for _ in range(2):
            before = self.ask(lambda: {s["id"]: (s["rx_packets"], s["tx_packets"])
                                       for s in self.server.sessions()})
            self.kill("dataplane")

            def all_go_on(before=before):
                now = {s["id"]: (s["rx_packets"], s["tx_packets"]) for s in self.server.sessions()}
                return len(now) == 50 and all(now[i][0] >= before[i][0] + 20 and
                                              now[i][1] >= before[i][1] + 20 for i in before)
            pnslab.wait_until(lambda: self.ask(all_go_on), 10, "every session goes on, both ways")
        status, result = self.finish(process)
        self.assertEqual((status, result["lost_calls"]), (0, 0))

    def peers_agree(self, process, view):
        """Each call that the clients believe to be up is known here, as they know it."""
        def compare():
            view.unlink(missing_ok=True)
            process.send_signal(signal.SIGUSR1)
            pnslab.wait_until(view.exists, 10, "the clients' view is written")
            theirs = {(s["source"], s["server_call_id"], s["call_id"], s["address"])
                      for s in json.loads(view.read_text()) if s["state"] == "up"}
            ours = {(s["peer"], s["our_call_id"], s["peer_call_id"], s["address"])
                    for s in self.server.sessions() if s["state"] == "open"}
            # Calls come and go between the two questions: what differs must not differ for long.
            return theirs - ours
        # An end of IPCP that was lost counts a call as up at one end only, until PPP's restart timer
        # (3 s) sends it again.
        deadline = time.monotonic() + 10
        differing = compare()
        while differing and time.monotonic() < deadline:
            differing &= compare()
        self.assertEqual(differing, set())

    def test_4_kills_at_random_instants_while_calls_come_and_go(self):
        chance = random.Random(SEED)
        print(f"PNS_KILL_SEED={SEED} PNS_KILLS={KILLS} PNS_KILL_BUSY={int(BUSY)} PNS_KILL_LOSS={LOSS}",
              flush=True)
        view = self.file("view.json")
        process = self.start("--sources", 4, "--sessions", SESSIONS, "--concurrent", 60, "--profile", "all",
                             "--ping", HOST, "--traffic", "udp", "--target", ECHO, "--rate", 1,
                             "--duration", 3600, "--churn", 40, "--churn-share", "40%", "--retry", 50,
                             "--retry-wait", 0.3, "--sessions-file", view, "--time-limit", 3600,
                             "--accept-loss", "50%", *(("--loss", LOSS) if LOSS else ()))
        # All were up once; from then on some are always between two calls.
        self.wait_up(SESSIONS - 200, 120)
        if BUSY:
            self.occupy_the_cores()
        self.serve_iperf()
        session = self.connect(kernel_mode=True)
        self.guest.start(f"iperf3 -c {HOST} -t 3600 -b 500K", 3600)
        descriptors = self.descriptors()
        took = []
        for number in range(KILLS):
            time.sleep(chance.uniform(0, 1.0))  # an instant nobody has chosen
            planes = chance.choice([("control",), ("dataplane",), ("control", "dataplane")])
            killed = self.kill(*planes)
            self.ask(self.attached, what=f"both planes serve after kill {number}")
            took.append(time.monotonic() - killed)
            self.audit()
            if number % 20 == 19:
                self.peers_agree(process, view)
                print(f"{number + 1} kills, both planes back after {max(took):.2f} s at most",
                      flush=True)
            self.assertIsNone(process.poll(), "the load generator has ended")
        print(f"{len(took)} kills, both planes back after {max(took):.2f} s at most", flush=True)
        # Everything that was in motion settles.
        pnslab.wait_until(lambda: self.audit()["in_motion"] < 100, 10, "calls settle")
        self.peers_agree(process, view)
        self.assertLess(self.descriptors() - descriptors, 450)  # connections of those that churn
        # The real client's TCP has lived through all of it.
        before = self.find(session)["rx_bytes"]
        pnslab.wait_until(lambda: self.find(session)["rx_bytes"] > before + 100_000, 20,
                          "the client's transfer goes on")
        session.hang_up()
        process.terminate()
        _, result = self.finish(process)
        stories = "\n".join(self.story_of(lost) for lost in result.get("lost", []))
        self.assertEqual(result["lost_calls"], 0, f"PNS_KILL_SEED={SEED}: {result['lost_for']}\n{stories}")
        self.assertEqual(result["failures"], 0)
        self.assertGreater(result["churned"], KILLS * 5)
        # Those that hung up and were not heard, as in a lab whose queues are short, end by LCP echo.
        self.server.wait_sessions(0, 40)
        pnslab.wait_until(lambda: not self.server.show("connections"), 20, "no connection is left")
        audit = self.audit()
        self.assertEqual((audit["leases"], audit["installed"], audit["stored_sessions"],
                          audit["stored_connections"]), (0, 0, 0, 0))

    def test_5_all_calls_answer_their_echoes_long_after_control_was_killed(self):
        """A successor takes all calls over in one instant. Their echoes must not fall together then: the
        dataplane has room for a burst of 1,280 replies, and a call whose replies are lost four times ends."""
        process = self.crowd("--duration", 240, "--accept-loss", "5%")
        self.kill("control")
        self.wait_new_client()
        self.wait_up(SESSIONS)
        counters = peer.Counters(self.server)
        # The echoes of this lab's file: five seconds apart, and four of them without an answer.
        deadline = time.monotonic() + 5 * (4 + 2)
        while time.monotonic() < deadline:
            time.sleep(1)  # calls are looked at for that long, whatever comes
            self.assertEqual(self.server.show("stats")["call_ends"], {})
        self.assertEqual(counters.grown("pns_dataplane_drops_total", reason="punt_policed"), 0)
        process.terminate()
        _, result = self.finish(process)
        self.assertEqual((result["lost_calls"], result["up"]), (0, SESSIONS))
        self.assertGreater(result["echoes_answered"]["lcp"], SESSIONS * 4)
        self.server.wait_sessions(0, 40)

    def occupy_the_cores(self):
        """Until the case ends."""
        for _ in range(os.cpu_count()):
            process = self.lab.start_in(self.lab.inet, "sh", "-c", "while :; do :; done")
            self.addCleanup(pnslab.end, process)

    def story_of(self, lost):
        """What is known of a call that was lost, as text: the clients' view, the kill before it and the
        server's lines."""
        before = [(number, when, planes) for number, (when, planes) in enumerate(self.kills)
                  if when <= lost["monotonic_s"]]
        kill = "before any kill"
        if before:
            number, when, planes = before[-1]
            kill = f"{lost['monotonic_s'] - when:.3f} s after kill {number} of {planes}"
        words = [f"our_call_id={lost['server_call_id']}", f"peer={lost['source']}"]
        lines = [line for line in self.server.log_file.read_text(errors="replace").splitlines()
                 if all(word in line.split() for word in words)]
        told = "".join(f"\n    {line}" for line in lines[-4:])
        return (f"call {lost['call_id']} of {lost['source']} (the server's {lost['server_call_id']}, "
                f"{lost['address']}): {lost['stage']}: {lost['reason']}, {kill}, "
                f"{lost['up_for_s']:.3f} s after it was up; the server says:{told or ' nothing'}")

    def attached(self):
        if not self.server.show("stats")["dataplane_attached"]:
            raise pnslab.LabError("the dataplane is not attached")
        return True

    def descriptors(self):
        """Of the supervisor."""
        return len(os.listdir(f"/proc/{self.server.pid_of('supervisor')}/fd"))


if __name__ == "__main__":
    theme.main(Kill)
