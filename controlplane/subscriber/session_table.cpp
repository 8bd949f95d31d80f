// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/session_table.hpp"

#include "controlplane/subscriber/session_id.hpp"

namespace pns::subscriber {

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
  if (!added.user().empty()) by_user_.emplace(added.user(), added.id());
  if (added.lease()) by_address_.emplace(added.lease()->address, added.id());
  if (added.state() == Session::State::kUp) by_destination_[destination_of(added)] = added.id();
  return added;
}

void SessionTable::erase(Session& session) {
  const SlotId slot = session.call().slot;
  by_id_.erase(session.id());
  by_peer_.erase({session.call().peer, session.id()});
  by_user_.erase({session.user(), session.id()});
  if (session.lease()) by_address_.erase({session.lease()->address, session.id()});
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
      by_user_.emplace(session.user(), session.id());
      break;
    case SessionChange::Kind::kAddress:
      by_address_.erase({change.address_before, session.id()});
      if (session.lease()) by_address_.emplace(session.lease()->address, session.id());
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
std::vector<Session*> SessionTable::matching(const Index<Key>& index, const Key& key) const {
  std::vector<Session*> out;
  for (auto at = index.lower_bound({key, SessionId()}); at != index.end() && at->first == key; ++at)
    if (Session* session = find(at->second)) out.push_back(session);
  return out;
}

std::vector<Session*> SessionTable::of_user(std::string_view user) const {
  return matching(by_user_, std::string(user));
}

std::vector<Session*> SessionTable::of_address(Ipv4Address address) const {
  return matching(by_address_, address);
}

std::vector<Session*> SessionTable::of_peer(Ipv4Address peer) const {
  return matching(by_peer_, peer);
}

void SessionTable::for_each(const std::function<void(Session&)>& visit) {
  for (std::size_t slot = 0; slot < sessions_.size(); ++slot)
    if (const auto keep = sessions_[slot]) visit(*keep);
}

void SessionTable::for_each(const std::function<void(const Session&)>& visit) const {
  for (const auto& session : sessions_)
    if (session) visit(*session);
}

std::vector<std::string> SessionTable::stale_entries() const {
  std::vector<std::string> out;
  const auto check = [&](std::string_view index, SessionId id, bool right) {
    if (!right) out.push_back(std::string(index) + " " + to_text(id));
  };
  for (const auto& [user, id] : by_user_) {
    const Session* session = find(id);
    check("user", id, session != nullptr && session->user() == user);
  }
  for (const auto& [address, id] : by_address_) {
    const Session* session = find(id);
    check("address", id,
          session != nullptr && session->lease() && session->lease()->address == address);
  }
  for (const auto& [peer, id] : by_peer_) {
    const Session* session = find(id);
    check("peer", id, session != nullptr && session->call().peer == peer);
  }
  for (const auto& [destination, id] : by_destination_) {
    const Session* session = find(id);
    check("destination", id, session != nullptr && destination_of(*session) == destination);
  }
  return out;
}

}  // namespace pns::subscriber
