// SPDX-License-Identifier: BSD-3-Clause
//
// Listing: sessions and connections as the operator sees them, a page for each turn of the event
// loop. A session or connection is in one page at most. One that comes or goes between two pages
// may be in none. Event-loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "controlplane/runtime/event_loop.hpp"
#include "controlplane/subscriber/connection_table.hpp"
#include "controlplane/subscriber/counter_schedule.hpp"
#include "controlplane/subscriber/selector.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "controlplane/subscriber/views.hpp"

namespace pns::subscriber {

// How far a reader of pages has come.
struct PagePlace {
  std::uint64_t next = 0;
  bool at_end = false;  // there is no further page
};

class Listing {
 public:
  static constexpr std::size_t kPage = 128;  // views, well below a millisecond

  // All outlive this.
  Listing(const control::EventLoop& loop, const SessionTable& sessions,
          const ConnectionTable& connections, const CounterSchedule& reports)
      : loop_(loop), sessions_(sessions), connections_(connections), reports_(reports) {}

  // The page at this place, which moves on.
  [[nodiscard]] std::vector<SessionView> session_page(PagePlace& place) const;
  [[nodiscard]] std::vector<SessionView> session_page(const Selector& selector,
                                                      PagePlace& place) const;
  [[nodiscard]] std::vector<ConnectionView> connection_page(PagePlace& place) const;
  // The sessions themselves, which the caller may end.
  [[nodiscard]] std::vector<Session*> matching(const Selector& selector, PagePlace& place) const;

 private:
  [[nodiscard]] SessionView view(const Session& session) const;

  const control::EventLoop& loop_;
  const SessionTable& sessions_;
  const ConnectionTable& connections_;
  const CounterSchedule& reports_;
};

}  // namespace pns::subscriber
