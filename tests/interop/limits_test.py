#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""One source floods, in every way that has a limit (docs/limits.md). Meanwhile clients of another source
are answered within 0.1 s, and no established call is lost. Numbers in names are the rows of
docs/compliance/bad-input.md."""
import collections
import contextlib
import multiprocessing
import os
import re
import select
import socket
import struct
import threading
import time

import crowd
import peer
import pnslab
import theme
from crowd import ECHO, PROBE, SERVER, SOURCES
from theme import HOST

WITNESSES = 20
FLOODER = "198.51.100.240"
EXEMPT = "198.51.100.241"  # in pptp.limits.exempt: its calls and messages reach what lies behind the limits
DENIED = "198.51.100.242"
QUICK = 0.1  # seconds to an answer
BUSY, CONNECTED = (4, 0), (1, 0)  # result and error of an Outgoing-Call-Reply (RFC 2637 §2.8)
IDLE_TIME, SET_UP_DEADLINE = 5, 6  # seconds, of this lab's file
CONNECTIONS = 1000  # of one source
FIRST_CALL = 20_000  # Call IDs of a flood: others than those of its neighbour behind the same address


class Probe(threading.Thread):
    """A new client every 50 ms until it is stopped: how long its answers took, in seconds."""

    def __init__(self, namespace):
        super().__init__(daemon=True)
        self.namespace, self.ended = namespace, threading.Event()
        self.starts, self.calls, self.failures = [], [], []

    def run(self):
        while not self.ended.wait(0.05):
            try:
                self.ask()
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))

    def ask(self):
        begun = time.monotonic()
        with peer.Peer(self.namespace, PROBE, SERVER) as client:
            client.establish()
            self.starts.append(time.monotonic() - begun)
            begun = time.monotonic()
            client.call(1)
            self.calls.append(time.monotonic() - begun)
            client.send(peer.message(12, struct.pack(">H", 1)))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join(20)


def cycle_calls(namespace, source, cycles, result):
    """Asks for so many calls and clears each; their replies' codes go to `result`."""
    window = 50  # at once; 2,000 calls on a connection are 4,000 messages
    codes = collections.Counter()
    for _ in range(cycles // 2000):
        with peer.Peer(namespace, source, SERVER) as client:
            client.establish()
            for _ in range(2000 // window):
                client.send(*(peer.call_request(FIRST_CALL + i) for i in range(window)))
                replies = [client.receive(30) for _ in range(window)]
                codes.update((reply[16], reply[17]) for _, reply in replies)
                up = [reply[14:16] for _, reply in replies if reply[16] == 1]
                client.send(*(peer.message(12, call) for call in up))
                for _ in up:
                    assert client.receive(30)[0] == 13
    result.put(codes)


def hold_connections(namespace, source, count, result):
    """Opens so many connections, 200 at once, says Start on each, and nothing more. Tells how many there
    were; ends when the server has closed them all."""
    poll = select.epoll()
    open_now = {}
    connecting = set()
    opened = left = 0
    with peer.inside(namespace):
        while opened < count or open_now:
            while opened < count and len(connecting) < 200:
                tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                tcp.bind((source, 0))
                tcp.connect_ex((SERVER, peer.PORT))
                open_now[tcp.fileno()] = tcp
                connecting.add(tcp.fileno())
                poll.register(tcp.fileno(), select.EPOLLOUT)
                opened += 1
            for number, _ in poll.poll(1):
                octets = b""
                with contextlib.suppress(ConnectionError):
                    if number in connecting:
                        connecting.discard(number)
                        poll.modify(number, select.EPOLLIN)
                        octets = b"sent" if open_now[number].send(peer.start_request()) else b""
                    else:
                        octets = open_now[number].recv(65536)
                if not octets:
                    poll.unregister(number)
                    open_now.pop(number).close()
            if opened == count and not connecting and not left:
                left = 1
                result.put(opened)


def send_bursts(namespace, source, connections, requests):
    """Sends so many requests on each of so many connections as fast as they are taken."""
    octets = b"".join(peer.call_request(FIRST_CALL + i) for i in range(requests))
    poll = select.epoll()
    left = {}
    for _ in range(connections):
        client = peer.Peer(namespace, source, SERVER).establish()
        client.tcp.setblocking(False)
        # The lab's wire is a queue of 20,000 frames, shared with the other clients: a flood that fills it
        # would show the wire's delay and not the server's.
        client.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        left[client.tcp.fileno()] = [client, memoryview(octets)]
        poll.register(client.tcp.fileno(), select.EPOLLIN | select.EPOLLOUT)
    while left:
        for number, events in poll.poll(1):
            client, rest = left[number]
            try:
                if events & select.EPOLLOUT and rest:
                    left[number][1] = rest[client.tcp.send(rest):]
                if events & select.EPOLLIN and not client.tcp.recv(1 << 20):
                    raise ConnectionError
            except BlockingIOError:
                continue
            except ConnectionError:
                poll.unregister(number)
                left.pop(number)[0].close()


class Limits(crowd.Crowd):
    users = {"alice": "wonderland", "bob": "builder"}
    changes = {
        **crowd.Crowd.changes,
        "pptp": f"""pptp:
  max_connections: 12000
  limits:
    connections: {CONNECTIONS}
    idle_connection_time: {IDLE_TIME}s
    set_up_deadline: {SET_UP_DEADLINE}s
    deny: [{DENIED}/32]
    exempt: [{EXEMPT}/32]
""",
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for address in (FLOODER, EXEMPT, DENIED):
            cls.lab.inet.ip("address", "add", f"{address}/24", "dev", "br0")

    def setUp(self):
        self.witnesses = self.start("--sources", 4, "--sessions", WITNESSES, "--profile", "all", "--ping",
                                    HOST, "--traffic", "udp", "--target", ECHO, "--rate", 5,
                                    "--duration", 600, "--accept-loss", "0.5%")
        self.neighbour = self.start("--sessions", 1, "--ping", HOST, "--hold", 600, "--time-limit", 600,
                                    source=FLOODER)
        self.wait_up(WITNESSES + 1)
        self.known = {s["id"] for s in self.server.sessions()}
        self.counters = peer.Counters(self.server)
        self.log_begins = self.server.log_file.stat().st_size

    def tearDown(self):
        try:
            # Every call that was up before is up, those behind the flooder's address too.
            self.assertLessEqual(self.known, {s["id"] for s in self.server.sessions()})
            for process in (self.witnesses, self.neighbour):
                self.assertIsNone(process.poll())
                process.terminate()
                _, result = self.finish(process)
                self.assertEqual((result["lost_calls"], result["failures"]), (0, 0), result)
            self.server.wait_sessions(0, 30)
            stats = self.server.show("stats")
            self.assertEqual((stats["control_starts"], stats["dataplane_starts"]), (1, 1))
            self.audit()
        finally:
            for process in (self.witnesses, self.neighbour):
                pnslab.end(process)
        super().tearDown()

    def flood(self, function, *words):
        """Starts a flood in a process of its own: (process, what it tells)."""
        told = multiprocessing.Queue()
        words = (self.lab.inet, *words, told) if function is not send_bursts else (self.lab.inet, *words)

        def run():
            os.nice(5)  # a flood comes from other machines: it must not take the server's CPUs
            function(*words)
        process = multiprocessing.Process(target=run, daemon=True)
        process.start()

        def end():
            if process.is_alive():
                os.kill(process.pid, 9)
            process.join(10)
        self.addCleanup(end)
        return process, told

    def quick(self, probe, clients):
        """Clients of another source were answered, quickly. The lab's machine may stall now and then."""
        self.assertEqual(probe.failures, [])
        self.assertGreaterEqual(len(probe.calls), clients)
        for what, times in (("Start-Control-Connection-Reply", probe.starts),
                            ("Outgoing-Call-Reply", probe.calls)):
            times = sorted(times)
            middle, most, longest = times[len(times) // 2], times[len(times) * 95 // 100], times[-1]
            print(f"{self._testMethodName}: {len(times)} clients got {what} in {middle * 1000:.1f} ms, 95 % "
                  f"in {most * 1000:.1f} ms, all in {longest * 1000:.1f} ms", flush=True)
            self.assertLess(most, QUICK, what)

    def ends(self, kind, reason):
        return self.counters.grown(f"pns_{kind}_ends_total", reason=reason)

    def lines(self, text):
        with open(self.server.log_file, encoding="utf-8", errors="replace") as log:
            log.seek(self.log_begins)
            return [line for line in log if text in line]

    # ---- cases

    def test_24_25_100000_calls_do_not_use_up_the_call_ids(self):
        begun = time.monotonic()
        with Probe(self.lab.inet) as probe:
            process, told = self.flood(cycle_calls, EXEMPT, 100_000)
            codes = told.get(timeout=120)
            process.join(10)
        took = time.monotonic() - begun
        print(f"100,000 calls in {took:.1f} s", flush=True)
        self.assertEqual(codes, {CONNECTED: 100_000})
        self.assertEqual(self.ends("call", "no_call_id"), 0)
        self.quick(probe, 50)
        # The log tells of a bounded number of them, and how many it left out.
        told = self.lines('event="call ended"')
        self.assertLess(len(told), 2 * 20 * (took + 2))
        self.assertTrue(any(int(n) > 100 for line in told for n in re.findall(r"suppressed=(\d+)", line)))

    def test_24_calls_over_the_rate_are_busy(self):
        begun = time.monotonic()
        with Probe(self.lab.inet) as probe:
            process, told = self.flood(cycle_calls, FLOODER, 10_000)
            codes = told.get(timeout=60)
            took = time.monotonic() - begun
            process.join(10)
        print(f"codes of the replies: {dict(codes)}", flush=True)
        self.assertEqual(set(codes), {CONNECTED, BUSY})
        self.assertEqual(self.ends("call", "call_rate"), codes[BUSY])
        self.assertLessEqual(codes[CONNECTED], 2000 + 100 * (took + 1))  # the defaults of new_calls
        self.quick(probe, 20)
        shown = self.server.show("sources")[0]
        self.assertEqual((shown["source"], shown["limited_new_calls"]), (FLOODER, codes[BUSY]))

    def test_14_20000_idle_connections(self):
        with Probe(self.lab.inet) as probe:
            halves = [self.flood(hold_connections, FLOODER, 10_000) for _ in range(2)]
            self.assertEqual(sum(told.get(timeout=60) for _, told in halves), 20_000)
            pnslab.wait_until(lambda: self.ends("connection", "source_connections") >= 15_000, 30,
                              "15,000 are refused")
            self.assertLess(self.server.show("stats")["connections"], CONNECTIONS + 100)
            # Those that were accepted have a time without a call.
            pnslab.wait_until(lambda: self.ends("connection", "connection_idle") >= CONNECTIONS - 1, 30,
                              "those that are left are closed")
            for process, _ in halves:
                process.join(20)
        self.quick(probe, 50)
        pnslab.wait_until(lambda: self.server.show("stats")["connections"] < WITNESSES + 5, 10,
                          "none is left")

    def test_65_128_connections_that_send_5000_requests_at_once(self):
        with Probe(self.lab.inet) as probe:
            process, _ = self.flood(send_bursts, FLOODER, 128, 5000)
            pnslab.wait_until(lambda: len(probe.calls) >= 100 or probe.failures, 40, "100 clients call")
            self.assertTrue(process.is_alive())  # it was at it all the time
        self.quick(probe, 100)
        limited = self.server.show("sources")[0]
        self.assertEqual(limited["source"], FLOODER)
        self.assertGreater(limited["limited_messages"], 0)
        os.kill(process.pid, 9)
        process.join(10)
        pnslab.wait_until(lambda: self.server.show("stats")["connections"] < WITNESSES + 5, 60,
                          "its connections are gone")

    def test_48_lcp_that_is_renegotiated_for_ever(self):
        with peer.Peer(self.lab.inet, PROBE, SERVER) as client:
            begun = time.monotonic()
            client.dial()
            client.open_lcp()
            ended = None
            while ended is None and time.monotonic() < begun + 3 * SET_UP_DEADLINE:
                client.send_ppp(peer.ppp(peer.LCP, 1, 9, b"\x05\x06\x12\x34\x56\x78"))
                with contextlib.suppress(TimeoutError):
                    while True:
                        protocol, code, identifier, data = client.receive_ppp(0.3)
                        if protocol == peer.LCP and code in (1, 5):  # agrees to all, Terminate too
                            client.send_ppp(peer.ppp(peer.LCP, code + 1, identifier, data))
                with contextlib.suppress(TimeoutError):
                    ended = client.receive(0.01)
            took = time.monotonic() - begun
        self.assertIsNotNone(ended)
        self.assertEqual(ended[0], 13)
        self.assertLess(took, SET_UP_DEADLINE + 2)
        self.assertGreater(took, SET_UP_DEADLINE - 1)
        self.assertEqual(self.ends("call", "set_up_timeout"), 1)

    def test_46_10000_wrong_passwords_and_a_right_one(self):
        guesser = self.start("--sessions", 10_000, "--concurrent", 48, "--time-limit", 100, user="alice",
                             password="wrong", source=EXEMPT)
        pnslab.wait_until(lambda: self.ends("call", "auth_throttled") > 500, 60, "guesses are throttled")
        begun = time.monotonic()
        _, result = self.finish(self.start("--sessions", 1, "--call-id-from-port", "--ping", HOST,
                                           user="bob", password="builder", source=EXEMPT))
        print(f"the right password: up and gone in {time.monotonic() - begun:.2f} s", flush=True)
        self.assertEqual((result["up"], result["failures"]), (1, 0), result)
        self.assertIsNone(guesser.poll())  # it was at it all the time
        _, result = self.finish(guesser)
        self.assertEqual(result["up"], 0)
        judged = self.ends("call", "auth_failed")
        self.assertLess(judged, 200)
        self.assertGreater(judged + self.ends("call", "auth_throttled"), 9_900)

    def test_denied_sources_are_closed_at_accept(self):
        with peer.Peer(self.lab.inet, DENIED, SERVER) as client:
            with contextlib.suppress(OSError):
                client.send(peer.start_request())
            self.assertTrue(client.closed_within(2))
        self.assertEqual(self.ends("connection", "source_denied"), 1)


if __name__ == "__main__":
    theme.main(Limits)
