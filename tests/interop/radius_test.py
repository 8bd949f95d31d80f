#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Logins that real FreeRADIUS decides: a Linux client comes in by MS-CHAPv2 with MPPE keys of the RADIUS
server, gets the address that it names, and stays out with a wrong password. A login waits while the only
server is away, and the accounts of the users file count meanwhile."""
import shutil
import time

import pnslab
import theme
from auth_test import MPPE_128, only
from theme import HOST

USERS = """alice  Cleartext-Password := "secret1"
       Service-Type = Framed-User, Framed-Protocol = PPP, Framed-IP-Address = 10.64.7.7, Class = 0x636c617373a1
timed  Cleartext-Password := "secret1"
       Service-Type = Framed-User, Framed-Protocol = PPP, Session-Timeout = 6
again  Cleartext-Password := "secret1", State == 0x5a01
       Service-Type = Framed-User, Framed-Protocol = PPP, Class = 0x02
again  Cleartext-Password := "secret1"
       Service-Type = Framed-User, Framed-Protocol = PPP, Class = 0x01, Session-Timeout = 5,
       Termination-Action = RADIUS-Request, State = 0x5a01
idle   Cleartext-Password := "secret1"
       Service-Type = Framed-User, Framed-Protocol = PPP, Idle-Timeout = 4
metered  Cleartext-Password := "secret1"
       Service-Type = Framed-User, Framed-Protocol = PPP, Mikrotik-Total-Limit = 20000
branch Cleartext-Password := "secret1"
       Service-Type = Framed-User, Framed-Protocol = PPP, Framed-Route = "192.168.50.0/24 0.0.0.0 1", Framed-MTU = 1300
lost   Cleartext-Password := "secret1"
       Service-Type = Framed-User, Framed-Protocol = PPP, Framed-Route = "192.168.50.7/24 0.0.0.0 1"
"""
LAN, LAN_HOST = "192.168.50.0/24", "192.168.50.1"
METHODS = """ppp:
  mtu: 1400
  auth: [mschapv2, mschap, chap, pap]
  mppe: {policy: prefer, key_bits: [128], mode: stateless}
"""
RADIUS = """aaa:
  order: [local, radius]
  local: {users_file: users.yaml}
  radius:
    servers: [{address: 127.0.0.1, secret_file: SECRET_FILE, kind: [authentication]}]
    dead: {after: 2s, timeouts: 2, probe_interval: 1s}
