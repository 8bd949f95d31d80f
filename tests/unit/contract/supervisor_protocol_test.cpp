// SPDX-License-Identifier: BSD-3-Clause
#include "pns/contract/supervisor_protocol.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

using namespace pns;
using namespace pns::contract;

namespace {

struct Pair {
  Pair() {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()) ==
            0);
    here.reset(fds[0]);
    there.reset(fds[1]);
  }
  UniqueFd here;
  UniqueFd there;
};

SupervisorMessage message_of(SupervisorMessageType type) {
  SupervisorMessage message;
  message.type = type;
  return message;
}

bool same_file(int a, int b) {
  struct stat first {};
  struct stat second {};
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_ino == second.st_ino &&
         first.st_dev == second.st_dev;
}

// As long as it lives, this process can open nothing.
class NoDescriptors {
 public:
  NoDescriptors() {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const UniqueFd next(::dup(0));
    rlimit full = before_;
    full.rlim_cur = static_cast<rlim_t>(next.get());
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &full) == 0);
  }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;
  ~NoDescriptors() { (void)::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

UniqueFd some_file() { return UniqueFd(::memfd_create("x", MFD_CLOEXEC)); }

}  // namespace

TEST_CASE("supervisor protocol: a message arrives as it was sent, with its descriptor",
          "[contract]") {
  const Pair pair;
  const UniqueFd file = some_file();
  SupervisorMessage sent = message_of(SupervisorMessageType::kStoreConnection);
  sent.connection = ConnectionId(0x123456789);
  sent.local = Ipv4Address(0x0a000001);
  sent.peer = Ipv4Address(0x0a000002);
  sent.tcp_port = 40000;
  sent.mac = {1, 2, 3, 4, 5, 6};
  sent.value = 7;
  REQUIRE(send_supervisor_message(pair.here.get(), sent, file.get()));
  const auto received = receive_supervisor_message(pair.there.get());
  REQUIRE(received);
  CHECK(received->message.type == SupervisorMessageType::kStoreConnection);
  CHECK(received->message.connection == sent.connection);
  CHECK(received->message.local == sent.local);
  CHECK(received->message.peer == sent.peer);
  CHECK(received->message.tcp_port == 40000);
  CHECK(received->message.mac == sent.mac);
  CHECK(received->message.value == 7);
  REQUIRE(received->fd);
  CHECK(received->fd.get() != file.get());
  CHECK(same_file(received->fd.get(), file.get()));
  CHECK((::fcntl(received->fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("supervisor protocol: a message arrives without a descriptor that there is no room for",
          "[contract]") {
  const Pair pair;
  const UniqueFd file = some_file();
  SupervisorMessage sent = message_of(SupervisorMessageType::kStoreConnection);
  sent.connection = ConnectionId(7);
  REQUIRE(send_supervisor_message(pair.here.get(), sent, file.get()));
  sent.connection = ConnectionId(8);
  REQUIRE(send_supervisor_message(pair.here.get(), sent, file.get()));
  {
    const NoDescriptors full;
    const auto lost = receive_supervisor_message(pair.there.get());
    REQUIRE(lost);
    CHECK(lost->message.connection == ConnectionId(7));
    CHECK_FALSE(lost->fd);
  }
  const auto whole = receive_supervisor_message(pair.there.get());
  REQUIRE(whole);
  CHECK(whole->message.connection == ConnectionId(8));
  CHECK(same_file(whole->fd.get(), file.get()));
}

TEST_CASE("supervisor protocol: a connection that comes without its descriptor is not granted",
          "[contract]") {
  const Pair pair;
  const UniqueFd connection = some_file();
  auto message = message_of(SupervisorMessageType::kGrantConnection);
  message.connection = ConnectionId(1);
  REQUIRE(send_supervisor_message(pair.here.get(), message));
  message.connection = ConnectionId(2);
  REQUIRE(send_supervisor_message(pair.here.get(), message, connection.get()));
  REQUIRE(
      send_supervisor_message(pair.here.get(), message_of(SupervisorMessageType::kGrantsComplete)));
  const auto grants = receive_grants(pair.there.get(), 1000);
  REQUIRE(grants);
  REQUIRE(grants->connections.size() == 1);
  CHECK(grants->connections[0].id == ConnectionId(2));
}

TEST_CASE("supervisor protocol: another magic, version or size is malformed", "[contract]") {
  const Pair pair;
  SupervisorMessage message = message_of(SupervisorMessageType::kReady);
  message.version = message.min_compatible = kSupervisorVersion + 1;
  REQUIRE(send_supervisor_message(pair.here.get(), message));
  CHECK(receive_supervisor_message(pair.there.get()).error() == ReceiveError::kMalformed);

  message.version = kSupervisorMinCompatible - 1;
  message.min_compatible = 0;
  REQUIRE(send_supervisor_message(pair.here.get(), message));
  CHECK(receive_supervisor_message(pair.there.get()).error() == ReceiveError::kMalformed);

  // A newer one that goes on with us.
  message.version = kSupervisorVersion + 1;
  message.min_compatible = kSupervisorVersion;
  REQUIRE(send_supervisor_message(pair.here.get(), message));
  CHECK(receive_supervisor_message(pair.there.get())->message.type ==
        SupervisorMessageType::kReady);

  message = message_of(SupervisorMessageType::kReady);
  message.magic = 1;
  REQUIRE(send_supervisor_message(pair.here.get(), message));
  CHECK(receive_supervisor_message(pair.there.get()).error() == ReceiveError::kMalformed);

  message = message_of(SupervisorMessageType::kReady);
  REQUIRE(::send(pair.here.get(), &message, sizeof(message) - 1, 0) > 0);
  CHECK(receive_supervisor_message(pair.there.get()).error() == ReceiveError::kMalformed);

  std::array<std::byte, sizeof(message) + 1> longer{};
  std::memcpy(longer.data(), &message, sizeof(message));
  REQUIRE(::send(pair.here.get(), longer.data(), longer.size(), 0) > 0);
  CHECK(receive_supervisor_message(pair.there.get()).error() == ReceiveError::kMalformed);
}

TEST_CASE("supervisor protocol: an empty socket would block, a closed one is closed",
          "[contract]") {
  Pair pair;
  CHECK(receive_supervisor_message(pair.there.get()).error() == ReceiveError::kWouldBlock);
  pair.here.reset();
  CHECK(receive_supervisor_message(pair.there.get()).error() == ReceiveError::kClosed);
  CHECK_FALSE(send_supervisor_message(pair.there.get(), message_of(SupervisorMessageType::kReady)));
  CHECK(errno == EPIPE);
}

TEST_CASE("supervisor protocol: a full socket refuses and loses nothing", "[contract]") {
  const Pair pair;
  std::uint32_t sent = 0;
  for (;; ++sent) {
    SupervisorMessage message = message_of(SupervisorMessageType::kWatchdog);
    message.value = sent;
    if (!send_supervisor_message(pair.here.get(), message)) break;
  }
  CHECK(errno == EAGAIN);
  REQUIRE(sent > 10);
  for (std::uint32_t i = 0; i < sent; ++i) {
    const auto received = receive_supervisor_message(pair.there.get());
    REQUIRE(received);
    CHECK(received->message.value == i);
  }
}

TEST_CASE("supervisor protocol: a text that has no end is ended", "[contract]") {
  const Pair pair;
  SupervisorMessage message = message_of(SupervisorMessageType::kGrantTwin);
  message.text.fill('x');
  REQUIRE(send_supervisor_message(pair.here.get(), message));
  const auto received = receive_supervisor_message(pair.there.get());
  REQUIRE(received);
  CHECK(std::string(received->message.text.data()).size() == message.text.size() - 1);
}

TEST_CASE("supervisor protocol: grants are collected until they are complete", "[contract]") {
  const Pair pair;
  const UniqueFd memory = some_file();
  const UniqueFd wire = some_file();
  const UniqueFd twin = some_file();
  const UniqueFd listener = some_file();
  const UniqueFd connection = some_file();
  REQUIRE(send_supervisor_message(
      pair.here.get(), message_of(SupervisorMessageType::kGrantSessionMemory), memory.get()));
  auto message = message_of(SupervisorMessageType::kGrantWire);
  message.port = 0;
  REQUIRE(send_supervisor_message(pair.here.get(), message, wire.get()));
  message = message_of(SupervisorMessageType::kGrantTwin);
  message.port = 1;
  REQUIRE(send_supervisor_message(pair.here.get(), message, twin.get()));
  message.port = 2;  // there is no such port
  REQUIRE(send_supervisor_message(pair.here.get(), message, twin.get()));
  message = message_of(SupervisorMessageType::kGrantListener);
  message.local = Ipv4Address(0xc6336401);
  message.tcp_port = 1723;
  REQUIRE(send_supervisor_message(pair.here.get(), message, listener.get()));
  message = message_of(SupervisorMessageType::kGrantConnection);
  message.connection = ConnectionId(9);
  message.peer = Ipv4Address(0xc6336402);
  message.tcp_port = 5555;
  REQUIRE(send_supervisor_message(pair.here.get(), message, connection.get()));
  message = message_of(SupervisorMessageType::kPlaneState);
  message.value = 1;
  REQUIRE(send_supervisor_message(pair.here.get(), message));
  REQUIRE(
      send_supervisor_message(pair.here.get(), message_of(SupervisorMessageType::kGrantsComplete)));
  REQUIRE(send_supervisor_message(pair.here.get(), message_of(SupervisorMessageType::kStop)));

  const auto grants = receive_grants(pair.there.get(), 1000);
  REQUIRE(grants);
  CHECK(same_file(grants->session_memory.get(), memory.get()));
  CHECK(same_file(grants->wires[0].get(), wire.get()));
  CHECK_FALSE(grants->wires[1]);
  CHECK_FALSE(grants->twins[0]);
  CHECK(same_file(grants->twins[1].get(), twin.get()));
  REQUIRE(grants->listeners.size() == 1);
  CHECK(same_file(grants->listeners[0].fd.get(), listener.get()));
  CHECK(grants->listeners[0].local == Ipv4Address(0xc6336401));
  CHECK(grants->listeners[0].tcp_port == 1723);
  REQUIRE(grants->connections.size() == 1);
  CHECK(same_file(grants->connections[0].fd.get(), connection.get()));
  CHECK(grants->connections[0].id == ConnectionId(9));
  CHECK(grants->connections[0].peer == Ipv4Address(0xc6336402));
  CHECK(grants->connections[0].tcp_port == 5555);
  CHECK(grants->dataplane_serves);
  // The next message is still there.
  CHECK(receive_supervisor_message(pair.there.get())->message.type == SupervisorMessageType::kStop);
}

TEST_CASE("supervisor protocol: grants that do not come, or end, or are others, are errors",
          "[contract]") {
  {
    const Pair pair;
    CHECK(receive_grants(pair.there.get(), 1).error() == "no grants from the supervisor in time");
  }
  {
    Pair pair;
    pair.here.reset();
    CHECK(receive_grants(pair.there.get(), 1000).error() == "the supervisor closed its socket");
  }
  {
    const Pair pair;
    SupervisorMessage message = message_of(SupervisorMessageType::kGrantSessionMemory);
    message.version = message.min_compatible = kSupervisorVersion + 1;
    REQUIRE(send_supervisor_message(pair.here.get(), message));
    CHECK(receive_grants(pair.there.get(), 1000).error() ==
          "a supervisor of another version, or malformed: see docs/upgrade.md");
  }
  {
    const Pair pair;
    REQUIRE(send_supervisor_message(pair.here.get(), message_of(SupervisorMessageType::kReady)));
    CHECK(receive_grants(pair.there.get(), 1000).error() ==
          "unexpected message from the supervisor");
  }
}

TEST_CASE("supervisor protocol: each grant has the time anew", "[contract]") {
  const Pair pair;
  constexpr int kTimeoutMs = 400;
  constexpr int kGrants = 6;  // 1.2 s in all
  std::thread supervisor([&] {
    for (int i = 0; i < kGrants; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(kTimeoutMs / 2));
      (void)send_supervisor_message(pair.here.get(),
                                    message_of(SupervisorMessageType::kPlaneState));
    }
    (void)send_supervisor_message(pair.here.get(),
                                  message_of(SupervisorMessageType::kGrantsComplete));
  });
  const auto grants = receive_grants(pair.there.get(), kTimeoutMs);
  supervisor.join();
  CHECK(grants);
}

TEST_CASE("supervisor protocol: who ends with messages unread is heard to the end", "[contract]") {
  Pair pair;
  REQUIRE(send_supervisor_message(pair.here.get(), message_of(SupervisorMessageType::kPlaneState)));
  REQUIRE(send_supervisor_message(pair.there.get(),
                                  message_of(SupervisorMessageType::kForgetConnection)));
  tell_failure(pair.there.get(), "why");
  pair.there.reset();
  const auto first = receive_supervisor_message(pair.here.get());
  REQUIRE(first);
  CHECK(first->message.type == SupervisorMessageType::kForgetConnection);
  const auto second = receive_supervisor_message(pair.here.get());
  REQUIRE(second);
  CHECK(std::string_view(second->message.text.data()) == "why");
  CHECK(receive_supervisor_message(pair.here.get()).error() == ReceiveError::kClosed);
}

TEST_CASE("supervisor protocol: a plane tells why it ends", "[contract]") {
  const Pair pair;
  tell_failure(pair.there.get(), std::string(2000, 'x'));
  const auto received = receive_supervisor_message(pair.here.get());
  REQUIRE(received);
  CHECK(received->message.type == SupervisorMessageType::kFailed);
  CHECK(std::string_view(received->message.text.data()) == std::string(511, 'x'));
}

TEST_CASE("supervisor protocol: a grant of a newer supervisor is skipped", "[contract]") {
  const Pair pair;
  REQUIRE(
      send_supervisor_message(pair.here.get(), message_of(static_cast<SupervisorMessageType>(31))));
  REQUIRE(
      send_supervisor_message(pair.here.get(), message_of(SupervisorMessageType::kGrantsComplete)));
  CHECK(receive_grants(pair.there.get(), 1000));
}
