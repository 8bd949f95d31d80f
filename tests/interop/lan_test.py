#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Clients with addresses of the LAN (docs/lan-addresses.md): the intranet's host asks for them by ARP
and by Neighbor Discovery, and nothing routes to them."""
import json
import re
import shutil
import sys

import pnslab
import theme
from services_test import SERVICE
from theme import HOST

FIRST = "10.0.0.200"
FIXED = "10.0.0.7"     # in the LAN, outside the pool
UNUSED = "10.0.0.210"
POOL6 = "2001:db8:100::/48"
SHARING = (("tcp", 445), ("tcp", 139), ("udp", 137), ("udp", 138))
GAME = 27015           # a program that looks for others by broadcasts
LIMITED, DIRECTED = "255.255.255.255", "10.0.0.255"
ELSEWHERE = "02:00:00:00:00:99"


class Lan(theme.Theme):
    guests = 2
    ipv6 = True
    users = {"alice": "wonderland", "bob": "builder", "carol": f"{{password: chess, address: {FIXED}}}"}
    passwords = {"alice": "wonderland", "bob": "builder", "carol": "chess"}
    changes = {"pools": f"pools:\n  default: {{ranges: [{FIRST}-10.0.0.239], gateway: {pnslab.lab.CORE}, "
                        f"ipv6_prefixes: ['{POOL6}']}}\n"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            cls.device = "core1" if cls.lab.ports == "xdp" else "wire1"
            near = "core0" if cls.lab.ports == "xdp" else "pns-core"
            cls.mac = json.loads(cls.lab.pns.ip("-json", "link", "show", near))[0]["address"]
            # No router: what is in the LAN is asked for. An answer counts at once.
            cls.lab.intranet.ip("route", "del", pnslab.lab.POOL)
            cls.lab.intranet.ip("-6", "route", "replace", POOL6, "dev", cls.device)
            cls.lab.intranet.sysctl(f"net/ipv4/neigh/{cls.device}/locktime", "0")
            for guest in cls.lab.guests:
                shutil.copy(SERVICE, guest.directory)
            ports = [str(port) for port in sorted({port for _, port in SHARING} | {GAME})]
            cls.serve(cls.lab.intranet, str(SERVICE), "serve", *ports)
        except BaseException:
            cls.lab.close()
            raise

    def dial(self, user="alice", guest=None, options=("+ipv6",)):
        guest = guest or self.guest
        session = guest.dial(user, self.passwords[user], options=options).wait_up()
        pnslab.wait_until(lambda: self.find(session), 5, f"the server shows {session.address}")
        guest.run(f"ip route replace 10.0.0.0/24 dev {session.interface}")
        return session

    def neighbour(self, address):
        shown = json.loads(self.lab.intranet.ip("-json", "neigh", "show", "to", address) or "[]")
        return next((entry.get("lladdr") for entry in shown if entry["dst"] == address), None)

    def forget(self, address):
        self.lab.intranet.ip("neigh", "del", address, "dev", self.device)

    def from_lan(self, address, count=3):
        out = self.lab.intranet.run("ping", "-c", str(count), "-i", "0.2", "-W", "1", address, check=False).stdout
        return theme.ping_counts(out)

    def answers(self, to, count, guest=None):
        """Who answers a broadcast of the intranet's host, or of a guest's client."""
        source = guest.sessions[-1].address if guest else HOST
        words = ["broadcast", to, str(count), "--source", source, "--port", str(GAME), "--interface",
                 guest.sessions[-1].interface if guest else self.device]
        if guest:
            out = guest.run(f"python3 -B /run/lab/{SERVICE.name} {' '.join(words)}")
        else:
            out = self.lab.intranet.run(sys.executable, "-B", str(SERVICE), *words).stdout
        return set(out.split())

    def test_the_lan_reaches_a_subscriber_and_back(self):
        for user in ("alice", "carol"):
            session = self.dial(user)
            self.assertEqual(self.from_lan(session.address), (3, 3), user)
            self.assertEqual(self.neighbour(session.address), self.mac)
            self.assertEqual(self.ping(self.guest, HOST), (3, 3), user)
            session.hang_up()
            self.server.wait_sessions(0)

    def test_file_sharing_passes_both_ways(self):
        session = self.dial()
        ports = [str(port) for port in sorted({port for _, port in SHARING})]
        serving = self.guest.start(f"exec python3 -B /run/lab/{SERVICE.name} serve {' '.join(ports)}", 120)
        pnslab.wait_until(lambda: "serving" in serving.output(), 20, "the guest serves")
        for kind, port in SHARING:
            seen = self.guest.run(f"python3 -B /run/lab/{SERVICE.name} {kind} {HOST} 3000 --port {port}").strip()
            self.assertEqual(seen, session.address, (kind, port))
            seen = self.lab.intranet.run(sys.executable, "-B", str(SERVICE), kind, session.address, "3000",
                                         "--port", str(port)).stdout.strip()
            self.assertEqual(seen, HOST, (kind, port))
        session.hang_up()

    def test_two_subscribers_of_the_lan_reach_each_other(self):
        first, second = self.dial(), self.dial("bob", self.lab.guests[1])
        self.assertEqual(self.ping(self.guest, second.address), (3, 3))
        second.hang_up()
        first.hang_up()

    def test_an_address_that_nobody_has_is_not_answered(self):
        session = self.dial()
        address = session.address
        self.assertEqual(self.from_lan(address), (3, 3))
        self.assertEqual(self.from_lan(UNUSED, 1)[1], 0)
        self.assertIsNone(self.neighbour(UNUSED))
        session.hang_up()
        self.server.wait_sessions(0)
        self.forget(address)
        self.assertEqual(self.from_lan(address, 1)[1], 0)
        self.assertIsNone(self.neighbour(address))

    def test_an_address_is_announced_to_hosts_that_know_it_elsewhere(self):
        for address in [FIXED, *(f"10.0.0.{host}" for host in range(200, 240))]:
            self.lab.intranet.ip("neigh", "replace", address, "lladdr", ELSEWHERE, "dev", self.device,
                                 "nud", "stale")
        for user in ("alice", "carol"):
            session = self.dial(user)
            pnslab.wait_until(lambda to=session.address: self.neighbour(to) == self.mac, 5, "the LAN knows")
            session.hang_up()
            self.server.wait_sessions(0)
        self.assertEqual(self.neighbour("10.0.0.239"), ELSEWHERE)
        self.lab.intranet.ip("neigh", "flush", "dev", self.device)

    def test_addresses_are_answered_and_announced_after_a_restart_of_the_dataplane(self):
        session = self.dial("carol")
        self.lab.intranet.ip("neigh", "replace", FIXED, "lladdr", ELSEWHERE, "dev", self.device, "nud", "stale")
        pid = self.server.kill("dataplane")
        pnslab.wait_until(lambda: self.server.pid_of("dataplane") not in (None, pid), 20, "another dataplane")
        pnslab.wait_until(lambda: self.neighbour(FIXED) == self.mac, 20, "the LAN knows")
        self.forget(FIXED)
        pnslab.wait_until(lambda: self.from_lan(FIXED, 1) == (1, 1), 20, "the subscriber answers")
        session.hang_up()

    def test_neighbor_solicitations_are_answered_too(self):
        session = self.dial()
        script = (f"for i in $(seq 100); do ip -6 -o address show dev {session.interface} scope global"
                  " | grep -v tentative | grep . && exit; busybox usleep 100000; done; exit 1")
        address = re.search(r"inet6 ([^/]+)", self.guest.run(script, timeout=20)).group(1)
        self.guest.run(f"ip -6 route replace 2001:db8::/64 dev {session.interface}")
        self.assertEqual(self.from_lan(address), (3, 3))
        self.assertEqual(self.neighbour(address), self.mac)
        # A host that knows it asks the server again, and not the subscriber.
        self.lab.intranet.ip("neigh", "change", address, "lladdr", self.mac, "dev", self.device, "nud", "probe")
        def state():
            shown = json.loads(self.lab.intranet.ip("-json", "neigh", "show", "to", address))
            return shown[0]["state"] == ["REACHABLE"]
        pnslab.wait_until(state, 10, "the neighbour is reachable again")
        answers = re.findall(r"pns_neighbour_answers_total\{[^}]*\} (\d+)", self.server.metrics())
        self.assertGreaterEqual(sum(map(int, answers)), 2)
        session.hang_up()

    def test_broadcasts_are_relayed_on_request_and_not_otherwise(self):
        first, second = self.dial(), self.dial("bob", self.lab.guests[1])
        for guest in self.lab.guests:
            serving = guest.start(f"exec python3 -B /run/lab/{SERVICE.name} serve {GAME}", 120)
            pnslab.wait_until(lambda job=serving: "serving" in job.output(), 20, "the guest serves")
        self.assertEqual(self.answers(DIRECTED, 1), set())
        self.assertEqual(self.answers(LIMITED, 1, self.guest), set())

        blocks = {**self.changes, "ppp": "ppp: {broadcast_relay: 100}\n"}
        good = self.server.config_file.read_text()
        self.server.config_file.write_text(self.lab.config(blocks))
        try:
            self.server.restart("dataplane")
            pnslab.wait_until(lambda: self.from_lan(first.address, 1) == (1, 1), 20, "the subscriber answers")
            for to in (LIMITED, DIRECTED):
                self.assertEqual(self.answers(to, 2), {first.address, second.address}, to)
                self.assertEqual(self.answers(to, 2, self.guest), {HOST, second.address}, to)
            shown = self.server.ask("show", "stats")["broadcasts"]
            self.assertEqual((shown["up"], shown["down"], shown["copies"]), (2, 2, 6))
            self.assertIsNotNone(re.search(r'pns_broadcasts_relayed_total\{direction="up"[^}]*\} 2', self.server.metrics()))
            # The host's programs hear the LAN's broadcasts as well.
            self.serve(self.lab.pns, str(SERVICE), "serve", str(GAME))
            self.assertEqual(self.answers(DIRECTED, 3), {first.address, second.address, pnslab.lab.CORE})
        finally:
            self.server.config_file.write_text(good)
            self.server.restart("dataplane")
        pnslab.wait_until(lambda: self.from_lan(first.address, 1) == (1, 1), 20, "the subscriber answers")
        second.hang_up()
        first.hang_up()

    def test_the_servers_own_address_stays_the_kernels(self):
        self.assertEqual(self.from_lan(pnslab.lab.CORE), (3, 3))
        session = self.dial()
        self.assertEqual(self.from_lan(pnslab.lab.CORE), (3, 3))
        session.hang_up()


if __name__ == "__main__":
    theme.main(Lan)
