// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/attack_bench.hpp"

#include <fmt/core.h>
#include <rte_cycles.h>
#include <x86intrin.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

#include "pns/mppe/mppe.hpp"
#include "tests/bench/attack_report.hpp"
#include "tests/bench/eal_start.hpp"
#include "tests/bench/flood_bench.hpp"
#include "tests/bench/machine.hpp"
#include "tests/bench/pipeline_rig.hpp"
#include "tests/bench/timing.hpp"

namespace pns::bench {
namespace {

constexpr unsigned kEalMegabytes = 384;
constexpr unsigned kBurst = 32;  // packets of a poll
constexpr unsigned kLonePackets = 32;
constexpr unsigned kFewestRounds = 3;
constexpr std::uint64_t kFloodFrames = 1'000'000;  // of each flood
constexpr std::uint64_t kFewFrames = 100'000;      // where rounds are asked for
// Until the tokens that the buckets begin with are spent.
constexpr double kWarmUpSeconds = 0.4;
constexpr std::uint64_t kSecondNs = 1'000'000'000;
// More than the reorder stage holds anything.
constexpr std::uint64_t kLongWaitNs = 20'000'000;
constexpr dataplane::Reorder::Settings kReorder{.packets = 32};  // as configured by default

struct Sizes {
  const char* name;
  std::vector<std::size_t> octets;
};

struct Case {
  mppe::Mode mode;
  std::string kind;
  const Sizes* sizes;
  Forgery forgery;
  unsigned lost_one_in;

