#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""One Linux client: its life from dialling to hanging up, and the server's end."""
import re
import subprocess

import pnslab
import theme
from theme import HOST

GUEST = "198.51.100.11"
MTU = 1396  # ppp.mtu 1400 less 4 for MPPE


class Session(theme.Theme):
    def test_connects_with_mschapv2_and_mppe_128_and_pings_both_ends(self):
        session = self.connect()
        self.assertEqual(session.gateway, "10.64.0.1")
        self.assertEqual(self.ping(self.guest, session.gateway), (3, 3))
        self.assertEqual(self.ping(self.guest, HOST), (3, 3))
        output = self.lab.intranet.run("ping", "-c", "3", "-i", "0.2", session.address).stdout
        self.assertEqual(theme.ping_counts(output), (3, 3))
        log = session.log()
        self.assertIn("CHAP authentication succeeded", log)
        self.assertIn("MPPE 128-bit stateless compression enabled", log)

        shown = self.find(session)
        self.assertEqual(shown["user"], "alice")
        self.assertEqual(shown["peer"], GUEST)
        self.assertEqual(shown["state"], "open")
        self.assertEqual(shown["auth"], "mschapv2")
        self.assertIn("128", str(shown["mppe"]))
        self.assertGreaterEqual(shown["rx_packets"], 9)  # 6 echo requests and 3 replies
        self.assertGreaterEqual(shown["tx_packets"], 9)
        for field in ("our_call_id", "peer_call_id", "worker", "uptime_s", "rx_bytes", "tx_bytes"):
            self.assertIn(field, shown)
        self.assertIn("alice", self.server.show_text("sessions"))
        self.assertIn("alice", self.server.show_text("session", "alice"))
        self.assertEqual(session.hang_up(), 5)

    def test_carries_tcp_both_ways_and_changes_no_octet(self):
        session = self.connect()
        self.assert_tcp(2 << 20)
        session.hang_up()

    def test_refuses_a_wrong_password_and_keeps_no_session(self):
        session = self.guest.dial("alice", "not the password")
        self.assertEqual(session.wait_end(), 19)  # pppd: we failed to authenticate ourselves
        self.assertIn("authentication failed", session.log())
        self.server.wait_sessions(0)

    def test_refuses_an_unknown_user_in_the_same_way(self):
        session = self.guest.dial("nobody", "wonderland")
        self.assertEqual(session.wait_end(), 19)
        self.server.wait_sessions(0)

    def test_carries_packets_up_to_the_mtu_and_none_over_it(self):
        session = self.connect()
        link = self.guest.run(f"cat /sys/class/net/{session.interface}/mtu").strip()
        self.assertEqual(int(link), MTU)
        exact, over = MTU - 28, MTU - 27  # less IP and ICMP headers
        self.assertEqual(self.ping(self.guest, HOST, "-M do", f"-s {exact}"), (3, 3))
        self.assertEqual(self.ping(self.guest, HOST, "-M do", f"-s {over}", "-W 1")[1], 0)

        # Downstream the server says so: ICMP type 3 code 4 with the MTU (RFC 1191).
        down = self.lab.intranet.run("ping", "-M", "do", "-c", "3", "-i", "0.2", "-s", str(exact),
                                     session.address)
        self.assertEqual(theme.ping_counts(down.stdout), (3, 3))
        down = self.lab.intranet.run("ping", "-M", "do", "-c", "2", "-W", "1", "-s", str(over),
                                     session.address, check=False)
        self.assertEqual(theme.ping_counts(down.stdout)[1], 0)
        self.assertRegex(down.stdout, rf"mtu ?= ?{MTU}")
        session.hang_up()

    def test_hanging_up_frees_session_connection_and_address(self):
        before = self.server.show("pools")
        session = self.connect()
        self.assertNotEqual(self.server.show("pools"), before)
        self.assertEqual(len(self.server.show("connections")), 1)
        self.assertEqual(session.hang_up(), 5)  # pppd: ended by a signal, politely
        self.server.wait_sessions(0)
        pnslab.wait_until(lambda: self.server.show("pools") == before, 5, "the address is free")
        pnslab.wait_until(lambda: not self.server.show("connections"), 5, "no control connection")

    def test_an_operator_clears_a_call(self):
        session = self.connect()
        self.assertIn("cleared", self.server.clear("alice"))
        session.wait_end()
        self.server.wait_sessions(0)

    def test_a_capture_holds_no_malformed_packet(self):
        capture = self.lab.directory / "session.pcap"
        with open(self.lab.directory / "tcpdump.log", "w+", encoding="utf-8") as log:
            process = self.lab.start_in(self.lab.inet, "tcpdump", "-i", "br0", "-U", "-w",
                                        str(capture), stdout=subprocess.DEVNULL, stderr=log)
            pnslab.wait_until(lambda: "listening on" in (self.lab.directory / "tcpdump.log")
                              .read_text(), 10, "tcpdump listens")
        session = self.connect()
        self.assertEqual(self.ping(self.guest, HOST, count=5), (5, 5))
        session.hang_up()
        self.server.wait_sessions(0)
        process.terminate()
        process.wait(5)

        def count(display_filter):
            done = subprocess.run(["tshark", "-r", str(capture), "-Y", display_filter],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  timeout=60, check=True)
            return done.stdout.splitlines()
        ours = "ip.src == 198.51.100.1"
        self.assertGreaterEqual(len(count(f"{ours} && pptp")), 2)
        self.assertGreaterEqual(len(count(f"{ours} && gre")), 10)
        self.assertEqual(count("_ws.malformed"), [])

    def test_metrics_are_what_prometheus_takes(self):
        text = self.server.metrics()
        self.assertRegex(text, re.compile(r"^pns_", re.MULTILINE))
        done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        # Told once a second: all buffers, and those that wait in rings for packets.
        buffers = {name: int(count) for name, count in
                   re.findall(r"^(pns_packet_buffers\w*) (\d+)$", text, re.MULTILINE)}
        self.assertLess(buffers["pns_packet_buffers_in_use"], buffers["pns_packet_buffers"])
        self.assertGreater(buffers["pns_packet_buffers"], 0)

    def test_sigterm_tells_the_peer_and_ends_with_0(self):
        session = self.connect()
        status, seconds = self.server.stop()
        self.assertEqual(status, 0)
        self.assertLess(seconds, 8)
        session.wait_end(10)
        self.assertRegex(session.log(), "LCP terminated by peer|rcvd .LCP TermReq")
        self.assertEqual(self.server.lines, ["ready"])  # and nothing else, ever
        left = sorted(path.name for path in self.server.run_dir.iterdir()
                      if path.suffix in (".pid", ".sock"))
        self.assertEqual(left, [])


if __name__ == "__main__":
    theme.main(Session)
