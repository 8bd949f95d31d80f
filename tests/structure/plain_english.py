#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks the prose of the documents and of the comments.

usage: plain_english.py SOURCE_DIR

README.md, docs/**/*.md: a sentence has at most 30 words, a table cell at most 40, and no retired word.
Comments of *.hpp, *.cpp, *.py: no sentence begins with one of OPENINGS.
"""
import pathlib
import re
import sys

MAX_SENTENCE = 30
MAX_CELL = 40
SOURCES = ("pns", "controlplane", "dataplane", "tests", "tools")

# Retired word → the word of the field.
RETIRED = {
    r"purses?": "token bucket",
    r"books": "counters",
    r"hasten(?:s|ed|ing)?": "force stop",
    r"dawdlers?": "expired set-up",
    r"in vain": "held and timed out",
    r"likewise": "say what happens",
    r"resting|put to rest|\d+ s rest": "quarantine",
    r"whoever|nobody|somebody|anybody": "name the party",
    r"go(?:es)? on": "continue, resume",
    r"mend(?:s|ed|ing)?": "fix",
    r"all the same": "nevertheless",
    r"at hand": "available",
    r"fates?": "verdict",
    r"behind (?:our|its|their) backs?": "say who does it",
    r"passes? the wish|by (?:an? )?operator's wish": "request",
    r"lost its mind": "plane not responding",
    r"unasked": "without consulting the backend",
    r"of every make": "name the kinds",
    r"design §|style §|style:": "a document that is in the repository",
}
RETIRED_RES = [(re.compile(rf"\b(?:{word})", re.I) if "§" in word else re.compile(rf"\b(?:{word})\b", re.I),
                instead) for word, instead in RETIRED.items()]
OPENINGS = re.compile(r"(?:What|Of|Who|Likewise|Any other)\b")

CODE = re.compile(r"`[^`]*`")
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
SENTENCE_END = re.compile(r"(?<=[.!?])[)\"*_]*\s+(?=[\"(*_`\[A-Z0-9])")
ITEM = re.compile(r"\s*(?:[-*+]|\d+\.)\s+")


def words(text):
    return sum(1 for word in text.split() if re.search(r"\w", word))


def cleaned(text):
    return LINK.sub(r"\1", CODE.sub("Code", text))


def sentences(lines):
    """(line number, sentence) of a paragraph, which is a list of (line number, text)."""
    text, starts = "", []
    for number, line in lines:
        starts.append((len(text), number))
        text += cleaned(line).strip() + " "
    at = 0
    for end in [m.end() for m in SENTENCE_END.finditer(text)] + [len(text)]:
        number = [n for start, n in starts if start <= at][-1]
        yield number, text[at:end].strip()
        at = end


def cells(line):
    return [cell.strip() for cell in cleaned(line.replace("\\|", "/")).strip().strip("|").split("|")]


def prose(text):
    """Paragraphs and table rows of a Markdown page: (kind, [(line number, text)])."""
    paragraph, fenced = [], False
    for number, line in enumerate(text.splitlines() + [""], 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            line = ""
        elif fenced or (line.startswith("    ") and not paragraph):
            continue
        table = line.startswith("|")
        ends = not line.strip() or table or line.startswith(("#", "<!--", ">")) or ITEM.match(line)
        if ends and paragraph:
            yield "text", paragraph
            paragraph = []
        if table:
            yield "row", [(number, line)]
        elif line.strip() and not line.startswith(("#", "<!--")):
            paragraph.append((number, ITEM.sub("", line, count=1) if ends else line))


def page_offences(path):
    for kind, lines in prose(path.read_text(encoding="utf-8")):
        if kind == "row":
            for cell in cells(lines[0][1]):
                if words(cell) > MAX_CELL:
                    yield lines[0][0], f"a table cell of {words(cell)} words: {cell[:60]}…"
        else:
            for number, sentence in sentences(lines):
                if words(sentence) > MAX_SENTENCE:
                    yield number, f"a sentence of {words(sentence)} words: {sentence[:60]}…"
        for number, line in lines:
            for retired, instead in RETIRED_RES:
                if match := retired.search(LINK.sub(r"\1", CODE.sub("", line))):
                    yield number, f"retired \"{match.group()}\": {instead}"


def comments(path):
    """Comment blocks of a source file: lists of (line number, text)."""
    marker = re.compile(r"#" if path.suffix == ".py" else r"//")
    block = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        match = marker.search(line)
        while match and line.count('"', 0, match.start()) % 2:
            match = marker.search(line, match.end())
        if match and (not line[:match.start()].strip()):
            text = line[match.end():].strip()
            if text:
                block.append((number, text))
                continue
        if block:
            yield block
            block = []
        if match and line[:match.start()].strip():
            yield [(number, line[match.end():].strip())]
    if block:
        yield block


def comment_offences(path):
    for block in comments(path):
        for number, sentence in sentences(block):
            if match := OPENINGS.match(sentence):
                yield number, f"a comment sentence that begins with \"{match.group()}\": {sentence[:60]}"


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    sources = [path for top in SOURCES for path in sorted((root / top).rglob("*"))
               if path.suffix in {".hpp", ".cpp", ".py"}]
    found = [f"{path.relative_to(root)}:{number}: {offence}"
             for paths, offences in ((pages, page_offences), (sources, comment_offences))
             for path in paths for number, offence in offences(path)]
    print("\n".join(found) if found else f"{len(pages)} documents and {len(sources)} source files are plain")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
