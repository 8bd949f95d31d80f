#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Thousands of clients dial at once while others talk: all come up, nobody who talks notices
(docs/storm.md). PNS_STORM_CSV: a file that gets the time line of the first case."""
import bisect
import csv
import os
import pathlib
import tempfile
import threading
import time

import crowd
import peer
import pnslab
import theme
from crowd import ECHO, PROBE, SERVER, SOURCES, Statistics
from theme import HOST

CLIENTS = 5000
TALKERS = 500  # calls that stand before the others dial
SET_UPS = 256  # pptp.admission.set_ups
BOUND_MS = 2500  # p99 of an admitted set-up: docs/storm.md
LOSS = 0.001  # of what the talkers send
STEP = 0.1  # seconds of the time line
COLUMNS = ("time_s", "clients_up", "dialling", "waiting_call", "in_ppp", "retries", "in_flight",
           "waiting", "setup_p99_ms", "talk_sent", "talk_received")


class Sampler(threading.Thread):
    """Asks the server every 100 ms until it is stopped: (time, what it says of admission)."""

    def __init__(self, run_dir):
        super().__init__(daemon=True)
        self.run_dir = run_dir
        self.ended = threading.Event()
        self.samples = []

    def run(self):
        due = time.time()
        while not self.ended.wait(max(0.0, due - time.time())):
            when = time.time()
            self.samples.append((when, Statistics(self.run_dir).ask()["admission"]))
            due = max(due + STEP, time.time())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join(20)

    def most(self, what):
        return max(admission[what] for _, admission in self.samples)


def read_timeline(path):
    """Rows of a loadgen's time line, as numbers, with the wall clock's time in `when`."""
    with open(path, newline="", encoding="ascii") as file:
        rows = [{key: float(value) if value else None for key, value in row.items()}
                for row in csv.DictReader(file)]
    if not rows:
        return rows
    # Rows are written at once: the last one at the time of the file.
    start = path.stat().st_mtime - rows[-1]["time_s"]
    for row in rows:
        row["when"] = start + row["time_s"]
    return rows


def last_before(samples, when):
    """The last value of [(time, value)] that is no later; the first one before all."""
    return samples[max(0, bisect.bisect_right(samples, when, key=lambda sample: sample[0]) - 1)][1]


def write_timeline(path, clients, talkers, samples):
    """One CSV on the axis of the clients' dials, from two seconds before until all have hung up."""
    start = clients[0]["when"] - clients[0]["time_s"]
    numbers = ("up", "dialling", "waiting_call", "in_ppp", "retries")
    states = [(start, {**dict.fromkeys(numbers, 0), "setup_p99_ms": None})]
    states += [(row["when"], row) for row in clients]
    with open(path, "w", newline="", encoding="ascii") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in talkers:
            if not start - 2 <= row["when"] <= clients[-1]["when"]:
                continue
            state = last_before(states, row["when"])
            admission = last_before(samples, row["when"])
            p99 = state["setup_p99_ms"]
            writer.writerow([f"{row['when'] - start:.2f}", *(int(state[key]) for key in numbers),
                             admission["in_flight"], admission["waiting"],
                             "" if p99 is None else f"{p99:.0f}", int(row["traffic_sent"]),
                             int(row["traffic_received"])])


