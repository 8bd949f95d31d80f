#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes docs/counters.md from the lists in pns/base, which also make the enums and metric labels.

usage: make_counters.py [--check]     --check: exit 1 when the file on disk is not what would be written, or
                                      docs/packet-loss.md leaves out a reason for which a packet is lost
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "counters.md"
LOSS_PAGE = ROOT / "docs" / "packet-loss.md"

INTRO = """# Counters and reasons

Made by `tools/make_counters.py` from `drop_reasons.def`, `punt_classes.def`, `port_losses.def` and `end_reasons.def` of `pns/base`,
and `radius_discards.def`, `authorization_refusals.def` and `dhcpv6_results.def` of `controlplane/model`; do not edit.
All metrics are at `GET /metrics` (configuration key `metrics.listen`). Their names begin with `pns_`, and each has a help text
there. Those with `exposer_` are of the library that serves the page. This page explains these lists. [packet-loss.md](packet-loss.md) says how to tell losses apart and how to
act on them.

## Where a packet can end

```
 access port ─rx→ classify ─┬─ gre_in → ppp_in → mppe_open → ipv4_in ──┬─tx→ core port
                            │      │        │                          └→ another subscriber (downstream)
                            │      │        └ PPP control → pns_punts_total{to="control"}
                            │      └ ack only, Echo answered → pns_worker_frames_total{kind="consumed"}
                            └─ rest → by class → pns_punts_total{to="kernel_access"} (twin)
 core port ───rx→ classify ─┬─ ipv4_out → mppe_seal → ppp_out → gre_out ─tx→ access port
                            │      └ session just closed ─┐
                            └─ rest ──────────────────────┴→ by class → pns_punts_total{to="kernel_core"} (twin)
```

Every packet is counted once, where it ends: sent, punted, handed over, consumed or dropped with one of the reasons below. The
pipeline tests assert that the sums agree.

## Drops: `pns_dataplane_drops_total{direction,reason,worker}`

| reason | direction | meaning | rule |
|---|---|---|---|
"""

PUNTS = """
The worker `main` is the main thread of the dataplane. It counts the packets that it gave up while they waited for a neighbour; a
worker has counted each of them as punted before. It also counts broadcasts of an xdp: port that it could not pass to a worker.

## Frames for the kernel: `pns_punt_class_frames_total{class,result,worker}`

A frame that the kernel handles belongs to one class. Each class has a token bucket and a ring of its own on each worker and port,
so a flood of one class takes nothing from another. The result is `passed` or `policed`. A policed frame is also a drop
`punt_policed`. A frame that finds the ring of its class full is a drop `punt_full` and has neither result.

| class | frames a second | burst and ring | frames | why |
|---|---|---|---|---|
"""

PORTS = """
## At the ports: `pns_port_receive_lost_packets_total{port,queue,reason}` and its like

The device, the socket or the TAP of a port counts these losses itself. The dataplane reads the counters once a second.

| kind | metric | meaning |
|---|---|---|
| `receive` | `pns_port_receive_lost_packets_total{port,queue,reason}` | lost before a worker saw the packet; in no other counter |
| `transmit` | `pns_port_transmit_lost_packets_total{port,queue,reason}` | lost after the port had taken the packet; its worker counts it as sent |
| `event` | `pns_port_events_total{port,queue,event}` | an event, not a packet |

A series exists when the port has its source. The label `queue` exists when the source belongs to one queue. The totals continue
over a restart of the dataplane.

`pns_port_device_counter_total{port,counter}` has further counters of the driver (xstats; `driver_…` from `ethtool -S`) and of the
interface. They are those whose names indicate loss and whose value is not zero. They may count a packet that is counted above, too.

| name | kind | source | meaning |
|---|---|---|---|
"""

ENDS = """
## Ends of calls and connections: `pns_call_ends_total{reason,stage}`, `pns_connection_ends_total{reason}`

The log (`reason=`) and `pns show stats` use the same words. The stage is the part of a call's life to which the reason
belongs.

| reason | stage | meaning |
|---|---|---|
"""