"""

LATE = 3  # seconds: 1 for the server, the rest for a guest beside another lab


class Radius(theme.Theme):
    users = {"local": "wonderland"}
    relayed_users = USERS
    methods = METHODS
    tls = False

    @classmethod
    def before_start(cls):
        cls.radius = pnslab.FreeRadius(cls.lab, cls.lab.pns, cls.relayed_users, tls=cls.tls).start()
        cls.changes = {"ppp": cls.methods, "aaa": RADIUS.replace("SECRET_FILE", str(cls.radius.secret_file))}

    def comes_in(self, method, mppe, *encryption, user="alice", password="secret1"):
        session = self.guest.dial(user, password, security=only(method, *encryption)).wait_up()
        pnslab.wait_until(lambda: self.find(session), 5, f"the server shows {session.address}")
        view = self.find(session)
        self.assertEqual((view["user"], view["state"], view["mppe"]), (user, "open", mppe))
        self.assertEqual(self.ping(self.guest, HOST, "-i 0.2"), (3, 3))
        self.assertEqual(session.hang_up(), 5)
        return session

    def stays_out(self, method, *encryption, user="alice"):
        before = self.metric("pns_call_ends_total", reason="auth_failed") or 0
        session = self.guest.dial(user, "not the password", security=only(method, *encryption))
        self.assertEqual(session.wait_end(), 19)  # pppd: we failed to authenticate ourselves
        self.server.wait_sessions(0)
        self.assertEqual(self.metric("pns_call_ends_total", reason="auth_failed"), before + 1)

    def test_mschapv2_with_keys_and_address_of_the_server(self):
        session = self.comes_in("mschap-v2", "mppe128-stateless", *MPPE_128)
        self.assertEqual(session.address, "10.64.7.7")  # Framed-IP-Address of alice
        self.assertEqual(self.metric("pns_radius_answers_total"), 1)
        self.assertEqual(self.metric("pns_radius_discards_total"), 0)

    def test_the_radius_server_can_require_encryption(self):
        """MS-MPPE-Encryption-Policy is Required here, and ppp.mppe only prefers it."""
        session = self.guest.dial("alice", "secret1", security=only("mschap-v2"))
        session.wait_end()
        self.server.wait_sessions(0)
        self.assertEqual(self.metric("pns_call_ends_total", reason="mppe_refused"), 1)

    def test_mschap_with_keys(self):
        self.comes_in("mschap", "mppe128-stateless", *MPPE_128)

    def test_chap_and_pap(self):
        self.comes_in("chap", "none")
        self.comes_in("pap", "none")

    def dial(self, user):
        """A session that is up, and when."""
        session = self.guest.dial(user, "secret1", security=only("mschap-v2", *MPPE_128)).wait_up()
        up = time.monotonic()
        pnslab.wait_until(lambda: self.find(session), 5, f"the server shows {session.address}")
        return session, up

    def wait_ended(self, session, reason):
        """When the server ended the session, for this reason."""
        pnslab.wait_until(lambda: self.metric("pns_call_ends_total", reason=reason) == 1, 20, f"a call ended: {reason}")
        at = time.monotonic()
        self.assertIsNone(self.find(session))
        session.wait_end()
        return at

    def test_session_timeout_ends_the_call_within_a_second(self):
        session, up = self.dial("timed")
        ended = self.wait_ended(session, "session_timeout")
        print(f"session time of 6 s: ended {ended - up:.2f} s after the client was up", flush=True)
        self.assertLess(abs(ended - up - 6), LATE)

    def test_termination_action_logs_in_again(self):
        """FreeRADIUS has another answer for the request with State: without an end, and with another Class."""
        session, up = self.dial("again")
        self.assertEqual(self.find(session)["class"], ["01"])
        pnslab.wait_until(lambda: self.find(session)["class"] == ["02"], 20, "the second login")
        self.assertLess(abs(time.monotonic() - up - 5), LATE)
        self.assertIsNone(self.find(session)["session_left_s"])
        self.assertEqual(self.find(session)["mppe"], "mppe128-stateless")
        self.assertEqual(self.ping(self.guest, HOST, "-i 0.2"), (3, 3))
        self.assertEqual(session.hang_up(), 5)

    def test_idle_timeout_counts_from_the_last_packet(self):
        session, up = self.dial("idle")
        self.assertEqual(self.ping(self.guest, HOST, "-i 2", count=4), (4, 4))  # never idle for 4 s
        last = time.monotonic()
        self.assertGreater(last - up, 5)
        self.assertLess(abs(self.wait_ended(session, "idle_timeout") - last - 4), LATE)

    def test_a_quota_ends_the_call(self):
        session, _ = self.dial("metered")
        self.assertEqual(self.ping(self.guest, HOST, "-i 0.05 -s 900", count=5), (5, 5))  # 9,280 octets
        self.assertIsNotNone(self.find(session))
        self.ping(self.guest, HOST, "-i 0.05 -s 900", count=8)
        sent = time.monotonic()
        self.assertLess(self.wait_ended(session, "quota_used") - sent, LATE)

    def test_framed_route_reaches_a_host_behind_the_subscriber(self):
        session, _ = self.dial("branch")
        self.assertEqual(self.find(session)["routes"], [LAN])
        self.assertEqual(self.find(session)["mtu"], 1300)
        self.guest.run(f"ip address add {LAN_HOST} dev lo")
        self.guest.run("ip route replace 10.0.0.0/24 dev " + session.interface)
        self.lab.intranet.ip("route", "add", LAN, "via", pnslab.lab.CORE)
        shown = self.lab.intranet.run("ping", "-c", "3", "-i", "0.2", "-W", "2", LAN_HOST, check=False).stdout
        self.assertEqual(theme.ping_counts(shown), (3, 3))
        self.lab.intranet.ip("route", "del", LAN)
        self.assertEqual(session.hang_up(), 5)

    def test_a_route_that_cannot_be_served_refuses_the_login(self):
        session = self.guest.dial("lost", "secret1", security=only("mschap-v2", *MPPE_128))
        session.wait_end()
        self.assertEqual(self.metric("pns_call_ends_total", reason="auth_bad_route"), 1)

    def test_a_wrong_password_stays_out(self):
        self.stays_out("mschap-v2", *MPPE_128)

    def test_local_users_are_not_asked_of_the_server(self):
        before = self.metric("pns_radius_requests_total")
        self.comes_in("mschap-v2", "mppe128-stateless", *MPPE_128, user="local", password="wonderland")
        self.assertEqual(self.metric("pns_radius_requests_total"), before)

    def test_a_login_waits_for_a_server_that_comes_back(self):
        self.radius.kill()
        session = self.guest.dial("alice", "secret1", security=only("mschap-v2", *MPPE_128))
        pnslab.wait_until(lambda: self.metric("pns_radius_deaths_total") == 1, 20, "the server is dead")
        self.comes_in("mschap-v2", "mppe128-stateless", *MPPE_128, user="local", password="wonderland")
        self.radius.start()
        session.wait_up()
        self.assertEqual(session.hang_up(), 5)
        self.assertGreater(self.metric("pns_radius_probe_answers_total"), 0)


EAP_USERS = """alice  Cleartext-Password := "secret1"
bob    Cleartext-Password := "secret2", EAP-Type := MSCHAPv2
cert   EAP-Type := TLS
"""
EAP_METHODS = """ppp:
  mtu: 1400
  auth: [eap]
  eap: [radius]
  mppe: {policy: prefer, key_bits: [128], mode: stateless}
