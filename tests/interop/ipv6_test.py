#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Linux clients with IPv6 inside the tunnel: IPV6CP, Router Advertisement, forwarding both ways."""
import ipaddress
import re

import pnslab
import theme

HOST6 = "2001:db8::53"
POOL6 = "2001:db8:100::/48"
FIXED6 = "2001:db8:200:7::/64"
FIXED = "10.77.0.7"
# A client: no token for its identifier, and IPv6 addresses as Advertisements tell.
OPTIONS = ("+ipv6",)


class Ipv6(theme.Theme):
    guests = 2
    users = {"alice": "wonderland", "bob": "builder",
             "carol": f"{{password: chess, address: {FIXED}, ipv6_prefix: '{FIXED6}'}}"}
    passwords = {"alice": "wonderland", "bob": "builder", "carol": "chess"}
    changes = {
        "pools": f"pools:\n  default: {{ranges: [10.64.0.2-10.64.3.254], gateway: 10.64.0.1, "
                 f"ipv6_prefixes: ['{POOL6}']}}\n",
        "ppp": f"ppp:\n  dns: [10.0.0.53, '{HOST6}']\n",
    }

    ipv6 = True

    def dial6(self, user="alice", guest=None):
        """A session whose client has taken an address out of its prefix."""
        guest = guest or self.guest
        session = guest.dial(user, self.passwords[user], options=OPTIONS).wait_up()
        self.watch_address(session)
        return session

    def watch_address(self, session):
        # The guest waits for the address itself; here one question is enough.
        script = (f"for i in $(seq 100); do ip -6 -o address show dev {session.interface} scope global"
                  " | grep -v tentative | grep . && exit; busybox usleep 100000; done; exit 1")
        shown = session.guest.run(script, timeout=20)
        session.address6 = ipaddress.ip_interface(re.search(r"inet6 (\S+)", shown).group(1))
        session.guest.run(f"ip -6 route replace 2001:db8::/64 dev {session.interface}")

    def test_a_client_takes_an_address_and_pings_both_ways(self):
        session = self.dial6()
        prefix = ipaddress.ip_network(self.find(session)["ipv6_prefix"])
        self.assertEqual(prefix.prefixlen, 64)
        self.assertTrue(prefix.subnet_of(ipaddress.ip_network(POOL6)))
        self.assertIn(session.address6.ip, prefix)
        self.assertEqual(self.ping(self.guest, HOST6), (3, 3))
        down = self.lab.intranet.run("ping", "-c", "3", "-i", "0.2", str(session.address6.ip)).stdout
        self.assertEqual(theme.ping_counts(down), (3, 3))
        self.assertEqual(self.ping(self.guest, theme.HOST), (3, 3))  # IPv4 beside it
        # Our end of the link, and the default route that leads there.
        self.assertEqual(self.ping(self.guest, f"fe80::1%{session.interface}"), (3, 3))
        routes = self.guest.run("ip -6 route show default")
        self.assertIn("via fe80::1", routes)
        session.hang_up()
        self.server.wait_sessions(0)

    def test_packets_up_to_the_mtu_and_none_over_it(self):
        session = self.dial6()
        exact = 1396 - 48
        self.assertEqual(self.ping(self.guest, HOST6, f"-s {exact}"), (3, 3))
        down = self.lab.intranet.run("ping", "-M", "do", "-c", "2", "-W", "1", "-s", str(exact + 1),
                                     str(session.address6.ip), check=False).stdout
        self.assertEqual(theme.ping_counts(down)[1], 0)
        self.assertRegex(down, r"mtu ?= ?1396")  # ICMPv6 Packet Too Big
        session.hang_up()

    def test_two_clients_reach_each_other(self):
        first = self.dial6("alice", self.lab.guests[0])
        second = self.dial6("bob", self.lab.guests[1])
        self.assertNotEqual(first.address6.network, second.address6.network)
        target = str(second.address6.ip)
        first.guest.run(f"ip -6 route replace {second.address6.network} dev {first.interface}")
        second.guest.run(f"ip -6 route replace {first.address6.network} dev {second.interface}")
        self.assertEqual(self.ping(first.guest, target), (3, 3))
        first.hang_up()
        second.hang_up()

    def test_a_user_has_a_prefix_of_her_own(self):
        own = {FIXED6, f"{FIXED}/32"}
        pools = self.taken_prefixes()
        self.assertFalse(own & pools)
        for _ in range(2):
            session = self.dial6("carol")
            self.assertEqual(session.address, FIXED)
            self.assertEqual(str(session.address6.network), FIXED6)
            self.assertEqual(self.ping(self.guest, HOST6), (3, 3))
            if self.lab.ports == "xdp":  # what the XDP program takes out of the kernel's way
                self.assertEqual(self.taken_prefixes(), pools | own)
            session.hang_up()
            self.server.wait_sessions(0)
            self.assertEqual(self.taken_prefixes(), pools)

    def taken_prefixes(self):
        return pnslab.subscriber_prefixes(self.server.pid_of("dataplane"))

    def test_an_address_of_a_pool_stays_with_the_server(self):
        before = self.taken_prefixes()
        session = self.dial6()
        session.hang_up()
        self.server.wait_sessions(0)
        self.assertEqual(self.taken_prefixes(), before)
        self.assertEqual(bool(before), self.lab.ports == "xdp")

    def test_an_address_of_another_prefix_is_not_forwarded(self):
        session = self.dial6()
        self.guest.run(f"ip -6 address add 2001:db8:bad::1/64 dev {session.interface} nodad")
        self.assertEqual(self.ping(self.guest, HOST6, "-I 2001:db8:bad::1", "-W 1")[1], 0)
        metrics = self.server.metrics()
        drops = re.search(r'pns_dataplane_drops_total\{[^}]*reason="inner_source"[^}]*\} (\d+)',
                          metrics)
        self.assertGreaterEqual(int(drops.group(1)), 3)
        self.assertEqual(self.ping(self.guest, HOST6), (3, 3))
        session.hang_up()

    def test_a_killed_control_process_leaves_ipv6_as_it_is(self):
        session = self.dial6()
        pid = self.server.kill("control")
        pnslab.wait_until(lambda: self.server.pid_of("control") not in (None, pid), 10,
                          "another control process")
        self.assertEqual(self.ping(self.guest, HOST6), (3, 3))
        pnslab.wait_until(lambda: self.find(session), 10, "the session is known again")
        self.assertTrue(self.find(session)["ipv6_prefix"])
        session.hang_up()
        self.server.wait_sessions(0)

    def test_a_client_without_ipv6_has_its_ipv4(self):
        session = self.guest.dial("alice", "wonderland", options=("noipv6",)).wait_up()
        self.assertEqual(self.ping(self.guest, theme.HOST), (3, 3))
        self.assertEqual(self.find(session)["ipv6_prefix"], "")
        session.hang_up()


if __name__ == "__main__":
    theme.main(Ipv6)
