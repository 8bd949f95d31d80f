#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The verdict on samples, logs and reports that were made for it: each fault is named, and a run without
one passes."""
import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))

import verdict  # noqa: E402


def rows(minutes=30, **changed):
    """Samples of a server that keeps what it has; `changed`: column → function of the time."""
    out = []
    for time_s in range(0, minutes * 60, 10):
        row = {"time_s": time_s, "phase": "judged", "sessions": 2000, "connections": 2000,
               "call_ids_in_use": 2000, "call_ids_quarantined": 600, "buffers_in_use": 9000, "neighbours": 4,
               "routes": 5, "store_bytes": 4 << 20, "store_allocated_bytes": 4 << 20,
               "control_memory_bytes": 30 << 20}
        for process in verdict.PROCESSES:
            row |= {f"{process}_pid": 7, f"{process}_rss_kib": 40_000, f"{process}_anon_kib": 30_000,
                    f"{process}_shared_kib": 5_000, f"{process}_threads": 4, f"{process}_descriptors": 2060,
                    f"{process}_starts": 1}
        row |= {name: 0 for name in verdict.FAULTS}
        row |= {name: value(time_s) for name, value in changed.items()}
        out.append(row)
    return out


def complaints_of(samples):
    return verdict.judge_slopes(samples)[1]


def log(*lines):
    with tempfile.NamedTemporaryFile("w", suffix=".log") as file:
        file.write("".join(f"{line}\n" for line in lines))
        file.flush()
        return verdict.LogStory(file.name)


def up(second, session, call_id):
    return (f'2026-11-29T10:{second // 60:02}:{second % 60:02}.000Z level=info process=control event="call up" '
            f"session={session} slot=1 peer=198.51.100.208 our_call_id={call_id}")


def ended(second, session, call_id):
    return up(second, session, call_id).replace("call up", "call ended")


def died(plane="control", how='"signal 9"'):
    return (f'2026-11-29T10:00:00.000Z level=error process=pns event="plane ended unexpectedly" plane={plane} '
            f"pid=9 how={how}")


def report(**changed):
    out = {"lost_calls": 0, "failures": 0, "up": 100, "failed": {}, "stopped": "",
           "farewells_unanswered": 0, "churned": 0,
           "traffic": {"sent": 1000, "lost": 0, "damaged": 0, "duplicated": 0}, "gre": {"stale": 0}}
    for key, value in changed.items():
        if key in out["traffic"] and not isinstance(value, list):
            out["traffic"][key] = value
        elif key in out["gre"]:
            out["gre"][key] = value
        else:
            out[key] = value
    return {"stateless": out}


class SlopesTest(unittest.TestCase):
    def test_a_server_that_keeps_what_it_has_passes(self):
        self.assertEqual(complaints_of(rows()), [])

    def test_each_resource_that_grows_is_named(self):
        for name, words in (("control_rss_kib", "control: resident memory, not shared grows"),
                            ("supervisor_anon_kib", "supervisor: memory of its own grows"),
                            ("dataplane_threads", "dataplane: threads grows"),
                            ("control_descriptors", "control: descriptors besides one for each connection"),
                            ("call_ids_in_use", "Call IDs in use without a session grows"),
                            ("call_ids_quarantined", "Call IDs in quarantine grows"),
                            ("buffers_in_use", "packet buffers in use grows"),
                            ("store_bytes", "store: size of its file grows")):
            level = rows()[0][name]
            found = complaints_of(rows(**{name: lambda t, level=level: level + (level / 100 + 5) * t / 1000}))
            self.assertTrue(any(words in complaint for complaint in found), (name, found))

    def test_shared_memory_is_shown_and_not_judged(self):
        more = lambda t: 5000 + t  # noqa: E731
        table, found = verdict.judge_slopes(rows(dataplane_shared_kib=more,
                                                 dataplane_rss_kib=lambda t: more(t) + 35_000))
        self.assertEqual(found, [])
        shown = [row for row in table if row["verdict"] == "shown only" and row["per_hour"] > 0]
        self.assertEqual(len(shown), 2)

    def test_descriptors_of_more_connections_are_no_growth(self):
        more = lambda t: 2000 + t / 10  # noqa: E731
        found = complaints_of(rows(connections=more, control_descriptors=lambda t: more(t) + 60,
                                   supervisor_descriptors=lambda t: more(t) + 60))
        self.assertEqual([words for words in found if "descriptors" in words], [])
        self.assertEqual(len(found), 1)  # the connections themselves

    def test_a_process_that_was_replaced_is_named(self):
        found = complaints_of(rows(dataplane_pid=lambda t: 7 if t < 900 else 8))
        self.assertEqual(found, ["dataplane was replaced in the judged part: pids [7, 8]"])

    def test_counters_are_added_up_over_processes(self):
        counted = verdict.totals(rows(store_failures=lambda t: t // 600 if t < 1200 else 3))
        self.assertEqual(counted["store_failures"], 3)
        counted = verdict.totals(rows(drops=lambda t: t if t < 900 else t - 900))
        self.assertEqual(counted["drops"], 890 + 890)

    def test_counters_and_starts_that_must_not_be(self):
        self.assertEqual(list(verdict.judge_samples(rows(), {"control": 1})), [])
        self.assertEqual(list(verdict.judge_samples(rows(no_buffer=lambda t: 3), {"control": 2})),
                         ["counter no_buffer has counted 3", "control was started 1 times, and this run asked for 2"])


class LogTest(unittest.TestCase):
    def test_kills_of_this_run_are_no_complaint(self):
        self.assertEqual(list(log(died(), died("dataplane")).complaints({"control": 1, "dataplane": 1})), [])

    def test_other_deaths_and_errors_are(self):
        found = list(log(died(), died(how='"signal 19"'), '2026-11-29T10:00:00.000Z level=error process=control '
                         'event="store failed" reason=x').complaints({"control": 1}))
        self.assertEqual(len(found), 3, found)
        self.assertIn("did not kill it", found[0])
        self.assertIn("was killed 1 times and ended 2 times", found[1])
        self.assertIn("store failed", found[2])

    def test_a_call_id_in_quarantine_may_not_come_back(self):
        early = log(up(0, "a1", 5), ended(10, "a1", 5), up(60, "a2", 5))
        self.assertEqual(len(early.reused), 1)
        self.assertEqual(log(up(0, "a1", 5), ended(10, "a1", 5), up(70, "a2", 5)).reused, [])
        # One that was never up carried no GRE, and is free again after a second.
        self.assertEqual(log(ended(10, "a1", 5), up(12, "a2", 5)).reused, [])

    def test_a_session_id_belongs_to_one_call(self):
        self.assertEqual(len(log(up(0, "a1", 5), up(1, "a1", 6)).twice), 1)
        renegotiated = log(up(0, "a1", 5), up(9, "a1", 5))
        self.assertEqual((renegotiated.twice, renegotiated.calls), ([], 1))


class ClientsTest(unittest.TestCase):
    def found(self, reports, cleared=(), outage_s=0.0):
        return list(verdict.judge_clients(reports, dict.fromkeys(cleared), outage_s, 100, 1))

    def test_clients_that_lost_nothing_pass(self):
        self.assertEqual(self.found(report()), [])

    def test_a_lost_call_needs_a_reason(self):
        lost = [{"source": "198.51.100.208", "server_call_id": 9}]
        self.assertEqual(self.found(report(lost_calls=1, lost=lost), [("198.51.100.208", 9)]), [])
        self.assertEqual(len(self.found(report(lost_calls=1, lost=lost))), 2)

    def test_damaged_repeated_and_missing_packets_and_failures(self):
        for changed in ({"damaged": 1}, {"duplicated": 1}, {"stale": 1}, {"lost": 6}, {"failures": 1},
                        {"farewells_unanswered": 2}):
            self.assertEqual(len(self.found(report(**changed))), 1, changed)
        self.assertEqual(self.found(report(lost=6), outage_s=0.1), [])
        self.assertEqual(self.found(report(stale=1, churned=5)), [])
        self.assertEqual(list(verdict.judge_clients(report(stale=64), {}, 0, 100, 1, dataplanes=2)), [])
        self.assertEqual(len(list(verdict.judge_clients(report(stale=65), {}, 0, 100, 1, dataplanes=2))), 1)
        self.assertEqual(self.found(report(farewells_unanswered=5, churned=5000)), [])

    def test_clients_without_a_report(self):
        self.assertEqual(self.found({"clear": None}), ["the clients clear left no report"])


class EndTest(unittest.TestCase):
    def test_nothing_may_be_left(self):
        idle = {"sessions": 0, "call_ids_in_use": 0, "control_descriptors": 40, "buffers_in_use": 9000,
                "control_threads": 4}
        self.assertEqual(list(verdict.judge_end(idle, idle)), [])
        left = {**idle, "sessions": 1, "control_descriptors": 43, "buffers_in_use": 9065, "control_threads": 5}
        self.assertEqual(len(list(verdict.judge_end(idle, left))), 4)


    def test_a_dataplane_is_compared_with_itself(self):
        idle = {"sessions": 0, "dataplane_descriptors": 33, "dataplane_threads": 4}
        other = {"dataplane_descriptors": 288, "dataplane_threads": 4, "sessions": 2000}
        after = {"sessions": 0, "dataplane_descriptors": 288, "dataplane_threads": 4}
        self.assertEqual(list(verdict.judge_end(verdict.reference(idle, [other]), after)), [])
        self.assertEqual(list(verdict.judge_end(verdict.reference(idle, []), after)), [])
        after["dataplane_descriptors"] = 289
        self.assertEqual(len(list(verdict.judge_end(verdict.reference(idle, [other]), after))), 1)


if __name__ == "__main__":
    sys.exit(unittest.main())