"""


class Eap(Radius):
    """EAP that the server relays: FreeRADIUS chooses the method and judges it."""
    relayed_users = EAP_USERS
    methods = EAP_METHODS
    tls = True

    def test_eap_md5(self):
        self.comes_in("eap", "none")
        self.stays_out("eap")

    def test_eap_mschapv2_with_keys(self):
        self.comes_in("eap", "mppe128-stateless", *MPPE_128, user="bob", password="secret2")
        self.stays_out("eap", user="bob")

    def test_eap_tls_with_keys(self):
        for name in ("ca.pem", "client.pem", "client.key"):
            shutil.copy(self.radius.directory / name, self.guest.directory)
        certificate = ("ca", "/run/lab/ca.pem", "cert", "/run/lab/client.pem", "key", "/run/lab/client.key",
                       "need-peer-eap")
        before = self.metric("pns_radius_answers_total")
        self.comes_in("eap", "mppe128-stateless", *MPPE_128, *certificate, user="cert", password="-")
        self.assertGreater(self.metric("pns_radius_answers_total") - before, 4)  # rounds of one login

    def test_local_users_cannot_use_eap(self):
        """The users file judges passwords only; RADIUS does not know this account."""
        self.stays_out("eap", user="local")

    def test_an_eap_conversation_outlives_a_silent_server(self):
        """SIGSTOP in the middle of logins: the requests are repeated until it goes on."""
        self.radius.stop_answering()
        session = self.guest.dial("bob", "secret2", security=only("eap", *MPPE_128))
        pnslab.wait_until(lambda: self.metric("pns_radius_retransmissions_total") > 0, 20, "a repeated request")
        self.radius.resume()
        session.wait_up()
        self.assertEqual(session.hang_up(), 5)


if __name__ == "__main__":
    theme.main(Radius, Eap)
