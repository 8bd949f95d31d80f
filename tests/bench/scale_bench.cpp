// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/scale_bench.hpp"

#include <fmt/core.h>
#include <rte_cycles.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "tests/bench/crew.hpp"
#include "tests/bench/eal_start.hpp"
#include "tests/bench/machine.hpp"
#include "tests/bench/pipeline_rig.hpp"
#include "tests/bench/scale_handover.hpp"
#include "tests/bench/scale_report.hpp"
#include "tests/bench/timing.hpp"

namespace pns::bench {
namespace {

using Clock = std::chrono::steady_clock;
using contract::PortRole;

constexpr unsigned kEalMegabytes = 384;
constexpr unsigned kFewestRounds = 5;
constexpr unsigned kAluPolls = 512;

struct Case {
  Direction direction;
  bool mppe;
  std::size_t size;
  bool hand_over;  // measured too, of the fewest sessions

  [[nodiscard]] std::string name() const {
    return fmt::format("{}/{}/{}", mppe ? "mppe" : "clear",
                       direction == Direction::kUp ? "up" : "down", size);
  }
};
// The sessions encrypt once they have begun to.
constexpr std::array<Case, 6> kCases{{{Direction::kUp, false, 64, true},
                                      {Direction::kUp, false, 1'400, false},
                                      {Direction::kDown, false, 64, true},
                                      {Direction::kDown, false, 1'400, false},
                                      {Direction::kUp, true, 1'400, true},
                                      {Direction::kDown, true, 1'400, false}}};

std::vector<int> cpus_of(const ScaleOptions& options) {
  std::vector<int> cpus = options.cpus;
  if (cpus.empty()) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
      for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(static_cast<unsigned>(cpu), &set)) cpus.push_back(cpu);
  }
  if (options.workers != 0) cpus.resize(std::min<std::size_t>(cpus.size(), options.workers));
  cpus.resize(std::min(cpus.size(), contract::kMaxWorkers));
  return cpus;
}

std::string siblings_of(int cpu) {
  std::ifstream file(
      fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
  std::string list = "unknown";
  std::getline(file, list);
  return list;
}

// A thread's samples, and none of another's beside them.
struct alignas(128) Samples {
  std::vector<double> of;
};

// Additions that wait for each other: nothing but the core.
void add_up() {
  std::uint64_t sum = 0;
  for (unsigned n = 0; n < 512; ++n)
    asm volatile("add $1, %0; add %0, %0; add $1, %0; add %0, %0" : "+r"(sum));
}
// As many as fit at a time: two threads of one core share the adders.
void add_many() {
  std::uint64_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0;
  for (unsigned n = 0; n < 512; ++n)
    asm volatile("add $1, %0; add $1, %1; add $1, %2; add $1, %3; add $1, %4; add $1, %5"
                 : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
}

// A kind of work. prepare and finish may throw; step gives the packets of one poll, 0: no more.
struct Job {
  std::function<void(unsigned)> prepare, finish;
  std::function<unsigned(unsigned)> step;
};

class Bench {
 public:
  Bench(const ScaleOptions& options, const std::vector<int>& cpus)
      : options_(options), crew_(cpus), count_(crew_.size()) {
    wires_.push_back(std::make_unique<Wires>(count_));
    for (unsigned n = 1; n < count_; ++n) wires_.push_back(std::make_unique<Wires>(*wires_[0], n));
    rings_.resize(count_);
    for (unsigned to = 0; to < count_; ++to)
      for (unsigned from = 0; from < count_; ++from)
        rings_[to].push_back(from == to ? nullptr
                                        : Wires::make_ring(fmt::format("handover{}_{}", from, to)));
  }

  // Without sessions.
  void measure_machine(ScaleReport& report) {
    std::vector<unsigned> left(count_);
    const auto adding = [&](void (*add)()) {
      return Job{.prepare = [&](unsigned n) { left[n] = kAluPolls; },
                 .finish = [](unsigned) {},
                 .step =
                     [&left, add](unsigned n) {
                       if (left[n] == 0) return 0U;
                       --left[n];
                       add();
                       return 1U;
                     }};
    };
    report.rows.push_back(measure("alu", adding(add_many)));
    report.rows.push_back(measure("alu, one chain", adding(add_up)));
    for (const std::size_t size : {std::size_t{64}, std::size_t{1'400}})
      report.rows.push_back(measure(
          fmt::format("echo/{}", size),
          {.prepare = [&](unsigned n) { wires_[n]->receive_plain(size, Wires::kBatch, frames_); },
           .finish = [&](unsigned n) { (void)wires_[n]->drain(PortRole::kAccess); },
           .step = [&](unsigned n) { return wires_[n]->echo(); }}));
  }

  void measure_sessions(ScaleReport& report, std::uint32_t sessions, bool hand_over) {
    const auto ground = std::make_shared<Ground>(
        sessions * count_, static_cast<std::uint16_t>(count_), !options_.no_huge);
    rigs_.clear();
    for (unsigned n = 0; n < count_; ++n) {
      RigSettings settings{.ground = ground, .worker = WorkerId(static_cast<std::uint8_t>(n))};
      for (unsigned other = 0; other < count_; ++other) {
        settings.handover_in[other] = rings_[n][other];
        settings.handover_out[other] = rings_[other][n];
      }
      rigs_.push_back(std::make_unique<Rig>(*wires_[n], settings));
    }
    bool armed = false;
    for (const Case& each : kCases) {
      if (each.mppe && !armed) {
        for (const auto& rig : rigs_) rig->arm();
        armed = true;
      }
      const std::string name = fmt::format("{}/{}", each.name(), sessions);
      if (!name.contains(options_.filter)) continue;
      report.rows.push_back(measure(name, {.prepare =
                                               [&](unsigned n) {
                                                 rigs_[n]->build(each.direction, each.size);
                                                 rigs_[n]->cool(frames_);
                                                 (void)rigs_[n]->feed_all(*wires_[n], 0);
                                               },
                                           .finish = [&](unsigned n) { rigs_[n]->settle(); },
                                           .step = [&](unsigned n) { return rigs_[n]->poll(); }}));
      report.rows.back().worker = true;
      if (!hand_over || !each.hand_over || count_ < 2) continue;
      Handover handover(crew_, {wires_[0].get(), wires_[1].get()},
                        {rigs_[0].get(), rigs_[1].get()});
      for (const unsigned threads : {1U, 2U}) {
        fmt::print(stderr, "\r{:<50}",
                   fmt::format("{} handed over, {} threads", each.name(), threads));
        handover.measure(
            {each.name(), each.direction, each.size, threads, frames_},
            // Twice as many kinds of batches as in a case take turns.
            [&](unsigned round, Clock::time_point since) { return goes_on(round, since, 2); },
            report.handovers);
      }
    }
    rigs_.clear();
  }

 private:
  // Another round, of those that a case gets.
  [[nodiscard]] bool goes_on(unsigned round, Clock::time_point since, double times = 1) const {
    if (options_.rounds != 0) return round <= options_.rounds;
    return round <= kFewestRounds ||
           Clock::now() - since < std::chrono::duration<double>(times * options_.seconds);
  }

  ScaleRow measure(const std::string& name, const Job& job) {
    fmt::print(stderr, "\r{:<50}", name);
    std::vector<Samples> alone(count_), together(count_);
    for (std::vector<Samples>* samples : {&alone, &together})
      for (Samples& each : *samples) each.of.reserve(1 << 20);
    const auto since = Clock::now();
    for (unsigned round = 0; goes_on(round, since); ++round) {
      crew_.all(job.prepare);
      std::atomic<bool> one_is_done{false};
      crew_.all([&](unsigned n) {
        crew_.meet();
        run(job, n, together[n].of, &one_is_done);
      });
      crew_.all(job.finish);
      for (unsigned n = 0; n < count_; ++n) {
        crew_.one(n, job.prepare);
        crew_.one(n, [&](unsigned) { run(job, n, alone[n].of, nullptr); });
        crew_.one(n, job.finish);
      }
      if (round == 0)  // caches and predictors
        for (unsigned n = 0; n < count_; ++n) {
          alone[n].of.clear();
          together[n].of.clear();
        }
    }
    ScaleRow row;
    row.name = name;
    for (unsigned n = 0; n < count_; ++n) {
      row.alone.push_back(spread_of(alone[n].of));
      row.together.push_back(spread_of(together[n].of));
    }
    return row;
  }

  // Samples are taken as long as all work.
  static void run(const Job& job, unsigned n, std::vector<double>& samples,
                  std::atomic<bool>* one_is_done) {
    for (;;) {
      unsigned packets = 0;
      const std::uint64_t cycles = cycles_of([&] { packets = job.step(n); });
      if (packets == 0) break;
      if (one_is_done == nullptr || !one_is_done->load(std::memory_order_relaxed))
        samples.push_back(static_cast<double>(cycles) / packets);
    }
    if (one_is_done != nullptr) one_is_done->store(true, std::memory_order_relaxed);
  }

  const ScaleOptions& options_;
  FrameState frames_ = frame_state_of(options_.frames);
  Crew crew_;
  unsigned count_;
  std::vector<std::unique_ptr<Wires>> wires_;
  std::vector<std::vector<rte_ring*>> rings_;  // [to][from]
  std::vector<std::unique_ptr<Rig>> rigs_;
};

}  // namespace

int run_scale(const ScaleOptions& options) {
  const std::vector<int> cpus = cpus_of(options);
  if (cpus.size() < 2 && options.workers != 1) {
    fmt::print(stderr, "pns-bench: fewer than two CPUs\n");
    return 77;
  }
  const auto machine = start_eal(options.no_huge, cpus, kEalMegabytes);
  if (!machine) return 77;
  ScaleReport report;
  static_cast<Machine&>(report) = *machine;
  report.cpus = cpus;
  report.frames = frame_state_of(options.frames);
  for (const int cpu : cpus) report.siblings.push_back(siblings_of(cpu));
  const Others others(cpus);
  Bench bench(options, cpus);
  bench.measure_machine(report);
  for (const std::uint32_t sessions : options.sessions)
    bench.measure_sessions(report, sessions, sessions == options.sessions.front());
  report.others = others.used();
  fmt::print(stderr, "\r{:<60}\r", "");
  const bool met = print_report(report);
  if (!options.json.empty()) write_json(report, options.json);
  return options.enforce && !met ? 1 : 0;
}

}  // namespace pns::bench
