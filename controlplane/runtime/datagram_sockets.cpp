// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/datagram_sockets.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "controlplane/runtime/socket_address.hpp"

namespace pns::control {
namespace {

UniqueFd make_socket(const IpAddress& local) noexcept {
  const int family = is_ipv6(local) ? AF_INET6 : AF_INET;
  UniqueFd fd(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (fd && family == AF_INET6)
    (void)::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  return fd;
}

}  // namespace

class DatagramSockets::Socket final : public SocketPoller::Socket,
                                      public std::enable_shared_from_this<Socket> {
 public:
  Socket(DatagramSockets& owner, UniqueFd fd, std::uint16_t index) noexcept
      : owner_(&owner), fd_(std::move(fd)), index_(index) {}

  void on_readable() override {
    if (owner_ != nullptr) owner_->receive(*this);
  }
  void on_writable() override {}
  void disown() noexcept { owner_ = nullptr; }

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] std::uint16_t index() const noexcept { return index_; }
  [[nodiscard]] bool is_open() const noexcept { return owner_ != nullptr; }

 private:
  DatagramSockets* owner_;  // null: stopped
  UniqueFd fd_;
  std::uint16_t index_;
};

std::expected<std::vector<UniqueFd>, std::string> DatagramSockets::open(const IpAddress& local,
                                                                        std::uint16_t count) {
  std::vector<UniqueFd> sockets;
  const SocketAddress address = to_socket_address({local, 0});
  for (std::uint16_t i = 0; i < count; ++i) {
    UniqueFd fd = make_socket(local);
    if (!fd) return std::unexpected(fmt::format("UDP socket: {}", std::strerror(errno)));
    if (::bind(fd.get(), address.get(), address.length) != 0)
      return std::unexpected(
          fmt::format("UDP socket at {}: {}", pns::to_string(local), std::strerror(errno)));
    sockets.push_back(std::move(fd));
  }
  return sockets;
}

std::expected<UniqueFd, DatagramSockets::OpenError> DatagramSockets::open_at(
    const IpEndpoint& local) {
  const auto failed = [&local] {
    const int error = errno;
    return std::unexpected(OpenError{
        error, fmt::format("UDP socket at {}: {}", local.to_string(), std::strerror(error))});
  };
  UniqueFd fd = make_socket(local.address);
  if (!fd) return failed();
  const SocketAddress address = to_socket_address(local);
  if (::bind(fd.get(), address.get(), address.length) != 0) return failed();
  return fd;
}

DatagramSockets::DatagramSockets(SocketPoller& poller, std::vector<UniqueFd> ipv4,
                                 std::vector<UniqueFd> ipv6, Received received)
    : poller_(poller), received_(std::move(received)) {
  for (auto* const list : {&ipv4, &ipv6}) {
    auto& sockets = sockets_[list == &ipv6];
    for (UniqueFd& fd : *list)
      sockets.push_back(std::make_shared<Socket>(*this, std::move(fd),
                                                 static_cast<std::uint16_t>(sockets.size())));
  }
}

DatagramSockets::~DatagramSockets() { stop(); }

void DatagramSockets::start() {
  for (const auto& sockets : sockets_)
    for (const auto& socket : sockets) wait(*socket);
}

void DatagramSockets::stop() noexcept {
  for (const auto& sockets : sockets_)
    for (const auto& socket : sockets) {
      socket->disown();
      poller_.forget(socket->fd());
    }
}

bool DatagramSockets::send(const IpEndpoint& peer, std::uint16_t socket, Bytes datagram) noexcept {
  const auto& sockets = sockets_[is_ipv6(peer.address)];
  if (socket >= sockets.size()) return false;
  const SocketAddress address = to_socket_address(peer);
  const auto sent = ::sendto(sockets[socket]->fd(), datagram.data(), datagram.size(), MSG_DONTWAIT,
                             address.get(), address.length);
  return sent == static_cast<ssize_t>(datagram.size());
}

void DatagramSockets::receive(Socket& socket) {
  std::array<sockaddr_storage, kBatch> sources{};
  std::array<iovec, kBatch> places{};
  std::array<mmsghdr, kBatch> messages{};
  for (std::size_t i = 0; i < kBatch; ++i) {
    places[i] = {buffers_[i].data(), buffers_[i].size()};
    messages[i].msg_hdr.msg_name = &sources[i];
    messages[i].msg_hdr.msg_namelen = sizeof(sources[i]);
    messages[i].msg_hdr.msg_iov = &places[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const int count = ::recvmmsg(socket.fd(), messages.data(), kBatch, MSG_DONTWAIT, nullptr);
  for (int i = 0; i < count && socket.is_open(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    received_(to_endpoint(sources[at]), socket.index(),
              Bytes(buffers_[at]).first(messages[at].msg_len));
  }
  // The next turn of the loop reads the rest.
  if (socket.is_open()) wait(socket);
}

void DatagramSockets::wait(Socket& socket) {
  (void)poller_.wait(socket.fd(), SocketPoller::Wait::kReadable, socket.shared_from_this());
}

}  // namespace pns::control
