#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A line that loses everything for a while, and a dataplane that is killed: TCP of a real client goes on.

The client is a kernel (guest/kernel_pptp.c), so that many packets are in flight. Its line loses every
frame for 0.3, 0.5 and 2 s, both ways, while the links stay up; after that the dataplane gets SIGKILL.

The rule. The level of a transfer is the median of its intervals of 0.1 s in the 2 s before an outage, or
in the 2 s before the next one, whichever is less: neighbours take their share of the machine. Less than a
quarter of the level before counts as never back. The level is back when a window of 0.5 s carries nine
tenths of it. TCP itself waits until its next retransmission. Its time-out doubles from 0.2 s on, so that
one comes at most L + 0.2 s after an outage of L s. A slow machine may need more, so the same outages with
MPPE off in the same run are the reference. A transfer may take RECOVERY = 0.5 s longer than the larger of
the two, and 0.2 s for the intervals' grain. A transfer that is never back has failed whatever the
reference says. Times are judged only with PNS_LOSS_TIMES=1, on cores that nothing else uses: without it each
transfer must come back, and its times are printed. PNS_LOSS_ALL=1 adds the clear transfers and every rate;
PNS_LOSS_TIMES=1 implies it.

Stateful MPPE needs a lost packet each way before either end asks for a reset (RFC 3078 §8.2). TCP alone
pays for each with a time-out that has doubled, so pings go beside its transfers, 20 a second. Stateless MPPE
and the clear have no such help."""
import itertools
import json
import os
import signal
import statistics
import subprocess
import time
from collections import namedtuple

import crowd
import pnslab
import theme
from crowd import ECHO, SOURCES
from theme import HOST

OUTAGES = (0.3, 0.5, 2.0)  # seconds
INTERVAL = 0.1             # seconds of an interval of iperf3, its finest
WINDOW = 5                 # intervals
BEFORE = 2.0               # seconds that make the level before an outage
AFTER = 3.0                # seconds that a transfer has to come back, and twice the outage
FIRST_TIMEOUT = 0.2        # seconds: TCP's smallest retransmission time-out
RECOVERY = 0.5             # seconds
JUDGE_TIMES = os.environ.get("PNS_LOSS_TIMES") == "1"
ALL = JUDGE_TIMES or os.environ.get("PNS_LOSS_ALL", "0") != "0"
PPP = """ppp:
  mtu: 1400
  auth: [mschapv2]
  mppe: {policy: prefer, key_bits: [128], mode: %s}
"""

Event = namedtuple("Event", "name at seconds")  # at: by the host's clock
Rate = namedtuple("Rate", "start octets")       # of an interval, in seconds of iperf3's own clock


def median_of(rates, until):
    """Octets of an interval, in the time before `until`; 0 when there are none."""
    return statistics.median([r.octets for r in rates if until - BEFORE <= r.start < until] or [0])


def recovery_of(rates, earliest, following, seconds):
    """Seconds from the end of an outage of so many seconds until the level is back; None: never.
    `earliest`: the outage begins no earlier, in seconds of the transfer. `following`: when the next
    one does, at the earliest."""
    before, after = median_of(rates, earliest), median_of(rates, following)
    level = min(before, after)
    if level == 0 or after < before / 4:
        return None
    rates = [r for r in rates if earliest <= r.start < following]
    # It begins with two intervals in which next to nothing arrives.
    begin = next((i for i in range(len(rates) - 1)
                  if max(rates[i].octets, rates[i + 1].octets) < level / 10), None)
    if begin is None:
        return 0.0
    for i in range(begin, len(rates) - WINDOW + 1):
        window = [r.octets for r in rates[i:i + WINDOW]]
        if window[0] >= level / 2 and sum(window) >= 0.9 * level * WINDOW:
            return max(0.0, rates[i].start - rates[begin].start - seconds)
    return None


class Transfer:
    """One TCP transfer of the guest; `direction`: up or down."""
    ports = itertools.count(5301)

    def __init__(self, lab, guest, direction):
        self.guest = guest
        self.direction = direction
        self.file = lab.directory / f"iperf.{next(self.ports)}.json"
        port = self.file.suffixes[0][1:]
        with open(self.file, "wb") as out:
            self.server = lab.start_in(lab.intranet, "iperf3", "-s", "-1", "-J", "-i", str(INTERVAL),
                                       "-B", HOST, "-p", port, stdout=out)
        pnslab.wait_until(lambda: f":{port}" in lab.intranet.run("ss", "-Hltn").stdout, 10,
                          "iperf3 listens")
        reverse = "-R" if direction == "down" else ""
        self.job = guest.start(f"echo $$ >/tmp/iperf.pid; exec iperf3 -c {HOST} -p {port} -t 600 "
                               f"-i {INTERVAL} -J {reverse}", 700)

    def end(self):
        """Ends both sides, which then write what they know, and returns the receiver's rates."""
        self.guest.run("kill -TERM $(cat /tmp/iperf.pid)")
        self.job.wait(10)
        try:
            self.server.wait(3)
        except subprocess.TimeoutExpired:  # it was never told: nothing gets through
            self.server.send_signal(signal.SIGTERM)
            self.server.wait(5)
        text = self.file.read_text() if self.direction == "up" else self.job.output()
        sums = [interval["sum"] for interval in json.loads(text)["intervals"]]
        return [Rate(s["start"], s["bytes"]) for s in sums if s["seconds"] > INTERVAL / 2]


