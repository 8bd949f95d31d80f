#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`pns reload` while emulated clients have calls with traffic. No case may end one of them.

PNS_RELOAD_EDITS and PNS_RELOAD_CALLS: of the case with random edits (20 and 100)."""
import contextlib
import json
import os
import random
import signal
import subprocess
import time

import crowd
import peer
import pnslab
import theme
from crowd import ECHO, SERVER, SOURCES
from theme import HOST

CALLS = int(os.environ.get("PNS_RELOAD_CALLS", "100"))
EDITS = int(os.environ.get("PNS_RELOAD_EDITS", "20"))
SECOND = "198.51.100.3"  # another address of the access port's network, to listen on


class Reload(crowd.Crowd):
    def setUp(self):
        self.file = self.server.config_file
        self.original = self.file.read_text()
        self.addCleanup(self.restore)

    def restore(self):
        self.file.write_text(self.original)
        self.pns("--timeout", "60")

    def pns(self, *words):
        return subprocess.run([self.server.pns, "reload", *words, "--run-dir", str(self.server.run_dir)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=90,
                              check=False)

    def reload(self, *words):
        done = self.pns(*words)
        # The check of a dry run warns of things that this machine lacks.
        wrong = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
        self.assertEqual((done.returncode, wrong), (0, []), self.server.log_tail())
        return done.stdout

    def edit(self, **blocks):
        """The original file with other top-level blocks."""
        text = self.lab.config({**self.changes, **blocks})
        self.file.write_text(text)
        return text

    def config(self):
        return self.ask(lambda: self.server.show("config"))

    def starts(self, what="control"):
        return self.ask(lambda: self.server.show("stats"))[f"{what}_starts"]

    @contextlib.contextmanager
    def calls(self, count=20):
        """So many calls with traffic, which must all be there in the end."""
        process = self.start("--sources", 4, "--sessions", count, "--concurrent", 60, "--traffic", "udp",
                             "--target", ECHO, "--rate", 5, "--duration", 3600, "--time-limit", 3600,
                             "--accept-loss", "1%")
        self.wait_up(count)
        yield
        self.assertEqual(self.ask(self.server.open_sessions), count)
        self.assertIsNone(process.poll(), "the load generator has ended")
        process.send_signal(signal.SIGTERM)
        _, result = self.finish(process)
        self.assertEqual((result["up"], result["failed"], result["lost_calls"]), (count, {}, 0))
        self.server.wait_sessions(0, 30)

    # --- cases ---

    def test_a_dry_run_says_when_each_change_takes_effect(self):
        self.edit(ppp="ppp: {mtu: 1300, dns: [10.0.0.54], lcp_echo: {interval: 7s}}\n",
                  log="log: {level: debug}\n",
                  pools="pools:\n  default: {ranges: [10.65.0.2-10.65.63.254], gateway: 10.65.0.1}\n",
                  dataplane="dataplane: {max_sessions: 8192, idle: {spin_polls: 77}}\n")
        before, starts = self.config(), self.starts()
        with self.calls(3):
            said = self.reload("--dry-run")
            told = json.loads(self.reload("--dry-run", "--json").split("\n/")[0].rsplit("}", 1)[0] + "}")
        self.assertEqual({d["key"]: d["effect"] for d in told["differences"]},
                         {"ppp.mtu": "new_calls", "ppp.dns": "new_calls", "ppp.lcp_echo.interval": "now",
                          "log.level": "now", "pools.default.ranges": "new_calls",
                          "pools.default.gateway": "new_calls", "dataplane.max_sessions": "server",
                          "dataplane.idle.spin_polls": "dataplane"})
        self.assertEqual(told["unknown"], [])
        self.assertIn('ppp.dns\n    ["10.0.0.53"] -> ["10.0.0.54"]\n    new calls only\n', said)
        self.assertIn("3 calls keep an address that leaves its pool, until they end:\n", said)
        self.assertIn("needs pns restart dataplane\n", said)
        self.assertEqual((self.config(), self.starts()), (before, starts))

    def test_changes_take_effect_and_no_call_ends(self):
        with self.calls():
            self.edit(ppp="ppp: {dns: [10.0.0.54]}\n", log="log: {level: debug}\n",
                      pools="pools:\n  default: {ranges: [10.64.128.2-10.64.191.254], gateway: 10.64.128.1}\n")
            said = self.reload()
            self.assertRegex(said, r"control restarted in \d+ ms")
            self.assertEqual(self.config()["ppp"]["dns"], ["10.0.0.54"])
            # A new call has an address of the new pool, and its packets pass.
            status, result = self.finish(self.start("--sessions", 1, "--ping", HOST, source=SOURCES[5]))
            self.assertEqual((status, result["up"], result["failed"]), (0, 1, {}))
        self.assertIn("The configuration has no changed key.", self.reload("--dry-run"))
        # The dataplane writes on the new level too.
        self.assertEqual(self.starts("dataplane"), 1)

    def test_a_wrong_file_changes_nothing(self):
        before, starts = self.config(), self.starts()
        self.file.write_text(self.original + "nonsense: 1\n")
        for words in ([], ["--dry-run"]):
            done = self.pns(*words)
            self.assertEqual(done.returncode, 1)
            self.assertIn("nonsense", done.stderr)
            self.assertIn("pns: the configuration is wrong; nothing was changed\n", done.stderr)
        # Only the check by the processes finds this.
        self.file.write_text(self.original.replace("users.yaml", "missing.yaml"))
        done = self.pns()
        self.assertEqual(done.returncode, 1)
        self.assertIn("missing.yaml", done.stderr)
        self.assertEqual((self.config(), self.starts()), (before, starts))

    def test_without_a_confirmation_the_configuration_before_returns(self):
        with self.calls(3):
            self.edit(ppp="ppp: {dns: [10.0.0.54]}\n")
            self.assertIn("Confirm within 2s", self.reload("--confirm-within", "2s"))
            self.assertEqual(self.config()["ppp"]["dns"], ["10.0.0.54"])
            done = self.pns()
            self.assertEqual(done.returncode, 1)
            self.assertIn("a configuration waits to be confirmed", done.stderr)
            pnslab.wait_until(lambda: self.config()["ppp"]["dns"] == ["10.0.0.53"], 20, "it returns")
        self.assertIn("configuration not confirmed", self.server.log_tail(400))
        done = self.pns("--confirm")
        self.assertEqual((done.returncode, done.stderr),
                         (1, "pns: no configuration waits to be confirmed\n"))

    def test_a_confirmed_configuration_stays(self):
        self.edit(ppp="ppp: {dns: [10.0.0.54]}\n")
        self.reload("--confirm-within", "3s")
        self.assertEqual(self.reload("--confirm"), "confirmed: the new configuration stays\n")
        starts = self.starts()
        with self.assertRaises(pnslab.LabError):  # nothing happens for longer than it would have waited
            pnslab.wait_until(lambda: self.starts() != starts or None, 5, "another start")
        self.assertEqual(self.config()["ppp"]["dns"], ["10.0.0.54"])

    def test_a_confirmation_outlives_the_death_of_control(self):
        self.edit(ppp="ppp: {dns: [10.0.0.54]}\n")
        self.reload("--confirm-within", "4s")
        self.kill("control")
        self.assertEqual(self.config()["ppp"]["dns"], ["10.0.0.54"])
        pnslab.wait_until(lambda: self.config()["ppp"]["dns"] == ["10.0.0.53"], 20, "it returns")

    def test_sighup_reloads(self):
        self.edit(ppp="ppp: {dns: [10.0.0.54]}\n")
        os.kill(self.server.pid_of("supervisor"), signal.SIGHUP)
        pnslab.wait_until(lambda: self.config()["ppp"]["dns"] == ["10.0.0.54"], 20, "it is in force")
        self.file.write_text("nonsense: 1\n")
        os.kill(self.server.pid_of("supervisor"), signal.SIGHUP)
        pnslab.wait_until(lambda: "restart refused" in self.server.log_tail(400), 20, "it is refused")
        self.assertEqual(self.config()["ppp"]["dns"], ["10.0.0.54"])

    def test_listeners_open_and_close_under_calls(self):
        with self.calls(3):
            self.edit(pptp=f"pptp: {{{crowd.UNLIMITED}, listen: [{SERVER}, {SECOND}]}}\n")
            self.reload()
            self.lab.pns.ip("address", "add", f"{SECOND}/32", "dev", "lo")
            self.lab.inet.ip("route", "replace", f"{SECOND}/32", "via", SERVER)
            with peer.Peer(self.lab.inet, crowd.PROBE, SECOND) as client:
                client.establish()
            self.edit()
            self.reload()
            with self.assertRaises(OSError), peer.Peer(self.lab.inet, crowd.PROBE, SECOND) as client:
                client.establish()
            with peer.Peer(self.lab.inet, crowd.PROBE, SERVER) as client:
                client.establish()

    def test_random_edits_under_traffic_lose_no_call(self):
        """A property: whatever is edited, no call ends, and what the file says is in force."""
        seed = random.randrange(2**32)
        draw = random.Random(seed)
        print(f"seed {seed}", flush=True)
        begun = time.monotonic()
        with self.calls(CALLS):
            for number in range(EDITS):
                text = self.edit(**random_blocks(draw))
                wrong = draw.random() < 0.1
                if wrong:
                    self.file.write_text(text + draw.choice(["nonsense: 1\n", "ppp: {}\n", "]\n"]))
                done = self.pns("--timeout", "60")
                self.assertEqual(done.returncode, 1 if wrong else 0, (seed, number, text, done.stderr))
                if not wrong:
                    self.assertIn("no changed key", self.reload("--dry-run").replace(
                        "needs pns restart dataplane", ""), (seed, number))
                self.assertEqual(self.ask(self.server.open_sessions), CALLS, (seed, number, text))
        print(f"{EDITS} edits under {CALLS} calls in {time.monotonic() - begun:.0f} s", flush=True)


def random_blocks(draw):
    """Blocks of the file, of keys that a reload puts into force by itself."""
    network = draw.randrange(65, 250)
    blocks = {
        "ppp": f"ppp: {{mtu: {draw.randrange(1200, 1400)}, dns: [10.0.0.{draw.randrange(1, 254)}], "
               f"lcp_echo: {{interval: {draw.randrange(20, 60)}s}}, "
               f"auth: {draw.choice(['[mschapv2]', '[mschapv2, chap]', '[mschapv2, mschap, pap]'])}, "
               "mppe: {policy: prefer}}\n",
        "log": f"log: {{level: {draw.choice(['debug', 'info', 'warn'])}}}\n",
        "pools": f"pools:\n  default: {{ranges: [10.{network}.0.2-10.{network}.63.254], "
                 f"gateway: 10.{network}.0.1}}\n",
        "metrics": draw.choice(["metrics: {listen: off}\n", "metrics: {listen: '127.0.0.1:9655'}\n"]),
        "pptp": f"pptp: {{{crowd.UNLIMITED}, echo_interval: {draw.randrange(30, 90)}s, "
                f"admission: {{set_ups: {draw.randrange(64, 512)}}}}}\n",
        "control": f"control: {{memory: {{megabytes: {draw.randrange(256, 1024)}}}}}\n",
    }
    return {key: blocks[key] for key in draw.sample(sorted(blocks), draw.randrange(1, len(blocks)))}


if __name__ == "__main__":
    theme.main(Reload)
