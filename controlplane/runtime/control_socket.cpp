// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/control_socket.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <asio/post.hpp>
#include <cerrno>
#include <chrono>
#include <utility>

#include "controlplane/runtime/tcp_stream.hpp"

namespace pns::control {
namespace {

// More than kMessagesPerTurn messages of any kind (at most 220 octets each).
constexpr std::size_t kPeekSize = 8192;
constexpr auto kFlushTime = std::chrono::seconds(1);
constexpr auto kStallTime = std::chrono::seconds(30);

bool hung_up(int fd) noexcept {
  pollfd state{fd, POLLRDHUP, 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace

// Every call on the descriptor has MSG_DONTWAIT.
ControlSocket::ControlSocket(SocketPoller& poller, UniqueFd fd, ConnectionId id, Owner& owner)
    : poller_(poller), owner_(owner), id_(id), fd_(std::move(fd)) {
  const int one = 1;
  (void)::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

bool ControlSocket::skip_handled(std::uint64_t up_to) {
  consumed_ = octets_consumed(fd_.get()).value_or(up_to);
  if (up_to <= consumed_ || up_to - consumed_ > kPeekSize) return false;
  std::array<std::byte, kPeekSize> handled;
  const auto got = ::recv(fd_.get(), handled.data(), up_to - consumed_, MSG_DONTWAIT);
  if (got <= 0) return false;
  consumed_ += static_cast<std::uint64_t>(got);
  return true;
}

void ControlSocket::start() {
  set_low_water(1);
  wait_readable();
}

void ControlSocket::set_low_water(std::size_t octets) {
  if (octets == low_water_) return;
  low_water_ = static_cast<std::uint32_t>(octets);
  const int value = static_cast<int>(octets);
  (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));
}

void ControlSocket::wait(SocketPoller::Wait what) {
  if (!poller_.wait(fd_.get(), what, shared_from_this()))
    asio::post(poller_.context(),
               [self = shared_from_this()] { self->fail(EndReason::descriptor_limit); });
}

void ControlSocket::wait_readable() {
  if (reading_ || read_stopped_ || closing_ || !is_open() || !unsent_.empty()) return;
  reading_ = true;
  wait(SocketPoller::Wait::kReadable);
}

void ControlSocket::on_readable() {
  reading_ = false;
  announce();
}

void ControlSocket::announce() {
  if (!is_open() || closing_ || read_stopped_ || announced_) return;
  announced_ = true;
  owner_.on_readable(id_);
}

std::size_t ControlSocket::read(std::size_t max_messages) {
  announced_ = false;
  if (!is_open() || closing_ || read_stopped_ || handled_ != 0 || !unsent_.empty()) return 0;
  max_messages = std::min(max_messages, kMessagesPerTurn);
  const auto self = shared_from_this();
  std::array<std::byte, kPeekSize> buffer;
  ssize_t got = 0;
  do got = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    set_low_water(1);
    wait_readable();
    return 0;
  }
  if (got <= 0) {
    fail(got == 0 ? EndReason::peer_closed_tcp : EndReason::peer_reset_tcp);
    return 0;
  }
  const Bytes peeked = Bytes(buffer).first(static_cast<std::size_t>(got));
  bool more = peeked.size() == buffer.size();
  std::size_t needed = 1;  // octets behind the messages that are handled
  std::size_t messages = 0;
  for (; handled_ < peeked.size(); ++messages) {
    if (messages == max_messages || !unsent_.empty()) {
      more = true;
      break;
    }
    const Bytes head = peeked.subspan(handled_);
    const auto framing = owner_.frame(id_, head);
    if (framing.stop) read_stopped_ = true;
    if (!is_open() || closing_ || read_stopped_) break;
    if (framing.message == 0) {
      // If the peer has closed its side the rest will never come.
      if (messages == 0 && hung_up(fd_.get())) {
        fail(EndReason::peer_closed_tcp);
        return 0;
      }
      needed = framing.needed;
      break;
    }
    handled_ += framing.message;
    owner_.on_message(id_, head.first(framing.message));
    if (!is_open() || closing_ || read_stopped_) break;
  }
  if (!is_open()) return messages;
  set_low_water(needed);
  if (handled_ == 0)
    wait_readable();
  else
    owner_.when_handled(id_, [self, more] { self->consume(more); });
  return messages;
}

// Takes what was handled out of the kernel. More: there may be further messages behind it.
void ControlSocket::consume(bool more) {
  if (!is_open()) return;
  std::array<std::byte, kPeekSize> octets;
  const auto taken = ::recv(fd_.get(), octets.data(), handled_, MSG_DONTWAIT);
  if (taken != static_cast<ssize_t>(handled_)) return fail(EndReason::peer_reset_tcp);
  consumed_ += handled_;
  handled_ = 0;
  more ? look_again() : wait_readable();
}

// In a turn of its own.
void ControlSocket::look_again() {
  asio::post(poller_.context(), [self = shared_from_this()] { self->announce(); });
}

void ControlSocket::send(Bytes message) {
  if (!is_open() || closing_) return;
  if (unsent_octets_ + message.size() > kMaxUnsent)
    return fail(EndReason::connection_write_stalled);
  unsent_.emplace_back(message.begin(), message.end());
  unsent_octets_ += message.size();
  if (unsent_.size() == 1 && !write_some()) return;
  if (!unsent_.empty()) wait_writable();
}

// Sends what can be sent. False: the connection failed.
bool ControlSocket::write_some() {
  while (!unsent_.empty()) {
    auto& first = unsent_.front();
    const auto sent =
        ::send(fd_.get(), first.data(), first.size(), MSG_NOSIGNAL | MSG_DONTWAIT | MSG_EOR);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (sent < 0) {
      fail(EndReason::peer_reset_tcp);
      return false;
    }
    unsent_octets_ -= static_cast<std::size_t>(sent);
    if (static_cast<std::size_t>(sent) < first.size())
      first.erase(first.begin(), first.begin() + sent);
    else
      unsent_.erase(unsent_.begin());
  }
  unsent_.shrink_to_fit();
  return true;
}

void ControlSocket::wait_writable() {
  if (writing_) return;
  writing_ = true;
  if (!closing_) {
    flush_timer().expires_after(kStallTime);
    flush_timer_->async_wait([self = shared_from_this()](const asio::error_code& error) {
      if (!error && !self->unsent_.empty()) self->fail(EndReason::connection_write_stalled);
    });
  }
  wait(SocketPoller::Wait::kWritable);
}

void ControlSocket::on_writable() {
  writing_ = false;
  if (!is_open() || !write_some()) return;
  if (!unsent_.empty()) return wait_writable();
  flush_timer_.reset();
  if (closing_) return close();
  announce();  // reading was held back meanwhile
}

asio::steady_timer& ControlSocket::flush_timer() {
  if (!flush_timer_) flush_timer_ = std::make_unique<asio::steady_timer>(poller_.context());
  return *flush_timer_;
}

void ControlSocket::close_after_flush() {
  if (!is_open()) return;
  closing_ = true;
  if (unsent_.empty()) return close();
  flush_timer().expires_after(kFlushTime);
  flush_timer_->async_wait([self = shared_from_this()](const asio::error_code& error) {
    if (!error) self->close();
  });
}

void ControlSocket::close() {
  if (!is_open()) return;
  closing_ = true;
  flush_timer_.reset();
  poller_.forget(fd_.get());
  // Unread octets would turn the close into a reset and lose what was just sent.
  (void)::shutdown(fd_.get(), SHUT_RDWR);
  std::array<std::byte, kPeekSize> rest;
  for (int i = 0; i < 16; ++i)
    if (::recv(fd_.get(), rest.data(), rest.size(), MSG_DONTWAIT) <= 0) break;
  fd_.reset();
}

void ControlSocket::fail(EndReason reason) {
  if (!is_open() || closing_) return close();
  close();
  owner_.on_closed(id_, reason);
}

}  // namespace pns::control
