// SPDX-License-Identifier: BSD-3-Clause
//
// Announcer: addresses that sessions have got and that the core network may know elsewhere. Each is
// announced once, in order, at a bounded rate: after a start there may be as many as sessions. Main
// thread only; it sends nothing itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "dataplane/packet/policer.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::dataplane {

class Announcer {
 public:
  static constexpr std::uint32_t kRate = 1'000;  // a second
  static constexpr std::uint32_t kBurst = 64;
  static constexpr std::size_t kMost = std::size_t{1} << 20;  // that wait: as many as sessions
  static constexpr std::size_t kMostLooks = 1'024;            // of one call of take_due()

  // One more; the oldest goes when too many wait.
  void add(Ipv4Address address) {
    if (waiting_.size() == kMost) waiting_.pop_front();
    waiting_.push_back(address);
  }
  // Calls announce(address) for those that are wanted, as many as the rate permits.
  template <class IsWanted, class Announce>
  void take_due(std::uint64_t now_ns, IsWanted is_wanted, Announce announce) {
    for (std::size_t looks = 0; looks < kMostLooks && !waiting_.empty(); ++looks) {
      const Ipv4Address address = waiting_.front();
      if (is_wanted(address)) {
        if (!rate_.admit_one(now_ns)) return;
        announce(address);
      }
      waiting_.pop_front();
    }
  }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }

 private:
  std::deque<Ipv4Address> waiting_;
  EventBucket rate_{kRate, kBurst};
};

// Writes the frame that tells all hosts of a link that `mac` has the address. Result: octets; 0
// when they do not fit.
std::size_t write_announcement(MutableBytes out, Ipv4Address address,
                               const MacAddress& mac) noexcept;

}  // namespace pns::dataplane
