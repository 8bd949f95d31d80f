# SPDX-License-Identifier: BSD-3-Clause
"""Samples of a server: what its processes hold, from /proc, and what it tells of itself."""
import contextlib
import csv
import http.client
import json
import os
import pathlib
import re
import threading
import time
import urllib.request

import peer
from crowd import Statistics

PROCESSES = ("supervisor", "control", "dataplane")
OF_A_PROCESS = ("pid", "rss_kib", "anon_kib", "shared_kib", "pss_kib", "mappings", "descriptors", "threads",
                "cpu_s")
AUDIT = ("call_ids_in_use", "call_ids_quarantined", "in_motion", "findings_in_all", "leases", "installed",
         "stored_sessions", "stored_connections")
GAUGES = {"control_memory_bytes": "pns_control_memory_bytes", "buffers": "pns_packet_buffers",
          "buffers_in_use": "pns_packet_buffers_in_use", "neighbours": "pns_neighbours", "routes": "pns_routes",
          "auth_pending": "pns_auth_pending", "sources": "pns_sources"}
# Counters of faults: column → (metric, labels).
FAULTS = {
    "store_failures": ("pns_store_failures_total", {}),
    "log_lines_lost": ("pns_log_lines_lost_total", {}),
    "event_ring_full": ("pns_channel_dropped_total", {"kind": "event_ring_full"}),
    "invalid_commands": ("pns_channel_dropped_total", {"kind": "invalid_command"}),
    "punt_full": ("pns_dataplane_drops_total", {"reason": "punt_full"}),
    "handover_full": ("pns_dataplane_drops_total", {"reason": "handover_full"}),
    "no_buffer": ("pns_dataplane_drops_total", {"reason": "no_buffer"}),
    "internal_drops": ("pns_dataplane_drops_total", {"reason": "internal"}),
    "internal_errors": ("pns_call_ends_total", {"reason": "internal_error"}),
    "dead_data_paths": ("pns_dead_data_paths_total", {}),
    "drops": ("pns_dataplane_drops_total", {}),
    "packets": ("pns_tunnel_packets_total", {}),
}
STATS = ("sessions", "connections", "control_starts", "dataplane_starts", "supervisor_starts")
COLUMNS = ("time_s", "phase", "event", "load_average",
           *(f"{process}_{what}" for process in PROCESSES for what in OF_A_PROCESS), *STATS,
           "open", "set_ups_in_flight", "set_ups_waiting", "calls_up_so_far", *AUDIT, *GAUGES, *FAULTS,
           "store_bytes", "store_allocated_bytes", "log_bytes")


def kib(text, name):
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) if found else None


def of_process(pid):
    """What a process holds; empty when it has gone."""
    place = pathlib.Path(f"/proc/{pid}")
    try:
        status = (place / "status").read_text()
        times = (place / "stat").read_text().rpartition(")")[2].split()
        return {"pid": pid, "rss_kib": kib(status, "VmRSS"), "anon_kib": kib(status, "RssAnon"),
                "shared_kib": kib(status, "RssShmem"), "mappings": (place / "maps").read_bytes().count(b"\n"),
                "pss_kib": kib((place / "smaps_rollup").read_text(), "Pss"),
                "descriptors": len(os.listdir(place / "fd")),
                "threads": int(re.search(r"^Threads:\s+(\d+)", status, re.MULTILINE)[1]),
                "cpu_s": (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")}
    except (OSError, TypeError):
        return {}


def sum_of(metrics, name, labels):
    """The sum of all series of a metric that have these labels; None when there is none."""
    wanted = set(labels.items())
    values = [value for (which, pairs), value in metrics.items() if which == name and wanted <= pairs]
    return sum(values) if values else None


class Sampler(threading.Thread):
    """A row each `step` seconds, to a CSV as it goes, and in `rows`. `trouble`: told what a sample
    shows that may never be."""

    def __init__(self, lab, server, path, step, trouble):
        super().__init__(daemon=True)
        self.lab, self.server, self.step, self.trouble = lab, server, step, trouble
        self.ended = threading.Event()
        self.rows = []
        self.phase, self.event = "set-up", ""
        self.begun = time.monotonic()
        self.file = open(path, "w", newline="", encoding="ascii")  # noqa: SIM115 (lives as the thread does)
        self.writer = csv.DictWriter(self.file, COLUMNS, restval="")
        self.writer.writeheader()

    def elapsed(self):
        return time.monotonic() - self.begun

    def run(self):
        due = self.begun
        while not self.ended.is_set():
            row = self.sample()
            self.writer.writerow({key: value for key, value in row.items() if value is not None})
            self.file.flush()
            self.rows.append(row)
            due += self.step
            self.ended.wait(max(0.0, due - time.monotonic()))

    def stop(self):
        self.ended.set()
        self.join(30)
        self.file.close()

    def ask(self, path):
        """An answer of the management socket."""
        connection = Statistics(self.server.run_dir)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())

    def metrics(self, address="127.0.0.1:9655"):
        with peer.inside(self.lab.pns):
            connection = urllib.request.urlopen(f"http://{address}/metrics", timeout=10)  # the socket is there
        with connection:
            text = connection.read().decode()
        return {(name, frozenset(re.findall(r'(\w+)="([^"]*)"', labels))): float(value)
                for name, labels, value in peer.Counters.LINE.findall(text)}

    def sample(self):
        row = {"time_s": round(self.elapsed(), 1), "phase": self.phase, "event": self.event,
               "load_average": os.getloadavg()[0]}
        for process in PROCESSES:
            pid = self.server.pid_of(process)
            row |= {f"{process}_{key}": value for key, value in of_process(pid).items()} if pid else {}
        for read in (self.of_stats, self.of_audit, self.of_metrics):
            with contextlib.suppress(OSError, ValueError, KeyError, http.client.HTTPException):
                row |= read()  # a plane that has just been killed tells nothing
        with contextlib.suppress(OSError):
            store = os.stat(self.server.run_dir / "store" / "data.mdb")
            row |= {"store_bytes": store.st_size, "store_allocated_bytes": store.st_blocks * 512}
        row["log_bytes"] = os.stat(self.server.log_file).st_size
        return row

    def of_stats(self):
        stats = self.ask("/v1/stats")
        return {**{key: stats[key] for key in STATS}, "open": stats["sessions_by_phase"]["open"],
                "set_ups_in_flight": stats["admission"]["in_flight"],
                "set_ups_waiting": stats["admission"]["waiting"], "calls_up_so_far": stats["setups"]["open"]}

    def of_audit(self):
        audit = self.ask("/v1/audit")
        if audit["findings"]:
            self.trouble(f"the audit finds {audit['findings'][:3]} ({audit['findings_in_all']} in all)")
        return {key: audit.get(key) for key in AUDIT}

    def of_metrics(self):
        metrics = self.metrics()
        return {**{column: sum_of(metrics, name, {}) for column, name in GAUGES.items()},
                **{column: sum_of(metrics, *what) for column, what in FAULTS.items()}}
