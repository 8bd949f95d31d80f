#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What deploy/quickstart shows once everything is built: the lab, the server, a client, traffic."""
import argparse
import json
import os
import signal
import sys
import time

import pnslab
from pnslab import host, lab

USER, PASSWORD = "alice", "wonderland"
TRANSFER = "16M"
RADIUS_USER = f"""{USER}  Cleartext-Password := "{PASSWORD}"
       Service-Type = Framed-User, Framed-Protocol = PPP, Framed-IP-Address = 10.64.2.2, Class = "gold"
"""
RADIUS = """aaa:
  order: [radius]
  radius:
    servers: [{{address: 127.0.0.1, secret_file: {secret}}}]
    accounting: {{spool_directory: {spool}}}
"""


def step(text):
    print(f"\n==> {text}", flush=True)


def show(text):
    print("\n".join("    " + line for line in text.splitlines()), flush=True)


def end_live_labs():
    """Ends quickstarts that still serve, by the process that each lab's directory names."""
    for state in sorted(lab.STATE.glob("*")) if lab.STATE.is_dir() else []:
        if not (state / "quickstart").exists():
            continue
        pid, started = (int(word) for word in (state / "owner").read_text().split())
        if pid != os.getpid() and host.start_time(pid) == started:
            os.kill(pid, signal.SIGTERM)
            pnslab.wait_until(lambda: host.start_time(pid) != started, 20, f"quickstart {pid} ends")
            print(f"ended the quickstart that ran as process {pid}")


def iperf(guest, options):
    report = json.loads(guest.run(f"iperf3 -c {lab.HOST} -J {options}", timeout=60))
    return report["end"]["sum_received"]


def start_radius(one):
    """FreeRADIUS beside the server, and the server's configuration for it."""
    step("FreeRADIUS in the server's namespace, with one account")
    radius = pnslab.FreeRadius(one, one.pns, RADIUS_USER).start()
    print(f"    its configuration: {radius.directory}/radiusd.conf")
    show(RADIUS_USER)
    spool = one.directory / "spool"
    spool.mkdir(mode=0o700)
    changes = {"aaa": RADIUS.format(secret=radius.secret_file, spool=spool)}
    step("the server asks it and sends it accounting (pns.yaml)")
    show(changes["aaa"])
    return radius, changes


def show_record(radius, status):
    pnslab.wait_until(lambda: any(record["Acct-Status-Type"] == status for record in radius.records()), 20,
                      f"an accounting record {status}")
    step(f"FreeRADIUS has the accounting record {status}")
    record = next(record for record in radius.records() if record["Acct-Status-Type"] == status)
    show("\n".join(f"{name} = {value}" for name, value in record.items()))


def demonstrate(one, changes=None):
    step(f"lab {one.id}: ports {one.ports}, a client, the server, a host in the intranet")
    guest = one.start_guest()
    server = one.start_server({USER: PASSWORD}, changes)
    print(f"    pns run --config {server.config_file} --run-dir {server.run_dir}: ready")
    guest.wait_boot()
    print(f"    {guest.run('uname -sr').strip()} client at {guest.addresses[0]} has booted")

    step(f"the client dials {lab.ACCESS} as {USER} (pppd and pptp; MS-CHAPv2, MPPE-128)")
    started = time.monotonic()
    session = guest.dial(USER, PASSWORD, limit=7 * 86400).wait_up()
    print(f"    up after {time.monotonic() - started:.1f} s: {session.interface} has "
          f"{session.address}, the server is {session.gateway}")

    step(f"ping the server's end of the tunnel, {session.gateway}")
    show(guest.run(f"ping -c 3 -i 0.2 {session.gateway}"))

    step(f"ping both ways: the client and the intranet's host, {lab.HOST}")
    show(guest.run(f"ping -c 3 -i 0.2 {lab.HOST}"))
    show(one.intranet.run("ping", "-c", "3", "-i", "0.2", session.address).stdout)

    step(f"TCP through the tunnel, {TRANSFER}B each way (a guest is no measure of speed)")
    one.start_in(one.intranet, "iperf3", "-s", "-B", lab.HOST, stdout=-3, stderr=-3)
    pnslab.wait_until(lambda: ":5201" in one.intranet.run("ss", "-Hltn").stdout, 10, "iperf3 listens")
    for name, options in (("client to intranet", ""), ("intranet to client", "-R")):
        moved = iperf(guest, f"-n {TRANSFER} {options}")
        print(f"    {name}: {moved['bytes']} octets, {moved['bits_per_second'] / 1e6:.0f} Mbit/s")

    step("pns show sessions")
    show(server.show_text("sessions"))
    step("metrics")
    print(f"    ip netns exec {one.pns.name} curl -s http://127.0.0.1:9655/metrics")
    counters = [line for line in server.metrics().splitlines() if line.startswith("pns_")]
    print(f"    {len(counters)} samples; for instance {counters[0]}")
    return server, guest, session


def serve(one, server):
    step("serving until Ctrl-C; in another terminal:")
    show(f"{server.pns} show sessions --run-dir {server.run_dir}\n"
         f"{server.pns} show session {USER} --run-dir {server.run_dir}\n"
         f"{server.pns} show ports --run-dir {server.run_dir}     # where packets were lost\n"
         f"ip netns exec {one.inet.name} tcpdump -ni br0\n"
         f"ip netns exec {one.intranet.name} bash     # the intranet's host, {lab.HOST}\n"
         f"less {server.log_file}")
    server.process.wait()
    raise pnslab.LabError(f"the server ended with {server.process.returncode}\n{server.log_tail()}")


def main():
    parser = argparse.ArgumentParser(prog="deploy/quickstart")
    parser.add_argument("--once", action="store_true", help="end after the demonstration")
    parser.add_argument("--clean", action="store_true", help="remove what earlier runs left")
    parser.add_argument("--ports", choices=("auto", "xdp", "tap"), default="auto")
    parser.add_argument("--radius", action="store_true", help="FreeRADIUS has the account, and keeps the books")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as Ctrl-C: leave through the doors

    if options.clean:
        end_live_labs()
        for lab_id in pnslab.clean_dead_labs():
            print(f"removed lab {lab_id}")
        print("clean")
        return 0
    try:
        with pnslab.Lab(options.ports) as one:
            (one.directory / "quickstart").touch()
            radius, changes = start_radius(one) if options.radius else (None, None)
            server, _, session = demonstrate(one, changes)
            if radius:
                show_record(radius, "Start")
            if not options.once:
                serve(one, server)
            step("hang up, then SIGTERM to the server")
            session.hang_up()
            server.wait_sessions(0)
            if radius:
                show_record(radius, "Stop")
            status, seconds = server.stop()
            print(f"    no session left; the server ended with {status} after {seconds:.1f} s")
            if status != 0:
                raise pnslab.LabError(server.log_tail())
    except KeyboardInterrupt:
        print("\nended")
    except (pnslab.LabError, pnslab.Missing) as error:
        print(f"\nquickstart: {error}", file=sys.stderr)
        return 1
    print("\nquickstart: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
