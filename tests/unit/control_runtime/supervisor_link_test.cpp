// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/supervisor_link.hpp"

#include <sys/stat.h>

#include <memory>
#include <vector>

#include "tests/unit/control_runtime/loop.hpp"

using namespace pns;
using namespace pns::control;
using namespace pns::contract;
using namespace pns::test;

namespace {

struct World {
  asio::io_context loop{1};
  UniqueFd supervisor;
  std::vector<Milliseconds> stops;
  std::vector<Milliseconds> leaves;
  int lost = 0;
  std::vector<ConnectionId> not_kept;
  std::unique_ptr<SupervisorLink> link;

  explicit World(std::uint32_t version = contract::kSupervisorVersion) {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()) ==
            0);
    supervisor.reset(fds[0]);
    link = std::make_unique<SupervisorLink>(
        loop, UniqueFd(fds[1]), version,
        SupervisorLink::Events{.stop = [this](Milliseconds within) { stops.push_back(within); },
                               .leave = [this](Milliseconds within) { leaves.push_back(within); },
                               .lost = [this] { ++lost; },
                               .not_kept = [this](ConnectionId id) { not_kept.push_back(id); }});
  }
};

bool same_file(int a, int b) {
  struct stat first {};
  struct stat second {};
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_ino == second.st_ino &&
         first.st_dev == second.st_dev;
}

}  // namespace

TEST_CASE("supervisor link: beats, says ready, hears stop", "[runtime]") {
  World world;
  world.link->start();
  auto message = receive_supervisor_message(world.supervisor.get());
  REQUIRE(message);
  CHECK(message->message.type == SupervisorMessageType::kWatchdog);
  world.link->ready();
  message = receive_supervisor_message(world.supervisor.get());
  REQUIRE(message);
  CHECK(message->message.type == SupervisorMessageType::kReady);
  SupervisorMessage stop;
  stop.type = SupervisorMessageType::kStop;
  stop.value = 1234;
  REQUIRE(send_supervisor_message(world.supervisor.get(), stop));
  REQUIRE(until(world.loop, [&] { return !world.stops.empty(); }));
  CHECK(world.stops[0] == Milliseconds(1234));
  CHECK(world.leaves.empty());
}

TEST_CASE("supervisor link: tells of routes where the supervisor knows them", "[runtime]") {
  for (const std::uint32_t version : {contract::kSetRouteSince - 1, contract::kSetRouteSince}) {
    CAPTURE(version);
    World world(version);
    world.link->set_route("192.0.2.0/24", true);
    world.link->ready();
    auto message = receive_supervisor_message(world.supervisor.get());
    REQUIRE(message);
    if (version >= contract::kSetRouteSince) {
      CHECK(message->message.type == SupervisorMessageType::kSetRoute);
      CHECK(message->message.value == 1);
      CHECK(std::string_view(message->message.text.data()) == "192.0.2.0/24");
      message = receive_supervisor_message(world.supervisor.get());
      REQUIRE(message);
    }
    CHECK(message->message.type == SupervisorMessageType::kReady);
  }
}

TEST_CASE("supervisor link: hears leave", "[runtime]") {
  World world;
  world.link->start();
  SupervisorMessage leave;
  leave.type = SupervisorMessageType::kLeave;
  leave.value = 2000;
  REQUIRE(send_supervisor_message(world.supervisor.get(), leave));
  REQUIRE(until(world.loop, [&] { return !world.leaves.empty(); }));
  CHECK(world.leaves[0] == Milliseconds(2000));
  CHECK(world.stops.empty());
}

TEST_CASE("supervisor link: hears which connection a successor would not get", "[runtime]") {
  World world;
  world.link->start();
  SupervisorMessage message;
  message.type = SupervisorMessageType::kConnectionNotKept;
  message.connection = ConnectionId(5);
  REQUIRE(send_supervisor_message(world.supervisor.get(), message));
  REQUIRE(until(world.loop, [&] { return !world.not_kept.empty(); }));
  CHECK(world.not_kept == std::vector<ConnectionId>{ConnectionId(5)});
}

