#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""PACs on the wire: calls that they announce, calls that we place with `pns call place`, both sides
connecting at once, many calls on one control connection, and a restart under all of them."""
import json
import struct
import time

import peer
import pnslab
import theme
from theme import SERVER

PAC = "198.51.100.210"    # above the server's address: wins a collision
LOWER = "192.0.2.9"       # below it: loses one
GATEWAY = "198.51.100.200"
WORD = "wonderland"


class Pacs(theme.Theme):
    guests = 0
    changes = {"ppp": "ppp: {auth_retries: 0}\n"}  # a wrong password ends a call at once
    users = {"alice": WORD, "bob": WORD, "carol": WORD, "dave": WORD, "erin": WORD}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for address in (PAC, GATEWAY):
            cls.lab.inet.ip("address", "add", f"{address}/24", "dev", "br0")
        cls.lab.inet.ip("address", "add", f"{LOWER}/32", "dev", "br0")
        cls.lab.pns.ip("route", "add", f"{LOWER}/32", "via", GATEWAY)

    def setUp(self):
        self.counters = peer.Counters(self.server)

    def tearDown(self):
        super().tearDown()
        self.server.wait_sessions(0)
        pnslab.wait_until(lambda: not self.server.show("connections"), 5, "no connection is left")
        self.assertEqual(self.server.show("stats")["dataplane_starts"], 1)

    def pac(self, source=PAC, tcp=None):
        return peer.Pac(self.lab.inet, source, SERVER, tcp)

    def accept(self, listener, source=PAC):
        return self.pac(source, listener.accept()[0])

    def shown(self, pac, condition):
        """Waits, with the PAC alive, until the sessions satisfy it."""
        pac.pump(lambda: condition(self.server.sessions()), 10, "the server shows it")

    def finish(self, process, pac=None):
        """(status, stdout, stderr) of `pns call place`, with the PAC alive meanwhile."""
        if pac is not None:
            pac.pump(lambda: process.poll() is not None, 20, "pns call place ends")
        out, err = process.communicate(timeout=20)
        return process.returncode, out, err

    def test_a_pac_calls_and_its_subscriber_gets_an_open_link(self):
        with self.pac() as pac:
            pac.establish()
            call = pac.announce(77, "alice", WORD)
            pac.wait_open(call)
            self.shown(pac, lambda all: [s["state"] for s in all] == ["open"])
            session = self.server.sessions()[0]
            self.assertEqual((session["kind"], session["user"]), ("incoming", "alice"))
            self.assertEqual(session["address"], call.client.address)
            self.assertEqual(session["our_call_id"], call.server_call_id)
            self.assertEqual(session["peer_call_id"], 77)
            connection = self.server.show("connections")[0]
            self.assertEqual((connection["role"], connection["incoming_calls"]), ("accepted", 1))
            # Its report of the line (§2.14) is shown and counted.
            pac.send(peer.message(14, struct.pack(">HHIIIIII", call.server_call_id, 0, 1, 2, 3, 4, 5, 6)))
            self.assertTrue(self.alive(pac))
            self.assertEqual(list(self.server.show("session", "alice")[0]["wan_errors"].values()),
                             [1, 2, 3, 4, 5, 6])
            self.assertEqual(self.counters.grown("pns_wan_errors_total"), 21)
            self.assertEqual(self.counters.grown("pns_calls", kind="incoming"), 1)
            # Cleared by the operator: Terminate-Request, then a Call-Clear-Request with our own id.
            self.server.clear("alice")
            pac.pump(lambda: call.cleared, 5, "the server clears the call")
            self.assertTrue(call.client.terminated)
            self.shown(pac, lambda all: not all)
            self.assertEqual(self.server.show("connections")[0]["incoming_calls"], 0)
            self.assertTrue(self.alive(pac))

    def alive(self, pac):
        pac.send(peer.echo_request(0x77))
        return pac.take(6)[12:16] == struct.pack(">I", 0x77)

    def test_ppp_of_an_incoming_call_waits_until_it_is_connected(self):
        with self.pac() as pac:
            pac.establish()
            call = pac.announce(78, "alice", WORD, connect=False)
            self.assertTrue(self.alive(pac))
            self.assertEqual(call.client.agreed, set())
            pac.disconnect(call)
            self.shown(pac, lambda all: not all)

    def test_we_place_a_call(self):
        listener = peer.listen(self.lab.inet, PAC)
        process = self.server.place(PAC, "5551234", "--json")
        with listener, self.accept(listener) as pac:
            pac.answer_start()
            call, number = pac.answer_call(9, "bob", WORD)
            self.assertEqual(number, "5551234")
            status, out, err = self.finish(process, pac)
            self.assertEqual(status, 0, err)
            answer = json.loads(out)
            self.assertEqual((answer["user"], answer["address"]), ("bob", call.client.address))
            session = self.server.sessions()[0]
            self.assertEqual((session["id"], session["kind"]), (answer["session"], "placed"))
            connection = self.server.show("connections")[0]
            self.assertEqual((connection["role"], connection["placed_calls"]), ("originated", 1))
            self.assertIn("originated", self.server.show_text("connections"))
            # The next one goes over the same connection.
            process = self.server.place(PAC, "5551235")
            second, _ = pac.answer_call(10, "carol", WORD)
            status, out, err = self.finish(process, pac)
            self.assertEqual(status, 0, err)
            self.assertIn("calling 5551235 by 198.51.100.210", out)
            self.assertIn("carol", out)
            self.assertEqual(len(self.server.show("connections")), 1)
            pac.disconnect(call)
            self.shown(pac, lambda all: [s["user"] for s in all] == ["carol"])
            self.server.clear("carol")
            pac.pump(lambda: second.cleared, 5, "the server clears the call")

    def test_a_placed_call_that_fails_says_why(self):
        status, _, err = self.finish(self.server.place(PAC, "1"))
        self.assertEqual(status, 1)
        self.assertIn("connect_failed", err)
        listener = peer.listen(self.lab.inet, PAC)
        process = self.server.place(PAC, "2")
        with listener, self.accept(listener) as pac:
            pac.answer_start()
            request = pac.take(7)
            pac.send(peer.message(8, struct.pack(">HHBBH", 0, *struct.unpack(">H", request[12:14]),
                                                 4, 0, 17)))
            status, _, err = self.finish(process, pac)
            self.assertEqual(status, 1)
            self.assertIn("busy", err)
            self.assertIn("call_refused_by_peer", err)
            # A PAC that never answers is given up, and told so.
            process = self.server.place(PAC, "3", "--timeout", "1", "--json")
            pac.take(7)
            status, out, _ = self.finish(process, pac)
            self.assertEqual((status, json.loads(out)["reason"]), (1, "place_timeout"))
            pac.take(12)
            # Nobody behind it knows the password.
            process = self.server.place(PAC, "4")
            pac.answer_call(11, "bob", "wrong")
            status, _, err = self.finish(process, pac)
            self.assertEqual(status, 1)
            self.assertIn("auth_failed", err)
            pac.take(12)
        self.assertEqual(self.counters.grown("pns_call_ends_total", reason="call_refused_by_peer"), 1)

    def test_a_collision_is_won_by_the_higher_address(self):
        listener = peer.listen(self.lab.inet, PAC)
        process = self.server.place(PAC, "5551234")
        with listener, self.accept(listener) as ours, self.pac() as pac:
            ours.take(1)  # both Start-Requests are on their way: a collision, and the PAC wins
            pac.send(peer.start_request())
            pac.take(2)
            ours.pump(lambda: ours.closed, 5, "the loser closes its own connection")
            self.assertEqual(ours.messages, [])  # without another word
            call, _ = pac.answer_call(9, "bob", WORD)
            status, _, err = self.finish(process, pac)
            self.assertEqual(status, 0, err)
            self.assertEqual(self.server.show("connections")[0]["role"], "accepted")
            pac.disconnect(call)
            self.shown(pac, lambda all: not all)
        self.assertEqual(self.counters.grown("pns_connection_ends_total", reason="collision_lost"), 1)

    def test_a_collision_that_we_win_leaves_the_losers_connection_unanswered(self):
        listener = peer.listen(self.lab.inet, LOWER)
        process = self.server.place(LOWER, "5551234")
        with listener, self.accept(listener, LOWER) as pac:
            pac.take(1)
            with self.pac(LOWER) as loser:
                loser.send(peer.start_request())
                pnslab.wait_until(lambda: "collision of control connections" in
                                  self.server.log_file.read_text(), 5, "the server sees the collision")
                self.assertFalse(loser.closed_within(0.3))
                self.assertEqual(loser.buffer, b"")
            pac.send(peer.start_reply())
            call, _ = pac.answer_call(9, "bob", WORD)
            status, _, err = self.finish(process, pac)
            self.assertEqual(status, 0, err)
            pac.disconnect(call)
            self.shown(pac, lambda all: not all)

    def test_many_calls_of_every_kind_on_one_connection_each_with_its_own_life(self):
        with self.pac() as pac:
            pac.establish()
            users = ["alice", "bob", "carol"]
            incoming = [pac.announce(20 + i, user, WORD) for i, user in enumerate(users)]
            process = self.server.place(PAC, "5551234")  # over the connection that the PAC opened
            placed, _ = pac.answer_call(30, "dave", WORD)
            pac.send(peer.call_request(31))  # and as a subscriber's own call
            reply = pac.take(8)
            own = pac.calls[31] = peer.PacCall(31, struct.unpack(">H", reply[12:14])[0],
                                               peer.PppClient("erin", WORD))
            pac.wait_open(*incoming, placed, own)
            self.assertEqual(self.finish(process, pac)[0], 0)
            self.shown(pac, lambda all: sorted(s["kind"] for s in all if s["state"] == "open") ==
                       ["incoming"] * 3 + ["placed", "subscriber"])
            self.assertEqual(len({call.client.address for call in pac.calls.values()}), 5)
            self.assertEqual(len(self.server.show("connections")), 1)

            def left(*users):
                self.shown(pac, lambda all: sorted(s["user"] for s in all) == sorted(users))
                self.assertTrue(self.alive(pac))

            pac.disconnect(incoming[0])
            left("bob", "carol", "dave", "erin")
            self.server.clear("bob")
            pac.pump(lambda: incoming[1].cleared, 5, "the server clears bob")
            left("carol", "dave", "erin")
            pac.send(peer.message(12, struct.pack(">H", 31)))  # we are the PNS of our own call
            notify = pac.take(13)
            self.assertEqual(struct.unpack(">HB", notify[12:15]), (own.server_call_id, 4))
            left("carol", "dave")

            # A control process that is killed takes none of them with it.
            self.server.kill("control")
            pnslab.wait_until(lambda: self.serves(), 10, "a new control process")
            left("carol", "dave")
            kinds = {s["user"]: s["kind"] for s in self.server.sessions()}
            self.assertEqual(kinds, {"carol": "incoming", "dave": "placed"})
            self.server.clear("dave")
            pac.pump(lambda: placed.cleared, 5, "the server clears dave")
            left("carol")

    def serves(self):
        try:
            return self.server.show("stats")["control_starts"] >= 2
        except pnslab.LabError:
            return False

    def test_a_session_that_is_alive_keeps_its_peers_call_id(self):
        with self.pac() as first, self.pac() as second:
            first.establish()
            second.establish()
            first.send(peer.call_request(5))
            reply = first.take(8)
            call = first.calls[5] = peer.PacCall(5, struct.unpack(">H", reply[12:14])[0],
                                                 peer.PppClient("alice", WORD))
            first.wait_open(call)
            # Another connection of this address asks for its Call ID: the first one is asked and answers.
            second.send(peer.call_request(5))
            first.take(5)
            self.assertEqual(second.take(8)[16], 4)  # Busy
            self.assertEqual(self.counters.grown("pns_call_ends_total", reason="peer_call_id_busy"), 1)
            # It falls silent: its place is given to who asks for it.
            asked = time.monotonic()
            second.send(peer.call_request(5))
            self.assertEqual(second.take(8)[16], 1)
            self.assertLess(time.monotonic() - asked, 2)
            first.take(13)
            self.assertEqual(self.counters.grown("pns_call_ends_total", reason="replaced"), 1)


if __name__ == "__main__":
    theme.main(Pacs)
