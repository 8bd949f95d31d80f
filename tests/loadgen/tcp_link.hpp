// SPDX-License-Identifier: BSD-3-Clause
//
// TcpLink: one TCP connection of the event loop that carries PPTP control messages: connects (or
// takes an accepted socket), cuts the stream into messages, writes each message whole. Callbacks
// come from the loop, none after close(). One thread.
#pragma once

#include <array>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "pns/base/ip_address.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::loadgen {

class TcpLink : public std::enable_shared_from_this<TcpLink> {
 public:
  struct Handlers {
    std::function<void()> on_connected;
    std::function<void(const wire::pptp::Message& message)> on_message;
    // By the other side, or never connected, or no PPTP; once.
    std::function<void(std::string why)> on_closed;
  };

  explicit TcpLink(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}
  ~TcpLink() = default;

  void handle(Handlers handlers) { handlers_ = std::move(handlers); }
  void connect(Ipv4Address from, Ipv4Address to);
  // For an accepted socket: begins to read.
  void start();
  // One message in one segment. False: the kernel did not take it.
  bool send(const wire::pptp::Message& message);
  void close();
  // ---- Ends of a peer that dies. After each, nothing is sent any more.
  void reset();   // RST
  void finish();  // FIN; on_closed follows when the other side closes, too
  void freeze();  // nothing is read any more, the socket stays
  // Whether the other side has sent FIN or RST, read or not.
  [[nodiscard]] bool closed_by_peer();

  [[nodiscard]] std::uint16_t local_port() const;

 private:
  void read();
  void lose(std::string why);

  asio::ip::tcp::socket socket_;
  Handlers handlers_;
  bool closed_ = false;
  bool mute_ = false;    // sends nothing
  bool frozen_ = false;  // reads nothing
  std::array<std::byte, 4096> buffer_{};
  std::size_t filled_ = 0;
};

}  // namespace pns::loadgen
