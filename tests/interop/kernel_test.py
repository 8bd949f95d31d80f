#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A core port that leads into the host's own IP stack (`kernel:pns0`). OneNic is docs/one-nic.md with
deploy/one-nic.yaml and deploy/one-nic.nft; the host's second interface, core0, stands for a LAN that
knows the way to the pool.

    guest ── access0 │ xdp: ── server ── pns0 │ the host's routes, nftables │── access0 (NAT), core0 (routed)"""
import ipaddress
import sys

import ipv6_test
import pnslab
import theme
from theme import HOST

NIC = pnslab.lab.ACCESS
INTERNET = "198.51.100.250"  # a host beyond the NIC
ALICE = "10.64.0.10"
GATEWAY = "10.64.0.1"
OUTSIDE = "172.20.0.7"  # of no pool
SITE = "192.168.50.0/24"  # behind it
PORTS = """ports:
  access: {device: "xdp:access0"}
  core: {device: "kernel:pns0"%s}
"""
OCTETS = 1 << 20

# Tells each caller its address as this host sees it.
TELL = """
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("serving", flush=True)
while True:
    caller, address = listener.accept()
    caller.sendall(address[0].encode())
    caller.close()
"""
ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as s:
    print(s.recv(64).decode())
"""
# Answers each datagram with what it holds.
ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], int(sys.argv[2])))
print("serving", flush=True)
while True:
    data, peer = s.recvfrom(65535)
    s.sendto(data, peer)
"""
ASK_ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
data = bytes(i % 251 for i in range(int(sys.argv[3])))
s.sendto(data, (sys.argv[1], int(sys.argv[2])))
print(s.recv(65535) == data)
"""


class KernelTheme(theme.Theme):
    users = {"alice": f"{{password: wonderland, address: {ALICE}}}",
             "bob": f"{{password: builder, address: {OUTSIDE}, routes: [{SITE}]}}"}
    passwords = {"alice": "wonderland"}
    core = ""

    @classmethod
    def before_start(cls):
        cls.changes = dict(cls.changes or {}, ports=PORTS % cls.core)
        cls.lab.pns.sysctl("net/ipv4/ip_forward", "1")
        cls.lab.inet.ip("address", "add", f"{INTERNET}/24", "dev", "br0")
        (cls.lab.directory / "one-nic.nft").write_text(
            (pnslab.SOURCE / "deploy" / "one-nic.nft").read_text().replace("eth0", "access0"))
        cls.lab.pns.run("nft", "-f", str(cls.lab.directory / "one-nic.nft"))

    def dial(self):
        session = self.guest.dial("alice", "wonderland").wait_up()
        pnslab.wait_until(lambda: self.find(session), 5, f"the server shows {session.address}")
        # The way to the server itself stays the wire's; the Internet host is reached by the tunnel.
        self.guest.run(f"ip route replace {INTERNET} dev {session.interface}")
        return session

    def in_guest(self, script, *words):
        path = self.guest.directory / f"script{len(script)}.py"
        path.write_text(script)
        return self.guest.run(f"python3 -B /run/lab/{path.name} {' '.join(words)}").strip()

    def links(self):
        return [line.split(":")[1].strip().split("@")[0]
                for line in self.lab.pns.run("ip", "-o", "link").stdout.splitlines()]


class OneNic(KernelTheme):
    def test_an_internet_host_sees_the_servers_address(self):
        session = self.dial()
        self.assertEqual(self.ping(self.guest, INTERNET), (3, 3))
        self.serve(self.lab.inet, "-c", TELL, INTERNET, "6000")
        self.assertEqual(self.in_guest(ASK, INTERNET, "6000"), NIC)
        self.assert_tcp(OCTETS, INTERNET, namespace=self.lab.inet)
        session.hang_up()

    def test_a_lan_that_routes_to_the_pool_reaches_subscribers_without_translation(self):
        # The packet filter translates what leaves the pool. A LAN host is spoken to as it is.
        self.lab.pns.run("nft", "insert", "rule", "ip", "pns_nat", "postrouting", "oifname", "core0",
                         "accept")
        session = self.dial()
        self.serve(self.lab.intranet, "-c", TELL, HOST, "6000")
        self.assertEqual(self.in_guest(ASK, HOST, "6000"), ALICE)
        down = self.lab.intranet.run("ping", "-c", "3", "-i", "0.2", ALICE).stdout
        self.assertEqual(theme.ping_counts(down), (3, 3))
        # The whole MTU of the link and no fragment (RFC 791): 1396 with MPPE.
        exact = str(self.find(session)["mtu"] - 28)
        self.assertEqual(self.ping(self.guest, HOST, "-M do", "-s", exact), (3, 3))
        down = self.lab.intranet.run("ping", "-M", "do", "-c", "3", "-i", "0.2", "-s", exact,
                                     ALICE).stdout
        self.assertEqual(theme.ping_counts(down), (3, 3))
        # A longer one is refused by name, and its sender learns the MTU.
        refused = self.lab.intranet.run("ping", "-M", "do", "-c", "2", "-i", "0.2", "-s", "1450",
                                        ALICE, check=False).stdout
        self.assertIn(f"mtu = {self.find(session)['mtu']}", refused)
        session.hang_up()

    def test_a_forwarded_port_leads_to_a_subscriber_and_no_other_port_does(self):
        session = self.dial()
        (self.guest.directory / "tell.py").write_text(TELL)
        self.guest.run(f"(python3 -B /run/lab/tell.py {ALICE} 80 > /tmp/tell.log 2>&1 &) ; "
                       "for i in $(seq 100); do grep -q serving /tmp/tell.log && exit 0; "
                       "busybox usleep 100000; done; exit 1", timeout=20)
        self.lab.pns.run("nft", "add", "element", "ip", "pns_nat", "forwarded",
                         "{ 8080 : %s . 80 }" % ALICE)
        seen = self.lab.inet.run(sys.executable, "-c", ASK, NIC, "8080").stdout.strip()
        self.assertEqual(seen, INTERNET)
        closed = self.lab.inet.run(sys.executable, "-c", ASK, NIC, "8081", check=False)
        self.assertIn("refused", closed.stdout)
        session.hang_up()

    def test_the_host_has_routes_to_a_fixed_address_and_to_the_network_behind_it(self):
        session = self.guest.dial("bob", "builder").wait_up()
        pnslab.wait_until(lambda: self.find(session), 5, f"the server shows {session.address}")
        def routes():
            return self.lab.pns.run("ip", "route", "show", "dev", "pns0").stdout
        for wanted in (OUTSIDE, SITE):
            pnslab.wait_until(lambda: wanted in routes(), 5, f"a route to {wanted}")
        self.guest.run("ip addr add 192.168.50.1/32 dev lo")
        for target in (OUTSIDE, "192.168.50.1"):
            down = self.lab.intranet
            self.lab.intranet.ip("route", "replace", f"{target}/32", "via", pnslab.lab.CORE)
            down = down.run("ping", "-c", "3", "-i", "0.2", target).stdout
            self.assertEqual(theme.ping_counts(down), (3, 3), target)
        session.hang_up()
        for gone in (OUTSIDE, SITE):
            pnslab.wait_until(lambda: gone not in routes(), 5, f"no route to {gone}")

    def test_addresses_and_routes_follow_the_pools(self):
        def shown(what):
            return self.lab.pns.run("ip", "-4", *what, "show", "dev", "pns0").stdout
        session = self.guest.dial("bob", "builder").wait_up()
        pnslab.wait_until(lambda: SITE in shown(["route"]) and OUTSIDE in shown(["route"]), 5, "routes of the session")
        text = self.server.config_file.read_text()
        more = text.replace("pools:\n", "pools:\n  more: {ranges: [10.66.0.2-10.66.0.3], gateway: 10.66.0.1}\n")
        self.assertNotEqual(more, text)
        self.lab.pns.ip("address", "add", "10.99.0.1/32", "dev", "pns0")
        before = shown(["route"])
        self.server.config_file.write_text(more)
        self.server.restart("dataplane")
        pnslab.wait_until(lambda: "10.66.0.1/32" in shown(["address"]), 5, "the gateway of the pool")
        self.assertIn("10.66.0.2/31", shown(["route"]))
        # The supervisor that comes knows what the one before has set.
        self.server.restart("supervisor")
        self.server.config_file.write_text(text)
        self.server.restart("dataplane")
        pnslab.wait_until(lambda: "10.66.0.1/32" not in shown(["address"]), 5, "no gateway any more")
        self.assertIn("10.99.0.1/32", shown(["address"]))
        pnslab.wait_until(lambda: shown(["route"]) == before, 5, f"the routes of before: {before}")
        self.lab.pns.ip("address", "delete", "10.99.0.1/32", "dev", "pns0")
        session.hang_up()
        for gone in (OUTSIDE, SITE):
            pnslab.wait_until(lambda: gone not in shown(["route"]), 5, f"no route to {gone}")

    def test_ssh_on_the_nic_is_untouched(self):
        self.serve(self.lab.pns, "-c", TELL, NIC, "22")
        self.assertEqual(self.lab.inet.run(sys.executable, "-c", ASK, NIC, "22").stdout.strip(),
                         INTERNET)
        session = self.dial()
        self.assertEqual(self.lab.inet.run(sys.executable, "-c", ASK, NIC, "22").stdout.strip(),
                         INTERNET)
        session.hang_up()

    def test_a_service_on_the_gateway_answers_whole_and_in_fragments(self):
        session = self.dial()
        self.serve(self.lab.pns, "-c", ECHO, GATEWAY, "53")
        for octets in ("64", "4000"):
            self.assertEqual(self.in_guest(ASK_ECHO, GATEWAY, "53", octets), "True", octets)
        self.assertEqual(self.ping(self.guest, GATEWAY), (3, 3))
        session.hang_up()

    def test_the_host_counts_the_hops_and_the_dataplane_none(self):
        session = self.dial()
        # The host itself is one hop away, and what is behind it two.
        self.assertEqual(self.ping(self.guest, GATEWAY, "-t 1"), (3, 3))
        self.assertEqual(self.ping(self.guest, INTERNET, "-t 1"), (3, 0))
        self.assertEqual(self.ping(self.guest, INTERNET, "-t 2"), (3, 3))
        session.hang_up()

    def test_addresses_without_a_session_are_counted_and_go_nowhere(self):
        session = self.dial()
        before = self.dropped("pool_address_unused")
        self.lab.pns.run("ping", "-c", "3", "-i", "0.2", "-W", "1", "10.64.0.99", check=False)
        pnslab.wait_until(lambda: self.dropped("pool_address_unused") == before + 3, 5,
                          f"3 more than {before}")
        session.hang_up()

    def test_a_transfer_outlives_both_planes(self):
        session = self.dial()
        self.serve(self.lab.inet, "-c", TELL, INTERNET, "6001")
        for plane in ("dataplane", "control"):
            pid = self.server.kill(plane)
            pnslab.wait_until(lambda: self.server.pid_of(plane) not in (None, pid), 20,
                              f"another {plane}")
            answer = pnslab.wait_until(
                lambda: self.guest.run(f"ping -c 1 -W 1 {INTERNET} > /dev/null && echo yes || true")
                .strip(), 20, f"a ping after {plane} was killed")
            self.assertEqual(answer, "yes")
            self.assertEqual(self.in_guest(ASK, INTERNET, "6001"), NIC)
        self.assertEqual(self.ask(lambda: self.find(session))["address"], ALICE)
        session.hang_up()

    def test_the_interface_lives_as_long_as_the_server(self):
        self.assertIn("pns0", self.links())
        routes = self.lab.pns.run("ip", "route", "show", "dev", "pns0").stdout
        self.assertIn("10.64.0.128/25", routes)
        check = self.lab.pns.run(self.server.pns, "check", "--config", str(self.server.config_file),
                                 "--run-dir", str(self.server.run_dir), check=False)
        self.assertEqual(check.returncode, 0, check.stdout)
        # Killed: the pair stays, and the next server makes it anew.
        self.server.kill("supervisor")
        self.server.process.wait(10)
        self.assertIn("pns0", self.links())
        type(self).server = self.lab.start_server(self.users, self.changes, "second")
        session = self.dial()
        self.assertEqual(self.ping(self.guest, INTERNET), (3, 3))
        session.hang_up()
        self.server.stop()
        self.assertNotIn("pns0", self.links())
        self.assertNotIn("pns0-dp", self.links())
        # A start that fails after the pair was made leaves nothing.
        directory = self.lab.directory / "failing"
        (directory / "supervisor.pid").mkdir(parents=True)
        failed = self.lab.pns.run(self.server.pns, "run", "--config", str(self.server.config_file),
                                  "--run-dir", str(directory), check=False)
        self.assertEqual(failed.returncode, 1, failed.stdout)
        self.assertIn('event="start failed"', failed.stdout)
        self.assertNotIn("pns0", self.links())
        # A name that is taken is refused before anything starts.
        self.lab.pns.ip("link", "add", "pns0", "type", "bridge")
        check = self.lab.pns.run(self.server.pns, "check", "--config", str(self.server.config_file),
                                 "--run-dir", str(self.server.run_dir), check=False)
        self.assertEqual(check.returncode, 1)
        self.assertIn("ports.core.device: pns0 is an interface already", check.stdout)
        self.lab.pns.ip("link", "delete", "pns0")
        type(self).server = self.lab.start_server(self.users, self.changes, "third")


class Ipv6(KernelTheme):
    """IPv6 by the host's stack."""
    ipv6 = True
    users = {"alice": "wonderland"}
    changes = {
        "pools": f"pools:\n  default: {{ranges: [10.64.0.2-10.64.3.254], gateway: {GATEWAY}, "
                 f"ipv6_prefixes: ['{ipv6_test.POOL6}']}}\n",
    }
    core = f', addresses: [{GATEWAY}/32, "2001:db8:1::1/128"]'

    @classmethod
    def before_start(cls):
        super().before_start()
        cls.lab.pns.sysctl("net/ipv6/conf/all/forwarding", "1")

    def test_a_client_reaches_hosts_and_the_server_and_is_reached(self):
        session = self.guest.dial("alice", "wonderland", options=ipv6_test.OPTIONS).wait_up()
        ipv6_test.Ipv6.watch_address(self, session)
        self.assertIn(session.address6.ip, ipaddress.ip_network(ipv6_test.POOL6))
        self.guest.run(f"ip -6 route replace 2001:db8:1::/64 dev {session.interface}")
        for target in (ipv6_test.HOST6, "2001:db8:1::1"):
            self.assertEqual(self.ping(self.guest, target), (3, 3), target)
        down = self.lab.intranet.run("ping", "-c", "3", "-i", "0.2", str(session.address6.ip)).stdout
        self.assertEqual(theme.ping_counts(down), (3, 3))
        session.hang_up()


if __name__ == "__main__":
    theme.main(OneNic, Ipv6)
