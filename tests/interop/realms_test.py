#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Users of two companies, each with a FreeRADIUS of its own: the realm in a user's name says which one decides his
login and takes his records. `pns show session` has the terms that they give, by names and by numbers."""
import pnslab
import theme
from auth_test import MPPE_128, only
from theme import HOST

# Mikrotik-Address-List (14988:19) and Mikrotik-Delegated-IPv6-Pool (14988:22) get other meanings in the configuration.
COM = """alice  Cleartext-Password := "of-com"
       Service-Type = Framed-User, Framed-Protocol = PPP, Class = 0x00c0ffee, Class += 0x02, Session-Timeout = 600,
       Idle-Timeout = 300, Mikrotik-Total-Limit = 1000000, Mikrotik-Recv-Limit = 500000, Acct-Interim-Interval = 120,
       Mikrotik-Rate-Limit = "20M/30M 40M/60M 20M/30M 1/1", Mikrotik-Address-List = "office",
       Mikrotik-Delegated-IPv6-Pool = "8000"
alice@example.com  Cleartext-Password := "of-com"
       Service-Type = Framed-User, Framed-Protocol = PPP
"""
ORG = """alice@example.org  Cleartext-Password := "of-org"
       Service-Type = Framed-User, Framed-Protocol = PPP
renamed@example.org  Cleartext-Password := "of-org"
       Service-Type = Framed-User, Framed-Protocol = PPP, User-Name = "customer-4711"
"""
AAA = """aaa:
  order: [local]
  realms:
    example.com: {order: [radius], servers: [com], strip: true}
    example.org: {order: [radius], servers: [org]}
  local: {users_file: users.yaml}
  radius:
    servers:
      - {name: com, address: 127.0.0.1, secret_file: COM_SECRET}
      - {name: org, address: 127.0.0.1, auth_port: 2812, accounting_port: 2813, secret_file: ORG_SECRET}
    accounting: {spool_directory: SPOOL}
    attributes:
      - {vendor: 14988, type: 19, means: filter}
      - {vendor: 14988, type: 22, means: rate_up, unit: kbit, format: text}
"""
FILTERS = """filters:
  office:
    rules: [{action: permit}]
"""
PPP = """ppp:
  mtu: 1400
  auth: [mschapv2, chap]
  mppe: {policy: prefer, key_bits: [128], mode: stateless}