class Loss(theme.Theme):
    modes = {}  # name → the server's word for it, and words for connect()
    references = {}  # direction → what carry() has found with MPPE off

    def outage(self, seconds):
        self.lab.cut_line(self.guest)
        begun = time.monotonic()
        try:
            time.sleep(seconds)  # this is what is tested
        finally:
            self.lab.mend_line(self.guest)
        return Event(f"{seconds} s", begun, time.monotonic() - begun)

    def death(self):
        begun = time.monotonic()
        before = self.server.kill("dataplane")

        def serves():
            return (self.server.pid_of("dataplane") not in (None, before) and
                    self.server.show("stats")["dataplane_attached"])
        pnslab.wait_until(lambda: self.ask(serves), 10, "the dataplane is back")
        return Event("SIGKILL", begun, time.monotonic() - begun)

    def moves(self, session, direction):
        key = "rx_bytes" if direction == "up" else "tx_bytes"
        before = self.find(session)[key]
        pnslab.wait_until(lambda: self.find(session)[key] > before + (1 << 20), 20, "the transfer moves")

    def carry(self, mode, direction):
        """A session, a transfer, all outages: event → seconds until it was back, or None."""
        shown_as, words = self.modes[mode]
        session = self.connect(kernel_mode=True, **words)
        known = self.find(session)
        self.assertEqual(known["mppe"], shown_as)
        # pppd's queue of three packets makes TCP lose packets of its own whenever its window grows.
        self.guest.run(f"ip link set {session.interface} txqueuelen 1000")
        pings = None
        if "stateful" in mode:
            pings = self.guest.start(f"echo $$ >/tmp/pings.pid; exec ping -q -i 0.05 {HOST}", 700)
        transfer = Transfer(self.lab, self.guest, direction)
        self.moves(session, direction)
        begun = time.monotonic()  # iperf3's clock has started before
        events = []
        time.sleep(BEFORE)
        for act in [*(lambda s=s: self.outage(s) for s in OUTAGES), self.death]:
            time.sleep(BEFORE)
            event = act()
            events.append(event)
            time.sleep(AFTER + 2 * event.seconds)
        rates = transfer.end()
        if pings:
            self.guest.run("kill -INT $(cat /tmp/pings.pid)")
            pings.wait(5)
        # By iperf3's clock an event may be so much earlier than by ours, and an interval more.
        earliest = [event.at - begun - INTERVAL for event in events] + [rates[-1].start]
        found = {event.name: recovery_of(rates, earliest[i], earliest[i + 1], event.seconds)
                 for i, event in enumerate(events)}
        self.tell(mode, direction, events, rates, found)
        # No call has ended, and pings are answered.
        self.assertEqual(self.find(session)["id"], known["id"])
        self.assertEqual(self.ping(self.guest, HOST), (3, 3), mode)
        session.hang_up()
        self.server.wait_sessions(0)
        return {e.name: (found[e.name], e.seconds) for e in events}

    def tell(self, mode, direction, events, rates, found):
        print(f"{mode}, {direction}, ports {self.lab.ports}, CPU {pnslab.host.cpu()}; Mbit/s each "
              f"{INTERVAL} s: {[round(r.octets * 8 / INTERVAL / 1e6) for r in rates]}")
        for event in events:
            back = found[event.name]
            print(f"  {event.name}: line away {event.seconds:.2f} s, "
                  f"{'never back' if back is None else f'back {back:.1f} s after that'}", flush=True)

    def compare(self, direction):
        if ALL and direction not in self.references:
            self.references[direction] = self.carry("clear", direction)
        reference = self.references.get(direction)
        for mode in self.modes if ALL else [mode for mode in self.modes if mode != "clear"]:
            results = reference if mode == "clear" else self.carry(mode, direction)
            for name, (back, seconds) in results.items():
                with self.subTest(mode=mode, direction=direction, outage=name):
                    self.assertIsNotNone(back, "never back")
                    if JUDGE_TIMES:
                        of_clear = reference[name][0] or 0
                        allowed = max(of_clear, seconds + FIRST_TIMEOUT) + RECOVERY + 2 * INTERVAL
                        self.assertLessEqual(back, allowed)


