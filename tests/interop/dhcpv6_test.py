#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""DHCPv6 on the link (docs/ipv6.md): the client is a router that runs dhcpcd. It asks for a prefix, and
a host behind it talks to a host behind the core port.

    home host ── veth ── guest: pppd, dhcpcd ── access │ server │ core ── intranet host"""
import ipaddress
import re

import pnslab
import theme

CORE6, HOST6 = pnslab.lab.CORE6, pnslab.lab.HOST6
DELEGATED = "2001:db8:4000::/40"
FIXED = "2001:db8:5000::/48"
ADDRESS, NAME_SERVER = "2001:db8:6000::7", "2001:db8::54"
RADIUS_USERS = f"""home   Cleartext-Password := "secret1"
       Service-Type = Framed-User, Framed-Protocol = PPP, Delegated-IPv6-Prefix = {FIXED}, Framed-IPv6-Address = {ADDRESS}, DNS-Server-IPv6-Address = {NAME_SERVER}
pooled Cleartext-Password := "secret1"
       Service-Type = Framed-User, Framed-Protocol = PPP, Framed-IPv6-Pool = "homes", Delegated-IPv6-Prefix-Pool = "homes"
"""
RADIUS = """aaa:
  order: [local, radius]
  local: {users_file: users.yaml}
  radius:
    servers: [{address: 127.0.0.1, secret_file: SECRET_FILE, kind: [authentication]}]
"""
CONFIGURATION = """duid
nodev
noipv4
noipv6rs
persistent
vendorclassid
nohook resolv.conf, hostname, ntp.conf
script /run/lab/dhcpcd-hook
option dhcp6_name_servers, dhcp6_domain_search, dhcp6_sol_max_rt
allowinterfaces INTERFACE lan
interface INTERFACE
  WANTED
