#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`pns drain`: no new calls, the old ones go on until they end or the deadline has come. And the end
of a server with many calls: every client is told."""
import json
import re
import subprocess

import crowd
import peer
import pnslab
import theme
from crowd import PROBE, SERVER
from theme import HOST

OUTGOING_CALL_REPLY, STOP_REQUEST = 8, 3
DO_NOT_ACCEPT = 7


class DrainTheme(crowd.Crowd):
    def drain(self, *words):
        return subprocess.Popen(
            [self.server.pns, "drain", *words, "--run-dir", str(self.server.run_dir)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def drained(self, *words, timeout=20):
        """(exit status, stdout, stderr)"""
        process = self.drain(*words)
        out, err = process.communicate(timeout=timeout)
        return process.returncode, out, err

    def status(self):
        return json.loads(self.drained("--status", "--json")[1])


class Drain(DrainTheme):
    guests = 1

    def tearDown(self):
        super().tearDown()
        if self.server.process.poll() is None:
            self.drained("--cancel")

    def dial(self, client, call_id=1):
        """The result code of an Outgoing-Call-Reply."""
        kind, reply = client.send(peer.call_request(call_id)).receive()
        self.assertEqual(kind, OUTGOING_CALL_REPLY)
        return reply[16]

    def test_a_live_call_goes_on_a_new_one_is_refused_and_let_in_after_the_cancel(self):
        session = self.connect()
        drain = self.drain()
        pnslab.wait_until(lambda: self.status()["draining"], 5, "the server drains")
        self.assertEqual(self.ping(self.guest, HOST, "-i 0.1", count=10), (10, 10))
        with peer.Peer(self.lab.inet, PROBE, SERVER) as client:
            self.assertEqual(self.dial(client.establish()), DO_NOT_ACCEPT)
            self.assertTrue(client.alive())
        refused = self.guest.dial("alice", self.users["alice"])
        self.assertNotEqual(refused.wait_end(), 0)
        # The guest's pptp may ask once more.
        self.assertIn(self.server.show("stats")["call_ends"]["draining"], (2, 3))
        self.assertIn("pns_draining 1", self.server.metrics())
        self.assertIn("pns_drain_calls_left 1", self.server.metrics())
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        self.assertIsNone(drain.poll())

        self.assertEqual(self.drained("--cancel")[0], 0)
        out, err = drain.communicate(timeout=10)
        self.assertEqual(drain.returncode, 1, (out, err))
        self.assertIn("cancelled", err)
        self.assertIn("1 of 1 calls left", out)
        with peer.Peer(self.lab.inet, PROBE, SERVER) as client:
            self.assertEqual(self.dial(client.establish()), 1)
        self.assertEqual(self.find(session)["state"], "open")
        session.hang_up()

    def test_pns_drain_ends_when_the_last_call_does(self):
        session = self.connect()
        drain = self.drain("--json")
        pnslab.wait_until(lambda: self.status()["draining"], 5, "the server drains")
        self.assertEqual(session.hang_up(), 5)
        out, err = drain.communicate(timeout=10)
        self.assertEqual(drain.returncode, 0, err)
        state = json.loads(out)
        self.assertEqual((state["calls_left"], state["calls_at_start"]), (0, 1))

    def test_at_the_deadline_the_call_ends_politely_and_idle_connections_are_stopped(self):
        session = self.connect()
        with peer.Peer(self.lab.inet, PROBE, SERVER) as client:
            client.establish()
            status, out, err = self.drained("--deadline", "2s")
            self.assertEqual(status, 0, (out, err))
            self.assertIn("drained", out)
            self.assertIn(session.wait_end(), (5, 16))  # terminated by the peer, or the modem hung up
            self.assertIn("rcvd [LCP TermReq", session.log())
            self.assertEqual(client.receive(5)[0], STOP_REQUEST)
        self.assertEqual(self.server.show("stats")["last_ends"][0]["reason"], "draining")
        self.server.wait_sessions(0)

    def test_a_drain_survives_a_kill_of_the_control_process(self):
        session = self.connect()
        self.assertEqual(self.drained("--deadline", "1h", "--no-wait")[0], 0)
        drain = self.drain("--deadline", "1h")  # it waits on, over the kill
        self.assertIn("draining: 1 of 1 calls left", drain.stdout.readline())
        before = self.server.kill("control")
        pnslab.wait_until(lambda: self.server.pid_of("control") not in (None, before), 20,
                          "control is back")

        def state():
            status, out, _ = self.drained("--status", "--json")
            return json.loads(out) if status == 0 else None
        after = pnslab.wait_until(state, 20, "the control process answers")
        self.assertTrue(after["draining"])
        self.assertEqual((after["calls_left"], after["calls_at_start"]), (1, 1))
        self.assertGreater(after["deadline_s"], 3500)
        with peer.Peer(self.lab.inet, PROBE, SERVER) as client:
            self.assertEqual(self.dial(client.establish()), DO_NOT_ACCEPT)
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        drain.send_signal(2)
        _, err = drain.communicate(timeout=10)
        self.assertIn("pns drain --cancel", err)
        self.assertTrue(self.status()["draining"])
        session.hang_up()

    def test_without_a_server_the_exit_status_is_2(self):
        process = subprocess.run([self.server.pns, "drain", "--run-dir", "/nonexistent"],
                                 capture_output=True, check=False)
        self.assertEqual(process.returncode, 2)


class ShutDown(DrainTheme):
    def up(self, count):
        load = self.start("--sessions", count, "--concurrent", 60, "--hold", 600, "--time-limit", 120)
        pnslab.wait_until(
            lambda: self.server.show("stats")["sessions_by_phase"]["open"] == count, 60, "all are up")
        return load

    def told(self, load, count):
        """Every client heard LCP Terminate-Request: what it counts as the end is what came first."""
        out, err = load.communicate(timeout=60)
        result = json.loads(out)
        self.assertEqual(result["up"], count, err)
        self.assertEqual(result["failed"], {"up": {"the server terminated LCP": count}})
        self.assertEqual(result["farewells_unanswered"], 0)

    def test_at_the_deadline_of_a_drain_1000_calls_end_each_told(self):
        load = self.up(1000)
        status, out, err = self.drained("--deadline", "0", timeout=30)
        self.assertEqual(status, 0, (out, err))
        self.told(load, 1000)
        ends = self.server.show("stats")["call_ends"]
        # A client that hears Terminate-Request may be quicker to clear the call than we are.
        self.assertEqual(sum(ends.values()), 1000, ends)
        self.drained("--cancel")

    def test_at_the_end_of_the_server_2000_clients_are_told_within_its_bound(self):
        load = self.up(2000)
        status, seconds = self.server.stop()
        print(f"2,000 calls: the server ended within {seconds:.2f} s", flush=True)
        self.assertEqual(status, 0)
        self.assertLess(seconds, 6)
        self.told(load, 2000)
        log = self.server.log_file.read_text()
        # A client's reset may be lost on its way: nobody sends it again.
        unanswered = int(re.search(r"connections_unanswered=(\d+)", log)[1])
        print(f"{unanswered} connections ended without an answer", flush=True)
        self.assertLess(unanswered, 400)


if __name__ == "__main__":
    theme.main(Drain, ShutDown)
