# SPDX-License-Identifier: BSD-3-Clause
"""What the test files of this directory share: a theme is a class of cases on one lab, carried out
in the order written. Options: --ports xdp|tap|packet|auto, --binaries DIR, --keep DIR (logs).
Exit status: 0 passed, 1 failed, 77 a precondition that is named is missing.
PNS_TEST_LOGS: where a case that asks for it leaves its logs when it fails (build/test-logs)."""
import argparse
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

import pnslab

OPTIONS = argparse.Namespace(ports="auto", binaries=None, keep=None)


class Theme(unittest.TestCase):
    """Starts a lab with a server and `guests` guests of `addresses` addresses each."""

    guests = 1
    addresses = 1
    users = {"alice": "wonderland"}
    changes = None  # of the configuration: top-level key → YAML block
    ipv6 = False  # in the intranet and in the guests too
    longMessage = True

    @classmethod
    def setUpClass(cls):
        keep = pathlib.Path(OPTIONS.keep) / cls.__name__ if OPTIONS.keep else None
        try:
            cls.lab = pnslab.Lab(OPTIONS.ports, OPTIONS.binaries, keep, cls.ipv6)
        except pnslab.Missing as missing:
            raise unittest.SkipTest(str(missing)) from None
        try:
            booting = [cls.lab.start_guest(cls.addresses) for _ in range(cls.guests)]
            cls.before_start()
            cls.server = cls.lab.start_server(cls.users, cls.changes)
            for guest in booting:
                guest.wait_boot()
                if cls.ipv6:
                    guest.load_ipv6()
        except pnslab.Missing as missing:
            cls.lab.close()
            raise unittest.SkipTest(str(missing)) from None
        except BaseException:
            cls.lab.close()
            raise
        print(f"{cls.__name__}: lab {cls.lab.id}, ports {cls.lab.ports}", file=sys.stderr)

    @classmethod
    def before_start(cls):
        """What a theme does in its lab before the server starts."""

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def tearDown(self):
        if self.failed():
            print(f"--- {self.id()}: server log\n{self.server.log_tail()}", file=sys.stderr)
            print(f"--- kernel losses\n{self.lab.kernel_losses()}", file=sys.stderr)
            print(f"--- packets that the server dropped\n{self.drops()}", file=sys.stderr)
            print(f"--- machine since the lab began: {self.lab.load.since()}", file=sys.stderr)
            for guest in self.lab.guests:
                print(f"--- {guest.name}: " + ", ".join(map(str, guest.sessions)), file=sys.stderr)
            for session in [guest.sessions[-1] for guest in self.lab.guests if guest.sessions][:1]:
                print(f"--- its last client's pppd log\n{session.log()}", file=sys.stderr)
        # A case that failed half-way must not be the next one's trouble.
        left = [session for guest in self.lab.guests for session in guest.sessions
                if session.job.done() is None]
        for session in left:
            session.hang_up()
        if left and self.server.process.poll() is None:
            self.server.wait_sessions(0)

    def failed(self):
        """Whether this case has failed so far."""
        outcome = self._outcome.result
        return any(case is self for case, _ in outcome.failures + outcome.errors)

    def drops(self):
        """A line for each reason with packets."""
        try:
            lines = self.server.metrics().splitlines()
        except (pnslab.LabError, OSError) as error:
            return f"unknown: {error}"
        lost = [line for line in lines
                if line.startswith(("pns_dataplane_drops_total", "pns_neighbour_lost_packets_total"))
                and not line.endswith((" 0", " 0.0"))]
        return "\n".join(lost) or "none"

    def keep_logs(self, name):
        """Copies all the lab's files so far; returns where they lie."""
        for guest in self.lab.guests:
            with contextlib.suppress(pnslab.LabError):
                guest.run("sync", 10)
        where = os.environ.get("PNS_TEST_LOGS") or pnslab.SOURCE / "build" / "test-logs"
        return self.lab.copy_logs(pathlib.Path(where).resolve() / name)

    @property
    def guest(self):
        return self.lab.guests[0]

    def connect(self, user="alice", guest=None, **options):
        """A session that is up, and the server knows it."""
        session = (guest or self.guest).dial(user, self.users[user], **options).wait_up()
        pnslab.wait_until(lambda: self.find(session), 5, f"the server shows {session.address}")
        return session

    def find(self, session):
        """The server's view of a session; None when it has none."""
        for shown in self.server.sessions():
            if shown["address"] == session.address:
                return shown
        return None

    def ask(self, question, timeout=20, what="the control process answers"):
        """The answer to question(), as soon as there is one: the server may have just been killed."""
        def tried():
            with contextlib.suppress(pnslab.LabError):
                return [question()]
            return None
        return pnslab.wait_until(tried, timeout, what)[0]

    def ping(self, guest, target, *options, count=3):
        """Pings from a guest: (sent, received). An interval below 0.2 s is fine: it is root there."""
        output = guest.run(f"ping -c {count} {' '.join(options)} {target} || true", timeout=count + 30)
        return ping_counts(output)

    @classmethod
    def serve(cls, namespace, *words, ready="serving"):
        """A Python program in a namespace that has said that it is ready. It ends with the lab."""
        server = cls.lab.start_in(namespace, sys.executable, "-B", *words, stdout=subprocess.PIPE, text=True)
        with server.stdout:
            if server.stdout.readline() != f"{ready}\n":
                raise pnslab.LabError(f"{words[0]} does not start")
        return server

    def dropped(self, reason):
        """Packets that the dataplane has dropped for a reason."""
        return self.metric("pns_dataplane_drops_total", reason=reason) or 0

    def metric(self, name, **labels):
        """The sum of the series of a family that have these labels; None: there are none."""
        values = [float(value) for text, value in re.findall(
                      rf"^{name}(?:\{{([^}}]*)\}})? (\S+)$", self.server.metrics(), re.MULTILINE)
                  if all(f'{key}="{wanted}"' in text for key, wanted in labels.items())]
        if not values:
            return None
        total = sum(values)
        return int(total) if total.is_integer() else total

    def missing_metrics(self, names):
        """Those of these metrics that the server does not show."""
        text = self.server.metrics()
        return [name for name in sorted(names) if not re.search(rf"^{name}[ {{]", text, re.MULTILINE)]

    def assert_tcp(self, count, address=None, timeout=60, namespace=None):
        """TCP carries so many octets each way between the guest and a host, and changes none. `namespace`:
        of the host; the intranet by default."""
        address = address or HOST
        server = self.serve(namespace or self.lab.intranet, str(TRANSFER), "serve", address, "5000")
        # By way of the guest's own directory: it may see nothing of the one the sources lie in.
        shutil.copy(TRANSFER, self.guest.directory)
        expected = pnslab.host.run([sys.executable, "-B", str(TRANSFER), "digest", str(count)]).stdout
        for verb in ("upload", "download"):
            digest = self.guest.run(f"python3 -B /run/lab/{TRANSFER.name} {verb} {address} 5000 {count}", timeout)
            self.assertEqual(digest, expected, verb)
        pnslab.end(server)

    def serve_iperf(self):
        """An iperf3 server on the intranet's host."""
        process = self.lab.start_in(self.lab.intranet, "iperf3", "-s", "-B", HOST,
                                    stdout=-3, stderr=-3)  # subprocess.DEVNULL
        pnslab.wait_until(
            lambda: ":5201" in self.lab.intranet.run("ss", "-Hltn").stdout, 10, "iperf3 listens")
        return process


