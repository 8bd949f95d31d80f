// SPDX-License-Identifier: BSD-3-Clause
//
// The messages that a plane reads from the socket that it inherits. The input is a list of steps,
// each an octet that says what comes and what goes with it: a message of any octets, one whose
// header is right, with a descriptor or without. Each message is read alone first, then the same
// ones as the grants of a start. Descriptors must never be lost: as many are open afterwards as
// before.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "pns/contract/supervisor_protocol.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace pns;
using namespace pns::contract;

constexpr std::size_t kMostMessages = 32;

struct Sockets {
  std::array<int, 2> fds{-1, -1};
  Sockets() { PNS_CLAIM(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds.data()) == 0); }
  ~Sockets() {
    ::close(fds[0]);
    ::close(fds[1]);
  }
};

int lowest_free_fd() {
  const int fd = ::dup(STDERR_FILENO);
  ::close(fd);
  return fd;
}

struct Datagram {
  std::vector<std::byte> octets;
  bool with_fd = false;
};

void send(int socket, const Datagram& datagram) {
  iovec io{const_cast<std::byte*>(datagram.octets.data()), datagram.octets.size()};
  msghdr header{};
  header.msg_iov = &io;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  if (datagram.with_fd) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = STDERR_FILENO;
    std::memcpy(CMSG_DATA(item), &fd, sizeof(fd));
  }
  PNS_CLAIM(::sendmsg(socket, &header, MSG_DONTWAIT) ==
            static_cast<ssize_t>(datagram.octets.size()));
}

bool is_right(const Datagram& datagram) {
  SupervisorMessage message;
  if (datagram.octets.size() != sizeof(message)) return false;
  std::memcpy(static_cast<void*>(&message), datagram.octets.data(), sizeof(message));
  return message.is_readable();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  std::vector<Datagram> datagrams;
  while (!input.empty() && datagrams.size() < kMostMessages) {
    const std::uint8_t what = input.octet();
    Datagram datagram;
    datagram.with_fd = (what & 1) != 0;
    if ((what & 2) != 0) {
      const Bytes octets = input.octets(input.octet() + std::size_t{1});
      datagram.octets.assign(octets.begin(), octets.end());
    } else {
      SupervisorMessage message;
      message.type = static_cast<SupervisorMessageType>(what >> 2);
      message.port = input.octet();
      message.value = input.octet();
      const Bytes text = input.octets(input.octet() % 80);
      std::memcpy(message.text.data(), text.data(), std::min(text.size(), message.text.size()));
      const Bytes octets = std::as_bytes(std::span(&message, 1));
      datagram.octets.assign(octets.begin(), octets.end());
    }
    // A datagram of nothing is the end of the stream.
    if (!datagram.octets.empty()) datagrams.push_back(std::move(datagram));
  }

  const int free_fd = lowest_free_fd();
  {
    Sockets sockets;
    for (const Datagram& datagram : datagrams) {
      send(sockets.fds[0], datagram);
      const auto received = receive_supervisor_message(sockets.fds[1]);
      PNS_CLAIM(received.has_value() == is_right(datagram));
      if (!received) {
        PNS_CLAIM(received.error() == ReceiveError::kMalformed);
        continue;
      }
      PNS_CLAIM(static_cast<bool>(received->fd) == datagram.with_fd);
      PNS_CLAIM(received->message.text.back() == '\0');
    }
  }
  PNS_CLAIM(lowest_free_fd() == free_fd);
  {
    Sockets sockets;
    for (const Datagram& datagram : datagrams) send(sockets.fds[0], datagram);
    ::shutdown(sockets.fds[0], SHUT_WR);
    const auto grants = receive_grants(sockets.fds[1], 1000);
    const bool all_right = std::ranges::all_of(datagrams, is_right);
    if (!grants) PNS_CLAIM(!grants.error().empty());
    if (grants) PNS_CLAIM(!datagrams.empty());
    if (datagrams.size() == 1 && grants) PNS_CLAIM(all_right);
  }
  PNS_CLAIM(lowest_free_fd() == free_fd);
  return 0;
}
