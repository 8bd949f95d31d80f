# SPDX-License-Identifier: BSD-3-Clause
"""The record of the last whole run: docs/vm/last-run.md."""
import datetime
import typing

from pnslab import host

from . import SOURCE

PAGE = SOURCE / "docs" / "vm" / "last-run.md"


class Row(typing.NamedTuple):
    model: str
    case: str
    outcome: str  # passed, failed, or "skipped: why"


def _commit():
    head = host.run(["git", "-C", str(SOURCE), "rev-parse", "--short=12", "HEAD"]).stdout.strip()
    changed = host.run(["git", "-C", str(SOURCE), "status", "--porcelain", "--untracked-files=no"]).stdout
    return head + (" with changes" if changed.strip() else "")


def text(rows, seconds):
    models = list(dict.fromkeys(row.model for row in rows))
    found = {(row.case, row.model): row.outcome.partition(":")[0] for row in rows}
    lines = ["<!-- SPDX-License-Identifier: BSD-3-Clause -->", "# The last run of the virtual machine", "",
             "`tests/vm/run --record` has written this page. [vm-lab.md](../vm-lab.md) explains the cases.", "",
             f"- Date: {datetime.datetime.now(datetime.timezone.utc):%d %b %Y}", f"- Product: commit {_commit()}",
             f"- Host CPU: {host.cpu()}", f"- Time: {round(seconds / 60)} minutes",
             f"- Cases: {sum(row.outcome == 'passed' for row in rows)} passed, "
             f"{sum(row.outcome == 'failed' for row in rows)} failed", "",
             "| case | " + " | ".join(models) + " |", "|---|" + "---|" * len(models)]
    for case in dict.fromkeys(row.case for row in rows):
        cells = (found.get((case, model), "-") for model in models)
        lines.append(f"| {case.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write(rows, seconds):
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text(rows, seconds))
