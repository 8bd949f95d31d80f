#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the kinds of ports without a NIC carry, one beside the other, on veth pairs: `pns run` with xdp: and
with net_af_packet ports (and tap: ones, which are no veth), clients of pns-loadgen, every datagram echoed.
kernel: is xdp: for access and the host's own IP stack for core. --tcp measures TCP of real clients instead.
A measurement, not a test: docs/real-nics.md has its numbers. Needs root, huge pages and a quiet machine.

usage: port_speed.py [--kinds xdp,af_packet,tap,kernel] [--sizes 128,1396] [--seconds 8] [--json FILE]
       port_speed.py --tcp 1,32 [--kinds xdp,kernel] [--seconds 8]

The offered rate rises from step to step, until more than --most-loss of the datagrams have no answer. Of
each step: packets a second through the server (up and down are two), loss, CPU time of the dataplane in all and
for each packet, round trip of the datagrams; before the steps, round trips of pings on an idle server.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import pnslab
from pnslab import lab as labs

SERVER, SOURCE = labs.ACCESS, "198.51.100.202"
ECHO = f"{labs.HOST}:7000"
SESSIONS = 100
RATES = (5_000, 10_000, 20_000, 30_000, 40_000, 60_000, 80_000, 120_000, 160_000)  # datagrams a second
CONFIG = {
    "dataplane": "dataplane: {max_sessions: 1024}\n",
    "pools": "pools:\n  default: {ranges: [10.64.0.2-10.64.3.254], gateway: 10.64.0.1}\n",
}
# Frames and blocks that a burst does not overrun at once; the default is 512.
AF_PACKET = f"""ports:
  access: {{device: "net_af_packet0,iface=access0,framecnt=4096,blocksz=65536", addresses: [{SERVER}/24]}}
  core: {{device: "net_af_packet1,iface=core0,framecnt=4096,blocksz=65536", addresses: [{labs.CORE}/24]}}
"""
KERNEL = """ports:
  access: {device: "xdp:access0"}
  core: {device: "kernel:pns0"}
"""
# The kernel must not answer on the interfaces themselves for the addresses of the twins beside them.
# Packet sockets are served before this hook.
SILENCE = """table netdev silence {
  chain access { type filter hook ingress device access0 priority 0; policy drop; }
  chain core { type filter hook ingress device core0 priority 0; policy drop; }
}
"""


class Bench:
    """A lab with a server on one kind of ports. `clients`: of a guest, instead of pns-loadgen."""

    def __init__(self, kind, binaries, clients=0):
        self.lab = pnslab.Lab("tap" if kind == "tap" else "xdp", binaries)
        try:
            changes = dict(CONFIG)
            if kind == "kernel":
                changes["ports"] = KERNEL
                self.lab.pns.sysctl("net/ipv4/ip_forward", "1")
            if kind == "af_packet":
                changes["ports"] = AF_PACKET
                for interface, address in (("access0", SERVER), ("core0", labs.CORE)):
                    self.lab.pns.ip("address", "del", f"{address}/24", "dev", interface)
                rules = self.lab.directory / "silence.nft"
                rules.write_text(SILENCE)
                self.lab.pns.run("nft", "-f", str(rules))
            self.server = self.lab.start_server({"alice": "wonderland"}, changes)
            if clients:
                self.guest = self.lab.start_guest(clients)
                self.guest.wait_boot()
                return
            self.lab.inet.ip("address", "add", f"{SOURCE}/24", "dev", "br0")
            echo = self.lab.start_in(self.lab.intranet, str(self.lab.binaries / "pns-loadgen"), "echo",
                                     "--listen", ECHO, stdout=subprocess.PIPE)
            if echo.stdout.readline() != b"ready\n":
                raise pnslab.LabError("pns-loadgen echo is not ready")
        except BaseException:
            self.lab.close()
            raise

    def cpu_seconds(self):
        """Of the dataplane."""
        fields = pathlib.Path(f"/proc/{self.server.pid_of('dataplane')}/stat").read_text() \
            .rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def packets(self):
        return sum(w["access_rx"] + w["core_rx"] for w in self.server.show("workers"))

    def sample(self):
        return (time.monotonic(), self.packets(), self.cpu_seconds())

    def load(self, sessions, seconds, *words):
        """A run of pns-loadgen, and what changed in the middle of its traffic."""
        command = [str(self.lab.binaries / "pns-loadgen"), "--server", SERVER, "--source", SOURCE, "--user",
                   "alice", "--password", "wonderland", "--ping", labs.HOST, "--sessions", str(sessions),
                   "--duration", str(seconds), "--accept-loss", "100%", *map(str, words)]
        process = self.lab.start_in(self.lab.inet, *command, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True)
        pnslab.wait_until(lambda: self.server.open_sessions() == sessions, 60, f"{sessions} sessions")
        before = self.packets()
        pnslab.wait_until(lambda: self.packets() > before + 10, 20, "traffic flows")
        begun = self.sample()
        time.sleep(seconds - 2)  # the interval that is measured
        change = [now - then for then, now in zip(begun, self.sample())]
        result = json.loads(process.communicate(timeout=seconds + 60)[0])
        if result["up"] != sessions:
            raise pnslab.LabError(f"not all came up: {result['failed']}")
        self.server.wait_sessions(0)
        return result["traffic"], change


