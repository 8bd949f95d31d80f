#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Ports that live: link state, MTU and receive queues of devices that the kernel shares."""
import json
import re

import pnslab
import theme
from pnslab import lab
from theme import HOST

CORE_MTU = 1300


class Link(theme.Theme):
    """net_af_packet: a device with a link and an MTU of its own, and a twin."""

    @classmethod
    def before_start(cls):
        cls.lab.pns.ip("link", "set", "core0", "mtu", str(CORE_MTU))

    def twin(self, name):
        return json.loads(self.lab.pns.run("ip", "-json", "link", "show", name).stdout)[0]

    def carrier_is(self, name, up):
        return ("LOWER_UP" in self.twin(name)["flags"]) == up

    def test_the_twin_follows_the_link_of_its_port(self):
        session = self.connect()
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        self.assertRegex(self.server.metrics(), r'pns_port_link_up\{port="core"\} 1')
        self.lab.intranet.ip("link", "set", "core1", "down")
        pnslab.wait_until(lambda: self.carrier_is("pns-core", False), 5, "the twin lost its carrier")
        self.assertTrue(self.carrier_is("pns-access", True))
        self.assertRegex(self.server.metrics(), r'pns_port_link_up\{port="core"\} 0')
        self.assertRegex(self.server.metrics(), r'pns_port_link_up\{port="access"\} 1')
        self.assertIn("port link", self.server.log_tail(200))
        self.lab.intranet.ip("link", "set", "core1", "up")
        self.lab.intranet.ip("route", "replace", lab.POOL, "via", lab.CORE)
        pnslab.wait_until(lambda: self.carrier_is("pns-core", True), 5, "the twin has its carrier")
        pnslab.wait_until(lambda: self.ping(self.guest, HOST, count=1) == (1, 1), 10, "a ping passes")
        session.hang_up()

    def test_the_link_is_told_anew_after_a_restart(self):
        self.lab.intranet.ip("link", "set", "core1", "down")
        pnslab.wait_until(lambda: self.carrier_is("pns-core", False), 5, "the twin lost its carrier")
        self.server.restart("dataplane")
        pnslab.wait_until(lambda: self.carrier_is("pns-core", False), 5, "the twin lost its carrier")
        self.lab.intranet.ip("link", "set", "core1", "up")
        self.lab.intranet.ip("route", "replace", lab.POOL, "via", lab.CORE)
        pnslab.wait_until(lambda: self.carrier_is("pns-core", True), 5, "the twin has its carrier")

    def test_the_mtu_of_a_shared_interface_is_the_kernels(self):
        self.assertEqual(self.twin("pns-core")["mtu"], CORE_MTU)
        self.assertEqual(self.twin("pns-access")["mtu"], 1500)
        session = self.connect()
        exact = CORE_MTU - 28
        self.assertEqual(self.ping(self.guest, HOST, "-M do", f"-s {exact}"), (3, 3))
        refused = self.guest.run(f"ping -M do -s {exact + 1} -c 2 -i 0.2 -W 1 {HOST} || true")
        self.assertTrue(re.search(rf"mtu ?= ?{CORE_MTU}", refused), refused)
        session.hang_up()


if __name__ == "__main__":
    theme.main(Link)
