#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Floods of frames that no session has, beside a client that works; addresses that no host has."""
import subprocess
import sys

import theme
from theme import HOST, SERVER

ABSENT = "10.0.0.99"  # of the intranet's link; no host has it
UNUSED = "10.64.0.200"  # of the pool; no client has it
STRANGER = "198.51.100.77"  # on the bridge before the access port
SECONDS = 12  # longer than the kernel waits before it gives a silent neighbour up
# Datagrams of 20 octets to a port of the server that no program has.
FLOOD = f"""
import socket, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.connect(("{SERVER}", 9))
end = time.monotonic() + {SECONDS}
sent = 0
while time.monotonic() < end:
    for _ in range(200):
        try:
            sent += out.send(bytes(20)) > 0
        except OSError:
            pass
print(sent)
"""


class Flood(theme.Theme):
    @classmethod
    def before_start(cls):
        cls.lab.inet.ip("address", "add", f"{STRANGER}/24", "dev", "br0")

    def drops(self):
        found = {}
        for worker in self.server.show("workers"):
            for reason, count in worker["drops"].items():
                found[reason] = found.get(reason, 0) + count
        return found

    def classes(self):
        return {row["class"]: row for row in self.server.show("stats")["punt_classes"]}

    def test_a_host_that_does_not_answer_is_reported_to_the_client(self):
        session = self.connect()
        output = self.guest.run(f"ping -c 2 -W 6 {ABSENT} || true", timeout=40)
        self.assertIn("Host Unreachable", output)
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        session.hang_up()

    def test_a_pool_address_without_a_client_ends_here_without_an_answer(self):
        before = self.classes()["icmp"]["passed"]
        done = self.lab.intranet.run("ping", "-c", "20", "-i", "0.05", "-W", "1", UNUSED, check=False)
        self.assertEqual(theme.ping_counts(done.stdout), (20, 0))
        self.assertNotIn("nreachable", done.stdout)
        self.assertEqual(self.drops().get("pool_address_unused"), 20)
        self.assertEqual(self.classes()["icmp"]["passed"], before)

    def test_a_client_works_and_another_dials_while_junk_comes_in(self):
        session = self.connect()
        flood = self.lab.start_in(self.lab.inet, sys.executable, "-c", FLOOD,
                                  stdout=subprocess.PIPE, text=True)
        # Both neighbours must be found anew while it lasts.
        count = (SECONDS - 3) * 5
        sent, received = self.ping(self.guest, HOST, "-i 0.2", count=count)
        self.assertEqual(sent, count)
        self.assertGreaterEqual(received, count - 2)
        session.hang_up()
        self.server.wait_sessions(0)
        again = self.connect()
        output, _ = flood.communicate(timeout=SECONDS + 30)
        self.assertGreater(int(output), 100_000)
        self.assertGreater(self.classes()["other"]["policed"], 0)
        self.assertEqual(self.classes()["neighbour"]["policed"], 0)
        self.assertEqual(self.classes()["control"]["policed"], 0)
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        again.hang_up()


if __name__ == "__main__":
    theme.main(Flood)
