#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes deploy/prometheus/pns-grafana.json, a dashboard for Grafana 9 or newer.

usage: make_dashboard.py [--check]
--check: exit status 1 when the file is not what this makes."""
import json
import pathlib
import sys

FILE = pathlib.Path(__file__).resolve().parents[1] / "deploy" / "prometheus" / "pns-grafana.json"
HERE = 'instance=~"$instance"'
RATE = "$__rate_interval"


def rate(metric, by, more=""):
    return f"sum by ({by}) (rate({metric}{{{HERE}{more}}}[{RATE}]))"


# Row → panels: title, unit, [(expression, legend)].
ROWS = {
    "Subscribers": [
        ("Sessions by phase", "short", [(f"sum by (phase) (pns_sessions{{{HERE}}})", "{{phase}}")]),
        ("Set-ups a second, by stage reached", "ops", [(rate("pns_setups_total", "stage"), "{{stage}}")]),
        ("Time of a set-up", "s",
         [(f"histogram_quantile(0.5, {rate('pns_setup_duration_seconds_bucket', 'le')})", "p50"),
          (f"histogram_quantile(0.99, {rate('pns_setup_duration_seconds_bucket', 'le')})", "p99")]),
        ("Calls that end, by reason", "ops", [(rate("pns_call_ends_total", "reason") + " > 0", "{{reason}}")]),
        ("Logins", "ops", [(rate("pns_auth_results_total", "result"), "{{result}}")]),
        ("Addresses in use", "percentunit",
         [(f"pns_pool_addresses_used{{{HERE}}} / (pns_pool_addresses{{{HERE}}} > 0)", "{{pool}}")]),
    ],
    "Traffic": [
        ("Inner traffic", "bps", [(f"8 * {rate('pns_tunnel_bytes_total', 'direction')}", "{{direction}}")]),
        ("Inner packets", "pps", [(rate("pns_tunnel_packets_total", "direction"), "{{direction}}")]),
        ("Dropped packets, by reason", "pps",
         [(rate("pns_dataplane_drops_total", "reason") + " > 0", "{{reason}}")]),
        ("Lost before and after the workers", "pps",
         [(rate("pns_port_receive_lost_packets_total", "port"), "received, {{port}}"),
          (rate("pns_port_transmit_lost_packets_total", "port"), "sent, {{port}}")]),
        ("Busy cycles of a worker", "short", [(rate("pns_worker_busy_cycles_total", "worker"), "{{worker}}")]),
        ("Packet buffers in use", "percentunit",
         [(f"pns_packet_buffers_in_use{{{HERE}}} / pns_packet_buffers{{{HERE}}}", "in use")]),
    ],
    "RADIUS": [
        ("Answers and time-outs", "ops",
         [(rate("pns_radius_answers_total", "server"), "answers, {{server}}"),
          (rate("pns_radius_timeouts_total", "server"), "time-outs, {{server}}")]),
        ("Time to the answer", "s", [(f"pns_radius_round_trip_seconds{{{HERE}}}", "{{server}}")]),
        ("Servers that are dead", "short",
         [(f'sum by (server) (pns_radius_server_state{{{HERE},state="dead"}})', "{{server}}")]),
        ("Accounting records that wait", "short", [(f"sum(pns_accounting_waiting_records{{{HERE}}})", "records")]),
        ("Age of the oldest", "s", [(f"max(pns_accounting_oldest_seconds{{{HERE}}})", "oldest")]),
        ("Requests of dynamic authorization that are refused", "ops",
         [(rate("pns_authorization_refusals_total", "reason") + " > 0", "{{reason}}")]),
    ],
    "Server": [
        ("Starts of processes", "short", [(f"sum by (plane) (pns_plane_starts_total{{{HERE}}})", "{{plane}}")]),
        ("Memory of control", "bytes", [(f"pns_control_memory_bytes{{{HERE}}}", "own")]),
        ("Longest turn of the event loop", "s", [(f"pns_control_loop_turn_max_seconds{{{HERE}}}", "longest")]),
        ("Sources that are held back", "ops", [(rate("pns_source_limited_total", "limit") + " > 0", "{{limit}}")]),
        ("Links of ports", "short", [(f"pns_port_link_up{{{HERE}}}", "{{port}}")]),
        ("Log lines that nobody took", "short", [(f"sum(pns_log_lines_lost_total{{{HERE}}})", "lines")]),
    ],
}


def panel(number, title, unit, targets, x, y):
    return {
        "id": number, "type": "timeseries", "title": title,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"h": 8, "w": 8, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [{"refId": chr(ord("A") + i), "expr": expression, "legendFormat": legend,
                     "datasource": {"type": "prometheus", "uid": "${datasource}"}}
                    for i, (expression, legend) in enumerate(targets)],
    }


def dashboard():
    panels, y = [], 0
    for title, entries in ROWS.items():
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                       "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}})
        y += 1
        for place, entry in enumerate(entries):
            panels.append(panel(len(panels) + 1, *entry, 8 * (place % 3), y + 8 * (place // 3)))
        y += 8 * ((len(entries) + 2) // 3)
    return {
        "title": "PPTP network server", "uid": "pns", "schemaVersion": 37, "version": 1, "editable": True,
        "tags": ["pns"], "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "panels": panels,
        "templating": {"list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
            {"name": "instance", "type": "query", "label": "Server", "multi": True, "includeAll": True,
             "datasource": {"type": "prometheus", "uid": "${datasource}"}, "refresh": 2,
             "query": {"query": "label_values(pns_build_info, instance)", "refId": "instance"},
             "definition": "label_values(pns_build_info, instance)"}]},
    }


def main():
    text = json.dumps(dashboard(), indent=1) + "\n"
    if sys.argv[1:] == ["--check"]:
        if FILE.read_text() != text:
            print(f"{FILE.name} is old: run tools/make_dashboard.py")
            return 1
        return 0
    FILE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
