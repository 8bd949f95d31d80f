// SPDX-License-Identifier: BSD-3-Clause
//
// SocketPoller: waits for thousands of sockets with one descriptor of the event loop (epoll). Asio
// keeps some hundred octets for each descriptor of its own, and never gives all of them back.
//
// Event-loop thread only. Never blocks.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace pns::control {

class SocketPoller {
 public:
  class Socket {
   public:
    Socket() = default;
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    virtual ~Socket() = default;
    // The descriptor may be readable or writable, as wait() asked, or has failed.
    virtual void on_readable() = 0;
    virtual void on_writable() = 0;
  };
  enum class Wait : std::uint8_t { kReadable = 1, kWritable = 2 };

  explicit SocketPoller(asio::io_context& context);
  ~SocketPoller();
  SocketPoller(const SocketPoller&) = delete;
  SocketPoller& operator=(const SocketPoller&) = delete;

  [[nodiscard]] asio::io_context& context() noexcept { return context_; }

  // Calls on_readable() or on_writable() once. `socket` lives until then, or until forget(). Both
  // waits of one descriptor may be open at once. False: the kernel has no room for it.
  [[nodiscard]] bool wait(int fd, Wait what, std::shared_ptr<Socket> socket);
  // Before the descriptor is closed: another process may hold a duplicate, which would keep it
  // here.
  void forget(int fd) noexcept;

 private:
  struct Entry {
    std::shared_ptr<Socket> socket;  // while it waits
    unsigned waits = 0;              // bits of Wait
    bool known = false;              // to epoll
  };

  [[nodiscard]] bool arm(int fd, Entry& entry) noexcept;
  void wait_for_any();
  void run();

  asio::io_context& context_;
  asio::posix::stream_descriptor epoll_;
  std::vector<Entry> entries_;  // by descriptor
};

}  // namespace pns::control
