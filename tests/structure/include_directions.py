#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks which way includes point (the arrows of docs/architecture.md) and that every file says its licence.

usage: include_directions.py ROOT
Prints one line for each offence; exit status 1 when there is one.
"""
import pathlib
import re
import sys

# folder → folders it may include from, itself always included. The longest matching folder counts.
BASE = ["pns/base"]
WIRE = BASE + ["pns/wire"]
CRYPTO = BASE + ["pns/crypto"]
MPPE = CRYPTO + ["pns/mppe"]
RADIUS = CRYPTO + ["pns/radius"]
CONTRACT = BASE + ["pns/contract", "pns/mppe/state.hpp"]
PNS_FOR_PLANES = ["pns/base", "pns/wire", "pns/crypto", "pns/mppe", "pns/config", "pns/contract", "pns/log",
                  "pns/host", "pns/netlink", "pns/privilege"]
MODEL = ["controlplane/model"]
# The folders below the stages of a packet. Only the worker joins them with ports, and only main with the rest.
BELOW_PIPELINE = PNS_FOR_PLANES + ["dataplane/packet", "dataplane/mppe", "dataplane/gre", "dataplane/session",
                                   "dataplane/routing", "dataplane/filter"]
ALLOWED = {
    "pns/base": BASE,
    "pns/wire": WIRE,
    "pns/crypto": CRYPTO,
    "pns/mppe": MPPE,
    "pns/radius": RADIUS,
    "pns/log": BASE,
    "pns/host": [],
    "pns/netlink": BASE,
    "pns/privilege": BASE,
    "pns/config": BASE,
    "pns/contract": CONTRACT,
    "pns/supervisor": BASE + ["pns/config", "pns/contract", "pns/log", "pns/netlink", "pns/privilege"],
    "pns/doctor": BASE + ["pns/wire", "pns/config", "pns/host", "pns/netlink", "pns/privilege", "pns/supervisor"],
    "pns/import": BASE,
    "pns/cli": BASE + ["pns/config", "pns/import", "pns/crypto/mschap.hpp", "pns/contract", "pns/log", "pns/privilege", "pns/supervisor/supervisor.hpp",
                       "pns/supervisor/preflight.hpp", "pns/doctor/doctor.hpp", "pns/doctor/read_host.hpp"],
    "dataplane": PNS_FOR_PLANES + ["dataplane"],
    "dataplane/packet": PNS_FOR_PLANES,
    "dataplane/mppe": PNS_FOR_PLANES,
    "dataplane/filter": PNS_FOR_PLANES,
    "dataplane/session": PNS_FOR_PLANES,
    "dataplane/routing": PNS_FOR_PLANES,
    "dataplane/gre": PNS_FOR_PLANES + ["dataplane/packet"],
    "dataplane/pipeline": BELOW_PIPELINE,
    "dataplane/port": PNS_FOR_PLANES + ["dataplane/packet"],
    "dataplane/worker": BELOW_PIPELINE + ["dataplane/pipeline", "dataplane/port"],
    "dataplane/control": BELOW_PIPELINE + ["dataplane/worker", "dataplane/port"],
    "dataplane/start": PNS_FOR_PLANES + ["dataplane/mppe", "dataplane/packet"],
    "controlplane": PNS_FOR_PLANES + ["controlplane", "pns/radius"],
    "controlplane/lmdb": BASE,
    "controlplane/model": PNS_FOR_PLANES + MODEL,
    "controlplane/pptp": PNS_FOR_PLANES + MODEL,
    "controlplane/ppp": PNS_FOR_PLANES + MODEL,
    "controlplane/aaa": PNS_FOR_PLANES + MODEL + ["pns/radius"],
    "controlplane/pools": PNS_FOR_PLANES + MODEL,
    "controlplane/dataplane_link": PNS_FOR_PLANES + MODEL,
    "controlplane/runtime": PNS_FOR_PLANES + MODEL,
    "controlplane/metrics": PNS_FOR_PLANES + MODEL,
    "tests": ["pns", "dataplane", "controlplane", "tests"],
}
# Libraries that only one folder may use.
ONLY = {
    r"yaml-cpp/": ["pns/config"],
    r"prometheus/": ["controlplane/metrics", "tests"],
    r"nettle/": ["pns/crypto", "tests/bench"],
    r"openssl/": ["tests/bench"],
    r"spdlog/": ["pns/log"],
    r"rte_\w+\.h": ["dataplane", "tests"],
    r"asio[/.]": ["controlplane", "tests"],
}
LICENCE = "SPDX-License-Identifier: BSD-3-Clause"
SOURCE = {".hpp", ".cpp", ".c", ".def", ".py", ".sh"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)


def inside(path, folder):
    return path == folder or path.startswith(folder + "/")


def main():
    root = pathlib.Path(sys.argv[1])
    offences = []
    files = [p for top in ("pns", "dataplane", "controlplane", "tests", "deploy", "tools")
             for p in sorted((root / top).rglob("*"))
             if p.is_file() and (p.suffix in SOURCE or p.name == "CMakeLists.txt")]
    for path in files:
        name = path.relative_to(root).as_posix()
        text = path.read_text(errors="replace")
        if LICENCE not in "\n".join(text.splitlines()[:5]):
            offences.append(f"{name}: no SPDX line")
        if path.suffix not in {".hpp", ".cpp", ".c"}:
            continue
        folder = max((f for f in ALLOWED if inside(name, f)), key=len, default=None)
        for kind, include in INCLUDE.findall(text):
            for pattern, folders in ONLY.items():
                if re.match(pattern, include) and not any(inside(name, f) for f in folders):
                    offences.append(f"{name}: {include} belongs to {', '.join(folders)} only")
            if kind != '"':
                continue
            if not re.match(r"(pns|dataplane|controlplane|tests)/", include):
                offences.append(f"{name}: {include} is not written from the repository root")
            elif folder and not any(inside(include, f) for f in ALLOWED[folder] + [folder]):
                offences.append(f"{name}: {folder} may not include {include}")
    print("\n".join(offences) or f"{len(files)} files: includes point the right way")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
