// SPDX-License-Identifier: BSD-3-Clause
//
// Lists, audits and ends of calls as one step: all the turns that the event loop would make, one
// after the other.
#pragma once

#include <cstddef>
#include <iterator>
#include <vector>

#include "controlplane/subscriber/service.hpp"

namespace pns::test {

template <class View, class Page>
std::vector<View> all_pages(Page page) {
  std::vector<View> views;
  for (subscriber::PagePlace place; !place.at_end;) {
    auto some = page(place);
    views.insert(views.end(), std::make_move_iterator(some.begin()),
                 std::make_move_iterator(some.end()));
  }
  return views;
}

inline std::vector<subscriber::SessionView> sessions_of(const subscriber::Service& service) {
  return all_pages<subscriber::SessionView>(
      [&](subscriber::PagePlace& place) { return service.listing().session_page(place); });
}

inline std::vector<subscriber::SessionView> sessions_of(const subscriber::Service& service,
                                                        const subscriber::Selector& selector) {
  return all_pages<subscriber::SessionView>([&](subscriber::PagePlace& place) {
    return service.listing().session_page(selector, place);
  });
}

inline std::vector<subscriber::ConnectionView> connections_of(const subscriber::Service& service) {
  return all_pages<subscriber::ConnectionView>(
      [&](subscriber::PagePlace& place) { return service.listing().connection_page(place); });
}

// Result: how many sessions are ended.
inline std::size_t clear_all(subscriber::Service& service, const subscriber::Selector& selector) {
  std::size_t cleared = 0;
  for (subscriber::PagePlace place; !place.at_end;) cleared += service.clear(selector, place);
  return cleared;
}

inline subscriber::AuditView audit_of(const subscriber::Service& service) {
  subscriber::Audit audit = service.begin_audit();
  while (audit.turn()) {
  }
  return audit.view();
}

}  // namespace pns::test
