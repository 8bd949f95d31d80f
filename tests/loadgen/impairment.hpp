// SPDX-License-Identifier: BSD-3-Clause
//
// ImpairedLine: one direction of one session's GRE, made worse on purpose. Each packet may be lost,
// sent twice, or held back until later ones have overtaken it. The treatment of the n-th packet
// depends on the seed and n alone, so a run can be repeated. Owns the packets it holds; time is a
// parameter. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "pns/base/bytes.hpp"
#include "pns/base/time.hpp"

namespace pns::loadgen {

struct Impairments {
  double loss = 0;                        // probability of each packet, 0 to 1
  double duplicate = 0;                   // the same
  double reorder = 0;                     // the same
  Duration hold_most = Milliseconds(20);  // a packet is held no longer than this
  [[nodiscard]] bool any() const noexcept { return loss > 0 || duplicate > 0 || reorder > 0; }
};

struct ImpairmentCounts {
  std::uint64_t passed = 0;  // packets handed on, copies included
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;  // held and overtaken by at least one packet
  std::uint64_t cut = 0;        // lost because the line was down
  ImpairmentCounts& operator+=(const ImpairmentCounts& other) noexcept;
};

class ImpairedLine {
 public:
  // A held packet is overtaken by 1 to kOvertakers later ones.
  static constexpr unsigned kOvertakers = 3;

  ImpairedLine(const Impairments& impairments, std::uint64_t seed) noexcept
      : impairments_(impairments), state_(seed) {}

  // Takes one packet; hands on those whose turn it is with deliver(Bytes).
  template <class Deliver>
  void pass(Bytes packet, TimePoint now, Deliver&& deliver) {
    if (down_) {
      ++counts_.cut;
      return;
    }
    const Fate fate = next_fate();
    if (fate.hold != 0) {
      held_.push_back({{packet.begin(), packet.end()}, now + impairments_.hold_most, fate.hold});
      return;
    }
    if (!fate.lost) {
      hand_on(packet, deliver);
      if (fate.twice) hand_on(packet, deliver);
      overtake();
    }
    release(now, deliver);
  }

  // Hands on what has been held long enough.
  template <class Deliver>
  void release(TimePoint now, Deliver&& deliver) {
    for (std::size_t i = 0; i < held_.size();) {
      if (held_[i].overtakers_left != 0 && now < held_[i].until) {
        ++i;
        continue;
      }
      const Held out = std::move(held_[i]);
      held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
      counts_.reordered += out.overtaken ? 1 : 0;
      hand_on(out.packet, deliver);
    }
  }

  // While the line is down every packet is lost, also those that are held.
  void set_down(bool down) noexcept {
    down_ = down;
    if (!down) return;
    counts_.cut += held_.size();
    held_.clear();
  }
  // Whether pass() may do anything but hand on what it is given.
  [[nodiscard]] bool acts() const noexcept { return down_ || impairments_.any(); }

  // When release() has something to do; empty while nothing is held.
  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept;
  [[nodiscard]] const ImpairmentCounts& counts() const noexcept { return counts_; }

 private:
  struct Fate {
    bool lost = false;
    bool twice = false;
    unsigned hold = 0;  // packets that overtake it
  };
  struct Held {
    std::vector<std::byte> packet;
    TimePoint until;
    unsigned overtakers_left;
    bool overtaken = false;
  };

  [[nodiscard]] Fate next_fate() noexcept;
  void overtake() noexcept;
  template <class Deliver>
  void hand_on(Bytes packet, Deliver&& deliver) {
    ++counts_.passed;
    deliver(packet);
  }

  Impairments impairments_;
  std::uint64_t state_;  // of splitmix64
  std::vector<Held> held_;
  bool down_ = false;
  ImpairmentCounts counts_;
};

}  // namespace pns::loadgen
