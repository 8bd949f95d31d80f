#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Accounting to a real FreeRADIUS: each call of a Linux client has its records, also when no server answers
for a while and the control process is killed meanwhile."""
import books
import pnslab
import theme
from auth_test import MPPE_128
from theme import HOST

PPP = """ppp:
  mtu: 1400
  auth: [mschapv2, eap, mschap, chap, pap]
  mppe: {policy: prefer, key_bits: [128], mode: stateless}
"""


class Accounting(books.Books):
    radius_keys = "    dead: {after: 2s, probe_interval: 1s}\n"
    blocks = {"ppp": PPP}

    def wait_records(self, session_id, *statuses, timeout=15):
        """The records of a session, once these have arrived, in this order."""
        def arrived():
            found = self.records_of(session_id)
            return found if [r["Acct-Status-Type"] for r in found] == list(statuses) else None
        try:
            return pnslab.wait_until(arrived, timeout, f"records {statuses} of {session_id}")
        except pnslab.LabError as error:
            raise pnslab.LabError(f"{error}; there are {self.radius.records()}") from None

    def test_10_start_and_stop_of_a_call(self):
        session, view = self.call("alice", "wonderland", "mschap-v2", *MPPE_128)
        start, = self.wait_records(view["id"], "Start")
        self.assertEqual(start["User-Name"], "alice")
        self.assertEqual(start["Framed-IP-Address"], session.address)
        self.assertEqual(start["Class"], "0x676f6c64")
        self.assertEqual(start["Acct-Authentic"], "RADIUS")
        self.assertEqual(start["NAS-Identifier"], "lab")
        self.assertEqual(start["Tunnel-Type:0"], "PPTP")
        self.assert_tcp(200_000)
        self.assertEqual(self.ping(self.guest, HOST, "-i 0.2"), (3, 3))  # the last packets of TCP are over
        forwarded = self.find(session)
        self.assertGreater(forwarded["rx_bytes"], 200_000)
        self.assertEqual(session.hang_up(), 5)
        stop = self.wait_records(view["id"], "Start", "Stop")[1]
        self.assertEqual(stop["Acct-Terminate-Cause"], "User-Request")
        self.assertEqual(int(stop["Acct-Input-Packets"]), forwarded["rx_packets"])
        self.assertEqual(int(stop["Acct-Input-Octets"]), forwarded["rx_bytes"])
        self.assertEqual(int(stop["Acct-Output-Octets"]), forwarded["tx_bytes"])

    def test_15_every_metric_of_the_alert_rules_is_there(self):
        names = {name for name in theme.alert_metrics() if name.startswith(("pns_radius_", "pns_accounting_"))}
        self.assertIn("pns_accounting_oldest_seconds", names)
        self.assertEqual(self.missing_metrics(names), [])

    def test_20_nothing_is_lost_while_no_server_answers_and_control_dies_twice(self):
        self.radius.kill()
        session, view = self.call("bob", "builder")
        self.server.kill("control")
        self.wait_for(lambda: self.find(session), "the successor has the call")
        self.assertEqual(session.hang_up(), 5)
        self.server.wait_sessions(0)
        self.wait_for(lambda: self.metric("pns_accounting_waiting_records") >= 2, "Start and Stop wait")
        old = self.server.kill("control")
        self.wait_for(lambda: self.server.pid_of("control") not in (None, old), "another successor")
        self.radius.start()
        start, stop = self.wait_records(view["id"], "Start", "Stop", timeout=60)
        self.assertEqual(start["Acct-Authentic"], "Local")
        self.assertGreater(int(start["Acct-Delay-Time"]), 0)
        self.assertEqual(stop["Acct-Terminate-Cause"], "User-Request")
        self.assertEqual(start["Acct-Tunnel-Connection"], stop["Acct-Tunnel-Connection"])
        self.wait_for(lambda: self.metric("pns_accounting_waiting_records") == 0, "none waits")
        # A plane that is started again is no restart of the server.
        statuses = [record["Acct-Status-Type"] for record in self.radius.records()]
        self.assertEqual(statuses.count("Accounting-On"), 1)

    def test_30_a_server_that_ends_stops_its_sessions_and_says_off(self):
        _, view = self.call("alice", "wonderland", "mschap-v2", *MPPE_128)
        self.wait_records(view["id"], "Start")
        self.server.stop()
        stop = self.wait_records(view["id"], "Start", "Stop")[1]
        self.assertEqual(stop["Acct-Terminate-Cause"], "Admin-Reboot")
        self.assertEqual(self.radius.records()[-1]["Acct-Status-Type"], "Accounting-Off")

    def wait_for(self, condition, what, timeout=20):
        """Until condition() holds; the control process may be away meanwhile."""
        def holds():
            try:
                return condition()
            except pnslab.LabError:
                return None
        return pnslab.wait_until(holds, timeout, what)


if __name__ == "__main__":
    theme.main(Accounting)
