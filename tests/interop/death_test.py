#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Half of two thousand clients die, each time in another way, while the other half goes on: what the
dead had is free again within the configured times, counted by reason, and no Call ID is used again
before it has rested."""
import contextlib
import datetime
import json
import os
import re
import time

import crowd
import peer
import pnslab
import theme
from crowd import ECHO, SOURCES
from theme import HOST

DEAD = 1000
SURVIVORS = 1000
STRAYS = 2  # to each Call ID of the dead
REST = 60  # seconds
BOUND = 2  # seconds: what a thousand ends at once may take beyond the time-out
# ppp.lcp_echo below: the interval before each of three requests, and once more.
LCP_SECONDS = range(3, 4 + 1)
# pptp.echo_interval below: silence, of which some is over, and the wait for the reply.
PPTP_SECONDS = range(5, 10 + 1)
AT_ONCE = range(1)  # TCP tells

# --death → why its call and its connection ended, and how soon
KINDS = {
    "reset": ("peer_reset_tcp", "peer_reset_tcp", AT_ONCE),
    "close": ("peer_closed_tcp", "peer_closed_tcp", AT_ONCE),
    "silent": ("lcp_echo_timeout", "connection_echo_timeout", PPTP_SECONDS),
    "vanish": ("lcp_echo_timeout", "connection_echo_timeout", PPTP_SECONDS),
    "deaf-ppp": ("lcp_echo_timeout", "peer_closed_tcp", LCP_SECONDS),
    "deaf-control": ("connection_echo_timeout", "connection_echo_timeout", PPTP_SECONDS),
}


def difference(after, before):
    """Of two mappings from names to numbers: what has changed."""
    changed = {name: after.get(name, 0) - before.get(name, 0) for name in {**before, **after}}
    return {name: by for name, by in changed.items() if by}


class Death(crowd.Crowd):
    guests = 2
    changes = {
        **crowd.Crowd.changes,
        "pptp": f"pptp: {{echo_interval: 5s, {crowd.UNLIMITED}}}\n",
        "ppp": "ppp:\n  mtu: 1400\n  lcp_echo: {interval: 1s, failures: 3}\n",
    }

    def books(self):
        """Everything that a call has somewhere, in numbers."""
        audit = self.audit()
        return {**{key: audit[key] for key in ("sessions", "leases", "connections", "installed",
                                               "stored_sessions", "stored_connections")},
                **{plane: len(os.listdir(f"/proc/{self.server.pid_of(plane)}/fd"))
                   for plane in ("supervisor", "control")}}

    def wait_books(self, wanted, timeout):
        """Until the books are balanced again; seconds that it took."""
        begun = time.monotonic()
        seen = {}

        def balanced():
            seen.update(self.books())
            # A listener's spare, a scrape that goes on: a descriptor more or less.
            return all(abs(seen[key] - wanted[key]) <= (2 if key in ("supervisor", "control") else 0)
                       for key in wanted)
        try:
            pnslab.wait_until(balanced, timeout, "the books are as before")
        except pnslab.LabError as error:
            raise pnslab.LabError(f"{error}: {difference(seen, wanted)}") from None
        return time.monotonic() - begun

    def ends(self):
        stats = self.server.show("stats")
        return stats["call_ends"], stats["connection_ends"]

    def upstream_drops(self):
        """By reason. What the lab's kernels say by themselves is none of the clients' business."""
        out = {}
        for (name, labels), value in peer.Counters(self.server).before.items():
            labels = dict(labels)
            if name == "pns_dataplane_drops_total" and labels["direction"] == "upstream":
                out[labels["reason"]] = out.get(labels["reason"], 0) + value
        return out

    def lost_on_the_wire(self):
        """By the lab's kernel: a thousand stray packets at one instant are many for a TAP's queue."""
        shown = self.lab.inet.run("ip", "-s", "-j", "link", "show", "wire0").stdout
        return json.loads(shown)[0]["stats64"]["tx"]["dropped"]

    def die(self, kind, before):
        call_reason, connection_reason, within = KINDS[kind]
        process = self.start("--sources", 4, "--sessions", DEAD, "--concurrent", 100, "--profile", "all",
                             "--ping", HOST, "--hold", 4, "--death", kind, "--stray-gre", STRAYS,
                             "--stray-time", 2, source=SOURCES[4])
        self.wait_up(before["sessions"] + DEAD)
        drops, (calls, connections) = self.upstream_drops(), self.ends()
        lost = self.lost_on_the_wire()
        status, result = self.finish(process)
        back = self.wait_books(before, 3)
        death = result["death"]
        closed = death["seconds_until_all_closed"] or {"min": 0, "max": 0}
        print(f"{kind}: closed after {closed['min']:.2f} to {closed['max']:.2f} s, the books are as before "
              f"{back:.1f} s after the last stray packet", flush=True)
        self.assertEqual((status, death["sessions"], result["failures"]), (0, DEAD, 0))
        # Soon enough, and not sooner than a peer that is only slow deserves.
        self.assertEqual(death["closed_by_server"], 0 if kind == "reset" else DEAD)
        self.assertLess(closed["max"], within[-1] + BOUND)
        self.assertGreaterEqual(closed["min"], within[0] - 0.2)
        calls_after, connections_after = self.ends()
        self.assertEqual(difference(calls_after, calls), {call_reason: DEAD})
        self.assertEqual(difference(connections_after, connections), {connection_reason: DEAD})
        dropped = difference(self.upstream_drops(), drops)
        unknown = dropped.pop("gre_unknown_call", 0)
        self.assertEqual(death["strays_sent"], STRAYS * DEAD)
        lost = self.lost_on_the_wire() - lost
        self.assertGreaterEqual(unknown + lost, STRAYS * DEAD)
        self.assertGreater(unknown, STRAYS * DEAD * 0.9)
        # The deaf to control alone go on with PPP until they notice: acknowledgments, echoes.
        self.assertLessEqual(unknown, STRAYS * DEAD + (2 * DEAD if kind == "deaf-control" else 0))
        self.assertEqual(dropped, {})

    def test_1_half_of_2000_die_in_every_way_and_the_other_half_goes_on(self):
        survivors = self.start("--sources", 4, "--sessions", SURVIVORS, "--concurrent", 100, "--profile",
                               "all", "--ping", HOST, "--traffic", "udp", "--target", ECHO, "--rate", 1,
                               "--duration", 600, "--accept-loss", "1%")
        self.wait_up(SURVIVORS)
        before = self.books()
        known = {s["id"]: s["our_call_id"] for s in self.server.sessions()}
        for kind in KINDS:
            with self.subTest(kind):
                self.die(kind, before)
                self.assertIsNone(survivors.poll(), "the survivors' process has ended")
        shown = self.server.sessions()
        self.assertEqual({s["id"]: s["our_call_id"] for s in shown}, known)
        self.assertEqual([s for s in shown if s["rx_drops"]], [])
        survivors.terminate()
        _, result = self.finish(survivors)
        self.assertEqual((result["up"], result["lost_calls"], result["failures"]), (SURVIVORS, 0, 0))
        self.assertGreater(result["traffic"]["sent"], SURVIVORS * 30)
        self.assertLess(result["traffic"]["lost"], result["traffic"]["sent"] * 0.001)
        self.server.wait_sessions(0, 20)
        self.call_ids_have_rested(len(KINDS) * DEAD)

    def call_ids_have_rested(self, at_least):
        """By the log: between the end of a call and the next one of its Call ID."""
        line = re.compile(r'^(\S+) .*event="call (up|ended)".* our_call_id=(\d+)')
        ended, used_again, ups = {}, [], 0
        with open(self.server.log_file, encoding="utf-8", errors="replace") as log:
            for found in filter(None, map(line.match, log)):
                when = datetime.datetime.fromisoformat(found[1].replace("Z", "+00:00"))
                if found[2] == "ended":
                    ended[found[3]] = when
                    continue
                ups += 1
                if found[3] in ended and (when - ended[found[3]]).total_seconds() < REST:
                    used_again.append(found[0])
        self.assertGreaterEqual(ups, at_least)
        self.assertGreaterEqual(len(ended), at_least)
        self.assertEqual(used_again, [])

    def test_2_call_ids_rest_also_when_control_is_killed_meanwhile(self):
        process = self.start("--sources", 4, "--sessions", 400, "--concurrent", 100, "--profile", "all",
                             "--ping", HOST, "--hold", 600, "--churn", 100, "--retry", 50,
                             "--retry-wait", 0.3)
        self.wait_up(370)  # some are between two calls
        accepted = []
        for _ in range(3):
            def churned():
                return self.server.show("stats")["setups"]["open"] >= 300
            pnslab.wait_until(lambda: self.ask(churned), 20, "300 calls have come up")
            accepted.append(self.server.show("stats")["setups"]["open"])
            self.kill("control")
            self.wait_new_client()
            self.audit()
        pnslab.wait_until(lambda: self.ask(churned), 20, "300 calls have come up")
        process.terminate()
        _, result = self.finish(process)
        self.assertEqual((result["lost_calls"], result["failures"]), (0, 0), result)
        self.server.wait_sessions(0, 20)
        self.call_ids_have_rested(sum(accepted))

    def test_3_a_real_client_loses_power_and_another_one_goes_on(self):
        victim = self.lab.guests[1]
        witness = self.connect()
        before = self.books()
        lost = self.connect(guest=victim)
        calls, connections = self.ends()
        marks = f"/run/lab/ping.{witness.number}.out"
        ping = self.guest.start(f"ping -i 0.1 -c 160 {HOST} >{marks}; cat {marks}")
        victim.process.kill()
        cut = time.monotonic()
        pnslab.wait_until(lambda: self.find(lost) is None, LCP_SECONDS[-1] + BOUND, "the call has ended")
        self.wait_books(before, cut + PPTP_SECONDS[-1] + BOUND - time.monotonic())
        print(f"power cut: the books are as before after {time.monotonic() - cut:.1f} s", flush=True)
        calls_after, connections_after = self.ends()
        self.assertEqual(difference(calls_after, calls), {"lcp_echo_timeout": 1})
        self.assertEqual(difference(connections_after, connections), {"connection_echo_timeout": 1})
        self.assertEqual(theme.ping_counts(ping.wait(60)[1]), (160, 160))
        witness.hang_up()
        with contextlib.suppress(pnslab.LabError):
            victim.power_off()
        self.lab.guests.remove(victim)


if __name__ == "__main__":
    theme.main(Death)
