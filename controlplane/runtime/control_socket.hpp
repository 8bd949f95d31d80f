// SPDX-License-Identifier: BSD-3-Clause
//
// ControlSocket: one accepted TCP 1723 socket on the event loop.
//
// Reading: octets are looked at with MSG_PEEK, handled one whole message at a time, and consumed
// after that, so that a process that dies leaves to its successor half messages and messages that
// had no effect yet. A message whose effect was stored before the process died is told from these
// by its place in the stream (handled_up_to, skip_handled). While a message is incomplete
// SO_RCVLOWAT makes the kernel wake us only when the rest is there.
// A bounded number of messages is handled in one turn of the loop; then other sockets and timers
// get theirs. The owner decides when and how many (Owner::on_readable, read()). They are consumed
// together, when the owner says that they may be (Owner::when_handled), and nothing more is looked
// at before.
// Writing: each message is one send() marked end-of-record, so that the kernel never glues two into
// one segment (NAT helpers parse one message per segment). The octets that the peer does not read
// are bounded; while they wait, nothing more is read from that peer.
//
// Event-loop thread only. Never blocks. The owner may destroy it inside a handler.
#pragma once

#include <asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "controlplane/runtime/message_transport.hpp"
#include "controlplane/runtime/socket_poller.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/unique_fd.hpp"

namespace pns::control {

// Most octets that may wait for a peer that does not read.
inline constexpr std::size_t kMaxUnsent = 16 * 1024;
// Messages of one socket that are handled at most before others get their turn.
inline constexpr std::size_t kMessagesPerTurn = 32;

class ControlSocket final : public MessageTransport,
                            public SocketPoller::Socket,
                            public std::enable_shared_from_this<ControlSocket> {
 public:
  ControlSocket(SocketPoller& poller, UniqueFd fd, ConnectionId id, Owner& owner);

  void start() override;
  std::size_t read(std::size_t max_messages) override;
  void send(Bytes message) override;
  void close_after_flush() override;
  void stop_reading() override { read_stopped_ = true; }
  [[nodiscard]] bool is_flushed() const override { return unsent_.empty(); }
  // Closes now. No events follow.
  void close();

  [[nodiscard]] int native_handle() const noexcept { return fd_.get(); }

  [[nodiscard]] std::uint64_t handled_up_to() const override { return consumed_ + handled_; }
  bool skip_handled(std::uint64_t up_to) override;

 private:
  [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(fd_); }
  // ---- SocketPoller::Socket
  void on_readable() override;
  void on_writable() override;

  void wait(SocketPoller::Wait what);
  void wait_readable();
  void announce();
  void consume(bool more);
  void look_again();
  void set_low_water(std::size_t octets);
  [[nodiscard]] bool write_some();
  void wait_writable();
  asio::steady_timer& flush_timer();
  void fail(EndReason reason);

  SocketPoller& poller_;
  Owner& owner_;
  ConnectionId id_;
  UniqueFd fd_;
  std::uint32_t low_water_ = 0;  // 0: unknown; a process before this one may have set it
  std::unique_ptr<asio::steady_timer> flush_timer_;  // null: it has sent everything
  std::vector<std::vector<std::byte>> unsent_;       // oldest first
  std::size_t unsent_octets_ = 0;
  std::uint64_t consumed_ = 0;  // octets, since the connection was made
  std::size_t handled_ = 0;     // octets handled, or being handled, and not consumed
  bool closing_ = false;
  bool reading_ = false;    // it waits for the kernel
  bool announced_ = false;  // Owner::on_readable() was called, read() not yet
  bool writing_ = false;
  bool read_stopped_ = false;
};

}  // namespace pns::control