RADIUS = """
## Datagrams of RADIUS servers: `pns_radius_discards_total{kind,reason,server}`

A datagram that is no answer changes nothing: the request waits for another one.

| reason | meaning | rule |
|---|---|---|
"""

AUTHORIZATION = """
## Requests of RADIUS clients: `pns_authorization_refusals_total{client,reason}`

A request of dynamic authorization (RFC 5176) that is refused changes nothing. With Error-Cause `-` there is no answer either.

| reason | Error-Cause | meaning | rule |
|---|---|---|---|
"""

DHCPV6 = """
## DHCPv6 messages of subscribers: `pns_dhcpv6_messages_total{kind,result}`

Each message that reaches the control process has one result. A message is `answered`, `refused` (the answer gives nothing of what was asked) or
`ignored`. [ipv6.md](ipv6.md) describes the server.

| result | kind | meaning | rule |
|---|---|---|---|
"""


def rows(name, pattern, folder="pns/base"):
    text = (ROOT / folder / name).read_text()
    return [m.groups() for m in re.finditer(pattern, text, re.M)]


def link(rule):
    """A document of the repository becomes a link; an RFC stays text."""
    name = rule.removeprefix("docs/")
    return f"[{name}]({name})" if name != rule else rule


def page():
    drops = rows("drop_reasons.def", r'^PNS_DROP\((\w+), (\w+), "([^"]*)", "([^"]*)"\)')
    punts = rows("punt_classes.def",
                 r'^PNS_PUNT_CLASS\((\w+), (\d+), (\d+), "([^"]*)", "([^"]*)"\)')
    ports = rows("port_losses.def", r'^PNS_PORT_LOSS\((\w+), (\w+), "([^"]*)", "([^"]*)"\)')
    ends = rows("end_reasons.def", r'^PNS_END\((\w+), (\w+), "([^"]*)"\)')
    out = INTRO
    out += "".join(f"| `{n}` | {d} | {h} | {link(r)} |\n" for n, d, h, r in drops)
    out += PUNTS
    out += "".join(f"| `{n}` | {int(r):,} | {int(b):,} | {h} | {w} |\n" for n, r, b, h, w in punts)
    out += PORTS
    out += "".join(f"| `{n}` | {k} | {s} | {h} |\n" for n, k, s, h in ports)
    out += ENDS
    out += "".join(f"| `{n}` | {s} | {h} |\n" for n, s, h in ends)
    discards = rows("radius_discards.def", r'^PNS_RADIUS_DISCARD\((\w+), "([^"]*)", "([^"]*)"\)', "controlplane/model")
    out += RADIUS
    out += "".join(f"| `{n}` | {h} | {r} |\n" for n, h, r in discards)
    refusals = rows("authorization_refusals.def", r'^PNS_AUTHORIZATION_REFUSAL\((\w+), (\d+), "([^"]*)", "([^"]*)"\)',
                    "controlplane/model")
    out += AUTHORIZATION
    out += "".join(f"| `{n}` | {c if c != '0' else '-'} | {h} | {link(r)} |\n" for n, c, h, r in refusals)
    results = rows("dhcpv6_results.def", r'^PNS_DHCPV6_RESULT\((\w+), (\w+), "([^"]*)", "([^"]*)"\)', "controlplane/model")
    out += DHCPV6
    out += "".join(f"| `{n}` | {k} | {h} | {link(r)} |\n" for n, k, h, r in results)
    return out


def left_out():
    """Names of packets' ends that docs/packet-loss.md does not explain."""
    text = LOSS_PAGE.read_text()
    names = [n for n, in rows("drop_reasons.def", r"^PNS_DROP\((\w+),")]
    names += [n for n, in rows("port_losses.def", r"^PNS_PORT_LOSS\((\w+),")]
    return [name for name in names if not re.search(rf"\b{name}\b", text)]


def main():
    text = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("docs/counters.md is not up to date: run tools/make_counters.py")
            return 1
        if names := left_out():
            print(f"docs/packet-loss.md does not explain {', '.join(names)}")
            return 1
        print("docs/counters.md is up to date")
        return 0
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
