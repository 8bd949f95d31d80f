#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Networks behind a subscriber (docs/site-to-site.md): the client is a router, whose LAN is on its
loopback interface, and a host behind the core port talks to it.

    192.168.50.1, 2001:db8:50::1 ── guest ── access │ server │ core ── intranet host"""
import pathlib
import re
import shutil
import subprocess
import sys

import pnslab
import theme
from routing_test import is_over
from theme import HOST, TRANSFER

LAN, LAN_HOST = "192.168.50.0/24", "192.168.50.1"
LAN6, LAN_HOST6 = "2001:db8:50::/48", "2001:db8:50::1"
BRANCH, BRANCH_HOST = "192.168.60.0/24", "192.168.60.1"
CORE6, HOST6 = pnslab.lab.CORE6, pnslab.lab.HOST6
SERVICE = pathlib.Path(__file__).resolve().parent / "guest" / "service.py"
GATEWAY = "10.64.0.1"
COUNT = 1 << 20  # octets


class Site(theme.Theme):
    guests = 2
    ipv6 = True
    users = {"office": f"{{password: wonderland, routes: [{LAN}, '{LAN6}']}}",
             "branch": f"{{password: builder, routes: [{BRANCH}]}}"}
    passwords = {"office": "wonderland", "branch": "builder"}
    changes = {"pools": "pools:\n  default: {ranges: [10.64.0.2-10.64.3.254], gateway: 10.64.0.1, "
                        "ipv6_prefixes: ['2001:db8:100::/48']}\n"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            for network in (LAN, BRANCH):
                cls.lab.intranet.ip("route", "add", network, "via", pnslab.lab.CORE)
            cls.lab.intranet.ip("route", "add", LAN6, "via", CORE6)
            for guest, addresses in zip(cls.lab.guests, ((LAN_HOST, LAN_HOST6), (BRANCH_HOST,))):
                for address in addresses:
                    guest.run(f"ip address add {address} dev lo")
                shutil.copy(TRANSFER, guest.directory)
        except BaseException:
            cls.lab.close()
            raise

    def dial(self, user="office", guest=None):
        """A session that is up, with routes for what its LAN reaches."""
        guest = guest or self.guest
        session = guest.dial(user, self.passwords[user], options=("+ipv6",)).wait_up()
        guest.run("ip route replace 10.0.0.0/24 dev " + session.interface)
        if user == "office":
            guest.run(f"ip route replace {BRANCH} dev {session.interface}")
            guest.run(f"ip -6 route replace 2001:db8::/64 dev {session.interface}")
        else:
            guest.run(f"ip route replace {LAN} dev {session.interface}")
        wanted = sorted([LAN, LAN6] if user == "office" else [BRANCH])
        pnslab.wait_until(lambda: (self.find(session) or {}).get("routes") and
                          sorted(self.find(session)["routes"]) == wanted, 10,
                          f"{wanted} are in force")
        pnslab.wait_until(lambda: set(wanted) <= set(self.kernel_routes()), 10,
                          f"the kernel has {wanted}")
        return session

    def kernel_routes(self):
        """Destinations of the kernel's routes for redistribution."""
        table = "main" if self.lab.ports == "xdp" else "1724"
        interface = "core0" if self.lab.ports == "xdp" else "pns-core"
        found = []
        for family in ("-4", "-6"):
            shown = self.lab.pns.run("ip", "-N", family, "route", "show", "table", table, "proto",
                                     "173", check=False).stdout
            for line in shown.splitlines():
                self.assertIn(f"dev {interface}", line)
                found.append(line.split()[0])
        return sorted(found)

    def service_routes(self):
        """Destinations of the kernel's routes for programs of the server's host."""
        found = []
        for family in ("-4", "-6"):
            shown = self.lab.pns.run("ip", "-N", family, "route", "show", "table", "1725", "proto",
                                     "173", check=False).stdout
            for line in shown.splitlines():
                self.assertIn("dev pns-services", line)
                found.append(line.split()[0])
        return sorted(found)

    def answers(self, address, source):
        """Whether the service of the server's host answers a host of the LAN, by UDP and by TCP."""
        for kind in ("udp", "tcp"):
            seen = self.guest.run(f"python3 -B /run/lab/{SERVICE.name} {kind} {address} 100 --source {source}",
                                  timeout=30).strip()
            if seen != source:
                return False
        return True

    def ping_lan(self, address=LAN_HOST):
        """From the intranet's host: (sent, received)."""
        shown = self.lab.intranet.run("ping", "-c", "3", "-i", "0.2", "-W", "2", address,
                                      check=False).stdout
        return theme.ping_counts(shown)

    def dropped(self, reason):
        found = re.search(rf'pns_dataplane_drops_total\{{[^}}]*reason="{reason}"[^}}]*\}} (\d+)',
                          self.server.metrics())
        return int(found.group(1))

    def networks(self):
        return int(re.search(r"^pns_subscriber_networks (\d+)", self.server.metrics(), re.M).group(1))

    def test_1_hosts_of_both_sides_reach_each_other(self):
        self.assertEqual(self.kernel_routes(), [])
        session = self.dial()
        self.assertEqual(self.ping_lan(), (3, 3))
        self.assertEqual(self.ping_lan("192.168.50.77"), (3, 0))  # nobody there, and no loop
        self.assertEqual(self.ping(self.guest, HOST, f"-I {LAN_HOST}"), (3, 3))
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))  # the router itself
        self.assertEqual(self.networks(), 2)
        shown = self.server.show_text("session", "office")
        self.assertIn(LAN, shown)
        self.assertIn(LAN6, shown)
        session.hang_up()
        self.server.wait_sessions(0)
        self.assertEqual(self.kernel_routes(), [])
        self.assertEqual(self.networks(), 0)
        self.assertEqual(self.ping_lan()[1], 0)

    def test_2_tcp_both_ways(self):
        session = self.dial()
        expected = pnslab.host.run([sys.executable, "-B", str(TRANSFER), "digest", str(COUNT)]).stdout
        # The LAN's host asks: from its own address, not the router's.
        self.guest.run(f"ip route replace 10.0.0.0/24 dev {session.interface} src {LAN_HOST}")
        server = self.lab.start_in(self.lab.intranet, sys.executable, "-B", str(TRANSFER), "serve",
                                   HOST, "5000", stdout=subprocess.PIPE, text=True)
        self.assertEqual(server.stdout.readline(), "serving\n")
        server.stdout.close()
        for verb in ("upload", "download"):
            digest = self.guest.run(f"python3 -B /run/lab/{TRANSFER.name} {verb} {HOST} 5000 {COUNT}")
            self.assertEqual(digest, expected, verb)
        # The host behind the core asks.
        job = self.guest.start(f"exec python3 -B /run/lab/{TRANSFER.name} serve {LAN_HOST} 5001", 60)
        self.guest.run("for i in $(seq 100); do ss -Hltn 2>/dev/null | grep -q :5001 && exit; "
                       "grep -q :1389 /proc/net/tcp && exit; busybox usleep 100000; done; exit 1",
                       timeout=20)
        for verb in ("upload", "download"):
            digest = self.lab.intranet.run(sys.executable, "-B", str(TRANSFER), verb, LAN_HOST, "5001",
                                           str(COUNT)).stdout
            self.assertEqual(digest, expected, verb)
        self.assertIsNone(job.done())
        session.hang_up()

    def test_3_ipv6_both_ways(self):
        session = self.dial()
        self.assertEqual(self.ping_lan(LAN_HOST6), (3, 3))
        self.assertEqual(self.ping(self.guest, HOST6, f"-I {LAN_HOST6}"), (3, 3))
        session.hang_up()

    def test_4_another_source_is_refused_and_counted(self):
        session = self.dial()
        before = self.dropped("inner_source")
        self.guest.run("ip address add 192.168.51.1 dev lo; ip -6 address add 2001:db8:51::1 dev lo")
        self.assertEqual(self.ping(self.guest, HOST, "-I 192.168.51.1", "-W 1")[1], 0)
        self.assertEqual(self.ping(self.guest, HOST6, "-I 2001:db8:51::1", "-W 1")[1], 0)
        self.assertEqual(self.dropped("inner_source"), before + 6)
        self.assertEqual(self.ping(self.guest, HOST, f"-I {LAN_HOST}"), (3, 3))
        session.hang_up()

    def test_5_two_sites_reach_each_other(self):
        first, second = self.dial(), self.dial("branch", self.lab.guests[1])
        self.assertEqual(self.ping(self.guest, BRANCH_HOST, f"-I {LAN_HOST}"), (3, 3))
        self.assertEqual(self.ping(self.lab.guests[1], LAN_HOST, f"-I {BRANCH_HOST}"), (3, 3))
        self.assertEqual(self.kernel_routes(), sorted([LAN, LAN6, BRANCH]))
        second.hang_up()
        self.server.wait_sessions(1)
        self.assertEqual(self.kernel_routes(), sorted([LAN, LAN6]))
        first.hang_up()

    def test_6_a_network_is_behind_one_session(self):
        session = self.dial()
        second = self.lab.guests[1].dial("office", self.passwords["office"])
        self.assertNotEqual(second.wait_end(), 0)
        self.assertEqual(self.server.show("stats")["call_ends"].get("route_in_use"), 1)
        self.assertEqual(self.ping_lan(), (3, 3))
        session.hang_up()

    def test_6b_services_of_the_servers_host_answer_the_lan(self):
        self.serve(self.lab.pns, str(SERVICE), "serve")
        shutil.copy(SERVICE, self.guest.directory)
        session = self.dial()
        wanted = sorted([LAN, LAN6])
        ways = ((pnslab.lab.CORE, LAN_HOST), (GATEWAY, LAN_HOST), (CORE6, LAN_HOST6))
        self.assertEqual(self.service_routes(), wanted)
        for address, source in ways:
            self.assertTrue(self.answers(address, source), (address, source))
        # The host speaks of its own accord.
        shown = self.lab.pns.run("ping", "-c", "3", "-i", "0.2", LAN_HOST, check=False).stdout
        self.assertEqual(theme.ping_counts(shown), (3, 3))
        # A dataplane that starts gets a clean table; these are not its own.
        pid = self.server.kill("dataplane")
        self.restarted("dataplane", pid)
        for address, source in ways:
            pnslab.wait_until(lambda to=address, by=source: self.answers(to, by), 20, f"{address} answers {source}")
        self.server.restart("supervisor")
        self.assertEqual(self.service_routes(), wanted)
        self.assertEqual(self.kernel_routes(), wanted)
        for address, source in ways:
            self.assertTrue(self.answers(address, source), (address, source))
        session.hang_up()
        self.server.wait_sessions(0)
        pnslab.wait_until(lambda: self.service_routes() == [] == self.kernel_routes(), 5, "the routes have gone")

    def restarted(self, plane, pid):
        pnslab.wait_until(lambda: self.server.pid_of(plane) not in (None, pid), 10,
                          f"another {plane} process")

    def test_7_networks_survive_the_death_of_either_plane(self):
        session = self.dial()
        wanted = sorted([LAN, LAN6])
        for plane in ("dataplane", "control", "dataplane"):
            pid = self.server.kill(plane)
            # Routing daemons notice nothing.
            self.assertEqual(self.kernel_routes(), wanted, plane)
            self.restarted(plane, pid)
            pnslab.wait_until(lambda: self.ping_lan()[1] > 0, 20, f"the LAN after {plane}'s death")
            self.assertEqual(self.ping_lan(), (3, 3), plane)
            self.assertEqual(self.ping_lan(LAN_HOST6), (3, 3), plane)
            self.assertEqual(self.ping(self.guest, HOST, f"-I {LAN_HOST}"), (3, 3), plane)
            shown = self.ask(lambda: self.find(session))
            self.assertEqual(sorted(shown["routes"]), wanted, plane)
            self.assertEqual(self.kernel_routes(), wanted, plane)
        session.hang_up()
        self.server.wait_sessions(0)
        self.assertEqual(self.kernel_routes(), [])

    def test_8_a_call_that_ends_with_its_control_process_leaves_no_route(self):
        session = self.dial()
        # The peer closes TCP while no control process is there to hear it.
        pid = self.server.kill("control")
        session.hang_up()
        self.restarted("control", pid)
        pnslab.wait_until(lambda: self.kernel_routes() == [], 10, "the routes have gone")
        self.assertEqual(self.ask(self.server.sessions), [])

    def test_9_routes_of_a_killed_server_go_at_the_next_start(self):
        self.dial()
        planes = [self.server.pid_of(plane) for plane in ("control", "dataplane")]
        self.server.process.kill()
        self.server.process.wait(10)
        pnslab.wait_until(lambda: all(map(is_over, planes)), 10, "the planes have gone with it")
        # TAPs go with their process, and their routes with them.
        self.assertEqual(len(self.kernel_routes()), 2 if self.lab.ports == "xdp" else 0)
        server = self.lab.start_server(self.users, self.changes, "successor")
        self.assertEqual(self.kernel_routes(), [])
        self.assertEqual(server.stop()[0], 0)


if __name__ == "__main__":
    theme.main(Site)
