#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A plane is killed with SIGKILL while a client has a call: the call lives."""
import pnslab
import theme
from theme import HOST

PINGS = 160
INTERVAL = 0.05


class Fault(theme.Theme):
    def wait_plane(self, plane, before):
        """Until another process than `before` does the plane's work."""
        return pnslab.wait_until(
            lambda: self.server.pid_of(plane) not in (None, before) and self.server.pid_of(plane), 20,
            f"{plane} is back")

    def test_no_ping_is_lost_while_the_control_process_is_dead(self):
        session = self.connect()
        call_ids = self.find(session)["our_call_id"], self.find(session)["peer_call_id"]
        marks = f"/run/lab/ping.{session.number}.out"
        ping = self.guest.start(
            f"ping -i {INTERVAL} -c {PINGS} {HOST} >{marks}; cat {marks}")
        # Three times in the eight seconds: once at full flow, then as soon as it is back.
        pnslab.wait_until(lambda: self.find(session)["rx_packets"] >= 20, 10, "pings flow")
        for _ in range(3):
            before = self.server.kill("control")
            self.wait_plane("control", before)
            shown = self.ask(self.server.sessions)
            self.assertEqual([s["address"] for s in shown], [session.address])
        self.assertIsNone(ping.done(), "the pings ended before the control process had died thrice")
        _, output = ping.wait(60)
        self.assertEqual(theme.ping_counts(output), (PINGS, PINGS), output[-600:])
        shown = self.find(session)
        self.assertEqual((shown["our_call_id"], shown["peer_call_id"]), call_ids)
        self.assertEqual(shown["user"], "alice")

        # The new process has the call's TCP connection: hanging up reaches it.
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)
        pnslab.wait_until(lambda: not self.server.show("connections"), 5, "no control connection")

    def test_a_new_call_comes_up_after_that(self):
        session = self.connect()
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        session.hang_up()

    def test_a_call_lives_when_the_dataplane_is_killed(self):
        session = self.connect()
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        before = self.server.kill("dataplane")
        self.wait_plane("dataplane", before)

        def answered():
            return self.ping(self.guest, HOST, "-W 1", count=1)[1] == 1
        pnslab.wait_until(answered, 20, "the call carries data again")
        self.assertEqual(self.ping(self.guest, HOST, count=5), (5, 5))
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)


if __name__ == "__main__":
    theme.main(Fault)
