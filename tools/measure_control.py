#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measures what calls cost the control process: set-up, many calls on one connection, take-over after
SIGKILL, tear-down, turns of its event loop, memory. Prints one line for each figure, and JSON with --json.

usage: sudo tools/measure_control.py [--binaries DIR] [--ports tap|xdp|auto] [--sessions N] [--concurrent N]
       [--calls-per-connection N] [--profile NAME] [--calls N[,N…]] [--runs N] [--json FILE] [PART…]
PART: setup, pac, takeover, teardown, turns, memory (default: all, in this order)

Server and clients (pns-loadgen) run in network namespaces of the laboratory (tests/interop/pnslab) and
share the machine's cores. So set-ups a second are those of all of them together; CPU time is that of
pns-control alone (/proc/PID/task/*/schedstat, ns). Writes to the store are counted in a run of their
own, with strace where it is there. Needs root and what pnslab needs; exit status 77 says what is missing.
"""
import argparse
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "interop"))

import pnslab  # noqa: E402
from crowd import PROBE, SERVER, SOURCES, UNLIMITED, Statistics, wait_new_client  # noqa: E402
from theme import HOST  # noqa: E402

PARTS = ("setup", "pac", "takeover", "teardown", "turns", "memory")
PPP = """ppp:
  mtu: 1400
  auth: [mschapv2]
  mppe: {policy: require, key_bits: [128], mode: any}
"""


class SlowestAnswer(threading.Thread):
    """Asks for the statistics every 20 ms until it is stopped; keeps the longest wait, in ms."""

    def __init__(self, run_dir):
        super().__init__(daemon=True)
        self.run_dir = run_dir
        self.ended = threading.Event()
        self.waits = []

    def run(self):
        while not self.waits or not self.ended.wait(0.02):
            begun = time.monotonic()
            with contextlib.suppress(OSError, http.client.HTTPException):
                Statistics(self.run_dir, 30).ask()
                self.waits.append((time.monotonic() - begun) * 1000)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join(60)


class StoreWrites:
    """Counts pwrite64() of a process while it is open; `count` is None where strace may not look. It
    slows the process down, so nothing else is measured meanwhile."""

    def __init__(self, pid, directory):
        self.pid = pid
        self.output = directory / "strace.txt"
        self.count = None
        self.process = None

    def __enter__(self):
        if shutil.which("strace"):
            self.process = subprocess.Popen(
                ["strace", "-f", "-c", "-e", "trace=pwrite64", "-o", str(self.output), "-p", str(self.pid)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            self.process.stderr.readline()  # "… attached"
        return self

    def __exit__(self, *_):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        with contextlib.suppress(OSError):
            for line in self.output.read_text().splitlines():
                if line.endswith("pwrite64"):
                    self.count = int(line.split()[3])


def cpu_ms(pid):
    """CPU time of all threads of a process so far."""
    total = 0
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            total += int(path.read_text().split()[0])
    return total / 1e6


def resident_kib(pid, name="VmRSS"):
    """VmRSS is all of it: RssAnon, the process's own, and what it maps, RssFile and RssShmem."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", text)[1])


def load_average():
    return pathlib.Path("/proc/loadavg").read_text().split()[0]


class Measurement:
    def __init__(self, options):
        self.options = options
        self.figures = []
        most = max([options.sessions, *options.calls]) + 64
        self.lab = pnslab.Lab(options.ports, options.binaries)
        try:
            self.loadgen = options.loadgen or self.lab.binaries / "pns-loadgen"
            for address in [*SOURCES, PROBE]:
                self.lab.inet.ip("address", "add", f"{address}/24", "dev", "br0")
            slots = 1 << max(12, most.bit_length())
            self.server = self.lab.start_server({"alice": "wonderland"}, {
                "dataplane": f"dataplane: {{max_sessions: {slots}}}\n",
                "pools": "pools:\n  default: {ranges: [10.64.0.2-10.64.255.254], gateway: 10.64.0.1}\n",
                "pptp": f"pptp: {{max_connections: {2 * most}, {UNLIMITED}}}\n",
                "ppp": PPP})
            # The first packets to the intranet's host wait for its MAC address, 16 at most. A client
            # whose ping is not among them asks again after a second (docs/loadgen.md).
            first = self.clients(1)
            self.wait_up(first, 1)
            self.finish(first)
        except BaseException:
            self.lab.close()
            raise

    # ---- helpers

    def tell(self, part, what, value, unit):
        self.figures.append({"part": part, "what": what, "value": value, "unit": unit,
                             "load": load_average()})
        print(f"{part:9} {what:52} {value:>10} {unit}", flush=True)

    @property
    def control(self):
        return self.server.pid_of("control")

    def start(self, *words):
        command = [str(self.loadgen), "--server", SERVER, "--source", SOURCES[0], "--user", "alice",
                   "--password", "wonderland", "--ping", HOST, *map(str, words)]
        log = open(self.lab.directory / "loadgen.log", "ab")  # noqa: SIM115 (the process has it)
        return self.lab.start_in(self.lab.inet, *command, stdout=subprocess.PIPE, stderr=log, text=True)

    def clients(self, count, *words):
        words = words or ("--concurrent", min(count, self.options.concurrent))
        kind = ["--profile", self.options.profile]
        if self.options.calls_per_connection > 1:
            kind = ["--role", "pac", "--calls-per-connection", self.options.calls_per_connection]
        return self.start("--sources", 4, "--sessions", count, *kind, "--mppe", 128,
                          "--hold", 600, "--time-limit", 900, *words)

    def wait_up(self, process, count):
        def up():
            if process.poll() is not None:
                raise pnslab.LabError(f"pns-loadgen ended: {process.communicate()[0]}")
            return Statistics(self.server.run_dir, 30).ask()["sessions_by_phase"]["open"] >= count
        pnslab.wait_until(up, 300, f"{count} sessions are open")

    def finish(self, process):
        """Hangs up everything; the report of the clients."""
        process.terminate()
        out, _ = process.communicate(timeout=300)
        self.wait_gone()
        return json.loads(out)

    def wait_gone(self):
        def gone():
            return not any(Statistics(self.server.run_dir, 30).ask()["sessions_by_phase"].values())
        pnslab.wait_until(gone, 300, "no session is left")
        pnslab.wait_until(lambda: not self.server.show("connections"), 60, "no connection is left")

    def losses(self):
        """Counters of the server that say that something was lost: name and labels → count."""
        return {name: float(count) for name, count in re.findall(
            r"^(pns_\w*(?:drop|lost|stale|failure)\w*(?:{[^}]*})?) (\S+)$", self.server.metrics(),
            re.MULTILINE)}

    def kernel_losses(self):
        return self.lab.kernel_losses()

    def set_up(self, part, label, count, process_of):
        """Starts clients and waits until all are up. Tells their cost; (clients, CPU ms for each)."""
        before = self.losses()
        began, cpu = time.monotonic(), cpu_ms(self.control)
        process = process_of()
        self.wait_up(process, count)
        took, cpu = time.monotonic() - began, cpu_ms(self.control) - cpu
        self.tell(part, f"{label}: control's CPU for a call", f"{cpu / count:.3f}", "ms")
        self.tell(part, f"{label}: set-ups a second, all together", f"{count / took:.0f}", "1/s")
        grown = {name: int(n - before.get(name, 0)) for name, n in self.losses().items()
                 if n > before.get(name, 0)}
        return process, cpu / count, grown

    # ---- parts

    def setup(self):
        for run in range(1, self.options.runs + 1):
            label = f"run {run}, {self.options.sessions} MS-CHAPv2 + MPPE"
            process, _, losses = self.set_up("setup", label, self.options.sessions,
                                            lambda: self.clients(self.options.sessions))
            report = self.finish(process)
            times = report["set_up_ms"]
            self.tell("setup", f"{label}: set-up p50 / p99 / max",
                      f"{times['p50']:.0f}/{times['p99']:.0f}/{times['max']:.0f}", "ms")
            self.tell("setup", f"{label}: clients that asked twice", report["with_retransmissions"], "")
            # A second is a restart timer of PPP: somebody did not hear something.
            if report["with_retransmissions"] or times["max"] > 900:
                self.tell("setup", f"{label}: losses of the server", json.dumps(losses), "")
                self.tell("setup", f"{label}: losses of the kernel", self.kernel_losses(), "")
                self.tell("setup", f"{label}: drops of the clients' sockets",
                          report["gre"]["socket_drops"], "")

        count = min(100, self.options.sessions)
        for crowd in (1, min(64, count)):
            with StoreWrites(self.control, self.lab.directory) as writes:
                process = self.clients(count, "--concurrent", crowd)
                self.wait_up(process, count)
            if writes.count is not None:
                self.tell("setup", f"{count} set-ups, {crowd} at a time: pwrite64 for each",
                          f"{writes.count / count:.2f}", "")
            self.finish(process)

    def pac(self):
        cost = {}
        for count in self.options.calls:
            label = f"{count} calls on one connection"
            before = resident_kib(self.control)
            process, cost[count], _ = self.set_up("pac", label, count, lambda n=count: self.start(
                "--role", "pac", "--sessions", n, "--calls-per-connection", n, "--concurrent", n,
                "--mppe", 128, "--hold", 600, "--time-limit", 900))
            used = resident_kib(self.control) - before
            self.tell("pac", f"{label}: more VmRSS for each", f"{used / count:.1f}", "KiB")
            self.finish(process)
        if len(cost) > 1:
            few, many = min(cost), max(cost)
            self.tell("pac", f"a call among {many} costs, against one among {few}",
                      f"{cost[many] / cost[few]:.2f}", "times")

    def takeover(self):
        process = self.clients(self.options.sessions)
        self.wait_up(process, self.options.sessions)
        phases = {}
        served = []
        for _ in range(self.options.runs):
            starts = self.log_lines("control serves")
            killed = time.monotonic()
            self.server.kill("control")
            wait_new_client(self.lab, 30)
            served.append((time.monotonic() - killed) * 1000)
            pnslab.wait_until(lambda n=starts: len(self.log_lines("control serves")) > len(n), 30,
                              "the successor says how long it took")
            for name, value in re.findall(r"(\w+)_ms=(\S+)", self.log_lines("control serves")[-1]):
                phases.setdefault(name, []).append(float(value))
            self.wait_up(process, self.options.sessions)
            time.sleep(1)  # the supervisor waits longer after a start that did not last
        label = f"{self.options.sessions} calls"
        for name, values in phases.items():
            self.tell("takeover", f"{label}: {name} (median)", f"{statistics.median(values):.0f}", "ms")
        self.tell("takeover", f"{label}: SIGKILL to a new client served (each)",
                  "/".join(f"{t:.0f}" for t in served), "ms")
        report = self.finish(process)
        self.tell("takeover", f"{label}: calls lost", report["lost_calls"], "")

    def log_lines(self, event):
        return [line for line in self.server.log_file.read_text(errors="replace").splitlines()
                if f'event="{event}"' in line]

    def teardown(self):
        process = self.clients(self.options.sessions)
        self.wait_up(process, self.options.sessions)
        label = f"{self.options.sessions} calls hang up at once"
        with SlowestAnswer(self.server.run_dir) as asked:
            began, cpu = time.monotonic(), cpu_ms(self.control)
            process.terminate()
            pnslab.wait_until(lambda: not any(Statistics(self.server.run_dir, 30).ask()[
                "sessions_by_phase"].values()), 300, "no session is left")
            took, cpu = time.monotonic() - began, cpu_ms(self.control) - cpu
        process.communicate(timeout=300)
        self.tell("teardown", f"{label}: until none is left", f"{took:.2f}", "s")
        self.tell("teardown", f"{label}: control's CPU for a call",
                  f"{cpu / self.options.sessions:.3f}", "ms")
        self.tell("teardown", f"{label}: slowest answer to show stats", f"{max(asked.waits):.0f}", "ms")
        self.wait_gone()

    def turns(self):
        """The longest turn of the event loop while the operator asks for everything."""
        process = self.clients(self.options.sessions)
        self.wait_up(process, self.options.sessions * 99 // 100)  # some time out on a busy machine
        time.sleep(2)
        label = f"{self.server.open_sessions()} calls"
        for words in (["audit"], ["show", "sessions"], ["show", "session", "alice"], ["show", "connections"],
                      ["show", "sources"], ["show", "stats"], ["show", "workers"], ["show", "ports"],
                      ["show", "pools"], ["show", "config"]):
            before = self.turn_counts()
            began = time.monotonic()
            for _ in range(self.options.runs):
                self.command(*words, "--json")
            took = (time.monotonic() - began) / self.options.runs
            name = f"{label}: pns {' '.join(words)} --json"
            self.tell("turns", f"{name}: longest turn is at most", self.longest_turn(before), "ms")
            self.tell("turns", f"{name}: answer", f"{took * 1000:.0f}", "ms")
        before = self.turn_counts()
        self.server.metrics()
        self.tell("turns", f"{label}: a scrape: longest turn is at most", self.longest_turn(before), "ms")
        before = self.turn_counts()
        self.command("drain", "--no-wait")
        time.sleep(5)  # it looks at the calls once a second
        self.command("drain", "--cancel")
        self.tell("turns", f"{label}: drain: longest turn is at most", self.longest_turn(before), "ms")
        before = self.turn_counts()
        self.command("call", "clear", "alice")
        self.finish(process)
        self.tell("turns", f"{label}: pns call clear alice: longest turn is at most",
                  self.longest_turn(before), "ms")

    def command(self, *words):
        """A command of pns, which must succeed."""
        subprocess.run([self.server.pns, *words, "--run-dir", str(self.server.run_dir)],
                       stdout=subprocess.DEVNULL, check=True, timeout=60)

    def turn_counts(self):
        """Turns of the event loop by the upper bound of their CPU time, in ms."""
        counts = {}
        last = 0
        for bound, count in re.findall(r'^pns_control_loop_turn_seconds_bucket{le="([^"]+)"} (\d+)',
                                       self.server.metrics(), re.MULTILINE):
            counts[float(bound) * 1000] = int(count) - last
            last = int(count)
        return counts

    def longest_turn(self, before):
        now = self.turn_counts()
        return max(bound for bound in now if now[bound] > before[bound])

    def memory(self):
        self.server.restart("control")  # what earlier parts left is no matter of this one
        time.sleep(1)
        count = self.options.sessions
        before = resident_kib(self.control)
        parts = ("RssAnon", "RssShmem")
        parts_before = {part: resident_kib(self.control, part) for part in parts}
        process = self.clients(count)
        self.wait_up(process, count)
        full = resident_kib(self.control)
        self.tell("memory", f"{count} calls: VmRSS for each", f"{(full - before) / count:.2f}", "KiB")
        for part in parts:
            used = resident_kib(self.control, part) - parts_before[part]
            self.tell("memory", f"{count} calls: {part} for each", f"{used / count:.2f}", "KiB")
        self.tell("memory", f"{count} calls: VmRSS", full, "KiB")
        self.finish(process)
        # Memory goes back some seconds after the sessions.
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and resident_kib(self.control) > before + (full - before) / 3:
            time.sleep(0.5)
        self.tell("memory", "after they have hung up: VmRSS", resident_kib(self.control), "KiB")
        self.tell("memory", "after they have hung up: RssAnon",
                  resident_kib(self.control, "RssAnon"), "KiB")
        self.tell("memory", "before they dialled: VmRSS", before, "KiB")
        self.tell("memory", "before they dialled: RssAnon", parts_before["RssAnon"], "KiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", help="directory of pns and its planes (default: build/bin)")
    parser.add_argument("--ports", choices=("tap", "xdp", "auto"), default="tap", help="of the lab (tap)")
    parser.add_argument("--loadgen", type=pathlib.Path, help="pns-loadgen of another build")
    parser.add_argument("--sessions", type=int, default=400, help="calls of one run (400)")
    parser.add_argument("--concurrent", type=int, default=64, help="set-ups at once (64)")
    parser.add_argument("--calls-per-connection", type=int, default=1,
                        help="above 1: access concentrators with so many calls each (1); for more calls than "
                        "a process may have descriptors")
    parser.add_argument("--profile", default="windows", help="of the clients (windows)")
    parser.add_argument("--calls", default="500,1000", help="calls on one connection (500,1000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of setup, kills of takeover (3)")
    parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    options.calls = [int(word) for word in options.calls.split(",")]
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    try:
        measurement = Measurement(options)
    except pnslab.Missing as missing:
        print(f"skipped: {missing}", file=sys.stderr)
        return 77
    with measurement.lab:
        print(f"load average before: {load_average()}", flush=True)
        for part in PARTS:
            if not options.parts or part in options.parts:
                getattr(measurement, part)()
        print(f"load average after: {load_average()}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(measurement.figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
