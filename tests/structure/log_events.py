#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compares the log calls in the source with pns/log/log_events.def.

usage: log_events.py SOURCE_DIR

Every call must have an entry with its text, level, process and fields; every entry must have a call.
docs/log-events.md must be what tools/make_log_events.py writes.
"""
import pathlib
import re
import subprocess
import sys

PROCESSES = {"pns": "pns", "controlplane": "control", "dataplane": "dataplane"}
CALL = re.compile(r"\blog::(debug|info|warn|error)\(")
ENTRY = re.compile(r'^PNS_LOG_EVENT\("([^"]*)", "(\w+)", "(\w+)", "([^"]*)", "([^"]*)"\)$', re.M)
TEXT = re.compile(r'\s*"((?:[^"\\]|\\.)*)"')
FIELD = re.compile(r'\{\s*"(\w+)",')


def arguments(text, start):
    """The text between the parentheses of a call; `start` is behind the opening one."""
    depth = 1
    at = start
    while at < len(text) and depth:
        if text[at] == '"':
            at += 1
            while text[at] != '"':
                at += 2 if text[at] == "\\" else 1
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return text[start:at - 1]


def calls(root):
    for folder, process in PROCESSES.items():
        for path in sorted((root / folder).rglob("*.?pp")):
            if path.name in ("log.cpp", "log.hpp"):
                continue
            text = path.read_text()
            for match in CALL.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                yield (f"{path.relative_to(root)}:{line}", process, match.group(1),
                       arguments(text, match.end()))


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    listed = (root / "pns" / "log" / "log_events.def").read_text()
    entries = {}
    offences = []
    for event, level, process, _, fields in ENTRY.findall(listed):
        if (event, process) in entries:
            offences.append(f"pns/log/log_events.def: \"{event}\" of {process} stands there twice")
        entries[event, process] = (level, fields.split(", ") if fields else [])
    if listed.count("PNS_LOG_EVENT(") != len(ENTRY.findall(listed)):
        offences.append("pns/log/log_events.def: an entry is not of the form "
                        'PNS_LOG_EVENT("event", "level", "process", "meaning", "field, field")')
    used = {}
    for place, process, level, body in calls(root):
        text = TEXT.match(body)
        if not text:
            offences.append(f"{place}: the event of a log call must be a string literal")
            continue
        event = text.group(1)
        if (event, process) not in entries:
            offences.append(f"{place}: \"{event}\" is not in pns/log/log_events.def for {process}")
            continue
        wanted, fields = entries[event, process]
        names = FIELD.findall(body)
        used.setdefault((event, process), []).append(names)
        if level != wanted:
            offences.append(f"{place}: \"{event}\" has level {level}, the list says {wanted}")
        must = [field for field in fields if not field.endswith("?")]
        may = [field.rstrip("?") for field in fields]
        if [name for name in may if name in names] != names or not set(must) <= set(names):
            offences.append(f"{place}: \"{event}\" has the fields {', '.join(names) or 'none'}, "
                            f"the list says {', '.join(fields) or 'none'}")
    for event, process in entries.keys() - used.keys():
        offences.append(f"pns/log/log_events.def: no log call of {process} has \"{event}\"")
    for (event, process), lines in used.items():
        for field in entries[event, process][1]:
            if field.endswith("?") and not any(field[:-1] in names for names in lines):
                offences.append(f"pns/log/log_events.def: no \"{event}\" has the field {field[:-1]}")
    for offence in offences:
        print(offence)
    made = subprocess.run([sys.executable, "-B", root / "tools" / "make_log_events.py", "--check"],
                          check=False)
    if offences or made.returncode:
        return 1
    print(f"{len(entries)} log events, {sum(map(len, used.values()))} calls")
    return 0


if __name__ == "__main__":
    sys.exit(main())
