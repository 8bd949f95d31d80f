# SPDX-License-Identifier: BSD-3-Clause
"""Judges a soak by its samples, the reports of its clients and the server's log. Each complaint is a
sentence; a run without one has passed."""
import collections
import datetime
import math
import re

from samples import FAULTS, PROCESSES
from slope import Bound, judge

REST_SECONDS = 60  # quarantine of a Call ID that has carried GRE
NONE = Bound()  # none at all
LATE = 64  # packets that the dataplane keeps for one neighbour
LOST_TOLD = 3  # lost calls that are described, of each kind of clients
FAREWELLS = 0.001  # share of them that may have no answer
MEMORY = Bound(share=0.01)  # an hour
STRANGERS = Bound(units=64)  # addresses that floods come from: they are neighbours for a while
# Shared memory has a fixed size; a page of it counts as resident from its first use on.
SHOWN = None
# Levels of the log that need a reason, and what a run itself causes.
EXPECTED_ERRORS = {"plane ended unexpectedly"}
NEVER = ("store_failures", "log_lines_lost", "invalid_commands", "no_buffer", "internal_drops",
         "internal_errors")

LINE = re.compile(r'^(\S+) .*?level=(\w+)')
FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)')


def minus(first, second):
    """Column `first` without what column `second` explains."""
    def value(row):
        if row.get(first) is None or row.get(second) is None:
            return None
        return row[first] - row[second]
    return value


def column(name):
    return lambda row: row.get(name)


def resources():
    """(name, unit, value of a row, bound an hour) of each resource that must not grow."""
    for process in PROCESSES:
        yield f"{process}: memory of its own", "KiB", column(f"{process}_anon_kib"), MEMORY
        yield (f"{process}: resident memory, not shared", "KiB",
               minus(f"{process}_rss_kib", f"{process}_shared_kib"), MEMORY)
        for key, what in (("shared_kib", "shared memory that it has touched"), ("rss_kib", "resident memory")):
            yield f"{process}: {what}", "KiB", column(f"{process}_{key}"), SHOWN
        yield f"{process}: threads", "threads", column(f"{process}_threads"), NONE
    for process in ("supervisor", "control"):
        yield (f"{process}: descriptors besides one for each connection", "descriptors",
               minus(f"{process}_descriptors", "connections"), NONE)
    yield "dataplane: descriptors", "descriptors", column("dataplane_descriptors"), NONE
    yield "control: memory that it counts itself", "bytes", column("control_memory_bytes"), MEMORY
    yield "store: size of its file", "bytes", column("store_bytes"), MEMORY
    yield "store: space on its disk", "bytes", column("store_allocated_bytes"), MEMORY
    yield "Call IDs in use", "Call IDs", column("call_ids_in_use"), NONE
    yield "Call IDs in use without a session", "Call IDs", minus("call_ids_in_use", "sessions"), NONE
    yield "Call IDs in quarantine", "Call IDs", column("call_ids_quarantined"), NONE
    yield "packet buffers in use", "buffers", column("buffers_in_use"), NONE
    yield "sessions", "sessions", column("sessions"), NONE
    yield "control connections", "connections", column("connections"), NONE
    yield "neighbours", "neighbours", column("neighbours"), STRANGERS
    yield "routes", "routes", column("routes"), STRANGERS


def judge_slopes(rows):
    """(table rows of the report, complaints) from the samples of the judged part."""
    table, complaints = [], []
    for name, unit, value_of, bound in resources():
        points = [(row["time_s"], value) for row in rows if (value := value_of(row)) is not None]
        if not points:
            table.append({"resource": name, "unit": unit, "verdict": "not sampled"})
            continue
        slope, complaint = judge(name, unit, points, bound or Bound(units=math.inf))
        if slope is None:
            table.append({"resource": name, "unit": unit, "verdict": "too short to judge"})
            continue
        table.append({"resource": name, "unit": unit, "level": slope.level, "per_hour": slope.per_hour,
                      "low": slope.low, "high": slope.high, "bound": str(bound or "-"),
                      "verdict": "shown only" if bound is None else "grows" if complaint else "flat"})
        if complaint:
            complaints.append(complaint)
    for process in PROCESSES:
        pids = {row.get(f"{process}_pid") for row in rows} - {None}
        if len(pids) > 1:
            complaints.append(f"{process} was replaced in the judged part: pids {sorted(pids)}")
    return table, complaints


