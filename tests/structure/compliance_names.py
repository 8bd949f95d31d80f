#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks docs/compliance: that the tests it names exist, and that its counts are right.

usage: compliance_names.py ROOT
A test is named in backticks as `FILE: NAME`, where FILE is a file of tests/ that ends in _test, without its
suffix, and NAME the whole name of a Catch2 case or a test_ function of it. Prints one line for each offence;
exit status 1 when there is one.
"""
import ast
import pathlib
import re
import sys

CASE = re.compile(r'^\s*(?:TEST_CASE|SCENARIO)\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)', re.M)
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
QUOTED = re.compile(r"`([^`]+)`")
REFERENCE = re.compile(r"(\w+_test): (.+)")
LOOKS_LIKE_ONE = re.compile(r"_test\b|\btest_|^(?:rfc\d+ )?[a-z0-9 ]+: [a-z]")
VERDICTS = ("yes", "partly", "no")
BAD_INPUT = "bad-input.md"
BAD_INPUT_ROWS = list(range(1, 77))
# Rows of bad-input.md that must name a test.
MUST_HAVE_TEST = {*range(1, 16), 18, 21, 22, *range(26, 31), 35, 36, 37, 43, 44, 50, 55}


def tests_of(root):
    """File without suffix → names of its tests."""
    found = {}
    for path in sorted((root / "tests").rglob("*_test.*")):
        names = found.setdefault(path.stem, set())
        text = path.read_text(encoding="utf-8") if path.suffix in {".cpp", ".py"} else ""
        if path.suffix == ".cpp":
            names |= {"".join(LITERAL.findall(name)).replace('\\"', '"') for name in CASE.findall(text)}
        elif path.suffix == ".py":
            names |= {node.name for node in ast.walk(ast.parse(text))
                      if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
    return found


def rows_of(text):
    """(line number, cells) of each row of the tables that give verdicts."""
    in_verdicts = False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("|"):
            in_verdicts = False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) > 2 and cells[2] == "verdict":
            in_verdicts = True
        elif in_verdicts and set(cells[0]) != {"-"}:
            yield number, cells


def main():
    root = pathlib.Path(sys.argv[1])
    tests = tests_of(root)
    pages = sorted((root / "docs" / "compliance").glob("*.md"))
    offences, counts, references = [], {}, 0
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            for quoted in QUOTED.findall(line):
                match = REFERENCE.fullmatch(quoted)
                references += match is not None
                if match and match[2] not in tests.get(match[1], ()):
                    offences.append(f"{page.name}:{number}: no such test: {quoted}")
                elif not match and page.name != "README.md" and LOOKS_LIKE_ONE.search(quoted):
                    offences.append(f"{page.name}:{number}: not in the form FILE: NAME: {quoted}")
        if page.name == "README.md":
            continue
        count = counts.setdefault(page.name, dict.fromkeys(VERDICTS, 0))
        numbers = []
        for number, cells in rows_of(text):
            where = f"{page.name}:{number}"
            if cells[2] not in VERDICTS:
                offences.append(f"{where}: the verdict is none: {cells[2]}")
                continue
            count[cells[2]] += 1
            named = any(REFERENCE.fullmatch(quoted) for quoted in QUOTED.findall(cells[-1]))
            wanted = cells[2] == "yes"
            if page.name == BAD_INPUT:
                numbers.append(int(cells[0]))
                wanted = wanted or numbers[-1] in MUST_HAVE_TEST
            if wanted and not named:
                offences.append(f"{where}: names no test")
        if page.name == BAD_INPUT and numbers != BAD_INPUT_ROWS:
            offences.append(f"{page.name}: its rows are not 1 to {BAD_INPUT_ROWS[-1]}, each once and in order")

    readme = (root / "docs" / "compliance" / "README.md").read_text(encoding="utf-8")
    for name, count in counts.items():
        wanted = "".join(rf" {count[verdict]} \|" for verdict in VERDICTS)
        if not re.search(rf"^\|.*\({re.escape(name)}\).*\|{wanted}$", readme, re.M):
            offences.append(f"README.md: {name} has {count}")
    print("\n".join(offences) or f"{len(pages)} pages, {references} references: the tests exist")
    return 1 if offences or not references else 0


if __name__ == "__main__":
    sys.exit(main())
