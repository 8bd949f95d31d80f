// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mppe/kernel_choice.hpp"

#include <x86intrin.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "pns/mppe/mppe.hpp"
#include "pns/mppe/rc4.hpp"

namespace pns::dataplane {
namespace {

// Passes over everything, so that a disturbance hits all. In each so many rounds of the same, of
// which the first only warm up: the CPU guesses about a stream as it was right about the one
// before, about a stream alone most of all.
constexpr unsigned kPasses = 4;
constexpr unsigned kWarmRounds = 3;
constexpr unsigned kRounds = 6;
constexpr unsigned kLoneWarmRounds = 12;
constexpr unsigned kLoneRounds = 12;
constexpr std::size_t kFew = 5;     // blocks of a short packet
constexpr std::size_t kMany = 56;   // and of a long one
constexpr std::size_t kShort = 64;  // octets of a stateful one
constexpr std::size_t kLong = 1400;
// A form is taken in place of a simpler one when it is faster by this factor: words (their frames
// are wiped after each burst, which no time here includes), one stream more beside a lone one.
constexpr double kClearly = 1.03;
constexpr double kFarFrom = 1.1;    // for fewer streams
constexpr double kMaxScalar = 512;  // octets: beyond, a disturbance would speak for the reference
// Cost of a lone packet in the engine besides RC4, in TSC cycles.
constexpr double kStatefulDetour = 50;
constexpr double kStatelessDetour = 150;

// Times of something. A single stream has good and bad moments, and neighbours disturb: half the
// minimum and half the median.
class Times {
 public:
  void add(std::uint64_t cycles) noexcept {
    if (count_ < all_.size()) all_[count_++] = static_cast<double>(cycles);
  }
  [[nodiscard]] double cycles() const noexcept {
    std::array<double, kPasses* kLoneRounds> sorted = all_;
    std::sort(sorted.begin(), sorted.begin() + count_);
    return (sorted[0] + sorted[count_ / 2]) / 2;
  }

 private:
  std::array<double, kPasses * kLoneRounds> all_{};
  unsigned count_ = 0;
};

// `round` counts down; those at the end are kept.
template <class Work>
void time(Times& times, unsigned round, unsigned lanes, Work work) noexcept {
  _mm_lfence();
  const std::uint64_t start = __rdtsc();
  _mm_lfence();
  work();
  _mm_lfence();
  const std::uint64_t cycles = __rdtsc() - start;
  if (round < (lanes == 1 ? kLoneRounds : kRounds)) times.add(cycles);
}

constexpr unsigned rounds_of(unsigned lanes) noexcept {
  return lanes == 1 ? kLoneWarmRounds + kLoneRounds : kWarmRounds + kRounds;
}

struct FreshTimes {
  Times set_keys, change_keys, few, many;
  [[nodiscard]] double set_up() const noexcept { return set_keys.cycles() + change_keys.cycles(); }
};
struct RunningTimes {
  Times few, many;
};
struct FormTimes {
  std::array<FreshTimes, kMaxRc4Lanes> fresh;
  std::array<RunningTimes, kMaxRunningLanes> running;
};
struct ScalarTimes {
  RunningTimes running;
  Times packet;
};

// Keys and tables of nobody.
class Bench {
 public:
  // A packet of each of `lanes` streams, set up with `beside` in all.
  void fresh(const MppeKernels& kernels, unsigned lanes, unsigned beside,
             FreshTimes& times) noexcept {
    const Rc4Kernels& rc4 = kernels.rc4;
    StackLow low = kCleanStack;
    for (unsigned round = rounds_of(lanes); round-- != 0;) {
      std::uint8_t j[kMaxRc4Lanes] = {};
      new_keys();
      time(times.change_keys, round, lanes,
           [&] { low = std::min(low, rc4.change_keys[beside - 1](tables_[0], keys_[0])); });
      time(times.set_keys, round, lanes,
           [&] { low = std::min(low, rc4.set_keys[beside - 1](tables_[0], keys_[0])); });
      time(times.many, round, lanes, [&] {
        low = std::min(low, rc4.generate[lanes - 1](tables_[0], j, out_[0], kMany, 0, true));
      });
      time(times.few, round, lanes, [&] {
        low = std::min(
            low, rc4.generate_few[lanes - 1](tables_[0], j, out_[0], kFew, 16 * kMany, false));
      });
    }
    kernels.clear_stack(low);
  }