HOST = "10.0.0.53"
RULES = pnslab.SOURCE / "deploy" / "prometheus" / "pns.rules.yaml"
TRANSFER = pathlib.Path(__file__).resolve().parent / "guest" / "transfer.py"
SERVER = "198.51.100.1"
# pppd options, for `security` of connect(): MS-CHAPv2, and no encryption.
CLEAR = ("refuse-pap", "refuse-chap", "refuse-mschap", "refuse-eap", "nomppe")


def alert_metrics():
    """The metrics that the alert rules and the dashboard name."""
    dashboard = (RULES.parent / "pns-grafana.json").read_text()
    return set(re.findall(r"\bpns_[a-z_]+", RULES.read_text() + dashboard))


def ping_counts(output):
    """(sent, received) out of what ping printed."""
    for line in output.splitlines():
        words = line.split()
        if "packets transmitted" in line:
            return int(words[0]), int(words[words.index("received,") - 1])
    raise pnslab.LabError(f"no summary of ping in: {output!r}")


def main(*themes):
    parser = argparse.ArgumentParser()
    parser.add_argument("--ports", choices=("auto", "xdp", "tap", "packet"), default="auto")
    parser.add_argument("--binaries", help="directory of pns and its planes")
    parser.add_argument("--keep", help="directory for logs")
    parser.add_argument("cases", nargs="*", help="names of cases; all of them by default")
    parser.parse_args(namespace=OPTIONS)
    there = [(theme, name) for theme in themes for name in vars(theme) if name.startswith("test_")]
    for name in OPTIONS.cases:
        if name not in (case for _, case in there):
            parser.error(f"there is no case {name}")
    suite = unittest.TestSuite(theme(name) for theme, name in there if not OPTIONS.cases or name in OPTIONS.cases)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun == 0:
        for _, reason in result.skipped:
            print(f"skipped: {reason}", file=sys.stderr)
        sys.exit(77 if result.skipped else 1)
    sys.exit(0)
