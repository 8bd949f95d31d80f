#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Prefixes that the XDP program of a core port takes for subscribers: those of the pools for ever, the
fixed address of an account as long as its session lives. ipv6_test.py does the same with a /64."""
import signal

import crowd
import pnslab
import theme
from theme import HOST

FIXED = "10.77.0.7"


class Prefixes(crowd.Crowd):
    users = {"alice": "wonderland", "bob": f"{{password: builder, address: {FIXED}}}"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.intranet.ip("route", "add", f"{FIXED}/32", "via", pnslab.lab.CORE)

    def setUp(self):
        self.pools = self.taken()
        self.assertTrue(self.pools)
        self.assertNotIn(f"{FIXED}/32", self.pools)

    def taken(self):
        return pnslab.subscriber_prefixes(self.server.pid_of("dataplane"))

    def dial(self, user, password):
        """A client that is up and gets packets."""
        process = self.start("--sessions", 1, "--hold", 300, "--ping", HOST, user=user, password=password)
        pnslab.wait_until(lambda: [s for s in self.server.sessions() if s["state"] == "open"
                                   and s["user"] == user and s["rx_packets"] and s["tx_packets"]],
                          20, f"{user} is up")
        return process

    def hang_up(self, process):
        process.send_signal(signal.SIGTERM)
        self.finish(process)
        self.server.wait_sessions(0)

    def test_a_fixed_address_is_taken_as_long_as_its_session_lives(self):
        for _ in range(2):
            client = self.dial("bob", "builder")
            self.assertEqual(self.taken(), self.pools | {f"{FIXED}/32"})
            self.hang_up(client)
            self.assertEqual(self.taken(), self.pools)

    def test_an_address_of_a_pool_stays_taken(self):
        client = self.dial("alice", "wonderland")
        self.assertEqual(self.taken(), self.pools)
        self.hang_up(client)
        self.assertEqual(self.taken(), self.pools)

    def test_the_successor_of_a_killed_dataplane_takes_it_and_forgets_it(self):
        client = self.dial("bob", "builder")
        pid = self.server.kill("dataplane")
        pnslab.wait_until(lambda: self.server.pid_of("dataplane") not in (None, pid)
                          and self.server.show("stats")["dataplane_ready"], 20, "another dataplane")
        self.assertEqual(self.taken(), self.pools | {f"{FIXED}/32"})
        self.hang_up(client)
        self.assertEqual(self.taken(), self.pools)


if __name__ == "__main__":
    theme.main(Prefixes)
