#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`pns doctor` on a real kernel: each fault keeps a real packet from its goal, the doctor names it, and the
commands that it prints let the packet through. Namespaces only; no guest, and a server in one case.

    client ── access0 [pns] core0 ── intranet
       └──────────── another way ──────────┘
"""
import contextlib
import json
import os
import pathlib
import secrets
import shlex
import shutil
import socket
import subprocess
import tempfile
import unittest

import peer
import pnslab
import theme
from pnslab import host, lab, server

SERVER, FAR_CLIENT = "198.51.100.1", "203.0.113.5"
LAN_SUBSCRIBER = "10.0.0.130"
XDP_PORTS = """ports:
  access: {device: "xdp:access0"}
  core: {device: "xdp:core0"}
"""
POOL = "10.64.0.2-10.64.3.254"
LAN_POOL = "10.0.0.128-10.0.0.191"
CONFIG = """node: {name: doctor}
dataplane: {max_sessions: 1024}
%spools:
  default: {ranges: [%s], gateway: 10.64.0.1}
aaa:
  local: {users_file: users.yaml}
"""
# As many hosts have it: SSH, replies, and nothing else.
CLOSED = """table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state vmap { established : accept, related : accept, invalid : drop }
    iif lo accept
    tcp dport 22 accept
    meta l4proto icmp accept
  }
}
"""
# Nearly every kind of rule that the doctor understands, and TCP 1723 open for every client.
OPEN = """table inet filter {
  set open_ports {
    type inet_service
    flags interval
    elements = { 22, 1700-1800 }
  }
  chain service {
    tcp flags & (fin | syn | rst | ack) != syn ct state new drop
    tcp dport @open_ports counter accept comment "services"
    return
  }
  chain input {
    type filter hook input priority 0; policy drop;
    ct state invalid drop
    ip saddr 127.0.0.0/8 iifname != "lo" drop
    iifname { "core*", "tun*" } accept
    meta l4proto { icmp, ipv6-icmp } accept
    udp dport 53 reject
    tcp dport != 22 tcp dport < 1024 drop
    fib daddr type != local drop
    iifname vmap { "access0" : jump service }
    ip daddr 198.51.100.1 ct state established,related log prefix "late" accept
  }
  chain output {
    type filter hook output priority 0; policy drop;
    oifname { "access0", "core0" } accept
  }
}
table ip raw {
  chain pre {
    type filter hook prerouting priority raw;
    udp dport 53 notrack
  }
}
"""
# As firewalld writes them: zones by interface, and everything else is rejected.
ZONES = """table inet firewalld {
  chain filter_PREROUTING {
    type filter hook prerouting priority filter + 10; policy accept;
    icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
    meta nfproto ipv6 fib saddr . mark . iif oif missing drop
  }
  chain filter_INPUT {
    type filter hook input priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    jump filter_INPUT_ZONES
    reject with icmpx admin-prohibited
  }
  chain filter_OUTPUT {
    type filter hook output priority filter + 10; policy accept;
    ct state { established, related } accept
    oifname "lo" accept
  }
  chain filter_INPUT_ZONES {
    iifname "core0" goto filter_IN_trusted
    goto filter_IN_public
  }
  chain filter_IN_trusted {
    accept
  }
  chain filter_IN_public {
    jump filter_IN_public_allow
    meta l4proto { icmp, ipv6-icmp } accept
  }
  chain filter_IN_public_allow {
    tcp dport 22 ct state { new, untracked } accept
    PORT
  }
}
"""
# A rule for some clients only.
PARTLY = """table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    ip saddr 198.51.100.0/24 tcp dport 1723 accept
    ct state established accept
  }
}
"""


class Doctor(unittest.TestCase):
    longMessage = True

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("not root")
        if shutil.which("nft", path="/usr/sbin:/usr/bin") is None:
            raise unittest.SkipTest("no nft (Debian package nftables)")
        if host.run(["unshare", "--net", "true"], check=False).returncode != 0:
            raise unittest.SkipTest("no network namespaces")
        cls.binaries = pathlib.Path(theme.OPTIONS.binaries or pnslab.SOURCE / "build" / "bin").resolve()

    def setUp(self):
        cleaning = contextlib.ExitStack()
        self.addCleanup(cleaning.close)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pns-doctor-"))
        cleaning.callback(shutil.rmtree, self.directory)
        names = secrets.token_hex(3)
        for role in ("pns", "client", "intranet"):
            setattr(self, role, host.Namespace(f"pns-{names}-{role}"))
            cleaning.callback(getattr(self, role).delete)
        self.cable(self.pns, "access0", f"{SERVER}/24", self.client, "access1", "198.51.100.9/24")
        self.cable(self.pns, "core0", "10.0.0.1/24", self.intranet, "core1", "10.0.0.254/24")
        self.cable(self.intranet, "way0", "192.0.2.1/24", self.client, "way1", "192.0.2.2/24")
        self.pns.ip("route", "add", "default", "via", "198.51.100.9")
        self.client.ip("address", "add", f"{FAR_CLIENT}/32", "dev", "lo")
        self.intranet.ip("route", "add", f"{FAR_CLIENT}/32", "via", "192.0.2.2")
        self.intranet.sysctl("net/ipv4/ip_forward", "1")
        for namespace in (self.pns, self.client, self.intranet):
            namespace.sysctl("net/ipv4/conf/all/rp_filter", "0")
        (self.directory / "users.yaml").write_text("alice: {password: wonderland}\n")
        (self.directory / "users.yaml").chmod(0o600)
        self.configure(XDP_PORTS)

    @staticmethod
    def cable(left, left_name, left_address, right, right_name, right_address):
        left.ip("link", "add", left_name, "type", "veth", "peer", "name", right_name, "netns", right.name)
        for namespace, name, address in ((left, left_name, left_address), (right, right_name, right_address)):
            namespace.sysctl(f"net/ipv4/conf/{name}/rp_filter", "0")
            namespace.ip("address", "add", address, "dev", name)
            namespace.ip("link", "set", name, "up")

    def configure(self, ports, pool=POOL):
        self.config = self.directory / "pns.yaml"
        self.config.write_text(CONFIG % (ports, pool))

    def load(self, rules):
        file = self.directory / "rules.nft"
        file.write_text(rules)
        self.pns.run("nft", "-f", str(file))

    def doctor(self, *options, check=None):
        """The findings of one check, or of all: lists of dictionaries."""
        done = subprocess.run(self.pns.command(str(self.binaries / "pns"), "doctor", "--config", str(self.config),
                                               "--run-dir", str(self.directory / "run"), "--json", *options),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        document = json.loads(done.stdout)
        findings = document["findings"]
        self.assertEqual(document["errors"], sum(f["verdict"] == "error" for f in findings))
        self.assertEqual(done.returncode, 1 if document["errors"] else 0)
        return [f for f in findings if check in (None, f["check"])]

    def bad(self, check, verdict="error"):
        """The one finding of a check that is no `ok`."""
        findings = [f for f in self.doctor(check=check) if f["verdict"] != "ok"]
        self.assertEqual([f["verdict"] for f in findings], [verdict], findings)
        print(f"{check}: {findings[0]['finding']}\n    {findings[0]['remedy']}", flush=True)
        return findings[0]

    def cure(self, finding):
        """Carries out the commands of a remedy, as they are printed."""
        self.assertTrue(finding["remedy"]["run"], finding)
        for command in finding["remedy"]["run"]:
            self.pns.run(*shlex.split(command))

    def good(self, check):
        findings = self.doctor(check=check)
        self.assertEqual({f["verdict"] for f in findings}, {"ok"}, findings)

    @contextlib.contextmanager
    def listening(self):
        """A socket on TCP 1723, of this process."""
        with peer.inside(self.pns):
            listener = socket.socket()
        with listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("0.0.0.0", 1723))
            listener.listen(5)
            yield

    def connects(self, source="198.51.100.9"):
        """Whether a client's connection to TCP 1723 comes up."""
        with self.listening():
            with peer.inside(self.client):
                caller = socket.socket()
            with caller:
                caller.settimeout(1.5)  # one repetition of the SYN
                caller.bind((source, 0))
                try:
                    caller.connect((SERVER, 1723))
                except OSError:
                    return False
                return True

    # --- cases ---

    def test_1_a_firewall_that_drops_tcp_1723(self):
        self.assertTrue(self.connects())
        self.load(CLOSED)
        self.assertFalse(self.connects())
        finding = self.bad("firewall")
        self.assertIn("the policy of inet filter input", finding["finding"])
        self.cure(finding)
        self.good("firewall")
        self.assertTrue(self.connects())

    def test_2_a_firewall_that_drops_the_answers(self):
        self.load("table ip out { chain out { type filter hook output priority 0; "
                  "oifname access0 tcp sport 1-2000 drop; }; }")
        self.assertFalse(self.connects())
        self.cure(self.bad("firewall"))
        self.good("firewall")
        self.assertTrue(self.connects())

    def test_3_a_long_ruleset_that_accepts_is_understood(self):
        self.load(OPEN)
        self.assertTrue(self.connects())
        self.good("firewall")

    def test_4_a_rule_for_some_clients_is_named(self):
        self.load(PARTLY)
        self.assertTrue(self.connects())
        self.assertFalse(self.connects(FAR_CLIENT))
        finding = self.bad("firewall", "warning")
        self.assertIn("cannot tell", finding["finding"])
        self.assertIn('"ip saddr 198.51.100.0/24 tcp dport 1723 accept" in inet filter input', finding["finding"])

    def test_4a_the_zones_of_firewalld(self):
        self.load(ZONES.replace("PORT", "tcp dport 1723 ct state { new, untracked } accept"))
        self.assertTrue(self.connects())
        self.good("firewall")
        self.pns.run("nft", "flush", "ruleset")
        self.load(ZONES.replace("PORT", "tcp dport 80 accept"))
        self.assertFalse(self.connects())
        finding = self.bad("firewall")
        self.assertIn("is rejected", finding["finding"])
        self.cure(finding)
        self.good("firewall")
        self.assertTrue(self.connects())

    def test_5_a_firewall_that_rejects_gre(self):
        self.load(CLOSED.replace("meta l4proto icmp accept", "tcp dport 1723 accept\nmeta l4proto gre reject"))
        self.good("firewall")
        self.cure(self.bad("gre", "warning"))
        self.good("gre")

    def test_6_strict_rp_filter_and_an_asymmetric_path(self):
        self.client.ip("route", "add", f"{SERVER}/32", "dev", "access1", "src", FAR_CLIENT)
        self.pns.ip("route", "replace", "default", "via", "10.0.0.254")
        self.assertTrue(self.connects(FAR_CLIENT))
        self.pns.sysctl("net/ipv4/conf/access0/rp_filter", "1")
        self.assertFalse(self.connects(FAR_CLIENT))
        finding = self.bad("rp-filter")
        self.assertIn("default route leaves by core0", finding["finding"])
        self.cure(finding)
        self.good("rp-filter")
        self.assertTrue(self.connects(FAR_CLIENT))

    def test_7_the_mtu_of_the_access_interface(self):
        self.good("mtu")
        self.pns.ip("link", "set", "access0", "mtu", "1400")
        finding = self.bad("mtu", "warning")
        self.assertIn("up to 1440 octets", finding["finding"])
        self.cure(finding)
        self.good("mtu")
        self.assertIn("mtu 1440", self.pns.ip("link", "show", "access0"))

    def test_8_a_pool_in_the_core_network(self):
        self.good("proxy-arp")
        self.configure(XDP_PORTS, LAN_POOL)
        self.good("proxy-arp")
        self.assertFalse(self.resolves())
        # An interface without neighbours; some kernels have no dummy.
        self.pns.ip("link", "add", "pns-pool", "type", "veth", "peer", "name", "pool1")
        self.pns.ip("link", "set", "pns-pool", "up")
        self.pns.ip("link", "set", "pool1", "up")
        self.pns.ip("route", "add", "10.0.0.128/26", "dev", "pns-pool")
        self.pns.sysctl("net/ipv4/conf/core0/forwarding", "1")
        self.pns.sysctl("net/ipv4/conf/core0/proxy_arp", "1")
        self.assertTrue(self.resolves())
        self.cure(self.bad("proxy-arp", "warning"))
        self.good("proxy-arp")
        self.assertFalse(self.resolves())

    def resolves(self):
        """Whether a host of the core network gets a MAC address for a subscriber, and it is core0's."""
        self.intranet.run("ip", "neigh", "flush", "dev", "core1", check=False)
        self.intranet.run("ping", "-c", "1", "-W", "1", LAN_SUBSCRIBER, check=False)

        def answered():
            entry = self.intranet.run("ip", "neigh", "show", LAN_SUBSCRIBER).stdout
            return "FAILED" if "FAILED" in entry else entry.split("lladdr ")[1].split()[0] if "lladdr" in entry else ""
        mac = self.pns.ip("-o", "link", "show", "core0").split("link/ether ")[1].split()[0]
        return pnslab.wait_until(answered, 10, "the neighbour is known or not") == mac

    def test_9_a_route_in_the_way_and_a_listener(self):
        self.good("routes")
        self.good("listener")
        self.pns.ip("route", "add", "10.64.1.0/24", "via", "198.51.100.9")
        self.cure(self.bad("routes", "warning"))
        self.good("routes")
        with self.listening():
            self.assertIn(f"(pid {os.getpid()})", self.bad("listener")["finding"])
        self.good("listener")
        self.pns.ip("address", "del", f"{SERVER}/24", "dev", "access0")
        self.bad("listener")

    def test_a_devices(self):
        self.good("devices")
        self.pns.ip("link", "set", "access0", "down")
        self.cure(self.bad("devices"))

        def carrier():
            return all(f["verdict"] == "ok" for f in self.doctor(check="devices"))
        pnslab.wait_until(carrier, 5, "access0 has a carrier")
        self.pns.ip("link", "del", "core0")
        self.assertIn("no interface core0", self.bad("devices")["finding"])

    def test_b_nothing_is_changed(self):
        self.load(OPEN)

        def state():
            return [self.pns.run(*words.split()).stdout for words in (
                "nft list ruleset", "ip address", "ip route", "ip link", "sysctl -a --pattern ^net\\.ipv4\\.conf")]
        before = state()
        self.doctor()
        self.assertEqual(state(), before)
        self.assertFalse((self.directory / "run").exists())

    def test_c_without_root(self):
        os.chmod(self.directory, 0o755)
        done = self.pns.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                            str(self.binaries / "pns"), "doctor", "--config", str(self.config), check=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stdout, r"(?m)^error +privileges +not root: firewall, gre and start are skipped")
        self.assertRegex(done.stdout, r"(?m)^skipped +firewall ")
        self.assertRegex(done.stdout, r"(?m)^ok +mtu ")

    def test_d_usage(self):
        for words in ([], ["--config", "/none.yaml"], ["--config", str(self.config), "--nonsense"]):
            done = self.pns.run(str(self.binaries / "pns"), "doctor", *words, check=False)
            self.assertEqual(done.returncode, 2, done.stdout)

    def test_e_a_server_that_runs(self):
        self.configure(lab.TAP_PORTS)
        running = server.Server(self.pns, self.binaries, self.config, self.directory)
        self.addCleanup(running.end)
        # The names of the TAPs' ends are free: the addresses are on the twins.
        for name in ("access0", "core0"):
            self.pns.ip("link", "del", name)
        running.wait_ready()
        findings = self.doctor()
        for finding in findings:
            self.assertNotEqual(finding["verdict"], "error", finding)
        by_name = {f["check"]: f for f in findings}
        self.assertEqual(by_name["listener"]["finding"], "the server listens on TCP 1723")
        self.assertEqual(by_name["server"]["verdict"], "ok")
        self.assertEqual(by_name["huge-pages"]["verdict"], "skipped")
        self.good("mtu")  # of the twins
        host.run([running.pns, "drain", "--no-wait", "--run-dir", str(running.run_dir)])
        finding = self.bad("server", "warning")
        self.assertEqual(finding["remedy"]["run"], ["pns drain --cancel"])
        host.run([running.pns, "drain", "--cancel", "--run-dir", str(running.run_dir)])
        self.good("server")
        pid = running.pid_of("supervisor")
        self.assertEqual(running.stop()[0], 0)
        self.assertIsNotNone(pid)
        self.assertEqual([f["verdict"] for f in self.doctor(check="server")], ["skipped"])


if __name__ == "__main__":
    theme.main(Doctor)
