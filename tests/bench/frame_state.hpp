// SPDX-License-Identifier: BSD-3-Clause
//
// Where the octets of received frames lie when a worker polls them. A NIC that writes into the
// last-level cache (DDIO) leaves them there, any other in memory; none leaves them in a cache of
// the core. Without care a bench finds its frames where it has just written them.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace pns::bench {

enum class FrameState : std::uint8_t {
  kMemory,   // in no cache
  kLlc,      // in the last-level cache, as far as it is large enough, and in no cache of the core
  kWritten,  // wherever the thread that wrote them has left them
};
inline constexpr std::array kFrameStates{FrameState::kMemory, FrameState::kLlc,
                                         FrameState::kWritten};

// "memory", "llc", "written": for options and names of cases.
[[nodiscard]] std::string_view name_of(FrameState state) noexcept;
// "memory", "the last-level cache", "the caches of who wrote them".
[[nodiscard]] std::string_view words_of(FrameState state) noexcept;
// Throws std::invalid_argument.
[[nodiscard]] FrameState frame_state_of(std::string_view name);

// Brings frames into a state. One thread: the one that wrote them.
class Cooler {
 public:
  Cooler();
  // kMemory, kLlc: the mbufs, their contexts and whatever else was in the core's own caches are in
  // the last-level cache then, as are those of a pool that is larger than the core's caches.
  void cool(std::span<rte_mbuf* const> packets, FrameState state);

 private:
  std::vector<std::uint64_t> sweep_;  // four times as large as the second-level cache
};

// The cost of a frame's first line, in TSC cycles: what the state means on this machine.
struct LineCost {
  double alone = 0;  // one load that nothing overlaps; median
  double of_32 = 0;  // for each of 32 loads at once; median
};
// Reads the frames. At least 64 packets.
[[nodiscard]] LineCost cost_of_line(std::span<rte_mbuf* const> packets);

}  // namespace pns::bench
