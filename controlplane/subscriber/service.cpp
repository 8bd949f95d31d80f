// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/service.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "controlplane/subscriber/settings.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {
namespace {

// Sessions that one slice of a clear ends. Frames of more sessions do not fit into the rings.
constexpr std::size_t kClearSlice = 256;
constexpr auto kClearPause = Milliseconds(10);

}  // namespace

Service::Service(const Services& services, CallControl::Network network,
                 SessionIdSource session_ids)
    : services_(services),
      session_ids_(std::move(session_ids)),
      limits_(make_source_limits(services.config)),
      sessions_(services.memory),
      call_ids_(services.statistics, services.random),
      store_health_(services_,
                    [this] {
                      drain_.store();
                      contents_.rewrite();
                    }),
      gate_(store_health_),
      statistics_listener_(services.statistics),
      log_listener_(services.loop, limits_),
      store_listener_(services_),
      last_ends_(services.loop),
      networks_(services_, sessions_),
      calls_({.services = services_,
              .sessions = sessions_,
              .call_ids = call_ids_,
              .events = events_,
              .gate = gate_,
              .session_ids = session_ids_,
              .limits = limits_},
             std::move(network)),
      counters_(services.loop, sessions_, events_),
      session_limits_(services.loop, services.memory, sessions_,
                      [this](const std::vector<Session*>& sessions, EndReason reason) {
                        clear(sessions, reason);
                      }),
      contents_(services_, sessions_, call_ids_, calls_.connections(), store_listener_),
      termination_(services.loop, sessions_, calls_),
      drain_(services_, sessions_, calls_, gate_, termination_),
      shut_down_(services.loop, calls_, gate_, termination_),
      take_over_({.services = services_,
                  .sessions = sessions_,
                  .call_ids = call_ids_,
                  .calls = calls_,
                  .contents = contents_,
                  .drain = drain_}),
      listing_(services.loop, sessions_, calls_.connections(), counters_),
      dynamic_sessions_(sessions_, services.journal,
                        [this](SessionId id, EndReason reason) {
                          to_clear_.push_back({id, reason});
                          clear_slice();
                        }),
      clear_timer_(services.loop.timers(), [this] { clear_slice(); }) {
  events_.add(sessions_);
  events_.add(store_listener_);
  events_.add(statistics_listener_);
  events_.add(log_listener_);
  events_.add(last_ends_);
  events_.add(networks_);
  events_.add(counters_);
  events_.add(session_limits_);
  calls_.add_listeners();
  events_.add(shut_down_);
  calls_.on_connection_closed([this] { shut_down_.on_progress(); });
  call_ids_.read_steering(services_.memory.header(), services_.pools);
}

Service::~Service() = default;

// ---- the process ----------------------------------------------------------------------------

void Service::take_over(std::vector<contract::Grants::Connection> granted) {
  take_over_.run(std::move(granted));
}

void Service::when_attached(std::function<void()> ready) {
  when_attached_ = std::move(ready);
  if (services_.dataplane.attached() && when_attached_) std::exchange(when_attached_, nullptr)();
}

void Service::stop_reading() {
  calls_.connections().stop_reading();
  (void)services_.journal.commit();  // messages that were read are answered and consumed
}

bool Service::is_flushed() const {
  return services_.journal.is_idle() && calls_.connections().is_flushed();
}

void Service::shut_down(Milliseconds within, std::function<void()> done) {
  shut_down_.start(within, [this, done = std::move(done)] {
    (void)services_.journal.commit();  // and the last messages go out
    done();
  });
}

// ---- peers ----------------------------------------------------------------------------------

void Service::accept(UniqueFd fd, Ipv4Address local, Ipv4Address peer, std::uint16_t peer_port) {
  calls_.connections().accept(std::move(fd), {local, peer, peer_port}, gate_.connections_refused());
}

void Service::on_not_kept(ConnectionId id) {
  calls_.connections().lose(id, EndReason::descriptor_limit);
}

// ---- the dataplane --------------------------------------------------------------------------

void Service::on_dataplane_attached() {
  services_.statistics.dataplane_attached.set(1);
  services_.statistics.dataplane_attaches.add();
  log::info("dataplane attached");
  calls_.read_steering();
  sessions_.for_each([](Session& session) { session.link().reconcile(); });
  networks_.on_attached();
  calls_.installer().on_attached();
  calls_.offers().admit_soon();
  take_over_.repeat_offers();
  if (when_attached_) std::exchange(when_attached_, nullptr)();
}

void Service::on_dataplane_detached() {
  services_.statistics.dataplane_attached.set(0);
  log::warn("dataplane lost");
}

Session* Service::find(control::SessionHandle handle) const {
  Session* session = sessions_.find(handle.slot);
  return session != nullptr && session->dataplane().handle().generation == handle.generation
             ? session
             : nullptr;
}

void Service::on_punted(control::SessionHandle handle, Bytes frame) {
  services_.statistics.punted_frames_received.add();
  if (Session* session = find(handle))
    session->link().on_frame(frame);
  else
    services_.statistics.punted_frames_stale.add();
}

void Service::on_path_dead(control::SessionHandle handle, bool opened) {
  if (Session* session = find(handle)) session->link().on_path_dead(opened);
}

// ---- the operator ---------------------------------------------------------------------------

void Service::place_call(const PlaceRequest& request, PlacedDone done) {
  calls_.place_call(request, std::move(done));
}

std::size_t Service::clear(const Selector& selector, PagePlace& place) {
  std::vector<Session*> meant = listing_.matching(selector, place);
  std::erase_if(meant,
                [](const Session* session) { return session->state() != Session::State::kUp; });
  clear(meant, EndReason::operator_cleared);
  return meant.size();
}

void Service::clear(const std::vector<Session*>& sessions, EndReason reason) {
  for (const Session* session : sessions) to_clear_.push_back({session->id(), reason});
  clear_slice();
}

void Service::clear_slice() {
  for (std::size_t i = 0; i < kClearSlice && !to_clear_.empty(); ++i) {
    const ToClear next = to_clear_.front();
    to_clear_.pop_front();
    if (Session* session = sessions_.find(next.id)) session->link().close(next.reason);
  }
  if (!to_clear_.empty()) clear_timer_.arm(services_.loop.now() + kClearPause);
}

DynamicSessions& Service::authorize_dynamically() {
  events_.add(dynamic_sessions_);
  return dynamic_sessions_;
}

void Service::set_own_addresses(const OwnAddresses& own) {
  services_.pools.set_own(own.addresses, own.prefixes);
  // The configuration and the kernel may both name an address.
  for (const Ipv4Address address : std::set(own.addresses.begin(), own.addresses.end()))
    for (Session* session : sessions_.of_address(address)) {
      log::warn("subscriber address became the host's", {{"session", to_text(session->id())},
                                                         {"user", session->account().user()},
                                                         {"address", address}});
      clear({session}, EndReason::address_lost);
    }
}

Audit Service::begin_audit() const {
  return Audit(services_, sessions_, call_ids_, calls_.connections(), calls_.installer());
}

}  // namespace pns::subscriber
