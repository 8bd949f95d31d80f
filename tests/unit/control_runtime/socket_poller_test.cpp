// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/socket_poller.hpp"

#include <functional>
#include <memory>

#include "tests/unit/control_runtime/loop.hpp"

using namespace pns;
using namespace pns::control;
using namespace pns::test;
using Wait = SocketPoller::Wait;

namespace {

struct Counting final : SocketPoller::Socket {
  void on_readable() override {
    ++readable;
    if (when_readable) when_readable();
  }
  void on_writable() override { ++writable; }
  int readable = 0;
  int writable = 0;
  std::function<void()> when_readable;
};

void put_octet(const UniqueFd& fd) { REQUIRE(::send(fd.get(), "x", 1, MSG_NOSIGNAL) == 1); }

struct Polled {
  asio::io_context loop{1};
  SocketPoller poller{loop};
};

}  // namespace

TEST_CASE("socket poller: a wait ends once, however long the descriptor is readable", "[runtime]") {
  Polled polled;
  TcpPair pair;
  const auto socket = std::make_shared<Counting>();
  REQUIRE(polled.poller.wait(pair.ours.get(), Wait::kReadable, socket));
  drain(polled.loop);
  CHECK(socket->readable == 0);
  put_octet(pair.theirs);
  REQUIRE(until(polled.loop, [&] { return socket->readable == 1; }));
  drain(polled.loop);
  CHECK(socket->readable == 1);
  CHECK(socket.use_count() == 1);  // it is not kept any longer
  REQUIRE(polled.poller.wait(pair.ours.get(), Wait::kReadable, socket));
  CHECK(until(polled.loop, [&] { return socket->readable == 2; }));
  CHECK(socket->writable == 0);
}

TEST_CASE("socket poller: the end of one wait leaves the other one open", "[runtime]") {
  Polled polled;
  TcpPair pair;
  const auto socket = std::make_shared<Counting>();
  REQUIRE(polled.poller.wait(pair.ours.get(), Wait::kReadable, socket));
  REQUIRE(polled.poller.wait(pair.ours.get(), Wait::kWritable, socket));
  REQUIRE(until(polled.loop, [&] { return socket->writable == 1; }));
  CHECK(socket->readable == 0);
  put_octet(pair.theirs);
  CHECK(until(polled.loop, [&] { return socket->readable == 1; }));
  CHECK(socket->writable == 1);
}

TEST_CASE("socket poller: a reset of the peer ends every wait", "[runtime]") {
  Polled polled;
  TcpPair pair;
  const auto socket = std::make_shared<Counting>();
  REQUIRE(polled.poller.wait(pair.ours.get(), Wait::kReadable, socket));
  const linger reset{1, 0};
  REQUIRE(::setsockopt(pair.theirs.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0);
  pair.theirs.reset();
  CHECK(until(polled.loop, [&] { return socket->readable == 1; }));
}

// As the supervisor does, another process may hold a duplicate of the descriptor.
TEST_CASE("socket poller: a forgotten descriptor is silent, also while a duplicate lives",
          "[runtime]") {
  Polled polled;
  TcpPair pair;
  const UniqueFd duplicate(::dup(pair.ours.get()));
  auto socket = std::make_shared<Counting>();
  const std::weak_ptr<Counting> gone = socket;
  REQUIRE(polled.poller.wait(pair.ours.get(), Wait::kReadable, socket));
  polled.poller.forget(pair.ours.get());
  pair.ours.reset();
  put_octet(pair.theirs);
  drain(polled.loop);
  CHECK(socket->readable == 0);
  socket.reset();
  CHECK(gone.expired());
}

TEST_CASE("socket poller: a descriptor that was closed without a word can be used again",
          "[runtime]") {
  Polled polled;
  TcpPair first;
  const int number = first.ours.get();
  const UniqueFd duplicate(::dup(number));
  const auto before = std::make_shared<Counting>();
  REQUIRE(polled.poller.wait(number, Wait::kReadable, before));
  put_octet(first.theirs);
  REQUIRE(until(polled.loop, [&] { return before->readable == 1; }));

  TcpPair second;
  REQUIRE(::dup2(second.ours.get(), number) == number);  // closes the first one's
  const auto after = std::make_shared<Counting>();
  REQUIRE(polled.poller.wait(number, Wait::kReadable, after));
  drain(polled.loop);
  CHECK(after->readable == 0);
  put_octet(second.theirs);
  CHECK(until(polled.loop, [&] { return after->readable == 1; }));
  CHECK(before->readable == 1);
}

TEST_CASE("socket poller: a handler may forget a socket that is ready too", "[runtime]") {
  Polled polled;
  TcpPair pairs[2];
  std::shared_ptr<Counting> sockets[2] = {std::make_shared<Counting>(),
                                          std::make_shared<Counting>()};
  for (int i = 0; i < 2; ++i) {
    sockets[i]->when_readable = [&, i] { polled.poller.forget(pairs[1 - i].ours.get()); };
    put_octet(pairs[i].theirs);
    REQUIRE(polled.poller.wait(pairs[i].ours.get(), Wait::kReadable, sockets[i]));
  }
  REQUIRE(until(polled.loop, [&] { return sockets[0]->readable + sockets[1]->readable == 1; }));
  drain(polled.loop);
  CHECK(sockets[0]->readable + sockets[1]->readable == 1);
}

TEST_CASE("socket poller: more waits than one turn takes are all served", "[runtime]") {
  Polled polled;
  constexpr std::size_t kPairs = 200;  // more than one look at epoll takes
  std::vector<TcpPair> pairs(kPairs);
  const auto socket = std::make_shared<Counting>();
  for (auto& pair : pairs) {
    put_octet(pair.theirs);
    REQUIRE(polled.poller.wait(pair.ours.get(), Wait::kReadable, socket));
  }
  CHECK(until(polled.loop, [&] { return socket->readable == static_cast<int>(kPairs); }));
}
