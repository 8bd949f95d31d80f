#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Dynamic authorization (RFC 5176) with the radclient of FreeRADIUS, over IPv4 and IPv6: calls of a Linux
client end and change, and FreeRADIUS gets the accounting that says so."""
import json
import pathlib
import re
import sys
import time

import books
import pnslab
import theme
from auth_test import MPPE_128
from theme import HOST

PPP = """ppp:
  mtu: 1400
  auth: [mschapv2]
  mppe: {policy: prefer, key_bits: [128], mode: stateless}
"""
AUTHORIZATION = """    dynamic_authorization:
      listen: [127.0.0.1, "::1"]
      clients:
        - {address: 127.0.0.1, secret_file: %(secret)s}
        - {address: "::1", secret_file: %(secret)s}
"""
FILTERS = """filters:
  all: {rules: [{action: permit}]}
  no-ping: {rules: [{action: deny, protocol: icmp}, {action: permit}]}
"""
CLIENT = pathlib.Path(__file__).resolve().parent / "authorization_client.py"
IPV4, IPV6 = "127.0.0.1:3799", "[::1]:3799"


class DynamicAuthorization(books.Books):
    """radclient runs beside the server too."""
    radius_keys = AUTHORIZATION
    blocks = {"ppp": PPP, "filters": FILTERS}

    @classmethod
    def before_start(cls):
        if not pathlib.Path("/usr/bin/radclient").exists():
            raise pnslab.Missing("no radclient (Debian package freeradius-utils)")
        cls.lab.pns.sysctl("net/ipv6/conf/lo/disable_ipv6", "0")
        super().before_start()

    def call_alice(self):
        return self.call("alice", "wonderland", "mschap-v2", *MPPE_128)

    def request(self, kind, attributes, server=IPV4, secret=None, now=None):
        """What radclient got: code of the answer and its Error-Cause; None for each that is not there.
        Without an answer it sends the request three times."""
        words = [f"Event-Timestamp = {int(now or time.time())}", *attributes]
        (self.lab.directory / "request").write_text("\n".join(words) + "\n")
        secret_file = self.lab.directory / "client.secret"
        secret_file.write_text((secret or self.radius.secret_file.read_text().strip()) + "\n")
        done = self.lab.pns.run("radclient", "-x", "-t", "1", "-r", "3", "-f", str(self.lab.directory / "request"),
                                "-S", str(secret_file), server, kind, check=False)
        code = re.search(r"^Received (\S+) Id", done.stdout, re.MULTILINE)
        cause = re.search(r"^\s+Error-Cause = (\S+)", done.stdout, re.MULTILINE)
        return code and code[1], cause and cause[1]

    def refusals(self, reason):
        return self.metric("pns_authorization_refusals_total", reason=reason)

    def stop_of(self, session_id):
        return pnslab.wait_until(lambda: self.records_of(session_id, "Stop"), 15, f"the Stop of {session_id}")[0]

    def test_10_disconnect_by_each_attribute_and_family(self):
        def attributes_of(view):
            yield IPV4, [f'Acct-Session-Id = "{view["id"]}"']
            yield IPV6, ['User-Name = "alice"']
            yield IPV6, [f'Framed-IP-Address = {view["address"]}', 'NAS-Identifier = "lab"']
            yield IPV4, [f'Calling-Station-Id = "{view["peer"]}"', f'NAS-Port = {view["slot"]}',
                         'User-Name = "alice"', "NAS-IP-Address = 127.0.0.1"]
        session, view = self.call_alice()
        for number in range(len(list(attributes_of(view)))):
            if number > 0:
                session, view = self.call_alice()
            server, attributes = list(attributes_of(view))[number]
            self.assertEqual(self.request("disconnect", attributes, server), ("Disconnect-ACK", None), attributes)
            self.assertEqual(self.server.sessions(), [])  # it is over when the answer comes
            session.wait_end()
            stop = self.stop_of(view["id"])
            self.assertEqual(stop["Acct-Terminate-Cause"], "Admin-Reset")
            self.assertEqual(stop["Class"], "0x676f6c64")
        self.assertEqual(self.metric("pns_authorization_acknowledged_total", kind="disconnect"), 4)
        self.assertEqual(self.metric("pns_call_ends_total", reason="radius_disconnected"), 4)

    def test_15_every_metric_of_the_alert_rules_is_there(self):
        names = {name for name in theme.alert_metrics() if name.startswith("pns_authorization_")}
        self.assertEqual(names, {"pns_authorization_refusals_total"})
        self.assertEqual(self.missing_metrics(names), [])

    def test_20_coa_changes_class_and_outlives_the_control_process(self):
        session, view = self.call_alice()
        named = [f'Acct-Session-Id = "{view["id"]}"', 'User-Name = "alice"']
        self.assertEqual(self.request("coa", [*named, "Class = 0x73696c766572"], IPV6), ("CoA-ACK", None))

        def interims():
            return [record["Class"] for record in self.records_of(view["id"], "Interim-Update")]
        pnslab.wait_until(interims, 15, "an Interim-Update tells the change")
        self.assertEqual(interims(), ["0x73696c766572"])
        self.server.kill("control")
        self.assertEqual(self.ask(lambda: self.find(session)["id"]), view["id"])
        self.assertEqual(session.hang_up(), 5)
        self.assertEqual(self.stop_of(view["id"])["Class"], "0x73696c766572")

    def test_25_coa_changes_filter_rate_and_session_time(self):
        """Each holds as soon as its ACK is there."""
        session, view = self.call_alice()
        named = [f'Acct-Session-Id = "{view["id"]}"']
        self.assertEqual(self.ping(self.guest, HOST, "-i 0.2"), (3, 3))
        self.assertEqual(self.request("coa", [*named, 'Filter-Id = "no-ping.in"']), ("CoA-ACK", None))
        self.assertEqual(self.ping(self.guest, HOST, "-i 0.2"), (3, 0))
        self.assertEqual(self.request("coa", [*named, 'Filter-Id = "nothing"']),
                         ("CoA-NAK", "Invalid-Attribute-Value"))
        self.assertEqual(self.ping(self.guest, HOST, "-i 0.2"), (3, 0))  # as before
        self.assertEqual(self.request("coa", [*named, 'Filter-Id = "all"', 'Mikrotik-Rate-Limit = "8k/8k"']),
                         ("CoA-ACK", None))
        sent, received = self.ping(self.guest, HOST, "-i 0.02 -s 1000", count=20)  # 400 kbit/s
        self.assertTrue(0 < received < sent / 2, (sent, received))
        self.server.kill("control")
        self.assertEqual(self.ask(lambda: self.find(session)["id"]), view["id"])
        sent, received = self.ping(self.guest, HOST, "-i 0.02 -s 1000", count=20)
        self.assertTrue(received < sent / 2, (sent, received))
        # FreeRADIUS and the server look at the same clock: the session is older than a second.
        self.assertEqual(self.request("coa", [*named, "Session-Timeout = 1"]), ("CoA-ACK", None))
        session.wait_end()
        self.assertEqual(self.stop_of(view["id"])["Acct-Terminate-Cause"], "Session-Timeout")

    def test_30_refusals_name_their_cause_and_change_nothing(self):
        session, view = self.call("bob", "builder", "mschap-v2", *MPPE_128)
        bob = ['User-Name = "bob"']
        for kind, attributes, cause, reason in (
                ("disconnect", ['User-Name = "nobody"'], "Session-Context-Not-Found", "no_session"),
                ("disconnect", [*bob, f'Acct-Session-Id = "{int(view["id"], 16) + 1:016x}"'],
                 "Session-Context-Not-Found", "no_session"),
                ("disconnect", [*bob, 'NAS-Identifier = "other"'], "NAS-Identification-Mismatch", "other_nas"),
                ("disconnect", [*bob, "Session-Timeout = 9"], "Unsupported-Attribute", "unsupported_attribute"),
                ("disconnect", [], "Missing-Attribute", "missing_attribute"),
                ("coa", bob, "Missing-Attribute", "missing_attribute"),
                ("coa", [*bob, "Service-Type = Authorize-Only", "State = 0x01"], "Unsupported-Service",
                 "unsupported_service")):
            before = self.refusals(reason)
            code, got = self.request(kind, attributes)
            self.assertEqual((code[-4:], got), ("-NAK", cause), attributes)
            self.assertEqual(self.refusals(reason), before + 1)
        self.assertEqual(self.find(session)["id"], view["id"])
        self.assertEqual(session.hang_up(), 5)

    def test_40_a_wrong_secret_and_an_old_packet_get_no_answer(self):
        session, _ = self.call("bob", "builder", "mschap-v2", *MPPE_128)
        bob = ['User-Name = "bob"']
        for reason, options in (("wrong_authenticator", {"secret": "guessed"}), ("stale", {"now": time.time() - 400})):
            for server in (IPV4, IPV6):
                before = self.refusals(reason)
                self.assertEqual(self.request("disconnect", bob, server, **options), (None, None))
                self.assertEqual(self.refusals(reason), before + 3)
        self.assertTrue(self.find(session))
        self.assertEqual(session.hang_up(), 5)

    def test_50_a_retransmission_is_answered_again_and_a_replay_is_not(self):
        self.call("bob", "builder", "mschap-v2", *MPPE_128)
        ends = self.metric("pns_call_ends_total", reason="radius_disconnected")
        done = self.lab.pns.run(sys.executable, "-B", str(CLIENT), "twice", "--server", "127.0.0.1", "--secret-file",
                                str(self.radius.secret_file), "--user", "bob")
        self.assertEqual(json.loads(done.stdout), ["Disconnect-ACK", "Disconnect-ACK", None])
        self.assertEqual(self.metric("pns_authorization_repeated_answers_total"), 1)
        self.assertEqual(self.refusals("replayed"), 1)
        self.assertEqual(self.metric("pns_call_ends_total", reason="radius_disconnected"), ends + 1)


if __name__ == "__main__":
    theme.main(DynamicAuthorization)