  void running(const MppeKernels& kernels, unsigned lanes, RunningTimes& times) noexcept {
    StackLow low = kCleanStack;
    new_keys();
    low = std::min(low, kernels.rc4.set_keys[lanes - 1](tables_[0], keys_[0]));
    RunningIndices at{};
    const auto octets = [&](std::size_t count) noexcept {
      low = std::min(low, kernels.rc4.go_on[lanes - 1](tables_[0], &at, out_[0], count));
    };
    for (unsigned round = rounds_of(lanes); round-- != 0;) {
      time(times.many, round, lanes, [&] { octets(kLong); });
      time(times.few, round, lanes, [&] { octets(kShort); });
    }
    kernels.clear_stack(low);
  }

  void scalar(ScalarTimes& times) noexcept {
    new_keys();
    mppe::Rc4 rc4;
    rc4.set_key(keys_[0]);
    for (unsigned round = rounds_of(1); round-- != 0;) {
      time(times.running.many, round, 1, [&] { rc4.apply(std::span(out_[0]).first(kLong)); });
      time(times.running.few, round, 1, [&] { rc4.apply(std::span(out_[0]).first(kShort)); });
    }
    for (unsigned round = rounds_of(1); round-- != 0;)
      time(times.packet, round, 1, [&] {
        mppe::change_key(keys_[0], keys_[1], 128);
        rc4.set_key(keys_[1]);
        rc4.apply(std::span(out_[0]).first(16 * kMany));
      });
  }

  void new_key(const MppeKernels& kernels, Times& times) noexcept {
    const NewKey next{keys_[0], keys_[1], keys_[1]};
    for (unsigned round = rounds_of(1); round-- != 0;)
      time(times, round, 1, [&] { kernels.few_new_keys(&next, 1, 16); });
  }

 private:
  void new_keys() noexcept {
    for (auto& key : keys_)
      for (std::byte& octet : key) {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        octet = static_cast<std::byte>(state_ >> 56);
      }
  }

