// SPDX-License-Identifier: BSD-3-Clause
//
// The receive side of GRE sequence numbers (RFC 2637 §4.3): every payload packet at most once and
// in order. Works on the session's UpstreamState; owner only. A packet that comes after a later
// number was delivered is dropped. Whether a packet that comes early waits is the caller's choice
// (reorder.hpp).
//
// The first number is free, any forward gap is accepted. A jump of more than kTrustedJump may be a
// forgery that would lock the real peer out, so the packet is delivered but the window stays until
// something vouches for the jump: MPPE opened the packet (confirm), or, on sessions without MPPE,
// the next packet carries on from there. With MPPE no gap at all is believed without that.
#pragma once

#include <cstdint>
#include <expected>

#include "pns/base/drop_reason.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane::window {

// Numbers a packet may be ahead of the last one without further proof.
inline constexpr std::uint32_t kTrustedJump = 64;

// Serial arithmetic (RFC 1982): how far `a` is ahead of `b`; negative: behind.
[[nodiscard]] constexpr std::int32_t distance(std::uint32_t a, std::uint32_t b) noexcept {
  return static_cast<std::int32_t>(a - b);
}

enum class Verdict : std::uint8_t {
  kNext,   // deliver; the window has moved to it
  kAhead,  // 2 to kTrustedJump ahead: hold it, or deliver and advance() or, proven, confirm()
  kFar,    // deliver; the window has not moved
};

namespace detail {

inline void move(contract::UpstreamState& up, std::uint32_t sequence,
                 std::uint32_t highest) noexcept {
  const std::uint32_t missing = sequence - highest - 1;
  if (missing != 0) up.sequence_gaps.add(missing);
  up.highest_sequence.store(sequence, std::memory_order_relaxed);
}

}  // namespace detail

// Judges one payload packet. `mppe`: the session decrypts, so a jump is left to confirm().
// gre_duplicate · gre_late. Numbers skipped are added to the session's sequence_gaps; the worker's
// counter is the caller's: `gaps` is raised by the same.
[[nodiscard]] inline std::expected<Verdict, DropReason> accept(contract::UpstreamState& up,
                                                               std::uint32_t sequence, bool mppe,
                                                               std::uint64_t& gaps) noexcept {
  if (!up.sequence_started) {
    up.highest_sequence.store(sequence, std::memory_order_relaxed);
    up.sequence_started = true;
    up.mppe.gre_sequence = sequence - 1;
    return Verdict::kNext;
  }
  const std::uint32_t highest = up.highest_sequence.load(std::memory_order_relaxed);
  const std::int32_t ahead = distance(sequence, highest);
  if (ahead == 0) return std::unexpected(DropReason::gre_duplicate);
  if (ahead < 0) return std::unexpected(DropReason::gre_late);
  if (ahead == 1) {
    up.highest_sequence.store(sequence, std::memory_order_relaxed);
    up.far_pending = false;
    return Verdict::kNext;
  }
  if (static_cast<std::uint32_t>(ahead) <= kTrustedJump) return Verdict::kAhead;
  if (mppe) {
    if (up.far_pending && sequence == up.far_sequence)
      return std::unexpected(DropReason::gre_duplicate);
    up.far_pending = true;
    up.far_sequence = sequence;
    return Verdict::kFar;
  }
  const std::int32_t onward = up.far_pending ? distance(sequence, up.far_sequence) : -1;
  if (up.far_pending && onward == 0) return std::unexpected(DropReason::gre_duplicate);
  if (onward > 0 && static_cast<std::uint32_t>(onward) <= kTrustedJump) {
    gaps += static_cast<std::uint32_t>(ahead) - 1;
    detail::move(up, sequence, highest);
    up.far_pending = false;
    return Verdict::kNext;
  }
  up.far_pending = true;
  up.far_sequence = sequence;
  return Verdict::kFar;
}

// Moves the window to a packet judged kAhead: what is missing before it is missing for good.
inline void advance(contract::UpstreamState& up, std::uint32_t sequence,
                    std::uint64_t& gaps) noexcept {
  const std::uint32_t highest = up.highest_sequence.load(std::memory_order_relaxed);
  gaps += sequence - highest - 1;
  detail::move(up, sequence, highest);
  up.far_pending = false;
}

// Gives up every number up to and with `sequence`.
inline void skip(contract::UpstreamState& up, std::uint32_t sequence,
                 std::uint64_t& gaps) noexcept {
  const std::uint32_t missing = sequence - up.highest_sequence.load(std::memory_order_relaxed);
  gaps += missing;
  up.sequence_gaps.add(missing);
  up.highest_sequence.store(sequence, std::memory_order_relaxed);
}

// MPPE has opened a packet that the window did not move to: the jump was the peer's.
inline void confirm(contract::UpstreamState& up, std::uint32_t sequence,
                    std::uint64_t& gaps) noexcept {
  const std::uint32_t highest = up.highest_sequence.load(std::memory_order_relaxed);
  const std::int32_t ahead = distance(sequence, highest);
  if (ahead <= 0) return;
  gaps += static_cast<std::uint32_t>(ahead) - 1;
  detail::move(up, sequence, highest);
  up.far_pending = false;
}

}  // namespace pns::dataplane::window
