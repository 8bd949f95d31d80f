#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A subscriber reaches programs of the server's own host: at the core address, at the gateway of its
pool, over IPv4 and IPv6, whole and in fragments, through the host's firewall. The access address
stays out of reach. guest/service.py is both ends: a name server in miniature, and its client."""
import pathlib
import re
import shutil

import pnslab
import theme
from theme import HOST

SERVICE = pathlib.Path(__file__).resolve().parent / "guest" / "service.py"
GATEWAY = "10.64.0.1"
FIXED = "10.77.0.7"  # outside every pool
POOL6 = "2001:db8:100::/48"
FIXED6 = "2001:db8:200:7::/64"
CORE6 = pnslab.lab.CORE6
INTERFACE = "pns-services"
POOLS = (f"pools:\n  default: {{ranges: [10.64.0.2-10.64.3.254], gateway: {GATEWAY}, "
         f"ipv6_prefixes: ['{POOL6}']}}\n")


class ServiceTheme(theme.Theme):
    users = {"alice": "wonderland",
             "carol": f"{{password: chess, address: {FIXED}, ipv6_prefix: '{FIXED6}'}}"}
    passwords = {"alice": "wonderland", "carol": "chess"}
    ipv6 = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            shutil.copy(SERVICE, cls.lab.guests[0].directory)
            cls.serve(cls.lab.pns, str(SERVICE), "serve")
        except BaseException:
            cls.lab.close()
            raise

    def dial(self, user="alice"):
        session = self.guest.dial(user, self.passwords[user], options=("+ipv6",)).wait_up()
        script = (f"for i in $(seq 100); do ip -6 -o address show dev {session.interface} scope global"
                  " | grep -v tentative | grep . && exit; busybox usleep 100000; done; exit 1")
        session.address6 = re.search(r"inet6 ([^/]+)", self.guest.run(script, timeout=20)).group(1)
        self.guest.run(f"ip -6 route replace 2001:db8::/64 dev {session.interface}; "
                       f"ip route replace {pnslab.lab.CORE} dev {session.interface}")
        return session

    def question(self, kind, address, octets=100, source=None):
        """What the guest's question to the service got: the address that the service saw, or why not."""
        option = f"--source {source}" if source else ""
        return self.guest.run(f"python3 -B /run/lab/{SERVICE.name} {kind} {address} {octets} {option}",
                              timeout=30).strip()


class Services(ServiceTheme):
    changes = {"pools": POOLS}

    def ways(self, session):
        return ((pnslab.lab.CORE, session.address), (GATEWAY, session.address), (CORE6, session.address6))

    def test_datagrams_and_streams_reach_the_core_address_and_the_gateway(self):
        for user in ("alice", "carol"):
            session = self.dial(user)
            for address, seen in self.ways(session):
                for kind in ("udp", "tcp"):
                    self.assertEqual(self.question(kind, address), seen, (user, address, kind))
            session.hang_up()
            self.server.wait_sessions(0)

    def test_large_datagrams_pass_in_fragments_both_ways(self):
        session = self.dial()
        for address, seen in self.ways(session):
            self.assertEqual(self.question("udp", address, 8000), seen, address)
            self.assertEqual(self.question("tcp", address, 200_000), seen, address)
        session.hang_up()

    def test_a_subscriber_whose_packets_must_be_smaller_is_served_too(self):
        # The kernel learns the session's MTU by ICMP; datagrams of this size have DF.
        session = self.guest.dial("alice", "wonderland", options=("mru", "1000", "mtu", "1000")).wait_up()
        self.guest.run(f"ip route replace {pnslab.lab.CORE} dev {session.interface}")
        for _ in range(5):  # the first answers tell the kernel
            if self.question("udp", pnslab.lab.CORE, 1200) == session.address:
                break
        else:
            self.fail("no answer")
        session.hang_up()

    def test_the_hosts_firewall_has_its_say(self):
        session = self.dial()
        rules = self.lab.directory / "services.nft"
        rules.write_text(f"""table inet services {{
  chain input {{
    type filter hook input priority 0
    iifname "{INTERFACE}" udp dport 5353 counter drop
    iifname "{INTERFACE}" tcp dport 5353 reject with tcp reset
  }}
}}""")
        self.lab.pns.run("nft", "-f", str(rules))
        for address, _ in self.ways(session):
            self.assertEqual(self.question("udp", address), "timeout", address)
            self.assertEqual(self.question("tcp", address), "refused", address)
        counted = self.lab.pns.run("nft", "list", "table", "inet", "services").stdout
        self.assertGreaterEqual(int(re.search(r"counter packets (\d+)", counted).group(1)), 3)
        self.lab.pns.run("nft", "delete", "table", "inet", "services")
        for address, seen in self.ways(session):
            self.assertEqual(self.question("udp", address), seen, address)
        session.hang_up()

    def test_the_host_speaks_to_a_subscriber_of_its_own_accord(self):
        for user in ("alice", "carol"):
            session = self.dial(user)
            for address in (session.address, session.address6):
                out = self.lab.pns.run("ping", "-c", "3", "-i", "0.2", address).stdout
                self.assertEqual(theme.ping_counts(out), (3, 3), address)
            session.hang_up()
            self.server.wait_sessions(0)

    def test_the_access_address_is_out_of_reach(self):
        session = self.dial()
        # The way to the server itself stays; this packet alone goes into the tunnel.
        self.guest.run(f"ip route add {pnslab.lab.ACCESS} dev {session.interface} table 9; "
                       f"ip rule add from {session.address} lookup 9")
        # ICMP says so at once.
        answer = self.question("udp", pnslab.lab.ACCESS, 100, session.address)
        self.assertIn(answer, ("unreachable", "timeout"))
        self.assertEqual(self.ping(self.guest, pnslab.lab.ACCESS, f"-I {session.address}", "-W 1")[1], 0)
        self.guest.run(f"ip rule del from {session.address} lookup 9; ip route flush table 9")
        self.assertEqual(self.question("udp", GATEWAY), session.address)
        session.hang_up()

    def test_calls_and_their_way_back_survive_restarts(self):
        session = self.dial("carol")
        route = self.lab.pns.ip("route", "show", "table", "1725", FIXED)
        self.assertIn(INTERFACE, route)
        pid = self.server.kill("dataplane")
        pnslab.wait_until(lambda: self.server.pid_of("dataplane") not in (None, pid), 20, "another dataplane")
        for address, seen in self.ways(session):
            pnslab.wait_until(lambda to=address, want=seen: self.question("udp", to) == want, 20, f"{address} answers")
        self.server.restart("supervisor")
        for address, seen in self.ways(session):
            self.assertEqual(self.question("tcp", address), seen, address)
        session.hang_up()
        self.server.wait_sessions(0)
        pnslab.wait_until(lambda: not self.lab.pns.ip("route", "show", "table", "1725", FIXED).strip(), 5,
                          "the way back to it has gone")

    def test_packets_of_services_have_a_class_of_their_own(self):
        session = self.dial()
        row = next(row for row in self.server.show("stats")["punt_classes"] if row["class"] == "service")
        before = row["passed"]
        self.assertEqual(self.question("udp", pnslab.lab.CORE, 8000), session.address)
        row = next(row for row in self.server.show("stats")["punt_classes"] if row["class"] == "service")
        self.assertGreaterEqual(row["passed"] - before, 6)  # fragments
        session.hang_up()


