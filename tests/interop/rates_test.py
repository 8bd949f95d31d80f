#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""TCP of a real client through an account of 10 Mbit/s, each way (docs/rates-and-filters.md): packets over the rate
are dropped, or delayed."""
import concurrent.futures
import json

import pnslab
import theme
from theme import HOST

SECONDS = 15
LOWEST, HIGHEST = 9.3e6, 10.2e6  # bit/s of TCP's octets; the IP and TCP headers are another 4 %
LOWEST_POLICED = 7e6  # TCP backs off at each drop, and more so on a busy machine


class Rates(theme.Theme):
    users = {"alice": "{password: wonderland, rate: 10mbit}"}
    lowest = LOWEST_POLICED

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
        self.assertGreaterEqual(speed, self.lowest)
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
    lowest = LOWEST

    def held_back(self):
        return self.metric("pns_shaped_packets_total") or 0

    def test_tcp_upstream_is_delayed_to_the_rate_of_its_account(self):
        self.serve_iperf()
        self.flow()
        self.assertEqual(self.dropped("rate_limited"), 0)

    def test_tcp_downstream_is_delayed_to_the_rate_of_its_account(self):
        self.flow("-R")
        self.assertEqual(self.dropped("rate_limited"), 0)


class GroupRates(theme.Theme):
    """Two accounts without rates of their own share 10 Mbit/s."""
    guests = 2
    users = {"alice": "{password: wonderland, rate_group: village}",
             "bob": "{password: builder, rate_group: village}"}
    changes = {"rates": "rates: {up: {mode: shape}, down: {mode: shape}}\n",
               "rate_groups": "rate_groups: {village: {up: 10mbit, down: 10mbit}}\n"}

    def flow(self, guest, port):
        report = json.loads(guest.run(f"iperf3 -c {HOST} -p {port} -t {SECONDS} -J", timeout=SECONDS + 30))
        self.assertNotIn("error", report)
        return report["end"]["sum_received"]["bits_per_second"]

    def test_two_accounts_of_a_group_share_its_rate(self):
        ports = (5201, 5202)
        for port in ports:
            self.lab.start_in(self.lab.intranet, "iperf3", "-s", "-B", HOST, "-p", str(port),
                              stdout=-3, stderr=-3)  # subprocess.DEVNULL
            pnslab.wait_until(lambda: f":{port}" in self.lab.intranet.run("ss", "-Hltn").stdout, 10,
                              f"iperf3 listens on {port}")
        sessions = [guest.dial(user, password).wait_up() for guest, user, password in
                    zip(self.lab.guests, ("alice", "bob"), ("wonderland", "builder"))]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            speeds = list(pool.map(self.flow, self.lab.guests, ports))
        print(f"group: {' and '.join(f'{speed / 1e6:.2f}' for speed in speeds)} Mbit/s, ports {self.lab.ports}, "
              f"CPU {pnslab.host.cpu()}, machine {self.lab.load.since()}", flush=True)
        self.assertGreaterEqual(sum(speeds), LOWEST)
        self.assertLessEqual(sum(speeds), HIGHEST)
        self.assertGreater(min(speeds), 1e6)
        for session in sessions:
            session.hang_up()
        self.server.wait_sessions(0)


if __name__ == "__main__":
    theme.main(Rates, ShapedRates, GroupRates)