TEST_CASE("supervisor link: each request for a restart gets its own answer, once", "[runtime]") {
  World world;
  world.link->start();
  REQUIRE(receive_supervisor_message(world.supervisor.get()));  // the first beat
  std::vector<std::string> answers;
  std::array<SupervisorMessage, 2> asked;
  for (const auto what : {Process::kControl, Process::kSupervisor}) {
    world.link->request_restart(
        {what, pns::Seconds(40)}, [&, what](const std::optional<std::string>& refusal) {
          answers.push_back(std::string(name_of(what)) + ": " + refusal.value_or("accepted"));
        });
    auto received = receive_supervisor_message(world.supervisor.get());
    REQUIRE(received);
    CHECK(received->message.type == SupervisorMessageType::kRequestRestart);
    CHECK(received->message.value == static_cast<std::uint32_t>(what));
    CHECK(received->message.within_s == 40);
    asked[what == Process::kControl ? 0 : 1] = received->message;
  }
  REQUIRE(asked[0].request != asked[1].request);
  const auto answer = [&](SupervisorMessageType type, std::uint32_t request) {
    SupervisorMessage message;
    message.type = type;
    message.request = request;
    std::string_view("not today").copy(message.text.data(), message.text.size() - 1);
    REQUIRE(send_supervisor_message(world.supervisor.get(), message));
  };
  answer(SupervisorMessageType::kRestartAccepted, asked[0].request + 100);  // nobody's
  answer(SupervisorMessageType::kRestartRefused, asked[1].request);
  answer(SupervisorMessageType::kRestartAccepted, asked[1].request);  // answered already
  answer(SupervisorMessageType::kRestartAccepted, asked[0].request);
  REQUIRE(until(world.loop, [&] { return answers.size() >= 2; }));
  drain(world.loop);
  CHECK(answers == std::vector<std::string>{"supervisor: not today", "control: accepted"});
}

TEST_CASE("supervisor link: a supervisor that is gone is told once", "[runtime]") {
  World world;
  world.link->start();
  world.supervisor.reset();
  REQUIRE(until(world.loop, [&] { return world.lost != 0; }));
  world.link->ready();
  drain(world.loop);
  CHECK(world.lost == 1);
}

TEST_CASE("supervisor link: what a slow supervisor has not taken waits in order, descriptors too",
          "[runtime]") {
  World world;
  world.link->start();
  constexpr std::uint64_t kConnections = 2000;
  const TcpPair pair;
  for (std::uint64_t id = 1; id <= kConnections; ++id) {
    // Closed at once: the link must hold its own.
    const UniqueFd fd(::dup(pair.ours.get()));
    world.link->store_connection(ConnectionId(id), fd.get(), Ipv4Address(1), Ipv4Address(2), 3);
    if (id % 2 == 0) world.link->forget_connection(ConnectionId(id));
  }
  CHECK(world.link->backlog() > 0);
  std::uint64_t next = 1;
  bool forget = false;
  bool in_order = true;
  REQUIRE(until(world.loop, [&] {
    while (auto received = receive_supervisor_message(world.supervisor.get())) {
      const auto& message = received->message;
      if (message.type == SupervisorMessageType::kWatchdog) continue;
      if (forget) {
        in_order &= message.type == SupervisorMessageType::kForgetConnection &&
                    message.connection.value == next;
      } else {
        in_order &= message.type == SupervisorMessageType::kStoreConnection &&
                    message.connection.value == next && message.tcp_port == 3 &&
                    same_file(received->fd.get(), pair.ours.get());
      }
      if (!forget && next % 2 == 0) {
        forget = true;
      } else {
        forget = false;
        ++next;
      }
    }
    return next == kConnections + 1;
  }));
  CHECK(in_order);
  CHECK(world.link->backlog() == 0);
}
