// SPDX-License-Identifier: BSD-3-Clause
//
// SupervisorLink: the control process's side of the socket it inherited. Stores each accepted TCP
// socket with the supervisor, so that a SIGKILL of this process closes none of them; has it set
// routes; says that the loop turns; hears when to stop. Event-loop thread only. Never blocks.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "controlplane/runtime/message_transport.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/contract/process.hpp"
#include "pns/contract/supervisor_protocol.hpp"

namespace pns::control {

class SupervisorLink final : public ConnectionKeeper {
 public:
  struct Events {
    std::function<void(Milliseconds within)> stop;
    std::function<void(Milliseconds within)> leave{};  // end, but not the calls
    std::function<void()> lost;                        // the supervisor is gone
    std::function<void(ConnectionId id)> not_kept{};  // a connection that a successor would not get
  };

  // `version`: of the supervisor's protocol. One that knows no routes is not told of any.
  SupervisorLink(asio::io_context& context, UniqueFd socket, std::uint32_t version, Events events);
  SupervisorLink(const SupervisorLink&) = delete;
  SupervisorLink& operator=(const SupervisorLink&) = delete;

  // Begins to listen and to send the watchdog beat.
  void start();
  void ready();
  // The supervisor gets its own duplicate of `fd`.
  void store_connection(ConnectionId id, int fd, Ipv4Address local, Ipv4Address peer,
                        std::uint16_t peer_port) override;
  void forget_connection(ConnectionId id) override;
  void set_route(const std::string& network, bool in_force) override;

  // Asks for a planned restart. `answer` is called once: with nothing when the supervisor accepts,
  // with the reason when it refuses.
  using RestartAnswer = std::function<void(std::optional<std::string> refusal)>;
  struct Restart {
    contract::Process what{};
    Seconds within{0};  // how long the asker waits; 0: not told
    // For control alone: the configuration before returns after so long, unless it is confirmed;
    // 0: it does not.
    Seconds confirm_within{0};
  };
  void request_restart(const Restart& restart, RestartAnswer answer);
  // The configuration that waits to be confirmed stays.
  void confirm(RestartAnswer answer);

  // Messages that wait because the supervisor is slow; bounded by what connections
  // and routes there are.
  [[nodiscard]] std::size_t backlog() const noexcept { return backlog_.size(); }

 private:
  struct Pending {
    contract::SupervisorMessage message;
    UniqueFd fd;
  };

  void ask(contract::SupervisorMessage message, RestartAnswer answer);
  void on_restart_answer(const contract::SupervisorMessage& message);
  void send(const contract::SupervisorMessage& message, int fd);
  void wait_writable();
  void wait_message();
  void beat();

  asio::posix::stream_descriptor socket_;
  asio::steady_timer beat_timer_;
  std::uint32_t version_;
  Events events_;
  std::deque<Pending> backlog_;
  std::map<std::uint32_t, RestartAnswer> restarts_;  // asked for, by number
  std::uint32_t next_request_ = 0;
  bool writing_ = false;
};

}  // namespace pns::control
