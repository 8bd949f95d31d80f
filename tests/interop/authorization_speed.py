#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How many requests of dynamic authorization (RFC 5176) the whole server carries out: clients of pns-loadgen,
accounting to a real FreeRADIUS, CoA-Requests that change Class, then a Disconnect-Request for each session.
A measurement, not a test: docs/performance.md has its numbers. Needs root and a quiet machine.

usage: authorization_speed.py [--sessions 2000] [--rate 1000] [--seconds 10] [--binaries DIR]
"""
import argparse
import json
import pathlib
import subprocess
import sys

import crowd
import pnslab
from pnslab import lab as labs

CLIENT = pathlib.Path(__file__).resolve().parent / "authorization_client.py"
SOURCES = 4
AAA = """aaa:
  order: [local, radius]
  local: {users_file: users.yaml}
  radius:
    servers: [{address: 127.0.0.1, secret_file: %(secret)s}]
    accounting: {spool_directory: %(spool)s}
    dynamic_authorization:
      listen: [127.0.0.1]
      clients: [{address: 127.0.0.1, secret_file: %(secret)s, rate: 100000}]
"""


def cpu_seconds(server):
    fields = pathlib.Path(f"/proc/{server.pid_of('control')}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def measure(lab, server, secret_file, ids, kind, rate, count):
    before = cpu_seconds(server)
    with open(lab.directory / "ids", "w", encoding="ascii") as file:
        file.write("\n".join(ids))
    command = lab.pns.command(sys.executable, "-B", str(CLIENT), "rate", "--server", "127.0.0.1", "--secret-file",
                              str(secret_file), "--kind", kind, "--rate", str(rate), "--count", str(count))
    with open(lab.directory / "ids", encoding="ascii") as file:
        done = subprocess.run(command, stdin=file, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    result = {"kind": kind, **json.loads(done.stdout),
              "control_us_each": round(1e6 * (cpu_seconds(server) - before) / count)}
    print(json.dumps(result), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=2000)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--binaries", help="directory of pns and its planes")
    options = parser.parse_args()
    lab = pnslab.Lab("tap", options.binaries)
    try:
        radius = pnslab.FreeRadius(lab, lab.pns, "").start()
        changes = {**crowd.Crowd.changes,
                   "aaa": AAA % {"secret": radius.secret_file, "spool": lab.directory / "spool"}}
        server = lab.start_server({"alice": "wonderland"}, changes)
        for address in crowd.SOURCES[:SOURCES]:
            lab.inet.ip("address", "add", f"{address}/24", "dev", "br0")
        lab.start_in(lab.inet, str(lab.binaries / "pns-loadgen"), "--server", labs.ACCESS, "--source",
                     crowd.SOURCES[0], "--sources", str(SOURCES), "--user", "alice", "--password", "wonderland",
                     "--sessions", str(options.sessions), "--concurrent", "60", "--hold",
                     str(options.seconds + 120), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pnslab.wait_until(lambda: server.open_sessions() == options.sessions, 120, "all sessions are up")
        ids = [session["id"] for session in server.sessions()]
        print(f"{pnslab.host.cpu()}, {len(ids)} sessions", flush=True)
        measure(lab, server, radius.secret_file, ids, "coa", options.rate, options.rate * options.seconds)
        measure(lab, server, radius.secret_file, ids, "disconnect", options.rate, len(ids))
        server.wait_sessions(0, 30)
    finally:
        lab.close()


if __name__ == "__main__":
    main()
