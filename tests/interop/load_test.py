#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Thousands of emulated subscribers and PACs (pns-loadgen, docs/loadgen.md): clients of every kind in
one run, PACs that call in, a PAC that is called, lines that lose, repeat and reorder, and clients
that come and go, dial again and die."""
import csv
import json
import pathlib
import signal
import tempfile

import crowd
import peer
import pnslab
import theme
from crowd import ECHO, SOURCES
from theme import HOST

PROFILES = ("windows", "android", "mikrotik", "pptp-linux", "linux-kernel")


class Load(crowd.Crowd):
    changes = {**crowd.Crowd.changes, "ppp": """ppp:
  mtu: 1400
  auth: [mschapv2, mschap, chap, pap]
  mppe: {policy: prefer, key_bits: [128, 56, 40], mode: any}
"""}

    def setUp(self):
        self.counters = peer.Counters(self.server)

    def tearDown(self):
        super().tearDown()
        self.server.wait_sessions(0)
        pnslab.wait_until(lambda: not self.server.show("connections"), 5, "no connection is left")
        self.assertEqual(self.server.show("stats")["dataplane_starts"], 1)
        self.assertEqual(self.server.show("stats")["control_starts"], 1)

    def wait_open(self, count, but=frozenset()):
        """Until so many sessions are open that are not among `but`."""
        pnslab.wait_until(lambda: sum(s["state"] == "open" and s["connection"] not in but
                                      for s in self.server.sessions()) == count, 15,
                          f"{count} sessions are open")

    def dropped(self, reason):
        return self.counters.grown("pns_dataplane_drops_total", reason=reason)

    def test_2000_clients_of_every_kind_come_up_in_one_run_and_all_pass_traffic(self):
        result = self.load("--sources", 4, "--sessions", 2000, "--concurrent", 60, "--profile", "all",
                           "--ping", HOST, "--traffic", "udp", "--target", ECHO, "--rate", 1,
                           "--duration", 5, "--accept-loss", "0.1%")
        self.assertEqual({name: p["up"] for name, p in result["profiles"].items()},
                         dict.fromkeys(PROFILES, 400))
        self.assertGreaterEqual(result["traffic"]["sent"], 2000 * 4)
        self.assertEqual(result["traffic"]["sessions_unanswered"], 0)
        # Nobody had to ask twice but where the machine stood still.
        self.assertLess(result["with_retransmissions"], 40)

    def test_200_calls_of_four_pacs_on_a_connection_each(self):
        process = self.start("--role", "pac", "--sources", 4, "--sessions", 200,
                             "--calls-per-connection", 50, "--profile", "all", "--ping", HOST,
                             "--traffic", "udp", "--target", ECHO, "--rate", 5, "--duration", 4)
        self.server.wait_sessions(200, 30)
        connections = self.server.show("connections")
        self.assertEqual([c["incoming_calls"] for c in connections], [50] * 4)
        self.assertEqual({s["kind"] for s in self.server.sessions()}, {"incoming"})
        status, result = self.finish(process)
        self.assertEqual((status, result["failed"], result["up"]), (0, {}, 200))
        self.assertEqual(result["connections"], 4)
        self.assertEqual(result["traffic"]["lost"], 0)
        # PPP that overtook Incoming-Call-Connected (GRE is faster than TCP) was kept.
        self.assertLess(result["with_retransmissions"], 20)

    def test_1000_calls_at_once_of_one_pac_on_one_connection(self):
        result = self.load("--role", "pac", "--sessions", 1000, "--calls-per-connection", 1000,
                           "--concurrent", 1000, "--ping", HOST)
        self.assertEqual(result["connections"], 1)

    def test_a_call_of_a_pac_that_is_cleared_by_us_leaves_the_others(self):
        process = self.start("--role", "pac", "--sessions", 20, "--calls-per-connection", 20,
                             "--ping", HOST, "--hold", 600, "--time-limit", 30)
        self.server.wait_sessions(20, 30)
        pnslab.wait_until(lambda: all(s["state"] == "open" for s in self.server.sessions()), 10,
                          "all are open")
        self.server.clear("id=" + self.server.sessions()[0]["id"])
        self.server.wait_sessions(19)
        self.assertEqual(len(self.server.show("connections")), 1)
        process.terminate()
        status, result = self.finish(process)
        self.assertEqual((status, result["stopped"], result["up"]), (1, "signal", 20))
        self.assertEqual(result["failures"], 1)  # Terminate-Request came first

    def place(self, *answer, timeout=10):
        """`pns call place` to a PAC with this --answer: what both say of it."""
        pac = self.start("--role", "listen", "--ping", HOST, *answer)
        pnslab.wait_until(lambda: ":1723" in self.lab.inet.run("ss", "-Hltn").stdout, 10,
                          "the PAC listens")
        placed = self.server.place(SOURCES[0], "5551234", "--timeout", str(timeout), "--json")
        out, err = placed.communicate(timeout=30)
        status, result = self.finish(pac)
        return placed.returncode, json.loads(out), status, result

    def test_a_placed_call_is_answered(self):
        code, answer, status, result = self.place(
            "--traffic", "udp", "--target", ECHO, "--rate", 20, "--duration", 1, "--answer",
            "connected,delay=0.3")
        self.assertEqual((code, status, result["up"]), (0, 0, 1), (answer, result))
        self.assertEqual(answer["user"], "alice")
        self.assertGreaterEqual(result["traffic"]["received"], 19)

    def test_a_placed_call_is_refused_with_the_pacs_own_reason(self):
        for word in ("busy", "no-carrier"):
            code, answer, status, result = self.place("--answer", word)
            self.assertEqual((code, status), (1, 0), (answer, result))
            self.assertEqual(answer["reason"], "call_refused_by_peer")
            self.assertIn(word, json.dumps(answer).replace("_", "-"))
            self.assertEqual(result["answers"], {"asked": 1, "refused": 1, "withdrawn": 0})

    def test_a_placed_call_that_is_never_answered_is_taken_back(self):
        code, answer, status, result = self.place("--answer", "none", timeout=1)
        self.assertEqual((code, answer["reason"], status), (1, "place_timeout", 0), result)
        self.assertEqual(result["answers"], {"asked": 1, "refused": 0, "withdrawn": 1})

    def impaired(self, *words):
        before = self.dropped("gre_duplicate")
        late = self.dropped("gre_late")
        result = self.load("--sessions", 100, "--profile", "all", "--loss", "2%", "--duplicate", "2%",
                           "--reorder", "5%", "--seed", 7, "--restart", 1, "--ping", HOST,
                           "--traffic", "udp", "--target", ECHO, "--rate", 20, "--burst", 8,
                           "--duration", 4, "--accept-loss", "15%", *words)
        for direction in ("upstream", "downstream"):
            for effect in ("lost", "duplicated", "reordered"):
                self.assertGreater(result["impairments"][direction][effect], 20)
        # Every copy is recognised; most of what comes early waits, so little comes late.
        self.assertGreater(self.dropped("gre_duplicate") - before,
                           result["impairments"]["upstream"]["duplicated"] * 0.5)
        self.assertLess(self.dropped("gre_late") - late,
                        result["impairments"]["upstream"]["reordered"])
        self.assertEqual(self.dropped("mppe_garbage"), 0)
        return result

    def test_100_clients_on_bad_lines_encrypted(self):
        self.impaired("--mppe", 128)

    def test_100_clients_on_bad_lines_in_the_clear(self):
        self.impaired("--mppe", "none")

    def test_20_clients_on_bad_lines_with_stateful_encryption(self):
        result = self.load("--sessions", 20, "--profile", "all", "--mppe-mode", "stateful", "--loss",
                           "1%", "--restart", 1, "--ping", HOST, "--traffic", "udp", "--target", ECHO,
                           "--rate", 50, "--duration", 2, "--accept-loss", "20%")
        self.assertGreater(result["gre"]["undecryptable"], 0)  # until the reset that it asks for

    def test_call_ids_that_a_nat_helper_has_rewritten(self):
        self.load("--sessions", 50, "--profile", "all", "--call-id-from-port", "--ping", HOST)

    def test_every_method_and_every_encryption(self):
        for words in (("pap",), ("chap",), ("mschap", "--mppe", 128), ("mschap", "--mppe", 40),
                      ("mschapv2", "--mppe", "none"), ("mschapv2", "--mppe", 56),
                      ("mschapv2", "--mppe", 40), ("mschapv2", "--mppe-mode", "stateful")):
            with self.subTest(words):
                result = self.load("--sessions", 10, "--profile", "all", "--auth", *words, "--ping",
                                   HOST, "--traffic", "ping", "--rate", 20, "--duration", 0.5)
                self.assertEqual(result["traffic"]["lost"], 0)

    def test_churn_leaves_those_alone_that_take_no_part(self):
        with tempfile.TemporaryDirectory() as directory:
            timeline = pathlib.Path(directory, "churn.csv")
            result = self.load("--sources", 4, "--sessions", 200, "--profile", "all", "--ping", HOST,
                               "--traffic", "udp", "--target", ECHO, "--rate", 5, "--duration", 4,
                               "--churn", 40, "--churn-share", "50%", "--accept-loss", "5%",
                               "--timeline", timeline)
            with open(timeline, newline="", encoding="ascii") as file:
                rows = list(csv.DictReader(file))
        self.assertGreaterEqual(result["churned"], 40 * 3)
        # One that hung up in the last moment may not have dialled again.
        self.assertIn(200 + result["churned"] - result["connections"], range(5))
        self.assertEqual((result["lost_calls"], result["retries"]), (0, 0))
        self.assertIn(result["connections"] - int(rows[-1]["set_ups_done"]), range(5))
        self.assertGreaterEqual(min(int(row["up"]) for row in rows if int(row["set_ups_done"]) >= 200
                                    and float(row["time_s"]) < 4), 100)

    def test_clients_that_are_cut_off_dial_again_and_both_sides_see_the_same(self):
        with tempfile.TemporaryDirectory() as directory:
            view = pathlib.Path(directory, "view.json")
            process = self.start("--sources", 4, "--sessions", 40, "--profile", "all", "--ping", HOST,
                                 "--redial", "--retry-wait", 0.2, "--accept-lost-calls", 3,
                                 "--sessions-file", view, "--hold", 600, "--time-limit", 60)
            self.wait_open(40)
            cut = self.server.sessions()[:3]
            for session in cut:
                self.server.clear("id=" + session["id"])
            self.wait_open(40, but={session["connection"] for session in cut})
            view.unlink()
            process.send_signal(signal.SIGUSR1)
            pnslab.wait_until(view.exists, 5, "the clients' view is written")
            keys = ("source", "call_id", "server_call_id", "address", "user")
            theirs = {tuple(s[key] for key in keys) for s in json.loads(view.read_text())}
            keys = ("peer", "peer_call_id", "our_call_id", "address", "user")
            self.assertEqual({tuple(s[key] for key in keys) for s in self.server.sessions()}, theirs)
            process.terminate()
            _, result = self.finish(process)
        self.assertEqual((result["lost_calls"], result["failures"], result["connections"]), (3, 0, 43))
        self.assertEqual(sum(result["lost_for"]["up"].values()), 3)

    def test_the_dead_are_closed_and_what_they_still_send_meets_nobody(self):
        for kind in ("reset", "close"):
            with self.subTest(kind):
                before = self.dropped("gre_unknown_call")
                result = self.load("--sources", 2, "--sessions", 100, "--profile", "all", "--ping",
                                   HOST, "--death", kind, "--death-share", "50%", "--stray-gre", 4,
                                   "--stray-time", 0.5)
                self.assertEqual((result["death"]["kind"], result["death"]["sessions"]), (kind, 50))
                self.assertEqual(result["death"]["closed_by_server"], 50 if kind == "close" else 0)
                self.assertEqual(result["lost_calls"], 0)  # of those that lived on
                self.assertEqual(result["death"]["strays_sent"], 200)
                self.assertEqual(self.dropped("gre_unknown_call") - before, 200)

    def test_a_wrong_password_is_a_failure_by_stage_and_reason(self):
        status, result = self.finish(self.start("--sessions", 5, password="wrong"))
        self.assertEqual((status, result["up"], result["failures"]), (1, 0, 5))
        self.assertEqual(result["failed"], {"auth": {"authentication refused": 5}})


if __name__ == "__main__":
    theme.main(Load)
