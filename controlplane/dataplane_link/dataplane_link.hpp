// SPDX-License-Identifier: BSD-3-Clause
//
// DataplaneLink: typed commands to the dataplane and its events back, over pns/contract's Channel.
// Connects by itself, and again whenever the dataplane comes back. Commands of one session are
// carried out in the order given. At most kCommandCredits commands wait for an answer.
//
// It decides nothing: the subscriber folder calls it and is called by it.
// Event-loop thread only. Never blocks.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <string_view>
#include <unordered_map>

#include "controlplane/dataplane_link/dataplane_commands.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/ids.hpp"
#include "pns/contract/channel.hpp"
#include "pns/contract/messages.hpp"

namespace pns::control {

class DataplaneLink final : public DataplaneCommands {
 public:
  // Called on the event loop. The octets of a frame are valid during the call.
  struct Events {
    std::function<void()> attached;
    std::function<void()> detached;
    std::function<void(SessionHandle, Bytes frame)> punted;  // from the Protocol field on
    // Encrypted packets arrive and none opens; `opened`: one has, since MPPE was armed last.
    std::function<void(SessionHandle, bool opened)> path_dead;
  };
  struct Statistics {
    std::uint64_t attaches = 0;
    std::uint64_t commands = 0;
    std::uint64_t commands_refused = 0;  // credits or ring
    std::uint64_t events = 0;
    std::uint64_t replies_unknown = 0;
  };

  DataplaneLink(asio::io_context& context, std::filesystem::path socket_path, Events events);
  DataplaneLink(const DataplaneLink&) = delete;
  DataplaneLink& operator=(const DataplaneLink&) = delete;
  ~DataplaneLink() override;

  // Starts connecting; `attached` is called each time it succeeds.
  void start();
  // Drops the channel and does not reconnect.
  void stop();

  [[nodiscard]] bool attached() const noexcept override { return static_cast<bool>(channel_); }
  [[nodiscard]] const Statistics& statistics() const noexcept { return statistics_; }

  [[nodiscard]] Sent install(SlotId slot, const contract::InstallSession& spec,
                             Completion done) override;
  [[nodiscard]] Sent remove(SessionHandle session, Completion done) override;
  [[nodiscard]] Sent configure_link(SessionHandle session,
                                    const contract::ConfigureLink& link) override;
  [[nodiscard]] Sent arm_mppe(SessionHandle session, contract::ArmMppe& keys) override;
  [[nodiscard]] Sent disarm_mppe(SessionHandle session) override;
  [[nodiscard]] Sent open_ipv4(SessionHandle session, const contract::OpenIpv4& open,
                               Completion done) override;
  [[nodiscard]] Sent close_ipv4(SessionHandle session) override;
  [[nodiscard]] Sent open_ipv6(SessionHandle session, const contract::OpenIpv6& open,
                               Completion done) override;
  [[nodiscard]] Sent close_ipv6(SessionHandle session) override;
  [[nodiscard]] Sent set_service(SessionHandle session, const contract::SessionService& service,
                                 Completion done) override;
  [[nodiscard]] Sent set_networks(SessionHandle session, const Networks& networks,
                                  Completion done) override;
  [[nodiscard]] Sent inject(SessionHandle session, Bytes frame) override;
  // Wakes the dataplane once for all that was sent since.
  void flush() noexcept;

 private:
  [[nodiscard]] Sent send(contract::MessageType type, SlotId slot, std::uint32_t generation,
                          Bytes body, Bytes payload, Completion* done);
  void connect();
  void connect_later();
  void on_hand_shake();
  void wait_events();
  void drain_events();
  void wait_hang_up();
  void detach();

  asio::io_context& context_;
  std::filesystem::path socket_path_;
  Events events_;
  asio::steady_timer retry_;
  asio::posix::stream_descriptor socket_;
  asio::posix::stream_descriptor event_descriptor_;
  contract::Channel channel_;
  contract::RingProducer commands_;
  contract::RingConsumer event_ring_;
  std::unordered_map<std::uint32_t, Completion> outstanding_;
  std::uint32_t next_request_ = 1;
  bool stopped_ = false;
  bool flush_posted_ = false;
  Statistics statistics_;
};

}  // namespace pns::control
