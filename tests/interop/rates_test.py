#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""TCP of a real client through an account of 10 Mbit/s, each way (docs/rates-and-filters.md): packets over the rate
are dropped, or delayed."""
import json

import pnslab
import theme
from theme import HOST

SECONDS = 15
LOWEST, HIGHEST = 9.3e6, 10.2e6  # bit/s of TCP's octets, of which the IP and TCP headers are another 4 %


class Rates(theme.Theme):
    users = {"alice": "{password: wonderland, rate: 10mbit}"}

    def held_back(self):
        """Packets that were over the rate so far."""
        return self.dropped("rate_limited")

    def flow(self, *options):
        session = self.guest.dial("alice", "wonderland").wait_up()
        before = self.held_back()
        report = json.loads(self.guest.run(f"iperf3 -c {HOST} -t {SECONDS} -J {' '.join(options)}",
                                           timeout=SECONDS + 30))
        self.assertNotIn("error", report)
        speed = report["end"]["sum_received"]["bits_per_second"]
        print(f"{type(self).__name__} {' '.join(options) or 'up'}: {speed / 1e6:.2f} Mbit/s, "
              f"{report['end']['sum_sent'].get('retransmits')} retransmissions, ports {self.lab.ports}, "
              f"CPU {pnslab.host.cpu()}, machine {self.lab.load.since()}", flush=True)
        self.assertGreater(self.held_back(), before)
        self.assertGreaterEqual(speed, LOWEST)
        self.assertLessEqual(speed, HIGHEST)
        session.hang_up()
        self.server.wait_sessions(0)

    def test_tcp_upstream_has_the_rate_of_its_account(self):
        self.serve_iperf()
        self.flow()

    def test_tcp_downstream_has_the_rate_of_its_account(self):
        self.flow("-R")


class ShapedRates(Rates):
    changes = {"rates": "rates: {up: {mode: shape}, down: {mode: shape}}\n"}

    def held_back(self):
        return self.metric("pns_shaped_packets_total") or 0

    def test_tcp_upstream_is_delayed_to_the_rate_of_its_account(self):
        self.serve_iperf()
        self.flow()
        self.assertEqual(self.dropped("rate_limited"), 0)

    def test_tcp_downstream_is_delayed_to_the_rate_of_its_account(self):
        self.flow("-R")
        self.assertEqual(self.dropped("rate_limited"), 0)


if __name__ == "__main__":
    theme.main(Rates, ShapedRates)