"""


class Realms(theme.Theme):
    users = {"alice": "of-the-file"}

    @classmethod
    def before_start(cls):
        cls.com = pnslab.FreeRadius(cls.lab, cls.lab.pns, COM, "com").start()
        cls.org = pnslab.FreeRadius(cls.lab, cls.lab.pns, ORG, "org", 2812, 2813).start()
        aaa = AAA
        for word, path in (("COM_SECRET", cls.com.secret_file), ("ORG_SECRET", cls.org.secret_file),
                           ("SPOOL", cls.lab.directory / "spool")):
            aaa = aaa.replace(word, str(path))
        cls.changes = {"ppp": PPP, "aaa": aaa, "filters": FILTERS}

    def log_in(self, user, password, *options):
        """A session that is up, and the server's view of it."""
        session = self.guest.dial(user, password, security=only(*options)).wait_up()
        view = pnslab.wait_until(lambda: self.find(session), 5, f"the server shows {session.address}")
        self.assertEqual(self.ping(self.guest, HOST, "-i 0.2"), (3, 3))
        self.assertEqual(view["claimed_user"], user)
        return session, view

    @staticmethod
    def records(radius, view):
        """User-Name and Acct-Status-Type of the session's records at this server."""
        return [(record["User-Name"], record["Acct-Status-Type"]) for record in radius.records()
                if record.get("Acct-Session-Id") == view["id"]]

    def hang_up(self, session, view, radius, other, user):
        """Start and Stop go to the server of the realm, and nothing to the other one."""
        self.assertEqual(session.hang_up(), 5)
        pnslab.wait_until(lambda: len(self.records(radius, view)) == 2, 15, "the session's records")
        self.assertEqual(self.records(radius, view), [(user, "Start"), (user, "Stop")])
        self.assertEqual(self.records(other, view), [])
        self.server.wait_sessions(0)

    def test_10_a_domain_is_stripped_also_under_mschapv2(self):
        session, view = self.log_in("EXAMPLE.COM\\alice", "of-com", "mschap-v2", *MPPE_128)
        self.assertEqual((view["user"], view["realm"], view["mppe"]), ("alice", "example.com", "mppe128-stateless"))
        self.hang_up(session, view, self.com, self.org, "alice")

    def test_20_a_suffix_is_stripped_where_the_method_permits_it(self):
        for method, encryption in (("chap", ()), ("mschap-v2", MPPE_128)):
            session, view = self.log_in("alice@example.com", "of-com", method, *encryption)
            self.assertEqual((view["user"], view["realm"]), ("alice", "example.com"))
            # Only the account without the realm has Class: FreeRADIUS was asked by another name with MS-CHAPv2.
            self.assertEqual(view["class"], ["00c0ffee", "02"] if method == "chap" else [])
            self.hang_up(session, view, self.com, self.org, "alice")

    def test_30_another_realm_has_another_server_also_after_control_died(self):
        session, view = self.log_in("alice@example.org", "of-org", "mschap-v2", *MPPE_128)
        self.assertEqual((view["user"], view["realm"]), ("alice@example.org", "example.org"))
        old = self.server.kill("control")
        pnslab.wait_until(lambda: self.server.pid_of("control") not in (None, old), 20, "a successor")
        after = self.ask(lambda: self.find(session))
        self.assertEqual((after["id"], after["realm"]), (view["id"], "example.org"))
        self.hang_up(session, view, self.org, self.com, "alice@example.org")

    def test_40_user_name_of_the_answer_is_the_account(self):
        session, view = self.log_in("renamed@example.org", "of-org", "mschap-v2", *MPPE_128)
        self.assertEqual(view["user"], "customer-4711")
        self.hang_up(session, view, self.org, self.com, "customer-4711")

    def test_50_a_name_without_a_realm_is_of_the_users_file(self):
        session, view = self.log_in("alice", "of-the-file", "mschap-v2", *MPPE_128)
        self.assertEqual((view["user"], view["realm"], view["pool"]), ("alice", "", "default"))
        for key in ("session_left_s", "idle_timeout_s", "quota_left_bytes", "rx_rate", "tx_burst_bytes"):
            self.assertIsNone(view[key], key)
        self.assertEqual((view["rx_filter"], view["interim_interval_s"]), ("", 300))
        self.assertEqual(session.hang_up(), 5)

    def test_60_no_server_of_another_realm_is_asked(self):
        before = self.metric("pns_radius_answers_total", server="127.0.0.1:1812")
        session = self.guest.dial("nobody@example.org", "of-com", security=only("mschap-v2", *MPPE_128))
        self.assertEqual(session.wait_end(), 19)
        self.server.wait_sessions(0)
        self.assertEqual(self.metric("pns_radius_answers_total", server="127.0.0.1:1812"), before)

    def test_70_show_session_has_the_terms_that_hold(self):
        session, view = self.log_in("alice@example.com", "of-com", "chap")
        self.assertIn(view["session_left_s"], range(540, 601))
        self.assertEqual(view["idle_timeout_s"], 300)
        self.assertEqual(view["quota_left_bytes"], 1_000_000 - view["rx_bytes"] - view["tx_bytes"])
        self.assertEqual(view["rx_quota_left_bytes"], 500_000 - view["rx_bytes"])
        self.assertIsNone(view["tx_quota_left_bytes"])
        self.assertEqual((view["rx_rate"], view["tx_rate"]), (8_000_000, 30_000_000))  # up: of the configuration
        self.assertEqual((view["rx_burst_bytes"], view["tx_burst_bytes"]), (250_000, 3_750_000))
        self.assertEqual((view["rx_filter"], view["tx_filter"]), ("office", "office"))
        self.assertEqual((view["pool"], view["interim_interval_s"]), ("default", 120))
        self.assertEqual(view["class"], ["00c0ffee", "02"])
        shown = dict(line.split(None, 1) for line in self.server.show_text("session", "alice").splitlines())
        self.assertEqual((shown["idle_timeout_s"], shown["rx_burst_bytes"]), ("5m", "244 KiB"))
        self.assertEqual((shown["tx_quota_left_bytes"], shown["class"]), ("-", "00c0ffee,02"))
        self.assertEqual(session.hang_up(), 5)


if __name__ == "__main__":
    theme.main(Realms)