def totals(rows):
    """Counters of faults over all processes that counted them: a counter that has become lower has
    begun anew."""
    out = {}
    for name in FAULTS:
        total = before = 0
        for row in rows:
            value = row.get(name)
            if value is None:
                continue
            total += value - before if value >= before else value
            before = value
        out[name] = int(total)
    return out


def read_log(path):
    """Lines of the log as dicts: time, level and the line's fields."""
    with open(path, encoding="utf-8", errors="replace") as log:
        for line in log:
            found = LINE.match(line)
            if found is None:
                yield {"level": "none", "event": "", "line": line.rstrip("\n")}
                continue
            fields = {key: value.strip('"') for key, value in FIELD.findall(line)}
            yield {**fields, "time": found[1], "level": found[2], "line": line.rstrip("\n")}


class LogStory:
    """What the log tells of the whole run."""

    def __init__(self, path):
        self.levels = collections.Counter()
        self.warnings = collections.Counter()
        self.errors = []
        self.died = collections.Counter()  # plane → ends that nothing had planned
        self.not_killed = []  # those of them that were no SIGKILL
        self.reused = []   # Call IDs that were used again too early
        self.twice = []    # session ids of two calls
        self.calls = 0
        up, ended = {}, {}  # of a Call ID: the session that has it; when its last call ended
        seen = {}
        for line in read_log(path):
            level, event = line["level"], line.get("event", "")
            self.levels[level] += 1
            if level == "warn":
                self.warnings[event] += 1
            elif level not in ("info", "debug"):
                if event == "plane ended unexpectedly":
                    self.died[line.get("plane")] += 1
                    if not re.match(r"signal 9\b", line.get("how", "")):
                        self.not_killed.append(line["line"])
                elif event not in EXPECTED_ERRORS:
                    self.errors.append(line["line"])
            if event == "call up":
                self.on_up(line, up, ended, seen)
            elif event == "call ended" and (key := line.get("our_call_id")) in up:
                if up[key] == line["session"]:
                    ended[key] = datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00"))
                    del up[key]

    def on_up(self, line, up, ended, seen):
        key, session = line["our_call_id"], line["session"]
        if session in seen:
            # The same call, opened anew after a renegotiation, is one call; two calls are two Call IDs.
            if seen[session] != key:
                self.twice.append(line["line"])
            return
        self.calls += 1
        seen[session] = key
        when = datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00"))
        if key in ended and (when - ended[key]).total_seconds() < REST_SECONDS - 0.1:
            self.reused.append(line["line"])
        up[key] = session

    def complaints(self, kills):
        for line in self.not_killed:
            yield f"a plane ended, and this run did not kill it: {line}"
        for plane, count in kills.items():
            if self.died[plane] != count:
                yield f"{plane} was killed {count} times and ended {self.died[plane]} times"
        for line in self.errors[:20]:
            yield f"the log has an error: {line}"
        for line in self.reused[:5]:
            yield f"a Call ID was used again within {REST_SECONDS} s of its call: {line}"
        for line in self.twice[:5]:
            yield f"two calls have one session id: {line}"


def judge_samples(rows, starts):
    """Complaints about counters and restarts. `starts`: of each process, that the run asked for."""
    counted = totals(rows)
    for name in NEVER:
        if counted[name]:
            yield f"counter {name} has counted {counted[name]}"
    for process, expected in starts.items():
        shown = [row[f"{process}_starts"] for row in rows if row.get(f"{process}_starts") is not None]
        if shown and shown[-1] != expected:
            yield f"{process} was started {shown[-1]} times, and this run asked for {expected}"


