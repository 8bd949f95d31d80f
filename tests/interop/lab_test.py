#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The lab itself, without a server: what the other tests stand on. A failure here is the lab's."""
import os
import pathlib
import signal
import subprocess
import sys
import unittest

import pnslab
import theme
from pnslab import host, lab


def namespaces():
    return host.run(["ip", "netns", "list"]).stdout


class TheLab(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            host.require()
        except pnslab.Missing as missing:
            raise unittest.SkipTest(str(missing)) from None

    def test_guests_reach_the_server_and_each_other_and_nothing_is_left(self):
        before = host.huge_pages()
        with pnslab.Lab(theme.OPTIONS.ports) as one, pnslab.Lab("tap") as other:
            self.assertNotEqual(one.id, other.id)
            first, second = one.start_guest(2), one.start_guest()
            for guest in (first, second):
                guest.wait_boot()
            first.run("test -c /dev/ppp")
            self.assertEqual(theme.ping_counts(first.run(f"ping -c 2 {second.addresses[0]}")), (2, 2))
            if one.ports == "xdp":
                self.assertEqual(theme.ping_counts(first.run(f"ping -c 2 {lab.ACCESS}")), (2, 2))
                output = one.intranet.run("ping", "-c", "2", lab.CORE).stdout
                self.assertEqual(theme.ping_counts(output), (2, 2))
            status, output = first.start("echo out; echo err >&2; exit 3").wait()
            self.assertEqual((status, output), (3, "out\nerr\n"))
            session = first.dial("alice", "x")  # nobody listens there
            self.assertEqual(session.wait_end(), 16)  # pppd: its modem, pptp, hung up
            with self.assertRaises(pnslab.LabError) as failed:
                session.wait_up()
            self.assertIn("pppd ended with 16", str(failed.exception))
        for gone in (one, other):
            self.assertNotIn(gone.id, namespaces())
            self.assertFalse(gone.directory.exists())
        self.assertEqual(host.huge_pages(), before)

    def test_the_guests_cannot_write_to_this_machine(self):
        with pnslab.Lab("tap") as one:
            guest = one.start_guest().wait_boot()
            status, _ = guest.start("touch /etc/pns-lab-was-here").wait()
            self.assertNotEqual(status, 0)

    def test_what_a_killed_lab_leaves_is_removed_by_the_next(self):
        script = ("import pnslab, time\n"
                  "lab = pnslab.Lab('tap'); lab.start_guest().wait_boot()\n"
                  "print(lab.id, flush=True); time.sleep(600)")
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True,
                                   cwd=pathlib.Path(__file__).parent)
        lab_id = process.stdout.readline().strip()
        self.assertIn(f"pns-{lab_id}-inet", namespaces())
        os.kill(process.pid, signal.SIGKILL)
        process.wait(5)
        process.stdout.close()
        self.assertIn(lab_id, pnslab.clean_dead_labs())
        self.assertNotIn(lab_id, namespaces())

    def test_the_configuration_takes_changes_by_top_level_key(self):
        with pnslab.Lab("tap") as one:
            text = one.config({"ppp": "ppp: {mtu: 1300}\n", "log": "log: {level: debug}\n"})
        self.assertIn('device: "tap:wire0"', text)
        self.assertNotIn("xdp:", text)
        self.assertEqual(text.count("\nppp:"), 1)
        self.assertIn("ppp: {mtu: 1300}\n", text)
        self.assertIn("log: {level: debug}\n", text)
        self.assertIn("pools:", text)


if __name__ == "__main__":
    theme.main(TheLab)
