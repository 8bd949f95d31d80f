// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/listener.hpp"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
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

// A listener on the loopback interface. Counts callers: those that it keeps, and those turned away.
struct Listening {
  asio::io_context loop{1};
  sockaddr_in address{};
  std::vector<UniqueFd> kept;
  std::size_t turned_away = 0;
  std::vector<UniqueFd> callers;
  Listener listener{loop, listen_on_loopback(address),
                    [this](UniqueFd fd, Ipv4Address, Ipv4Address, std::uint16_t) {
                      kept.push_back(std::move(fd));
                    },
                    [this] { ++turned_away; }};

  Listening() { listener.start(); }
  void call(int times = 1) {
    for (int i = 0; i < times; ++i) callers.push_back(connect_to(address));
  }
};

// The limit of descriptors, as it was in the end.
struct DescriptorLimit {
  explicit DescriptorLimit(rlim_t descriptors) {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit other{descriptors, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &other) == 0);
  }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;
  ~DescriptorLimit() { CHECK(::setrlimit(RLIMIT_NOFILE, &before) == 0); }
  rlimit before{};
};

}  // namespace

TEST_CASE("listener: every caller is handed over with both addresses", "[runtime]") {
  asio::io_context loop(1);
  sockaddr_in address{};
  std::vector<Accepted> accepted;
  Listener listener(
      loop, listen_on_loopback(address),
      [&](UniqueFd fd, Ipv4Address local, Ipv4Address peer, std::uint16_t port) {
        accepted.push_back({std::move(fd), local, peer, port});
      },
      [] {});
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
  Listener listener(
      loop, std::move(socket),
      [&](UniqueFd, Ipv4Address, Ipv4Address, std::uint16_t) { ++accepted; }, [] {});
  listener.start();
  drain(loop);
  const UniqueFd caller = connect_to(address);
  listener.stop();
  listener.start();  // as happens when the dataplane comes after the order to stop
  drain(loop);
  CHECK(accepted == 0);
  CHECK(UniqueFd(::accept(holder.get(), nullptr, nullptr)));
}

TEST_CASE(
    "listener: without descriptors, not even a spare, callers wait, and are accepted when there "
    "are some",
    "[runtime][conformance-68]") {
  Listening world;
  world.call(3);
  drain(world.loop);
  REQUIRE(world.kept.size() == 3);
  world.call();
  const auto turns = [&] {  // a busy loop would make very many
    const DescriptorLimit none(0);
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(350);
    std::size_t made = 0;
    while (std::chrono::steady_clock::now() < end) {
      world.loop.restart();
      made += world.loop.run_one_for(std::chrono::milliseconds(10));
    }
    return made;
  }();
  CHECK(world.kept.size() == 3);
  CHECK(turns < 20);
  CHECK(until(world.loop, [&] { return world.kept.size() == 4; }));
}

TEST_CASE("listener: with no descriptor free a caller is closed at once, until there are some",
          "[runtime]") {
  Listening world;
  world.call();
  REQUIRE(until(world.loop, [&] { return world.kept.size() == 1; }));
  world.call(100);  // more than a turn takes
  {
    // The lowest descriptor that is free is the first beyond the limit.
    const DescriptorLimit full(static_cast<rlim_t>(UniqueFd(::dup(0)).get()));
    CHECK(until(world.loop, [&] { return world.turned_away == 100; }));
  }
  CHECK(world.kept.size() == 1);
  for (std::size_t i = 1; i < world.callers.size(); ++i) {
    char octet = 0;
    REQUIRE(::recv(world.callers[i].get(), &octet, 1, 0) == 0);  // closed, not reset
  }
  world.call();
  CHECK(until(world.loop, [&] { return world.kept.size() == 2; }));
  CHECK(world.turned_away == 100);
}

TEST_CASE("listener: callers leave the last descriptors of the process to others",
          "[runtime][conformance-68]") {
  const DescriptorLimit small(160);  // an eighth: 20
  Listening world;
  while (world.turned_away == 0 && world.callers.size() < 100) {
    world.call();
    CHECK(until(world.loop,
                [&] { return world.kept.size() + world.turned_away == world.callers.size(); }));
  }
  CHECK(world.turned_away == 1);
  char octet = 0;
  CHECK(::recv(world.callers.back().get(), &octet, 1, 0) == 0);
  std::vector<UniqueFd> others;
  for (int i = 0; i < 15; ++i) others.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(std::ranges::all_of(others, [](const UniqueFd& fd) { return static_cast<bool>(fd); }));
}
