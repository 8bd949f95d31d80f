// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/listener.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <utility>

#include "pns/base/be.hpp"
#include "pns/log/log.hpp"

namespace pns::control {
namespace {

constexpr int kAcceptBatch = 64;
constexpr auto kPauseWithoutDescriptors = std::chrono::milliseconds(100);

Ipv4Address address_of(const sockaddr_in& address) noexcept {
  return Ipv4Address(ntohl(address.sin_addr.s_addr));
}

int first_reserved_descriptor() noexcept {
  constexpr rlim_t kReserved = 256;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::numeric_limits<int>::max();
  const rlim_t first = limit.rlim_cur - std::min(kReserved, limit.rlim_cur / 8);
  return static_cast<int>(std::min<rlim_t>(first, std::numeric_limits<int>::max()));
}

}  // namespace

Listener::Listener(asio::io_context& context, UniqueFd socket, Accepted accepted,
                   TurnedAway turned_away)
    : socket_(context, socket.release()),
      pause_(context),
      accepted_(std::move(accepted)),
      turned_away_(std::move(turned_away)),
      first_reserved_(first_reserved_descriptor()),
      log_limit_(1, std::chrono::seconds(1)) {
  keep_spare();
  socket_.non_blocking(true);
  socket_.native_non_blocking(true);
}

void Listener::stop() {
  asio::error_code ignored;
  pause_.cancel();
  // The supervisor keeps the socket listening; only we stop looking.
  socket_.close(ignored);
}

void Listener::wait() {
  socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [this](const asio::error_code& error) {
                       if (!error) accept_some();
                     });
}

void Listener::keep_spare() {
  if (!spare_) spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

bool Listener::turn_away() {
  if (!spare_) return false;
  spare_.reset();
  const UniqueFd caller(::accept4(socket_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!caller) {
    keep_spare();
    return false;
  }
  note_turned_away();
  return true;
}

void Listener::note_turned_away() {
  turned_away_();
  if (log_limit_.allow(std::chrono::steady_clock::now()))
    log::warn("descriptors exhausted", {{"suppressed", log_limit_.take_suppressed()}});
}

void Listener::accept_some() {
  if (!socket_.is_open()) return;  // stopped while this turn waited for the loop
  for (int i = 0; i < kAcceptBatch; ++i) {
    keep_spare();
    sockaddr_in peer{};
    socklen_t length = sizeof(peer);
    UniqueFd fd(::accept4(socket_.native_handle(), reinterpret_cast<sockaddr*>(&peer), &length,
                          SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno == EINTR || errno == ECONNABORTED) continue;
      const int why = errno;
      if ((why == EMFILE || why == ENFILE) && turn_away()) continue;
      // No memory, or not even a spare: the backlog holds the callers for the moment.
      log::warn("accept failed", {{"errno", why}});
      pause_.expires_after(kPauseWithoutDescriptors);
      pause_.async_wait([this](const asio::error_code& error) {
        if (!error) wait();
      });
      return;
    }
    if (fd.get() >= first_reserved_) {
      note_turned_away();
      continue;
    }
    sockaddr_in local{};
    length = sizeof(local);
    if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&local), &length) != 0) continue;
    accepted_(std::move(fd), address_of(local), address_of(peer), ntohs(peer.sin_port));
  }
  wait();
}

}  // namespace pns::control
