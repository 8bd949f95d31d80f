// SPDX-License-Identifier: BSD-3-Clause
//
// Recovery: what became of the packets that one session sent after one disturbance of its line. A
// value; time is a parameter. One thread. Memory: 8 octets for each packet.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "pns/base/time.hpp"

namespace pns::loadgen {

class Recovery {
 public:
  // A session is back when of so many packets in a row this part is answered.
  static constexpr std::size_t kWindow = 10;
  static constexpr std::size_t kAnswered = 9;

  // `disturbance`: which one of the run. `first`: number of the first packet that counts; those
  // before it were in flight. `over`: when the disturbance was over; empty: when the first packet
  // after it is sent.
  Recovery(std::size_t disturbance, std::uint64_t first, std::optional<TimePoint> over) noexcept
      : disturbance_(disturbance), first_(first), over_(over) {}

  // The next packet is sent.
  void on_sent(TimePoint now) {
    if (!over_) over_ = now;
    answers_.push_back(kNone);
  }
  // The packet with this number is answered for the first time. Numbers of others are ignored.
  void on_answered(std::uint64_t number, TimePoint now) noexcept;

  [[nodiscard]] std::size_t disturbance() const noexcept { return disturbance_; }
  [[nodiscard]] std::uint64_t sent() const noexcept { return answers_.size(); }
  [[nodiscard]] std::uint64_t lost() const noexcept;
  // From the end of the disturbance to the earliest answer.
  [[nodiscard]] std::optional<Duration> first_answer() const noexcept;
  // From the end of the disturbance to the answer of the first packet from which on kAnswered of
  // kWindow in a row are answered. The last packets form a smaller window, with the same part.
  [[nodiscard]] std::optional<Duration> back() const noexcept;

 private:
  static constexpr Duration kNone = Duration::min();

  std::size_t disturbance_;
  std::uint64_t first_;
  std::optional<TimePoint> over_;
  std::vector<Duration> answers_;  // after over_, by number from first_ on
};

}  // namespace pns::loadgen
