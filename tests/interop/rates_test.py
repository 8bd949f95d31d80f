#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""TCP of a real client through an account of 10 Mbit/s, each way (docs/rates-and-filters.md)."""
import json

import pnslab
import theme
from theme import HOST

SECONDS = 15
# bit/s of TCP's octets. Policing drops what is over the rate, and TCP backs off: docs/rates-and-filters.md has figures.
LOWEST, HIGHEST = 3e6, 10.2e6


class Rates(theme.Theme):
    users = {"alice": "{password: wonderland, rate: 10mbit}"}

    def flow(self, *options):
        session = self.guest.dial("alice", "wonderland").wait_up()
        limited = self.dropped("rate_limited")
        report = json.loads(self.guest.run(f"iperf3 -c {HOST} -t {SECONDS} -J {' '.join(options)}",
                                           timeout=SECONDS + 30))
        self.assertNotIn("error", report)
        speed = report["end"]["sum_received"]["bits_per_second"]
        print(f"{' '.join(options) or 'up'}: {speed / 1e6:.2f} Mbit/s, "
              f"{report['end']['sum_sent'].get('retransmits')} retransmissions, ports {self.lab.ports}, "
              f"CPU {pnslab.host.cpu()}, machine {self.lab.load.since()}", flush=True)
        self.assertGreater(self.dropped("rate_limited"), limited)
        self.assertGreaterEqual(speed, LOWEST)
        self.assertLessEqual(speed, HIGHEST)
        session.hang_up()
        self.server.wait_sessions(0)

    def test_tcp_upstream_has_the_rate_of_its_account(self):
        self.serve_iperf()
        self.flow()

    def test_tcp_downstream_has_the_rate_of_its_account(self):
        self.flow("-R")


if __name__ == "__main__":
    theme.main(Rates)
