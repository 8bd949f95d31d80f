// SPDX-License-Identifier: BSD-3-Clause
//
// Traffic through a tunnel: numbered ICMP Echo-Requests or UDP datagrams to a host that sends them
// back, and what became of each. Builds and reads IPv4 packets; no I/O; time is a parameter. One
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"

namespace pns::loadgen {

// Durations, a few percent exact and of fixed size however many there are.
class LatencyHistogram {
 public:
  void add(Duration latency) noexcept;
  LatencyHistogram& operator+=(const LatencyHistogram& other) noexcept;
  // The value that the part `p` (0 to 1) of all does not exceed; 0 when there are none.
  [[nodiscard]] Duration percentile(double p) const noexcept;
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

 private:
  // Each power of two of nanoseconds in 32 equal parts.
  static constexpr unsigned kPartBits = 5;
  static constexpr std::size_t kBuckets = std::size_t{64 - kPartBits} << kPartBits;
  [[nodiscard]] static std::size_t bucket_of(std::uint64_t ns) noexcept;
  [[nodiscard]] static std::uint64_t upper_end(std::size_t bucket) noexcept;
  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
};

struct TrafficCounts {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;    // answers, each number once
  std::uint64_t reordered = 0;   // of those: after an answer to a later one
  std::uint64_t duplicated = 0;  // answers to what was answered
  std::uint64_t damaged = 0;     // right number, wrong octets
  std::uint64_t foreign = 0;     // answers to what another session sent from this address
  TrafficCounts& operator+=(const TrafficCounts& other) noexcept;
  [[nodiscard]] std::uint64_t lost() const noexcept { return sent - received; }
};

// Numbered packets of one session to one host.
class Flow {
 public:
  enum class Kind : std::uint8_t { kNone, kPing, kUdp };
  struct Settings {
    Kind kind = Kind::kNone;
    Ipv4Address target;
    std::uint16_t port = 0;        // UDP: of the target
    std::uint16_t identifier = 0;  // Identifier (ICMP) or source port (UDP)
    std::size_t size = 128;        // octets of the IPv4 packet, kMinimumSize to kMaximumSize
  };
  static constexpr std::size_t kMinimumSize = 20 + 8 + 24;
  static constexpr std::size_t kMaximumSize = 1500;

  Flow(const Settings& settings, std::uint32_t session) noexcept
      : settings_(settings), session_(session) {}

  // The next packet. Octets written to `out`, which has room for settings.size.
  [[nodiscard]] std::size_t write(MutableBytes out, Ipv4Address from, TimePoint now);
  // Looks at one IPv4 packet. False: it is no answer to this flow. `latencies` may be null.
  bool on_packet(Bytes packet, Ipv4Address own, TimePoint now, LatencyHistogram* latencies);

  // Number of the packet that the last on_packet() was the first answer to, if it was one.
  [[nodiscard]] std::optional<std::uint64_t> newly_answered() const noexcept {
    return newly_answered_;
  }

  [[nodiscard]] const TrafficCounts& counts() const noexcept { return counts_; }

 private:
  Settings settings_;
  std::uint32_t session_;
  std::uint64_t highest_answered_ = 0;
  std::vector<bool> answered_;  // by number
  std::optional<std::uint64_t> newly_answered_;
  TrafficCounts counts_;
};

}  // namespace pns::loadgen
