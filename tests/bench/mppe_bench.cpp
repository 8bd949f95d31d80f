// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/mppe_bench.hpp"

#include <fmt/format.h>
#include <x86intrin.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <stdexcept>

#include "dataplane/mppe/kernel_choice.hpp"
#include "dataplane/mppe/mppe_engine.hpp"
#include "pns/mppe/mppe.hpp"
#include "tests/bench/machine.hpp"
#include "tests/bench/mppe_goals.hpp"
#include "tests/bench/reference.hpp"
#include "tests/bench/results.hpp"

namespace pns::bench {
namespace {

using Clock = std::chrono::steady_clock;
using dataplane::MppeEngine;
using dataplane::MppeJob;
using dataplane::MppeVariant;
using dataplane::MppeWork;
using mppe::Mode;

constexpr std::size_t kSlot = 2304;  // as far apart as the packets of a pool
constexpr std::size_t kHeadroom = 128;
constexpr unsigned kFewestRounds = 25;
// Lone packets are timed one behind another: a short one takes no more than a few ticks of some
// machines' clocks.
constexpr std::size_t kFewestTimed = 16;
// A case is measured in several passes over all cases: neighbours of the machine disturb it for
// seconds on end, which must not hit one case alone.
constexpr double kPassSeconds = 0.05;

struct Case {
  Mode mode;
  MppeWork work;
  std::vector<std::size_t> sizes;  // of the data of each packet that is timed, in order
  std::string size_name;
  std::size_t sessions;
  std::size_t burst;  // packets that go in together
  unsigned key_bits = 128;

  [[nodiscard]] std::string name() const {
    return fmt::format("{}{}/{}/{}/{}x{}", mode == Mode::kStateless ? "stateless" : "stateful",
                       key_bits == 128 ? "" : fmt::format("-{}", key_bits),
                       work == MppeWork::kSeal ? "seal" : "open", size_name, sessions, burst);
  }
  [[nodiscard]] double mean_size() const {
    double sum = 0;
    for (const std::size_t size : sizes) sum += static_cast<double>(size);
    return sum / static_cast<double>(sizes.size());
  }
};

std::vector<Case> all_cases(bool with_short_keys) {
  // Sessions and packets of a burst.
  constexpr std::pair<std::size_t, std::size_t> kShapes[] = {{1, 1},  {1, 16}, {1, 32},  {2, 32},
                                                             {4, 32}, {8, 32}, {16, 32}, {32, 32}};
  std::vector<Case> cases;
  for (const Mode mode : {Mode::kStateless, Mode::kStateful})
    for (const MppeWork work : {MppeWork::kSeal, MppeWork::kOpen}) {
      for (const std::size_t size : {64, 256, 512, 1024, 1400})
        for (const auto& [sessions, packets] : kShapes)
          cases.push_back({mode, work,
                           std::vector((kFewestTimed + packets - 1) / packets * packets, size),
                           std::to_string(size), sessions, packets});
      // 7:4:1 of 64, 570 and 1400 octets, four times, in an order that repeats itself from run to
      // run.
      std::vector<std::size_t> sizes;
      for (const auto& [size, count] : {std::pair{64, 28}, {570, 16}, {1400, 4}})
        sizes.insert(sizes.end(), static_cast<std::size_t>(count), static_cast<std::size_t>(size));
      std::shuffle(sizes.begin(), sizes.end(), std::mt19937(1));
      for (const std::size_t sessions : {1, 16, 48})
        cases.push_back({mode, work, sizes, "imix", sessions, sizes.size()});
      // They cost what 128 bit costs: for their outputs only.
      if (with_short_keys)
        for (const unsigned bits : {40, 56})
          for (const std::size_t sessions : {1, 16, 48})
            cases.push_back({mode, work, sizes, "imix", sessions, sizes.size(), bits});
    }
  return cases;
}

// The packets that are timed together, kSlot apart.
class Packets {
 public:
  explicit Packets(const Case& of) : sizes_(of.sizes), memory_(of.sizes.size() * kSlot) {}
  [[nodiscard]] MutableBytes frame(std::size_t n) {
    return MutableBytes(memory_).subspan(n * kSlot + kHeadroom, sizes_[n] + mppe::kHeaderSize);
  }
  void copy_from(Packets& other) {
    for (std::size_t n = 0; n < sizes_.size(); ++n)
      std::ranges::copy(other.frame(n), frame(n).begin());
  }
  [[nodiscard]] bool same(Packets& other) {
    for (std::size_t n = 0; n < sizes_.size(); ++n)
      if (!std::ranges::equal(other.frame(n), frame(n))) return false;
    return true;
  }
  [[nodiscard]] std::size_t size() const { return sizes_.size(); }

