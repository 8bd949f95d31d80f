# SPDX-License-Identifier: BSD-3-Clause
"""What themes share that look at accounting: a FreeRADIUS beside the server, on its loopback, takes it. Alice is
an account of FreeRADIUS, bob one of the users file."""
import pnslab
import theme
from auth_test import only

USERS = """alice  Cleartext-Password := "wonderland"
       Service-Type = Framed-User, Framed-Protocol = PPP, Class = 0x676f6c64
"""
AAA = """aaa:
  order: [local, radius]
  local: {users_file: users.yaml}
  radius:
    servers:
      - {address: 127.0.0.1, secret_file: %(secret)s, timeout: 500ms}
    nas_identifier: lab
    accounting: {interim_interval: 1m, spool_directory: %(spool)s}
"""


class Books(theme.Theme):
    users = {"bob": "builder"}
    radius_keys = ""  # more of aaa.radius; %(secret)s: the file of the shared secret
    blocks = {}  # of the configuration, as `changes`

    @classmethod
    def before_start(cls):
        cls.radius = pnslab.FreeRadius(cls.lab, cls.lab.pns, USERS).start()
        files = {"secret": cls.radius.secret_file, "spool": cls.lab.directory / "spool"}
        cls.changes = {**cls.blocks, "aaa": (AAA + cls.radius_keys) % files}

    def call(self, user, password, method="mschap-v2", *encryption):
        """A client that is up; with it the server's view of its session."""
        session = self.guest.dial(user, password, security=only(method, *encryption)).wait_up()
        pnslab.wait_until(lambda: self.find(session), 5, f"the server shows {session.address}")
        return session, self.find(session)

    def records_of(self, session_id, status=None):
        """Those of one session that have arrived, in that order; `status`: of this Acct-Status-Type alone."""
        return [record for record in self.radius.records() if record.get("Acct-Session-Id") == session_id
                and status in (None, record["Acct-Status-Type"])]
