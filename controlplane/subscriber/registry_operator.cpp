// SPDX-License-Identifier: BSD-3-Clause
//
// Registry: what the operator asks for. The end of the process, clearing calls, views.
#include <algorithm>
#include <asio/post.hpp>
#include <charconv>
#include <utility>

#include "controlplane/subscriber/registry.hpp"
#include "controlplane/subscriber/registry_parts.hpp"

namespace pns::subscriber {
namespace {

// 25,000 calls or connections a second at most: what is said of a slice fits into the rings.
constexpr std::size_t kShutDownSlice = 256;
constexpr auto kShutDownPause = Milliseconds(10);

}  // namespace

// First the links, with Terminate-Request and its answer, so that each peer's PPP knows; a call
// whose link has ended gets its Disconnect-Notify. Then the connections, with Stop-Request and its
// answer.
void Registry::shut_down(Milliseconds within, std::function<void()> done) {
  if (shut_down_ != ShutDown::kNo) return;
  shut_down_ = ShutDown::kLinks;
  shut_down_done_ = std::move(done);
  log::info("ending all calls", {{"connections", connections_.size()}});
  placer_.shut_down();
  shut_down_until_ = now() + within;
  wait_shut_down(now() + within / 2);
  install_waiting();  // refuses them
  end_calls({.reason = EndReason::shutting_down, .slice = kShutDownSlice, .pause = kShutDownPause});
}

void Registry::wait_shut_down(TimePoint until) {
  shut_down_timer_.expires_at(until);
  shut_down_timer_.async_wait([this](const asio::error_code& error) {
    if (error) return;
    shut_down_ == ShutDown::kLinks ? stop_connections() : finish_shut_down();
  });
}

// Called whenever a call or a connection has ended. Looks at the end of the turn, once for all of
// them.
void Registry::advance_shut_down() {
  if (shut_down_ == ShutDown::kNo || std::exchange(shut_down_looks_, true)) return;
  asio::post(parts_.context, [this] {
    shut_down_looks_ = false;
    if (shut_down_ == ShutDown::kLinks && !ending_ &&
        std::ranges::all_of(connections_,
                            [](const auto& entry) { return entry.second->calls.empty(); }))
      stop_connections();
    else if (shut_down_ == ShutDown::kConnections && connections_.empty())
      finish_shut_down();
  });
}

void Registry::stop_connections() {
  if (shut_down_ != ShutDown::kLinks) return;
  shut_down_ = ShutDown::kConnections;
  ending_.reset();
  wait_shut_down(shut_down_until_);
  to_stop_.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) to_stop_.push_back(id);
  stop_some_connections();
}

// In slices: what peers answer must fit into the rings too.
void Registry::stop_some_connections() {
  for (std::size_t i = 0; i < kShutDownSlice && !to_stop_.empty(); ++i) {
    const auto found = connections_.find(to_stop_.back());
    to_stop_.pop_back();
    if (found == connections_.end()) continue;
    const auto connection = found->second;
    apply(*connection, connection->machine.stop(EndReason::shutting_down, now()));
  }
  if (to_stop_.empty()) return advance_shut_down();
  ending_timer_.expires_after(kShutDownPause);
  ending_timer_.async_wait([this](const asio::error_code& error) {
    if (!error) stop_some_connections();
  });
}

void Registry::finish_shut_down() {
  shut_down_timer_.cancel();
  if (!shut_down_done_) return;
  (void)parts_.journal.commit();  // and the last words go out
  log::info("all calls ended", {{"connections_unanswered", connections_.size()}});
  std::exchange(shut_down_done_, nullptr)();
}

bool Registry::clear(std::string_view id_or_user) {
  std::uint32_t id = 0;
  const auto [end, error] =
      std::from_chars(id_or_user.data(), id_or_user.data() + id_or_user.size(), id);
  const bool number = error == std::errc{} && end == id_or_user.data() + id_or_user.size();
  bool any = false;
  for (const auto& session : sessions_) {
    if (!session || session->state != Session::State::kUp) continue;
    if (number ? session->handle.slot.value != id : session->user != id_or_user) continue;
    any = true;
    close_link(*session, EndReason::operator_cleared);
  }
  return any;
}

