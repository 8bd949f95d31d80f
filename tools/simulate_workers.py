#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What 8 to 32 workers would carry, simulated from what one worker was measured to do.

usage: simulate_workers.py [--sessions N] [--workers N] [--seed N]     prints rows; no argument: all of them
tools/make_performance.py puts the same rows into docs/performance.md, beside the assumptions.

Subscribers with unequal traffic are hashed onto receive queues as a NIC hashes them (Toeplitz over
source and destination, 128 entries of RETA) and given to workers as controlplane/subscriber/steering.cpp
gives them. The load of a worker is the cycles of its packets, and of those that it gives to others or
takes from them. The whole is full when its busiest worker is.
"""
import argparse
import json
import pathlib
import random

RESULTS = pathlib.Path(__file__).resolve().parent.parent / "docs" / "performance"

WORKERS = (8, 16, 24, 32)
SESSIONS = (10_000, 100_000)
SEEDS = (1, 2, 3)
TRAFFIC = ("lognormal", "zipf")  # of a subscriber
SIGMA = 1.5  # lognormal: the busiest hundredth of all carries a fifth
ZIPF = 1.0
BEHIND_NAT = 0.3  # of all subscribers
PER_NAT = (32, 64, 128, 256)  # subscribers behind one address
SESSIONS_PER_SERVER_ADDRESS = 25_000
DOWN = 0.8  # of all packets
RETA = 128
KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")
ABOVE_MEAN = 64  # Steering::kSessionsAboveMean
DEFAULT_GIVE, DEFAULT_TAKE = 150, 100  # cycles of a hand-over, where scale.json names none
BUFFERS, BUFFER_OCTETS = 8192, 2432  # of packets, once and for each worker (dataplane/dataplane.cpp)
IMIX = ((64, 7), (570, 4), (1400, 1))

# docs/steering.md says which NIC goes which way.
WAYS = {
    "key": "rules by GRE key; the core port hashes destinations",
    "rss": "the access port's hash is predicted; the core port hashes destinations",
    "rss, core unsteered": "the access port's hash is predicted; the core port hashes both addresses",
    "blind": "nothing is predicted; sessions are spread evenly",
}


class Costs:
    """Cycles a packet, out of the results of pns-bench."""

    def __init__(self, pipeline, scale=None):
        self.ghz = pipeline["tsc_ghz"]
        self.rows = {row["case"]: row["median"] for row in pipeline["rows"]}
        self.memory = {m["sessions"]: m["octets_a_session"] for m in pipeline["memory"]}
        parts = (scale or {}).get("hand_over") or {}
        self.measured_hand_over = {"give", "take"} <= parts.keys()
        self.give = parts.get("give", DEFAULT_GIVE)
        self.take = parts.get("take", DEFAULT_TAKE)

    def mppe(self, direction, sessions):
        return self.rows[f"{direction}/mppe/1400/{sessions}"]

    def imix(self, direction, sessions):
        """Between the smallest and the largest packet the cost of one in the clear is a line."""
        small = self.rows[f"{direction}/clear/64/{sessions}"]
        large = self.rows[f"{direction}/clear/1400/{sessions}"]
        return small + (large - small) * (imix_size() - 64) / (1400 - 64)


def imix_size():
    return sum(size * count for size, count in IMIX) / sum(count for _, count in IMIX)


def toeplitz_tables():
    """For each of eight octets, the hash of each of its values: the hash of all is their XOR."""
    key = int.from_bytes(KEY, "big")
    width = 8 * len(KEY)
    tables = []
    for octet in range(8):
        windows = [key >> (width - 32 - 8 * octet - bit) & 0xffffffff for bit in range(8)]
        tables.append([0] * 256)
        for value in range(256):
            for bit in range(8):
                if value & 0x80 >> bit:
                    tables[octet][value] ^= windows[bit]
    return tables


TABLES = toeplitz_tables()


def toeplitz(source, destination):
    """Of two IPv4 addresses."""
    hashed = 0
    for octet, value in enumerate(source.to_bytes(4, "big") + destination.to_bytes(4, "big")):
        hashed ^= TABLES[octet][value]
    return hashed


class Subscribers:
    """Outer addresses and shares of the traffic, which do not depend on the workers."""

    def __init__(self, sessions, traffic, seed):
        rng = random.Random(f"{sessions} {traffic} {seed}")
        self.hashes = []
        servers = [0xc6336401 + n for n in range(-(-sessions // SESSIONS_PER_SERVER_ADDRESS))]
        natted = int(sessions * BEHIND_NAT)
        sources = []
        while len(sources) < natted:
            address = rng.getrandbits(32)
            sources += [address] * min(rng.choice(PER_NAT), natted - len(sources))
        sources += [rng.getrandbits(32) for _ in range(sessions - natted)]
        rng.shuffle(sources)  # they dial in any order
        self.hashes = [toeplitz(source, rng.choice(servers)) for source in sources]
        if traffic == "lognormal":
            weights = [rng.lognormvariate(0, SIGMA) for _ in range(sessions)]
        else:
            weights = [1 / rank ** ZIPF for rank in range(1, sessions + 1)]
            rng.shuffle(weights)
        total = sum(weights)
        self.weights = [weight / total for weight in weights]


def place(subscribers, way, workers):
    """(owner, worker of the receive queue) of each session, as Steering::choose() decides."""
    counts = [0] * workers
    placed = []
    for number, hashed in enumerate(subscribers.hashes):
        queue = hashed % RETA % workers
        if way.startswith("rss") and \
                counts[queue] <= number // workers + max(number // workers // 4, ABOVE_MEAN):
            owner = queue
        else:
            owner = number % workers if way == "blind" else counts.index(min(counts))
        counts[owner] += 1
        placed.append((owner, owner if way == "key" else queue))
    return placed


def loads(subscribers, placed, way, workers, up, down, costs):
    """Cycles of each worker for one packet of the whole, and the share of packets handed over."""
    load = [0.0] * workers
    moved = 0.0
    to_any = 0.0  # given away by all queues alike: what the core port brought to the wrong worker
    astray = (workers - 1) / workers if way in ("rss, core unsteered", "blind") else 0.0
    for weight, (owner, queue) in zip(subscribers.weights, placed):
        upstream, downstream = weight * (1 - DOWN), weight * DOWN
        load[owner] += upstream * up + downstream * (down + astray * costs.take)
        to_any += downstream * astray
        if owner != queue:
            load[queue] += upstream * costs.give
            load[owner] += upstream * costs.take
            moved += upstream
    return [each + to_any * costs.give / workers for each in load], moved + to_any


def simulate(costs, sessions, traffic, way, workers, seeds=SEEDS):
    """One row: the mean of the seeds, of the imbalance the worst."""
    row = {"sessions": sessions, "traffic": traffic, "way": way, "workers": workers,
           "imbalance": 0.0, "moved": 0.0, "mppe_mpps": 0.0, "imix_mpps": 0.0}
    for seed in seeds:
        subscribers = cached(sessions, traffic, seed)
        placed = place(subscribers, way, workers)
        for name, cost in (("mppe", costs.mppe), ("imix", costs.imix)):
            load, moved = loads(subscribers, placed, way, workers, cost("up", sessions),
                                cost("down", sessions), costs)
            row[f"{name}_mpps"] += costs.ghz * 1e3 / max(load) / len(seeds)
            if name == "mppe":
                row["imbalance"] = max(row["imbalance"], max(load) * workers / sum(load))
                row["moved"] += moved / len(seeds)
    row["mppe_gbit"] = row["mppe_mpps"] * 1400 * 8 / 1e3
    row["imix_gbit"] = row["imix_mpps"] * imix_size() * 8 / 1e3
    row["mebioctets"] = (
        costs.memory[sessions] * sessions + BUFFERS * (1 + workers) * BUFFER_OCTETS) / 2**20
    return row


CACHE = {}


def cached(*which):
    if which not in CACHE:
        CACHE[which] = Subscribers(*which)
    return CACHE[which]


def ideal(costs, sessions, workers):
    """Gbit/s of MPPE when every worker carries the same and nothing is handed over."""
    mean = (1 - DOWN) * costs.mppe("up", sessions) + DOWN * costs.mppe("down", sessions)
    return workers * costs.ghz / mean * 1400 * 8


def read_costs():
    scale = RESULTS / "scale.json"
    return Costs(json.loads((RESULTS / "pipeline.json").read_text()),
                 json.loads(scale.read_text()) if scale.exists() else None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, choices=SESSIONS)
    parser.add_argument("--workers", type=int, help="up to 128")
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    costs = read_costs()
    for sessions in [options.sessions] if options.sessions else SESSIONS:
        for traffic in TRAFFIC:
            for way in WAYS:
                for workers in [options.workers] if options.workers else WORKERS:
                    print(json.dumps(simulate(costs, sessions, traffic, way, workers,
                                              [options.seed] if options.seed else SEEDS)))


if __name__ == "__main__":
    main()
