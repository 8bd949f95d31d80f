#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""TCP for ten seconds each way. Says nothing about speed: a guest is too slow for that."""
import json

import theme
from theme import HOST

SECONDS = 10


class Traffic(theme.Theme):
    def flow(self, direction):
        report = json.loads(self.guest.run(f"iperf3 -c {HOST} -t {SECONDS} -i 1 -J {direction}",
                                           timeout=SECONDS + 30))
        self.assertNotIn("error", report)
        # What arrived, second by second; the receiver's side is the guest's only with -R.
        moved = [interval["sum"]["bytes"] for interval in report["intervals"]
                 if interval["sum"]["seconds"] > 0.5]
        self.assertGreaterEqual(len(moved), SECONDS - 1)
        self.assertNotIn(0, moved, f"a second without a byte: {moved}")
        self.assertGreater(report["end"]["sum_received"]["bytes"], 1 << 20)

    def test_ten_seconds_of_tcp_upstream_do_not_stall(self):
        self.serve_iperf()
        session = self.connect()
        self.flow("")
        session.hang_up()

    def test_ten_seconds_of_tcp_downstream_do_not_stall(self):
        session = self.connect()
        self.flow("-R")
        shown = self.find(session)
        self.assertEqual(shown["rx_drops"], 0, shown)
        session.hang_up()


if __name__ == "__main__":
    theme.main(Traffic)
