// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/pipeline_bench.hpp"

#include <fmt/core.h>
#include <rte_cycles.h>
#include <x86intrin.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <stdexcept>

#include "tests/bench/eal_start.hpp"
#include "tests/bench/machine.hpp"
#include "tests/bench/pipeline_report.hpp"
#include "tests/bench/pipeline_rig.hpp"

namespace pns::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kEalMegabytes = 384;
constexpr unsigned kBurst = 32;       // packets a port for each poll
constexpr unsigned kLonePolls = 512;  // of a round
constexpr unsigned kFewestRounds = 5;

struct Case {
  Direction direction;
  std::string direction_name;
  bool mppe;
  std::size_t size;
  std::uint32_t sessions;

  [[nodiscard]] std::string name() const {
    return fmt::format("{}/{}/{}/{}", direction_name, mppe ? "mppe" : "clear", size, sessions);
  }
  [[nodiscard]] std::size_t received_size() const {  // octets of IP, about
    return direction == Direction::kDown ? size : size + 36;
  }
};

// In the order in which they are run: the sessions of a count are set up once, and encrypt once
// they have begun to.
std::vector<Case> cases_of(const PipelineOptions& options) {
  static const std::map<std::string, Direction> kDirections = {
      {"up", Direction::kUp}, {"down", Direction::kDown}, {"both", Direction::kBoth}};
  std::vector<Case> cases;
  for (const std::uint32_t sessions : options.sessions)
    for (const bool mppe : {false, true}) {
      if (!(mppe ? options.mppe : options.clear) || sessions > options.max_sessions) continue;
      auto sizes = options.sizes;
      if (sizes.empty()) sizes = {mppe ? 512U : 64U, 1'400};
      for (const std::size_t size : sizes)
        for (const std::string& direction : options.directions) {
          Case made{kDirections.at(direction), direction, mppe, size, sessions};
          if (made.name().contains(options.filter)) cases.push_back(made);
        }
    }
  return cases;
}

using Samples = std::vector<double>;

// Times one call that gives a number of packets; nothing is noted when it gives none.
template <class Run>
unsigned time(Samples& samples, Run run) {
  _mm_lfence();
  const std::uint64_t start = __rdtsc();
  _mm_lfence();
  const unsigned packets = run();
  _mm_lfence();
  const std::uint64_t cycles = __rdtsc() - start;
  if (packets != 0) samples.push_back(static_cast<double>(cycles) / packets);
  return packets;
}

// One batch of each: the worker, the worker with one packet at a time, the ports alone.
struct Round {
  Wires& wires;
  Rig& rig;
  const Case& of;
  Samples whole, echo, lone;

  void run() {
    rig.build(of.direction, of.size);
    while (rig.feed(kBurst) != 0) time(whole, [this] { return rig.poll(); });
    rig.settle();

    rig.build(of.direction, of.size);
    for (unsigned n = 0; n < kLonePolls; ++n) {
      if (rig.feed(1) == 0) break;
      time(lone, [this] { return rig.poll(); });
    }
    while (rig.feed(kBurst) != 0) (void)rig.poll();
    rig.settle();

    wires.receive_plain(of.received_size(), Wires::kBatch);
    while (time(echo, [this] { return wires.echo(); }) != 0) {
    }
    (void)wires.drain(contract::PortRole::kAccess);
  }
};

PipelineRow measure(Wires& wires, Rig& rig, const Case& of, double seconds, unsigned rounds) {
  Round round{wires, rig, of, {}, {}, {}};
  round.run();  // caches, predictors and what is still owed of the case before
  round.whole.clear();
  round.echo.clear();
  round.lone.clear();
  const std::uint64_t packets = rig.carried();
  const std::uint64_t acks = rig.acks();
  const auto until = Clock::now() + std::chrono::duration<double>(seconds);
  for (unsigned n = 0; rounds != 0 ? n < rounds : n < kFewestRounds || Clock::now() < until; ++n)
    round.run();
  PipelineRow row;
  row.name = of.name();
  row.sessions = of.sessions;
  row.size = of.size;
  row.whole = spread_of(round.whole);
  row.echo = spread_of(round.echo);
  row.lone = spread_of(round.lone);
  row.packets = rig.carried() - packets;
  row.acks = static_cast<double>(rig.acks() - acks) / static_cast<double>(row.packets);
  return row;
}

// Huge pages for all of it: packet buffers, routes and the records of the most sessions.
unsigned huge_pages_wanted(const std::vector<Case>& cases) {
  const std::uint32_t most = std::ranges::max(cases, {}, &Case::sessions).sessions;
  const std::size_t records = std::size_t{most} * sizeof(contract::SessionRecord);
  return kEalMegabytes / kHugePageMegabytes +
         static_cast<unsigned>(records / (kHugePageMegabytes << 20)) + 4;
}

}  // namespace

int run_pipeline(const PipelineOptions& options) {
  const std::vector<Case> cases = cases_of(options);
  if (cases.empty()) {
    fmt::print(stderr, "pns-bench: no case matches\n");
    return 1;
  }
  const unsigned wanted = huge_pages_wanted(cases);
  const unsigned there = options.no_huge ? 0 : free_huge_pages();
  if (!options.no_huge && there < wanted)
    fmt::print(stderr,
               "pns-bench: {} huge pages wanted, {} free: figures will be worse than they could be "
               "(echo {} > /proc/sys/vm/nr_hugepages)\n",
               wanted, there, wanted);
  std::vector<int> cpus;
  if (options.cpu >= 0) cpus.push_back(options.cpu);
  const auto machine = start_eal(options.no_huge, cpus, kEalMegabytes);
  if (!machine) return 77;
  PipelineReport report;
  static_cast<Machine&>(report) = *machine;

  Wires wires;
  std::optional<Rig> rig;
  std::uint32_t sessions = 0;
  for (std::size_t n = 0; n < cases.size(); ++n) {
    const Case& each = cases[n];
    fmt::print(stderr, "\r{}/{} {:<40}", n + 1, cases.size(), each.name());
    if (!rig || sessions != each.sessions) {
      rig.reset();
      sessions = each.sessions;
      rig.emplace(wires, sessions, !options.no_huge);
      report.memory.push_back({sessions, rig->resident()});
    }
    if (each.mppe && !rig->armed()) rig->arm();
    report.rows.push_back(measure(
        wires, *rig, each, options.seconds / static_cast<double>(cases.size()), options.rounds));
  }
  fmt::print(stderr, "\r{:<60}\r", "");
  const bool met = print_report(report);
  if (!options.json.empty()) write_json(report, options.json);
  return options.enforce && !met ? 1 : 0;
}

}  // namespace pns::bench
