// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/radius_identifiers.hpp"

#include <utility>

namespace pns::aaa {
namespace {

constexpr std::size_t kIdentifiers = 256;

}  // namespace

RadiusIdentifiers::RadiusIdentifiers(std::uint16_t sockets, std::uint8_t first)
    : sockets_(sockets), first_(first), slots_(sockets * kIdentifiers) {}

// Consecutive slots are of different sockets.
std::size_t RadiusIdentifiers::slot_of(RadiusPair pair) const noexcept {
  return std::size_t{static_cast<std::uint8_t>(pair.identifier - first_)} * sockets_ + pair.socket;
}

RadiusPair RadiusIdentifiers::pair_of(std::size_t slot) const noexcept {
  return {.socket = static_cast<std::uint16_t>(slot % sockets_),
          .identifier = static_cast<std::uint8_t>(slot / sockets_ + first_)};
}

std::optional<TimePoint> RadiusIdentifiers::next_free() const noexcept {
  if (never_used_ < slots_.size()) return std::nullopt;
  std::optional<TimePoint> next;
  for (const std::deque<Resting>* const queue : {&answered_, &abandoned_})
    if (!queue->empty() && (!next || queue->front().until < *next)) next = queue->front().until;
  return next;
}

bool RadiusIdentifiers::has_free(TimePoint now) const noexcept {
  if (never_used_ < slots_.size()) return true;
  const auto next = next_free();
  return next && *next <= now;
}

std::optional<RadiusPair> RadiusIdentifiers::take(RadiusRequest& owner, TimePoint now) {
  std::size_t slot = 0;
  if (never_used_ < slots_.size()) {
    slot = never_used_++;
  } else {
    // The rests differ in length, so the one that has ended first is at the head of one of the two.
    std::deque<Resting>* from = nullptr;
    for (std::deque<Resting>* const queue : {&answered_, &abandoned_})
      if (!queue->empty() && queue->front().until <= now &&
          (from == nullptr || queue->front().until < from->front().until))
        from = queue;
    if (from == nullptr) return std::nullopt;
    slot = from->front().slot;
    from->pop_front();
    requests_.erase(slot);
  }
  slots_[slot] = {.owner = &owner, .use = Use::kInFlight};
  ++in_flight_;
  return pair_of(slot);
}

void RadiusIdentifiers::release(RadiusPair pair, TimePoint now) {
  const std::size_t slot = slot_of(pair);
  slots_[slot] = {.owner = nullptr, .use = Use::kAnswered};
  --in_flight_;
  answered_.push_back({slot, now + kRestAnswered});
}

void RadiusIdentifiers::abandon(RadiusPair pair, const Abandoned& request, TimePoint now) {
  const std::size_t slot = slot_of(pair);
  slots_[slot] = {.owner = nullptr, .use = Use::kAbandoned};
  --in_flight_;
  requests_[slot] = request;
  abandoned_.push_back({slot, now + kRestAbandoned});
}

const RadiusIdentifiers::Abandoned* RadiusIdentifiers::abandoned(RadiusPair pair) const noexcept {
  const auto found = pair.socket < sockets_ ? requests_.find(slot_of(pair)) : requests_.end();
  return found == requests_.end() ? nullptr : &found->second;
}

void RadiusIdentifiers::on_late_answer(RadiusPair pair) noexcept { requests_.erase(slot_of(pair)); }

RadiusIdentifiers::Use RadiusIdentifiers::use_of(RadiusPair pair) const noexcept {
  return pair.socket < sockets_ ? slots_[slot_of(pair)].use : Use::kNever;
}

RadiusRequest* RadiusIdentifiers::owner_of(RadiusPair pair) const noexcept {
  return pair.socket < sockets_ ? slots_[slot_of(pair)].owner : nullptr;
}

}  // namespace pns::aaa
