// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/call_table.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace pns::pptp {
namespace {

bool is_cleared_before_reply(const Call& call) noexcept {
  return call.state == CallState::kWaitDisconnect && !call.peer_call_id;
}

}  // namespace

// With numbers: an id, or a deadline, may be that of several calls.
struct CallTable::Index {
  std::map<std::uint32_t, std::size_t> by_number;  // place in calls_
  std::set<std::pair<OurCallId, std::uint32_t>> by_our_call_id;
  std::set<std::pair<PeerCallId, std::uint32_t>> by_peer_call_id;
  std::set<std::pair<TimePoint, std::uint32_t>> by_answer;
  std::set<std::uint32_t> cleared_before_reply;
};

CallTable::CallTable() = default;
CallTable::CallTable(CallTable&&) noexcept = default;
CallTable& CallTable::operator=(CallTable&&) noexcept = default;
CallTable::~CallTable() = default;

// ---- Calls come and go

// A stored number may be the last one that there is.
std::uint32_t CallTable::take_number() {
  while (next_number_ == 0 || std::as_const(*this).find(next_number_) != nullptr) ++next_number_;
  return next_number_++;
}

void CallTable::skip_numbers(std::uint32_t up_to) noexcept {
  next_number_ = std::max(next_number_, up_to + 1);
}

Call& CallTable::add(Call call) {
  if (!model::we_are_pns(call.kind)) {
    ++calls_as_pac_;
    numbers_as_pac_ ^= call.number;
  }
  calls_.push_back(std::move(call));
  if (index_) {
    put_into_index(calls_.back(), calls_.size() - 1);
  } else if (calls_.size() > kFewCalls) {
    index_ = std::make_unique<Index>();
    for (std::size_t at = 0; at < calls_.size(); ++at) put_into_index(calls_[at], at);
  }
  return calls_.back();
}

void CallTable::put_into_index(const Call& call, std::size_t at) {
  index_->by_number.emplace(call.number, at);
  if (call.our_call_id) index_->by_our_call_id.emplace(*call.our_call_id, call.number);
  if (call.peer_call_id) index_->by_peer_call_id.emplace(*call.peer_call_id, call.number);
  if (call.answer_by) index_->by_answer.emplace(*call.answer_by, call.number);
  index_unanswered_clear(call);
}

void CallTable::remove(std::uint32_t number) {
  Call* const call = place_of(number);
  if (call == nullptr) return;
  note_change(*call);
  set_answer_by(*call, std::nullopt);
  if (index_) {
    if (call->our_call_id) index_->by_our_call_id.erase({*call->our_call_id, number});
    if (call->peer_call_id) index_->by_peer_call_id.erase({*call->peer_call_id, number});
    index_->cleared_before_reply.erase(number);
    index_->by_number.erase(number);
  }
  if (!model::we_are_pns(call->kind)) {
    --calls_as_pac_;
    numbers_as_pac_ ^= number;
    if (call->peer_call_id) remember_gone(*call->peer_call_id);
  }
  if (call != &calls_.back()) {
    *call = std::move(calls_.back());
    if (index_) index_->by_number[call->number] = static_cast<std::size_t>(call - calls_.data());
  }
  calls_.pop_back();
  if (calls_.empty()) {
    index_.reset();
    calls_.shrink_to_fit();
  }
}

// ---- Changes

void CallTable::set_state(Call& call, CallState state) {
  call.state = state;
  index_unanswered_clear(call);
  note_change(call);
}

void CallTable::set_our_call_id(Call& call, OurCallId id) {
  if (index_) {
    if (call.our_call_id) index_->by_our_call_id.erase({*call.our_call_id, call.number});
    index_->by_our_call_id.emplace(id, call.number);
  }
  call.our_call_id = id;
  note_change(call);
}

void CallTable::set_peer_call_id(Call& call, PeerCallId id) {
  if (call.peer_call_id == id) return;
  if (index_) {
    if (call.peer_call_id) index_->by_peer_call_id.erase({*call.peer_call_id, call.number});
    index_->by_peer_call_id.emplace(id, call.number);
  }
  call.peer_call_id = id;
  index_unanswered_clear(call);
  note_change(call);
}

void CallTable::set_answer_by(Call& call, std::optional<TimePoint> at) {
  if (index_) {
    if (call.answer_by) index_->by_answer.erase({*call.answer_by, call.number});
    if (at) index_->by_answer.emplace(*at, call.number);
  }
  call.answer_by = at;
}

