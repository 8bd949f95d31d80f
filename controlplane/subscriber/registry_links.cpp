// SPDX-License-Identifier: BSD-3-Clause
//
// Registry: PPP links, their frames, and what they ask for.
#include <algorithm>
#include <utility>

#include "controlplane/subscriber/registry.hpp"
#include "controlplane/subscriber/registry_parts.hpp"

namespace pns::subscriber {

using control::SessionHandle;
using model::SetupStage;

namespace {

constexpr auto kLastWords = Milliseconds(300);  // from the end of a link to Call-Disconnect-Notify
constexpr std::uint16_t kLeastIpv6Mtu = 1280;
constexpr std::size_t kMaximumEarlyFrames = 4;  // kept of a call that is not connected yet

}  // namespace

void Registry::on_punted(SessionHandle handle, Bytes frame) {
  parts_.statistics.punted_frames_received.add();
  deliver(handle, frame);
}

void Registry::on_path_dead(SessionHandle handle, bool opened) {
  Session* const session = find(handle.slot);
  if (session == nullptr || session->state != Session::State::kUp ||
      session->handle.generation != handle.generation || !session->link_started)
    return;
  parts_.statistics.dead_paths.add();
  apply(*session, session->link->on_path_dead(opened, now()));
}

void Registry::deliver(SessionHandle handle, Bytes frame) {
  Session* session = find(handle.slot);
  if (session == nullptr || session->state != Session::State::kUp ||
      session->handle.generation != handle.generation) {
    parts_.statistics.punted_frames_stale.add();
  } else if (session->link_started) {
    apply(*session, session->link->on_frame(frame, now()));
  } else if (session->early.size() < kMaximumEarlyFrames) {
    session->early.emplace_back(frame.begin(), frame.end());
  } else {
    parts_.statistics.punted_frames_stale.add();
  }
}

void Registry::apply(Session& session, const model::LinkActions& actions) {
  const SlotId slot = session.handle.slot;
  const std::uint64_t serial = session.serial;
  // Before the first of them: what is said to the peer is in the store.
  const bool changes = session.link->resume() != session.stored ||
                       std::ranges::any_of(actions, [](const model::LinkAction& action) {
                         return std::holds_alternative<model::OpenIpv4>(action) ||
                                std::holds_alternative<model::OpenIpv6>(action) ||
                                std::holds_alternative<model::CloseIpv6>(action);
                       });
  if (changes && session.state == Session::State::kUp) save(session);
  for (const auto& action : actions) {
    Session* alive = find(slot, serial);
    if (alive == nullptr || alive->state != Session::State::kUp) return;
    std::visit([&](const auto& a) { perform(*alive, a); }, action);
  }
  if (Session* alive = find(slot, serial); alive != nullptr) arm_timer(*alive);
}

void Registry::require(Session& session, const control::DataplaneLink::Sent& sent) {
  // What is said while there is no dataplane is said again when there is one.
  if (sent || sent.error() == control::IpcError::kDetached) return;
  log::warn("command to the dataplane lost",
            {{"session", session.handle.slot.value}, {"why", control::name_of(sent.error())}});
  if (session.state != Session::State::kUp) return;
  perform(session, model::LinkEnded{EndReason::dataplane_unavailable});
}

void Registry::perform(Session& session, const model::SendFrame& action) {
  // A lost control frame is PPP's everyday life: its restart timer sends it again.
  when_stored(session, action.frame.size(), [this, frame = action.frame](Session& alive) {
    (void)parts_.dataplane.inject(alive.handle, frame);
  });
}

void Registry::perform(Session& session, const model::ConfigureLink& action) {
  session.peer_mru = action.peer_mru;
  if (action.open) reach(session, SetupStage::kLcpOpen);
  contract::ConfigureLink link;
  link.open = action.open;
  link.send_acfc = action.send_acfc;
  link.send_pfc = action.send_pfc;
  link.our_magic = action.our_magic;
  link.peer_mru = action.peer_mru;
  session.configured = action.open ? std::optional(link) : std::nullopt;
  when_stored(session, sizeof(link), [this, link](Session& alive) {
    require(alive, parts_.dataplane.configure_link(alive.handle, link));
  });
}

void Registry::perform(Session& session, const model::ArmMppe& action) {
  reach(session, SetupStage::kCcpOpen);
  // What waits holds the keys in the type that wipes them.
  when_stored(session, sizeof(action), [this, action](Session& alive) {
    contract::ArmMppe keys;
    keys.key_bits = action.key_bits;
    keys.stateless = action.stateless;
    std::ranges::copy(action.keys.send.bytes(), keys.send_start_key.begin());
    std::ranges::copy(action.keys.receive.bytes(), keys.receive_start_key.begin());
    require(alive, parts_.dataplane.arm_mppe(alive.handle, keys));
  });
}

void Registry::perform(Session& session, const model::DisarmMppe&) {
  when_stored(session, 0, [this](Session& alive) {
    require(alive, parts_.dataplane.disarm_mppe(alive.handle));
  });
}

control::DataplaneLink::Completion Registry::address_answer(const Session& session) {
  return [this, slot = session.handle.slot,
          serial = session.serial](const control::DataplaneLink::Reply& reply) {
    Session* alive = find(slot, serial);
    if (alive == nullptr || alive->state != Session::State::kUp) return;
    if (reply && reply->result == contract::ReplyResult::kDone) return;
    log::warn(
        "dataplane refused an address",
        {{"session", slot.value},
         {"result", reply ? contract::name_of(reply->result) : control::name_of(reply.error())}});
    if (reply) perform(*alive, model::LinkEnded{EndReason::dataplane_refused});
  };
}

void Registry::perform(Session& session, const model::OpenIpv4& action) {
  session.changed = now();
  session.mtu = session.link->inner_mtu();
  contract::OpenIpv4 open;
  open.subscriber = action.subscriber;
  if (session.lease) open.gateway = session.lease->gateway;
  open.inner_mtu = session.mtu;
  open.rate_bits_per_second = session.rate_bits_per_second.value_or(0);
  when_stored(session, sizeof(open), [this, open](Session& alive) {
    require(alive, parts_.dataplane.open_ipv4(alive.handle, open, address_answer(alive)));
  });
}

void Registry::perform(Session& session, const model::CloseIpv4&) {
  session.changed = now();
  when_stored(session, 0, [this](Session& alive) {
    require(alive, parts_.dataplane.close_ipv4(alive.handle));
  });
}

void Registry::perform(Session& session, const model::OpenIpv6& action) {
  if (!session.lease || !session.lease->ipv6_prefix) return;
  session.ipv6 = action;
  contract::OpenIpv6 open;
  open.prefix = session.lease->ipv6_prefix->address.high;
  open.our_interface_id = action.our_interface_id;
  open.peer_interface_id = action.peer_interface_id;
  open.inner_mtu = session.link->inner_mtu();
  open.rate_bits_per_second = session.rate_bits_per_second.value_or(0);
  when_stored(session, sizeof(open), [this, open](Session& alive) {
    require(alive, parts_.dataplane.open_ipv6(alive.handle, open, address_answer(alive)));
  });
}

void Registry::perform(Session& session, const model::CloseIpv6&) {
  session.ipv6.reset();
  when_stored(session, 0, [this](Session& alive) {
    require(alive, parts_.dataplane.close_ipv6(alive.handle));
  });
}

void Registry::perform(Session& session, const model::Authenticate& action) {
  model::AuthRequest request = action.request;
  session.user = request.user;
  parts_.statistics.auth_pending.add();
  parts_.authenticator.authenticate(
      std::move(request),
      [this, slot = session.handle.slot, serial = session.serial](model::AuthResult result) {
        parts_.statistics.auth_pending.add(-1);
        on_auth_result(slot, serial, result);
      });
}

void Registry::perform(Session& session, const model::PhaseChanged& action) {
  parts_.statistics.sessions_by_phase[static_cast<std::size_t>(session.phase)].add(-1);
  session.phase = action.phase;
  session.changed = now();
  parts_.statistics.sessions_by_phase[static_cast<std::size_t>(session.phase)].add();
  if (action.phase != model::LinkPhase::kOpen || session.opened) return;
  session.opened = now();
  reach(session, SetupStage::kOpen);
  const auto took =
      std::chrono::duration_cast<Milliseconds>(*session.opened - session.started).count();
  parts_.statistics.setup_time.add(took);
  end_set_up(session);
  const auto status = session.link->status();
  log::info("call up", {{"session", session.handle.slot.value},
                        {"peer", session.peer},
                        {"user", session.user},
                        {"address", session.lease ? session.lease->address : Ipv4Address()},
                        {"auth", model::name_of(status.auth)},
                        {"mppe", status.mppe},
                        {"mtu", session.mtu},
                        {"kind", model::name_of(session.kind)},
                        {"our_call_id", session.our_call_id.value},
                        {"peer_call_id", session.peer_call_id.value},
                        {"setup_ms", took}});
  if (session.placed != 0)
    placer_.on_open(std::exchange(session.placed, 0), session.user,
                    session.lease ? session.lease->address : Ipv4Address());
}

void Registry::close_link(Session& session, EndReason reason) {
  if (session.link_started) return apply(session, session.link->close(reason, now()));
  perform(session, model::LinkEnded{reason});
}

void Registry::perform(Session& session, const model::LinkEnded& action) {
  if (session.link_end != EndReason::kNone) return;
  session.link_end = action.reason;
  // The peer's PPP reads our last frame before its control connection hears that the call is gone;
  // many peers clear the call themselves meanwhile.
  if (shut_down_ != ShutDown::kNo) return tell_peer(session);
  session.timer.expires_after(kLastWords);
  session.timer.async_wait(
      [this, slot = session.handle.slot, serial = session.serial](const asio::error_code& error) {
        Session* alive = find(slot, serial);
        if (!error && alive != nullptr && alive->state == Session::State::kUp) tell_peer(*alive);
      });
}

// Call-Disconnect-Notify, and the end of the session.
void Registry::tell_peer(Session& session) {
  const auto found = connections_.find(session.connection);
  if (found == connections_.end()) return end_session(session, session.link_end);
  const auto connection = found->second;
  const auto& record = parts_.memory.sessions()[session.handle.slot.value];
  pptp::CallStatistics call;
  call.rx_packets = record.upstream.gre_packets.get();
  call.rx_bytes = record.upstream.gre_bytes.get();
  call.tx_packets = record.downstream.gre_packets.get();
  call.tx_bytes = record.downstream.gre_bytes.get();
  call.duration = std::chrono::duration_cast<Seconds>(now() - session.started);
  apply(*connection,
        connection->machine.end_call(session.our_call_id, session.link_end, call, now()));
}

std::optional<model::Lease> Registry::lease_for(const model::AuthGrant& grant,
                                                OurCallId our_call_id) {
  // An address whose packets reach the same worker from the core side.
  const auto lease = grant.address
                         ? parts_.pools.claim(*grant.address, grant.pool)
                         : parts_.pools.allocate(
                               grant.pool, steering_.address_buckets(steering_.owner(our_call_id)));
  if (!lease) return std::nullopt;
  model::Lease out = *lease;
  parts_.pools.add_ipv6(out, grant.pool, grant.ipv6_prefix);
  return out;
}

model::NetworkParameters Registry::network_parameters(const Session& session) const {
  const model::Lease& lease = *session.lease;
  model::NetworkParameters parameters;
  parameters.our_address = lease.gateway;
  parameters.subscriber_address = lease.address;
  const auto& ppp = parts_.config.ppp;
  std::copy_n(ppp.dns.begin(), std::min(ppp.dns.size(), parameters.dns.size()),
              parameters.dns.begin());
  std::copy_n(ppp.wins.begin(), std::min(ppp.wins.size(), parameters.wins.size()),
              parameters.wins.begin());
  // RFC 8200 §5: no IPv6 over a link that cannot carry 1,280 octets.
  if (lease.ipv6_prefix &&
      std::min(ppp.mtu, session.peer_mru) >= kLeastIpv6Mtu + ppp::Link::kMppeOverhead) {
    parameters.ipv6 = model::Ipv6Parameters{.prefix = *lease.ipv6_prefix};
    std::copy_n(ppp.ipv6_dns.begin(), std::min(ppp.ipv6_dns.size(), parameters.ipv6->dns.size()),
                parameters.ipv6->dns.begin());
  }
  return parameters;
}

void Registry::on_auth_result(SlotId slot, std::uint64_t serial, const model::AuthResult& result) {
  Session* session = find(slot, serial);
  if (session == nullptr || session->state != Session::State::kUp) return;
  if (!result) {
    parts_.statistics.auth_denied.add();
    if (auto& limit = refusal_log(result.error().reason); limit.allow(now()))
      log::warn("authentication failed", {{"session", slot.value},
                                          {"peer", session->peer},
                                          {"user", session->user},
                                          {"reason", name_of(result.error().reason)},
                                          {"suppressed", limit.take_suppressed()}});
    return apply(*session, session->link->on_auth_result(result, std::nullopt, now()));
  }
  parts_.statistics.auth_accepted.add();
  session->user = result->user;
  session->rate_bits_per_second = result->rate_bits_per_second;
  // Re-authentication keeps the lease; another account gets one of its own. (The address is out of
  // the dataplane's index: the link closed IPv4 before it asked again.)
  if (session->lease && session->lease_user != result->user) {
    parts_.pools.release(*session->lease);
    session->lease.reset();
  }
  if (!session->lease) session->lease = lease_for(*result, session->our_call_id);
  session->lease_user = result->user;
  save(*session);  // of one that was up: the lease may be another one
  if (!session->lease) {
    if (auto& limit = refusal_log(EndReason::no_address); limit.allow(now()))
      log::warn("no address is free", {{"session", slot.value},
                                       {"peer", session->peer},
                                       {"user", session->user},
                                       {"pool", result->pool},
                                       {"reason", name_of(EndReason::no_address)},
                                       {"suppressed", limit.take_suppressed()}});
    return apply(*session, session->link->on_no_address(now()));
  }
  reach(*session, SetupStage::kAuthenticated);
  apply(*session, session->link->on_auth_result(result, network_parameters(*session), now()));
}

void Registry::arm_timer(Session& session) {
  if (session.state != Session::State::kUp || session.link_end != EndReason::kNone) return;
  const auto deadline = session.link->deadline();
  if (deadline == session.armed) return;
  session.armed = deadline;
  if (!deadline) {
    session.timer.cancel();
    return;
  }
  session.timer.expires_at(*deadline);
  session.timer.async_wait(
      [this, slot = session.handle.slot, serial = session.serial](const asio::error_code& error) {
        Session* alive = find(slot, serial);
        if (error || alive == nullptr || alive->state != Session::State::kUp) return;
        alive->armed.reset();
        apply(*alive, alive->link->on_deadline(now()));
      });
}

void Registry::reach(Session& session, SetupStage stage) {
  const auto index = static_cast<std::size_t>(stage);
  if (index <= session.stage && stage != SetupStage::kOffered) return;
  session.stage = index;
  parts_.statistics.setups[index].add();
}

}  // namespace pns::subscriber
