#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Thousands of emulated subscribers and PACs (pns-loadgen, docs/loadgen.md): clients of every kind in
one run, PACs that call in, a PAC that is called, and lines that lose, repeat and reorder."""
import json
import subprocess

import peer
import pnslab
import theme
from theme import HOST

SERVER = "198.51.100.1"
SOURCES = [f"198.51.100.{i}" for i in range(202, 206)]
ECHO = f"{HOST}:7000"
PROFILES = ("windows", "android", "mikrotik", "pptp-linux", "linux-kernel")


class Load(theme.Theme):
    guests = 0
    users = {"alice": "wonderland"}
    changes = {
        "dataplane": "dataplane: {max_sessions: 4096}\n",
        "ppp": """ppp:
  mtu: 1400
  auth: [mschapv2, mschap, chap, pap]
  mppe: {policy: prefer, key_bits: [128, 56, 40], mode: any}
""",
        "pools": "pools:\n  default: {ranges: [10.64.0.2-10.64.63.254], gateway: 10.64.0.1}\n",
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for address in SOURCES:
            cls.lab.inet.ip("address", "add", f"{address}/24", "dev", "br0")
        echo = cls.lab.start_in(cls.lab.intranet, str(cls.lab.binaries / "pns-loadgen"), "echo",
                                "--listen", ECHO, stdout=subprocess.PIPE)
        if echo.stdout.readline() != b"ready\n":
            raise pnslab.LabError("pns-loadgen echo is not ready")

    def setUp(self):
        self.counters = peer.Counters(self.server)

    def tearDown(self):
        super().tearDown()
        self.server.wait_sessions(0)
        pnslab.wait_until(lambda: not self.server.show("connections"), 5, "no connection is left")
        self.assertEqual(self.server.show("stats")["dataplane_starts"], 1)
        self.assertEqual(self.server.show("stats")["control_starts"], 1)

    def start(self, *words):
        command = [str(self.lab.binaries / "pns-loadgen"), "--server", SERVER, "--source", SOURCES[0],
                   "--user", "alice", "--password", "wonderland", *map(str, words)]
        return self.lab.start_in(self.lab.inet, *command, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)

    def finish(self, process, timeout=120):
        """(exit status, the JSON document)"""
        out, err = process.communicate(timeout=timeout)
        self.assertTrue(out, err)
        print(out, flush=True)
        return process.returncode, json.loads(out)

    def load(self, *words):
        """A run in which everything must go well."""
        status, result = self.finish(self.start(*words))
        self.assertEqual((status, result["failed"], result["up"]), (0, {}, result["sessions"]))
        return result

    def dropped(self, reason):
        return self.counters.grown("pns_dataplane_drops_total", reason=reason)

    def test_2000_clients_of_every_kind_come_up_in_one_run_and_all_pass_traffic(self):
        result = self.load("--sources", 4, "--sessions", 2000, "--concurrent", 60, "--profile", "all",
                           "--ping", HOST, "--traffic", "udp", "--target", ECHO, "--rate", 1,
                           "--duration", 5, "--accept-loss", "0.1%")
        self.assertEqual({name: p["up"] for name, p in result["profiles"].items()},
                         dict.fromkeys(PROFILES, 400))
        self.assertGreaterEqual(result["traffic"]["sent"], 2000 * 4)
        self.assertEqual(result["traffic"]["sessions_unanswered"], 0)
        # Each kind has its manners on the control connection, and they are served.
        self.assertEqual(self.counters.grown("pns_set_link_info_total"), 400)


if __name__ == "__main__":
    theme.main(Load)
