#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Linux clients and MPPE: every strength and mode that they speak, and the policy's floor."""
import theme
from theme import HOST

PPP = """ppp:
  auth: [mschapv2]
  mppe: {{policy: {policy}, key_bits: {bits}, mode: {mode}}}
"""


def ppp(policy, bits, mode):
    return {"ppp": PPP.format(policy=policy, bits=bits, mode=mode)}


class Encrypted(theme.Theme):
    """Pings, then a series that is long enough for key changes of stateful encryption."""

    def carry(self, expected, *options):
        session = self.connect(options=options)
        self.assertEqual(self.find(session)["mppe"], expected)
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        self.assertEqual(self.ping(self.guest, HOST, "-i 0.002", "-s 1000", count=600),
                         (600, 600))
        session.hang_up()
        self.server.wait_sessions(0)
        return session.log()


class Preferred(Encrypted):
    changes = ppp("prefer", "[128, 40]", "any")

    def test_128_stateless_is_what_is_asked_for(self):
        log = self.carry("mppe128-stateless")
        self.assertIn("MPPE 128-bit stateless compression enabled", log)

    def test_40_stateless_for_a_client_that_has_no_more(self):
        log = self.carry("mppe40-stateless", "require-mppe-40", "nomppe-128")
        self.assertIn("MPPE 40-bit stateless compression enabled", log)

    def test_none_for_a_client_without(self):
        self.carry("none", "nomppe")


class Stateful(Encrypted):
    changes = ppp("require", "[128, 40]", "stateful")

    def test_128_stateful(self):
        log = self.carry("mppe128-stateful", "mppe-stateful")
        self.assertIn("MPPE 128-bit stateful compression enabled", log)

    def test_40_stateful(self):
        log = self.carry("mppe40-stateful", "mppe-stateful", "require-mppe-40", "nomppe-128")
        self.assertIn("MPPE 40-bit stateful compression enabled", log)

    def test_lost_packets_are_recovered_from_both_ways(self):
        session = self.connect(options=("mppe-stateful",))
        # Each loss costs a Reset-Request and what was on its way meanwhile, never the session.
        self.lab.lose_gre(20)
        self.addCleanup(self.lab.lose_gre, 0)
        sent, received = self.ping(self.guest, HOST, "-i 0.02", count=400)
        self.lab.lose_gre(0)
        self.assertLess(received, sent)
        self.assertGreater(received, sent // 4)
        # That the last ones were lost shows with the next packet, which is lost by it: one each way.
        self.ping(self.guest, HOST, count=2)
        self.assertEqual(self.ping(self.guest, HOST, count=5), (5, 5))
        session.hang_up()

    def test_a_client_that_will_not_is_refused(self):
        session = self.guest.dial("alice", "wonderland")  # stateless only
        self.assertNotEqual(session.wait_end(), 0)
        self.server.wait_sessions(0)


class Floor(Encrypted):
    changes = ppp("require", "[128]", "stateless")

    def test_a_client_with_40_bits_only_is_refused(self):
        session = self.guest.dial("alice", "wonderland",
                                  options=("require-mppe-40", "nomppe-128"))
        self.assertNotEqual(session.wait_end(), 0)
        self.server.wait_sessions(0)

    def test_a_client_without_mppe_is_refused(self):
        session = self.guest.dial("alice", "wonderland", options=("nomppe",))
        self.assertNotEqual(session.wait_end(), 0)
        self.server.wait_sessions(0)


if __name__ == "__main__":
    theme.main(Preferred, Stateful, Floor)