"""
HOOK = """#!/bin/sh
echo "$interface $reason" >>/tmp/dhcpcd.events
[ "$interface" = lan ] || env >/tmp/dhcpcd.$reason
"""


class Dhcpv6(theme.Theme):
    guests = 2
    ipv6 = True
    users = {"alice": "wonderland", "bob": "builder",
             "home": f"{{password: chess, delegated_ipv6_prefix: '{FIXED}'}}"}
    passwords = {"alice": "wonderland", "bob": "builder", "home": "chess"}
    changes = {
        "pools": "pools:\n  default: {ranges: [10.64.0.2-10.64.3.254], gateway: 10.64.0.1, "
                 f"ipv6_prefixes: ['2001:db8:100::/48'], delegated_prefixes: ['{DELEGATED}']}}\n",
        "ppp": f"ppp:\n  dns: [10.0.0.53, '{HOST6}']\n  domain: lab.example\n  dhcpv6: stateful\n",
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            for network in (DELEGATED, FIXED):
                cls.lab.intranet.ip("route", "add", network, "via", CORE6)
            for guest in cls.lab.guests:
                guest.run("busybox insmod /usr/lib/uml/modules/$(uname -r)/kernel/drivers/net/veth.ko\n"
                          "mount -t tmpfs tmpfs /run/netns 2>/dev/null; ip netns add home\n"
                          "ip link add lan type veth peer name wan netns home\n"
                          "ip link set lan up\n"
                          "ip -n home link set lo up; ip -n home link set wan up\n"
                          "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding\n"
                          "mkdir -p /var/lib/dhcpcd /run/dhcpcd\n")
        except BaseException:
            cls.lab.close()
            raise

    def tearDown(self):
        for guest in self.lab.guests:  # of a case that failed
            guest.run("kill -9 $(pidof dhcpcd) 2>/dev/null; true")
        super().tearDown()

    def dial(self, user="alice", guest=None):
        guest = guest or self.guest
        session = guest.dial(user, self.passwords[user], options=("+ipv6",)).wait_up()
        guest.run(f"ip -6 route replace 2001:db8::/64 dev {session.interface}")
        pnslab.wait_until(lambda: (self.find(session) or {}).get("ipv6_prefix"), 10, "IPv6 is open")
        return session

    def start_client(self, session, wanted="ia_pd 1 lan/0", reason="BOUND6"):
        """dhcpcd on the link of a session, until it has what it wants. With REBIND6 it begins with what it
        had before, as after a redial."""
        guest = session.guest
        text = CONFIGURATION.replace("INTERFACE", session.interface).replace("WANTED", wanted)
        (guest.directory / "dhcpcd.conf").write_text(text)
        hook = guest.directory / "dhcpcd-hook"
        hook.write_text(HOOK)
        hook.chmod(0o755)
        forget = "" if reason == "REBIND6" else "rm -f /var/lib/dhcpcd/*.lease6"
        guest.run(f"{forget}\nrm -f /tmp/dhcpcd.*\n"
                  "dhcpcd -6 -b -d -f /run/lab/dhcpcd.conf --logfile /run/lab/dhcpcd.log\n"
                  f"for i in $(seq 150); do [ -e /tmp/dhcpcd.{reason} ] && exit; busybox usleep 100000; done\n"
                  "tail -40 /run/lab/dhcpcd.log; exit 1", timeout=25)
        told = guest.run(f"cat /tmp/dhcpcd.{reason}")
        return dict(line.split("=", 1) for line in told.splitlines() if "=" in line)

    def stop_client(self, session, verb="-x"):
        """-x: it goes; -k: it releases what it has and goes."""
        session.guest.run(f"dhcpcd -6 {verb} || true\n"
                          "for i in $(seq 100); do pidof dhcpcd >/dev/null || exit 0; busybox usleep 100000; done; exit 1")
        session.guest.run("ip -6 address flush dev lan scope global; ip -n home -6 address flush dev wan scope global")

    def settle_home(self, session, prefix):
        """The home host has an address, and the router of the home is ::1, as dhcpcd has set it."""
        router, host = prefix[1], prefix[2]
        session.guest.run(f"for i in $(seq 100); do ip -6 address show dev lan | grep -q '{router}/64' && break; "
                          "busybox usleep 100000; done\n"
                          f"ip -6 address show dev lan | grep '{router}/64' || {{ cat /run/lab/dhcpcd.log; exit 1; }}\n"
                          f"ip -n home address replace {host}/64 dev wan nodad\n"
                          f"ip -n home -6 route replace default via {router}", timeout=25)
        return str(host)

    def ping_home(self, address):
        shown = self.lab.intranet.run("ping", "-c", "3", "-i", "0.2", "-W", "2", address, check=False).stdout
        return theme.ping_counts(shown)

    def ping_from_home(self, session, *options):
        output = session.guest.run(f"ip netns exec home ping -c 3 -i 0.2 -W 2 {' '.join(options)} {HOST6} || true",
                                   timeout=40)
        return theme.ping_counts(output)

    def kernel_routes(self):
        table = "main" if self.lab.ports == "xdp" else "1724"
        shown = self.lab.pns.run("ip", "-N", "-6", "route", "show", "table", table, "proto", "173",
                                 check=False).stdout
        return sorted(line.split()[0] for line in shown.splitlines())

    def results(self):
        """Results of messages that have occurred."""
        found = re.findall(r'^pns_dhcpv6_messages_total\{kind="\w+",result="(\w+)"\} (\d+)', self.server.metrics(), re.M)
        return {result: int(count) for result, count in found if int(count)}

    def used(self):
        return self.server.show("pools")[0]["delegated_used"]

    def test_1_a_host_behind_the_prefix_and_the_core_reach_each_other(self):
        session = self.dial()
        prefix = ipaddress.ip_network(self.find(session)["delegated_prefix"])
        self.assertEqual(prefix.prefixlen, 56)
        self.assertTrue(prefix.subnet_of(ipaddress.ip_network(DELEGATED)))
        self.assertEqual(self.find(session)["routes"], [])  # it has not asked
        self.assertEqual(self.kernel_routes(), [])
        told = self.start_client(session)
        pnslab.wait_until(lambda: self.find(session)["routes"] == [str(prefix)], 10, "the prefix is in force")
        pnslab.wait_until(lambda: self.kernel_routes() == [str(prefix)], 10, "the kernel has its route")
        self.assertEqual(told["new_dhcp6_name_servers"], HOST6)
        self.assertEqual(told["new_dhcp6_domain_search"], "lab.example")
        host = self.settle_home(session, prefix)
        self.assertEqual(self.ping_home(host), (3, 3))
        self.assertEqual(self.ping_from_home(session), (3, 3))
        results = self.results()
        # dhcpcd asks for Rapid Commit in its own configuration only: Solicit, then Request.
        self.assertGreaterEqual(results.get("advertised", 0), 1)
        self.assertGreaterEqual(results.get("bound", 0), 1)
        self.assertEqual(results.get("rate", 0), 0)
        # A source outside of the prefix is refused.
        session.guest.run("ip -n home address add 2001:db8:bad::2/64 dev wan nodad")
        self.assertEqual(self.ping_from_home(session, "-I 2001:db8:bad::2", "-W 1")[1], 0)
        session.guest.run("ip -n home address del 2001:db8:bad::2/64 dev wan")
        self.stop_client(session)
        session.hang_up()
        self.server.wait_sessions(0)
        # Given back with the call.
        pnslab.wait_until(lambda: self.kernel_routes() == [], 10, "the route has gone")
        self.assertEqual(self.used(), 0)
        self.assertEqual(self.ping_home(host)[1], 0)

    def test_2_the_prefix_survives_the_death_of_either_plane(self):
        session = self.dial()
        self.start_client(session)
        prefix = ipaddress.ip_network(self.find(session)["delegated_prefix"])
        host = self.settle_home(session, prefix)
        self.assertEqual(self.ping_home(host), (3, 3))
        for plane in ("control", "dataplane", "control"):
            pid = self.server.kill(plane)
            self.assertEqual(self.kernel_routes(), [str(prefix)], plane)  # routing daemons notice nothing
            pnslab.wait_until(lambda: self.server.pid_of(plane) not in (None, pid), 10, f"another {plane}")
            pnslab.wait_until(lambda: self.ping_home(host)[1] > 0, 20, f"the home after {plane}'s death")
            self.assertEqual(self.ping_from_home(session), (3, 3), plane)
            shown = self.ask(lambda: self.find(session))
            self.assertEqual((shown["delegated_prefix"], shown["routes"]), (str(prefix), [str(prefix)]))
        self.assertEqual(self.used(), 1)
        # The new process answers a Renew of what the old one gave: dhcpcd rebinds on SIGALRM.
        before = self.results().get("renewed", 0)
        session.guest.run("dhcpcd -6 -n " + session.interface)
        pnslab.wait_until(lambda: self.results().get("renewed", 0) > before, 20, "it was renewed")
        # Another subscriber gets another one.
        second = self.dial("bob", self.lab.guests[1])
        other = self.find(second)["delegated_prefix"]
        self.assertNotEqual(other, str(prefix))
        second.hang_up()
        self.stop_client(session, "-k")
        pnslab.wait_until(lambda: self.find(session)["routes"] == [], 10, "it was released")
        self.assertEqual(self.kernel_routes(), [])
        self.assertEqual(self.find(session)["delegated_prefix"], str(prefix))
        session.hang_up()
        self.server.wait_sessions(0)
        self.assertEqual(self.used(), 0)

    def test_3_a_prefix_of_the_users_file_and_an_address(self):
        session = self.dial("home")
        self.assertEqual(self.find(session)["delegated_prefix"], FIXED)
        told = self.start_client(session, "ia_na 1\n  ia_pd 2 lan/0")
        link = ipaddress.ip_network(self.find(session)["ipv6_prefix"])
        self.assertEqual(told["new_dhcp6_ia_na1_ia_addr1"], str(link[2]))
        pnslab.wait_until(lambda: self.find(session)["routes"] == [FIXED], 10, "the prefix is in force")
        host = self.settle_home(session, ipaddress.ip_network(FIXED))
        self.assertEqual(self.ping_home(host), (3, 3))
        self.assertEqual(self.ping_home(str(link[2])), (3, 3))
        self.stop_client(session)
        session.hang_up()
        self.server.wait_sessions(0)

    def test_4_configuration_alone(self):
        session = self.dial("bob")
        before = self.results().get("informed", 0)
        told = self.start_client(session, "inform6", "INFORM6")
        self.assertEqual(told["new_dhcp6_name_servers"], HOST6)
        self.assertGreater(self.results()["informed"], before)
        self.assertEqual(self.find(session)["routes"], [])
        self.stop_client(session)
        session.hang_up()
        self.server.wait_sessions(0)

    def test_5_after_a_redial_the_client_learns_that_its_prefix_is_another_one(self):
        session = self.dial()
        old = self.find(session)["delegated_prefix"]
        self.start_client(session)
        self.stop_client(session)
        session.hang_up()
        self.server.wait_sessions(0)
        session = self.dial()
        new = self.find(session)["delegated_prefix"]
        self.assertNotEqual(new, old)  # the pool gives what has been free the longest
        told = self.start_client(session, reason="REBIND6")
        self.assertEqual(told["new_dhcp6_ia_pd1_prefix1"], str(ipaddress.ip_network(new)[0]))
        self.assertEqual(self.find(session)["routes"], [new])
        host = self.settle_home(session, ipaddress.ip_network(new))
        self.assertEqual(self.ping_home(host), (3, 3))
        self.stop_client(session)
        session.hang_up()
        self.server.wait_sessions(0)


class Dhcpv6OfRadius(Dhcpv6):
    """The same client, whose prefix and address a RADIUS server names."""
    guests = 1
    users = {"local": "wonderland"}
    passwords = {"home": "secret1", "pooled": "secret1"}

    @classmethod
    def before_start(cls):
        radius = pnslab.FreeRadius(cls.lab, cls.lab.pns, RADIUS_USERS).start()
        cls.changes = {
            "pools": "pools:\n  default: {ranges: [10.64.0.2-10.64.3.254], gateway: 10.64.0.1, "
                     "ipv6_prefixes: ['2001:db8:100::/48']}\n"
                     "  homes: {ranges: [10.65.0.2-10.65.3.254], gateway: 10.65.0.1, "
                     f"ipv6_prefixes: ['2001:db8:101::/48'], delegated_prefixes: ['{DELEGATED}'], delegated_length: 60}}\n",
            "ppp": f"ppp:\n  dns: ['{HOST6}']\n",
            "aaa": RADIUS.replace("SECRET_FILE", str(radius.secret_file))}

    def test_1_prefix_and_address_of_the_server(self):
        session = self.dial("home")
        self.assertEqual(self.find(session)["delegated_prefix"], FIXED)
        told = self.start_client(session, "ia_na 1\n  ia_pd 2 lan/0")
        self.assertEqual(told["new_dhcp6_ia_na1_ia_addr1"], ADDRESS)
        self.assertEqual(told["new_dhcp6_name_servers"], f"{NAME_SERVER} {HOST6}")
        pnslab.wait_until(lambda: sorted(self.find(session)["routes"]) == sorted([FIXED, f"{ADDRESS}/128"]), 10,
                          "prefix and address are in force")
        self.lab.intranet.ip("route", "add", f"{ADDRESS}/128", "via", CORE6)
        host = self.settle_home(session, ipaddress.ip_network(FIXED))
        self.assertEqual(self.ping_home(host), (3, 3))
        self.assertEqual(self.ping_home(ADDRESS), (3, 3))
        self.assertEqual(self.ping(session.guest, HOST6, f"-I {ADDRESS}"), (3, 3))
        self.stop_client(session)
        session.hang_up()
        self.server.wait_sessions(0)
        pnslab.wait_until(lambda: self.kernel_routes() == [], 10, "the routes have gone")

    def test_2_pools_that_the_server_names(self):
        session = self.dial("pooled")
        view = self.find(session)
        self.assertTrue(view["address"].startswith("10.64."))
        self.assertTrue(ipaddress.ip_network(view["ipv6_prefix"]).subnet_of(ipaddress.ip_network("2001:db8:101::/48")))
        prefix = ipaddress.ip_network(view["delegated_prefix"])
        self.assertEqual(prefix.prefixlen, 60)
        self.assertTrue(prefix.subnet_of(ipaddress.ip_network(DELEGATED)))
        session.hang_up()
        self.server.wait_sessions(0)


if __name__ == "__main__":
    theme.main(Dhcpv6, Dhcpv6OfRadius)
