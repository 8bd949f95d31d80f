// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/session_id.hpp"

#include <algorithm>
#include <utility>

namespace pns::subscriber {
namespace {

constexpr std::uint64_t kEpochMs = 1'735'689'600'000;  // 2025-01-01 00:00 UTC
constexpr unsigned kSequenceBits = 7;
constexpr unsigned kNodeBits = 16;
constexpr unsigned kTimeShift = kSequenceBits + kNodeBits;
constexpr unsigned kMaxSequence = (1U << kSequenceBits) - 1;
constexpr std::uint64_t kMaxAheadMs = std::uint64_t{10} * 365 * 86'400 * 1000;  // ten years

}  // namespace

SessionIdSource::SessionIdSource(std::uint16_t node, std::function<std::uint64_t()> wall_ms)
    : node_(node), wall_ms_(std::move(wall_ms)) {}

SessionId SessionIdSource::next() {
  const std::uint64_t wall = wall_ms_();
  const std::uint64_t now_ms = wall > kEpochMs ? wall - kEpochMs : 0;
  if (now_ms > last_ms_) {
    last_ms_ = now_ms;
    sequence_ = 0;
  } else if (++sequence_ > kMaxSequence) {
    ++last_ms_;
    sequence_ = 0;
  }
  return SessionId(last_ms_ << kTimeShift | std::uint64_t{node_} << kSequenceBits | sequence_);
}

void SessionIdSource::not_below(SessionId id) {
  // An id of years ahead is damaged: the ids that follow it would have no room.
  const std::uint64_t ms = id.value >> kTimeShift;
  if (ms >= last_ms_ && ms < wall_ms_() - std::min(wall_ms_(), kEpochMs) + kMaxAheadMs) {
    last_ms_ = ms;
    sequence_ = kMaxSequence;
  }
}

std::uint16_t node_number(std::string_view machine_id) noexcept {
  // FNV-1a, folded to 16 bits.
  std::uint32_t hash = 2'166'136'261U;
  for (const char c : machine_id) {
    if (c == '\n') continue;
    hash = (hash ^ static_cast<unsigned char>(c)) * 16'777'619U;
  }
  return static_cast<std::uint16_t>(hash >> 16 ^ hash);
}

}  // namespace pns::subscriber
