// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/connection.hpp"

namespace pns::subscriber {
ConnectionView Connection::view(TimePoint now) const {
  ConnectionView view;
  view.id = id_.value;
  view.peer = endpoints_.peer;
  view.peer_port = endpoints_.peer_port;
  view.local = endpoints_.local;
  view.state = pptp::name_of(machine_.state());
  view.role = machine_.originated() ? "originated" : "accepted";
  for (const auto& call : machine_.calls())
    ++view.calls_by_kind.at(static_cast<std::size_t>(call.kind));
  view.host_name = machine_.peer_host_name();
  view.vendor = machine_.peer_vendor_name();
  view.calls = calls_.size();
  view.uptime_s =
      static_cast<std::uint64_t>(std::chrono::duration_cast<Seconds>(now - opened_).count());
  return view;
}

}  // namespace pns::subscriber
