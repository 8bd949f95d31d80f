# SPDX-License-Identifier: BSD-3-Clause
"""The record of how much each fuzz target has run: docs/fuzz-totals.csv, and the table made from it in
docs/fuzzing.md."""
import csv
import dataclasses

BEGIN, END = "<!-- totals begin -->\n", "<!-- totals end -->\n"
COLUMNS = ("target", "executions", "seconds", "coverage", "failed_runs", "last_run")
GOAL = 1_000_000_000  # executions in all, before a release


@dataclasses.dataclass
class Total:
    executions: int = 0
    seconds: int = 0
    coverage: int = 0  # edges, the most of any run
    failed_runs: int = 0
    last_run: str = ""

    def add(self, executions, seconds, coverage, failed, date):
        self.executions += executions
        self.seconds += seconds
        self.coverage = max(self.coverage, coverage)
        self.failed_runs += int(failed)
        self.last_run = max(self.last_run, date)


def read(path):
    """Target → Total; empty where there is no record yet."""
    if not path.exists():
        return {}
    with open(path, newline="", encoding="ascii") as file:
        return {row["target"]: Total(*(int(row[name]) for name in COLUMNS[1:-1]), row["last_run"])
                for row in csv.DictReader(file)}


def write(path, totals):
    new = path.with_suffix(".new")
    with open(new, "w", newline="", encoding="ascii") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for target, total in totals.items():
            writer.writerow((target, *dataclasses.astuple(total)))
    new.replace(path)  # a run that ends here leaves the old record or the new one


def table(totals):
    lines = ["| target | executions | CPU hours | coverage, edges | failed runs | last run |",
             "|---|---|---|---|---|---|"]
    for target, total in totals.items():
        lines.append(f"| {target} | {total.executions:,} | {total.seconds / 3600:.2f} | {total.coverage:,} | "
                     f"{total.failed_runs} | {total.last_run} |")
    executions = sum(total.executions for total in totals.values())
    lines.append(f"| all | {executions:,} ({executions / GOAL * 100:.1f} % of 10^9) | "
                 f"{sum(total.seconds for total in totals.values()) / 3600:.2f} | | "
                 f"{sum(total.failed_runs for total in totals.values())} | |")
    return "\n".join(lines) + "\n"


def update_page(page, totals):
    """The text of the page with the table between its two marks."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + "\n" + table(totals) + "\n" + END + after
