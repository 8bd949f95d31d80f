#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A running server is upgraded to a build of the next version of every format, with one more drop
reason, one more field in a session's record and one more stored key (PNS_CONTRACT_TRIAL,
pns/contract/build_contract.hpp), and back, while emulated subscribers (pns-loadgen) send data. No call ends."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import crowd
import peer
import pnslab
import theme
from crowd import ECHO, PROBE, SERVER

CALLS = 50
LATER = 5  # dialled while the trial build runs
# In the order of docs/upgrade.md.
PROGRAMS = {"supervisor": "pns", "dataplane": "pns-dataplane", "control": "pns-control"}
FORMATS = ("session_memory", "channel", "supervisor_protocol", "store", "handover")
UNKNOWN_CALL = 0xffff


class Contract(crowd.Crowd):
    changes = {**crowd.Crowd.changes, "dataplane": "dataplane: {max_sessions: 128}\n"}

    @classmethod
    def setUpClass(cls):
        source = pathlib.Path(__file__).resolve().parents[2]
        cls.given = pathlib.Path(theme.OPTIONS.binaries or source / "build" / "bin")
        cls.trial = cls.given.parent / "tests" / "trial"
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix="pns-contract-"))
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        cls.binaries = cls.scratch / "bin"
        cls.binaries.mkdir()
        for path in cls.given.glob("pns*"):
            shutil.copy2(path, cls.binaries)
        theme.OPTIONS.binaries = str(cls.binaries)
        super().setUpClass()
        cls.server.pns = str(shutil.copy2(cls.given / "pns", cls.scratch / "client"))

    @staticmethod
    def contract_of(directory, name):
        done = subprocess.run([directory / name, "--contract"], stdout=subprocess.PIPE, text=True,
                              timeout=20, check=True)
        return json.loads(done.stdout)

    def replace(self, what, directory):
        """Puts a process's executable of this directory in its place and restarts the process."""
        name = PROGRAMS[what]
        new = self.binaries / f".{name}.new"
        shutil.copy2(directory / name, new)
        os.rename(new, self.binaries / name)
        done = subprocess.run([self.server.pns, "restart", what, "--run-dir",
                               str(self.server.run_dir)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), self.server.log_tail())
        print(f"{directory.name}: {done.stdout.strip()}", flush=True)
        self.check_calls()

    def calls(self):
        return {(s["id"], s["our_call_id"], s["address"]): s for s in self.server.sessions()}

    def check_calls(self):
        """Each call is the one that it was, and its data flows in both directions."""
        before = self.ask(self.calls)
        self.assertEqual(before.keys(), self.known.keys())

        def flow():
            now = self.calls()
            return all(now[call][count] > before[call][count] for call in before
                       for count in ("rx_packets", "tx_packets"))
        pnslab.wait_until(flow, 10, "data of every call flows")

    def send_unknown(self):
        """A GRE packet for a call that there is not, which is dropped. True once it was counted."""
        before = sum(self.drops().values())
        with peer.Peer(self.lab.inet, PROBE, SERVER) as client:
            client.send_gre(peer.gre(UNKNOWN_CALL, b"\xff\x03\xc0\x21\x09\x01\x00\x04", 0))
            pnslab.wait_until(lambda: sum(self.drops().values()) > before, 5, "it was dropped")

    def drops(self):
        """The drops for it, by reason: as `pns show workers` and the metrics have them."""
        names = ("gre_unknown_call", "contract_trial")
        shown = dict.fromkeys(names, 0)
        for worker in self.server.show("workers"):
            for name in names:
                shown[name] += worker["drops"].get(name, 0)
        return shown

    def drops_since(self, reason):
        return self.counters.grown("pns_dataplane_drops_total", reason=reason)

    def trial_fields(self):
        return [w["trial_sessions_acked"] for w in self.server.show("workers")
                if "trial_sessions_acked" in w]

    # --- cases ---

    def test_1_the_trial_build_says_that_it_fits(self):
        for name in PROGRAMS.values():
            ours = self.contract_of(self.given, name)
            theirs = self.contract_of(self.trial, name)
            self.assertEqual(ours.keys(), theirs.keys())
            for item in FORMATS:
                self.assertEqual(theirs[f"{item}_version"], ours[f"{item}_version"] + 1)
            changed = {f"{item}_version" for item in FORMATS} | {"version"}
            self.assertEqual({k: v for k, v in ours.items() if k not in changed},
                             {k: v for k, v in theirs.items() if k not in changed})

    def test_2_an_upgrade_that_adds_and_the_way_back_end_no_call(self):
        self.counters = peer.Counters(self.server)
        process = self.start("--sources", 4, "--sessions", CALLS, "--concurrent", 20, "--traffic", "udp",
                             "--target", ECHO, "--rate", 10, "--duration", 600, "--time-limit", 600)
        self.wait_up(CALLS)
        self.known = self.calls()
        self.check_calls()
        self.send_unknown()
        self.assertEqual(self.drops(), {"gre_unknown_call": 1, "contract_trial": 0})
        self.assertEqual(self.trial_fields(), [])

        self.replace("supervisor", self.trial)
        self.replace("dataplane", self.trial)
        # The control process is the old one, and names the reason as the new dataplane does.
        self.send_unknown()
        self.assertEqual(self.drops(), {"gre_unknown_call": 1, "contract_trial": 1})
        self.assertEqual(self.drops_since("contract_trial"), 1)
        self.assertEqual(self.trial_fields(), [])

        self.replace("control", self.trial)
        pnslab.wait_until(lambda: sum(self.trial_fields()) > 0, 10, "the new field is shown")
        self.send_unknown()
        self.assertEqual(self.drops(), {"gre_unknown_call": 1, "contract_trial": 2})

        # Calls of now are stored with the new key. The next process of this build reads it, and the
        # old build, which does not know it, takes the calls over all the same.
        later = self.start("--sources", 4, "--sessions", LATER, "--concurrent", 20, "--traffic", "udp",
                           "--target", ECHO, "--rate", 10, "--duration", 600, "--time-limit", 600,
                           source="198.51.100.206")
        self.wait_up(CALLS + LATER)
        self.known = self.calls()
        self.replace("control", self.trial)
        self.assertEqual(self.server.show("workers")[0]["trial_keys_read"], LATER)

        # Back, the dataplane first: the new control process has an old one beside it.
        for what in ("dataplane", "control", "supervisor"):
            self.replace(what, self.given)
        self.send_unknown()
        self.assertEqual(self.drops(), {"gre_unknown_call": 2, "contract_trial": 2})
        self.assertEqual(self.drops_since("contract_trial"), 2)
        self.assertEqual(self.trial_fields(), [])
        self.assertEqual(self.audit()["findings"], [])

        later.terminate()
        _, result = self.finish(later)
        self.assertEqual((result["stopped"], result["up"], result["failures"]), ("signal", LATER, 0))
        process.terminate()
        _, result = self.finish(process)
        self.assertEqual((result["stopped"], result["up"], result["failures"], result["failed"]),
                         ("signal", CALLS, 0, {}))
        self.server.wait_sessions(0)
        self.assertNotIn("ended unexpectedly", self.server.log_file.read_text())
        self.assertEqual(self.server.show("stats")["call_ends"], {"peer_closed_tcp": CALLS + LATER})


if __name__ == "__main__":
    theme.main(Contract)