  alignas(256) std::uint8_t tables_[kMaxRc4Lanes][kRc4TableSize]{};
  alignas(64) std::byte keys_[kMaxRc4Lanes][16]{};
  alignas(64) std::byte out_[kMaxRc4Lanes][kStreamStride]{};
  std::uint64_t state_ = 1;
};

}  // namespace

MppeChoice forced_choice(MppeVariant variant, Rc4Form form) noexcept {
  MppeChoice choice;
  choice.variant = variant;
  choice.kernels = kernels_of(variant, form);
  if (form == Rc4Form::kBytes) return choice;
  const auto all = [](unsigned lanes) { return static_cast<std::uint8_t>((1U << lanes) - 1); };
  choice.set_keys_words = choice.change_keys_words = choice.generate_few_words =
      choice.generate_words = all(choice.kernels.lanes);
  choice.go_on_words = all(choice.kernels.running_lanes);
  return choice;
}

MppeChoice measured_choice(MppeVariant variant) noexcept {
  MppeChoice choice = forced_choice(variant, Rc4Form::kBytes);
  choice.measured = true;
  MppeKernels& kernels = choice.kernels;
  const MppeKernels bytes_kernels = kernels;
  const MppeKernels words_kernels = kernels_of(variant, Rc4Form::kWords);
  const unsigned lanes = kernels.lanes;
  const unsigned running = kernels.running_lanes;
  Bench bench;
  FormTimes bytes;
  FormTimes words;
  FreshTimes beside;  // one stream of octets, set up with another beside it
  ScalarTimes scalar;
  Times new_key;
  for (unsigned pass = 0; pass < kPasses; ++pass) {
    for (unsigned n = 0; n < lanes; ++n) {
      bench.fresh(bytes_kernels, n + 1, n + 1, bytes.fresh[n]);
      bench.fresh(words_kernels, n + 1, n + 1, words.fresh[n]);
    }
    bench.fresh(bytes_kernels, 1, 2, beside);
    for (unsigned n = 0; n < running; ++n) {
      bench.running(bytes_kernels, n + 1, bytes.running[n]);
      bench.running(words_kernels, n + 1, words.running[n]);
    }
    bench.scalar(scalar);
    bench.new_key(kernels, new_key);
  }

  std::array<double, kMaxRc4Lanes> step{};  // of the chosen ones
  for (unsigned n = 0; n < lanes; ++n) {
    const FreshTimes& of_bytes = bytes.fresh[n];
    const FreshTimes& of_words = words.fresh[n];
    const auto choose = [n](const Times& in_bytes, const Times& in_words, auto& to,
                            const auto& from, std::uint8_t& which) noexcept {
      if (kClearly * in_words.cycles() > in_bytes.cycles()) return in_bytes.cycles();
      to[n] = from[n];
      which = static_cast<std::uint8_t>(which | 1U << n);
      return in_words.cycles();
    };
    Rc4Kernels& to = kernels.rc4;
    const Rc4Kernels& from = words_kernels.rc4;
    const double cycles =
        choose(of_bytes.set_keys, of_words.set_keys, to.set_keys, from.set_keys,
               choice.set_keys_words) +
        choose(of_bytes.change_keys, of_words.change_keys, to.change_keys, from.change_keys,
               choice.change_keys_words) +
        choose(of_bytes.few, of_words.few, to.generate_few, from.generate_few,
               choice.generate_few_words) +
        choose(of_bytes.many, of_words.many, to.generate, from.generate, choice.generate_words);
    constexpr double kSteps = 256 + 256 + 16 + 16 * (kFew + kMany);
    const auto step_of = [n](const FreshTimes& times) noexcept {
      return static_cast<float>((times.set_up() + times.few.cycles() + times.many.cycles()) /
                                (kSteps * (n + 1)));
    };
    step[n] = cycles / (n + 1);
    choice.bytes_step[n] = step_of(of_bytes);
    choice.words_step[n] = step_of(of_words);
  }
  if (lanes == kMaxRc4Lanes && kFarFrom * step[3] < step[lanes - 1]) kernels.lanes = 4;

  // A lone set-up: octets, with another stream beside it or without, or words.
  double set_up = std::min(words.fresh[0].set_up(), bytes.fresh[0].set_up());
  kernels.fewest_lanes = kClearly * beside.set_up() < set_up ? 2 : 1;
  if (kernels.fewest_lanes == 2) set_up = beside.set_up();
  kernels.one_is_slow = scalar.packet.cycles() <
                        kStatelessDetour + new_key.cycles() + set_up +
                            std::min(bytes.fresh[0].many.cycles(), words.fresh[0].many.cycles());

  for (unsigned n = 0; n < running; ++n) {
    if (kClearly * words.running[n].many.cycles() > bytes.running[n].many.cycles()) continue;
    kernels.rc4.go_on[n] = words_kernels.rc4.go_on[n];
    choice.go_on_words = static_cast<std::uint8_t>(choice.go_on_words | 1U << n);
  }
  // Both go up by the octet, the kernel from a higher start.
  const RunningTimes& lone = ((choice.go_on_words & 1) != 0 ? words : bytes).running[0];
  const auto slope = [](const RunningTimes& times) noexcept {
    return (times.many.cycles() - times.few.cycles()) / static_cast<double>(kLong - kShort);
  };
  const double behind = kStatefulDetour + lone.few.cycles() - scalar.running.few.cycles();
  double few = variant == MppeVariant::kPortable ? double{kStreamStride} : kMaxScalar;
  if (const double gain = slope(scalar.running) - slope(lone); gain > 0)
    few = std::clamp(kShort + behind / gain, 0.0, few);
  kernels.few_octets = static_cast<std::size_t>(few);
  return choice;
}

}  // namespace pns::dataplane
