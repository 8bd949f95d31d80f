// SPDX-License-Identifier: BSD-3-Clause
//
// DataplaneCommands: everything that the control process asks of the dataplane. DataplaneLink sends
// the commands over pns/contract's Channel; a session test records them. Event-loop thread only.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string_view>

#include "pns/base/bytes.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/networks.hpp"
#include "pns/contract/messages.hpp"

namespace pns::control {

enum class IpcError : std::uint8_t { kDetached, kNoCredit, kRingFull };

[[nodiscard]] constexpr std::string_view name_of(IpcError error) noexcept {
  switch (error) {
    case IpcError::kDetached:
      return "dataplane not attached";
    case IpcError::kNoCredit:
      return "too many commands outstanding";
    case IpcError::kRingFull:
      return "command ring full";
  }
  return "invalid";
}

// A session as the dataplane knows it: its slot, and which of the slot's sessions it is.
struct SessionHandle {
  SlotId slot;
  std::uint32_t generation = 0;
};

class DataplaneCommands {
 public:
  using Reply = std::expected<contract::Reply, IpcError>;
  using Completion = std::move_only_function<void(const Reply&)>;
  using Sent = std::expected<void, IpcError>;

  DataplaneCommands() = default;
  DataplaneCommands(const DataplaneCommands&) = delete;
  DataplaneCommands& operator=(const DataplaneCommands&) = delete;
  virtual ~DataplaneCommands() = default;

  [[nodiscard]] virtual bool attached() const noexcept = 0;

  // Each command is sent or refused at once. A completion is called later, also when the dataplane
  // is lost.
  [[nodiscard]] virtual Sent install(SlotId slot, const contract::InstallSession& spec,
                                     Completion done) = 0;
  [[nodiscard]] virtual Sent remove(SessionHandle session, Completion done) = 0;
  [[nodiscard]] virtual Sent configure_link(SessionHandle session,
                                            const contract::ConfigureLink& link) = 0;
  // Wipes its argument.
  [[nodiscard]] virtual Sent arm_mppe(SessionHandle session, contract::ArmMppe& keys) = 0;
  [[nodiscard]] virtual Sent disarm_mppe(SessionHandle session) = 0;
  [[nodiscard]] virtual Sent open_ipv4(SessionHandle session, const contract::OpenIpv4& open,
                                       Completion done) = 0;
  [[nodiscard]] virtual Sent close_ipv4(SessionHandle session) = 0;
  [[nodiscard]] virtual Sent open_ipv6(SessionHandle session, const contract::OpenIpv6& open,
                                       Completion done) = 0;
  [[nodiscard]] virtual Sent close_ipv6(SessionHandle session) = 0;
  // Rates and filters from now on. No answer is wanted when `done` is empty.
  [[nodiscard]] virtual Sent set_service(SessionHandle session,
                                         const contract::SessionService& service,
                                         Completion done) = 0;
  // At most kMaxSessionNetworks.
  [[nodiscard]] virtual Sent set_networks(SessionHandle session, const Networks& networks,
                                          Completion done) = 0;
  // A PPP frame, clear, from the Address field on; at most contract::kMaxFrame octets.
  [[nodiscard]] virtual Sent inject(SessionHandle session, Bytes frame) = 0;
};

}  // namespace pns::control
