#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""TCP for ten seconds each way. Speeds are printed and never asserted: docs/lab.md has some."""
import json
import re

import pnslab
import theme
from theme import HOST

SECONDS = 10


class Traffic(theme.Theme):
    def flow(self, direction):
        report = json.loads(self.guest.run(f"iperf3 -c {HOST} -t {SECONDS} -i 1 -J {direction}",
                                           timeout=SECONDS + 30))
        self.assertNotIn("error", report)
        # The octets that arrived, second by second; the receiver's side is the guest's only with -R.
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


class KernelMode(theme.Theme):
    """The client's kernel carries GRE, PPP and MPPE (guest/kernel_pptp.c)."""
    changes = {"ppp": """ppp:
  auth: [mschapv2]
  mppe: {policy: prefer, key_bits: [128], mode: any}
"""}

    def test_the_client_hangs_up(self):
        session = self.connect(kernel_mode=True)
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        # Call-Clear-Request and Stop-Control-Connection-Request come from the client's own process,
        # which is polite also when pppd is not.
        self.guest.run(f"kill -KILL $(cat /tmp/pppd.{session.number}.pid)")
        self.server.wait_sessions(0)
        pnslab.wait_until(lambda: not self.server.show("connections"), 5, "no connection is left")
        log = self.server.log_tail()
        self.assertIn("reason=peer_cleared_call", log)
        self.assertIn("reason=peer_stopped_connection", log)
        session = self.connect(kernel_mode=True)
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)

    def test_the_server_hangs_up(self):
        session = self.connect(kernel_mode=True)
        self.server.clear("alice")
        self.assertEqual(session.wait_end(), 16)  # "the link was terminated by the modem hanging up"
        self.server.wait_sessions(0)

    def test_tcp_both_ways_encrypted_and_in_the_clear(self):
        self.serve_iperf()
        for mppe, security in (("mppe128-stateless", None), ("none", theme.CLEAR)):
            session = self.connect(kernel_mode=True, security=security)
            self.assertEqual(self.find(session)["mppe"], mppe)
            for name, direction in (("up", ""), ("down", "-R")):
                report = json.loads(self.guest.run(
                    f"iperf3 -c {HOST} -t {SECONDS} -J {direction}", timeout=SECONDS + 30))
                self.assertNotIn("error", report)
                arrived = report["end"]["sum_received"]
                self.assertGreater(arrived["bytes"], 1 << 20)
                print(f"kernel mode, {mppe}, {name}: {arrived['bits_per_second'] / 1e6:.0f} Mbit/s of "
                      f"TCP, {report['end']['sum_sent'].get('retransmits')} retransmissions, ports "
                      f"{self.lab.ports}, CPU {pnslab.host.cpu()}", flush=True)
            session.hang_up()

    def test_the_server_is_gone(self):
        if self.lab.ports == "tap":
            self.skipTest("a TAP port goes with its process: the client cannot see that TCP is closed")
        session = self.connect(kernel_mode=True)
        self.server.kill("supervisor")  # and its planes with it: TCP closes, and no more is said
        self.assertEqual(session.wait_end(), 16)


class Fragments(theme.Theme):
    """An inner MTU that makes outer packets longer than the path takes: both ends fragment them
    (RFC 2637 §1.4), which is slow but arrives."""
    changes = {"ppp": "ppp: {mtu: 1500}\n"}

    def test_outer_fragments_are_put_together_and_sent(self):
        session = self.connect(options=("mtu", "1500", "mru", "1500"))
        self.assertEqual(self.find(session)["mtu"], 1496)
        exact = f"-s {1496 - 28}"
        self.assertEqual(self.ping(self.guest, HOST, "-M do", exact), (3, 3))
        down = self.lab.intranet.run("ping", "-M", "do", "-c", "3", "-i", "0.2", *exact.split(),
                                     session.address).stdout
        self.assertEqual(theme.ping_counts(down), (3, 3))
        drops = re.findall(r'pns_dataplane_drops_total\{[^}]*reason="outer_fragment"[^}]*\} (\d+)',
                           self.server.metrics())
        self.assertEqual(set(drops), {"0"})
        self.assertGreaterEqual(self.metric("pns_outer_reassembled_packets_total"), 6)
        shown = self.find(session)
        self.assertEqual((shown["rx_drops"], shown["tx_drops"]), (0, 0))
        session.hang_up()


class Window(theme.Theme):
    """The client's window is minded (RFC 2637 §4.2, §4.4): it acknowledges, so nothing is held up."""
    changes = {"pptp": "pptp: {gre: {send_window: adaptive}}\n"}

    def test_a_client_that_acknowledges_gets_everything(self):
        session = self.connect()
        self.assertEqual(self.ping(self.guest, HOST, "-i 0.002", "-s 1000", count=1000),
                         (1000, 1000))
        output = self.lab.intranet.run("ping", "-c", "500", "-i", "0.002", "-s", "1000",
                                       session.address, timeout=60).stdout
        self.assertEqual(theme.ping_counts(output), (500, 500))
        self.assertEqual(self.find(session)["tx_drops"], 0)
        session.hang_up()


if __name__ == "__main__":
    theme.main(Traffic, KernelMode, Fragments, Window)