  [[nodiscard]] std::string name() const {
    return fmt::format("{}/{}/{}{}/{}/1:{}/{}",
                       mode == mppe::Mode::kStateless ? "stateless" : "stateful", kind,
                       forgery.jump, forgery.flushed ? "" : "-unflushed",
                       forgery.all_sessions ? "all" : "one", forgery.one_in - 1, sizes->name);
  }
};

// The cases that are measured unless all are asked for.
constexpr std::array kMain{"stateless/far/2000/all/1:10/64", "stateless/far/2000/all/1:10/imix",
                           "stateless/far/2000/all/1:10/1400", "stateless/far/2000/one/1:10/imix",
                           "stateless/far/2000/all/1:2/imix", "stateless/far/2000/all/1:1/imix",
                           "stateless/near/63/all/1:10/imix", "stateless/near/63/all/1:10/1400",
                           "stateless/near/63/one/1:10/imix", "stateless/near/63/all/1:1/imix",
                           "stateless/near/2000/all/1:10/imix", "stateful/far/500/all/1:10/imix",
                           "stateful/near/63/all/1:10/imix",
                           // A count that the missing numbers explain: what a real gap looks like.
                           "stateless/gap/2047/all/1:10/imix", "stateless/gap/2047/one/1:10/imix",
                           "stateless/gap/100000/all/1:10/imix",
                           "stateless/gap/100000/one/1:10/imix"};

std::vector<Case> cases_of(const AttackOptions& options) {
  // Simple IMIX: 7 small, 4 middling, 1 large.
  static const std::array<Sizes, 3> kSizes{
      {{"64", {64}},
       {"imix", {64, 64, 64, 64, 64, 64, 64, 576, 576, 576, 576, 1'400}},
       {"1400", {1'400}}}};
  struct Kind {
    mppe::Mode mode;
    const char* name;
    std::uint32_t ahead;  // 0: as far as the count
    std::vector<unsigned> jumps;
    bool flushed;
    unsigned lost_one_in;
  };
  const std::array<Kind, 7> kinds{{
      {mppe::Mode::kStateless, "far", 1'000, {64, 65, 500, 2'000}, true, 0},
      {mppe::Mode::kStateless, "near", 64, {63, 64, 65, 500, 2'000}, true, 0},
      {mppe::Mode::kStateless, "loss", 1'000, {64, 2'000}, true, 50},
      {mppe::Mode::kStateless, "gap", 0, {2'047, 100'000}, true, 0},
      {mppe::Mode::kStateful, "far", 1'000, {0, 500, 2'000}, true, 0},
      {mppe::Mode::kStateful, "far", 1'000, {500}, false, 0},
      {mppe::Mode::kStateful, "near", 64, {63, 500}, true, 0},
  }};
  std::vector<Case> cases;
  for (const Kind& kind : kinds)
    for (const unsigned jump : kind.jumps)
      for (const bool all : {false, true})
        for (const unsigned one_in : {11U, 3U, 2U})
          for (const Sizes& sizes : kSizes) {
            const std::uint32_t ahead = kind.ahead != 0 ? kind.ahead : jump + 1;
            const Forgery forgery{ahead, jump, kind.flushed, all, one_in};
            Case made{kind.mode, kind.name, &sizes, forgery, kind.lost_one_in};
            const std::string name = made.name();
            if (!options.all && std::ranges::find(kMain, name) == kMain.end()) continue;
            if (name.contains(options.filter)) cases.push_back(made);
          }
  return cases;
}

// A worker with its sessions, whose clock stands still while it is not polled.
class Side {
 public:
  Side(Wires& wires, const AttackOptions& options, const Case& of, const Forgery* forgery)
      : rig_(wires, {.ground = std::make_shared<Ground>(options.sessions, 1, !options.no_huge),
                     .reorder = kReorder,
                     .key_change_ns = options.key_change_ns}),
        mixture_{of.sizes->octets, of.lost_one_in, forgery},
        clock_ns_(rig_.now_ns()) {
    rig_.arm(of.mode);
    // The first number of a session is free: those of the link's negotiation, in life.
    Mixture first{.sizes = of.sizes->octets, .in_turn = true};
    for (std::uint32_t left = options.sessions; left != 0; left -= first.packets) {
      first.packets = std::min<std::uint32_t>(left, Wires::kBatch);
      send(first);
    }
  }

  struct Taken {
    double cycles = 0, carried = 0;
    [[nodiscard]] double each() const { return cycles / std::max(carried, 1.0); }
  };
  Taken run_batch() {
    const std::uint64_t carried = rig_.counters().upstream_packets.get();
    const std::uint64_t before = cycles_;
    send(mixture_);
    return {static_cast<double>(cycles_ - before),
            static_cast<double>(rig_.counters().upstream_packets.get() - carried)};
  }
  // Lets go what waits for others.
  void finish() {
    for (unsigned n = 0; n < 8; ++n) {
      clock_ns_ += kLongWaitNs;
      (void)poll();
    }
    rig_.discard();
  }
  // Forged packets one at a time, with full purses.
  void send_lone(const Forgery& forgery, AttackRow& row) {
    Forgery every = forgery;
    every.one_in = 1;
    every.all_sessions = true;
    clock_ns_ += kSecondNs;
    std::vector<double> cycles;
    for (unsigned n = 0; n < kLonePackets; ++n) {
      Mixture mixture = mixture_;
      mixture.forgery = &every;
      mixture.packets = 1;
      (void)rig_.build_mixture(mixture);
      (void)rig_.feed(1);
      std::uint64_t spent = poll();
      clock_ns_ += kLongWaitNs;
      spent += poll();  // of one that has waited
      cycles.push_back(static_cast<double>(spent));
      rig_.discard();
      clock_ns_ += kSecondNs / 10;
    }
    std::ranges::sort(cycles);
    row.lone_cycles = cycles[cycles.size() / 2];
    row.lone_most = cycles.back();
  }

  [[nodiscard]] std::uint64_t most_steps() const { return most_steps_; }  // of one poll
  [[nodiscard]] std::uint64_t steps() const { return rig_.counters().mppe_key_steps.get(); }
  [[nodiscard]] std::uint64_t real() const { return real_; }
  [[nodiscard]] std::uint64_t carried() const { return rig_.counters().upstream_packets.get(); }
  [[nodiscard]] std::uint64_t received() const { return rig_.counters().ports[0].rx_packets.get(); }
  [[nodiscard]] double busy_seconds() const { return static_cast<double>(cycles_) / hz_; }

 private:
  void send(const Mixture& mixture) {
    real_ += rig_.build_mixture(mixture);
    while (rig_.feed(kBurst) != 0) (void)poll();
    rig_.discard();
  }
  std::uint64_t poll() {
    const std::uint64_t now_ns = clock_ns_ + static_cast<std::uint64_t>(busy_seconds() * 1e9);
    const std::uint64_t before = steps();
    const std::uint64_t spent = cycles_of([&] { (void)rig_.poll_at(now_ns); });
    most_steps_ = std::max(most_steps_, steps() - before);
    cycles_ += spent;
    return spent;
  }

  Rig rig_;
  Mixture mixture_;
  std::uint64_t clock_ns_;
  double hz_ = static_cast<double>(rte_get_tsc_hz());
  std::uint64_t cycles_ = 0;
  std::uint64_t real_ = 0;
  std::uint64_t most_steps_ = 0;
};

AttackRow measure(Wires& wires, const AttackOptions& options, const Case& of) {
  Forgery strangers = of.forgery;
  strangers.stranger = true;
  Side alone(wires, options, of, nullptr);
  Side dropping(wires, options, of, &strangers);
  Side attacked(wires, options, of, &of.forgery);
  if (options.rounds == 0)
    while (attacked.busy_seconds() < kWarmUpSeconds) (void)attacked.run_batch();
  const double measured_from = attacked.busy_seconds();
  const std::uint64_t steps_from = attacked.steps();
  std::vector<double> baseline, dropped, under, more_dropped, more, kept, kept_dropping;
  for (unsigned n = 0;
       options.rounds != 0
           ? n <= options.rounds
           : n <= kFewestRounds || attacked.busy_seconds() - measured_from < options.seconds;
       ++n) {
    const double without = alone.run_batch().each();
    const double strange = dropping.run_batch().each();
    const double with = attacked.run_batch().each();
    if (n == 0) continue;  // caches, predictors, and the bursts that the purses begin with
    baseline.push_back(without);
    dropped.push_back(strange);
    under.push_back(with);
    more_dropped.push_back(strange - without);
    more.push_back(with - without);
    kept_dropping.push_back(without / strange);
    kept.push_back(without / with);
  }
  AttackRow row;
  row.name = of.name();
  row.goal = of.forgery.one_in == 11;
  // On the path, a number can be taken before its owner comes. A stateful packet with the next
  // count is opened with the next key, and noise may look like a packet.
  row.lossless = of.forgery.ahead > 64 && of.forgery.jump != 0;
  row.baseline = spread_of(baseline);
  row.dropping = spread_of(dropped);
  row.attacked = spread_of(under);
  const Spread share = spread_of(kept);
  row.kept = share.median;
  row.kept_p10 = share.p10;
  row.kept_dropping = spread_of(kept_dropping).median;
  row.busy_seconds = attacked.busy_seconds() - measured_from;
  row.steps = attacked.steps() - steps_from;
  attacked.finish();
  row.real = attacked.real();
  row.forged = attacked.received() - row.real;
  row.lost = row.real - attacked.carried();
  const double real_a_forged = static_cast<double>(row.real) / static_cast<double>(row.forged);
  row.dropped_cycles = spread_of(more_dropped).median * real_a_forged;
  row.forged_cycles = spread_of(more).median * real_a_forged;
  attacked.send_lone(of.forgery, row);
  row.most_steps = attacked.most_steps();
  return row;
}

// One key change, the least of some.
double step_cycles() {
  const auto engine = std::make_unique<dataplane::MppeEngine>();
  std::array<std::byte, 16> start{}, key{};
  double best = 1e9;
  for (unsigned n = 0; n < 200; ++n) {
    constexpr unsigned kSteps = 64;
    const std::uint64_t before = __rdtsc();
    engine->change_keys(start, key, 128, kSteps);
    _mm_lfence();
    best = std::min(best, static_cast<double>(__rdtsc() - before) / kSteps);
  }
  return best;
}

}  // namespace

int run_attack(const AttackOptions& given) {
  AttackOptions options = given;
  const std::vector<Case> cases = cases_of(options);
  const bool floods = options.filter.empty() || std::string("flood/").starts_with(options.filter) ||
                      options.filter.starts_with("flood");
  if (cases.empty() && !floods) {
    fmt::print(stderr, "pns-bench: no case matches\n");
    return 1;
  }
  std::vector<int> cpus;
  if (options.cpu >= 0) cpus.push_back(options.cpu);
  const auto machine = start_eal(options.no_huge, cpus, kEalMegabytes);
  if (!machine) return 77;
  AttackReport report;
  static_cast<Machine&>(report) = *machine;
  report.sessions = options.sessions;
  report.step_cycles = step_cycles();
  options.key_change_ns =
      static_cast<std::uint32_t>(report.step_cycles * 1e9 / static_cast<double>(rte_get_tsc_hz())) +
      1;
  report.key_change_ns = options.key_change_ns;

  Wires wires(2);  // both workers may hold as many as the reorder stage takes
  for (std::size_t n = 0; n < cases.size(); ++n) {
    fmt::print(stderr, "\r{}/{} {:<50}", n + 1, cases.size(), cases[n].name());
    report.rows.push_back(measure(wires, options, cases[n]));
    if (const unsigned lost = rte_mempool_in_use_count(wires.pool()); lost != 0)
      throw std::runtime_error(fmt::format("{}: {} packet buffers lost", cases[n].name(), lost));
  }
  fmt::print(stderr, "\r{:<60}\r", "");
  if (floods)
    report.floods = run_floods(wires, options.rounds != 0 ? kFewFrames : kFloodFrames,
                               !options.no_huge, options.filter);
  const bool met = report.rows.empty() || print_report(report);
  std::vector<std::string> broken = print_floods(report.floods);
  if (!options.json.empty()) write_json(report, options.json);
  std::ranges::move(broken_rules(report), std::back_inserter(broken));
  for (const std::string& line : broken) fmt::print(stderr, "pns-bench: {}\n", line);
  return !broken.empty() || (options.enforce && !met) ? 1 : 0;
}

}  // namespace pns::bench