class Storm(crowd.Crowd):
    changes = {
        **crowd.Crowd.changes,
        "dataplane": "dataplane: {max_sessions: 16384}\n",
        "log": "log: {level: warn}\n",
        "pptp": f"pptp: {{echo_interval: 10s, {crowd.UNLIMITED}}}\n",
        "ppp": "ppp:\n  mtu: 1400\n  lcp_echo: {interval: 5s, failures: 3}\n",
    }

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.counters = peer.Counters(self.server)

    def tearDown(self):
        super().tearDown()
        self.server.wait_sessions(0, 30)
        pnslab.wait_until(lambda: not self.server.show("connections"), 30, "no connection is left")
        self.assertEqual(self.audit()["leases"], 0)
        for plane in ("control", "dataplane"):
            self.assertEqual(self.server.show("stats")[f"{plane}_starts"], 1)

    def dial(self, sessions, *words, sources=8, concurrent=None, **options):
        """So many clients that dial at once, or `concurrent` of them at a time."""
        return self.start("--sources", sources, "--sessions", sessions, "--concurrent",
                          sessions if concurrent is None else concurrent,
                          "--profile", "all", "--ping", HOST, "--retry", 20, *words, **options)

    def setups_within(self, seconds):
        """(set-ups of this case that took no longer by the server's own clock, all of them)"""
        def grown(what, **labels):
            return self.counters.grown(f"pns_setup_duration_seconds_{what}", **labels)
        return grown("bucket", le=f"{seconds:g}"), grown("count")

    def check_server(self):
        """Its books, and the bound by its own clock."""
        within, count = self.setups_within(BOUND_MS / 1000)
        self.assertGreaterEqual(within, 0.99 * count)
        for reason in ("connection_echo_timeout", "lcp_echo_timeout"):
            self.assertEqual(self.counters.grown("pns_call_ends_total", reason=reason), 0, reason)
        self.audit()

    def check_all_up(self, result):
        self.assertEqual((result["up"], result["failures"], result["lost_calls"]),
                         (result["sessions"], 0, 0), (result["failed"], result["lost_for"]))
        self.assertLess(result["admitted_ms"]["p99"], BOUND_MS)

    def test_1_5000_clients_dial_at_once_and_500_calls_do_not_notice(self):
        talk, storm = self.directory / "talk.csv", self.directory / "storm.csv"
        # Three LCP echoes and a PPTP echo of each fall due in this time.
        talkers = self.start("--sessions", TALKERS, "--profile", "all", "--ping", HOST, "--traffic",
                             "udp", "--target", ECHO, "--rate", 5, "--duration", 20, "--accept-loss",
                             "0.1%", "--timeline", talk, source=PROBE)
        pnslab.wait_until(lambda: talk.exists() and sum(
            row["traffic_received"] > 0 for row in read_timeline(talk)[:-1]) > 25, 30,
            "the established calls have talked for two seconds")
        with Sampler(self.server.run_dir) as sampler:
            status, result = self.finish(self.dial(CLIENTS, "--timeline", storm, "--hold", 3))
        talk_status, talked = self.finish(talkers)
        clients, traffic = read_timeline(storm), read_timeline(talk)
        if os.environ.get("PNS_STORM_CSV"):
            write_timeline(os.environ["PNS_STORM_CSV"], clients, traffic, sampler.samples)
        within, count = self.setups_within(0.5)
        print(f"storm: {result['sessions']} up after {result['until_up_ms']['max'] / 1000:.2f} s, "
              f"admitted p99 {result['admitted_ms']['p99']:.0f} ms ({within:.0f} of {count:.0f} within "
              f"0.5 s), {result['retries']} retries, most in flight {sampler.most('in_flight')}, most "
              f"waiting {sampler.most('waiting')}; established: {talked['traffic']['lost']} of "
              f"{talked['traffic']['sent']} lost, {talked['traffic']['latency_ms']['max']:.0f} ms at "
              f"most, echoes {talked['echoes_answered']}", flush=True)
        self.assertEqual(status, 0)
        self.check_all_up(result)
        self.assertLessEqual(sampler.most("in_flight"), SET_UPS)
        self.assertGreater(sampler.most("waiting"), CLIENTS / 10)  # it was a storm
        self.assertEqual((talk_status, talked["lost_calls"], talked["failures"]), (0, 0, 0))
        self.assertLessEqual(talked["traffic"]["loss"], LOSS)
        self.assertEqual(talked["traffic"]["sessions_unanswered"], 0)
        self.assertGreaterEqual(talked["echoes_answered"]["pptp"], TALKERS)
        self.assertGreaterEqual(talked["echoes_answered"]["lcp"], 2 * TALKERS)
        # The storm fell into the time in which they talked.
        self.assertLess(clients[-1]["when"], max(r["when"] for r in traffic if r["traffic_sent"]))
        self.check_server()
        self.assertEqual(self.counters.grown("pns_twin_frames_total", direction="dropped"), 0)

    def test_2_a_source_with_few_calls_does_not_wait_for_one_with_many(self):
        many, few = self.directory / "many.csv", self.directory / "few.csv"
        crowded = self.dial(2000, "--timeline", many, "--hold", 3, sources=1)
        pnslab.wait_until(lambda: Statistics(self.server.run_dir).ask()["admission"]["waiting"] > 500,
                          20, "the crowd waits")
        status, result = self.finish(self.dial(50, "--timeline", few, "--hold", 0.5,
                                                sources=1, source=PROBE))
        self.assertEqual(status, 0)
        self.check_all_up(result)
        status, result = self.finish(crowded)
        self.assertEqual(status, 0)
        self.check_all_up(result)

        def all_up(path, count):
            return next(row["when"] for row in read_timeline(path) if row["set_ups_done"] >= count)
        ahead = all_up(many, 2000) - all_up(few, 50)
        print(f"the 50 are up {ahead:.2f} s before the 2,000", flush=True)
        self.assertGreater(ahead, 0)
        self.check_server()

    def test_3_a_source_that_dials_and_says_nothing_stops_nobody_else(self):
        with peer.Peer(self.lab.inet, SOURCES[-1], SERVER) as silent:
            silent.establish()
            for call_id in range(1, 101):
                silent.send(peer.call_request(call_id))
            budget = SET_UPS // 4

            def held():
                admission = Statistics(self.server.run_dir).ask()["admission"]
                return (admission["in_flight"], admission["waiting"]) == (budget, 100 - budget)
            pnslab.wait_until(held, 10, "the silent source holds its budget, and its others wait")
            status, result = self.finish(self.dial(2000, sources=4))
            self.assertEqual(status, 0)
            self.check_all_up(result)
            self.assertEqual(result["retries"], 0)
            self.assertLess(result["until_up_ms"]["max"], 9000)  # before set_up_time is over
            self.audit()

    def test_4_after_a_power_cut_2000_clients_replace_their_old_sessions(self):
        dead = self.start("--sources", 8, "--sessions", 2000, "--profile", "all", "--ping", HOST,
                          "--death", "vanish", "--death-time", 60)
        self.wait_up(2000)
        old = {s["connection"] for s in self.server.sessions()}
        self.assertEqual(len(old), 2000)
        with Sampler(self.server.run_dir) as sampler:
            again = self.dial(2000, "--hold", 30, "--time-limit", 90)

            def replaced():
                shown = self.server.sessions()
                return (sum(s["state"] == "open" and s["connection"] not in old for s in shown) == 2000
                        and not any(s["connection"] in old for s in shown))
            began = time.monotonic()
            pnslab.wait_until(replaced, 60, "2,000 new sessions are open and no old one is left")
            print(f"power cut: replaced after {time.monotonic() - began:.1f} s", flush=True)
        self.audit()
        again.terminate()
        _, result = self.finish(again)
        up, replaced = result["until_up_ms"], self.counters.grown("pns_call_ends_total", reason="replaced")
        print(f"power cut: {replaced:.0f} calls asked for an old session's Call ID; up after "
              f"{up['p50'] / 1000:.1f} s (median), {up['max'] / 1000:.1f} s at most", flush=True)
        # A client that has its old Call ID again is not told Busy: it waits for the old session's end.
        self.assertGreater(replaced, 0)
        self.assertEqual(self.counters.grown("pns_call_ends_total", reason="peer_call_id_busy"), 0)
        self.check_all_up(result)
        self.assertLessEqual(sampler.most("in_flight"), SET_UPS)
        dead.terminate()
        _, result = self.finish(dead)
        self.assertEqual(result["death"]["sessions"], 2000)

    def logins_a_second(self, concurrent):
        """The rate at which 2,000 clients come up of which so many dial at a time."""
        path = self.directory / f"{concurrent}.csv"
        status, result = self.finish(self.dial(2000, "--timeline", path, "--hold", 0.5,
                                               concurrent=concurrent))
        self.assertEqual(status, 0)
        self.check_all_up(result)
        self.server.wait_sessions(0, 30)
        return 2000 / next(r["time_s"] for r in read_timeline(path) if r["set_ups_done"] >= 2000)

    def test_5_logins_go_on_at_their_rate_when_many_more_are_asked_for(self):
        calm = self.logins_a_second(SET_UPS // 2)
        storm = self.logins_a_second(2000)  # each at once, and again whenever it is told Busy
        print(f"logins a second: {calm:.0f} with {SET_UPS // 2} clients at a time, {storm:.0f} with all "
              f"2,000 at once", flush=True)
        self.assertGreater(storm, 0.6 * calm)


if __name__ == "__main__":
    theme.main(Storm)