void CallTable::index_unanswered_clear(const Call& call) {
  if (!index_) return;
  if (is_cleared_before_reply(call))
    index_->cleared_before_reply.insert(call.number);
  else
    index_->cleared_before_reply.erase(call.number);
}

// ---- Look-ups

const Call* CallTable::find(std::uint32_t number) const noexcept {
  if (index_) {
    const auto found = index_->by_number.find(number);
    return found == index_->by_number.end() ? nullptr : &calls_[found->second];
  }
  const auto found = std::ranges::find(calls_, number, &Call::number);
  return found == calls_.end() ? nullptr : &*found;
}

Call* CallTable::place_of(std::uint32_t number) noexcept {
  return const_cast<Call*>(std::as_const(*this).find(number));
}

Call* CallTable::find(std::uint32_t number) noexcept {
  ++visited_;
  return place_of(number);
}

Call* CallTable::next_ours(OurCallId id, std::uint32_t after) noexcept {
  const auto at = index_->by_our_call_id.upper_bound({id, after});
  return at == index_->by_our_call_id.end() || at->first != id ? nullptr : place_of(at->second);
}

Call* CallTable::next_theirs(PeerCallId id, std::uint32_t after) noexcept {
  const auto at = index_->by_peer_call_id.upper_bound({id, after});
  return at == index_->by_peer_call_id.end() || at->first != id ? nullptr : place_of(at->second);
}

Call* CallTable::find_either(std::uint16_t id, bool theirs_first) {
  Call* const first = theirs_first ? find_theirs(PeerCallId(id)) : find_ours(OurCallId(id));
  if (first != nullptr) return first;
  return theirs_first ? find_ours(OurCallId(id)) : find_theirs(PeerCallId(id));
}

Call* CallTable::find_only_as_pac() noexcept {
  return calls_as_pac_ == 1 ? find(numbers_as_pac_) : nullptr;
}

Call* CallTable::find_cleared_before_reply() noexcept {
  if (!index_) {
    Call* const call = next_of_few(is_cleared_before_reply, 0);
    if (call != nullptr) ++visited_;
    return call;
  }
  const auto& cleared = index_->cleared_before_reply;
  return cleared.empty() ? nullptr : find(*cleared.begin());
}

std::vector<std::uint32_t> CallTable::numbers() const {
  std::vector<std::uint32_t> out;
  out.reserve(calls_.size());
  if (index_) {
    for (const auto& [number, at] : index_->by_number) out.push_back(number);
  } else {
    for (const Call& call : calls_) out.push_back(call.number);
    std::ranges::sort(out);
  }
  return out;
}

// ---- Time

std::optional<TimePoint> CallTable::deadline() const noexcept {
  std::optional<TimePoint> earliest;
  if (index_) {
    if (!index_->by_answer.empty()) earliest = index_->by_answer.begin()->first;
    return earliest;
  }
  for (const Call& call : calls_)
    if (call.answer_by && (!earliest || *call.answer_by < *earliest)) earliest = call.answer_by;
  return earliest;
}

std::vector<std::uint32_t> CallTable::late(TimePoint now) const {
  std::vector<std::pair<TimePoint, std::uint32_t>> found;
  if (index_) {
    const auto end = index_->by_answer.upper_bound({now, ~std::uint32_t{0}});
    found.assign(index_->by_answer.begin(), end);
  } else {
    for (const Call& call : calls_)
      if (call.answer_by && *call.answer_by <= now)
        found.emplace_back(*call.answer_by, call.number);
    std::ranges::sort(found);
  }
  std::vector<std::uint32_t> out;
  out.reserve(found.size());
  for (const auto& [at, number] : found) out.push_back(number);
  return out;
}

// ---- For the store

void CallTable::note_change(Call& call) {
  if (call.changed) return;
  call.changed = true;
  changed_.push_back({call.number, call.reported});
}

std::vector<CallTable::Change> CallTable::take_changes() {
  std::vector<Change> out = std::exchange(changed_, {});
  for (const Change& change : out)
    if (Call* const call = find(change.number)) {
      call->changed = false;
      call->reported = true;
    }
  return out;
}

// ---- Call IDs that are gone

bool CallTable::is_gone(PeerCallId id) const noexcept {
  return std::ranges::find(gone_, id) != gone_.end();
}

void CallTable::forget_gone(PeerCallId id) { std::erase(gone_, id); }

void CallTable::remember_gone(PeerCallId id) {
  forget_gone(id);
  if (gone_.size() == kRememberedIds) gone_.erase(gone_.begin());
  gone_.push_back(id);
}

}  // namespace pns::pptp
