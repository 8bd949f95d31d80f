# SPDX-License-Identifier: BSD-3-Clause
"""Crowd: a theme whose clients are mostly emulated, by the thousand (pns-loadgen, docs/loadgen.md)."""
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time

import peer
import pnslab
import theme
from theme import HOST, SERVER

SOURCES = [f"198.51.100.{i}" for i in range(202, 210)]
PROBE = "198.51.100.250"  # where the tests' own clients come from
ECHO = f"{HOST}:7000"


class Statistics(http.client.HTTPConnection):
    """What `pns show stats` asks, without a process for each answer."""

    def __init__(self, run_dir, timeout=10):
        super().__init__("localhost", timeout=timeout)
        self.path = str(run_dir / "control.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self):
        self.request("GET", "/v1/stats")
        answer = json.loads(self.getresponse().read())
        self.close()
        return answer


def wait_new_client(lab, timeout=20):
    """Until a new client gets its Start-Control-Connection-Reply."""
    begun = time.monotonic()
    while time.monotonic() < begun + timeout:
        with contextlib.suppress(OSError, TimeoutError), peer.Peer(lab.inet, PROBE, SERVER) as client:
            answer = client.send(peer.start_request()).receive(5)
            if answer is not None and answer[0] == 2:
                return
    raise pnslab.LabError("no new client is served")


# A few addresses stand for thousands of subscribers here: without this the limits per source, which
# limits_test.py is about, would come first. It is a key of pptp.
UNLIMITED = "limits: {exempt: [198.51.100.0/24]}"


class Crowd(theme.Theme):
    guests = 0
    users = {"alice": "wonderland"}
    changes = {
        "pptp": f"pptp: {{{UNLIMITED}}}\n",
        "dataplane": "dataplane: {max_sessions: 4096}\n",
        "pools": "pools:\n  default: {ranges: [10.64.0.2-10.64.63.254], gateway: 10.64.0.1}\n",
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for address in [*SOURCES, PROBE]:
            cls.lab.inet.ip("address", "add", f"{address}/24", "dev", "br0")
        echo = cls.lab.start_in(cls.lab.intranet, str(cls.lab.binaries / "pns-loadgen"), "echo",
                                "--listen", ECHO, stdout=subprocess.PIPE)
        if echo.stdout.readline() != b"ready\n":
            raise pnslab.LabError("pns-loadgen echo is not ready")

    def start(self, *words, user="alice", password="wonderland", source=SOURCES[0]):
        command = [str(self.lab.binaries / "pns-loadgen"), "--server", SERVER, "--source", source,
                   "--user", user, "--password", password, *map(str, words)]
        # Its output lies with the lab's other files: loadgen.PID.log, and .json for its result.
        with tempfile.NamedTemporaryFile("w", dir=self.lab.directory, delete=False) as log:
            process = self.lab.start_in(self.lab.inet, *command, stdout=subprocess.PIPE, stderr=log,
                                        text=True)
        os.rename(log.name, self.file_of(process, "log"))
        self.addCleanup(pnslab.end, process)  # of a case that failed
        return process

    def file_of(self, process, suffix):
        return self.lab.directory / f"loadgen.{process.pid}.{suffix}"

    def finish(self, process, timeout=120):
        """(exit status, the JSON document)"""
        out, _ = process.communicate(timeout=timeout)
        self.assertTrue(out, self.file_of(process, "log").read_text(errors="replace"))
        self.file_of(process, "json").write_text(out)
        print(out, flush=True)
        return process.returncode, json.loads(out)

    def load(self, *words, timeout=120):
        """A run in which everything must go well."""
        status, result = self.finish(self.start(*words), timeout)
        self.assertEqual((status, result["failed"], result["up"]), (0, {}, result["sessions"]))
        return result

    def wait_up(self, count, timeout=60):
        """Until at least so many sessions are open."""
        def up():
            return self.server.open_sessions() >= count
        pnslab.wait_until(lambda: self.ask(up), timeout, f"{count} sessions are open")

    def kill(self, *planes):
        """SIGKILL to these planes at one instant; returns when that was."""
        pids = [self.server.pid_of(plane) for plane in planes]
        when = time.monotonic()
        for pid in pids:
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        return when

    def wait_new_client(self):
        wait_new_client(self.lab)

    def audit(self):
        """What the server's own books contradict each other in: must be nothing."""
        audit = self.ask(self.server.audit)
        self.assertEqual(audit["findings"], [], audit)
        return audit
