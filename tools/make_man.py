#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes the manual pages: of each program from its --help, of pns.yaml from docs/configuration.md.

usage: make_man.py --bin DIR --source DIR --version VERSION --output DIR
Writes NAME.SECTION and NAME.SECTION.gz. The same input gives the same octets."""
import argparse
import gzip
import pathlib
import re
import subprocess

PROGRAMS = {
    "pns": (1, "PPTP network server: the operator's command"),
    "pns-loadgen": (1, "emulate PPTP subscribers and access concentrators"),
    "pns-bench": (1, "measure parts of the PPTP network server"),
    "pns-control": (8, "control process of the PPTP network server"),
    "pns-dataplane": (8, "dataplane process of the PPTP network server"),
}
FILES = {
    "pns": ["/etc/pns/pns.yaml the configuration, pns.yaml(5)", "/etc/pns/users.yaml users and passwords",
            "/run/pns sockets and pid files of the running server", "/usr/share/doc/pns/docs the documentation"],
}


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def help_of(program, *words):
    return subprocess.run([program, *words, "--help"], stdout=subprocess.PIPE, text=True, check=True,
                          env={"PATH": "/usr/bin:/bin", "COLUMNS": "100"}).stdout


def subcommands(text):
    """Names in the section Subcommands of a help text."""
    if "\nSubcommands:\n" not in text:
        return []
    block = text.split("\nSubcommands:\n", 1)[1]
    return re.findall(r"^  ([a-z][a-z-]*) ", block.split("\n\n", 1)[0] + "\n", re.M)


def block(text):
    return ".nf\n" + "\n".join(escape(line) for line in text.rstrip().splitlines()) + "\n.fi\n"


def header(name, section, version, summary):
    return (f'.TH {name.upper()} {section} "" "pns {version}" "PPTP network server"\n.SH NAME\n'
            f"{escape(name)} \\- {escape(summary)}\n")


def program_page(name, directory, version):
    section, summary = PROGRAMS[name]
    program = str(directory / name)
    text = help_of(program)
    page = header(name, section, version, summary)
    page += f".SH SYNOPSIS\n.B {escape(name)}\n[OPTIONS] [SUBCOMMAND]\n.SH DESCRIPTION\n" + block(text)
    commands = [(c,) for c in subcommands(text)]
    if commands:
        page += ".SH COMMANDS\n"
    while commands:
        words = commands.pop(0)
        text = help_of(program, *words)
        page += f".SS {escape(' '.join((name, *words)))}\n" + block(text)
        commands = [(*words, c) for c in subcommands(text)] + commands
    if name in FILES:
        page += ".SH FILES\n" + block("\n".join(FILES[name]))
    others = [f"{n}({s})" for n, (s, _) in sorted(PROGRAMS.items()) if n != name] + ["pns.yaml(5)"]
    return section, page + ".SH SEE ALSO\n" + escape(", ".join(others)) + "\n"


def plain(text):
    """A line of Markdown without its marks. Code keeps its asterisks."""
    text = re.sub(r"\[([^\]]*)\]\(([a-z0-9-]+\.md)[^)]*\)", r"\1 (/usr/share/doc/pns/docs/\2)", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = text.split("`")
    return "".join(part if number % 2 else part.replace("*", "") for number, part in enumerate(parts))


def configuration_page(source, version):
    page = header("pns.yaml", 5, version, "configuration of the PPTP network server")
    page += ".SH DESCRIPTION\n"
    in_code = False
    for line in (source / "docs" / "configuration.md").read_text().splitlines():
        if line.startswith(("<!--", "# ")):
            continue
        if line.startswith("#"):
            depth = len(line) - len(line.lstrip("#"))
            page += (".SH " if depth == 2 else ".SS ") + escape(plain(line.lstrip("# "))) + "\n"
        elif line.startswith("    ") or line.startswith("```"):
            page += "" if line.startswith("```") else f".br\n{escape(line)}\n"
        elif re.fullmatch(r"\|[-| :]+\|?", line):
            continue
        elif line.startswith("|"):
            cells = [plain(cell.strip()) for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
            page += f".TP\n.B {escape(cells[0])}\n{escape('; '.join(c for c in cells[1:] if c) or '-')}\n"
        elif not line.strip():
            page += ".PP\n"
        elif line.startswith("- "):
            page += f".IP \\(bu 2\n{escape(plain(line[2:]))}\n"
        else:
            page += escape(plain(line.strip())) + "\n"
    page += ".SH SEE ALSO\npns(1)\n"
    return re.sub(r"(\.PP\n)+(?=\.(SH|SS|TP|IP|PP))", "", page)


def script_page(source, version):
    page = header("pns-prepare-nic", 8, version, "prepare a host for NICs that DPDK drives")
    lines = (source / "deploy" / "prepare-nic").read_text().splitlines()
    usage = [line[2:] for line in lines[3:] if line.startswith("#")]
    text = "\n".join(usage).replace("deploy/prepare-nic", "pns-prepare-nic")
    return page + ".SH DESCRIPTION\n" + block(text) + ".SH SEE ALSO\npns(1)\n"


def main():
    parser = argparse.ArgumentParser()
    for name in ("bin", "source", "output"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--version", required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    pages = {}
    for name in PROGRAMS:
        section, page = program_page(name, options.bin, options.version)
        pages[f"{name}.{section}"] = page
    pages["pns.yaml.5"] = configuration_page(options.source, options.version)
    pages["pns-prepare-nic.8"] = script_page(options.source, options.version)
    for name, page in pages.items():
        (options.output / name).write_text(page)
        with open(options.output / f"{name}.gz", "wb") as raw, \
                gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
            packed.write(page.encode())


if __name__ == "__main__":
    main()