class ServicesOff(ServiceTheme):
    changes = {"pools": POOLS}

    @classmethod
    def before_start(cls):
        off = "services: {enabled: false}"
        if cls.lab.ports == "xdp":
            ports = (f'ports:\n  access: {{device: "xdp:access0"}}\n  core: {{device: "xdp:core0", {off}}}\n')
        else:
            ports = (f'ports:\n  access: {{device: "tap:wire0", addresses: [{pnslab.lab.ACCESS}/24]}}\n'
                     f'  core: {{device: "tap:wire1", addresses: [{pnslab.lab.CORE}/24, "{CORE6}/64"], {off}}}\n')
        cls.changes = {"pools": POOLS, "ports": ports}

    def test_off_is_refused_and_counted(self):
        session = self.dial()
        for address in (pnslab.lab.CORE, GATEWAY, CORE6):
            before = self.dropped("services_off")
            for kind in ("udp", "tcp"):
                self.assertEqual(self.question(kind, address), "unreachable", (address, kind))
            self.assertGreaterEqual(self.dropped("services_off") - before, 2, address)
            self.assertEqual(self.ping(self.guest, address), (3, 3))  # of the dataplane
        self.assertEqual(self.lab.pns.run("ip", "link", "show", INTERFACE, check=False).returncode, 1)
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        session.hang_up()

    def test_on_again_takes_effect_while_a_call_lives(self):
        session = self.dial()
        text = self.server.config_file.read_text()
        self.server.config_file.write_text(text.replace("{enabled: false}", "{enabled: true}"))
        self.server.restart("supervisor")
        self.server.restart("dataplane")
        for address, seen in ((pnslab.lab.CORE, session.address), (GATEWAY, session.address)):
            self.assertEqual(self.question("udp", address), seen, address)
        rules = self.lab.pns.ip("rule", "show")
        self.assertIn("lookup 1725", rules)
        self.server.config_file.write_text(text)
        self.server.restart("supervisor")
        # The interface is the dataplane's still.
        self.assertNotIn("lookup 1725", self.lab.pns.ip("rule", "show") + self.lab.pns.ip("-6", "rule", "show"))
        self.assertNotIn(GATEWAY, self.lab.pns.ip("address", "show"))
        self.server.restart("dataplane")
        self.assertEqual(self.question("udp", GATEWAY), "unreachable")
        session.hang_up()


class Ipv6Alone(ServiceTheme):
    changes = {"pools": POOLS}

    def test_a_link_with_ipv6_alone_is_a_link(self):
        # pppd without IPCP answers ours with Protocol-Reject.
        session = self.guest.dial("alice", "wonderland", options=("+ipv6", "noip"))
        shown = pnslab.wait_until(
            lambda: next((s for s in self.server.sessions() if s["ipv6_prefix"] and s["state"] == "open"), None),
            20, "the session is open")
        self.assertEqual(shown["address"], "")
        script = ("for i in $(seq 100); do ip -6 -o address show scope global | grep ppp"
                  " | grep -v tentative | grep . && exit; busybox usleep 100000; done; exit 1")
        found = re.search(r"(ppp\d+) +inet6 ([^/]+)", self.guest.run(script, timeout=20))
        session.interface = found.group(1)
        self.guest.run(f"ip -6 route replace 2001:db8::/64 dev {session.interface}")
        self.assertEqual(self.ping(self.guest, pnslab.lab.HOST6), (3, 3))
        self.assertEqual(self.question("udp", CORE6), found.group(2))
        pid = self.server.kill("control")
        pnslab.wait_until(lambda: self.server.pid_of("control") not in (None, pid), 10, "another control process")
        pnslab.wait_until(lambda: [s for s in self.ask(self.server.sessions) if s["ipv6_prefix"]],
                          10, "the session is known again")
        self.assertEqual(self.ping(self.guest, pnslab.lab.HOST6), (3, 3))
        self.assertEqual(self.server.audit()["findings"], [])
        session.hang_up()
        self.server.wait_sessions(0)


if __name__ == "__main__":
    theme.main(Services, ServicesOff, Ipv6Alone)
