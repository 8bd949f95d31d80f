#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the tables of docs/performance.md and the plots of docs/performance/ from results of pns-bench.

usage: make_performance.py [--check]     --check: exit 1 when a file on disk is not what would be written
       make_performance.py --take FILE…  copies results into docs/performance/, a row a line, without what can be computed

The tables stand between `<!-- table:NAME -->` and `<!-- end -->`; the rest of the page is written by hand.
What docs/performance/ has no results of is left out, and said on stdout.
"""
import json
import pathlib
import re
import sys

import simulate_workers as simulation
from svg_chart import chart

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "performance.md"
RESULTS = DOCS / "performance"
BENCHES = ("mppe", "pipeline", "attack", "scale")

SIZES = ("64", "256", "512", "1024", "1400", "imix")
REFERENCES = ("plain", "openssl", "openssl-evp", "nettle", "scalar")
VARIANTS = ("portable", "avx2", "avx512")
LIMITS = {"at_most": "at most", "at_least": "at least"}
COMPARED = (("avx512", "plain"), ("avx512", "openssl"), ("avx2", "plain"), ("portable", "plain"))
STATES = {"memory": "memory", "llc": "the last-level cache", "written": "the caches of the thread that wrote them"}
SHAPES = ("1x1", "1x16", "1x32", "2x32", "4x32", "8x32", "16x32", "32x32")


def table(heads, rows):
    return "\n".join(["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)] +
                     ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def pair(row, digits=0, first="min"):
    return f"{row[first]:.{digits}f}/{row['median']:.{digits}f}" if row else ""


def facts(results, first="minimum"):
    cpu = results["cpu"]
    if "family" in results:
        cpu += f" (family {results['family']} model {results['model']})"
    words = [cpu, f"TSC {results['tsc_ghz']:.2f} GHz",
             f"core at {results['core_ratio']:.2f} times that"]
    if "date" in results:
        words.append(results["date"])
    if "huge_pages" in results:
        words.append("packet buffers on " + ("2 MiB pages" if results["huge_pages"] else "4 KiB pages"))
    for frames in results.get("frames", ()):
        cost = f" (first line of a frame: {frames['line_alone']:.0f} cycles alone, {frames['line_of_32']:.0f} " \
               "of 32 at once)" if "line_alone" in frames else ""
        words.append(f"frames in {STATES[frames['state']]}{cost}")
    return "Measured on: " + ", ".join(words) + f". {results.get('unit', 'Cost')}, {first}/median."


def verdict(goal):
    """What a neighbour on the same machine spoils is told apart from what is not reached at all."""
    if goal["met"]:
        return "met"
    if "wanted" in goal:
        if goal["measured_min"] >= goal["wanted"]:
            return "by the minimum"
        return "by the tenth percentile" if goal["measured_p10"] >= goal["wanted"] else "**missed**"
    measured = goal["measured"]
    lowest_does = "at_most" in goal and isinstance(measured, dict) and measured["min"] <= goal["at_most"]
    return "by the minimum" if lowest_does else "**missed**"


def goals_table(results, first="min", name="minimum"):
    """mppe wants a least ratio; the others a highest or a least value."""
    rows = []
    second = "tenth percentile" if any("wanted" in goal for goal in results.get("goals", [])) else "median"
    for goal in results.get("goals", []):
        if "wanted" in goal:
            rows.append((goal["name"], f"at least {goal['wanted']:.2f}",
                         f"{goal['measured_min']:.2f}/{goal['measured_p10']:.2f}"))
        else:
            word, limit = next((words, goal[key]) for key, words in LIMITS.items() if key in goal)
            measured = goal["measured"]
            rows.append((goal["goal"], f"{word} {limit:g} {goal.get('unit', '')}".strip(),
                         pair(measured, 2 if limit < 10 else 0, first) if isinstance(measured, dict)
                         else f"{measured:.3g}"))
        rows[-1] += (verdict(goal),)
    return table(("goal", "wanted", f"{name}/{second}", ""), rows)


class Mppe:
    def __init__(self, results):
        self.results = results
        self.rows = {(row["case"], row["contender"]): row for row in results["rows"]}
        self.contenders = [name for name in REFERENCES + VARIANTS
                           if any(contender == name for _, contender in self.rows)]

    def row(self, mode, work, size, shape, contender):
        return self.rows.get((f"{mode}/{work}/{size}/{shape}", contender))

    def sealed(self, mode, size, contender):
        return self.row(mode, "seal", size, "48x48" if size == "imix" else "32x32", contender)

    def ratio(self, here, there):
        return f"{there['min'] / here['min']:.1f}/{there['median'] / here['median']:.1f}" \
            if here and there else ""

    def by_size(self, mode):
        rows = []
        for name in self.contenders:
            measured = [self.sealed(mode, size, name) for size in SIZES]
            rate = [f"{self.sealed(mode, size, name)['gbit_s']:.2f}" for size in ("64", "1400")]
            rows.append([name, *map(pair, measured), " / ".join(rate)])
        for name, other in COMPARED:
            if name in self.contenders and other in self.contenders:
                rows.append([f"{name} against {other}",
                             *(self.ratio(self.sealed(mode, size, name), self.sealed(mode, size, other))
                               for size in SIZES), ""])
        heads = [size.upper() if size == "imix" else size for size in SIZES]
        return table(("octets", *heads, "Gbit/s 64 / 1400"), rows)

    def by_sessions(self):
        rows = []
        for mode in ("stateless", "stateful"):
            for size in ("64", "1400"):
                for name in VARIANTS:
                    measured = [(self.row(mode, "seal", size, shape, name),
                                 self.row(mode, "seal", size, shape, "plain")) for shape in SHAPES]
                    if name in self.contenders and any(here for here, _ in measured):
                        rows.append([f"{mode}, {size}, {name}", *(self.ratio(*m) for m in measured)])
        return table(("sessions x packets", *(shape.replace("x", " x ") for shape in SHAPES)), rows)

    def forms(self):
        """Minimum/tenth percentile of both forms and of what the start chose, best variant."""
        best = [name for name in VARIANTS if name in self.contenders][-1]
        rows = []
        for mode in ("stateless", "stateful"):
            for size in ("64", "512", "1400"):
                for shape in ("1x1", "1x16", "32x32"):
                    names = ("plain", f"{best}-bytes", f"{best}-words", best)
                    found = [self.row(mode, "seal", size, shape, name) for name in names]
                    if all(found):
                        rows.append([f"{mode}, {size}, {shape.replace('x', ' x ')}",
                                     *(f"{row['min']}/{row['p10']}" for row in found),
                                     f"{found[0]['min'] / found[3]['min']:.1f}/"
                                     f"{found[0]['p10'] / found[3]['p10']:.1f}"])
        return table(("mode, octets, sessions x packets", "plain", f"{best}, bytes", f"{best}, words",
                      f"{best}, chosen", "chosen against plain"), rows)

    def opening(self):
        """How far the median of opening is from that of sealing, at most."""
        best = [name for name in VARIANTS if name in self.contenders][-1]
        apart = [self.row("stateless", "open", size, "32x32", best)["median"] /
                 self.row("stateless", "seal", size, "32x32", best)["median"] - 1
                 for size in SIZES if size != "imix"]
        return f"Opening differs from sealing by at most {max(map(abs, apart)):.0%} at the median " \
               f"of these stateless cases ({best})."

    def plot(self):
        curves = []
        for name in self.contenders:
            curves.append((name, [self.sealed("stateless", size, name)["median"]
                                  for size in SIZES if size != "imix"]))
        return chart("TSC cycles a packet, sealed, stateless 128 bit, 32 sessions (median)",
                     "octets of data", [size for size in SIZES if size != "imix"], curves)


class Pipeline:
    def __init__(self, results):
        self.results = results
        self.rows = results["rows"]

    def costs(self):
        rows = []
        for row in self.rows:
            rows.append((f"`{row['case']}`", pair(row), f"{row['mpps']:.2f}", f"{row['gbit_s']:.2f}",
                         pair(row["work"]), pair(row["echo"]),
                         f"{row['lone']['median'] / row['median']:.2f}"))
        return table(("way/crypto/octets/sessions", "rx to tx", "Mpps", "Gbit/s", "session work",
                      "ports alone", "alone/in bursts"), rows)

    def memory(self):
        return table(("sessions", "octets a session", "session memory", "table", "worker", "pages"),
                     [(f"{m['sessions']:,}", f"{m['octets_a_session']:.0f}",
                       f"{m['session_memory']:.0f}", f"{m['table']:.0f}", f"{m['worker']:.0f}",
                       "2 MiB" if m["huge_pages"] else "4 KiB") for m in self.results["memory"]])

    def plot(self):
        split = [row["case"].rpartition("/") for row in self.rows]
        counts = sorted({int(count) for _, _, count in split})
        cases = list(dict.fromkeys(case for case, _, _ in split if not case.startswith("both")))
        found = {(case, int(count)): row["median"] for (case, _, count), row in zip(split, self.rows)}
        return chart("a worker, rx_burst to tx_burst: TSC cycles a packet (median)", "sessions",
                     [f"{count:,}" for count in counts],
                     [(case, [found.get((case, count)) for count in counts]) for case in cases])


class Attack:
    def __init__(self, results):
        self.results = results

    def costs(self):
        rows = []
        for row in self.results["rows"]:
            rows.append((f"`{row['case']}`", pair(row["baseline"]), f"{row['kept']:.2f}/{row['kept_p10']:.2f}",
                         f"{row['kept_dropping']:.2f}", f"{row['delivered']:.3%}",
                         f"{row['dropped_cycles']:.0f}", f"{row['forged_cycles'] - row['dropped_cycles']:.0f}",
                         f"{row['steps_a_forged']:.2f}", row["most_steps_of_a_poll"],
                         f"{row['core_share_of_steps']:.1%}"))
        return table(("mode/kind/jump/attacked/forged:real/octets", "alone", "kept, median/p10",
                      "kept when dropping", "delivered", "a dropped packet", "a forged one beyond it",
                      "key steps each", "at most", "of a core"), rows)

    def steps(self):
        return f"A key step takes {self.results['key_step_cycles']:.0f} cycles; a receiver that follows any " \
               f"count at once pays up to {self.results['plain_cycles_a_forged_packet']:,.0f} for a forged packet."


class Scale:
    def __init__(self, results):
        self.results = results

    def machine(self):
        cpus = self.results["cpus"]
        threads = ", ".join(sorted(set(self.results["thread_siblings"])))
        return f"CPUs {', '.join(map(str, cpus))}; threads of a core, as far as the host tells: {threads}. " \
               f"Others used {self.results['others_used_cpus']:.2f} of these CPUs meanwhile."

    def costs(self):
        def mean(spreads, key):
            return sum(spread[key] for spread in spreads) / len(spreads)
        rows = []
        for row in self.results["rows"]:
            costs = [f"{mean(row[who], 'p10'):.0f}/{mean(row[who], 'median'):.0f}"
                     for who in ("alone", "together")]
            rows.append((f"`{row['case']}`", *costs, f"{row['factor_p10']:.2f}/{row['factor']:.2f}"))
        return table(("crypto/way/octets/sessions of a worker", "a worker alone", "each of all",
                      "packets of all against one"), rows)

    def handovers(self):
        def words(extra):
            return f"{extra['p10']:.0f}/{extra['median']:.0f} ±{extra['error']:.0f}" if extra else ""
        rows = [(f"`{row['case']}`", row["threads"],
                 f"{'one way, ' if row['one_way'] else ''}{row['percent']} %",
                 f"{row['both']['p10']:.0f}/{row['both']['median']:.0f}",
                 *(words(row.get(key)) for key in ("more", "give", "take")))
                for row in self.results["handovers"]]
        return table(("crypto/way/octets", "threads", "at the wrong worker", "both workers, a packet",
                      "more, handed over", "giver", "taker"), rows)


class Simulation:
    def __init__(self, pipeline, scale):
        self.costs = simulation.Costs(pipeline, scale)
        self.rows = [simulation.simulate(self.costs, sessions, traffic, way, workers)
                     for sessions in simulation.SESSIONS for traffic in simulation.TRAFFIC
                     for way in simulation.WAYS for workers in simulation.WORKERS]

    def assumptions(self):
        costs, s = self.costs, simulation
        origin = "`scale.json`" if costs.measured_hand_over else "an assumption, until `scale.json` has it"
        mixes = "; ".join(
            f"{n:,} sessions: MPPE {costs.mppe('up', n):.0f} up and {costs.mppe('down', n):.0f} down, "
            f"IMIX {costs.imix('up', n):.0f} and {costs.imix('down', n):.0f}" for n in s.SESSIONS)
        return "\n".join((
            "- The cost of a packet is the median of the pipeline table. The cost of ring ports stands for "
            f"that of a NIC's driver. In cycles: {mixes}. IMIX is 7:4:1 of 64, 570 and 1,400 octets, "
            "unencrypted, interpolated between 64 and 1,400.",
            f"- A hand-over costs {costs.give:.0f} cycles where the packet arrives and {costs.take:.0f} at "
            f"its owner ({origin}).",
            f"- {s.DOWN:.0%} of all packets go downstream. A subscriber's share of the traffic is lognormal "
            f"with σ {s.SIGMA} (the busiest hundredth carries a fifth of all), or Zipf with exponent "
            f"{s.ZIPF:g}. With Zipf the busiest subscriber carries about a tenth of all traffic, which is the "
            "worst case here.",
            f"- {s.BEHIND_NAT:.0%} of the subscribers share an address with {s.PER_NAT[0]} to "
            f"{s.PER_NAT[-1]} in all; the server has an address for each "
            f"{s.SESSIONS_PER_SERVER_ADDRESS:,} sessions.",
            f"- The NIC hashes by Toeplitz with the usual key over both addresses into {s.RETA} entries, "
            "assigned to the queues in turn. `subscriber::Steering` chooses the Call IDs.",
            "- Workers do not slow each other: each has a core without a hyper-thread beside it, and memory "
            "and NIC are fast enough. **Not measured**: no machine with so many cores was available.",
            "- Memory: the sessions' as measured, and the pool of packet buffers "
            f"({s.BUFFERS:,} and {s.BUFFERS:,} for each worker, {s.BUFFER_OCTETS:,} octets each).",
            f"- Means of {len(s.SEEDS)} seeds; of the imbalance the worst. "
            "Gbit/s: of inner IP, both directions together, when the busiest worker is full."))

    def table(self, traffic):
        return table(
            ("sessions", "steering", "workers", "imbalance", "handed over", "MPPE 1400: Gbit/s", "Mpps",
             "of the ideal", "IMIX clear: Gbit/s", "Mpps", "MiB"),
            [(f"{r['sessions']:,}", r["way"], r["workers"], f"{r['imbalance']:.2f}", f"{r['moved']:.1%}",
              f"{r['mppe_gbit']:.0f}", f"{r['mppe_mpps']:.1f}",
              f"{r['mppe_gbit'] / simulation.ideal(self.costs, r['sessions'], r['workers']):.0%}",
              f"{r['imix_gbit']:.0f}", f"{r['imix_mpps']:.1f}", f"{r['mebioctets']:.0f}")
             for r in self.rows if r["traffic"] == traffic])

    def plot(self):
        sessions = simulation.SESSIONS[-1]
        curves = [(" ideal", [simulation.ideal(self.costs, sessions, n) for n in simulation.WORKERS])]
        for traffic in simulation.TRAFFIC:
            for way in simulation.WAYS:
                if traffic == "lognormal" or way in ("key", "blind"):
                    curves.append((f"{traffic}, {way}",
                                   [r["mppe_gbit"] for r in self.rows if r["sessions"] == sessions and
                                    r["traffic"] == traffic and r["way"] == way]))
        return chart(f"simulated: Gbit/s of 1,400 octets with MPPE, {sessions:,} sessions", "workers",
                     [str(n) for n in simulation.WORKERS], curves)


def plot_link(name, words):
    return f"![{words}](performance/{name}.svg)"


def read():
    return {name: json.loads((RESULTS / f"{name}.json").read_text())
            for name in BENCHES if (RESULTS / f"{name}.json").exists()}


def make(results):
    """(tables by name, plots by name)"""
    tables, plots = {}, {}
    if "mppe" in results:
        mppe = Mppe(results["mppe"])
        tables["mppe-stateless"] = "\n\n".join((facts(mppe.results), mppe.by_size("stateless"),
                                                mppe.opening(), plot_link("mppe", "cycles by size")))
        tables["mppe-stateful"] = mppe.by_size("stateful")
        tables["mppe-sessions"] = mppe.by_sessions()
        tables["mppe-forms"] = mppe.forms()
        tables["mppe-goals"] = goals_table(mppe.results)
        plots["mppe"] = mppe.plot()
    if "pipeline" in results:
        pipeline = Pipeline(results["pipeline"])
        tables["pipeline"] = "\n\n".join((facts(pipeline.results), pipeline.costs(),
                                          plot_link("pipeline", "cycles by number of sessions")))
        tables["pipeline-memory"] = pipeline.memory()
        tables["pipeline-goals"] = goals_table(pipeline.results)
        simulated = Simulation(results["pipeline"], results.get("scale"))
        tables["simulation-assumptions"] = simulated.assumptions()
        tables["simulation-lognormal"] = "\n\n".join((
            simulated.table("lognormal"), plot_link("simulation", "Gbit/s by number of workers")))
        tables["simulation-zipf"] = simulated.table("zipf")
        plots["pipeline"] = pipeline.plot()
        plots["simulation"] = simulated.plot()
    if "attack" in results:
        attack = Attack(results["attack"])
        tables["attack"] = "\n\n".join((facts(attack.results), attack.steps(), attack.costs()))
        tables["attack-goals"] = goals_table(attack.results)
    if "scale" in results:
        scale = Scale(results["scale"])
        tables["scale"] = "\n\n".join((facts(scale.results, "p10"), scale.machine(), scale.costs()))
        tables["scale-goals"] = goals_table(scale.results, "p10", "p10")
        tables["hand-over"] = scale.handovers()
    return tables, plots


def fill(page, tables):
    """The page with its tables in their places. A place that nothing is made for stays empty."""
    places = re.findall(r"<!-- table:([\w-]+) -->", page)
    if unknown := set(tables) - set(places):
        sys.exit(f"docs/performance.md has no place for {', '.join(sorted(unknown))}")
    for name in places:
        made = f"\n{tables[name]}\n" if name in tables else ""
        page, count = re.subn(rf"(<!-- table:{name} -->\n).*?(<!-- end -->)",
                              lambda m, made=made: m[1] + made + ("\n" if made else "") + m[2], page,
                              flags=re.S)
        if count != 1:
            sys.exit(f"docs/performance.md: table:{name} has no <!-- end -->, or is there twice")
    return page


def take(paths):
    for path in map(pathlib.Path, paths):
        results = json.loads(path.read_text())
        names = {row["bench"] for row in results["rows"]}
        if len(names) != 1 or not names <= set(BENCHES):
            sys.exit(f"{path}: results of {', '.join(sorted(names)) or 'nothing'}")
        for row in results["rows"]:
            row.pop("times_as_fast_as", None)  # follows from the other rows
        parts = []
        for key, value in results.items():
            many = isinstance(value, list) and value
            text = "[\n" + ",\n".join("  " + json.dumps(each) for each in value) + "\n ]" if many \
                else json.dumps(value)
            parts.append(f" {json.dumps(key)}: {text}")
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{names.pop()}.json").write_text("{\n" + ",\n".join(parts) + "\n}\n")


def main():
    if sys.argv[1:2] == ["--take"]:
        take(sys.argv[2:])
        return 0
    results = read()
    for name in BENCHES:
        if name not in results:
            print(f"docs/performance/{name}.json is missing: its section is left out")
    tables, plots = make(results)
    files = {PAGE: fill(PAGE.read_text(), tables)}
    files |= {RESULTS / f"{name}.svg": text for name, text in plots.items()}
    if "--check" not in sys.argv[1:]:
        for path, text in files.items():
            path.write_text(text)
        return 0
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"docs/{path.relative_to(DOCS)} is not up to date: run tools/make_performance.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
