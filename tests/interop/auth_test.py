#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Linux clients that refuse all authentication methods but one: each comes in and pings, and none does
with a wrong password. The server permits every method; encryption is preferred, not required."""
import random
import statistics
import sys
import time

import peer
import pnslab
import theme
from theme import HOST

REFUSALS = ("refuse-pap", "refuse-chap", "refuse-mschap", "refuse-mschap-v2", "refuse-eap")
USERS = {"alice": "wonderland", "bob": "{nt_hash: 8846f7eaee8fb117ad06bdd830b7586c}",
         "carol": "{password: secret, disabled: true}",
         "dave": "{password: stale, password_expired: true}"}


def only(method, *encryption):
    """pppd options of a client that speaks one method. `method`: the end of its refuse- option."""
    return [word for word in REFUSALS if word != f"refuse-{method}"] + list(encryption or ["nomppe"])


MPPE_128 = ("require-mppe-128", "nomppe-stateful")


class Methods(theme.Theme):
    """EAP offers MS-CHAPv2 first; pppd takes it."""
    users = USERS
    changes = {"ppp": """ppp:
  mtu: 1400
  auth: [mschapv2, eap, mschap, chap, pap]
  eap: [mschapv2, md5]
  mppe: {policy: prefer, key_bits: [128], mode: stateless}
"""}

    def comes_in(self, method, shown, mppe, *encryption, user="alice", password="wonderland"):
        session = self.guest.dial(user, password, security=only(method, *encryption)).wait_up()
        pnslab.wait_until(lambda: self.find(session), 5, f"the server shows {session.address}")
        view = self.find(session)
        self.assertEqual((view["user"], view["auth"], view["state"]), (user, shown, "open"))
        self.assertEqual(view["mppe"], mppe)
        self.assertEqual(self.ping(self.guest, HOST, "-i 0.2"), (3, 3))
        log = session.log()
        self.assertEqual(session.hang_up(), 5)
        return log

    def stays_out(self, method, user="alice", password="not the password", reason="auth_failed"):
        before = self.ended(reason)
        session = self.guest.dial(user, password, security=only(method))
        self.assertEqual(session.wait_end(), 19)  # pppd: we failed to authenticate ourselves
        self.server.wait_sessions(0)
        pnslab.wait_until(lambda: self.ended(reason) == before + 1, 5, f"an end with {reason}")
        return session.log()

    def ended(self, reason):
        """How many calls have ended so, by the metrics."""
        return self.metric("pns_call_ends_total", reason=reason) or 0

    def test_pap(self):
        self.comes_in("pap", "pap", "none")
        self.comes_in("pap", "pap", "none", user="bob", password="password")
        self.stays_out("pap")

    def test_chap_md5(self):
        self.assertIn("CHAP authentication succeeded", self.comes_in("chap", "chap", "none"))
        self.stays_out("chap")

    def test_chap_md5_needs_a_password_in_the_clear(self):
        self.stays_out("chap", "bob", "password", "auth_no_cleartext")

    def test_mschap(self):
        self.comes_in("mschap", "mschap", "none")
        self.stays_out("mschap")

    def test_mschap_with_mppe_128(self):
        log = self.comes_in("mschap", "mschap", "mppe128-stateless", *MPPE_128)
        self.assertIn("MPPE 128-bit stateless compression enabled", log)

    def test_mschapv2(self):
        self.comes_in("mschap-v2", "mschapv2", "none")
        self.comes_in("mschap-v2", "mschapv2", "mppe128-stateless", *MPPE_128)
        self.stays_out("mschap-v2")

    def test_mschapv2_tells_why_an_account_is_closed(self):
        self.assertIn("E=647", self.stays_out("mschap-v2", "carol", "secret",
                                              "auth_account_disabled"))
        self.assertIn("E=648", self.stays_out("mschap-v2", "dave", "stale",
                                              "auth_password_expired"))

    def test_eap_mschapv2(self):
        self.comes_in("eap", "eap", "none")
        self.stays_out("eap")

    def test_eap_mschapv2_with_mppe_128(self):
        log = self.comes_in("eap", "eap", "mppe128-stateless", *MPPE_128)
        self.assertIn("MPPE 128-bit stateless compression enabled", log)

    def test_mschap_gives_pppd_no_keys_of_40_bit(self):
        """It knows that they come from the LM hash (docs/decisions/0006), which it does not make."""
        session = self.guest.dial("alice", "wonderland", security=only(
            "mschap", "require-mppe-40", "nomppe-128", "nomppe-stateful"))
        self.assertNotEqual(session.wait_end(), 0)
        self.assertIn("Disabling 40-bit MPPE; MS-CHAP LM not supported", session.log())
        self.server.wait_sessions(0)


class EapMd5(Methods):
    """EAP with MD5-Challenge alone."""
    changes = {"ppp": Methods.changes["ppp"].replace("[mschapv2, md5]", "[md5]")}

    def test_eap_md5(self):
        self.comes_in("eap", "eap", "none")
        self.stays_out("eap")


class TimedClient(peer.PppClient):
    """Measures how long the server thinks about a response."""
    sent = took = None

    def on_frame(self, protocol, code, identifier, data):
        out = super().on_frame(protocol, code, identifier, data)
        if protocol == peer.CHAP and code == 1:
            self.sent = time.perf_counter()
        elif protocol == peer.CHAP and code == 4 and self.took is None:
            self.took = time.perf_counter() - self.sent
        return out


class Timing(theme.Theme):
    """The time until a refusal says nothing about whether the account exists."""
    guests = 0
    users = USERS
    changes = {"pptp": "pptp: {limits: {failed_logins: {per_account: 0, per_source: 0}}}\n"}
    ROUNDS = 300
    SOURCE = "198.51.100.50"

    @classmethod
    def before_start(cls):
        cls.lab.inet.ip("address", "add", f"{cls.SOURCE}/24", "dev", "br0")

    def refusal(self, pac, call_id, user):
        """Seconds from an MS-CHAPv2 response to the Failure."""
        call = pac.announce(call_id, user, "not the password", connect=False)
        call.client = TimedClient(user, "not the password")
        pac.connect(call)
        pac.pump(lambda: call.client.took is not None, 10, "the server refuses")
        self.assertIn(b"E=691", call.client.failure)
        pac.disconnect(call)
        return call.client.took

    def test_47_an_unknown_user_is_refused_as_late_as_a_wrong_password(self):
        # The names have one length and come in random order: only the account differs.
        users = ["alice", "nobby"] * self.ROUNDS
        random.Random(47).shuffle(users)
        took = {"alice": [], "nobby": []}
        with peer.Pac(self.lab.inet, self.SOURCE, theme.SERVER) as pac:
            pac.establish()
            for call_id, user in enumerate(users, 1):
                took[user].append(self.refusal(pac, call_id, user))
        known, unknown = (statistics.median(took[user]) for user in ("alice", "nobby"))
        print(f"refused after {known * 1e6:.0f} µs (wrong password), {unknown * 1e6:.0f} µs (unknown user), "
              f"medians of {self.ROUNDS}", file=sys.stderr)
        self.assertLess(abs(known - unknown), 0.15 * known)


if __name__ == "__main__":
    theme.main(Methods, EapMd5, Timing)
