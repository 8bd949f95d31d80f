// SPDX-License-Identifier: BSD-3-Clause
//
// GreStream: the client's end of one call's GRE (RFC 2637 §4): numbers what it sends, puts what it
// receives in order as its profile does, and acknowledges or not. Octets in, octets out; time is a
// parameter. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "pns/base/bytes.hpp"
#include "pns/base/time.hpp"
#include "tests/loadgen/profiles.hpp"

namespace pns::loadgen {

struct GreCounts {
  std::uint64_t sent = 0;       // packets with payload
  std::uint64_t received = 0;   // the same
  std::uint64_t acks_sent = 0;  // packets of their own
  std::uint64_t acks_received = 0;
  std::uint64_t stale = 0;    // received late or twice, and dropped
  std::uint64_t missing = 0;  // numbers given up
  GreCounts& operator+=(const GreCounts& other) noexcept;
};

class GreStream {
 public:
  static constexpr std::size_t kMaximumFrame = 2000;  // octets of a PPP frame
  static constexpr std::size_t kMaximumPacket = kMaximumFrame + 16;
  static constexpr std::size_t kMaximumWaiting = 64;  // packets that came early

  explicit GreStream(const Profile& profile) noexcept
      : profile_(profile), next_sequence_(profile.first_sequence) {}

  // The Call ID that the server gave to this call.
  void set_peer_call_id(std::uint16_t id) noexcept { peer_call_id_ = id; }

  // A packet around one PPP frame. Octets written to `out`; 0 when they do not fit.
  [[nodiscard]] std::size_t wrap(MutableBytes out, Bytes frame) noexcept;

  // The next `count` numbers are never used, as if their packets had been lost.
  void skip(std::uint32_t count) noexcept { next_sequence_ += count; }

  // One packet of this call, from its GRE header on; deliver(MutableBytes frame) for each frame
  // whose turn it is.
  template <class Deliver>
  void receive(Bytes packet, TimePoint now, Deliver&& deliver) {
    take(packet, now);
    drain(deliver);
  }

  // Delivers the frames that have waited long enough by now.
  template <class Deliver>
  void release(TimePoint now, Deliver&& deliver) {
    if (waiting_.empty() || waiting_.begin()->second.until > now) return;
    skip_to(waiting_.begin()->first);
    drain(deliver);
  }
  // An acknowledgment of its own that is due by now. Octets written; 0 when none is.
  [[nodiscard]] std::size_t take_ack(MutableBytes out, TimePoint now) noexcept;

  [[nodiscard]] const GreCounts& counts() const noexcept { return counts_; }

 private:
  struct Early {
    std::vector<std::byte> frame;
    TimePoint until;
  };
  struct Before {  // serial arithmetic, RFC 1982
    bool operator()(std::uint32_t a, std::uint32_t b) const noexcept {
      return static_cast<std::int32_t>(a - b) < 0;
    }
  };

  void take(Bytes packet, TimePoint now);
  void skip_to(std::uint32_t sequence) noexcept;
  template <class Deliver>
  void drain(Deliver&& deliver) {
    while (!waiting_.empty() && waiting_.begin()->first == expected_) {
      auto frame = std::move(waiting_.begin()->second.frame);
      waiting_.erase(waiting_.begin());
      ++*expected_;
      ++counts_.received;
      deliver(MutableBytes(frame));
    }
  }

  const Profile& profile_;
  std::uint16_t peer_call_id_ = 0;
  std::uint32_t next_sequence_;
  std::optional<std::uint32_t> expected_;  // none before the first packet
  std::map<std::uint32_t, Early, Before> waiting_;
  std::optional<TimePoint> ack_due_;  // something is not acknowledged yet
  GreCounts counts_;
};

}  // namespace pns::loadgen
