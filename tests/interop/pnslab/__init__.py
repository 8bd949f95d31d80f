# SPDX-License-Identifier: BSD-3-Clause
"""A laboratory on one machine: network namespaces, the server under test, and real Linux clients.

    with Lab(ports="tap") as lab:
        server = lab.start_server()
        guest = lab.start_guest()
        session = guest.dial("alice")
        session.wait_up()

Python's standard library only. Needs root, /dev/net/tun and Debian's packages of deploy/packages.
Every name carries the lab's id, so that several labs live at once and each is removed exactly.
"""
from .bpf import subscriber_prefixes
from .free_radius import FreeRadius
from .guest import Guest, Session
from .host import LabError, Missing, end, wait_until
from .lab import SOURCE, Lab, clean_dead_labs
from .server import Server

__all__ = ["FreeRadius", "Guest", "Lab", "LabError", "Missing", "SOURCE", "Server", "Session", "clean_dead_labs",
           "end", "subscriber_prefixes", "wait_until"]
