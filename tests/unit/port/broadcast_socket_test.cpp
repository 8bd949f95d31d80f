// SPDX-License-Identifier: BSD-3-Clause
//
// Copies of broadcasts that the real kernel receives, in a network namespace that the process makes
// for itself. Skipped without the right to make one.
#include "dataplane/port/broadcast_socket.hpp"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/support/packets.hpp"

using namespace pns;
using namespace pns::dataplane;
using namespace pns::test;

namespace {

constexpr std::string_view kFar = "020000000077";
constexpr std::string_view kNear = "020000000002";
constexpr std::string_view kAll = "ffffffffffff";

void fresh_network() {
  static const bool made = ::unshare(CLONE_NEWNET) == 0;
  if (!made || std::system("ip link show lo > /dev/null 2>&1") != 0) {
    WARN("no network namespace: skipped");
    ::_exit(77);
  }
  (void)!std::system("ip link del t-lan 2> /dev/null");
  const auto run = [](const char* command) { REQUIRE(std::system(command) == 0); };
  run("ip link add t-lan address 02:00:00:00:00:02 type veth peer name t-far address "
      "02:00:00:00:00:77");
  run("ip link set t-far up");
  run("ip link set t-lan up");
  run("ip addr add 10.0.0.1/24 dev t-lan");
}

// A host at the other end of the link.
struct Host {
  UniqueFd fd{::socket(AF_PACKET, SOCK_RAW, 0)};
  Host() {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = static_cast<int>(::if_nametoindex("t-far"));
    REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  }
  void send(const Octets& frame) const {
    REQUIRE(::send(fd.get(), frame.data(), frame.size(), 0) == static_cast<long>(frame.size()));
  }
};

Octets udp(unsigned port, std::string_view to = kAll, unsigned source_port = 137) {
  Octets datagram(8);
  put16(datagram, 0, source_port);
  put16(datagram, 2, port);
  put16(datagram, 4, 28);
  const Octets payload = pattern(20);
  datagram.insert(datagram.end(), payload.begin(), payload.end());
  return ethernet(to, kFar, 0x0800,
                  ip({.source = "10.0.0.77", .destination = "10.0.0.255"}, datagram));
}

// All that waits, after something has come.
std::vector<std::string> received(BroadcastSocket& socket) {
  pollfd wait{socket.fd(), POLLIN, 0};
  (void)::poll(&wait, 1, 2'000);
  std::vector<std::string> out;
  std::array<std::byte, 2048> room;
  while (const auto frame = socket.receive(room)) out.push_back(hex(*frame));
  return out;
}

}  // namespace

TEST_CASE("broadcast socket: UDP to all hosts of the link, and nothing else", "[dataplane]") {
  fresh_network();
  auto socket = BroadcastSocket::open("t-lan");
  REQUIRE(socket);
  const UniqueFd program(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(137);
  REQUIRE(::bind(program.get(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) == 0);

  const Host host;
  host.send(udp(67, kAll, 68));
  host.send(udp(68, kAll, 67));
  host.send(udp(137, kNear));
  host.send(udp(137, "01005e7ffffa"));
  host.send(udp(137, "020000000099"));
  host.send(ethernet(kAll, kFar, 0x0806, pattern(28)));
  host.send(ethernet(
      kAll, kFar, 0x0800,
      ip({.source = "10.0.0.77", .destination = "10.0.0.255", .protocol = 6}, pattern(20))));
  Octets tagged = udp(137);
  const Octets tag = octets("81000014");
  tagged.insert(tagged.begin() + 12, tag.begin(), tag.end());
  host.send(tagged);
  const Octets wanted = udp(137);
  host.send(wanted);
  CHECK(received(*socket) == std::vector<std::string>{hex(wanted)});
  CHECK(socket->lost() == 0);
  // The programs of this host hear the broadcast as well.
  std::array<std::byte, 100> room{};
  unsigned heard = 0;
  pollfd wait{program.get(), POLLIN, 0};
  CHECK(::poll(&wait, 1, 2'000) == 1);
  while (::recv(program.get(), room.data(), room.size(), 0) == 20) ++heard;
  CHECK(heard >= 1);
}

TEST_CASE("broadcast socket: neither what this host sends nor an unfinished checksum",
          "[dataplane]") {
  fresh_network();
  auto socket = BroadcastSocket::open("t-lan");
  REQUIRE(socket);
  REQUIRE(std::system("ip addr add 10.0.0.77/24 dev t-far") == 0);
  const auto broadcast = [](const char* interface, std::string_view text) {
    const UniqueFd sender(::socket(AF_INET, SOCK_DGRAM, 0));
    const int on = 1;
    REQUIRE(::setsockopt(sender.get(), SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) == 0);
    REQUIRE(::setsockopt(sender.get(), SOL_SOCKET, SO_BINDTODEVICE, interface, 5) == 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(137);
    to.sin_addr.s_addr = INADDR_BROADCAST;
    REQUIRE(::sendto(sender.get(), text.data(), text.size(), 0,
                     reinterpret_cast<const sockaddr*>(&to), sizeof(to)) > 0);
  };
  broadcast("t-lan", "own");
  broadcast("t-far", "far");
  const auto out = received(*socket);
  REQUIRE(out.size() == 1);
  CHECK(out[0].substr(out[0].size() - 6) == hex(octets("666172")));
  CHECK(out[0].substr(2 * 40, 4) == "0000");  // none instead of a wrong one
}

TEST_CASE("broadcast socket: what finds no room is counted", "[dataplane]") {
  fresh_network();
  auto socket = BroadcastSocket::open("t-lan");
  REQUIRE(socket);
  const Host host;
  for (unsigned n = 0; n < 2'000; ++n) host.send(udp(137));
  const std::size_t kept = received(*socket).size();
  CHECK(kept >= 16);
  CHECK(kept < 2'000);
  CHECK(socket->lost() == 2'000 - kept);
}

TEST_CASE("broadcast socket: an interface that is not there", "[dataplane]") {
  fresh_network();
  const auto socket = BroadcastSocket::open("t-none");
  REQUIRE_FALSE(socket);
  CHECK_THAT(socket.error(), Catch::StartsWith("broadcasts of t-none: bind"));
}
