// SPDX-License-Identifier: BSD-3-Clause
//
// Admission: which offered call is set up next when more are offered than can be set up at once (an
// area comes back after a power cut and dials as one). A set-up is in flight from its admission
// until its link is open or the call is over; as many as Settings::set_ups are, the other offers
// wait in the order of their arrival. No source (outer address of a peer) may have more than its
// share in flight or waiting: next() gives the oldest offer whose source has room.
//
// A peer that dawdles cannot keep others out: after set_up_time its set-up counts against its
// source alone. An offer that has waited for Settings::wait is given up, so that its client hears
// something before it has given up itself.
//
// A pure value, time is a parameter; every operation is O(log n) of what waits. Memory is bounded
// by Settings::waiting and by the set-ups in flight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "controlplane/model/connection_actions.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"

namespace pns::subscriber {

class Admission {
 public:
  struct Settings {
    std::size_t set_ups = 256;              // in flight at once
    std::size_t per_source_set_ups = 64;    // of these, of one source
    std::size_t waiting = 16384;            // offers
    std::size_t per_source_waiting = 2048;  // of these, of one source
    Duration wait = Seconds(20);            // for admission
    Duration set_up_time = Seconds(10);     // counted against set_ups
  };

  struct Waiting {
    ConnectionId connection;
    Ipv4Address source;
    model::OfferCall offer;
    TimePoint since;
  };

  // Names a set-up in flight; 0 names none.
  using Ticket = std::uint64_t;

  explicit Admission(const Settings& settings) : settings_(settings) {}

  // ---- Offers.
  // kNone: it waits, perhaps since before. Otherwise why it cannot (source_limit,
  // admission_queue_full).
  [[nodiscard]] EndReason enqueue(ConnectionId connection, Ipv4Address source,
                                  const model::OfferCall& offer, TimePoint now);
  // False: it does not wait here.
  bool withdraw(ConnectionId connection, std::uint32_t offer);
  // The connection is gone, and what waits of it.
  void forget(ConnectionId connection);
  // Takes the oldest offer that may be set up now; the caller begins its set-up or refuses it.
  [[nodiscard]] std::optional<Waiting> next(TimePoint now);
  // Takes the oldest offer if it has waited too long.
  [[nodiscard]] std::optional<Waiting> next_overdue(TimePoint now);
  // Takes the oldest offer, whatever its age.
  [[nodiscard]] std::optional<Waiting> take_oldest();

  // ---- Set-ups. Not refused here: calls that we place ourselves count, and do not wait.
  [[nodiscard]] Ticket begin(Ipv4Address source, TimePoint now);
  // The link is open or the call is over. A ticket that is not in flight (any more) is ignored.
  void end(Ticket ticket);

  // When next() or next_overdue() may have something that they have not now; empty: not by time.
  [[nodiscard]] std::optional<TimePoint> deadline() const;

  [[nodiscard]] std::size_t in_flight() const noexcept { return set_ups_.size(); }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }
  [[nodiscard]] std::size_t sources() const noexcept { return sources_.size(); }

 private:
  using Number = std::uint64_t;  // of an offer, in the order of arrival
  struct Source {
    std::set<Number> waiting;
    std::size_t in_flight = 0;
  };
  struct SetUp {
    Ipv4Address source;
    TimePoint began;
  };
  using Sources = std::unordered_map<Ipv4Address, Source>;

  // Changes a source and keeps ready_ in step; drops one of which nothing is left.
  template <class Change>
  void change(Ipv4Address address, Change change);
  [[nodiscard]] Waiting take(Number number);
  void stop_counting_dawdlers(TimePoint now);

  Settings settings_;
  Number next_number_ = 1;
  Ticket next_ticket_ = 1;
  std::map<Number, Waiting> waiting_;
  std::map<std::pair<ConnectionId, std::uint32_t>, Number> numbers_;  // by connection and offer
  Sources sources_;
  std::map<Number, Ipv4Address> ready_;  // sources with room, by their oldest offer
  std::unordered_map<Ticket, SetUp> set_ups_;
  std::set<Ticket> counted_;  // of set_ups_, those that count against Settings::set_ups
};

}  // namespace pns::subscriber
