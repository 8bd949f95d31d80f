// SPDX-License-Identifier: BSD-3-Clause
//
// Packets of MPPE sessions behind a gap: how many packets are missing before one, and the stepping
// of key chains over long gaps. Decision 0012.
//
// The count of an MPPE packet has 12 bits and cannot tell 5 lost packets from 4,101. The GRE
// sequence number can: as many payload packets are missing as numbers are. Control frames have a
// number and no count, so the packets missing are a few less than the numbers at times.
#pragma once

#include <cstdint>

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"
#include "pns/mppe/mppe.hpp"

namespace pns::dataplane {

// Numbers missing beyond this are taken for a forgery: the number explains nothing then.
inline constexpr std::uint32_t kMaxGap = 1U << 20;

// Packets that are missing before one. The possible values are nearest, nearest + 4,096, …
// farthest.
struct MissingPackets {
  bool late = false;        // the packet lies behind one that has opened
  bool explained = false;   // about as many GRE numbers are missing, or more
  bool far_number = false;  // so many numbers are missing that only a certain text proves them
  std::uint32_t nearest = 0;
  std::uint32_t farthest = 0;
  [[nodiscard]] bool ambiguous() const noexcept { return nearest != farthest; }
};

// Counts that a packet may be ahead of what the missing numbers tell: packets that their sender
// lost between MPPE and GRE, and a stateful sender that goes on at its next flag packet.
inline constexpr std::uint32_t kUnnumbered = 256;

// `packet` has its MPPE header. `sequence`: its GRE sequence number.
[[nodiscard]] inline MissingPackets missing_before(const mppe::DirectionState& state,
                                                   std::uint32_t sequence, Bytes packet) noexcept {
  MissingPackets missing;
  const std::uint32_t numbers = sequence - state.gre_sequence - 1;  // missing
  missing.late = numbers >= 1U << 31;
  const unsigned counts = mppe::counts_ahead(state, packet);
  missing.nearest = missing.farthest = counts;
  missing.far_number = numbers > kUnnumbered;
  if (numbers <= kMaxGap && counts <= numbers + kUnnumbered) {
    missing.explained = true;
    missing.farthest += (numbers + kUnnumbered - counts) & ~std::uint32_t{mppe::kCoherencyMask};
  } else if (counts >= mppe::kHalfCountSpace) {
    missing.late = true;
  }
  return missing;
}

// Holds a packet that lies beyond a gap (lane kMppe, data at the MPPE header). `explained`: as in
// MissingPackets. False: no room.
[[nodiscard]] bool hold_behind_gap(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                                   bool explained) noexcept;

// Whether an earlier packet of the session waits, so that this one would make it late.
[[nodiscard]] bool must_wait(const StageContext& stage, const PacketContext& context) noexcept;

// One slice of work on the sessions that wait, of at most kGapSliceNs. Appends to an empty burst
// the packets that opened, those behind them that are in order now (lane kMppe), and those given
// up. Result: key steps made.
std::uint32_t follow_gaps(Burst& burst, StageContext& stage) noexcept;

// Key steps that a slice, and the packets of one poll together, may cost.
inline constexpr std::uint64_t kGapSliceNs = 40'000;
inline constexpr std::uint64_t kInlineStepsNs = 40'000;
[[nodiscard]] constexpr std::uint32_t key_steps_in(std::uint64_t ns,
                                                   std::uint32_t step_ns) noexcept {
  return static_cast<std::uint32_t>(ns / (step_ns == 0 ? 1 : step_ns));
}

}  // namespace pns::dataplane
