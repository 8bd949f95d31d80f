# SPDX-License-Identifier: BSD-3-Clause
"""What happens to the server during a soak, besides calls that come and go. Each event is one method
of Events, which returns words for the record; `ROUGH` events end a process, `COMMON` ones do not."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import peer
import pnslab
from crowd import PROBE, SERVER
from peer import CHAP, IPCP, LCP, gre, message, ppp
from theme import HOST

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE.parent / "fuzz" / "corpus"
ATTACKER = "198.51.100.240"  # its limits are those of a stranger
VISITORS = "198.51.100.241"  # clients that come, and leave or die
BACK_SECONDS = 20  # within which both planes must serve again
DEATHS = ("reset", "close", "silent", "vanish", "deaf-ppp", "deaf-control")
ROUGH = ("kill_control", "kill_dataplane", "kill_both", "restart_control", "restart_dataplane",
         "restart_supervisor")
COMMON = ("link_down", "flood_gre", "flood_syn", "flood_arp", "flood_junk", "bad_messages", "bad_gre",
          "wrong_logins", "idle_connections", "request_flood", "echo_flood", "clear_calls", "visitors",
          "deaths")


class Events:
    """`lab`, `server`, `sampler` of the run; `chance`: its random numbers; `stop`: an Event that ends
    waiting; `seconds`: how long a flood lasts; `clearable_sources`: whose calls may be cleared."""

    def __init__(self, lab, server, sampler, chance, stop, seconds, clearable_sources):
        self.lab, self.server, self.sampler = lab, server, sampler
        self.chance, self.stop, self.seconds = chance, stop, seconds
        self.clearable_sources = clearable_sources
        self.starts = {"control": 1, "dataplane": 1, "supervisor": 1}  # that this run has asked for
        self.kills = {"control": 0, "dataplane": 0}
        self.cleared = {}  # server Call ID and peer of a call that was cleared on purpose → session id
        self.slowest_back = 0.0
        self.outages = 0.0  # seconds in which packets are lost for a reason of this run
        for address in (ATTACKER, VISITORS, PROBE):
            lab.inet.ip("address", "add", f"{address}/24", "dev", "br0")
        self.mac = None

    def happen(self, name):
        """Carries one event out; its words."""
        self.sampler.event = name
        try:
            return getattr(self, name)()
        finally:
            self.sampler.event = ""

    # ---- a plane dies, or is restarted

    def kill_control(self):
        return self.kill("control")

    def kill_dataplane(self):
        return self.kill("dataplane")

    def kill_both(self):
        return self.kill("control", "dataplane")

    def kill(self, *planes):
        """SIGKILL, half of the time under a flood."""
        flood = self.start_flood(self.chance.choice(("gre", "syn", "junk"))) if self.chance.random() < 0.5 \
            else None
        self.stop.wait(self.chance.uniform(0, 1.0))  # an instant that nothing has chosen
        pids = {plane: self.server.pid_of(plane) for plane in planes}
        began = time.monotonic()
        for plane, pid in pids.items():
            self.starts[plane] += 1
            self.kills[plane] += 1
            os.kill(pid, signal.SIGKILL)
        took = self.wait_back(began, pids)
        if "dataplane" in planes:
            self.outages += took + 0.5
        words = f"back after {took:.2f} s"
        return words + (f", under a flood: {self.end_flood(flood)}" if flood else "")

    def wait_back(self, began, pids):
        """Until both planes serve, those with other pids; seconds."""
        def serve():
            with contextlib.suppress(OSError, ValueError, KeyError):
                stats = self.sampler.ask("/v1/stats")
                return stats["dataplane_attached"] and stats["control_ready"] and \
                    all(stats[f"{plane}_pid"] != pid for plane, pid in pids.items())
            return False
        pnslab.wait_until(serve, BACK_SECONDS, f"{' and '.join(pids)} serve again")
        took = time.monotonic() - began
        self.slowest_back = max(self.slowest_back, took)
        return took

    def restart(self, what):
        self.starts[what] += 1
        words = self.server.restart(what).strip()
        if what == "dataplane":
            self.outages += 1.5
        return words

    def restart_control(self):
        return self.restart("control")

    def restart_dataplane(self):
        return self.restart("dataplane")

    def restart_supervisor(self):
        return self.restart("supervisor")

    # ---- the line

    def link_down(self):
        """The access port's line is unplugged for a second."""
        line = "wire0" if self.lab.ports == "tap" else "access1"
        began = time.monotonic()
        self.lab.inet.ip("link", "set", line, "down")
        try:
            self.stop.wait(1.0)
        finally:
            self.lab.inet.ip("link", "set", line, "up")
        took = time.monotonic() - began
        self.outages += took + 1.0
        return f"down for {took:.1f} s"

    # ---- floods of frames

    def server_mac(self):
        if self.mac is None:
            self.lab.inet.run("ping", "-c", "1", "-W", "2", SERVER, check=False)
            shown = json.loads(self.lab.inet.run("ip", "-json", "neigh", "show", SERVER, "dev", "br0").stdout)
            self.mac = shown[0]["lladdr"]
        return self.mac

    def start_flood(self, kind, rate=5000):
        command = [sys.executable, "-B", str(HERE.parent / "interop" / "flood.py"), "br0", self.server_mac(), kind,
                   f"{self.seconds:.1f}", str(rate), str(self.chance.randrange(1 << 30))]
        return kind, self.lab.start_in(self.lab.inet, *command, stdout=subprocess.PIPE, text=True)

    def end_flood(self, flood):
        kind, process = flood
        out, _ = process.communicate(timeout=self.seconds + 30)
        return f"{int(out):,} frames ({kind})"

    def flood(self, kind, rate=5000):
        return self.end_flood(self.start_flood(kind, rate))

    def flood_gre(self):
        return self.flood("gre")

    def flood_syn(self):
        return self.flood("syn", 1000)

    def flood_arp(self):
        return self.flood("arp", 2000)

    def flood_junk(self):
        return self.flood("junk")

    # ---- bad input

    def peer(self):
        return peer.Peer(self.lab.inet, ATTACKER, SERVER)

    def bad_messages(self):
        """TCP 1723: lengths, cookies and types that cannot be, noise, inputs of the fuzz targets."""
        inputs = [message(1, length=length)[:16] for length in (0, 1, 7, 20, 155, 1024, 32768, 65535)]
        inputs += [message(1, cookie=1), message(1, message_type=0), b"GET / HTTP/1.1\r\n\r\n",
                   b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + self.chance.randbytes(200),
                   peer.start_request(host=b"\x1b[2J\n\xff=\"evil" * 8), self.chance.randbytes(512)]
        inputs += [peer.start_request() + message(kind, self.chance.randbytes(8)) for kind in range(17)]
        for folder in ("stream_framer", "pptp_message", "control_connection"):
            inputs += [path.read_bytes() for path in sorted((CORPUS / folder).iterdir())]
        sent = 0
        for octets in inputs:
            for mutated in (octets, self.mutate(peer.start_request() + octets)):
                with contextlib.suppress(OSError), self.peer() as client:
                    client.send(mutated)
                    sent += 1
                    if sent % 3 == 0:
                        client.reset()
                    elif sent % 3 == 1:
                        client.tcp.shutdown(socket.SHUT_WR)
        return f"{sent} connections"

    def mutate(self, octets):
        octets = bytearray(octets)
        for _ in range(self.chance.randrange(1, 8)):
            octets[self.chance.randrange(len(octets))] = self.chance.randrange(256)
        return bytes(octets[:self.chance.randrange(1, len(octets) + 1)])

    def bad_gre(self):
        """GRE and PPP that may not be, on a call of its own that never logs in."""
        sent = 0
        with self.peer() as client:
            client.dial(1)
            call = client.server_call
            frame = ppp(LCP, 9, 1, bytes(4))
            packets = [gre(call, frame, 0, flags=bit) for bit in (0x8000, 0x4000, 0x0800, 0x0100, 0x0008)]
            packets += [gre(call, frame, 0, version=version) for version in (0, 2, 7)]
            packets += [gre(call, frame, 0, protocol=protocol) for protocol in (0x0800, 0)]
            packets += [gre(call, b"", 0, 0)[:cut] for cut in range(1, 16)]
            packets += [gre(call, b"1234", 0, length=length) for length in (0, 5000, 65535)]
            bodies = [ppp(LCP, 1, 30, options) for options in (b"\x05\x00", b"\x05\x01", b"\x01\xff", b"\x05")]
            bodies += [ppp(LCP, 1, 31, b"", length=100), ppp(LCP, 1, 32, b"\x63\x02" * 300), b"\xc0", b"\xff\x03",
                       b"\xff\x03\x00\x21" + bytes(1700), ppp(IPCP, 1, 1, b"\x03\x06\0\0\0\0"),
                       ppp(CHAP, 2, 1, b"\x31" + bytes(49) + b"alice"), ppp(CHAP, 2, 1, b"\x00" + b"a" * 1200)]
            bodies += [path.read_bytes()[:1400] for path in sorted((CORPUS / "ppp_control").iterdir())]
            bodies += [self.chance.randbytes(self.chance.randrange(1, 1400)) for _ in range(100)]
            for number, body in enumerate(bodies):
                packets.append(gre(call, body, number))
                packets.append(gre(call, self.mutate(body), self.chance.randrange(1 << 32)))
            for packet in packets:
                with contextlib.suppress(OSError):
                    client.send_gre(packet)
                    sent += 1
                time.sleep(0.002)  # 500 packets a second: each of them arrives
        return f"{sent} packets"

    # ---- clients that do not behave

    def loadgen(self, *words, user="alice", password="wonderland", source=VISITORS, timeout=120):
        """The report of a run of pns-loadgen; None when it told none."""
        command = [str(self.lab.binaries / "pns-loadgen"), "--server", SERVER, "--source", source, "--user",
                   user, "--password", password, *map(str, words)]
        process = self.lab.start_in(self.lab.inet, *command, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True)
        out, _ = process.communicate(timeout=timeout)
        return json.loads(out) if out.strip() else None

    def wrong_logins(self):
        report = self.loadgen("--sessions", 20, "--time-limit", 30, user="mallory{n}", password="guess",
                              source=ATTACKER)
        if report and report["up"]:
            raise pnslab.LabError(f"{report['up']} clients are up with a wrong password")
        return f"{report['failures']} refused"

    def idle_connections(self):
        self.loadgen("--sessions", 300, "--concurrent", 300, "--idle-connections", "--time-limit",
                     max(2, round(self.seconds)), source=ATTACKER)
        return "300 connections"

    def request_flood(self):
        """Requests for calls as fast as they are taken, on ten connections; then each is reset."""
        accepted = asked = 0
        for _ in range(10):
            with contextlib.suppress(OSError, AssertionError, TypeError), self.peer() as client:
                client.establish()
                client.send(*(peer.call_request(1 + i) for i in range(200)))
                asked += 200
                with contextlib.suppress(TimeoutError):
                    while (answer := client.receive(1)) is not None:
                        accepted += answer[0] == 8 and answer[1][16] == 1
                client.reset()
        return f"{asked} requests, {accepted} accepted"

    def echo_flood(self):
        """20,000 Echo-Requests at once: the server must close the connection."""
        with self.peer() as client:
            client.establish()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.send(b"".join(peer.echo_request(i) for i in range(20000)))
            answered = 0
            while client.receive(10) is not None:
                answered += 1
        if answered >= 20000:
            raise pnslab.LabError("20,000 Echo-Requests at once were all answered")
        return f"{answered} answered before the end"

    def clear_calls(self):
        """The operator ends three calls, whose clients dial again."""
        shown = [s for s in self.sampler.ask("/v1/sessions")
                 if s["state"] == "open" and s["peer"] in self.clearable_sources and s["uptime_s"] >= 5]
        chosen = self.chance.sample(shown, min(3, len(shown)))
        for session in chosen:
            self.server.clear(f"id={session['id']}")
            self.cleared[session["peer"], session["our_call_id"]] = session["id"]
        return f"{len(chosen)} calls"

    def visitors(self):
        report = self.loadgen("--sessions", 50, "--concurrent", 50, "--profile", "all", "--ping", HOST,
                              "--retry", 20, "--retry-wait", 0.5, "--hold", 2, "--time-limit", 60)
        if report is None or report["up"] < 50:
            raise pnslab.LabError(f"of 50 visitors {report and report['up']} came up: "
                                  f"{report and report['failed']}")
        return f"50 came up in {report['seconds']:.1f} s, and left"

    def deaths(self):
        kind = self.chance.choice(DEATHS)
        self.loadgen("--sessions", 20, "--concurrent", 20, "--profile", "all", "--ping", HOST, "--retry", 20,
                     "--retry-wait", 0.5, "--hold", 1, "--death", kind, "--death-time", 3, "--stray-gre", 20,
                     "--stray-time", 1, "--time-limit", 60)
        return f"20 clients ({kind})"


def shuffled(chance, names):
    """Names without end: each of them once, in any order, and again. None when there is none."""
    while names:
        bag = list(names)
        chance.shuffle(bag)
        yield from bag

