#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Records a soak in the documents: python3 tools/make_soak_page.py [DIR]

DIR: what tests/soak/run wrote (build/soak). Copies its samples and events to docs/soak/, draws
docs/soak/plot.svg and writes the part of docs/soak.md between the two marks. Without DIR it draws the
plot anew from docs/soak/."""
import csv
import json
import pathlib
import shutil
import sys

from svg_chart import COLOURS, head, line, marks, polyline, text

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
RECORD = DOCS / "soak"
BEGIN, END = "<!-- the record begins -->\n", "<!-- the record ends -->\n"
WIDTH, LEFT, RIGHT, TOP, PANEL, GAP = 900, 80, 190, 80, 110, 50
PROCESSES = ("supervisor", "control", "dataplane")
ROUGH = {"kill_control", "kill_dataplane", "kill_both", "restart_control", "restart_dataplane", "restart_supervisor"}


def number(row, name):
    return float(row[name]) if row.get(name) not in (None, "") else None


def difference(row, first, second):
    one, two = number(row, first), number(row, second)
    return None if one is None or two is None else one - two


def of(name, factor=1.0):
    def value(row):
        found = number(row, name)
        return None if found is None else found * factor
    return value


PANELS = [  # title, curves: (label, value of a row)
    ("calls and Call IDs", [
        ("sessions", of("sessions")), ("connections", of("connections")),
        ("Call IDs in quarantine", of("call_ids_quarantined"))]),
    ("private memory, MiB", [(p, of(f"{p}_anon_kib", 1 / 1024)) for p in PROCESSES]),
    ("resident memory, shared memory included, MiB", [(p, of(f"{p}_rss_kib", 1 / 1024)) for p in PROCESSES]),
    ("descriptors besides one for each connection", [
        ("supervisor", lambda r: difference(r, "supervisor_descriptors", "connections")),
        ("control", lambda r: difference(r, "control_descriptors", "connections")),
        ("dataplane", of("dataplane_descriptors"))]),
    ("threads", [(p, of(f"{p}_threads")) for p in PROCESSES]),
    ("packet buffers in use", [("buffers", of("buffers_in_use"))]),
    ("store, MiB", [("size of the file", of("store_bytes", 1 / (1 << 20))),
                    ("space on the disk", of("store_allocated_bytes", 1 / (1 << 20)))]),
]


def read(name):
    with open(RECORD / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def draw(rows, events):
    first, last = float(rows[0]["time_s"]), float(rows[-1]["time_s"])
    height = TOP + len(PANELS) * (PANEL + GAP) + 40

    def x(time_s):
        return LEFT + (time_s - first) / max(1.0, last - first) * (WIDTH - LEFT - RIGHT)
    out = head(WIDTH, height)
    judged = [float(row["time_s"]) for row in rows if row["phase"] == "judged"]
    bottom = TOP + len(PANELS) * (PANEL + GAP) - GAP
    if judged:
        out += [f'<rect x="{x(judged[0]):.1f}" y="{TOP}" width="{x(judged[-1]) - x(judged[0]):.1f}" '
                f'height="{bottom - TOP}" fill="#f0f4ee"/>',
                text((x(judged[0]) + x(judged[-1])) / 2, TOP - 46, "judged part: no process is replaced", "middle",
                     size=12)]
    for event in events:
        at = x(float(event["time_s"]))
        colour = "#b2182b" if event["event"] in ROUGH else "#bbb"
        out.append(line(at, TOP - 38, at, TOP - 28, colour))
    out.append(text(WIDTH - RIGHT + 10, TOP - 29, "events; red: kill, restart", size=11))
    for place, (title, curves) in enumerate(PANELS):
        out += panel(rows, title, curves, TOP + place * (PANEL + GAP), x)
    step = next(s for s in (10, 30, 60, 300, 600, 1800, 3600, 14400, 86400) if (last - first) / s <= 12)
    mark = 0
    while mark <= last:
        out += [line(x(mark), bottom, x(mark), bottom + 5, "#888"),
                text(x(mark), bottom + 19, f"{mark / 60:g}", "middle", size=11)]
        mark += step
    out += [text((LEFT + WIDTH - RIGHT) / 2, bottom + 38, "minutes", "middle"), "</svg>"]
    return "\n".join(out) + "\n"


def panel(rows, title, curves, top, x):
    values = [v for row in rows for _, value in curves if (v := value(row)) is not None]
    ceiling = 1.08 * max(values, default=1.0) or 1.0

    def y(value):
        return top + PANEL * (1 - max(0.0, value) / ceiling)
    out = [text(LEFT, top - 6, title, size=13)]
    for mark in marks(ceiling):
        out += [line(LEFT, y(mark), WIDTH - RIGHT, y(mark)), text(LEFT - 6, y(mark) + 4, f"{mark:,g}", "end", size=11)]
    for place, (label, value) in enumerate(curves):
        points = [(x(float(row["time_s"])), y(v)) for row in rows if (v := value(row)) is not None]
        out += [polyline(points, COLOURS[place]),
                text(WIDTH - RIGHT + 10, top + 20 + 20 * place, label, colour=COLOURS[place])]
    return out


def figure(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def record(report):
    """The record in words and tables."""
    r = report
    many = {name: count for name, count in r["events"].items() if count}
    how = "It ran to its end" if r["ended_early"] is None else f"It was stopped early ({r['ended_early']})"
    result = "It passed." if not r["complaints"] else "It failed:"
    lines = [
        f"{r['hours']:.3g} hour{'' if r['hours'] == 1 else 's'}, {r['calls']:,} calls, `--ports {r['ports']}`, seed {r['seed']}, on {r['date']}. "
        f"The machine is {r['cpu']}, {r['cpus']} CPUs, kernel {r['kernel']}. Its load average was "
        f"{r['load_average']:.1f} (median). {how}. {result}", ""]
    lines += [f"- {words}" for words in r["complaints"]] + ([""] if r["complaints"] else [])
    lines += [
        "![curves](soak/plot.svg)", "",
        "[samples.csv](soak/samples.csv) has the samples, [events.csv](soak/events.csv) the events.", "",
        "| figure | value |", "|---|---|",
        f"| samples | {r['samples']:,}, one each {r['step_s']:.3g} s |",
        f"| calls that came and went by churn | {r['churned']:,} |",
        f"| calls in the log, floods and visitors included | {r['calls_in_the_log']:,} |",
        f"| calls lost, and cleared on purpose | {r['lost_calls']}, {r['cleared']} |",
        f"| packets sent, and lost | {r['packets_sent']:,}, {r['packets_lost']:,} |",
        f"| SIGKILL of control, of the dataplane | {r['kills']['control']}, {r['kills']['dataplane']} |",
        f"| slowest return of a plane | {r['slowest_back_s']:.2f} s |",
        f"| events | {sum(many.values())} |",
        "| log lines: info, warn, error | " + ", ".join(f"{r['log_levels'].get(level, 0):,}"
                                                         for level in ("info", "warn", "error")) + " |", ""]
    lines += ["| event | times |", "|---|---|",
              *(f"| {name.replace('_', ' ')} | {count} |" for name, count in many.items()), "",
              "| resource | level | growth an hour | 99.9 % interval | bound | verdict |", "|---|---|---|---|---|---|"]
    for row in r["resources"]:
        if "level" not in row:
            lines.append(f"| {row['resource']} | | | | | {row['verdict']} |")
            continue
        lines.append(f"| {row['resource']} | {figure(row['level'])} {row['unit']} | {figure(row['per_hour'])} | "
                     f"{figure(row['low'])} to {figure(row['high'])} | {row['bound']} | {row['verdict']} |")
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) > 2 or sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__)
        return 2
    if sys.argv[1:]:
        source = pathlib.Path(sys.argv[1])
        RECORD.mkdir(exist_ok=True)
        for name in ("samples.csv", "events.csv"):
            shutil.copyfile(source / name, RECORD / name)
        page = (DOCS / "soak.md").read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        _, after = rest.split(END)
        words = record(json.loads((source / "report.json").read_text(encoding="utf-8")))
        (DOCS / "soak.md").write_text(before + BEGIN + "\n" + words + "\n" + END + after, encoding="utf-8")
    (RECORD / "plot.svg").write_text(draw(read("samples.csv"), read("events.csv")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
