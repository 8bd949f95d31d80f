#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Twenty sessions at once: four guests, five addresses each, one control connection per session;
then several calls on ONE control connection (RFC 2637 §1.3.1)."""
import theme
from theme import HOST

GUESTS = 4
SESSIONS = 5
# pppd asks once a second from the moment it runs, and hangs up after ten requests. On a slow machine
# pptp may need longer than that to place the call.
PATIENT = ("lcp-max-configure", "30")


class Many(theme.Theme):
    guests = GUESTS
    addresses = SESSIONS
    users = {f"user{i}": f"secret{i}" for i in range(GUESTS * SESSIONS)}

    def ping_all(self, sessions, count=5):
        """Pings through every session at once; each must get every answer."""
        jobs = [(session, session.guest.start(
            f"ping -I {session.interface} -i 0.2 -c {count} {HOST}")) for session in sessions]
        for session, job in jobs:
            _, output = job.wait(60)
            self.assertEqual(theme.ping_counts(output), (count, count), session.log())

    def test_twenty_sessions_at_once_all_carry_data(self):
        sessions = []
        users = iter(self.users.items())
        for guest in self.lab.guests:
            for address in guest.addresses:
                user, password = next(users)
                sessions.append(guest.dial(user, password, PATIENT, bind=address))
        for session in sessions:
            session.wait_up(60)
        self.server.wait_sessions(GUESTS * SESSIONS)
        self.assertEqual(len({session.address for session in sessions}), GUESTS * SESSIONS)
        shown = self.server.sessions()
        self.assertEqual({s["address"] for s in shown}, {s.address for s in sessions})
        self.assertEqual({s["user"] for s in shown}, set(self.users))
        self.assertEqual(len({s["our_call_id"] for s in shown}), GUESTS * SESSIONS)
        self.ping_all(sessions)
        for session in sessions:
            session.guest.start(f"kill -TERM $(cat /tmp/pppd.{session.number}.pid)")
        for session in sessions:
            self.assertEqual(session.wait_end(), 5)
        self.server.wait_sessions(0)

    def test_several_calls_on_one_control_connection(self):
        guest = self.guest
        first = guest.dial("user0", "secret0").wait_up()
        # pptp gives the second call to the first one's call manager.
        second = guest.dial("user1", "secret1").wait_up()
        third = guest.dial("user2", "secret2").wait_up()
        self.server.wait_sessions(3)
        self.assertEqual(len(self.server.show("connections")), 1)
        self.ping_all([first, second, third])
        second.hang_up()
        self.server.wait_sessions(2)
        self.ping_all([first, third])
        third.hang_up()
        self.server.wait_sessions(1)
        self.ping_all([first])
        first.hang_up()
        self.server.wait_sessions(0)


if __name__ == "__main__":
    theme.main(Many)
