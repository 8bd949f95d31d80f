// SPDX-License-Identifier: BSD-3-Clause
//
// DataplaneSession: one session as the dataplane has it. Sends its commands once the changes before
// them are stored (docs/decisions/0008), and says again what a dataplane that was lost never heard.
// Event-loop thread only. A part of a Session, which it keeps alive while a command waits.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "controlplane/dataplane_link/dataplane_commands.hpp"
#include "controlplane/model/lease.hpp"
#include "controlplane/model/link_actions.hpp"
#include "controlplane/ppp/link.hpp"
#include "controlplane/subscriber/services.hpp"
#include "pns/base/ids.hpp"

namespace pns::subscriber {

class Session;

class DataplaneSession {
 public:
  // `session` owns this.
  DataplaneSession(Services& services, Session& session) : services_(services), session_(session) {}
  DataplaneSession(const DataplaneSession&) = delete;
  DataplaneSession& operator=(const DataplaneSession&) = delete;

  void set_generation(std::uint32_t generation) noexcept { generation_ = generation; }
  [[nodiscard]] control::SessionHandle handle() const noexcept;
  [[nodiscard]] const contract::SessionRecord& record() const noexcept;
  // Session memory holds this session.
  [[nodiscard]] bool is_installed() const noexcept;
  // CLOCK_MONOTONIC, when the last GRE of the peer came; 0: none came.
  [[nodiscard]] std::uint64_t last_heard_ns() const noexcept;
  // The peer has sent GRE under its Call ID. The dataplane forgets it when it lets go.
  [[nodiscard]] bool carried_gre() const noexcept;
  // It has MPPE keys.
  [[nodiscard]] bool is_armed() const noexcept;
  // IPV6CP lets data flow.
  [[nodiscard]] bool ipv6_flows() const noexcept { return ipv6_.has_value(); }

  // ---- Commands. The session fails when one cannot be sent.
  void inject(const model::SendFrame& frame);
  void configure_link(const model::ConfigureLink& action);
  void arm(const model::ArmMppe& action);
  void disarm();
  // Rates and filters from now on. `done`, when given, hears whether they hold: false when the
  // dataplane is not there, refuses, or is older. Without `done` a refused filter fails the
  // session.
  using Held = std::move_only_function<void(bool held)>;
  void set_service(const contract::SessionService& service, Held done = {});
  // `mtu`: octets of inner IP. `rate`: contract::rate_of_both().
  void open_ipv4(Ipv4Address subscriber, Ipv4Address gateway, std::uint16_t mtu,
                 std::uint64_t rate);
  void close_ipv4();
  void open_ipv6(const Ipv6Prefix& prefix, const model::OpenIpv6& ids, std::uint16_t mtu,
                 std::uint64_t rate);
  void close_ipv6();

  // ---- After a restart of either plane.
  // The open link of an earlier process, as its dataplane session was told.
  void resume(const ppp::LinkSnapshot& link);
  // Compares what was said with session memory: closes what is open by mistake, and configures the
  // link again. `ipv4_flows`: the link lets IPv4 flow.
  void repeat_commands(bool ipv4_flows);
  [[nodiscard]] bool lacks_ipv4() const noexcept;
  [[nodiscard]] bool lacks(const contract::SessionService& service) const noexcept;
  // The interface identifiers of an IPv6 that is not open and must be; empty: nothing is missing.
  [[nodiscard]] std::optional<model::OpenIpv6> missing_ipv6() const noexcept;

 private:
  template <class Command>
  void send(std::size_t octets, Command command);
  void send_configuration(const contract::ConfigureLink& link);
  void on_refused(control::IpcError error);
  void on_service_answer(const control::DataplaneCommands::Reply& reply);
  void on_address_answer(const control::DataplaneCommands::Reply& reply);
  [[nodiscard]] control::DataplaneCommands::Completion address_completion();
  [[nodiscard]] bool has_flag(std::uint32_t flag) const noexcept;

  Services& services_;
  Session& session_;
  std::uint32_t generation_ = 0;
  std::optional<contract::ConfigureLink> configured_;  // while LCP is open
  std::optional<model::OpenIpv6> ipv6_;                // while IPV6CP lets data flow
};

}  // namespace pns::subscriber
