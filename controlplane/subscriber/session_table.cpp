// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/session_table.hpp"

#include <algorithm>
#include <type_traits>

#include "controlplane/subscriber/session_id.hpp"

namespace pns::subscriber {
namespace {

// Looking at so many empty slots costs about as much as one session.
constexpr std::size_t kSlotsPerSession = 32;

// Calls `visit` for the entries from `next` on, while `budget` lasts.
template <class Index, class Key>
void visit_entries(const Index& index, std::optional<Key>& next, std::size_t& budget, auto visit) {
  if (!next) return;
  auto at = index.lower_bound(*next);
  for (; at != index.end() && budget > 0; ++at, --budget) visit(*at);
  if (at == index.end()) return next.reset();
  if constexpr (std::is_same_v<Key, typename Index::value_type>)
    next = *at;
  else
    next = at->first;  // of a map
}

}  // namespace

SessionTable::SessionTable(const contract::SessionMemory& memory)
    : sessions_(memory.header().max_sessions) {
  free_.reserve(sessions_.size());
  for (std::size_t slot = sessions_.size(); slot-- > 0;) {
    const bool free =
        memory.sessions()[slot].state.load(std::memory_order_acquire) == contract::SlotState::kFree;
    (free ? free_ : orphans_).emplace_back(static_cast<std::uint32_t>(slot));
  }
}

SessionTable::~SessionTable() = default;

std::optional<SlotId> SessionTable::take_free_slot() {
  if (free_.empty()) return std::nullopt;
  const SlotId slot = free_.back();
  free_.pop_back();
  return slot;
}

Session& SessionTable::add(std::shared_ptr<Session> session) {
  Session& added = *session;
  sessions_[added.call().slot.value] = std::move(session);
  by_id_[added.id()] = &added;
  by_peer_.emplace(added.call().peer, added.id());
  if (!added.account().user().empty()) by_user_.emplace(added.account().user(), added.id());
  if (added.account().lease()) by_address_.emplace(added.account().lease()->address, added.id());
  if (added.state() == Session::State::kUp) by_destination_[destination_of(added)] = added.id();
  return added;
}

void SessionTable::erase(Session& session) {
  const SlotId slot = session.call().slot;
  by_id_.erase(session.id());
  by_peer_.erase({session.call().peer, session.id()});
  by_user_.erase({session.account().user(), session.id()});
  if (session.account().lease())
    by_address_.erase({session.account().lease()->address, session.id()});
  if (const auto found = by_destination_.find(destination_of(session));
      found != by_destination_.end() && found->second == session.id())
    by_destination_.erase(found);
  sessions_[slot.value].reset();
  free_.push_back(slot);
}

void SessionTable::on_changed(const Session& session, const SessionChange& change) {
  switch (change.kind) {
    case SessionChange::Kind::kUser:
      by_user_.erase({std::string(change.user_before), session.id()});
      by_user_.emplace(session.account().user(), session.id());
      break;
    case SessionChange::Kind::kAddress:
      by_address_.erase({change.address_before, session.id()});
      if (session.account().lease())
        by_address_.emplace(session.account().lease()->address, session.id());
      break;
    case SessionChange::Kind::kDestination:
      by_destination_[destination_of(session)] = session.id();
      break;
    default:
      break;
  }
}

Session* SessionTable::find(SlotId slot) const noexcept {
  return slot.value < sessions_.size() ? sessions_[slot.value].get() : nullptr;
}

Session* SessionTable::find(SessionId id) const noexcept {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

Session* SessionTable::find(Ipv4Address local, Ipv4Address peer, PeerCallId peer_call_id) const {
  const auto found = by_destination_.find({local, peer, peer_call_id});
  return found == by_destination_.end() ? nullptr : find(found->second);
}

template <class Key>
std::vector<Session*> SessionTable::matching(const Index<Key>& index, const Key& key,
                                             SessionId from, std::size_t most) const {
  std::vector<Session*> out;
  for (auto at = index.lower_bound({key, from});
       at != index.end() && at->first == key && out.size() < most; ++at)
    if (Session* session = find(at->second)) out.push_back(session);
  return out;
}

std::vector<Session*> SessionTable::of_user(std::string_view user, SessionId from,
                                            std::size_t most) const {
  return matching(by_user_, std::string(user), from, most);
}

std::vector<Session*> SessionTable::of_address(Ipv4Address address, SessionId from,
                                               std::size_t most) const {
  return matching(by_address_, address, from, most);
}

std::vector<Session*> SessionTable::of_peer(Ipv4Address peer, SessionId from,
                                            std::size_t most) const {
  return matching(by_peer_, peer, from, most);
}

std::vector<Session*> SessionTable::of_local(Ipv4Address local, std::size_t most) const {
  std::vector<Session*> out;
  for (auto at = by_destination_.lower_bound({local, Ipv4Address(), PeerCallId()});
       at != by_destination_.end() && std::get<0>(at->first) == local && out.size() < most; ++at)
    if (Session* session = find(at->second)) out.push_back(session);
  return out;
}

void SessionTable::for_each(const std::function<void(Session&)>& visit) {
  for (std::size_t slot = 0; slot < sessions_.size(); ++slot)
    if (const auto keep = sessions_[slot]) visit(*keep);
}

void SessionTable::for_each(const std::function<void(const Session&)>& visit) const {
  for (const auto& session : sessions_)
    if (session) visit(*session);
}

std::uint32_t SessionTable::visit_some(std::uint32_t from, std::size_t most,
                                       const std::function<void(const Session&)>& visit) const {
  const std::size_t end = std::min(sessions_.size(), from + most * kSlotsPerSession);
  std::size_t slot = from;
  for (std::size_t visited = 0; slot < end && visited < most; ++slot)
    if (const auto& session = sessions_[slot]) {
      visit(*session);
      ++visited;
    }
  return static_cast<std::uint32_t>(slot);
}

std::vector<std::string> SessionTable::missing_entries(const Session& session) const {
  std::vector<std::string> out;
  const auto check = [&](std::string_view index, bool is_there) {
    if (!is_there) out.push_back(std::string(index) + " " + to_text(session.id()));
  };
  check("id", find(session.id()) == &session);
  check("peer", by_peer_.contains({session.call().peer, session.id()}));
  check("user", session.account().user().empty() ||
                    by_user_.contains({session.account().user(), session.id()}));
  check("address", !session.account().lease() ||
                       by_address_.contains({session.account().lease()->address, session.id()}));
  return out;
}

bool SessionTable::find_stale(IndexPlace& place, std::size_t most,
                              std::vector<std::string>& stale) const {
  const auto check = [&](std::string_view index, SessionId id, auto is_right) {
    const Session* session = find(id);
    if (session == nullptr || !is_right(*session))
      stale.push_back(std::string(index) + " " + to_text(id));
  };
  visit_entries(by_user_, place.user_, most, [&](const auto& entry) {
    check("user", entry.second,
          [&](const Session& s) { return s.account().user() == entry.first; });
  });
  visit_entries(by_address_, place.address_, most, [&](const auto& entry) {
    check("address", entry.second, [&](const Session& s) {
      return s.account().lease() && s.account().lease()->address == entry.first;
    });
  });
  visit_entries(by_peer_, place.peer_, most, [&](const auto& entry) {
    check("peer", entry.second, [&](const Session& s) { return s.call().peer == entry.first; });
  });
  visit_entries(by_destination_, place.destination_, most, [&](const auto& entry) {
    check("destination", entry.second,
          [&](const Session& s) { return destination_of(s) == entry.first; });
  });
  return place.user_ || place.address_ || place.peer_ || place.destination_;
}

}  // namespace pns::subscriber
