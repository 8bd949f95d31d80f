#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Logins that real FreeRADIUS decides: a Linux client comes in by MS-CHAPv2 with MPPE keys of the RADIUS
server, gets the address that it names, and stays out with a wrong password. A login waits while the only
server is away, and the accounts of the users file count meanwhile."""
import shutil

import pnslab
import theme
from auth_test import MPPE_128, only
from theme import HOST

USERS = """alice  Cleartext-Password := "secret1"
       Service-Type = Framed-User, Framed-Protocol = PPP, Framed-IP-Address = 10.64.7.7, Class = 0x636c617373a1
"""
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

    def test_mschap_with_keys(self):
        self.comes_in("mschap", "mppe128-stateless", *MPPE_128)

    def test_chap_and_pap(self):
        self.comes_in("chap", "none")
        self.comes_in("pap", "none")

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
