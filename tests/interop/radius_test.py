#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Logins that real FreeRADIUS decides: a Linux client comes in by MS-CHAPv2 with MPPE keys of the RADIUS
server, gets the address that it names, and stays out with a wrong password. A login waits while the only
server is away, and the accounts of the users file count meanwhile."""
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

    @classmethod
    def before_start(cls):
        cls.radius = pnslab.FreeRadius(cls.lab, cls.lab.pns, USERS).start()
        cls.changes = {"ppp": METHODS, "aaa": RADIUS.replace("SECRET_FILE", str(cls.radius.secret_file))}

    def comes_in(self, method, mppe, *encryption, user="alice", password="secret1"):
        session = self.guest.dial(user, password, security=only(method, *encryption)).wait_up()
        pnslab.wait_until(lambda: self.find(session), 5, f"the server shows {session.address}")
        view = self.find(session)
        self.assertEqual((view["user"], view["state"], view["mppe"]), (user, "open", mppe))
        self.assertEqual(self.ping(self.guest, HOST, "-i 0.2"), (3, 3))
        self.assertEqual(session.hang_up(), 5)
        return session

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
        session = self.guest.dial("alice", "not the password", security=only("mschap-v2", *MPPE_128))
        self.assertEqual(session.wait_end(), 19)  # pppd: we failed to authenticate ourselves
        self.server.wait_sessions(0)

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


if __name__ == "__main__":
    theme.main(Radius)
