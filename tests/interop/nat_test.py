#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Linux clients behind a NAT router: masquerade with the kernel's PPTP helper, as home routers have
it. The helper rewrites Call IDs in control messages and in GRE, one call for each connection."""
import pnslab
import theme
from theme import HOST

WAN = "198.51.100.200"


class Nat(theme.Theme):
    guests = 0
    users = {"alice": "wonderland", "bob": "builder"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            cls.lab.build_home()
            for guest in [cls.lab.start_guest(home=True) for _ in range(2)]:
                guest.wait_boot()
                guest.run("ip route add default via 192.168.7.1")
        except BaseException:
            cls.lab.close()
            raise

    def test_a_client_behind_nat_connects_and_pings_both_ways(self):
        session = self.connect()
        self.assertEqual(self.find(session)["peer"], WAN)
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        down = self.lab.intranet.run("ping", "-c", "3", "-i", "0.2", session.address).stdout
        self.assertEqual(theme.ping_counts(down), (3, 3))
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)

    def test_two_clients_behind_one_address_have_a_call_each(self):
        first = self.connect("alice", self.lab.guests[0])
        second = self.connect("bob", self.lab.guests[1])
        self.server.wait_sessions(2)
        shown = self.server.sessions()
        self.assertEqual({s["peer"] for s in shown}, {WAN})
        self.assertEqual(len({s["peer_call_id"] for s in shown}), 2)
        for guest in self.lab.guests:
            self.assertEqual(self.ping(guest, HOST), (3, 3))
        self.assertEqual(first.hang_up(), 5)
        self.server.wait_sessions(1)
        self.assertEqual(self.ping(self.lab.guests[1], HOST), (3, 3))
        second.hang_up()
        self.server.wait_sessions(0)

    def test_an_operator_clears_a_call_through_nat(self):
        session = self.connect()
        self.server.clear("alice")
        session.wait_end()
        self.server.wait_sessions(0)
        pnslab.wait_until(lambda: not self.server.show("connections"), 5, "no connection is left")


if __name__ == "__main__":
    theme.main(Nat)
