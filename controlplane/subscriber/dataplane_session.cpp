// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/dataplane_session.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "controlplane/subscriber/session.hpp"
#include "controlplane/subscriber/session_id.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {

using control::DataplaneCommands;

control::SessionHandle DataplaneSession::handle() const noexcept {
  return {session_.call().slot, generation_};
}

const contract::SessionRecord& DataplaneSession::record() const noexcept {
  return services_.memory.sessions()[session_.call().slot.value];
}

bool DataplaneSession::is_installed() const noexcept {
  return record().state.load(std::memory_order_acquire) == contract::SlotState::kInstalled &&
         record().generation.load(std::memory_order_relaxed) == generation_;
}

std::uint64_t DataplaneSession::last_heard_ns() const noexcept {
  return record().upstream.last_receive_ns.load(std::memory_order_relaxed);
}

bool DataplaneSession::carried_gre() const noexcept {
  return is_installed() && last_heard_ns() != 0;
}

bool DataplaneSession::is_armed() const noexcept {
  return record().downstream.mppe.mode != mppe::Mode::kOff;
}

bool DataplaneSession::has_flag(std::uint32_t flag) const noexcept {
  return (record().flags.load(std::memory_order_acquire) & flag) != 0;
}

// ---- commands -------------------------------------------------------------------------------

template <class Command>
void DataplaneSession::send(std::size_t octets, Command command) {
  services_.journal.when_stored(
      [this, keep = session_.shared_from_this(), command = std::move(command)]() mutable {
        if (const DataplaneCommands::Sent sent = command(); !sent) on_refused(sent.error());
      },
      octets);
}

void DataplaneSession::on_refused(control::IpcError error) {
  // Commands while there is no dataplane are repeated when there is one.
  if (error == control::IpcError::kDetached) return;
  log::warn("command to the dataplane lost",
            {{"session", to_text(session_.id())}, {"why", control::name_of(error)}});
  session_.link().fail(EndReason::dataplane_unavailable);
}

DataplaneCommands::Completion DataplaneSession::address_completion() {
  return [this, weak = session_.weak_from_this()](const DataplaneCommands::Reply& reply) {
    if (const auto alive = weak.lock()) on_address_answer(reply);
  };
}

void DataplaneSession::on_address_answer(const DataplaneCommands::Reply& reply) {
  if (session_.state() != Session::State::kUp ||
      (reply && reply->result == contract::ReplyResult::kDone))
    return;
  log::warn("dataplane refused an address", {{"session", to_text(session_.id())},
                                             {"result", reply ? contract::name_of(reply->result)
                                                              : control::name_of(reply.error())}});
  if (reply) session_.link().fail(EndReason::dataplane_refused);
}

void DataplaneSession::inject(const model::SendFrame& action) {
  // A frame that is lost here is sent again by PPP's restart timer.
  send(action.frame.size(), [this, frame = action.frame]() -> DataplaneCommands::Sent {
    (void)services_.dataplane.inject(handle(), frame);
    return {};
  });
}

void DataplaneSession::configure_link(const model::ConfigureLink& action) {
  contract::ConfigureLink link;
  link.open = action.open;
  link.send_acfc = action.send_acfc;
  link.send_pfc = action.send_pfc;
  link.our_magic = action.our_magic;
  link.peer_mru = action.peer_mru;
  configured_ = action.open ? std::optional(link) : std::nullopt;
  send_configuration(link);
}

void DataplaneSession::send_configuration(const contract::ConfigureLink& link) {
  send(sizeof(link), [this, link] { return services_.dataplane.configure_link(handle(), link); });
}

void DataplaneSession::arm(const model::ArmMppe& action) {
  // The keys wait in a type that wipes itself.
  send(sizeof(action), [this, action] {
    contract::ArmMppe keys;
    keys.key_bits = action.key_bits;
    keys.stateless = action.stateless;
    std::ranges::copy(action.keys.send.bytes(), keys.send_start_key.begin());
    std::ranges::copy(action.keys.receive.bytes(), keys.receive_start_key.begin());
    return services_.dataplane.arm_mppe(handle(), keys);
  });
}

void DataplaneSession::disarm() {
  send(0, [this] { return services_.dataplane.disarm_mppe(handle()); });
}

