// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/control_socket.hpp"

#include <sys/ioctl.h>

#include <cstring>
#include <optional>
#include <string>

#include "tests/unit/control_runtime/loop.hpp"

using namespace pns;
using namespace pns::control;
using namespace pns::test;

namespace {

// Messages of a toy protocol: one octet says how long the whole is; 0xff ends the stream.
struct Receiver final : MessageTransport::Owner {
  asio::io_context loop{1};
  SocketPoller poller{loop};
  std::vector<std::string> messages;
  std::optional<EndReason> closed;
  int closed_count = 0;
  std::function<void(std::string_view)> heard;
  // When set, what is handled may be consumed when one of these is called.
  bool holds = false;
  std::vector<std::move_only_function<void()>> held;
  std::shared_ptr<ControlSocket> socket;

  explicit Receiver(UniqueFd fd)
      : socket(std::make_shared<ControlSocket>(poller, std::move(fd), ConnectionId(1), *this)) {
    socket->start();
  }
  MessageTransport::Framing frame(ConnectionId, Bytes head) override {
    MessageTransport::Framing framing;
    const auto length = std::to_integer<std::size_t>(head[0]);
    if (length == 0xff)
      framing.stop = true;
    else if (head.size() >= length)
      framing.message = length;
    else
      framing.needed = length;
    return framing;
  }
  void on_message(ConnectionId, Bytes octets) override {
    messages.emplace_back(reinterpret_cast<const char*>(octets.data()) + 1, octets.size() - 1);
    if (heard) heard(messages.back());
  }
  void on_closed(ConnectionId, EndReason reason) override {
    closed = reason;
    ++closed_count;
  }
  void on_readable(ConnectionId) override {
    if (const auto keep = socket) (void)keep->read(kMessagesPerTurn);
  }
  void when_handled(ConnectionId, std::move_only_function<void()> consume) override {
    if (holds)
      held.push_back(std::move(consume));
    else
      consume();
  }
  // As by SIGKILL: descriptors are closed, nothing is shut down, no handler runs.
  bool killed = false;
  ~Receiver() {
    if (killed) return;
    if (socket) socket->close();
    socket.reset();
    drain(loop);
  }
};

std::string message(std::string_view text) {
  return static_cast<char>(text.size() + 1) + std::string(text);
}

void put(const UniqueFd& fd, std::string_view octets) {
  REQUIRE(::send(fd.get(), octets.data(), octets.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(octets.size()));
}

std::string get(const UniqueFd& fd) {
  std::string out(65'536, '\0');
  const auto got = ::recv(fd.get(), out.data(), out.size(), MSG_DONTWAIT);
  out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return out;
}

// tcpi_data_segs_in of the kernel's struct tcp_info; glibc's ends before it.
std::uint32_t data_segments(const UniqueFd& fd) {
  std::array<std::byte, 160> info{};
  socklen_t length = info.size();
  REQUIRE(::getsockopt(fd.get(), IPPROTO_TCP, TCP_INFO, info.data(), &length) == 0);
  REQUIRE(length == info.size());
  std::uint32_t count = 0;
  std::memcpy(&count, info.data() + 152, sizeof(count));
  return count;
}

// Octets that wait in the kernel to be read.
int unread(const ControlSocket& socket) {
  int octets = 0;
  REQUIRE(::ioctl(const_cast<ControlSocket&>(socket).native_handle(), FIONREAD, &octets) == 0);
  return octets;
}

bool at_end(const UniqueFd& fd) {
  char octet = 0;
  const auto got = ::recv(fd.get(), &octet, 1, MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN);
}

}  // namespace

TEST_CASE("control socket: a message that comes octet by octet is one message", "[runtime]") {
  TcpPair pair;
  Receiver receiver(std::move(pair.ours));
  const std::string whole = message("a message in pieces");
  for (const char c : whole) {
    CHECK(receiver.messages.empty());
    put(pair.theirs, {&c, 1});
    drain(receiver.loop);
  }
  REQUIRE(until(receiver.loop, [&] { return receiver.messages.size() == 1; }));
  CHECK(receiver.messages[0] == "a message in pieces");
}

TEST_CASE("control socket: several messages in one segment are several messages", "[runtime]") {
  TcpPair pair;
  Receiver receiver(std::move(pair.ours));
  std::string all;
  for (int i = 0; i < 500; ++i) all += message(std::to_string(i));
  put(pair.theirs, all + message("half of this").substr(0, 4));
  REQUIRE(until(receiver.loop, [&] { return receiver.messages.size() == 500; }));
  CHECK(receiver.messages[499] == "499");
  put(pair.theirs, message("half of this").substr(4) + message("x"));
  REQUIRE(until(receiver.loop, [&] { return receiver.messages.size() == 502; }));
  CHECK(receiver.messages[500] == "half of this");
  CHECK(receiver.messages[501] == "x");
}

TEST_CASE("control socket: half a message stays in the kernel for the next process", "[runtime]") {
  TcpPair pair;
  UniqueFd kept(::dup(pair.ours.get()));  // as the supervisor keeps it
  const std::string whole = message("found by its successor");
  {
    Receiver receiver(std::move(pair.ours));
    put(pair.theirs, message("first") + whole.substr(0, 9));
    REQUIRE(until(receiver.loop, [&] { return receiver.messages.size() == 1; }));
    drain(receiver.loop);
    receiver.killed = true;
  }
  Receiver successor(std::move(kept));
  put(pair.theirs, whole.substr(9));
  REQUIRE(until(successor.loop, [&] { return !successor.messages.empty(); }));
  CHECK(successor.messages[0] == "found by its successor");
}

TEST_CASE("control socket: a process before this one has waited for a longer message",
          "[runtime]") {
  TcpPair pair;
  // The low-water mark belongs to the socket, which outlives the process.
  const int left = 100;
  REQUIRE(::setsockopt(pair.ours.get(), SOL_SOCKET, SO_RCVLOWAT, &left, sizeof(left)) == 0);
  Receiver receiver(std::move(pair.ours));
  put(pair.theirs, message("short"));
  REQUIRE(until(receiver.loop, [&] { return !receiver.messages.empty(); }));
  CHECK(receiver.messages.front() == "short");
}

TEST_CASE("control socket: a message is consumed after it was handled, and not handled twice",
          "[runtime]") {
  // The process dies inside the handler: before its effect was stored, or after.
  for (const bool stored : {false, true})
    for (const bool peer_has_gone : {false, true}) {
      CAPTURE(stored, peer_has_gone);
      TcpPair pair;
      UniqueFd kept(::dup(pair.ours.get()));
      std::uint64_t handled_up_to = 0;
      {
        Receiver receiver(std::move(pair.ours));
        receiver.heard = [&](std::string_view text) {
          if (stored || text == "one") handled_up_to = receiver.socket->handled_up_to();
          if (text == "two") throw std::runtime_error("killed");
        };
        put(pair.theirs, message("one") + message("two") + message("three"));
        if (peer_has_gone) pair.theirs.reset();
        CHECK_THROWS(until(receiver.loop, [] { return false; }));
        receiver.killed = true;
      }
      CHECK(handled_up_to == (stored ? 8 : 4));
      Receiver successor(std::move(kept));
      // The first message at least: what one turn has handled is consumed together.
      CHECK(successor.socket->skip_handled(handled_up_to));
      CHECK_FALSE(successor.socket->skip_handled(handled_up_to));
      REQUIRE(until(successor.loop, [&] { return successor.messages.size() == (stored ? 1 : 2); }));
      CHECK(successor.messages.back() == "three");
    }
}

TEST_CASE("control socket: one that leaves sends what it has and leaves the rest in the kernel",
          "[runtime]") {
  TcpPair pair(4096);
  const int small = 4096;
  REQUIRE(::setsockopt(pair.ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
  UniqueFd kept(::dup(pair.ours.get()));
  std::size_t sent = 0;
  {
    Receiver receiver(std::move(pair.ours));
    CHECK(receiver.socket->is_flushed());
    const std::string one(1000, 'x');
    for (; receiver.socket->is_flushed() && sent < 1'000'000; sent += one.size())
      receiver.socket->send(as_octets(one));
    REQUIRE_FALSE(receiver.socket->is_flushed());
    receiver.socket->stop_reading();
    put(pair.theirs, message("for the successor"));
    std::size_t octets = 0;
    REQUIRE(until(receiver.loop, [&] {
      octets += get(pair.theirs).size();
      return receiver.socket->is_flushed();
    }));
    drain(receiver.loop);
    CHECK(octets + get(pair.theirs).size() == sent);
    CHECK(receiver.messages.empty());
    receiver.killed = true;
  }
  Receiver successor(std::move(kept));
  REQUIRE(until(successor.loop, [&] { return !successor.messages.empty(); }));
  CHECK(successor.messages[0] == "for the successor");
}

TEST_CASE("control socket: the end of the stream is told once, with its reason", "[runtime]") {
  TcpPair pair;
  Receiver receiver(std::move(pair.ours));
  SECTION("closed") {
    pair.theirs.reset();
    REQUIRE(until(receiver.loop, [&] { return receiver.closed.has_value(); }));
    CHECK(receiver.closed == EndReason::peer_closed_tcp);
  }
  SECTION("closed after whole messages, which are heard first") {
    put(pair.theirs, message("last") + message("words"));
    pair.theirs.reset();
    REQUIRE(until(receiver.loop, [&] { return receiver.closed.has_value(); }));
    CHECK(receiver.messages == std::vector<std::string>{"last", "words"});
    CHECK(receiver.closed == EndReason::peer_closed_tcp);
  }
  SECTION("closed in the middle of a message") {
    put(pair.theirs, message("never finished").substr(0, 5));
    drain(receiver.loop);
    REQUIRE(::shutdown(pair.theirs.get(), SHUT_WR) == 0);
    REQUIRE(until(receiver.loop, [&] { return receiver.closed.has_value(); }));
    CHECK(receiver.closed == EndReason::peer_closed_tcp);
    CHECK(receiver.messages.empty());
  }
  SECTION("half a message and the end in one go") {
    put(pair.theirs, message("never finished").substr(0, 5));
    pair.theirs.reset();
    REQUIRE(until(receiver.loop, [&] { return receiver.closed.has_value(); }));
    CHECK(receiver.closed == EndReason::peer_closed_tcp);
  }
  SECTION("reset") {
    const linger reset{1, 0};
    REQUIRE(::setsockopt(pair.theirs.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0);
    pair.theirs.reset();
    REQUIRE(until(receiver.loop, [&] { return receiver.closed.has_value(); }));
    CHECK(receiver.closed == EndReason::peer_reset_tcp);
  }
  drain(receiver.loop);
  CHECK(receiver.closed_count == 1);
}

TEST_CASE("control socket: what is no message stops the reading", "[runtime]") {
  TcpPair pair;
  Receiver receiver(std::move(pair.ours));
  put(pair.theirs, message("good") + "\xff" + message("unheard"));
  REQUIRE(until(receiver.loop, [&] { return receiver.messages.size() == 1; }));
  put(pair.theirs, message("unheard"));
  drain(receiver.loop);
  CHECK(receiver.messages.size() == 1);
  CHECK_FALSE(receiver.closed);
  receiver.socket->send(as_octets("still writable"));
  CHECK(until(receiver.loop, [&] { return get(pair.theirs) == "still writable"; }));
}

TEST_CASE("control socket: each message sent is a segment of its own", "[runtime]") {
  TcpPair pair;
  Receiver receiver(std::move(pair.ours));
  const auto before = data_segments(pair.theirs);
  for (int i = 0; i < 10; ++i) receiver.socket->send(as_octets("0123456789"));
  std::string all;
  REQUIRE(until(receiver.loop, [&] { return (all += get(pair.theirs)).size() == 100; }));
  CHECK(data_segments(pair.theirs) - before == 10);
}

TEST_CASE("control socket: a peer that does not read is bounded and closed as stalled",
          "[runtime]") {
  TcpPair pair(4096);
  const int small = 4096;
  REQUIRE(::setsockopt(pair.ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
  Receiver receiver(std::move(pair.ours));
  const std::string one(200, 'x');
  std::size_t sent = 0;
  while (!receiver.closed && sent < 10'000'000) {
    receiver.socket->send(as_octets(one));
    sent += one.size();
    drain(receiver.loop);
  }
  CHECK(receiver.closed == EndReason::connection_write_stalled);
  CHECK(sent < 1'000'000);
  receiver.socket->send(as_octets(one));  // nothing more happens
  drain(receiver.loop);
  CHECK(receiver.closed_count == 1);
}

TEST_CASE("control socket: while a peer does not read, it is not listened to, and then it is",
          "[runtime]") {
  TcpPair pair(4096);
  const int small = 4096;
  REQUIRE(::setsockopt(pair.ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
  Receiver receiver(std::move(pair.ours));
  const std::string answer(1000, 'a');
  receiver.heard = [&](std::string_view) { receiver.socket->send(as_octets(answer)); };
  std::string requests;
  for (int i = 0; i < 200; ++i) requests += message("?");
  put(pair.theirs, requests);
  std::size_t heard = 0;
  do {
    heard = receiver.messages.size();
    drain(receiver.loop);
  } while (receiver.messages.size() != heard || heard == 0);
  CHECK(receiver.messages.size() < 200);
  CHECK_FALSE(receiver.closed);
  std::size_t octets = 0;
  REQUIRE(until(receiver.loop,
                [&] { return (octets += get(pair.theirs).size()) == 200 * answer.size(); }));
  CHECK(receiver.messages.size() == 200);
  CHECK_FALSE(receiver.closed);
}

TEST_CASE("control socket: close_after_flush sends what is left and then ends, silently",
          "[runtime]") {
  TcpPair pair;
  Receiver receiver(std::move(pair.ours));
  put(pair.theirs, message("unread").substr(0, 3));  // must not turn the end into a reset
  receiver.socket->send(as_octets("last words"));
  receiver.socket->close_after_flush();
  std::string got;
  REQUIRE(until(receiver.loop, [&] { return (got += get(pair.theirs)) == "last words"; }));
  REQUIRE(until(receiver.loop, [&] { return at_end(pair.theirs); }));
  CHECK_FALSE(receiver.closed);
  receiver.socket->send(as_octets("too late"));
  receiver.socket->close_after_flush();
  drain(receiver.loop);
}

TEST_CASE("control socket: close_after_flush waits a bounded time for a peer that does not read",
          "[runtime]") {
  TcpPair pair(4096);
  const int small = 4096;
  REQUIRE(::setsockopt(pair.ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
  const int kept = ::dup(pair.ours.get());
  const UniqueFd watch(kept);
  Receiver receiver(std::move(pair.ours));
  for (int i = 0; i < 1000 && !receiver.closed; ++i) {
    if (::send(kept, std::string(4096, 'y').data(), 4096, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) break;
  }
  receiver.socket->send(as_octets(std::string(1000, 'x')));
  std::weak_ptr<ControlSocket> gone = receiver.socket;
  receiver.socket->close_after_flush();
  receiver.socket.reset();
  CHECK_FALSE(gone.expired());
  CHECK(until(receiver.loop, [&] { return gone.expired(); }));  // no handler holds it any more
  CHECK_FALSE(receiver.closed);
}

TEST_CASE("control socket: its owner may let go of it inside any handler", "[runtime]") {
  TcpPair pair;
  Receiver receiver(std::move(pair.ours));
  std::weak_ptr<ControlSocket> gone = receiver.socket;
  receiver.heard = [&](std::string_view) {
    if (receiver.socket) receiver.socket->close();
    receiver.socket.reset();
  };
  put(pair.theirs, message("a") + message("b"));
  CHECK(until(receiver.loop, [&] { return gone.expired(); }));
  CHECK(receiver.messages.size() == 1);
  CHECK(at_end(pair.theirs));
}

TEST_CASE("control socket: a peer with thousands of messages does not keep another one waiting",
          "[runtime]") {
  TcpPair busy_pair;
  TcpPair other_pair;
  Receiver busy(std::move(busy_pair.ours));
  // On the same loop, behind it.
  struct Other final : MessageTransport::Owner {
    MessageTransport::Framing frame(ConnectionId, Bytes head) override {
      return {.message = head.size()};
    }
    void on_message(ConnectionId, Bytes) override {
      busy_messages_before = busy->messages.size();
      socket->send(as_octets("answer"));
    }
    void on_closed(ConnectionId, EndReason) override {}
    void on_readable(ConnectionId) override { (void)socket->read(kMessagesPerTurn); }
    void when_handled(ConnectionId, std::move_only_function<void()> consume) override { consume(); }
    Receiver* busy = nullptr;
    std::shared_ptr<ControlSocket> socket;
    std::optional<std::size_t> busy_messages_before;
  } owner;
  owner.busy = &busy;
  const auto other = owner.socket = std::make_shared<ControlSocket>(
      busy.poller, std::move(other_pair.ours), ConnectionId(2), owner);
  other->start();
  std::string all;
  for (int i = 0; i < 5000; ++i) all += message("x");
  put(busy_pair.theirs, all);
  put(other_pair.theirs, "?");
  REQUIRE(until(busy.loop, [&] { return owner.busy_messages_before.has_value(); }));
  CHECK(*owner.busy_messages_before <= 2 * kMessagesPerTurn);
  CHECK(get(other_pair.theirs) == "answer");
  REQUIRE(until(busy.loop, [&] { return busy.messages.size() == 5000; }));
  other->close();
}

TEST_CASE("control socket: what is handled is consumed when it is stored, and no sooner",
          "[runtime][decision-0008]") {
  TcpPair pair;
  Receiver receiver(std::move(pair.ours));
  receiver.holds = true;
  put(pair.theirs, message("one") + message("two") + message("half").substr(0, 3));
  REQUIRE(until(receiver.loop, [&] { return receiver.held.size() == 1; }));
  CHECK(receiver.messages == std::vector<std::string>{"one", "two"});  // both, before any is stored
  CHECK(receiver.socket->handled_up_to() == 8);
  CHECK(unread(*receiver.socket) == 11);
  put(pair.theirs, message("half").substr(3));
  drain(receiver.loop);
  CHECK(receiver.messages.size() == 2);  // nothing is looked at before
  receiver.held.front()();
  CHECK(receiver.socket->handled_up_to() == 8);
  REQUIRE(until(receiver.loop, [&] { return receiver.held.size() == 2; }));
  CHECK(receiver.messages.back() == "half");
  receiver.held.back()();
  CHECK(unread(*receiver.socket) == 0);
  CHECK(receiver.socket->handled_up_to() == 13);
  // More than a turn takes: as many turns as are needed, none before the last one is stored.
  std::string all;
  for (std::size_t i = 0; i < 3 * kMessagesPerTurn; ++i) all += message("x");
  put(pair.theirs, all);
  for (std::size_t turn = 1; turn <= 3; ++turn) {
    REQUIRE(until(receiver.loop, [&] { return receiver.held.size() == 2 + turn; }));
    drain(receiver.loop);
    CHECK(receiver.messages.size() == 3 + turn * kMessagesPerTurn);
    receiver.held.back()();
  }
  drain(receiver.loop);
  CHECK(unread(*receiver.socket) == 0);
  // A short message wakes it again.
  put(pair.theirs, message("y"));
  CHECK(until(receiver.loop, [&] { return receiver.held.size() == 6; }));
}

TEST_CASE("control socket: closed before it is stored, what was handled is no concern any more",
          "[runtime]") {
  TcpPair pair;
  Receiver receiver(std::move(pair.ours));
  receiver.holds = true;
  put(pair.theirs, message("one"));
  REQUIRE(until(receiver.loop, [&] { return receiver.held.size() == 1; }));
  const bool politely = GENERATE(false, true);
  politely ? receiver.socket->close_after_flush() : receiver.socket->close();
  receiver.held.front()();
  drain(receiver.loop);
  CHECK_FALSE(receiver.closed);
  CHECK(at_end(pair.theirs));
}
