// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusIdentifiers: which requests one server knows by which (socket, Identifier). RFC 2865 §3
// tells requests apart by source port and Identifier. A server that gets a pair again while it
// still works on the old request, or still keeps the old answer, discards the new request or
// answers it with the old answer. So a pair rests after its use, and the one that has rested
// longest is taken next.
//
// Sockets are used in turn. 64 sockets make 16,384 pairs. Memory: 16 octets for each, and some more
// for those that rest. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "pns/base/time.hpp"
#include "pns/radius/authenticators.hpp"

namespace pns::aaa {

struct RadiusRequest;

struct RadiusPair {
  std::uint16_t socket = 0;  // index into the sockets of the server's address family
  std::uint8_t identifier = 0;
  friend bool operator==(const RadiusPair&, const RadiusPair&) noexcept = default;
};

class RadiusIdentifiers {
 public:
  // FreeRADIUS keeps answers for 5 s (cleanup_delay), and works on a request for 30 s at most
  // (max_request_time).
  static constexpr Duration kRestAnswered = Seconds(5);
  static constexpr Duration kRestAbandoned = Seconds(30);

  enum class Use : std::uint8_t { kNever, kInFlight, kAnswered, kAbandoned };

  // `first`: the Identifier to begin with.
  RadiusIdentifiers(std::uint16_t sockets, std::uint8_t first);

  // An answer that comes too late is verified with this.
  struct Abandoned {
    radius::SentRequest request;
    TimePoint sent;  // for the first time
  };

  [[nodiscard]] bool has_free(TimePoint now) const noexcept;
  // When a rest ends next, unless a pair is free already. Empty: none rests.
  [[nodiscard]] std::optional<TimePoint> next_free() const noexcept;
  // A pair for `owner`. Empty: none is free.
  [[nodiscard]] std::optional<RadiusPair> take(RadiusRequest& owner, TimePoint now);
  // A verified answer has come.
  void release(RadiusPair pair, TimePoint now);
  // The request was given up.
  void abandon(RadiusPair pair, const Abandoned& request, TimePoint now);

  // The last use of the pair.
  [[nodiscard]] Use use_of(RadiusPair pair) const noexcept;
  // Null: the pair is not in flight.
  [[nodiscard]] RadiusRequest* owner_of(RadiusPair pair) const noexcept;
  // Null: the pair was not abandoned, or its late answer has come.
  [[nodiscard]] const Abandoned* abandoned(RadiusPair pair) const noexcept;
  // A verified answer has come after all.
  void on_late_answer(RadiusPair pair) noexcept;
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }

 private:
  struct Slot {
    RadiusRequest* owner = nullptr;
    Use use = Use::kNever;
  };
  struct Resting {
    std::size_t slot;
    TimePoint until;
  };
  [[nodiscard]] std::size_t slot_of(RadiusPair pair) const noexcept;
  [[nodiscard]] RadiusPair pair_of(std::size_t slot) const noexcept;

  std::uint16_t sockets_;
  std::uint8_t first_;
  std::vector<Slot> slots_;       // by slot_of()
  std::size_t never_used_ = 0;    // slots from here on
  std::deque<Resting> answered_;  // each in the order in which the rests end
  std::deque<Resting> abandoned_;
  std::unordered_map<std::size_t, Abandoned> requests_;  // of abandoned slots
  std::size_t in_flight_ = 0;
};

}  // namespace pns::aaa
