// SPDX-License-Identifier: BSD-3-Clause
//
// SessionTable: all sessions, by slot of session memory, and indexes over them: by id, user, inner
// address, outer address of the peer, and by the destination of our GRE packets. Each look-up costs
// O(log n) at most. It owns the sessions and the slots that are free. Event-loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/subscriber/session.hpp"
#include "controlplane/subscriber/session_events.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::subscriber {

class SessionTable final : public SessionListener {
 public:
  static constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

  // Slots that session memory shows as in use belong to an earlier process: they are orphans until
  // they are claimed by adopt() or freed by add_free().
  explicit SessionTable(const contract::SessionMemory& memory);
  ~SessionTable() override;

  // ---- Slots.
  [[nodiscard]] std::optional<SlotId> take_free_slot();
  void add_free(SlotId slot) { free_.push_back(slot); }
  [[nodiscard]] std::uint32_t capacity() const noexcept {
    return static_cast<std::uint32_t>(sessions_.size());
  }
  // The slots that an earlier process left, for its successor; once.
  [[nodiscard]] std::vector<SlotId> take_orphans() { return std::exchange(orphans_, {}); }

  // ---- Sessions.
  Session& add(std::shared_ptr<Session> session);
  // Forgets the session and frees its slot.
  void erase(Session& session);
  [[nodiscard]] Session* find(SlotId slot) const noexcept;
  [[nodiscard]] Session* find(SessionId id) const noexcept;
  // The session to which our GRE packets with this destination and Call ID belong.
  [[nodiscard]] Session* find(Ipv4Address local, Ipv4Address peer, PeerCallId peer_call_id) const;
  // Sessions of an authenticated account, of an inner IPv4 address, of an outer address, in the
  // order of their ids: the first `most` from this id on. Copies of the pointers, so that the
  // caller may end the sessions.
  [[nodiscard]] std::vector<Session*> of_user(std::string_view user, SessionId from = {},
                                              std::size_t most = kAll) const;
  [[nodiscard]] std::vector<Session*> of_address(Ipv4Address address, SessionId from = {},
                                                 std::size_t most = kAll) const;
  [[nodiscard]] std::vector<Session*> of_peer(Ipv4Address peer, SessionId from = {},
                                              std::size_t most = kAll) const;
  // The first `most` sessions with this address of ours, by their outer addresses.
  [[nodiscard]] std::vector<Session*> of_local(Ipv4Address local, std::size_t most) const;
  [[nodiscard]] std::size_t size() const noexcept { return by_id_.size(); }
  // Calls `visit` for each session in the order of slots. It may end sessions, not add any.
  void for_each(const std::function<void(Session&)>& visit);
  void for_each(const std::function<void(const Session&)>& visit) const;
  // The same for the first `most` sessions from this slot on. Result: the slot to go on from;
  // capacity() after the last one. Fewer are visited where many slots are empty, so that each call
  // is short.
  std::uint32_t visit_some(std::uint32_t from, std::size_t most,
                           const std::function<void(const Session&)>& visit) const;
  // For the audit. Addresses that sessions have leased.
  [[nodiscard]] std::size_t leased() const noexcept { return by_address_.size(); }
  // Indexes in which a session is missing, as text.
  [[nodiscard]] std::vector<std::string> missing_entries(const Session& session) const;
  // Where find_stale() goes on.
  class IndexPlace;
  // Looks at the next `most` entries of the indexes; adds those that name no session to `stale`, as
  // text. False: these were the last.
  bool find_stale(IndexPlace& place, std::size_t most, std::vector<std::string>& stale) const;

  void on_changed(const Session& session, const SessionChange& change) override;

 private:
  using Destination = std::tuple<Ipv4Address, Ipv4Address, PeerCallId>;
  template <class Key>
  using Index = std::set<std::pair<Key, SessionId>>;
  template <class Key>
  [[nodiscard]] std::vector<Session*> matching(const Index<Key>& index, const Key& key,
                                               SessionId from, std::size_t most) const;
  [[nodiscard]] static Destination destination_of(const Session& session) {
    return {session.call().local, session.call().peer, session.call().peer_call_id};
  }

  std::vector<std::shared_ptr<Session>> sessions_;  // by slot
  std::vector<SlotId> free_;
  std::vector<SlotId> orphans_;
  std::unordered_map<SessionId, Session*> by_id_;
  Index<std::string> by_user_;
  Index<Ipv4Address> by_address_;
  Index<Ipv4Address> by_peer_;
  std::map<Destination, SessionId> by_destination_;
};

class SessionTable::IndexPlace {
 private:
  friend class SessionTable;
  // The next entry of each index; empty after its last one.
  std::optional<std::pair<std::string, SessionId>> user_{std::in_place};
  std::optional<std::pair<Ipv4Address, SessionId>> address_{std::in_place};
  std::optional<std::pair<Ipv4Address, SessionId>> peer_{std::in_place};
  std::optional<Destination> destination_{std::in_place};
};

}  // namespace pns::subscriber
