// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/listener.hpp"

#include <fcntl.h>

#include <vector>

#include "tests/unit/control_runtime/loop.hpp"

using namespace pns;
using namespace pns::control;
using namespace pns::test;

namespace {

struct Accepted {
  UniqueFd fd;
  Ipv4Address local, peer;
  std::uint16_t peer_port;
};

}  // namespace

TEST_CASE("listener: every caller is handed over with both addresses", "[runtime]") {
  asio::io_context loop(1);
  sockaddr_in address{};
  std::vector<Accepted> accepted;
  Listener listener(loop, listen_on_loopback(address),
                    [&](UniqueFd fd, Ipv4Address local, Ipv4Address peer, std::uint16_t port) {
                      accepted.push_back({std::move(fd), local, peer, port});
                    });
  listener.start();
  std::vector<UniqueFd> callers;
  for (int i = 0; i < 100; ++i) callers.push_back(connect_to(address));  // more than one turn takes
  REQUIRE(until(loop, [&] { return accepted.size() == 100; }));
  CHECK(accepted[0].local == Ipv4Address(0x7f000001));
  CHECK(accepted[0].peer == Ipv4Address(0x7f000001));
  sockaddr_in theirs{};
  socklen_t length = sizeof(theirs);
  REQUIRE(::getsockname(callers[0].get(), reinterpret_cast<sockaddr*>(&theirs), &length) == 0);
  CHECK(accepted[0].peer_port == ntohs(theirs.sin_port));
  CHECK((::fcntl(accepted[0].fd.get(), F_GETFL) & O_NONBLOCK) != 0);
}

TEST_CASE("listener: stopped, it accepts nobody, and the socket goes on listening for its holder",
          "[runtime]") {
  asio::io_context loop(1);
  sockaddr_in address{};
  UniqueFd socket = listen_on_loopback(address);
  const UniqueFd holder(::dup(socket.get()));
  int accepted = 0;
  Listener listener(loop, std::move(socket),
                    [&](UniqueFd, Ipv4Address, Ipv4Address, std::uint16_t) { ++accepted; });
  listener.start();
  drain(loop);
  const UniqueFd caller = connect_to(address);
  listener.stop();
  listener.start();  // as happens when the dataplane comes after the order to stop
  drain(loop);
  CHECK(accepted == 0);
  CHECK(UniqueFd(::accept(holder.get(), nullptr, nullptr)));
}
