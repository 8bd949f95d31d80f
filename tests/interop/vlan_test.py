#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""One device for both ports.
OneLink: without tags. Clients, their servers and the core are one Ethernet.
Tagged: the access port has VLAN 10 of a trunk, the core port VLAN 20 inside of VLAN 100 (802.1ad)."""
import pathlib
import sys

import pnslab
import theme
from theme import HOST

ACCESS = pnslab.lab.ACCESS
NEIGHBOUR = "198.51.100.250"  # a host of the one link
OCTETS = 1 << 20
TRUNK = pathlib.Path(__file__).with_name("trunk.py")


class OneDevice(theme.Theme):
    users = {"alice": "{password: wonderland, address: 10.64.0.10}"}
    passwords = {"alice": "wonderland"}
    host = None       # that subscribers reach
    namespace = None  # where it is

    def dial(self):
        session = self.guest.dial("alice", "wonderland").wait_up()
        pnslab.wait_until(lambda: self.find(session), 5, f"the server shows {session.address}")
        self.guest.run(f"ip route replace {self.host} dev {session.interface}")
        return session

    def carry(self):
        """Ping and TCP, both ways, and no packet dropped by the way."""
        session = self.dial()
        host = getattr(self.lab, self.namespace)
        self.assertEqual(self.ping(self.guest, self.host), (3, 3))
        down = host.run("ping", "-c", "3", "-i", "0.2", session.address).stdout
        self.assertEqual(theme.ping_counts(down), (3, 3))
        self.assert_tcp(OCTETS, self.host, 90, host)
        return session

    def survive(self, session):
        """The dataplane is killed, and the call goes on."""
        pid = self.server.kill("dataplane")
        pnslab.wait_until(lambda: self.server.pid_of("dataplane") not in (None, pid), 20,
                          "another dataplane")
        pnslab.wait_until(
            lambda: "yes" in self.guest.run(f"ping -c 1 -W 1 {self.host} > /dev/null && echo yes || true"),
            20, "a ping after the dataplane was killed")
        self.assertEqual(self.ask(lambda: self.find(session))["address"], session.address)


class OneLink(OneDevice):
    host = NEIGHBOUR
    namespace = "inet"

    @classmethod
    def before_start(cls):
        lab = cls.lab
        if lab.ports == "tap":
            ports = (f'  access: {{device: "tap:wire0", addresses: [{ACCESS}/24]}}\n'
                     f'  core: {{device: "tap:wire0"}}\n')
        else:
            ports = '  access: {device: "xdp:access0"}\n  core: {device: "xdp:access0"}\n'
        cls.changes = {"ports": "ports:\n" + ports}
        lab.inet.ip("address", "add", f"{NEIGHBOUR}/24", "dev", "br0")
        lab.inet.ip("route", "add", pnslab.lab.POOL, "via", ACCESS)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if cls.lab.ports == "tap":
            cls.lab.inet.ip("link", "set", "wire0", "master", "br0", "up")

    def test_clients_and_the_core_share_an_ethernet(self):
        session = self.carry()
        # The one device counts its losses once, as the access port's.
        self.assertEqual({port["port"] for port in self.server.show("ports")}, {"access"})
        self.survive(session)
        session.hang_up()

    def test_an_address_of_the_pool_without_a_session_is_dropped_once(self):
        session = self.dial()
        before = self.dropped("pool_address_unused")
        self.lab.inet.run("ping", "-c", "3", "-i", "0.2", "-W", "1", "10.64.0.99", check=False)
        pnslab.wait_until(lambda: self.dropped("pool_address_unused") == before + 3, 5,
                          f"3 more than {before}")
        session.hang_up()


class Tagged(OneDevice):
    host = HOST
    namespace = "intranet"

    @classmethod
    def before_start(cls):
        cls.changes = {"ports": f"""ports:
  access: {{device: "tap:wire0", vlan: 10, addresses: [{ACCESS}/24]}}
  core: {{device: "tap:wire0", vlan: [100, 20], addresses: [{pnslab.lab.CORE}/24]}}
"""}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lab = cls.lab
        try:
            lab.inet.ip("link", "set", "wire0", "up")
            for near, far in (("trunk10", "access1"), ("trunk20", "core1")):
                lab.inet.ip("link", "add", "name", near, "type", "veth", "peer", "name", far)
                lab.inet.offloads_off(near)
                lab.inet.offloads_off(far)
                lab.inet.ip("link", "set", near, "up")
            lab.inet.ip("link", "set", "core1", "netns", lab.intranet.name)
            lab._plug("access1", "core1")
            cls.serve(lab.inet, str(TRUNK), "wire0", "10=trunk10", "100.20=trunk20", ready="ready")
        except BaseException:
            lab.close()
            raise

    def test_each_port_is_a_vlan_of_the_trunk(self):
        session = self.carry()
        self.assertEqual(self.dropped("vlan_unknown"), 0)
        self.survive(session)
        session.hang_up()

    def test_frames_of_other_vlans_are_counted(self):
        before = self.dropped("vlan_unknown")
        frame = "02" * 6 + "04" * 6 + "8100" + "001e" + "0800" + "00" * 46
        script = ("import socket, sys; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); "
                  "s.bind(('wire0', 0)); [s.send(bytes.fromhex(sys.argv[1])) for _ in range(5)]")
        self.lab.inet.run(sys.executable, "-c", script, frame)
        pnslab.wait_until(lambda: self.dropped("vlan_unknown") == before + 5, 5,
                          f"5 more than {before}")


if __name__ == "__main__":
    theme.main(*((OneLink, Tagged) if "tap" in sys.argv else (OneLink,)))
