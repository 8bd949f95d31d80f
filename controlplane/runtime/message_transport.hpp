// SPDX-License-Identifier: BSD-3-Clause
//
// MessageTransport: the stream that carries the control messages of one connection. ControlSocket
// is the product's; session tests have one without a socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "pns/base/bytes.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/unique_fd.hpp"

namespace pns::control {

class MessageTransport {
 public:
  // The result of one look at the head of the stream.
  struct Framing {
    std::size_t message = 0;  // octets of the first whole message; 0: more are needed
    std::size_t needed = 0;   // octets in all, where more are needed
    bool stop = false;        // the stream must not be read any more
  };

  // Hears of the streams of all its connections. It outlives them.
  class Owner {
   public:
    Owner() = default;
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    virtual ~Owner() = default;
    virtual Framing frame(ConnectionId id, Bytes head) = 0;
    // One message as frame() found it. It is consumed afterwards.
    virtual void on_message(ConnectionId id, Bytes message) = 0;
    // By the peer, or the peer does not read.
    virtual void on_closed(ConnectionId id, EndReason reason) = 0;
    // There may be messages, or the end of the stream: the owner calls read(), at once or soon.
    virtual void on_readable(ConnectionId id) = 0;
    // Calls `consume` once the effects of the messages so far are stored, at once or later.
    virtual void when_handled(ConnectionId id, std::move_only_function<void()> consume) = 0;
  };
  // Makes the transport of a connected TCP socket.
  using Factory = std::function<std::shared_ptr<MessageTransport>(UniqueFd, ConnectionId, Owner&)>;

  MessageTransport() = default;
  MessageTransport(const MessageTransport&) = delete;
  MessageTransport& operator=(const MessageTransport&) = delete;
  virtual ~MessageTransport() = default;

  // Begins to read.
  virtual void start() = 0;
  // After Owner::on_readable(): handles at most so many messages that are there, and consumes them.
  // Result: how many. on_readable() follows when there may be more.
  virtual std::size_t read(std::size_t max_messages) = 0;
  // One message, whole. Closes with connection_write_stalled when too much waits.
  virtual void send(Bytes message) = 0;
  // Closes once everything is flushed, at the latest after a second. No events follow.
  virtual void close_after_flush() = 0;
  // Takes nothing more from the peer: later messages stay in the kernel.
  virtual void stop_reading() = 0;
  // Whether everything that was sent is with the kernel.
  [[nodiscard]] virtual bool is_flushed() const = 0;
  // Octets of the stream up to the end of the last message that was handled.
  [[nodiscard]] virtual std::uint64_t handled_up_to() const = 0;
  // For a connection taken over, before start(): passes over octets up to `up_to`, which the
  // earlier process handled and did not consume. True: there were such octets.
  virtual bool skip_handled(std::uint64_t up_to) = 0;
};

// Holds what must outlive this process: each connection's socket, and routes of the kernel.
class ConnectionKeeper {
 public:
  ConnectionKeeper() = default;
  ConnectionKeeper(const ConnectionKeeper&) = delete;
  ConnectionKeeper& operator=(const ConnectionKeeper&) = delete;
  virtual ~ConnectionKeeper() = default;

  // Keeps a duplicate of `fd`.
  virtual void store_connection(ConnectionId id, int fd, Ipv4Address local, Ipv4Address peer,
                                std::uint16_t peer_port) = 0;
  virtual void forget_connection(ConnectionId id) = 0;
  // A network behind a subscriber, of either family, is in force from now on, or no more.
  virtual void set_route(const std::string& network, bool in_force) = 0;
};

}  // namespace pns::control
