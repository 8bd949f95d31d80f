#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two routing tables: a client behind the access gateway, the Internet behind the core gateway. The
client's outer network and one behind the core are the same prefix, and each side has a host with the
address of INTERNET: whoever answers tells which way a packet went.

    guest ── home router (access gateway) ── access │ server │ core ── intranet host (core gateway)
    192.168.7.11       198.51.100.200                                10.0.0.53, INTERNET, TWIN"""
import pathlib

import pnslab
import theme
from theme import HOST

ACCESS_GATEWAY = pnslab.lab.HOME_WAN
GUEST = "192.168.7.11"
INTERNET = "203.0.113.80"
TWIN = "192.168.7.99"  # behind the core, in the network of the guest's outer address
FIXED = "172.20.0.7"   # outside every pool
CORE_TABLE = "1724"

TAP_PORTS = f"""ports:
  access:
    device: "tap:wire0"
    addresses: [{pnslab.lab.ACCESS}/24]
    gateway: {ACCESS_GATEWAY}
  core:
    device: "tap:wire1"
    addresses: [{pnslab.lab.CORE}/24]
    gateway: {HOST}
"""
XDP_PORTS = f"""ports:
  access: {{device: "xdp:access0"}}
  core: {{device: "xdp:core0", table: {CORE_TABLE}}}
"""


def is_over(pid):
    """Whether a process has given its memory and descriptors back: its last thread has ended."""
    try:
        threads = [thread.name for thread in pathlib.Path(f"/proc/{pid}/task").iterdir()]
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return len(threads) <= 1 and state in "ZX"


class Routing(theme.Theme):
    guests = 0
    users = {"alice": "wonderland", "bob": f"{{password: builder, address: {FIXED}}}"}
    passwords = {"alice": "wonderland", "bob": "builder"}

    @classmethod
    def before_start(cls):
        lab = cls.lab
        cls.changes = {"ports": TAP_PORTS if lab.ports == "tap" else XDP_PORTS}
        lab.build_home()
        lab.home.run("nft", "delete", "table", "ip", "nat")  # a router, no NAT
        lab.home.ip("address", "add", f"{INTERNET}/32", "dev", "lo")
        for guest in [lab.start_guest(home=True) for _ in range(2)]:
            guest.wait_boot()
            guest.run(f"ip route add default via {pnslab.lab.HOME_ROUTER}")
        if lab.ports == "xdp":
            lab.pns.ip("route", "add", "default", "via", ACCESS_GATEWAY)
            lab.pns.ip("route", "add", "default", "via", HOST, "dev", "core0", "table", CORE_TABLE)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            for address in (INTERNET, TWIN):
                cls.lab.intranet.ip("address", "add", f"{address}/32", "dev", "lo")
            cls.lab.intranet.ip("route", "add", f"{FIXED}/32", "via", pnslab.lab.CORE)
        except BaseException:
            cls.lab.close()
            raise

    def dial(self, user="alice", guest=None):
        guest = guest or self.guest
        session = guest.dial(user, self.passwords[user]).wait_up()
        pnslab.wait_until(lambda: self.find(session), 5, f"the server shows {session.address}")
        # The way to the server itself stays the home router's.
        for address in (INTERNET, TWIN, FIXED, "10.64.0.0/16"):
            guest.run(f"ip route replace {address} dev {session.interface}")
        return session

    def test_the_internet_lies_behind_the_core_gateway_and_the_client_behind_the_other(self):
        session = self.dial()
        self.assertEqual(self.find(session)["peer"], GUEST)
        self.assertEqual(self.ping(self.guest, INTERNET), (3, 3))
        self.assert_tcp(1 << 20, INTERNET)
        session.hang_up()

    def test_an_outer_network_and_an_inner_one_may_be_the_same(self):
        session = self.dial()
        self.assertEqual(self.ping(self.guest, TWIN), (3, 3))
        session.hang_up()

    def test_an_address_of_the_access_side_is_another_host_for_a_subscriber(self):
        session = self.dial()
        # Behind the core there is a host with the address of the access gateway. It answers.
        self.lab.intranet.ip("address", "add", f"{ACCESS_GATEWAY}/32", "dev", "lo")
        self.guest.run(f"ip route replace {ACCESS_GATEWAY} dev {session.interface} table 9; "
                       f"ip rule add from {session.address} lookup 9")
        answers = self.ping(self.guest, ACCESS_GATEWAY, f"-I {session.address}")
        self.guest.run(f"ip rule del from {session.address} lookup 9; ip route flush table 9")
        self.assertEqual(answers, (3, 3))
        session.hang_up()

    def test_two_subscribers_reach_each_other_at_an_address_outside_the_pools(self):
        other = self.lab.guests[1]
        first, second = self.dial(), self.dial("bob", other)
        self.assertEqual(second.address, FIXED)
        self.assertEqual(self.ping(self.guest, FIXED), (3, 3))
        self.assertEqual(self.ping(other, first.address), (3, 3))
        self.assertEqual(self.ping(other, INTERNET), (3, 3))
        down = self.lab.intranet.run("ping", "-c", "3", "-i", "0.2", FIXED).stdout
        self.assertEqual(theme.ping_counts(down), (3, 3))
        second.hang_up()
        self.server.wait_sessions(1)
        # Nobody's now: it follows the default route, to a gateway that sends it back.
        self.assertEqual(self.ping(self.guest, FIXED)[1], 0)
        first.hang_up()

    def test_rules_of_a_killed_server_go_at_the_next_start_and_all_at_the_end(self):
        def rules():
            return [line for line in self.lab.pns.ip("-N", "rule", "show").splitlines()
                    if "proto 172" in line]
        wanted = 9 if self.lab.ports == "tap" else 3
        self.assertEqual(len(rules()), wanted)
        planes = [self.server.pid_of(plane) for plane in ("control", "dataplane")]
        self.server.process.kill()
        self.server.process.wait(10)
        pnslab.wait_until(lambda: all(map(is_over, planes)), 10, "the planes have gone with it")
        self.assertEqual(len(rules()), wanted)
        server = self.lab.start_server(self.users, self.changes, "successor")
        self.assertEqual(len(rules()), wanted)
        self.assertEqual(server.stop()[0], 0)
        self.assertEqual(rules(), [])


if __name__ == "__main__":
    theme.main(Routing)
