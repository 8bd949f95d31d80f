// SPDX-License-Identifier: BSD-3-Clause
//
// WorkerCommand: what main asks of a worker. It lies in the private area of an mbuf (in the place
// of the PacketContext) that goes through the worker's commands ring; frames are the mbuf's data.
// Executed in the order sent, between bursts. The worker frees the mbuf, and wipes one with keys.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "dataplane/packet/doorbell.hpp"
#include "dataplane/packet/packet_context.hpp"
#include "pns/base/secret.hpp"
#include "pns/contract/messages.hpp"

namespace pns::dataplane {

enum class WorkerCommandType : std::uint16_t {
  kConfigureLink = static_cast<std::uint16_t>(contract::MessageType::kConfigureLink),
  kArmMppe = static_cast<std::uint16_t>(contract::MessageType::kArmMppe),
  kDisarmMppe = static_cast<std::uint16_t>(contract::MessageType::kDisarmMppe),
  kOpenIpv4 = static_cast<std::uint16_t>(contract::MessageType::kOpenIpv4),
  kCloseIpv4 = static_cast<std::uint16_t>(contract::MessageType::kCloseIpv4),
  kInjectFrame = static_cast<std::uint16_t>(contract::MessageType::kInjectFrame),
  kOpenIpv6 = static_cast<std::uint16_t>(contract::MessageType::kOpenIpv6),
  kCloseIpv6 = static_cast<std::uint16_t>(contract::MessageType::kCloseIpv6),
  kSetNetworks = static_cast<std::uint16_t>(contract::MessageType::kSetNetworks),
  kSetService = static_cast<std::uint16_t>(contract::MessageType::kSetService),
  // Data: an Ethernet frame, sent out of `port` as it is; an IP packet in it that is for a
  // subscriber goes to the subscriber instead.
  kSendFrame = 1024,
};

struct alignas(8) WorkerCommand {
  WorkerCommandType type{};
  contract::PortRole port{};  // kSendFrame
  std::uint8_t reserved = 0;
  SlotId slot;
  std::uint32_t generation = 0;  // a command for another generation does nothing
  std::uint32_t reserved2 = 0;
  union Body {
    contract::ConfigureLink configure_link;
    contract::ArmMppe arm_mppe;
    contract::OpenIpv4 open_ipv4;
    contract::OpenIpv6 open_ipv6;
    contract::SetNetworks set_networks;
    contract::SessionService set_service;
    Body() noexcept : configure_link{} {}
  } body;
};

static_assert(sizeof(WorkerCommand) <= kMbufPrivateSize);
static_assert(std::is_trivially_copyable_v<WorkerCommand>);

[[nodiscard]] inline WorkerCommand& command_of(rte_mbuf* packet) noexcept {
  return *static_cast<WorkerCommand*>(rte_mbuf_to_priv(packet));
}

// An mbuf that carries the command and, when given, a frame. Null: no buffer, or frame too long.
[[nodiscard]] inline rte_mbuf* make_command(rte_mempool* pool, const WorkerCommand& command,
                                            Bytes frame = {}) noexcept {
  rte_mbuf* const packet = packet_of(pool, frame);
  if (packet == nullptr) return nullptr;
  std::memcpy(static_cast<void*>(&command_of(packet)), &command, sizeof(command));
  return packet;
}

// Overwrites a command that carried keys, wherever it ends.
inline void wipe_command(rte_mbuf* packet) noexcept {
  wipe({static_cast<std::byte*>(rte_mbuf_to_priv(packet)), kMbufPrivateSize});
}

}  // namespace pns::dataplane