void DataplaneSession::set_service(const contract::SessionService& service, Held done) {
  services_.journal.when_stored(
      [this, keep = session_.shared_from_this(), service, done = std::move(done)]() mutable {
        const bool wanted = done != nullptr;
        // Rates alone need no answer: a dataplane that does not know this command has
        // rate_of_both().
        DataplaneCommands::Completion answer;
        // Shared with the refusal below, which leaves the answer uncalled.
        auto held = std::make_shared<Held>(std::move(done));
        if (wanted)
          answer = [held](const DataplaneCommands::Reply& reply) {
            (*held)(reply && reply->result == contract::ReplyResult::kDone);
          };
        else if (service.filters != contract::SessionFilters() || service.rate_group != 0)
          answer = [this, weak = session_.weak_from_this()](const DataplaneCommands::Reply& reply) {
            if (const auto alive = weak.lock()) on_service_answer(reply);
          };
        const auto sent = services_.dataplane.set_service(handle(), service, std::move(answer));
        if (sent) return;
        if (wanted) return (*held)(false);
        on_refused(sent.error());
      },
      sizeof(service));
}

// Without its filter a session must not go on. One that waits for a dataplane is told again.
void DataplaneSession::on_service_answer(const DataplaneCommands::Reply& reply) {
  if (session_.state() != Session::State::kUp || !reply ||
      reply->result == contract::ReplyResult::kDone)
    return;
  log::warn("dataplane refused a filter",
            {{"session", to_text(session_.id())}, {"result", contract::name_of(reply->result)}});
  session_.link().fail(EndReason::dataplane_refused);
}

void DataplaneSession::open_ipv4(Ipv4Address subscriber, Ipv4Address gateway, std::uint16_t mtu,
                                 std::uint64_t rate) {
  contract::OpenIpv4 open;
  open.subscriber = subscriber;
  open.gateway = gateway;
  open.inner_mtu = mtu;
  open.rate_bits_per_second = rate;
  send(sizeof(open), [this, open] {
    return services_.dataplane.open_ipv4(handle(), open, address_completion());
  });
}

void DataplaneSession::close_ipv4() {
  send(0, [this] { return services_.dataplane.close_ipv4(handle()); });
}

void DataplaneSession::open_ipv6(const Ipv6Prefix& prefix, const model::OpenIpv6& ids,
                                 std::uint16_t mtu, std::uint64_t rate) {
  ipv6_ = ids;
  contract::OpenIpv6 open;
  open.prefix = prefix.address.high;
  open.our_interface_id = ids.our_interface_id;
  open.peer_interface_id = ids.peer_interface_id;
  open.inner_mtu = mtu;
  open.rate_bits_per_second = rate;
  send(sizeof(open), [this, open] {
    return services_.dataplane.open_ipv6(handle(), open, address_completion());
  });
}

void DataplaneSession::close_ipv6() {
  ipv6_.reset();
  send(0, [this] { return services_.dataplane.close_ipv6(handle()); });
}

// ---- after a restart ------------------------------------------------------------------------

void DataplaneSession::resume(const ppp::LinkSnapshot& link) {
  if (link.ipv6) ipv6_ = {link.ipv6->ours, link.ipv6->peers};
  if (link.from_lcp) return;
  configured_ = {.open = true,
                 .send_acfc = link.lcp.send_acfc,
                 .send_pfc = link.lcp.send_pfc,
                 .our_magic = link.lcp.our_magic,
                 .peer_mru = link.lcp.peer_mru};
}

void DataplaneSession::repeat_commands(bool ipv4_flows) {
  const bool lcp_open = has_flag(contract::kFlagLcpOpen);
  if (!configured_ && lcp_open) send_configuration({});
  if (!ipv4_flows && has_flag(contract::kFlagIpv4Open)) close_ipv4();
  if (!ipv6_ && has_flag(contract::kFlagIpv6Open)) close_ipv6();
  if (configured_ && !lcp_open) send_configuration(*configured_);
}

bool DataplaneSession::lacks_ipv4() const noexcept { return !has_flag(contract::kFlagIpv4Open); }

bool DataplaneSession::lacks(const contract::SessionService& service) const noexcept {
  const auto& known = record();
  const std::uint32_t flags = known.flags.load(std::memory_order_acquire);
  const contract::OctetRate upstream = to_octet_rate(service.rates.upstream);
  const contract::OctetRate downstream = to_octet_rate(service.rates.downstream);
  const bool limited = upstream || downstream;
  if (limited != ((flags & contract::kFlagRates) != 0)) return true;
  if (limited && (known.upstream_rate != upstream || known.downstream.rate != downstream))
    return true;
  const std::uint16_t group =
      (flags & contract::kFlagRateGroup) != 0 ? known.downstream.rate_group : std::uint16_t{0};
  if (group != service.rate_group) return true;
  return contract::upstream_filter(flags) != service.filters.upstream ||
         contract::downstream_filter(flags) != service.filters.downstream;
}

std::optional<model::OpenIpv6> DataplaneSession::missing_ipv6() const noexcept {
  return has_flag(contract::kFlagIpv6Open) ? std::nullopt : ipv6_;
}

}  // namespace pns::subscriber
