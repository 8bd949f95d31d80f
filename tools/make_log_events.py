#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes docs/log-events.md from pns/log/log_events.def.

usage: make_log_events.py [--check]     --check: exit 1 when the file on disk is not what would be written
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIST = ROOT / "pns" / "log" / "log_events.def"
PAGE = ROOT / "docs" / "log-events.md"

PROCESSES = {"pns": "Supervisor (`process=pns`)",
             "control": "Control process (`process=control`)",
             "dataplane": "Dataplane (`process=dataplane`)"}
ENTRY = re.compile(r'^PNS_LOG_EVENT\("([^"]*)", "(\w+)", "(\w+)", "([^"]*)", "([^"]*)"\)$', re.M)

INTRO = """# Log events

Made by `tools/make_log_events.py` from `pns/log/log_events.def`; do not edit.

Every process writes its log to stderr, one line per event. `log.format` selects key=value text or JSON.
The fields `process` and `event` stand in every line. The table of each process lists its events and their other fields.
A field with a question mark stands in some lines of its event only.

- `session` is the id of a session: 16 hexadecimal digits, never used again. `pns show session id=…` takes it.
- `slot` is the session's place in session memory. The server uses a slot again.
- `peer` is the outer address of the other side. `user` has logged in; `claimed_user` has not.
- `reason` and `stage` are explained in [counters.md](counters.md).
- `suppressed` stands in events that a peer can cause. It counts the lines that the rate limit left out since the last line.
- Names that end in `_ms` are milliseconds, `_s` seconds, `_bytes` octets.
"""


def entries():
    return [match.groups() for match in ENTRY.finditer(LIST.read_text())]


def page():
    out = INTRO
    for process, title in PROCESSES.items():
        out += f"\n## {title}\n\n| event | level | meaning | fields |\n|---|---|---|---|\n"
        for event, level, owner, meaning, fields in entries():
            if owner == process:
                names = ", ".join(f"`{field}`" for field in fields.split(", ") if field)
                out += f"| `{event}` | {level} | {meaning} | {names} |\n"
    return out


def main():
    text = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("docs/log-events.md is not up to date: run tools/make_log_events.py")
            return 1
        print("docs/log-events.md is up to date")
        return 0
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