def judge_clients(crowds, cleared, outage_s, calls, rate, dataplanes=1):
    """Complaints about the reports of pns-loadgen. `crowds`: name → its report. `cleared`: (peer, server
    Call ID) of calls that were ended on purpose. `outage_s`: seconds in which packets had to be lost."""
    lost = sent = missing = 0
    for name, report in crowds.items():
        if report is None:
            yield f"the clients {name} left no report"
            continue
        lost += report["lost_calls"]
        unexplained = [call for call in report.get("lost", [])
                       if (call["source"], call["server_call_id"]) not in cleared]
        for call in unexplained[:LOST_TOLD]:
            yield f"the clients {name} lost a call that nothing of this run explains: {call}"
        if len(unexplained) > LOST_TOLD:
            yield f"the clients {name} lost {len(unexplained) - LOST_TOLD} more such calls, or more"
        if report["failures"]:
            yield f"of the clients {name} {report['failures']} failed: {report['failed']}"
        # Ends of both sides cross where a machine stands still: then no answer comes.
        farewells = report["churned"] + report["up"]
        if report["stopped"] == "" and report["farewells_unanswered"] > 1 + FAREWELLS * farewells:
            yield (f"{report['farewells_unanswered']} of {farewells} farewells of the clients {name} were not "
                   "answered")
        traffic, gre = report["traffic"], report["gre"]
        sent, missing = sent + traffic["sent"], missing + traffic["lost"]
        for what in ("damaged", "duplicated"):
            if traffic[what]:
                yield f"the clients {name} got {traffic[what]} {what} packets"
        # A number that comes again would be a key that is used again. Calls that end and begin meet late
        # packets of the call before, so only those that stay are judged.
        # A new dataplane knows no neighbour: the packets that wait for one leave after later ones.
        if gre["stale"] > LATE * (dataplanes - 1) and not report["churned"]:
            yield f"the clients {name} got {gre['stale']} GRE numbers twice or late"
    if lost > len(cleared):  # one that was just hanging up is not lost
        yield f"{lost} calls were lost, and {len(cleared)} were cleared by this run"
    allowed = 0.005 * sent + outage_s * calls * rate
    if missing > allowed:
        yield (f"{missing} of {sent} packets were lost; {outage_s:.1f} s of outages and 0.5 % explain "
               f"{allowed:.0f}")


def reference(idle, judged):
    """The sample before the first client; what belongs to a dataplane comes from the first sample of the
    judged part, because another one may have found huge pages, each of which is a descriptor."""
    if not judged:
        return {name: value for name, value in idle.items() if not name.startswith("dataplane_")}
    return {**idle, **{name: value for name, value in judged[0].items() if name.startswith("dataplane_")}}


def judge_end(before, after):
    """Complaints about what is left when every client has gone. Both are samples without clients."""
    for name in ("sessions", "connections", "call_ids_in_use", "call_ids_quarantined", "leases", "installed",
                 "stored_sessions", "stored_connections", "set_ups_in_flight", "set_ups_waiting"):
        if after.get(name):
            yield f"{name} is {after[name]} after the last client has gone"
    for name, room in (("supervisor_descriptors", 2), ("control_descriptors", 2), ("dataplane_descriptors", 0),
                       ("supervisor_threads", 0), ("control_threads", 0), ("dataplane_threads", 0),
                       ("supervisor_mappings", 64), ("control_mappings", 64), ("dataplane_mappings", 64),
                       ("buffers_in_use", 64)):
        if before.get(name) is None or after.get(name) is None:
            continue
        if after[name] > before[name] + room:
            yield f"{name} was {before[name]} before the first client and is {after[name]} after the last one"