 private:
  std::vector<std::size_t> sizes_;
  std::vector<std::byte> memory_;
};

class Contender {
 public:
  explicit Contender(std::string name) : name_(std::move(name)) {}
  virtual ~Contender() = default;
  [[nodiscard]] const std::string& name() const { return name_; }
  virtual void start(const Case& of, std::span<const mppe::DirectionState> sessions) = 0;
  virtual void prepare(Packets& packets) = 0;  // not timed
  virtual void crypt() = 0;                    // timed

 private:
  std::string name_;
};

class ReferenceContender final : public Contender {
 public:
  ReferenceContender(std::string name, std::unique_ptr<Reference> reference)
      : Contender(std::move(name)), reference_(std::move(reference)) {}
  void start(const Case& of, std::span<const mppe::DirectionState> sessions) override {
    std::vector<SessionKeys> keys;
    for (const auto& session : sessions)
      keys.push_back({session.start_key, session.session_key, session.key_bits});
    reference_->start(keys, of.mode == Mode::kStateful);
    sessions_ = sessions.size();
  }
  void prepare(Packets& packets) override {
    frames_.clear();
    for (std::size_t n = 0; n < packets.size(); ++n) frames_.push_back(packets.frame(n));
  }
  void crypt() override {
    std::size_t session = 0;
    for (const MutableBytes frame : frames_) {
      reference_->crypt(session, frame);
      if (++session == sessions_) session = 0;
    }
  }

 private:
  std::unique_ptr<Reference> reference_;
  std::size_t sessions_ = 1;
  std::vector<MutableBytes> frames_;
};

class EngineContender final : public Contender {
 public:
  EngineContender(std::string name, const dataplane::MppeKernels& kernels)
      : Contender(std::move(name)), engine_(std::make_unique<MppeEngine>(kernels)) {}
  void start(const Case& of, std::span<const mppe::DirectionState> sessions) override {
    work_ = of.work;
    burst_ = of.burst;
    states_.assign(sessions.begin(), sessions.end());
  }
  void prepare(Packets& packets) override {
    jobs_.clear();
    for (std::size_t n = 0; n < packets.size(); ++n)
      jobs_.push_back({&states_[n % states_.size()], packets.frame(n), work_});
  }
  void crypt() override {
    for (std::span<MppeJob> left = jobs_; !left.empty(); left = left.subspan(burst_))
      engine_->run(left.first(burst_));
  }

 private:
  std::unique_ptr<MppeEngine> engine_;
  MppeWork work_ = MppeWork::kSeal;
  std::size_t burst_ = 1;
  std::vector<mppe::DirectionState> states_;
  std::vector<MppeJob> jobs_;
};

// The scalar reference of the server, which the engine takes the place of.
class ScalarContender final : public Contender {
 public:
  ScalarContender() : Contender("scalar") {}
  void start(const Case& of, std::span<const mppe::DirectionState> sessions) override {
    work_ = of.work;
    states_.assign(sessions.begin(), sessions.end());
  }
  void prepare(Packets& packets) override {
    frames_.clear();
    for (std::size_t n = 0; n < packets.size(); ++n) frames_.push_back(packets.frame(n));
  }
  void crypt() override {
    for (std::size_t n = 0; n < frames_.size(); ++n) {
      mppe::DirectionState& state = states_[n % states_.size()];
      (void)(work_ == MppeWork::kSeal ? mppe::seal(state, frames_[n])
                                      : mppe::open(state, frames_[n]));
    }
  }

