// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/tcp_link.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <asio/buffer.hpp>
#include <cstring>
#include <utility>

namespace pns::loadgen {

using asio::ip::tcp;

namespace {

std::string reason_of(const asio::error_code& error) {
  if (error == asio::error::eof) return "connection closed";
  if (error == asio::error::connection_reset) return "connection reset";
  if (error == asio::error::connection_refused) return "connection refused";
  return error.message();
}

}  // namespace

void TcpLink::connect(Ipv4Address from, Ipv4Address to) {
  asio::error_code error;
  socket_.open(tcp::v4(), error);
  // The port is chosen with the connection: one port serves several destinations, and is found at
  // once however many are taken.
  constexpr int kOn = 1;
  (void)::setsockopt(socket_.native_handle(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &kOn,
                     sizeof(kOn));
  if (!error) socket_.bind({asio::ip::address_v4(from.value), 0}, error);
  socket_.async_connect({asio::ip::address_v4(to.value), wire::pptp::kTcpPort},
                        [self = shared_from_this()](const asio::error_code& failed) {
                          if (self->closed_) return;
                          if (failed) return self->lose(reason_of(failed));
                          self->handlers_.on_connected();
                          if (!self->closed_) self->start();
                        });
}

void TcpLink::start() {
  asio::error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  // A thousand requests of one PAC at once, each in a segment of its own.
  constexpr int kSendBuffer = 4 << 20;
  (void)::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_SNDBUFFORCE, &kSendBuffer,
                     sizeof(kSendBuffer));
  read();
}

void TcpLink::read() {
  socket_.async_read_some(
      asio::buffer(buffer_.data() + filled_, buffer_.size() - filled_),
      [self = shared_from_this()](const asio::error_code& error, std::size_t got) {
        if (self->closed_ || self->frozen_) return;
        if (error) return self->lose(reason_of(error));
        self->filled_ += got;
        std::size_t used = 0;
        for (;;) {
          const Bytes head = Bytes(self->buffer_).subspan(used, self->filled_ - used);
          const auto length = wire::pptp::check_header(head);
          if (!length) return self->lose("not PPTP");
          if (!*length || head.size() < **length) break;
          const auto message = wire::pptp::parse_message(head);
          used += **length;
          if (message) self->handlers_.on_message(*message);
          if (self->closed_ || self->frozen_) return;
        }
        std::memmove(self->buffer_.data(), self->buffer_.data() + used, self->filled_ - used);
        self->filled_ -= used;
        self->read();
      });
}

bool TcpLink::send(const wire::pptp::Message& message) {
  if (closed_ || mute_) return false;
  std::array<std::byte, wire::pptp::kLongestMessage> buffer;
  const std::size_t size = wire::pptp::write_message(buffer, message);
  return ::send(socket_.native_handle(), buffer.data(), size, MSG_NOSIGNAL | MSG_EOR) ==
         static_cast<ssize_t>(size);
}

void TcpLink::close() {
  closed_ = true;
  asio::error_code ignored;
  socket_.close(ignored);
}

void TcpLink::reset() {
  asio::error_code ignored;
  socket_.set_option(tcp::socket::linger(true, 0), ignored);
  close();
}

void TcpLink::finish() {
  mute_ = true;
  asio::error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

void TcpLink::freeze() {
  mute_ = frozen_ = true;
  asio::error_code ignored;
  socket_.cancel(ignored);
}

bool TcpLink::closed_by_peer() {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (closed_ || ::getsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
    return true;
  return info.tcpi_state == TCP_CLOSE || info.tcpi_state == TCP_CLOSE_WAIT ||
         info.tcpi_state == TCP_LAST_ACK || info.tcpi_state == TCP_CLOSING;
}

void TcpLink::lose(std::string why) {
  close();
  handlers_.on_closed(std::move(why));
}

std::uint16_t TcpLink::local_port() const {
  asio::error_code ignored;
  return socket_.local_endpoint(ignored).port();
}

}  // namespace pns::loadgen