std::vector<SessionView> Registry::sessions() const {
  std::vector<SessionView> views;
  const auto time = now();
  for (const auto& session : sessions_) {
    if (!session || session->state == Session::State::kInstalling) continue;
    const auto& record = parts_.memory.sessions()[session->handle.slot.value];
    SessionView view;
    view.id = session->handle.slot.value;
    view.user = session->user;
    view.peer = session->peer;
    view.local = session->local;
    if (session->lease && session->phase == model::LinkPhase::kOpen)
      view.address = session->lease->address;
    view.state = session->state == Session::State::kRemoving   ? "removing"
                 : session->state == Session::State::kDialling ? "dialling"
                                                               : model::name_of(session->phase);
    view.kind = model::name_of(session->kind);
    view.wan_errors = session->wan_errors;
    view.our_call_id = session->our_call_id;
    view.peer_call_id = session->peer_call_id;
    if (session->link) {
      const auto status = session->link->status();
      view.auth = model::name_of(status.auth);
      view.mppe = status.mppe;
      view.ipv6_prefix = status.ipv6_prefix;
    }
    view.worker = session->worker;
    view.connection = session->connection.value;
    view.uptime_s = static_cast<std::uint64_t>(
        std::chrono::duration_cast<Seconds>(time - session->opened.value_or(session->started))
            .count());
    const std::uint64_t last = record.upstream.last_receive_ns.load(std::memory_order_relaxed);
    if (last != 0 && monotonic_ns(time) > last)
      view.idle_s = (monotonic_ns(time) - last) / 1'000'000'000;
    if (session->opened)
      view.setup_ms = static_cast<std::uint64_t>(
          std::chrono::duration_cast<Milliseconds>(*session->opened - session->started).count());
    view.mtu = session->mtu;
    view.rx_packets = record.upstream.packets.get();
    view.rx_bytes = record.upstream.bytes.get();
    view.tx_packets = record.downstream.packets.get();
    view.tx_bytes = record.downstream.bytes.get();
    view.rx_drops = record.upstream.drops.get();
    view.tx_drops = record.downstream.drops.get();
    view.sequence_gaps = record.upstream.sequence_gaps.get();
    views.push_back(std::move(view));
  }
  return views;
}

std::vector<ConnectionView> Registry::connections() const {
  std::vector<ConnectionView> views;
  const auto time = now();
  for (const auto& [id, connection] : connections_) {
    ConnectionView view;
    view.id = id.value;
    view.peer = connection->peer;
    view.peer_port = connection->peer_port;
    view.local = connection->local;
    view.state = pptp::name_of(connection->machine.state());
    view.role = connection->machine.originated() ? "originated" : "accepted";
    for (const auto& call : connection->machine.calls())
      ++view.calls_by_kind.at(static_cast<std::size_t>(call.kind));
    view.host_name = connection->machine.peer_host_name();
    view.vendor = connection->machine.peer_vendor_name();
    view.calls = connection->calls.size();
    view.uptime_s = static_cast<std::uint64_t>(
        std::chrono::duration_cast<Seconds>(time - connection->opened).count());
    views.push_back(std::move(view));
  }
  std::ranges::sort(views, {}, &ConnectionView::id);
  return views;
}

std::vector<EndView> Registry::last_ends() const {
  std::vector<EndView> views;
  const auto time = now();
  for (const auto& [when, end] : last_ends_) {
    views.push_back(end);
    views.back().ago_s =
        static_cast<std::uint64_t>(std::chrono::duration_cast<Seconds>(time - when).count());
  }
  return views;
}

void Registry::stop_reading() {
  for (const auto& [id, connection] : connections_) connection->socket->stop_reading();
  (void)parts_.journal.commit();  // what was read is answered and consumed
}

bool Registry::is_flushed() const {
  return parts_.journal.is_idle() && std::ranges::all_of(connections_, [](const auto& item) {
           return item.second->socket->is_flushed();
         });
}

}  // namespace pns::subscriber