def measure(kind, options):
    bench = Bench(kind, options.binaries)
    try:
        traffic, _ = bench.load(1, 5, "--traffic", "ping", "--rate", 20)
        idle = traffic["latency_ms"]
        rows = []
        for size in options.sizes:
            for rate in RATES:
                traffic, (seconds, packets, dataplane) = bench.load(
                    SESSIONS, options.seconds, "--traffic", "udp", "--target", ECHO, "--size", size,
                    "--rate", rate / SESSIONS)
                rows.append({
                    "kind": kind, "size": size, "offered": rate, "sent": traffic["sent"] / options.seconds,
                    "packets_per_s": packets / seconds, "loss": traffic["loss"],
                    "dataplane_us": dataplane / packets * 1e6,
                    "dataplane_cpu": dataplane / seconds, "latency_ms": traffic["latency_ms"],
                    "idle_ping_ms": idle})
                print(row_text(rows[-1]), flush=True)
                if traffic["loss"] > options.most_loss or rows[-1]["sent"] < 0.9 * rate:
                    break  # lost, or pns-loadgen can do no more
        return rows
    finally:
        bench.lab.close()


def measure_tcp(kind, options):
    """Clients whose kernel carries GRE and MPPE, each with one TCP connection at a time."""
    for clients in options.tcp:
        bench = Bench(kind, options.binaries, clients)
        try:
            sessions = [bench.guest.dial("alice", "wonderland", ("lcp-max-configure", "30"), bind=address,
                                         kernel_mode=True) for address in bench.guest.addresses]
            for session in sessions:
                session.wait_up(60)
            for n in range(clients):
                bench.lab.start_in(bench.lab.intranet, "iperf3", "-s", "-B", labs.HOST, "-p", str(5201 + n),
                                   stdout=subprocess.DEVNULL)
            pnslab.wait_until(lambda: bench.lab.intranet.run("ss", "-Hltn").stdout.count(":52") >= clients,
                              20, "iperf3 listens")
            for way, word in (("up", ""), ("down", "-R")):
                begun = bench.sample()
                jobs = [bench.guest.start(f"iperf3 -J -c {labs.HOST} -p {5201 + n} -B {session.address} "
                                          f"-t {options.seconds} {word}")
                        for n, session in enumerate(sessions)]
                reports = [json.loads(job.wait(options.seconds + 60)[1]) for job in jobs]
                bits = sum(report["end"]["sum_received"]["bits_per_second"] for report in reports)
                seconds, packets, dataplane = (now - then for then, now in zip(begun, bench.sample()))
                print(f"| {kind} | {clients} | {way} | {bits / 1e6:.0f} | {packets / seconds:,.0f} | "
                      f"{dataplane / seconds:.0%} |", flush=True)
        finally:
            bench.lab.close()


def row_text(row):
    latency, idle = row["latency_ms"], row["idle_ping_ms"]
    return (f"| {row['kind']} | {row['size']} | {row['offered']:,} | {row['packets_per_s']:,.0f} | "
            f"{row['loss']:.2%} | {row['dataplane_cpu']:.0%} | {row['dataplane_us']:.1f} | "
            f"{latency['p50']:.2f} / {latency['p99']:.2f} | "
            f"{idle['p50']:.2f} / {idle['p99']:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kinds", default="xdp,af_packet,tap", type=lambda text: text.split(","))
    parser.add_argument("--sizes", default="128,1396", type=lambda text: [int(s) for s in text.split(",")])
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--most-loss", type=float, default=0.01)
    parser.add_argument("--binaries", help="directory of pns and its planes")
    parser.add_argument("--json", help="rows, to this file")
    parser.add_argument("--tcp", type=lambda text: [int(n) for n in text.split(",")],
                        help="numbers of clients with a TCP connection each")
    options = parser.parse_args()
    if unknown := set(options.kinds) - {"xdp", "af_packet", "tap", "kernel"}:
        parser.error(f"no such kind: {', '.join(unknown)}")
    if options.seconds < 4:
        parser.error("--seconds: at least 4")
    if options.tcp:
        print("| core | clients | way | TCP Mbit/s | packets/s | dataplane CPU |\n" + "|---" * 6 + "|")
        for kind in options.kinds:
            measure_tcp(kind, options)
        return 0
    print("| port | octets | datagrams/s offered | packets/s carried | loss | dataplane CPU | its µs a packet | "
          "round trip ms, p50 / p99 | idle ping ms |\n" + "|---" * 9 + "|")
    rows = []
    try:
        for kind in options.kinds:
            rows += measure(kind, options)
    except pnslab.Missing as missing:
        print(f"port_speed.py: {missing}", file=sys.stderr)
        return 77
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
