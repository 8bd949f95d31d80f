#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes docs/counters.md from the lists in pns/base, which also make the enums and metric labels.

usage: make_counters.py [--check]     --check: exit 1 when the file on disk is not what would be written
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "counters.md"

INTRO = """# Counters and reasons

Made by `docs/make_counters.py` from `pns/base/drop_reasons.def` and `pns/base/end_reasons.def`; do not edit.
All metrics are at `GET /metrics` (configuration key `metrics.listen`), names begin with `pns_`, and each has its
help text there. This page explains the two lists of reasons.

## Where a packet can end

```
 access port ─rx→ classify ─┬─ gre_in → ppp_in → mppe_open → inner_in ─┬─tx→ core port
                            │      │        │                          └→ another subscriber (downstream)
                            │      │        └ PPP control → pns_punts_total{to="control"}
                            │      └ ack only, Echo answered → pns_worker_frames_total{kind="consumed"}
                            └─ rest → pns_punts_total{to="kernel_access"} (twin)
 core port ───rx→ classify ─┬─ inner_out → mppe_seal → ppp_out → gre_out ─tx→ access port
                            │      └ session just closed ─┐
                            └─ rest ──────────────────────┴→ pns_punts_total{to="kernel_core"} (twin)
```

Every packet is counted once where it ends: sent, punted, handed over, consumed or dropped with one of the reasons below.
The pipeline tests assert that the sums agree.

## Drops: `pns_dataplane_drops_total{direction,reason,worker}`

| reason | direction | meaning | rule |
|---|---|---|---|
"""

ENDS = """
## Ends of calls and connections: `pns_call_ends_total{reason,stage}`, `pns_connection_ends_total{reason}`

The same word stands in the log (`reason=`) and in `pns show stats`. The stage tells where in the life of a call the
reason belongs.

| reason | stage | meaning |
|---|---|---|
"""


def rows(name, pattern):
    text = (ROOT / "pns" / "base" / name).read_text()
    return [m.groups() for m in re.finditer(pattern, text, re.M)]


def page():
    drops = rows("drop_reasons.def", r'^PNS_DROP\((\w+), (\w+), "([^"]*)", "([^"]*)"\)')
    ends = rows("end_reasons.def", r'^PNS_END\((\w+), (\w+), "([^"]*)"\)')
    out = INTRO
    out += "".join(f"| `{n}` | {d} | {h} | {r} |\n" for n, d, h, r in drops)
    out += ENDS
    out += "".join(f"| `{n}` | {s} | {h} |\n" for n, s, h in ends)
    return out


def main():
    text = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("docs/counters.md is not up to date: run docs/make_counters.py")
            return 1
        print("docs/counters.md is up to date")
        return 0
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
