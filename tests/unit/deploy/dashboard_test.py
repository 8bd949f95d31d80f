#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The dashboard for Grafana names only metrics that the server has, in expressions that Prometheus reads.

usage: dashboard_test.py SOURCE [PROMTOOL]"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv[1])
PROMTOOL = sys.argv[2] if len(sys.argv) > 2 else None
DASHBOARD = json.loads((SOURCE / "deploy/prometheus/pns-grafana.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]


class Dashboard(unittest.TestCase):
    def test_it_is_what_the_tool_makes(self):
        done = subprocess.run([sys.executable, "-B", SOURCE / "tools/make_dashboard.py", "--check"],
                              stdout=subprocess.PIPE, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_every_metric_exists(self):
        known = set()
        for file in (SOURCE / "controlplane/metrics").glob("*.?pp"):
            known |= set(re.findall(r'"(pns_[a-z0-9_]+)"', file.read_text()))
        named = {re.sub(r"_bucket$", "", name) for text in EXPRESSIONS for name in re.findall(r"\bpns_[a-z0-9_]+", text)}
        self.assertGreater(len(named), 20)
        self.assertEqual(named - known, set())

    def test_panels_have_titles_of_their_own_and_units(self):
        titles = [panel["title"] for panel in PANELS]
        self.assertEqual(len(titles), len(set(titles)))
        for panel in PANELS:
            self.assertTrue(panel["fieldConfig"]["defaults"]["unit"], panel["title"])

    def test_panels_do_not_overlap(self):
        places = set()
        for panel in DASHBOARD["panels"]:
            place = panel["gridPos"]
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertNotIn((x, y), places, panel["title"])
                    places.add((x, y))

    @unittest.skipUnless(PROMTOOL, "there is no promtool")
    def test_prometheus_reads_every_expression(self):
        rules = {"groups": [{"name": "dashboard", "rules": [
            {"record": f"pns:panel{number}", "expr": text.replace("$__rate_interval", "5m").replace("$instance", ".*")}
            for number, text in enumerate(EXPRESSIONS)]}]}
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            json.dump(rules, file)  # JSON is YAML
            file.flush()
            done = subprocess.run([PROMTOOL, "check", "rules", file.name], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