 private:
  MppeWork work_ = MppeWork::kSeal;
  std::vector<mppe::DirectionState> states_;
  std::vector<MutableBytes> frames_;
};

// The choice for a variant at the start of the process, in words of a line.
std::string text_of(const dataplane::MppeChoice& choice) {
  const auto counts = [](unsigned words) {
    std::string text;
    for (unsigned n = 0; n < dataplane::kMaxRc4Lanes; ++n)
      if ((words >> n & 1) != 0) text += fmt::format("{}{}", text.empty() ? "" : ",", n + 1);
    return text.empty() ? std::string("-") : text;
  };
  const unsigned lanes = choice.kernels.lanes;
  return fmt::format(
      "variant={} words_for_streams: set_keys={} change_keys={} octets_few={} octets={} "
      "running={} streams={} lone_set_up_streams={} scalar_octets={} bytes_step={:.2f} "
      "words_step={:.2f}",
      name_of(choice.variant), counts(choice.set_keys_words), counts(choice.change_keys_words),
      counts(choice.generate_few_words), counts(choice.generate_words), counts(choice.go_on_words),
      lanes, choice.kernels.fewest_lanes, choice.kernels.few_octets,
      fmt::join(std::span(choice.bytes_step).first(lanes), ","),
      fmt::join(std::span(choice.words_step).first(lanes), ","));
}

// `choices`: a line for each variant.
std::vector<std::unique_ptr<Contender>> contenders(const std::vector<std::string>& only,
                                                   std::vector<std::string>& choices) {
  std::vector<std::unique_ptr<Contender>> all;
  all.push_back(std::make_unique<ReferenceContender>("plain", plain_reference()));
  all.push_back(std::make_unique<ReferenceContender>("openssl", openssl_low_reference()));
  all.push_back(std::make_unique<ReferenceContender>("openssl-evp", openssl_evp_reference()));
  all.push_back(std::make_unique<ReferenceContender>("nettle", nettle_reference()));
  all.push_back(std::make_unique<ScalarContender>());
  for (const auto variant : {MppeVariant::kPortable, MppeVariant::kAvx2, MppeVariant::kAvx512})
    if (dataplane::has_variant(variant)) {
      const auto choice = dataplane::measured_choice(variant);
      choices.push_back(text_of(choice));
      all.push_back(std::make_unique<EngineContender>(name_of(variant), choice.kernels));
      for (const auto form : {dataplane::Rc4Form::kBytes, dataplane::Rc4Form::kWords})
        all.push_back(
            std::make_unique<EngineContender>(fmt::format("{}-{}", name_of(variant), name_of(form)),
                                              dataplane::kernels_of(variant, form)));
    }
  if (only.empty()) return all;
  for (const std::string& name : only)
    if (std::ranges::none_of(all, [&](const auto& each) { return each->name() == name; }))
      throw std::runtime_error("no contender " + name + " on this machine");
  std::erase_if(all, [&](const auto& each) {
    return each->name() != "plain" && std::ranges::find(only, each->name()) == only.end();
  });
  return all;
}

// Fills packets with plain text: IPv4 by its head, the rest noise.
void fill(Packets& packets, std::mt19937_64& random) {
  for (std::size_t n = 0; n < packets.size(); ++n) {
    const MutableBytes frame = packets.frame(n);
    for (std::byte& octet : frame) octet = static_cast<std::byte>(random());
    frame[0] = frame[1] = std::byte{0};
    frame[2] = std::byte{0x00};
    frame[3] = std::byte{0x21};
    frame[4] = std::byte{0x45};
  }
}

// Cycles a packet of each burst, by contender.
using Samples = std::vector<std::vector<std::uint64_t>>;

// Adds to `cycles`.
void run_case(const Case& of, std::vector<std::unique_ptr<Contender>>& all, double seconds,
              unsigned rounds, Samples& cycles) {
  std::mt19937_64 random(42);
  std::vector<mppe::DirectionState> sessions(of.sessions);
  for (auto& session : sessions) {
    std::array<std::byte, 16> key;
    for (std::byte& octet : key) octet = static_cast<std::byte>(random());
    mppe::init(session, key, of.key_bits, of.mode);
  }
  ReferenceContender source("source", plain_reference());
  source.start(of, sessions);
  for (auto& contender : all) contender->start(of, sessions);

  Packets clear(of);
  Packets cipher(of);
  std::vector<Packets> own(all.size(), Packets(of));
  fill(clear, random);
  for (std::size_t n = 0; n < all.size(); ++n) all[n]->prepare(own[n]);
  cycles.resize(all.size());
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto until = Clock::now() + std::chrono::duration<double>(seconds);
  for (unsigned round = 0;
       rounds != 0 ? round < rounds : round < kFewestRounds || Clock::now() < until; ++round) {
    cipher.copy_from(clear);
    source.prepare(cipher);
    source.crypt();
    const bool seal = of.work == MppeWork::kSeal;
    if (!seal)  // opening leaves the header
      for (std::size_t n = 0; n < clear.size(); ++n)
        std::ranges::copy(cipher.frame(n).first(2), clear.frame(n).begin());
    // In another order each time: the CPU guesses about a stream as it was right about the one
    // before.
    std::ranges::shuffle(order, random);
    for (const std::size_t n : order) {
      own[n].copy_from(seal ? clear : cipher);
      all[n]->prepare(own[n]);
      _mm_lfence();
      const std::uint64_t start = __rdtsc();
      _mm_lfence();
      all[n]->crypt();
      _mm_lfence();
      cycles[n].push_back((__rdtsc() - start) / of.sizes.size());
      if (!own[n].same(seal ? cipher : clear))
        throw std::runtime_error(of.name() + ": wrong output from " + all[n]->name());
    }
  }
}

std::vector<Measured> measured_of(Samples& cycles) {
  std::vector<Measured> result;
  for (auto& each : cycles) {
    std::ranges::sort(each);
    result.push_back({each.front(), each[each.size() / 10], each[each.size() / 2]});
  }
  return result;
}

double ratio(std::uint64_t of, std::uint64_t to) {
  return static_cast<double>(of) / static_cast<double>(to);
}

}  // namespace

int run_mppe(const MppeOptions& options) {
  auto cases = all_cases(options.rounds != 0);
  std::erase_if(cases, [&](const Case& each) { return !each.name().contains(options.filter); });
  if (cases.empty()) {
    fmt::print(stderr, "pns-bench: no case matches {}\n", options.filter);
    return 1;
  }
  std::vector<std::string> rc4;
  auto all = contenders(options.only, rc4);
  const auto begun = Clock::now();
  const std::uint64_t tsc = __rdtsc();
  const unsigned passes =
      options.rounds != 0
          ? 1
          : std::max(1U, static_cast<unsigned>(options.seconds /
                                               (kPassSeconds * static_cast<double>(cases.size()))));
  std::vector<Samples> samples(cases.size());
  for (unsigned pass = 0; pass < passes; ++pass)
    for (std::size_t n = 0; n < cases.size(); ++n) {
      fmt::print(stderr, "\rpass {}/{} case {}/{} {:<40}", pass + 1, passes, n + 1, cases.size(),
                 cases[n].name());
      run_case(cases[n], all, options.seconds / static_cast<double>(cases.size()) / passes,
               options.rounds, samples[n]);
    }
  fmt::print(stderr, "\r{:<80}\r", "");
  std::vector<std::vector<Measured>> measured;
  for (Samples& each : samples) measured.push_back(measured_of(each));
  const double elapsed = std::chrono::duration<double>(Clock::now() - begun).count();
  const double ghz = static_cast<double>(__rdtsc() - tsc) / elapsed / 1e9;
  const Machine machine{.cpu = cpu_model(), .tsc_ghz = ghz, .core_ratio = core_ratio()};

  fmt::print("{}\n", describe(machine));
  for (const std::string& choice : rc4) fmt::print("{}\n", choice);
  fmt::print("{:<32} {:<14} {:>7} {:>7} {:>7} {:>7}", "mode/work/octets/sessions x packets", "",
             "min", "p10", "median", "Gbit/s");
  const std::size_t references =
      static_cast<std::size_t>(std::ranges::count_if(all, [](const auto& each) {
        return dynamic_cast<const ReferenceContender*>(each.get()) != nullptr;
      }));
  for (std::size_t to = 0; to < references; ++to) fmt::print(" {:>11}", all[to]->name());
  fmt::print("   (times as fast, by min)\n");
  nlohmann::json rows = nlohmann::json::array();
  for (std::size_t row = 0; row < cases.size(); ++row)
    for (std::size_t n = 0; n < all.size(); ++n) {
      const Measured& here = measured[row][n];
      const double gbit = 8 * cases[row].mean_size() * ghz / static_cast<double>(here.median);
      nlohmann::json ratios;
      fmt::print("{:<32}    {:<14} {:>7} {:>7} {:>7} {:>7.2f}", n == 0 ? cases[row].name() : "",
                 all[n]->name(), here.min, here.p10, here.median, gbit);
      for (std::size_t to = 0; to < references; ++to) {
        fmt::print(" {:>11.2f}", ratio(measured[row][to].min, here.min));
        ratios[all[to]->name()] = {{"min", ratio(measured[row][to].min, here.min)},
                                   {"median", ratio(measured[row][to].median, here.median)}};
      }
      fmt::print("\n");
      rows.push_back({{"bench", "mppe"},
                      {"case", cases[row].name()},
                      {"contender", all[n]->name()},
                      {"min", here.min},
                      {"p10", here.p10},
                      {"median", here.median},
                      {"gbit_s", gbit},
                      {"times_as_fast_as", ratios}});
    }
  const auto goals = mppe_goals(
      [&](const std::string& name, const std::string& contender) -> std::optional<Measured> {
        const auto row = std::ranges::find(cases, name, &Case::name);
        const auto n =
            std::ranges::find(all, contender, [](const auto& each) { return each->name(); });
        if (row == cases.end() || n == all.end()) return std::nullopt;
        return measured[static_cast<std::size_t>(row - cases.begin())]
                       [static_cast<std::size_t>(n - all.begin())];
      },
      dataplane::name_of(dataplane::best_variant()), cpu_identity());
  bool all_met = true;
  nlohmann::json goals_json = nlohmann::json::array();
  if (!goals.empty())
    fmt::print("\n{:<58} {:>6} {:>7} {:>7} {:>7}\n", "goals, times as fast", "wanted", "min", "p10",
               "median");
  for (const MppeGoal& goal : goals) {
    all_met = all_met && goal.met();
    fmt::print("{:<58} {:>6.2f} {:>7.2f} {:>7.2f} {:>7.2f} {}\n", goal.name, goal.wanted,
               goal.measured_min, goal.measured_p10, goal.measured_median,
               goal.met() ? "pass" : "FAIL");
    goals_json.push_back({{"name", goal.name},
                          {"wanted", goal.wanted},
                          {"measured_min", goal.measured_min},
                          {"measured_p10", goal.measured_p10},
                          {"measured_median", goal.measured_median},
                          {"met", goal.met()}});
  }
  if (!options.json.empty()) {
    nlohmann::json results = json_of(machine);
    results.update(
        {{"unit", "TSC cycles a packet"}, {"rows", rows}, {"goals", goals_json}, {"rc4", rc4}});
    write_results(options.json, results);
  }
  return options.enforce && !all_met ? 1 : 0;
}

}  // namespace pns::bench
