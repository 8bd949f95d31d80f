// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/listing.hpp"

#include <chrono>

#include "controlplane/subscriber/session_snapshots.hpp"

namespace pns::subscriber {
namespace {

// The peer has no answer to its request yet.
bool is_shown(const Session& session) noexcept {
  return session.state() != Session::State::kInstalling;
}

}  // namespace

SessionView Listing::view(const Session& session) const {
  SessionView view = view_of(session, loop_.now());
  if (const Duration interval = reports_.interval_of(session); interval > Duration{})
    view.terms.interim_interval_s =
        static_cast<std::uint64_t>(std::chrono::duration_cast<Seconds>(interval).count());
  return view;
}

std::vector<SessionView> Listing::session_page(PagePlace& place) const {
  std::vector<SessionView> views;
  views.reserve(kPage);
  place.next = sessions_.visit_some(static_cast<std::uint32_t>(place.next), kPage,
                                    [&](const Session& session) {
                                      if (is_shown(session)) views.push_back(view(session));
                                    });
  place.at_end = place.next >= sessions_.capacity();
  return views;
}

std::vector<SessionView> Listing::session_page(const Selector& selector, PagePlace& place) const {
  std::vector<SessionView> views;
  for (const Session* session : matching(selector, place))
    if (is_shown(*session)) views.push_back(view(*session));
  return views;
}

std::vector<ConnectionView> Listing::connection_page(PagePlace& place) const {
  std::vector<ConnectionView> views;
  views.reserve(kPage);
  const auto next = connections_.visit_some(
      ConnectionId(place.next), kPage,
      [&](const Connection& connection) { views.push_back(connection.view(loop_.now())); });
  place.at_end = !next;
  if (next) place.next = next->value;
  return views;
}

std::vector<Session*> Listing::matching(const Selector& selector, PagePlace& place) const {
  std::vector<Session*> found;
  const SessionId from(place.next);
  switch (selector.kind) {
    case Selector::Kind::kId:
      if (Session* session = sessions_.find(selector.id)) found.push_back(session);
      break;
    case Selector::Kind::kUser:
      found = sessions_.of_user(selector.user, from, kPage);
      break;
    case Selector::Kind::kAddress:
      found = sessions_.of_address(selector.address, from, kPage);
      break;
    case Selector::Kind::kPeer:
      found = sessions_.of_peer(selector.address, from, kPage);
      break;
  }
  place.at_end = found.size() < kPage;
  if (!place.at_end) place.next = found.back()->id().value + 1;
  return found;
}

}  // namespace pns::subscriber
