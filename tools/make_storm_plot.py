#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Draws docs/storm.svg from docs/storm.csv: python3 tools/make_storm_plot.py"""
import csv
import math
import pathlib

from svg_chart import head, line, polyline, text

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
WIDTH, LEFT, RIGHT = 900, 70, 150
PANELS = [  # title, top, height, ceiling, (label, colour, value of a row)
    ("clients", 40, 230, 5000, [
        ("up", "#1b7837", lambda r: r["clients_up"]),
        ("waiting (server)", "#b35806", lambda r: r["waiting"]),
    ]),
    ("set-ups in flight (limit 256)", 310, 90, 300, [
        ("in flight", "#5e3c99", lambda r: r["in_flight"]),
    ]),
    ("traffic of 500 established calls: answers in % of what was sent (over 0.5 s: late answers come above 100)", 440, 90, 110, [
        ("answered", "#2166ac", lambda r: r["answered"]),
    ]),
]
BOTTOM = 530


def read():
    with open(DOCS / "storm.csv", newline="", encoding="ascii") as file:
        rows = [{k: float(v) if v else None for k, v in row.items()} for row in csv.DictReader(file)]
    for i, row in enumerate(rows):
        window = rows[max(0, i - 2):i + 3]
        sent = sum(r["talk_sent"] for r in window)
        row["answered"] = 100 * sum(r["talk_received"] for r in window) / sent if sent else None
    return rows


def draw(rows):
    first, last = rows[0]["time_s"], rows[-1]["time_s"]

    def x(time):
        return LEFT + (time - first) / (last - first) * (WIDTH - LEFT - RIGHT)
    out = head(WIDTH, BOTTOM + 50)
    for title, top, height, ceiling, curves in PANELS:
        ceiling = max([ceiling] + [1.05 * (c[2](r) or 0) for r in rows for c in curves])

        def y(value, top=top, height=height, ceiling=ceiling):
            return top + height * (1 - value / ceiling)
        out.append(text(LEFT, top - 8, title, size=14))
        step = next(s for s in (20, 50, 100, 500, 1000, 2000) if ceiling / s <= 6)
        for mark in range(0, int(ceiling) + 1, step):
            out += [line(LEFT, y(mark), WIDTH - RIGHT, y(mark)),
                    text(LEFT - 6, y(mark) + 4, f"{mark:,}", "end", size=11)]
        out.append(line(x(0), top, x(0), top + height, "#888"))
        for number, (label, colour, value) in enumerate(curves):
            out.append(polyline([(x(r["time_s"]), y(value(r))) for r in rows if value(r) is not None],
                                colour))
            out.append(text(WIDTH - RIGHT + 8, top + 16 + 20 * number, label, colour=colour))
    second = math.ceil(first)
    while second <= last:
        out += [line(x(second), BOTTOM, x(second), BOTTOM + 5, "#888"),
                text(x(second), BOTTOM + 20, f"{second:g}", "middle", size=11)]
        second += 1
    out += [text((LEFT + WIDTH - RIGHT) / 2, BOTTOM + 40, "seconds since the first client dialled",
                 "middle"), "</svg>"]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    (DOCS / "storm.svg").write_text(draw(read()), encoding="ascii")