CLEAR = {"clear": ("none", {"security": theme.CLEAR})}


class Stateless(Loss):
    changes = {"ppp": PPP % "any"}
    modes = {**CLEAR, "MPPE-128 stateless": ("mppe128-stateless", {})}

    def test_upload(self):
        self.compare("up")

    def test_download(self):
        self.compare("down")


class Stateful(Loss):
    changes = {"ppp": PPP % "stateful"}
    modes = {**CLEAR, "MPPE-128 stateful": ("mppe128-stateful", {"options": ("mppe-stateful",)})}

    def test_stateful_upload(self):
        self.compare("up")

    def test_stateful_download(self):
        self.compare("down")


class Lines(crowd.Crowd):
    """Emulated clients (pns-loadgen): outages of many lines at once, and gaps of exact lengths."""
    changes = {**crowd.Crowd.changes, "ppp": """ppp:
  mtu: 1400
  auth: [mschapv2]
  mppe: {policy: prefer, key_bits: [128, 56, 40], mode: any}
"""}
    GAPS = (1, 64, 65, 100, 1000, 2047, 2048, 4095, 4096, 10000, 100000)  # packets

    def tearDown(self):
        super().tearDown()
        self.server.wait_sessions(0, 20)

    def go(self, *words, source=SOURCES[0]):
        return self.start("--concurrent", 60, "--ping", HOST, "--traffic", "udp", "--target", ECHO,
                          "--accept-loss", "100%", *words, source=source)

    def check(self, process, what, must=True):
        """Every session is up, gets answers and, if it must, has come back from everything. The part
        of the packets that were lost after it."""
        out, err = process.communicate(timeout=120)
        self.assertTrue(out, err)
        result = json.loads(out)
        for one in result["disturbances"]:
            times = {name: one[name] and [round(one[name][k], 1) for k in ("p50", "p99", "max")]
                     for name in ("first_answer_ms", "back_ms")}
            print(f"{what}, {'gap ' + str(one['gap']) if 'gap' in one else 'outage'}: "
                  f"{one['lost_after']} of {one['sent_after']} packets lost after it, "
                  f"{one['lost_per_session']} a session; first answer after {times['first_answer_ms']} "
                  f"ms, back after {times['back_ms']} ms (p50, p99, max); {one['never_back']} of "
                  f"{one['sessions']} never", flush=True)
            with self.subTest(what=what, gap=one.get("gap"), at=one["at_s"]):
                self.assertEqual((one["sessions"], one["unanswered"]), (result["sessions"], 0))
                if must:
                    self.assertEqual(one["never_back"], 0)
        self.assertEqual((result["up"], result["failed"], result["lost_calls"]),
                         (result["sessions"], {}, 0))
        lost, sent = (sum(d[key] for d in result["disturbances"]) for key in ("lost_after", "sent_after"))
        return lost / sent

    def outage(self, sessions, rate, burst=1):
        """Half a second without a packet, of `sessions` that send `rate` packets a second each. Where
        the machine is too slow for so many in the clear, nine of ten are not asked of the others."""
        lost_in_the_clear = 0
        for name, words in (("clear", ("--mppe", "none")), ("stateless", ()),
                            ("stateful", ("--mppe-mode", "stateful"))):
            process = self.go("--sources", 4, "--sessions", sessions, "--rate", rate, "--burst", burst,
                              "--duration", 6, "--outage", "2:0.5", *words)
            lost = self.check(process, f"{sessions} sessions at {rate} packets a second each, {name}",
                              must=lost_in_the_clear < 0.05)
            if name == "clear":
                lost_in_the_clear = lost

    def test_a_thousand_lines_at_once(self):
        for rate in (0.01, 5, 50) if ALL else (50,):  # 10, 5,000, 50,000 packets a second in total
            self.outage(1000, rate)

    def test_a_few_lines_with_many_packets(self):
        for sessions, rate, burst in ((10, 500, 1), (10, 5000, 1), (1, 50000, 8))[0 if ALL else 2:]:
            self.outage(sessions, rate, burst)

    def test_gaps_of_every_length(self):
        kinds = [("none",), *((bits, "--mppe-mode", mode) for bits in (40, 56, 128)
                              for mode in ("stateless", "stateful"))]
        gaps = ",".join(map(str, self.GAPS))
        processes = [self.go("--sessions", 1, "--rate", 100, "--duration", len(self.GAPS) + 1, "--gap",
                             gaps, "--mppe", *kind, source=source)
                     for kind, source in zip(kinds, SOURCES, strict=False)]
        for kind, process in zip(kinds, processes, strict=True):
            self.check(process, f"MPPE {kind[0]} {kind[-1]}")


if __name__ == "__main__":
    theme.main(Stateless, Stateful, Lines)
