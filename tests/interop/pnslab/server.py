# SPDX-License-Identifier: BSD-3-Clause
"""The server under test: `pns run` in its namespace, and the questions an operator asks it."""
import json
import os
import signal
import subprocess
import threading
import time

from . import host

READY_SECONDS = 30


class Server:
    def __init__(self, namespace, binaries, config_file, directory):
        self.namespace = namespace
        self.pns = str(binaries / "pns")
        self.config_file = config_file
        self.run_dir = directory / "run"
        self.log_file = directory / "server.log"
        self.lines = []  # of its stdout
        self.log = open(self.log_file, "ab")  # noqa: SIM115 (lives as long as the server)
        self.process = namespace.start(self.pns, "run", "--config", str(config_file), "--run-dir",
                                       str(self.run_dir), stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=self.log)
        self.reader = threading.Thread(target=self._read_stdout, daemon=True)
        self.reader.start()

    def _read_stdout(self):
        for line in self.process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip("\n"))

    def wait_ready(self):
        def ready_or_ended():
            return "ready" in self.lines or self.process.poll() is not None
        try:
            host.wait_until(ready_or_ended, READY_SECONDS, "the server prints `ready`")
        except host.LabError as error:
            raise host.LabError(f"{error}\n{self.log_tail()}") from None
        if "ready" not in self.lines:
            raise host.LabError(f"pns run ended with {self.process.returncode}:\n{self.log_tail()}")
        return self

    def log_tail(self, lines=40):
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])

    def pid_of(self, plane):
        """Pid of control or dataplane; None while there is no process."""
        try:
            return int((self.run_dir / f"{plane}.pid").read_text())
        except (OSError, ValueError):
            return None

    def kill(self, plane):
        """SIGKILL to a plane of this server. Returns the pid it had."""
        pid = self.pid_of(plane)
        if pid is None:
            raise host.LabError(f"{plane} does not run")
        os.kill(pid, signal.SIGKILL)
        return pid

    def show(self, *words):
        """`pns show … --json` as Python values."""
        done = subprocess.run([self.pns, "show", *words, "--json", "--run-dir", str(self.run_dir)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20,
                              check=False)
        if done.returncode != 0:
            raise host.LabError(f"pns show {' '.join(words)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def show_text(self, *words):
        return host.run([self.pns, "show", *words, "--run-dir", str(self.run_dir)]).stdout

    def clear(self, name):
        return host.run([self.pns, "call", "clear", name, "--run-dir", str(self.run_dir)]).stdout

    def restart(self, what):
        """`pns restart`: what it printed."""
        return host.run([self.pns, "restart", what, "--run-dir", str(self.run_dir)]).stdout

    def place(self, pac, number, *options):
        """Starts `pns call place`; the caller waits for it."""
        return subprocess.Popen([self.pns, "call", "place", "--pac", pac, "--number", number,
                                 "--run-dir", str(self.run_dir), *options],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def ask(self, *words):
        """A command with --json that may exit with 1; its document."""
        done = subprocess.run([self.pns, *words, "--json", "--run-dir", str(self.run_dir)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20,
                              check=False)
        if done.returncode > 1 or not done.stdout:
            raise host.LabError(f"pns {' '.join(words)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def audit(self):
        return self.ask("audit")

    def open_sessions(self):
        """How many there are, without the list of them."""
        return self.show("stats")["sessions_by_phase"]["open"]

    def sessions(self):
        return self.show("sessions")

    def wait_sessions(self, count, timeout=10):
        """Until so many sessions are there, no more and no less."""
        return host.wait_until(lambda: len(self.sessions()) == count or None, timeout,
                               f"{count} sessions")

    def metrics(self, address="127.0.0.1:9655"):
        """The text of /metrics, asked in the server's namespace."""
        script = ("import sys, urllib.request; "
                  "sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())")
        return self.namespace.run("python3", "-c", script, f"http://{address}/metrics").stdout

    def stop(self, timeout=15):
        """SIGTERM; returns exit status and how many seconds it took."""
        started = time.monotonic()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.end()
            raise host.LabError(f"the server did not end within {timeout} s\n{self.log_tail()}") from None
        self.reader.join(2)
        return status, time.monotonic() - started

    def end(self):
        host.end(self.process)
        self.reader.join(2)
        self.log.close()
