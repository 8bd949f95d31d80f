#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Link aggregation: the access port is a bond of two TAPs, which are links of a switch (lag_switch.py). A link that
fails loses at most the packets of 200 ms."""
import json
import pathlib
import re
import subprocess

import pnslab
import theme
from pnslab import lab
from theme import HOST

MEMBERS = ("lag0", "lag1")
RATE = 100  # pings a second
LOST = RATE // 5
SWITCH = pathlib.Path(__file__).with_name("lag_switch.py")


def ports(mode):
    members = ", ".join(f'"net_tap{number},iface={name}"' for number, name in enumerate(MEMBERS))
    return f"""ports:
  access: {{device: "bond:{mode}", members: [{members}], addresses: [{lab.ACCESS}/24]}}
  core: {{device: "net_af_packet1,iface=core0", addresses: [{lab.CORE}/24]}}
"""


class Lag(theme.Theme):
    mode = None
    switch_options = ()
    log_before = ""

    @classmethod
    def setUpClass(cls):
        cls.changes = {"ports": ports(cls.mode)}
        super().setUpClass()
        try:
            for number, name in enumerate(MEMBERS):
                # The bond gave its own address to its members. A frame to it must not be the kernel's.
                cls.lab.pns.ip("link", "set", name, "address", f"02:bb:00:00:00:{number:02x}")
            cls.carrying = cls.lab.directory / "carrying"
            switch = cls.lab.start_in(cls.lab.pns, "python3", "-B", str(SWITCH), *cls.switch_options, "--carrying",
                                      str(cls.carrying), "access0", *MEMBERS, stdout=subprocess.PIPE)
            if switch.stdout.readline() != b"ready\n":
                raise pnslab.LabError("the switch is not ready")
        except BaseException:
            cls.lab.close()
            raise

    def received(self, member):
        """Octets that the server sent over this link."""
        shown = json.loads(self.lab.pns.run("ip", "-json", "-statistics", "link", "show", member).stdout)
        return shown[0]["stats64"]["rx"]["bytes"]

    def carrier(self):
        shown = json.loads(self.lab.pns.run("ip", "-json", "link", "show", "pns-access").stdout)
        return "LOWER_UP" in shown[0]["flags"]

    def wait_ping(self):
        pnslab.wait_until(lambda: self.ping(self.guest, lab.ACCESS, count=1) == (1, 1), 30, "the access port answers")

    def wait_all_carry(self):
        """A member whose link came back takes part again after several LACPDUs and DPDK's wait of 2 s."""
        pnslab.wait_until(lambda: self.carrying.read_text().split() == list(MEMBERS), 30, "every member carries")

    def set_link(self, member, state):
        self.lab.pns.ip("link", "set", member, state)

    def wait_member(self, member, state):
        """Until the log has told this once more than it had before."""
        wanted = re.compile(f'"port member link" port=access member=net_tap{MEMBERS.index(member)} state={state}')
        before = len(wanted.findall(self.log_before))
        pnslab.wait_until(lambda: len(wanted.findall(self.server.log_tail(2000))) > before, 5,
                          f"{member} is told {state}")

    def test_a_link_that_fails_loses_at_most_200_ms(self):
        self.wait_ping()
        session = self.connect()
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        self.assert_tcp(1 << 20)
        for _ in MEMBERS:  # the active one of active-backup changes; a flow of 802.3ad comes back
            self.wait_all_carry()
            self.log_before = self.server.log_tail(2000)
            before = {member: self.received(member) for member in MEMBERS}
            job = self.guest.start(f"ping -i {1 / RATE} -c {6 * RATE} {HOST} || true", 60)
            carrying = pnslab.wait_until(
                lambda: next((member for member in MEMBERS if self.received(member) - before[member] > 20_000), None),
                20, "a member carries the pings")
            self.set_link(carrying, "down")
            _, output = job.wait(60)
            sent, received = theme.ping_counts(output)
            print(f"{self.mode}: {carrying} failed, {sent - received} of {sent} pings lost", flush=True)
            self.assertEqual(sent, 6 * RATE)
            self.assertLessEqual(sent - received, LOST)
            self.assertTrue(self.carrier())
            self.wait_member(carrying, "down")
            self.log_before = self.server.log_tail(2000)
            self.set_link(carrying, "up")
            self.wait_member(carrying, "up")
        self.assertIsNotNone(self.find(session))
        self.assertEqual(session.hang_up(), 5)

    def test_the_twin_has_a_carrier_while_one_member_has(self):
        for member in MEMBERS:
            self.set_link(member, "down")
        pnslab.wait_until(lambda: not self.carrier(), 5, "no member has a link, and the twin no carrier")
        self.set_link(MEMBERS[1], "up")
        pnslab.wait_until(self.carrier, 10, "one member is enough")
        self.wait_ping()
        self.set_link(MEMBERS[0], "up")


class ActiveBackup(Lag):
    mode = "active-backup"


class Lacp(Lag):
    mode = "802.3ad"
    switch_options = ("--lacp",)


if __name__ == "__main__":
    for each in (ActiveBackup, Lacp):
        for case in vars(Lag):
            if case.startswith("test_"):
                setattr(each, case, getattr(Lag, case))
    theme.main(ActiveBackup, Lacp)
